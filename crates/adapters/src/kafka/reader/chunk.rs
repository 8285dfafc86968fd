//! A stretch of one partition as it waits to be fetched: records, gaps, and holes that are still to be explained.
//!
//! Contract: records, gaps and holes cover `from..to` exactly. A chunk is given out whole, without a copy, where it
//! fits; only where a fetch is smaller than that, its front is copied out.

use std::ops::Range;
use watertight_core::port::Gap;
use watertight_core::record::{RecordMeta, Records};

/// Small chunks that nobody has fetched yet are put together up to this many records.
const JOINED_RECORDS_MAX: usize = 1_024;
/// And this many bytes, as that copies them.
const JOINED_BYTES_MAX: usize = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// First offset that was not given out.
    pub(super) from: i64,
    /// Offset after the last one covered.
    pub(super) to: i64,
    /// The records; those below `row` were given out.
    pub(super) records: Records,
    /// Offsets without a record, explained, in order.
    pub(super) gaps: Vec<Gap>,
    /// Offsets without a record, not explained yet, in order.
    pub(super) holes: Vec<Range<i64>>,
    row: usize,
    /// Bytes that were given out.
    taken: usize,
}

/// The front of a chunk.
#[derive(Debug)]
pub(super) struct Piece {
    /// First offset.
    pub(super) from: i64,
    /// Offset after the last.
    pub(super) to: i64,
    /// Its records.
    pub(super) records: Records,
    /// Its gaps.
    pub(super) gaps: Vec<Gap>,
    /// What it counts for.
    pub(super) bytes: usize,
}

impl Piece {
    /// Epoch of the leader that wrote the record right before its end; -1 where there is none, as what has no record
    /// may be a marker of a later leader's.
    pub(super) fn leader_epoch(&self) -> i32 {
        let last = self.records.metas().last().filter(|last| last.offset + 1 == self.to);
        last.map_or(-1, |last| last.leader_epoch)
    }
}

impl Chunk {
    /// An empty one that begins here, with room for so much.
    pub(super) fn at(from: i64, records: usize, bytes: usize) -> Self {
        Self { from, to: from, records: Records::with_capacity(records, bytes), ..Self::default() }
    }

    /// What is left of it counts for so many bytes.
    pub(super) fn bytes(&self) -> usize {
        let all = self.records.byte_len() + self.records.len() * size_of::<RecordMeta>();
        all.saturating_sub(self.taken)
    }

    /// Whether every offset is explained.
    pub(super) fn is_explained(&self) -> bool {
        self.holes.is_empty()
    }

    /// Whether everything was given out.
    pub(super) fn is_empty(&self) -> bool {
        self.from >= self.to
    }

    /// Gives out the front: everything where it fits into `budget` bytes, else about that much, but at least a record.
    pub(super) fn take(&mut self, budget: usize) -> Piece {
        if self.row == 0 && self.bytes() <= budget {
            let (from, bytes) = (self.from, self.bytes());
            self.from = self.to;
            let (records, gaps) = (std::mem::take(&mut self.records), std::mem::take(&mut self.gaps));
            return Piece { from, to: self.to, records, gaps, bytes };
        }
        let mut piece = Piece { from: self.from, to: self.to, records: Records::default(), gaps: Vec::new(), bytes: 0 };
        let metas = self.records.metas();
        while self.row < metas.len() && (piece.bytes < budget || piece.records.is_empty()) {
            let meta = metas[self.row];
            let (key, value) = (self.records.key(self.row), self.records.value(self.row));
            let headers = Some(self.records.headers(self.row)).filter(|headers| !headers.is_empty());
            piece.records.push(meta.offset, meta.timestamp_ms, meta.leader_epoch, key, value, headers);
            piece.bytes += [key, value, headers].iter().flatten().map(|bytes| bytes.len()).sum::<usize>();
            piece.bytes += size_of::<RecordMeta>();
            self.row += 1;
        }
        if self.row < metas.len() {
            piece.to = metas[self.row - 1].offset + 1;
        }
        let below = self.gaps.partition_point(|gap| gap.from < piece.to);
        piece.gaps = self.gaps.drain(..below).collect();
        self.taken += piece.bytes;
        self.from = piece.to;
        piece
    }

