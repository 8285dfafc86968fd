//! The commits of a table in order, with copies where the log has lost one.

use crate::books::Books;
use crate::books::copies::Copies;
use crate::lake::{Commit, Origin, Table};
use std::collections::BTreeMap;

/// One version: its entry in the log, its books from there or from `ops.commits`, or neither.
pub(super) struct Step<'a> {
    pub(super) version: u64,
    pub(super) timestamp_us: i64,
    /// The entry, if the log has it.
    pub(super) commit: Option<&'a Commit>,
    /// The books, if it is a commit of ours whose books are known.
    pub(super) books: Option<&'a Books>,
    /// Whether there was, or may have been, a commit of ours that nothing is known of: here, or right before.
    pub(super) unknown: bool,
}

impl Step<'_> {
    /// The books of an append.
    pub(super) fn append(&self) -> Option<&Books> {
        self.books.filter(|books| books.kind == "append")
    }
}

/// All versions, ascending. Versions below the first of the log are there as far as they were copied.
pub(super) fn steps<'a>(table: &'a Table, copies: &'a Copies) -> Vec<Step<'a>> {
    let name = table.name.to_string();
    let copied: BTreeMap<u64, Option<&Books>> = copies
        .range((name.clone(), 0)..=(name, table.version))
        .map(|((_, version), copied)| (*version, copied.books.as_ref()))
        .collect();
    let mut commits: BTreeMap<u64, &Commit> = BTreeMap::new();
    for commit in &table.commits {
        commits.entry(commit.version).or_insert(commit);
    }
    let mut versions: Vec<u64> = copied.keys().chain(commits.keys()).copied().collect();
    versions.sort_unstable();
    versions.dedup();
    let mut steps: Vec<Step<'a>> = Vec::with_capacity(versions.len());
    let mut next = 0;
    for version in versions {
        let (commit, copy) = (commits.get(&version).copied(), copied.get(&version).copied());
        let unreadable = commit.is_some_and(|commit| matches!(commit.origin, Origin::Unreadable(_)));
        let books = match commit.map(|commit| &commit.origin) {
            Some(Origin::Ours(books)) => Some(books.as_ref()),
            Some(Origin::Foreign(_)) => None,
            Some(Origin::Unreadable(_)) | None => copy.flatten(),
        };
        let timestamp_us = match commit {
            Some(commit) => commit.timestamp_us,
            None => books.map_or(0, |books| books.committed_at_us),
        };
        let unknown = version != next || (unreadable && books.is_none());
        steps.push(Step { version, timestamp_us, commit, books, unknown });
        next = version.saturating_add(1);
    }
    steps
}
