//! `ops.definitions`: every definition that was ever in force, with the positions from which it was.

use crate::feed::utc_day;
use crate::runtime::{CommitFailure, Committer, Draft};
use arrow::array::{ArrayRef, AsArray, Date32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{Books, Layer};
use watertight_core::port::{ErrorKind, Lake, LakeTable, PortError, TableSpec};
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

/// From where on a definition is in force.
#[derive(Debug, Clone, Copy)]
pub struct InForceFrom<'a> {
    /// Incarnation of the topic; of the first one by name, where a stream reads several.
    pub incarnation: &'a str,
    /// Its positions: silver's next offset by partition. For a stream: the first record judged by it. For a model: what
    /// silver held when the run began that brought it.
    pub positions: &'a BTreeMap<i32, i64>,
    /// Of a stream: the positions of the other topics that it reads, by incarnation.
    pub others: &'a BTreeMap<String, BTreeMap<i32, i64>>,
    /// Of a model: windows that end at or before this instant were written by versions before, microseconds; `None` where
    /// nothing was written yet. It computes all that end later, whenever their rows came.
    pub closed_until_us: Option<i64>,
}

impl InForceFrom<'_> {
    fn text(&self, kind: DefinitionKind) -> String {
        let Self { incarnation, positions, others, closed_until_us } = self;
        let from = match kind {
            DefinitionKind::Stream if others.is_empty() => {
                serde_json::json!({ "incarnation": incarnation, "positions": positions })
            }
            DefinitionKind::Stream => {
                serde_json::json!({ "incarnation": incarnation, "positions": positions, "others": others })
            }
            DefinitionKind::Model => serde_json::json!({
                "incarnation": incarnation, "positions": positions, "closed_until_us": closed_until_us
            }),
        };
        from.to_string()
    }
}

/// One version of a definition.
struct Entered {
    text: String,
    /// Incarnations of the topics under which it was entered; none where that cannot be told.
    incarnations: Vec<String>,
}

/// The table and what it holds: the newest version and text of each definition.
pub struct Definitions {
    table: Box<dyn LakeTable>,
    pipeline: String,
    newest: BTreeMap<(String, String), (i32, String)>,
    /// All versions there ever were.
    entered: BTreeMap<(String, String, i32), Entered>,
    /// The last attempt to enter a version failed: it may be there all the same, and the table is read before the next.
    in_doubt: bool,
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
        let mut definitions = Self {
            table,
            pipeline: pipeline.to_owned(),
            newest: BTreeMap::new(),
            entered: BTreeMap::new(),
            in_doubt: false,
        };
        definitions.read()?;
        Ok(definitions)
    }

    fn read(&mut self) -> Result<(), PortError> {
        for file in self.table.live_files()? {
            for batch in self.table.read(&file, &["kind", "name", "version", "definition", "in_force_from"])? {
                self.take(&batch?);
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch) {
        let (kinds, names) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let versions = batch.column(2).as_primitive::<Int32Type>();
        let (texts, from) = (batch.column(3).as_string::<i32>(), batch.column(4).as_string::<i32>());
        for row in 0..batch.num_rows() {
            let key = (kinds.value(row).to_owned(), names.value(row).to_owned());
            let version = versions.value(row);
            let entered = Entered { text: texts.value(row).to_owned(), incarnations: incarnations_in(from.value(row)) };
            self.entered.insert((key.0.clone(), key.1.clone(), version), entered);
            if self.newest.get(&key).is_none_or(|(known, _)| *known < version) {
                self.newest.insert(key, (version, texts.value(row).to_owned()));
            }
        }
    }

    /// The text of one version of a definition.
    #[must_use]
    pub fn text(&self, kind: DefinitionKind, name: &str, version: i32) -> Option<&str> {
        let entered = self.entered.get(&(kind.name().to_owned(), name.to_owned(), version))?;
        Some(entered.text.as_str())
    }

    /// The newest version that was entered under this incarnation of the topic.
    #[must_use]
    pub fn newest_under(&self, kind: DefinitionKind, name: &str, incarnation: &str) -> Option<i32> {
        let key = |version| (kind.name().to_owned(), name.to_owned(), version);
        let mut newest_first = self.entered.range(key(i32::MIN)..=key(i32::MAX)).rev();
        let under = |entered: &Entered| entered.incarnations.iter().any(|of| of == incarnation);
        newest_first.find(|(_, entered)| under(entered)).map(|((_, _, version), _)| *version)
    }

    /// The version of this definition; a text that differs from the newest becomes the next version, in force from
    /// `from`.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn in_force(
        &mut self,
        kind: DefinitionKind,
        name: &str,
        definition: &impl serde::Serialize,
        from: InForceFrom<'_>,
        committer: &Committer<'_>,
    ) -> Result<i32, CommitFailure> {
        if self.in_doubt {
            committer.retry("read the definitions", || {
                self.table.refresh()?;
                self.read()
            })?;
            self.in_doubt = false;
        }
        let text = definition_text(definition)?;
        let key = (kind.name().to_owned(), name.to_owned());
        let newest = self.newest.get(&key);
        if let Some((version, _)) = newest.filter(|(_, known)| *known == text) {
            return Ok(*version);
        }
        let version = newest.map_or(1, |(version, _)| version + 1);
        let others = from.others.keys().cloned();
        let incarnations = std::iter::once(from.incarnation.to_owned()).chain(others).collect();
        let entered = Entered { text: text.clone(), incarnations };
        let from = from.text(kind);
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
        self.in_doubt = true;
        committer.append(self.table.as_mut(), Draft { layer: Layer::Ops, steps, files: vec![file], books })?;
        self.in_doubt = false;
        self.entered.insert((key.0.clone(), key.1.clone(), version), entered);
        self.newest.insert(key, (version, text));
        Ok(version)
    }
}

/// The incarnations that an `in_force_from` names.
fn incarnations_in(from: &str) -> Vec<String> {
    let from: serde_json::Value = serde_json::from_str(from).unwrap_or_default();
    let first = from.get("incarnation").and_then(|incarnation| incarnation.as_str()).map(str::to_owned);
    let others = from.get("others").and_then(|others| others.as_object());
    first.into_iter().chain(others.into_iter().flatten().map(|(incarnation, _)| incarnation.clone())).collect()
}

/// A definition as it is kept and compared.
///
/// # Errors
/// `Bug` where it is not JSON.
pub fn definition_text(definition: &impl serde::Serialize) -> Result<String, PortError> {
    serde_json::to_string(definition)
        .map_err(|e| PortError::caused(ErrorKind::Bug, "a definition could not be written as JSON", e))
}
