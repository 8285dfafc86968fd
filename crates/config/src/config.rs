//! What a pipeline file says, once it is right: plain data with everything resolved.

use crate::problem::Problem;
use std::collections::BTreeMap;
use std::path::PathBuf;
use watertight_core::schema::{ModelDef, StreamDef};

/// A pipeline, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineConfig {
    /// Name of the pipeline.
    pub name: String,
    /// The event log.
    pub log: LogConfig,
    /// Folder of the lake; tables are `<lake>/<schema>/<table>`.
    pub lake: PathBuf,
    /// Folder of checkpoints, which are a cache: `<lake>/_watertight/state` unless declared.
    pub state: PathBuf,
    /// Streams, in the order of the file; at least one.
    pub streams: Vec<StreamDef>,
    /// Models, in the order of the file; each reads a stream that exists.
    pub models: Vec<ModelDef>,
    /// What bounds a commit.
    pub commit: CommitConfig,
    /// The private key with which `verify` signs certificates.
    pub signing_key: Option<Secret>,
    /// Where each key stands in the file, for problems that are found later (in SQL).
    pub source: Source,
}

/// A secret of the pipeline file. It prints as `…`, and is in no problem, log or definition.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for whom it is meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// The event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogConfig {
    /// The built-in segment log.
    Local {
        /// Folder of the log.
        path: PathBuf,
        /// A new segment is begun at this size, in bytes.
        segment_bytes: u64,
        /// What may be forgotten; nothing unless declared.
        retention: Retention,
    },
    /// Apache Kafka.
    Kafka(KafkaConfig),
}

/// How Kafka is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// Brokers to ask first: `host:port`, with commas between them.
    pub bootstrap: String,
    /// Properties of librdkafka; none that holds a secret.
    pub properties: BTreeMap<String, String>,
    /// Properties that are never shown.
    pub secrets: BTreeMap<String, Secret>,
    /// Copies of the partitions of a topic that is made; `None` is the cluster's own number.
    pub replication_factor: Option<i16>,
    /// Consumer group whose offsets follow the tables.
    pub group: String,
}

/// How long the log keeps records; a segment goes when either bound is passed. `None` is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Age in microseconds.
    pub age_us: Option<i64>,
    /// Bytes per partition.
    pub bytes: Option<u64>,
}

/// What bounds a commit: whichever is reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitConfig {
    /// Time between commits, in microseconds.
    pub interval_us: i64,
    /// Records in one commit.
    pub max_rows: u64,
    /// Payload bytes in one commit.
    pub max_bytes: u64,
}

/// The definitions that could be made out of a file, whether the file as a whole is right or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    /// Streams, in the order of the file.
    pub streams: Vec<StreamDef>,
    /// Models, in the order of the file; the stream that one reads may be missing.
    pub models: Vec<ModelDef>,
    /// The private key with which `verify` signs certificates, where there is one.
    pub signing_key: Option<Secret>,
    /// Where each key stands in the file.
    pub source: Source,
}

/// The file and the place of each key in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, as it was given.
    pub file: String,
    pub(crate) places: BTreeMap<String, (u32, u32)>,
    /// Where the SQL of each model stands.
    pub(crate) sql: BTreeMap<String, SqlOrigin>,
}

/// Where the SQL of a model stands. A definition holds it without the space around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SqlOrigin {
    /// The file, as the pipeline file names it; `None` for SQL in place.
    pub(crate) file: Option<String>,
    /// Lines of that file before the first word.
    pub(crate) lines_before: u32,
    /// Characters before the first word in its line.
    pub(crate) columns_before: u32,
}

impl Source {
    /// Whether a key stands in the file.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// A problem at the value of the key at `path` (such as `models.candles_1m.sql`), or at the nearest key above
    /// it that stands in the file.
    #[must_use]
    pub fn problem(&self, path: &str, message: impl Into<String>, suggestion: Option<String>) -> Problem {
        let mut above = path;
        let (line, column) = loop {
            if let Some(place) = self.places.get(above) {
                break *place;
            }
            match above.rfind(['.', '[']) {
                Some(end) => above = &above[..end],
                None => break (0, 0),
            }
        };
        Problem { file: self.file.clone(), line, column, path: path.to_owned(), message: message.into(), suggestion }
    }

    /// A problem in the SQL of a model, at a line and column of that SQL (from 1) if they are known. It stands at the
    /// model's key `sql`, and its message begins with the place: in the `.sql` file, or in the SQL of the model.
    #[must_use]
    pub fn sql_problem(
        &self,
        model: &str,
        at: Option<(u32, u32)>,
        message: &str,
        suggestion: Option<String>,
    ) -> Problem {
        let origin = self.sql.get(model).cloned().unwrap_or_default();
        let at = at.map(|(line, column)| {
            let columns_before = if line == 1 { origin.columns_before } else { 0 };
            (line.saturating_add(origin.lines_before), column.saturating_add(columns_before))
        });
        let place = match (origin.file, at) {
            (Some(file), Some((line, column))) => format!("{file}:{line}:{column}"),
            (Some(file), None) => file,
            (None, Some((line, column))) => format!("model '{model}', line {line}, column {column} of its SQL"),
            (None, None) => format!("model '{model}'"),
        };
        self.problem(&format!("models.{model}.sql"), format!("{place}: {message}"), suggestion)
    }
}
