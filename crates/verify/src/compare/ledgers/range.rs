//! Where a table begins and ends in a partition: what lies outside is not judged by it.

use crate::lake::{PositionKey, Table};

/// A table's position: the next offset.
pub(super) fn next_offset(table: &Table, incarnation: &str, partition: i32) -> i64 {
    let of = |(key, next): (&String, &i64)| {
        let key = PositionKey::parse(key)?;
        (key.incarnation == incarnation && key.partition == partition).then_some(*next)
    };
    table.txns.iter().find_map(of).unwrap_or(0)
}

/// The first offset of a partition that bronze was to read (docs/adr/0017); 0 where its log does not go back to there.
pub(super) fn first_offset(table: &Table, incarnation: &str, partition: i32) -> i64 {
    if table.commits.first().is_none_or(|first| first.version > 0) {
        return 0;
    }
    let appends = table.commits.iter().filter(|commit| commit.is_append()).filter_map(|commit| commit.books());
    let entries = appends.filter(|books| books.incarnation == incarnation).flat_map(|books| &books.entries);
    entries.filter(|entry| entry.partition == partition).map(|entry| entry.from).min().unwrap_or(0)
}
