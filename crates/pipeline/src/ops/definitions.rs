//! `ops.definitions`: every definition that was ever in force, with the positions from which it was.

use crate::feed::utc_day;
use crate::runtime::{CommitFailure, Committer};
use arrow::array::{ArrayRef, AsArray, Date32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::Books;
use watertight_core::port::{CommitRequest, ErrorKind, Lake, LakeTable, PortError, TableSpec};
use watertight_core::position::{PositionKey, PositionStep};
use watertight_core::schema::utc_timestamp;

/// What is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DefinitionKind {
    /// A stream: columns, identity, time, checks.
    Stream,
    /// A model: SQL and window.
    Model,
}

impl DefinitionKind {
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Model => "model",
        }
    }
}

/// The table and what it holds: the newest version and text of each definition.
pub struct Definitions {
    table: Box<dyn LakeTable>,
    pipeline: String,
    newest: BTreeMap<(String, String), (i32, String)>,
}

impl Definitions {
    /// Opens the table and reads it whole (it has a row per change of a definition).
    ///
    /// # Errors
    /// As the lake's.
    pub fn open(lake: &dyn Lake, pipeline: &str) -> Result<Self, PortError> {
        let columns = Schema::new(vec![
            Field::new("kind", DataType::Utf8, false),
            Field::new("name", DataType::Utf8, false),
            Field::new("version", DataType::Int32, false),
            Field::new("definition", DataType::Utf8, false),
            Field::new("in_force_from", DataType::Utf8, false),
            Field::new("recorded_at", utc_timestamp(), false),
            Field::new("_recorded_date", DataType::Date32, false),
        ]);
        let table = lake.open(&TableSpec {
            schema_name: "ops".to_owned(),
            table: "definitions".to_owned(),
            columns: Arc::new(columns),
            partition_column: "_recorded_date".to_owned(),
            pipeline: pipeline.to_owned(),
        })?;
        let mut definitions = Self { table, pipeline: pipeline.to_owned(), newest: BTreeMap::new() };
        for file in definitions.table.live_files()? {
            for batch in definitions.table.read(&file, &["kind", "name", "version", "definition"])? {
                definitions.take(&batch?);
            }
        }
        Ok(definitions)
    }

    fn take(&mut self, batch: &RecordBatch) {
        let (kinds, names) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let versions = batch.column(2).as_primitive::<Int32Type>();
        let texts = batch.column(3).as_string::<i32>();
        for row in 0..batch.num_rows() {
            let key = (kinds.value(row).to_owned(), names.value(row).to_owned());
            let version = versions.value(row);
            if self.newest.get(&key).is_none_or(|(known, _)| *known < version) {
                self.newest.insert(key, (version, texts.value(row).to_owned()));
            }
        }
    }

    /// The version of this definition; a text that differs from the newest becomes the next version, in force from
    /// `positions` (next offset by partition of `incarnation`).
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn in_force(
        &mut self,
        kind: DefinitionKind,
        name: &str,
        definition: &impl serde::Serialize,
        (incarnation, positions): (&str, &BTreeMap<i32, i64>),
        committer: &Committer<'_>,
    ) -> Result<i32, CommitFailure> {
        let bug = |e| PortError::caused(ErrorKind::Bug, "a definition could not be written as JSON", e);
        let text = serde_json::to_string(definition).map_err(bug)?;
        let key = (kind.name().to_owned(), name.to_owned());
        let newest = self.newest.get(&key);
        if let Some((version, _)) = newest.filter(|(_, known)| *known == text) {
            return Ok(*version);
        }
        let version = newest.map_or(1, |(version, _)| version + 1);
        let from = serde_json::json!({ "incarnation": incarnation, "positions": positions }).to_string();
        let now_us = committer.now_us();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec![kind.name()])),
            Arc::new(StringArray::from(vec![name])),
            Arc::new(Int32Array::from(vec![version])),
            Arc::new(StringArray::from(vec![text.as_str()])),
            Arc::new(StringArray::from(vec![from])),
            Arc::new(TimestampMicrosecondArray::from(vec![now_us]).with_timezone("UTC")),
            Arc::new(Date32Array::from(vec![utc_day(now_us)])),
        ];
        let rows = RecordBatch::try_new(self.table.columns(), columns)
            .map_err(|e| PortError::caused(ErrorKind::Bug, "a definition's row could not be built", e))?;
        let file = committer.retry("stage definition", || self.table.stage(utc_day(now_us), &rows))?;
        let position = PositionKey {
            pipeline: self.pipeline.clone(),
            topic: "ops.definitions".to_owned(),
            incarnation: key.0.clone(),
            partition: 0,
        };
        let from = self.table.state().positions.get(&position).copied();
        let steps = vec![PositionStep { key: position, from, to: from.unwrap_or(0) + 1 }];
        let mut books = Books::append(&self.pipeline, committer.fresh_id());
        books.rows = 1;
        books.carry(self.table.state().last_append.as_ref(), now_us);
        let request = CommitRequest { steps, files: vec![file], books, timestamp_us: now_us };
        committer.commit(self.table.as_mut(), &request)?;
        self.newest.insert(key, (version, text));
        Ok(version)
    }
}
