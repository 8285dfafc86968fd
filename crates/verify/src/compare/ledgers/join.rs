//! Ledgers, bronze, silver and dead letters side by side: first by position, then by id. Pure.
//!
//! Ids are compared in the form that ledgers keep: control characters as U+FFFD ([`ledger_id`]).

use crate::spill::{Fields, Record};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// A line of a ledger.
pub(super) const LINE: u8 = 0;
/// A row of bronze.
pub(super) const BRONZE: u8 = 1;
/// A valid record and its id.
pub(super) const VALID: u8 = 2;
/// A valid record whose id is a hash, which no ledger knows.
pub(super) const HASHED: u8 = 3;
/// A record that is a dead letter.
pub(super) const DEAD: u8 = 4;

/// Something known of a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::compare) struct Known {
    /// xxh3-64 of the incarnation.
    pub(super) incarnation: u64,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) kind: u8,
    /// Of a line: the ledger's number.
    pub(super) ledger: u16,
    /// Of a line, or a valid record: xxh3-128 of the id as ledgers keep it.
    pub(super) id: u128,
}

impl Known {
    /// A record that was judged: its id (`None`: unknown, or one that no ledger can know), and whether it is dead.
    pub(in crate::compare) fn new(
        incarnation: &str,
        partition: i32,
        offset: i64,
        id: Option<&str>,
        dead: bool,
    ) -> Self {
        let kind = match (dead, id) {
            (true, _) => DEAD,
            (false, Some(_)) => VALID,
            (false, None) => HASHED,
        };
        Self::of(incarnation_key(incarnation), (partition, offset), kind, 0, id.map_or(0, ledger_id))
    }

    pub(super) fn of(incarnation: u64, (partition, offset): (i32, i64), kind: u8, ledger: u16, id: u128) -> Self {
        Self { incarnation, partition, offset, kind, ledger, id }
    }

    pub(super) fn position(&self) -> (u64, i32, i64) {
        (self.incarnation, self.partition, self.offset)
    }
}

/// How an incarnation is told apart.
pub(super) fn incarnation_key(incarnation: &str) -> u64 {
    xxh3_64(incarnation.as_bytes())
}

/// xxh3-128 of an id in the form that ledgers keep.
pub(super) fn ledger_id(id: &str) -> u128 {
    // C0 and DEL are single bytes; C1 begins with 0xC2, and so do others: only then is it looked at closely.
    let may = |byte: &u8| *byte < 0x20 || *byte == 0x7f || *byte == 0xc2;
    if !id.as_bytes().iter().any(may) {
        return xxh3_128(id.as_bytes());
    }
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    xxh3_128(id.chars().map(plain).collect::<String>().as_bytes())
}

impl Record for Known {
    const BYTES: usize = 39;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.push(self.kind);
        out.extend_from_slice(&self.ledger.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let mut reader = Fields::of(bytes);
        Self {
            incarnation: u64::from_le_bytes(reader.take()),
            partition: i32::from_le_bytes(reader.take()),
            offset: i64::from_le_bytes(reader.take()),
            kind: u8::from_le_bytes(reader.take()),
            ledger: u16::from_le_bytes(reader.take()),
            id: u128::from_le_bytes(reader.take()),
        }
    }

    fn spread(&self) -> u64 {
        let mut key = [0_u8; 20];
        key[..8].copy_from_slice(&self.incarnation.to_le_bytes());
        key[8..12].copy_from_slice(&self.partition.to_le_bytes());
        key[12..].copy_from_slice(&self.offset.to_le_bytes());
        xxh3_64(&key)
    }

    fn condense(records: &mut Vec<Self>) {
        records.sort_unstable();
        records.dedup();
    }
}

/// What is to be said of one position, whose records these are, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtPosition {
    /// Ledgers name it, and bronze has it: the ids of its lines must be found, unless `dead`.
    Kept {
        /// The record is a dead letter: its id need not be in silver.
        dead: bool,
        /// It is known whether the record is one.
        judged: bool,
        /// The record's id is a hash.
        hashed: bool,
        /// A line has another id than the record, or than another line: its ledger.
        other_id: Option<u16>,
    },
    /// A ledger (its number) names it, and bronze lacks it.
    Missing(u16),
    /// Bronze has it, and no ledger names it.
    Unledgered,
    /// Neither.
    Nothing,
}

