//! Log entries: the JSON actions of one version of the table, written and read by hand.
//!
//! Format: one JSON object per line with one key, the action's name (Delta protocol, "Actions"). Our entries begin
//! with `commitInfo`, whose key `watertight` holds the books and the number of actions in the entry: an entry that
//! lost whole lines is found out. Unknown actions and fields are skipped, as the protocol allows.

use super::schema;
use arrow::datatypes::Date32Type;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use watertight_core::books::{Books, COMMIT_INFO_KEY, CommitKind};
use watertight_core::port::{DataFile, ErrorKind, PortError};

/// Key beside the books: the number of actions in the entry, `commitInfo` among them.
const ACTIONS_KEY: &str = "log_actions";
/// Key of the pipeline's uuid in a table's configuration.
pub(crate) const PIPELINE_KEY: &str = "watertight.pipeline";
/// The protocol of every table we write.
pub(super) const PROTOCOL: Protocol = Protocol { min_reader_version: 1, min_writer_version: 2 };

/// `protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
}

/// `metaData`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct MetaData {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub format: Format,
    pub schema_string: String,
    pub partition_columns: Vec<String>,
    pub configuration: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_time: Option<i64>,
}

/// `metaData.format`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Format {
    pub provider: String,
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl Default for Format {
    fn default() -> Self {
        Self { provider: "parquet".to_owned(), options: BTreeMap::new() }
    }
}

/// `txn`: a position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Txn {
    pub app_id: String,
    pub version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}

/// `add`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    pub path: String,
    #[serde(default)]
    pub partition_values: BTreeMap<String, Option<String>>,
    pub size: u64,
    #[serde(default)]
    pub modification_time: i64,
    pub data_change: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<String>,
}

/// `remove`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub path: String,
    #[serde(default = "yes")]
    pub data_change: bool,
}

fn yes() -> bool {
    true
}

/// What `commitInfo` says under our key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Author {
    /// No books: another program.
    Foreign,
    /// Books that read.
    Books(Box<Books>),
    /// Our key, but not books that this version understands.
    Unreadable,
}

/// One version of the table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub version: u64,
    pub author: Author,
    pub operation: String,
    pub protocol: Option<Protocol>,
    pub metadata: Option<MetaData>,
    pub txns: Vec<Txn>,
    pub adds: Vec<Add>,
    pub removes: Vec<Remove>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    add: Option<Add>,
    remove: Option<Remove>,
    txn: Option<Txn>,
    meta_data: Option<MetaData>,
    protocol: Option<Protocol>,
    commit_info: Option<Map<String, Value>>,
}

impl Entry {
    /// Reads an entry.
    ///
    /// # Errors
    /// `Corrupt` where it is torn: an empty file, a line that is not JSON, or fewer actions than it was written with.
    pub(super) fn parse(version: u64, bytes: &[u8]) -> Result<Self, PortError> {
        let mut entry = Self {
            version,
            author: Author::Foreign,
            operation: String::new(),
            protocol: None,
            metadata: None,
            txns: Vec::new(),
            adds: Vec::new(),
            removes: Vec::new(),
        };
        let (mut actions, mut expected) = (0_u64, None);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            let line: Line = serde_json::from_slice(line).map_err(|error| {
                PortError::caused(ErrorKind::Corrupt, format!("action {} is torn or not JSON", actions + 1), error)
            })?;
            actions += 1;
            entry.adds.extend(line.add);
            entry.removes.extend(line.remove);
            entry.txns.extend(line.txn);
            entry.metadata = line.meta_data.or(entry.metadata);
            entry.protocol = line.protocol.or(entry.protocol);
            if let Some(info) = line.commit_info {
                (entry.author, expected) = author(&info);
                entry.operation = info.get("operation").and_then(Value::as_str).unwrap_or_default().to_owned();
            }
        }
        if actions == 0 {
            return Err(PortError::new(ErrorKind::Corrupt, "it is empty"));
        }
        match expected {
            Some(expected) if expected != actions => Err(PortError::new(
                ErrorKind::Corrupt,
                format!("it holds {actions} actions but was written with {expected}"),
            )),
            _ => Ok(entry),
        }
    }

    /// The books, where they are those of `pipeline`.
    pub(super) fn books_of(&self, pipeline: &str) -> Option<&Books> {
        match &self.author {
            Author::Books(books) if books.pipeline == pipeline => Some(books),
            _ => None,
        }
    }
}

fn author(info: &Map<String, Value>) -> (Author, Option<u64>) {
    let Some(ours) = info.get(COMMIT_INFO_KEY) else { return (Author::Foreign, None) };
    let expected = ours.get(ACTIONS_KEY).and_then(Value::as_u64);
    match Books::deserialize(ours) {
        Ok(books) if books.format <= Books::FORMAT => (Author::Books(Box::new(books)), expected),
        _ => (Author::Unreadable, expected),
    }
}

