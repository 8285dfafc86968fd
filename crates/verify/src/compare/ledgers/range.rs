//! Where a table begins and ends in a partition: what lies outside is not judged by it.

use crate::books::Books;
use crate::books::copies::{CopiedBooks, Copies};
use crate::compare::stream::Observed;
use crate::lake::{Origin, PositionKey, Table};
use crate::rows::TableFacts;
use std::collections::BTreeMap;

/// A table's position: the next offset.
pub(super) fn next_offset(table: &Table, incarnation: &str, partition: i32) -> i64 {
    let of = |(key, next): (&String, &i64)| {
        let key = PositionKey::parse(key)?;
        (key.incarnation == incarnation && key.partition == partition).then_some(*next)
    };
    table.txns.iter().find_map(of).unwrap_or(0)
}

/// Where bronze begins in a partition (docs/adr/0017).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Here: what lies below was not asked for.
    At(i64),
    /// Here or lower: whether something below was asked for is not known.
    By(i64),
}

/// What is known of a version.
enum Said<'a> {
    Books(&'a Books),
    /// It is of another program, and covers no offsets.
    NoBooks,
    Nothing,
}

impl<'a> Said<'a> {
    fn by_copy(copied: &'a CopiedBooks) -> Self {
        match &copied.books {
            Some(books) => Self::Books(books),
            None if copied.kind == "foreign" => Self::NoBooks,
            None => Self::Nothing,
        }
    }
}

/// The oldest commit that is known of a partition.
#[derive(Debug, Clone, Copy)]
struct Oldest {
    from: i64,
    /// Whether every version below is known: it is the first.
    is_first: bool,
}

/// Where bronze begins, by the books in its log and those in `ops.commits`, which go back further where the log was
/// cleaned up. Where neither goes back to version 0, the oldest books and rows there are say where at the latest.
pub(super) struct Beginnings<'a> {
    facts: &'a TableFacts,
    oldest: BTreeMap<(&'a str, i32), Oldest>,
    /// Whether every version is known.
    whole: bool,
}

impl<'a> Beginnings<'a> {
    /// Of a table of bronze.
    pub(super) fn of((bronze, facts): Observed<'a>, copies: &'a Copies) -> Self {
        let name = bronze.name.to_string();
        let copied = copies.range((name.clone(), 0)..=(name, bronze.version));
        let mut versions: BTreeMap<u64, Said<'a>> =
            copied.map(|((_, version), copied)| (*version, Said::by_copy(copied))).collect();
        for commit in &bronze.commits {
            let said = match &commit.origin {
                Origin::Ours(books) => Said::Books(books),
                Origin::Foreign(_) => Said::NoBooks,
                Origin::Unreadable(_) if versions.contains_key(&commit.version) => continue,
                Origin::Unreadable(_) => Said::Nothing,
            };
            versions.insert(commit.version, said);
        }
        let mut oldest: BTreeMap<(&'a str, i32), Oldest> = BTreeMap::new();
        let (mut whole, mut next) = (true, 0_u64);
        for (version, said) in versions {
            whole &= version == next && !matches!(said, Said::Nothing);
            next = version.saturating_add(1);
            let Said::Books(books) = said else { continue };
            for entry in books.entries.iter().filter(|_| books.kind == "append") {
                let first = Oldest { from: entry.from, is_first: whole };
                let known = oldest.entry((books.incarnation.as_str(), entry.partition)).or_insert(first);
                known.from = known.from.min(entry.from);
            }
        }
        Self { facts, oldest, whole: whole && next > bronze.version }
    }

    /// Where it begins in a partition of which the next offset is this.
    pub(super) fn start(&self, incarnation: &str, partition: i32, next: i64) -> Start {
        let oldest = self.oldest.get(&(incarnation, partition)).copied();
        match oldest {
            Some(Oldest { from, is_first: true }) => return Start::At(from),
            None if self.whole => return Start::At(0),
            _ => {}
        }
        let key = (incarnation.to_owned(), partition);
        let rows = self.facts.values().filter_map(|file| file.held.get(&key)).map(|held| held.first).min();
        let by_books = oldest.map_or(next, |oldest| oldest.from);
        Start::By(rows.map_or(by_books, |first| first.min(by_books)))
    }
}
