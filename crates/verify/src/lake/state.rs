//! The state of a table at one version, folded from its entries or taken from a checkpoint.

use super::entry::{RawAdd, RawMetadata};
use super::schema::{self, SchemaProblem};
use super::{Add, Commit, LiveFile, Metadata};
use std::collections::{BTreeMap, BTreeSet};

/// The protocol of our tables: least version of a reader, and of a writer.
const PROTOCOL: (i64, i64) = (1, 2);

/// What readers of the table would see.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) live: BTreeMap<String, LiveFile>,
    pub(super) txns: BTreeMap<String, i64>,
    pub(super) metadata: Option<Metadata>,
    pub(super) protocol: Option<(i64, i64)>,
    /// Paths as entries have them that were refused: they are live for others, and never opened here.
    pub(super) refused: BTreeSet<String>,
}

/// A file that a commit adds although it is live: its path, and the version that added it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Again {
    pub(super) path: String,
    pub(super) before: u64,
}

impl State {
    /// Folds a commit; gives the files that it adds although they are live.
    pub(super) fn apply(&mut self, commit: &Commit) -> Vec<Again> {
        let mut again = Vec::new();
        for remove in &commit.removes {
            self.live.remove(&remove.path);
        }
        for add in &commit.adds {
            let file = LiveFile { add: add.clone(), version: commit.version };
            if let Some(before) = self.live.insert(add.path.clone(), file) {
                again.push(Again { path: add.path.clone(), before: before.version });
            }
        }
        self.txns.extend(commit.txns.iter().cloned());
        if commit.metadata.is_some() {
            self.metadata.clone_from(&commit.metadata);
        }
        self.protocol = commit.protocol.or(self.protocol);
        again
    }
}

/// An `add` whose path was accepted.
pub(super) fn accepted(raw: RawAdd, path: String) -> Add {
    Add {
        path,
        partition_values: raw.partition_values,
        size: raw.size,
        modification_time_ms: raw.modification_time,
        data_change: raw.data_change,
        stats: raw.stats,
    }
}

/// Metadata with its columns read.
pub(super) fn with_columns(raw: RawMetadata) -> Result<Metadata, SchemaProblem> {
    Ok(Metadata {
        columns: schema::columns(&raw.schema_string)?,
        id: raw.id,
        schema_string: raw.schema_string,
        partition_columns: raw.partition_columns,
        configuration: raw.configuration.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
    })
}

/// Whether a protocol asks for more than our tables do.
pub(crate) fn exceeds((reader, writer): (i64, i64)) -> bool {
    reader > PROTOCOL.0 || writer > PROTOCOL.1
}

/// What is said of such a protocol.
pub(crate) fn protocol_text((reader, writer): (i64, i64)) -> String {
    let (had_reader, had_writer) = PROTOCOL;
    format!(
        "the table asks for protocol reader {reader}, writer {writer}; tables of ours for {had_reader} and {had_writer}"
    )
}
