//! What was read of Delta logs, and of the copies of the books, kept from one look at a lake to the next.
//!
//! Contract: an entry in which nothing was found is not read again while its file is the one that was read (inode, length
//! and times). All that follows from entries is computed anew each time, so that a look with kept entries finds what one
//! without them finds. A checkpoint that agreed with its entries is not read again while neither it nor an entry of the
//! log is another.
//! Never: an entry with a finding is kept; it is read, and told, again. No more is held than the newest look took in.

use super::listing::Checkpoint;
use super::{Commit, Table, TableName, replay};
use crate::books::copies;
use crate::finding::{Findings, Unable};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The logs of a lake's tables, as far as they were read.
#[derive(Debug, Default)]
pub struct Logs {
    tables: BTreeMap<TableName, Kept>,
    /// Of tables that are looked at, until [`Logs::keep`] has them back.
    out: BTreeMap<TableName, Seen>,
    files_read: u64,
    /// The rows of `ops.commits`, which outlive the logs.
    pub(crate) copies: copies::Kept,
}

/// A file as it was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    /// What sets the time of the last change back leaves this one.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a regular file; a link is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let about = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(Self {
            inode: about.ino(),
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }

    /// Of all files of a checkpoint.
    pub(super) fn of_checkpoint(checkpoint: &Checkpoint, log: &Path) -> Option<Vec<Self>> {
        checkpoint.paths(log).iter().map(|path| Self::of(path)).collect()
    }
}

/// What is kept of one table's log.
#[derive(Debug, Default)]
pub(super) struct Kept {
    entries: BTreeMap<u64, (Stamp, Commit)>,
    checkpoints: BTreeMap<String, Vec<Stamp>>,
}

impl Kept {
    /// The commit of a version whose file is still the one that was read.
    pub(super) fn take(&mut self, version: u64, now: Option<Stamp>) -> Option<Commit> {
        let (then, commit) = self.entries.remove(&version)?;
        (Some(then) == now).then_some(commit)
    }

    /// Whether a checkpoint is still the one that agreed.
    pub(super) fn agreed(&self, file: &str, now: Option<&[Stamp]>) -> bool {
        now.is_some() && self.checkpoints.get(file).map(Vec::as_slice) == now
    }
}

/// Files of a log in which nothing was found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) entries: BTreeMap<u64, Stamp>,
    pub(super) checkpoints: BTreeMap<String, Vec<Stamp>>,
    /// Files that were read, whatever was in them.
    pub(super) files_read: u64,
}

impl Logs {
    /// As [`Table::observe`], reading only what is new or another since the last look.
    ///
    /// # Errors
    /// As [`Table::observe`].
    pub fn observe(&mut self, lake: &Path, name: &TableName, findings: &Findings) -> Result<Table, Unable> {
        let kept = self.tables.remove(name).unwrap_or_default();
        let (observed, seen) = replay::observe(lake, name, kept, findings);
        self.files_read = self.files_read.saturating_add(seen.files_read);
        if observed.is_ok() {
            self.out.insert(name.clone(), seen);
        }
        observed
    }

    /// Takes tables back that [`Logs::observe`] gave, for the next look. Of tables that are not given back nothing is kept.
    pub fn keep(&mut self, tables: impl IntoIterator<Item = Table>) {
        let mut out = std::mem::take(&mut self.out);
        self.tables = tables
            .into_iter()
            .filter_map(|table| {
                let Seen { mut entries, checkpoints, .. } = out.remove(&table.name)?;
                let stamped = |commit: Commit| Some((commit.version, (entries.remove(&commit.version)?, commit)));
                let entries = table.commits.into_iter().filter_map(stamped).collect();
                Some((table.name, Kept { entries, checkpoints }))
            })
            .collect();
    }

    /// How many files of Delta logs were read, over all looks.
    #[must_use]
    pub fn files_read(&self) -> u64 {
        self.files_read
    }
}
