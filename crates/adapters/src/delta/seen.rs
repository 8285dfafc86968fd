//! What is known of a table from its log, folded entry by entry, and the judgement of others' entries.
//!
//! Contract: memory does not grow with the table: version, positions, schema, configuration and the newest books are
//! kept, and the ids of the last commits. Nothing is read here.
//!
//! A table of ours is written by us alone. Another program's entry is harmless where it changes no row and no
//! definition (compaction); everything else is damage that stops the table, until an operator has looked and a
//! commit of ours stands above it: an entry below a commit of ours was judged when that was made.

use super::entry::{Author, Entry, MetaData, PIPELINE_KEY, Protocol, Txn};
use super::schema;
use arrow::datatypes::SchemaRef;
use std::collections::VecDeque;
use watertight_core::books::{Books, CommitKind};
use watertight_core::port::{ErrorKind, PortError, TableState};
use watertight_core::position::PositionKey;

/// The ids of the newest commits with their versions, so that one that was made is not made again.
#[derive(Debug, Clone, Default)]
pub(super) struct RecentCommits(VecDeque<(u64, String)>);

impl RecentCommits {
    /// Ids remembered; a retry comes right after the attempt, so this is far more than is asked for.
    pub(super) const MAX: usize = 1024;

    pub(super) fn version_of(&self, commit_id: &str) -> Option<u64> {
        self.0.iter().rev().find(|(_, id)| id == commit_id).map(|(version, _)| *version)
    }

    pub(super) fn push_newer(&mut self, version: u64, commit_id: &str) {
        if self.0.len() == Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back((version, commit_id.to_owned()));
    }

    pub(super) fn push_older(&mut self, version: u64, commit_id: &str) {
        if self.0.len() < Self::MAX && self.0.front().is_none_or(|(oldest, _)| *oldest > version) {
            self.0.push_front((version, commit_id.to_owned()));
        }
    }
}

/// What was read of a table.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub state: TableState,
    pub protocol: Protocol,
    pub metadata: MetaData,
    /// Columns in the table's order.
    pub columns: SchemaRef,
    /// The partition column; empty where the table is not partitioned by one.
    pub partition: String,
    pub recent: RecentCommits,
}

/// What an entry is to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A commit of our pipeline.
    Ours,
    /// Another's, changing neither rows nor definitions.
    Harmless,
    /// Another's, and not to be gone past without an operator.
    Damage(String),
}

/// Judges an entry of a table that `pipeline` owns.
pub(super) fn judge(entry: &Entry, pipeline: &str) -> Verdict {
    match &entry.author {
        Author::Books(books) if books.pipeline == pipeline => return Verdict::Ours,
        Author::Unreadable => {
            return Verdict::Damage(
                "bears books that this version can't read: run the newer version of watertight that wrote them".into(),
            );
        }
        _ => {}
    }
    let by = if entry.operation.is_empty() { "another program" } else { entry.operation.as_str() };
    let damage = |what: &str| {
        Verdict::Damage(format!(
            "({by}, not a commit of this pipeline) {what}: undo it, or look at what it did and start a new table"
        ))
    };
    if entry.protocol.is_some() || entry.metadata.is_some() {
        return damage("changes the table's protocol, schema or properties");
    }
    if entry.removes.iter().any(|remove| remove.data_change) {
        return damage("removes data");
    }
    if entry.adds.iter().any(|add| add.data_change) {
        return damage("adds rows that no position and no book accounts for");
    }
    if entry.txns.iter().any(|txn| PositionKey::parse(&txn.app_id).is_some()) {
        return damage("moves positions");
    }
    Verdict::Harmless
}

/// The error for a damaging entry.
pub(super) fn damage_error(table: &str, version: u64, what: &str) -> PortError {
    PortError::new(ErrorKind::Stop, format!("version {version} of {table} {what}"))
}

impl Seen {
    /// Begins from protocol and metadata, with nothing else known.
    pub(super) fn begin(protocol: Protocol, metadata: MetaData) -> Result<Self, PortError> {
        let mut seen = Self {
            state: TableState::default(),
            protocol,
            columns: schema::from_delta(&metadata.schema_string)?,
            metadata: MetaData::default(),
            partition: String::new(),
            recent: RecentCommits::default(),
        };
        seen.adopt(metadata)?;
        Ok(seen)
    }

    fn adopt(&mut self, metadata: MetaData) -> Result<(), PortError> {
        self.columns = schema::from_delta(&metadata.schema_string)?;
        self.partition = match metadata.partition_columns.as_slice() {
            [one] => one.clone(),
            _ => String::new(),
        };
        self.state.id.clone_from(&metadata.id);
        self.state.configuration.clone_from(&metadata.configuration);
        self.metadata = metadata;
        Ok(())
    }

    /// The pipeline that owns the table.
    pub(super) fn pipeline(&self) -> Option<&str> {
        self.metadata.configuration.get(PIPELINE_KEY).map(String::as_str)
    }

    /// Folds the next entry.
    ///
    /// # Errors
    /// Where its schema can't be read; nothing is changed then.
    pub(super) fn fold(&mut self, entry: &Entry) -> Result<(), PortError> {
        if let Some(metadata) = &entry.metadata {
            self.adopt(metadata.clone())?;
        }
        if let Some(protocol) = entry.protocol {
            self.protocol = protocol;
        }
        self.take_positions(&entry.txns);
        self.state.version = entry.version;
        let ours = self.pipeline().and_then(|pipeline| entry.books_of(pipeline)).cloned();
        if let Some(books) = ours {
            self.note_books(entry.version, &books);
        }
        Ok(())
    }

    /// Takes over the positions that `txns` store; other programs' `txn` actions are passed over.
    pub(super) fn take_positions(&mut self, txns: &[Txn]) {
        let positions = txns.iter().filter_map(|txn| Some((PositionKey::parse(&txn.app_id)?, txn.version)));
        self.state.positions.extend(positions);
    }

    /// Notes the books of a commit of ours at `version`, the newest.
    pub(super) fn note_books(&mut self, version: u64, books: &Books) {
        self.recent.push_newer(version, &books.commit_id);
        if books.kind == CommitKind::Append {
            self.state.last_append = Some(books.clone());
            self.state.last_append_version = Some(version);
        }
    }
}