/// Judges one position.
pub(super) fn at_position(group: &[Known]) -> AtPosition {
    let of = |kind: u8| group.iter().find(|known| known.kind == kind);
    let (in_bronze, dead, hashed) = (of(BRONZE).is_some(), of(DEAD).is_some(), of(HASHED).is_some());
    match of(LINE) {
        Some(line) if !in_bronze => AtPosition::Missing(line.ledger),
        Some(first) => {
            // Where the record's own id is not known, lines still have to agree: a position has one record.
            let id = of(VALID).unwrap_or(first).id;
            let lines = group.iter().filter(|known| known.kind == LINE);
            let other_id = lines.filter(|line| line.id != id).map(|line| line.ledger).next();
            let judged = dead || hashed || of(VALID).is_some();
            AtPosition::Kept { dead, judged, hashed, other_id }
        }
        None if in_bronze => AtPosition::Unledgered,
        None => AtPosition::Nothing,
    }
}

/// An id that must be in silver.
pub(super) const DUE: u8 = 0;
/// An id that a ledger has, and that need not be in silver.
pub(super) const NAMED: u8 = 1;
/// An id of silver.
pub(super) const SILVER: u8 = 2;
/// An id that a ledger has at a position above bronze's; silver, which is looked at later, may have come so far.
pub(super) const AHEAD: u8 = 3;

/// An id at a position; equal in shape to [`Known`], spread by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    pub(super) id: u128,
    pub(super) kind: u8,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) ledger: u16,
}

impl Named {
    fn place(&self) -> (i32, i64) {
        (self.partition, self.offset)
    }
}

impl Record for Named {
    const BYTES: usize = 31;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.push(self.kind);
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.ledger.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        let mut reader = Fields::of(bytes);
        Self {
            id: u128::from_le_bytes(reader.take()),
            kind: u8::from_le_bytes(reader.take()),
            partition: i32::from_le_bytes(reader.take()),
            offset: i64::from_le_bytes(reader.take()),
            ledger: u16::from_le_bytes(reader.take()),
        }
    }

    fn spread(&self) -> u64 {
        (self.id >> 64) as u64
    }

    /// The first of each id and kind is all that is asked for; of those ahead each position.
    fn condense(records: &mut Vec<Self>) {
        records.sort_unstable();
        records.dedup_by_key(|named| {
            (named.id, named.kind, (named.kind == AHEAD).then_some((named.partition, named.offset)))
        });
    }
}

/// What is to be said of one id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfId {
    /// It must be in silver, and is not: the line that says so.
    Missing(Named),
    /// Silver has it, no ledger: the row.
    Extra(Named),
    /// Nothing.
    Fine,
}

