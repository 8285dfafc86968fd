//! Ids: each stands in silver once, on the first valid record that has it, and no valid record is without.
//!
//! Contract: for each valid record (by the judge) and each row of silver (by the id that it bears) one [`IdRecord`] goes
//! into [`crate::spill::Buckets`]; grouped by id they are judged by [`judge`], which is pure. Ids are told apart by
//! xxh3-128 of their text.
//!
//! "First" is what docs say: the lowest offset within a partition, and across partitions the first committed. Within one
//! commit the order between partitions is not recorded; there either may be the row.

use crate::spill::Record;
use xxhash_rust::xxh3::xxh3_128;

/// The record is valid.
pub(super) const VALID: u8 = 1;
/// A row of silver stands there, under this id.
pub(super) const SILVER: u8 = 2;
/// Valid, and a row stands there under another id: already told.
pub(super) const TOLD: u8 = 4;
/// Valid, and what silver holds at its position could not be read.
pub(super) const UNSEEN: u8 = 8;
/// A row bears the id at a place that commits of several lives cover, not all of which were judged: it may be the row.
pub(super) const ELSEWHERE: u8 = 16;
/// The commit of rows that no commit covers.
pub(super) const NO_COMMIT: u32 = u32::MAX;
/// Rows of silver that are kept of one id and partition when a group is too large for memory.
const ROWS_KEPT: usize = 8;
/// Positions that a finding names.
const NAMED_MAX: usize = 5;

/// An id at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IdRecord {
    /// xxh3-128 of the id.
    pub(super) id: u128,
    /// Number of silver's commit, in order.
    pub(super) commit: u32,
    /// Partition.
    pub(super) partition: i32,
    /// Offset.
    pub(super) offset: i64,
    /// [`VALID`], [`SILVER`], …
    pub(super) flags: u8,
}

impl IdRecord {
    /// Of an id's text.
    pub(super) fn new(id: &[u8], commit: u32, partition: i32, offset: i64, flags: u8) -> Self {
        Self { id: xxh3_128(id), commit, partition, offset, flags }
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn position(&self) -> Position {
        Position { commit: self.commit, partition: self.partition, offset: self.offset }
    }
}

impl Record for IdRecord {
    const BYTES: usize = 33;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.commit.to_le_bytes());
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.push(self.flags);
    }

    fn read(bytes: &[u8]) -> Self {
        let mut reader = crate::spill::Fields::of(bytes);
        Self {
            id: u128::from_le_bytes(reader.take()),
            offset: i64::from_le_bytes(reader.take()),
            commit: u32::from_le_bytes(reader.take()),
            partition: i32::from_le_bytes(reader.take()),
            flags: u8::from_le_bytes(reader.take()),
        }
    }

    fn spread(&self) -> u64 {
        (self.id >> 64) as u64
    }

    /// Of each id and partition: the first valid record, the first that is told, the first that is unseen and the first
    /// that may be elsewhere, and some rows. That is all that [`judge`] asks for.
    fn condense(records: &mut Vec<Self>) {
        records.sort_unstable_by_key(|r| (r.id, r.partition, r.commit, r.offset, r.flags));
        let mut group = None;
        let (mut rows, mut seen) = (0, 0_u8);
        records.retain(|record| {
            if group != Some((record.id, record.partition)) {
                group = Some((record.id, record.partition));
                (rows, seen) = (0, 0);
            }
            let brings = record.flags & (VALID | TOLD | UNSEEN | ELSEWHERE) & !seen != 0;
            let is_row = record.has(SILVER);
            let keep = brings || (is_row && rows < ROWS_KEPT);
            seen |= record.flags & (VALID | TOLD | UNSEEN | ELSEWHERE);
            rows += usize::from(is_row);
            keep
        });
    }
}

/// A position, and the number of silver's commit that covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// Number of silver's commit.
    pub(super) commit: u32,
    /// Partition.
    pub(super) partition: i32,
    /// Offset.
    pub(super) offset: i64,
}

/// What is wrong with an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It stands in silver more than once: the first of the rows, and their number.
    Doubled(Vec<Position>, usize),
    /// It is valid and has no row: its first record.
    Lost(Position),
    /// It has none, but silver could not be read where it may be.
    Unseen(Position),
    /// Its row is not its first valid record.
    NotFirst {
        /// The row.
        kept: Position,
        /// The record that came before.
        first: Position,
    },
}

/// Judges the records of one id, in order.
pub(super) fn judge(group: &[IdRecord], faults: &mut Vec<Fault>) {
    let rows = || group.iter().filter(|record| record.has(SILVER));
    let valid = || group.iter().filter(|record| record.has(VALID));
    let Some(kept) = rows().next() else {
        let Some(first) = valid().next() else { return };
        if valid().any(|record| record.has(TOLD)) || group.iter().any(|record| record.has(ELSEWHERE)) {
            return;
        }
        faults.push(match valid().any(|record| record.has(UNSEEN)) {
            true => Fault::Unseen(first.position()),
            false => Fault::Lost(first.position()),
        });
        return;
    };
    let count = rows().count();
    if count > 1 {
        faults.push(Fault::Doubled(rows().take(NAMED_MAX).map(IdRecord::position).collect(), count));
    }
    if kept.commit == NO_COMMIT {
        return;
    }
    let before = |record: &&IdRecord| {
        record.commit < kept.commit
            || (record.commit == kept.commit && record.partition == kept.partition && record.offset < kept.offset)
    };
    if let Some(first) = valid().find(before) {
        faults.push(Fault::NotFirst { kept: kept.position(), first: first.position() });
    }
}

/// Judges records of many ids; returns how many ids there were.
pub(super) fn judge_all(records: &mut [IdRecord], faults: &mut Vec<Fault>) -> u64 {
    records.sort_unstable();
    let mut ids = 0;
    for group in records.chunk_by(|one, other| one.id == other.id) {
        ids += 1;
        judge(group, faults);
    }
    ids
}

#[cfg(test)]
mod tests;