/// What an entry of ours is written from.
#[derive(Debug, Clone)]
pub(super) struct NewEntry<'a> {
    pub books: &'a Books,
    pub timestamp_us: i64,
    pub protocol: Option<Protocol>,
    pub metadata: Option<&'a MetaData>,
    pub txns: Vec<Txn>,
    pub adds: Vec<Add>,
    pub partition_column: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Action<'a> {
    CommitInfo(&'a Value),
    Protocol(Protocol),
    MetaData(&'a MetaData),
    Txn(&'a Txn),
    Add(&'a Add),
}

impl NewEntry<'_> {
    /// The entry's bytes.
    pub(super) fn render(&self) -> Result<Vec<u8>, PortError> {
        let info = self.commit_info()?;
        let mut actions = vec![Action::CommitInfo(&info)];
        actions.extend(self.protocol.map(Action::Protocol));
        actions.extend(self.metadata.map(Action::MetaData));
        actions.extend(self.txns.iter().map(Action::Txn));
        actions.extend(self.adds.iter().map(Action::Add));
        let mut bytes = Vec::with_capacity(1024 + 512 * self.adds.len());
        for action in &actions {
            serde_json::to_writer(&mut bytes, action).map_err(render_error)?;
            bytes.push(b'\n');
        }
        Ok(bytes)
    }

    fn commit_info(&self) -> Result<Value, PortError> {
        let count = 1
            + usize::from(self.protocol.is_some())
            + usize::from(self.metadata.is_some())
            + self.txns.len()
            + self.adds.len();
        let mut ours = serde_json::to_value(self.books).map_err(render_error)?;
        ours[ACTIONS_KEY] = json!(count);
        let bytes: u64 = self.adds.iter().map(|add| add.size).sum();
        let (operation, parameters) = self.operation();
        Ok(json!({
            "timestamp": self.timestamp_us.div_euclid(1000),
            "operation": operation,
            "operationParameters": parameters,
            "operationMetrics": {
                "numFiles": self.adds.len().to_string(),
                "numOutputRows": self.books.rows.to_string(),
                "numOutputBytes": bytes.to_string(),
            },
            "isBlindAppend": self.books.kind == CommitKind::Append,
            "engineInfo": concat!("watertight/", env!("CARGO_PKG_VERSION")),
            COMMIT_INFO_KEY: ours,
        }))
    }

    fn operation(&self) -> (&'static str, Value) {
        let partition_by = json!([self.partition_column]).to_string();
        match self.books.kind {
            CommitKind::Create => {
                ("CREATE TABLE", json!({"isManaged": "false", "partitionBy": partition_by, "properties": "{}"}))
            }
            CommitKind::Maintain => ("SET TBLPROPERTIES", json!({"properties": "{}"})),
            CommitKind::Append => ("WRITE", json!({"mode": "Append", "partitionBy": partition_by})),
            CommitKind::Compact | CommitKind::Replace | CommitKind::Rewind => {
                ("WRITE", json!({"mode": "Overwrite", "partitionBy": partition_by}))
            }
        }
    }
}

fn render_error(error: serde_json::Error) -> PortError {
    PortError::caused(ErrorKind::Bug, "a log entry did not serialise", error)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RowCount {
    num_records: Option<u64>,
}

/// The number of rows that Delta statistics tell.
pub(super) fn rows_in_stats(stats: &str) -> Option<u64> {
    serde_json::from_str::<RowCount>(stats).ok()?.num_records
}

impl Add {
    pub(super) fn of(
        file: &DataFile,
        partition: &str,
        timestamp_us: i64,
        data_change: bool,
    ) -> Result<Self, PortError> {
        let date = super::stats::date_text(file.partition_days).ok_or_else(|| {
            PortError::new(ErrorKind::Bug, format!("{} days since the epoch is no date", file.partition_days))
        })?;
        schema::check_path_name(partition)?;
        Ok(Self {
            path: file.path.clone(),
            partition_values: BTreeMap::from([(partition.to_owned(), Some(date))]),
            size: file.size,
            modification_time: timestamp_us.div_euclid(1000),
            data_change,
            stats: (!file.stats.is_empty()).then(|| file.stats.clone()),
        })
    }

    /// The file that is added; `rows` is 0 where its statistics don't tell.
    pub(super) fn file(&self, partition: &str) -> Result<DataFile, PortError> {
        let date = self.partition_values.get(partition).cloned().flatten();
        let days = date.as_deref().and_then(<Date32Type as arrow::compute::kernels::cast_utils::Parser>::parse);
        let partition_days = days.ok_or_else(|| {
            PortError::new(
                ErrorKind::Stop,
                format!("file {} has no date in partition column '{partition}': another program wrote it", self.path),
            )
        })?;
        let stats = self.stats.clone().unwrap_or_default();
        let rows = rows_in_stats(&stats).unwrap_or(0);
        Ok(DataFile { path: self.path.clone(), partition_days, size: self.size, rows, stats })
    }
}
