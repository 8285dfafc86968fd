//! A stream's three tables, side by side: what bronze has, and what became of it in silver and among the dead letters.
//!
//! A [`Stream`] is made once; [`super::conservation`] compares its rows, and keeps there what [`super::ledgers`] needs to
//! know of each record (its position and id), so that no record is decoded twice.

use crate::books::Books;
use crate::lake::{LiveFile, Table};
use crate::rows::TableFacts;
use crate::rows::facts::commit_of;
use crate::spill::Buckets;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::ledgers::Known;

/// A table with what its files were seen to hold.
pub type Observed<'a> = (&'a Table, &'a TableFacts);

/// The tables of one stream.
#[derive(Debug)]
pub struct Stream<'a> {
    /// Name of the stream.
    pub name: String,
    /// `bronze.<name>`.
    pub bronze: Observed<'a>,
    /// `silver.<name>`.
    pub silver: Observed<'a>,
    /// `bronze.<name>_dlq`.
    pub dead_letters: Observed<'a>,
    /// Books of silver's commits as `ops.commits` has them, by version: used where a commit's own cannot be read.
    pub copies: BTreeMap<u64, Books>,
    /// Versions of silver that are another program's, as `ops.commits` has them.
    pub foreign: BTreeSet<u64>,
    /// What conservation found out about records, for the ledgers; `None` where it did not run, or no ledger is given.
    known: Mutex<Option<Buckets<Known>>>,
}

impl<'a> Stream<'a> {
    /// The tables of the stream of this name, without copies of books.
    #[must_use]
    pub fn new(name: &str, bronze: Observed<'a>, silver: Observed<'a>, dead_letters: Observed<'a>) -> Self {
        let (copies, foreign, known) = (BTreeMap::new(), BTreeSet::new(), Mutex::new(None));
        Self { name: name.to_owned(), bronze, silver, dead_letters, copies, foreign, known }
    }

    /// With the books of silver's commits that were copied to `ops.commits`.
    #[must_use]
    pub fn with_copies(mut self, copies: BTreeMap<u64, Books>) -> Self {
        self.copies = copies;
        self
    }

    /// With the versions of silver that were copied to `ops.commits` as another program's.
    #[must_use]
    pub fn with_foreign(mut self, foreign: BTreeSet<u64>) -> Self {
        self.foreign = foreign;
        self
    }

    /// Keeps what is known of records for the ledgers.
    pub(super) fn keep(&self, known: Buckets<Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    /// Takes what was kept.
    pub(super) fn take_known(&self) -> Option<Buckets<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Offsets of a partition that a live file holds but could not be read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blind {
    /// The file.
    pub(super) path: String,
    /// It is not there: what it held is gone. Otherwise it is there and damaged: what it holds is not known.
    pub(super) missing: bool,
    /// Incarnation, partition, first offset, offset after the last; `None` where not even that is known.
    pub(super) ranges: Option<Vec<(String, i32, i64, i64)>>,
}

impl Blind {
    /// Whether it may hold a position.
    pub(super) fn may_hold(&self, incarnation: &str, partition: i32, offset: i64) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        ranges
            .iter()
            .any(|(of, number, from, to)| of == incarnation && *number == partition && (*from..*to).contains(&offset))
    }
}

/// The live files of a table that have no facts: they could not be read when the facts were gathered.
pub(super) fn blind_files((table, facts): Observed<'_>) -> Vec<Blind> {
    let mut blind = Vec::new();
    for (path, file) in &table.live {
        if facts.contains_key(path) {
            continue;
        }
        let missing = !table.folder.join(path).exists();
        blind.push(Blind { path: path.clone(), missing, ranges: ranges_of(table, file) });
    }
    blind
}

/// What the books of the commit that added a file say of where its rows are from. (A file that is known from a checkpoint
/// only has the checkpoint's version, whose commit did not add it.)
pub(super) fn ranges_of(table: &Table, file: &LiveFile) -> Option<Vec<(String, i32, i64, i64)>> {
    let commit = commit_of(table, file.version)?;
    if !commit.adds.iter().any(|add| add.path == file.add.path) {
        return None;
    }
    let books = commit.books().filter(|books| books.kind == "append")?;
    let range = |entry: &crate::books::Entry| (books.incarnation.clone(), entry.partition, entry.from, entry.to);
    Some(books.entries.iter().map(range).collect())
}