    /// Whether the next one may be put to this one's end.
    pub(super) fn can_join(&self, next: &Self) -> bool {
        self.row == 0
            && self.to == next.from
            && self.is_explained()
            && next.is_explained()
            && self.records.len() + next.records.len() <= JOINED_RECORDS_MAX
            && self.records.byte_len() + next.records.byte_len() <= JOINED_BYTES_MAX
    }

    /// Puts it there.
    pub(super) fn join(&mut self, next: Self) {
        self.records.append(&next.records);
        self.gaps.extend(next.gaps);
        self.to = next.to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_core::port::GapCause;

    /// Records at these offsets, of ten bytes each, that cover `from..to` together with the gaps between them.
    fn chunk(from: i64, to: i64, offsets: &[i64]) -> Chunk {
        let mut chunk = Chunk::at(from, 0, 0);
        let mut next = from;
        let gap = |from, to| Gap { from, to, cause: GapCause::NoRecord };
        for offset in offsets {
            if next < *offset {
                chunk.gaps.push(gap(next, *offset));
            }
            chunk.records.push(*offset, offset * 10, 3, Some(b"key"), Some(b"payload"), None);
            next = offset + 1;
        }
        if next < to {
            chunk.gaps.push(gap(next, to));
        }
        chunk.to = to;
        chunk
    }

    fn covered(piece: &Piece) -> Vec<i64> {
        let records = piece.records.metas().iter().map(|meta| meta.offset);
        let mut all: Vec<i64> = records.chain(piece.gaps.iter().flat_map(|gap| gap.from..gap.to)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn what_fits_is_given_out_whole() {
        let mut whole = chunk(5, 12, &[6, 7, 9]);
        let bytes = whole.bytes();
        assert_eq!(bytes, 3 * (10 + size_of::<RecordMeta>()));
        let piece = whole.take(bytes);
        assert_eq!((piece.from, piece.to, piece.bytes), (5, 12, bytes));
        assert_eq!(covered(&piece), (5..12).collect::<Vec<_>>());
        assert!(whole.is_empty());
    }

    #[test]
    fn pieces_join_and_cover_each_offset_once() {
        for budget in [1, 100, 150] {
            let mut left = chunk(5, 20, &[6, 7, 9, 10, 15]);
            let (mut next, mut records) = (5, 0);
            while !left.is_empty() {
                let piece = left.take(budget);
                assert_eq!(piece.from, next, "budget {budget}");
                assert_eq!(covered(&piece), (piece.from..piece.to).collect::<Vec<_>>(), "budget {budget}");
                assert!(budget > 1 || piece.records.len() == 1, "no more than asked for, but one record");
                assert_eq!(piece.records.value(0), Some(&b"payload"[..]));
                records += piece.records.len();
                next = piece.to;
            }
            assert_eq!((next, records), (20, 5));
        }
    }

    #[test]
    fn a_chunk_of_gaps_only_is_given_out() {
        let mut gaps = chunk(5, 8, &[]);
        let piece = gaps.take(1);
        assert_eq!((piece.from, piece.to, piece.gaps.len()), (5, 8, 1));
        assert!(gaps.is_empty());
    }

    #[test]
    fn neighbours_are_joined_unless_one_is_not_explained_or_begun() {
        let mut first = chunk(0, 3, &[0, 2]);
        let second = chunk(3, 5, &[3, 4]);
        assert!(first.can_join(&second));
        assert!(!second.can_join(&first), "they must meet");
        let mut open = chunk(3, 5, &[4]);
        open.holes.clear();
        open.holes.push(3..4);
        assert!(!first.can_join(&open));
        first.join(second);
        assert_eq!((first.to, first.records.len()), (5, 4));
        drop(first.take(1));
        assert!(!first.can_join(&chunk(5, 6, &[5])));
    }
}