/// Judges the records of one id, in order.
pub(super) fn of_id(group: &[Named]) -> OfId {
    let of = |kind: u8| group.iter().find(|named| named.kind == kind);
    match (of(DUE), of(NAMED), of(SILVER)) {
        (Some(due), _, None) => OfId::Missing(*due),
        (None, None, Some(row)) => {
            let is_it = |named: &Named| named.kind == AHEAD && named.place() == row.place();
            if group.iter().any(is_it) { OfId::Fine } else { OfId::Extra(*row) }
        }
        _ => OfId::Fine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(kind: u8, ledger: u16, id: u128) -> Known {
        Known::of(1, (0, 5), kind, ledger, id)
    }

    #[test]
    fn a_position_is_kept_missing_or_in_no_ledger() {
        let (line, bronze) = (known(LINE, 3, 7), known(BRONZE, 0, 0));
        let kept = |dead, hashed, other_id| AtPosition::Kept { dead, judged: true, hashed, other_id };
        let not_judged = |other_id| AtPosition::Kept { dead: false, judged: false, hashed: false, other_id };
        assert_eq!(at_position(&[line, bronze, known(VALID, 0, 7)]), kept(false, false, None));
        assert_eq!(at_position(&[line, bronze, known(VALID, 0, 8)]), kept(false, false, Some(3)));
        assert_eq!(at_position(&[line, bronze, known(DEAD, 0, 0)]), kept(true, false, None));
        assert_eq!(at_position(&[line, bronze, known(HASHED, 0, 0)]), kept(false, true, None));
        assert_eq!(at_position(&[line, bronze]), not_judged(None));
        let another = known(LINE, 4, 8);
        assert_eq!(at_position(&[line, another, bronze, known(DEAD, 0, 0)]), kept(true, false, Some(4)));
        assert_eq!(at_position(&[line, another, bronze]), not_judged(Some(4)));
        assert_eq!(at_position(&[line, another, bronze, known(VALID, 0, 8)]), kept(false, false, Some(3)));
        assert_eq!(at_position(&[line, known(LINE, 4, 7), bronze, known(DEAD, 0, 0)]), kept(true, false, None));
        assert_eq!(at_position(&[line]), AtPosition::Missing(3));
        assert_eq!(at_position(&[bronze, known(VALID, 0, 7)]), AtPosition::Unledgered);
        assert_eq!(at_position(&[known(VALID, 0, 7)]), AtPosition::Nothing);
    }

    #[test]
    fn an_id_is_missing_or_extra_or_fine_however_often_it_was_sent() {
        let named = |kind, offset| Named { id: 9, kind, partition: 0, offset, ledger: 1 };
        assert_eq!(of_id(&[named(DUE, 1), named(DUE, 2)]), OfId::Missing(named(DUE, 1)));
        assert_eq!(of_id(&[named(SILVER, 4)]), OfId::Extra(named(SILVER, 4)));
        assert_eq!(of_id(&[named(DUE, 1), named(DUE, 2), named(SILVER, 1)]), OfId::Fine);
        assert_eq!(of_id(&[named(NAMED, 1), named(SILVER, 4)]), OfId::Fine);
        assert_eq!(of_id(&[named(NAMED, 1)]), OfId::Fine);
        assert_eq!(
            of_id(&[named(SILVER, 4), named(AHEAD, 3), named(AHEAD, 4)]),
            OfId::Fine,
            "silver was looked at later"
        );
        assert_eq!(
            of_id(&[named(SILVER, 4), named(AHEAD, 5)]),
            OfId::Extra(named(SILVER, 4)),
            "the line is of another"
        );
        assert_eq!(of_id(&[named(AHEAD, 5)]), OfId::Fine);
    }

    #[test]
    fn positions_that_are_ahead_are_all_kept_when_there_are_too_many_for_memory() {
        let named = |kind, offset| Named { id: 9, kind, partition: 0, offset, ledger: 1 };
        let mut all = vec![named(AHEAD, 4), named(SILVER, 4), named(AHEAD, 3), named(NAMED, 2), named(NAMED, 1)];
        Named::condense(&mut all);
        assert_eq!(all, [named(NAMED, 1), named(SILVER, 4), named(AHEAD, 3), named(AHEAD, 4)]);
    }

    #[test]
    fn an_id_with_control_characters_is_compared_as_ledgers_keep_it() {
        assert_eq!(ledger_id("a\tb\u{85}"), ledger_id("a\u{fffd}b\u{fffd}"));
        assert_eq!(ledger_id("é£"), xxh3_128("é£".as_bytes()));
        assert_ne!(ledger_id("a"), ledger_id("b"));
    }

    #[test]
    fn records_read_back_as_they_were_written() {
        let one = Known::of(u64::MAX, (-1, i64::MIN), DEAD, 900, u128::MAX - 1);
        let two = Named { id: 1 << 100, kind: SILVER, partition: -7, offset: i64::MAX, ledger: 65_000 };
        let mut bytes = Vec::new();
        one.write(&mut bytes);
        assert_eq!((bytes.len(), Known::read(&bytes)), (Known::BYTES, one));
        bytes.clear();
        two.write(&mut bytes);
        assert_eq!((bytes.len(), Named::read(&bytes)), (Named::BYTES, two));
    }
}
