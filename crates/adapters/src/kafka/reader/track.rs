//! Where the thread stands in one partition, and what it has gathered there since the last hand-over.
//!
//! Contract: offsets are covered in order, without a jump: what librdkafka passes over is noted as a hole, what comes
//! twice is dropped.

use super::chunk::Chunk;
use super::failure::{Failure, Until};
use super::inbox::Update;
use watertight_core::record::Records;

/// A chunk is closed at this size, so that a fetch can take whole ones.
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// What is done with a partition's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// They are taken.
    Reading,
    /// They are from an earlier place: dropped until the new one is set.
    Placing,
    /// librdkafka lost its place, why is being looked into: dropped.
    Displaced,
    /// Nothing is read until a seek.
    Off,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Track {
    /// Partition number.
    pub(super) partition: i32,
    /// Which place it is, of all it was sent to.
    pub(super) version: u64,
    /// Offset after the last one covered.
    pub(super) next: i64,
    /// Epoch of the leader that wrote the record right before `next`, to be checked when it is placed; -1: nothing to
    /// check.
    pub(super) leader_epoch: i32,
    /// See there.
    pub(super) stage: Stage,
    expected_records: usize,
    expected_bytes: usize,
    open: Option<Chunk>,
    closed: Vec<Chunk>,
    /// The end was reached there, and nothing came since.
    at_end: Option<i64>,
    failure: Option<Failure>,
}

impl Track {
    /// A partition that is to be read from here on.
    pub(super) fn new(partition: i32, next: i64, leader_epoch: i32) -> Self {
        Self {
            partition,
            version: 0,
            next,
            leader_epoch,
            stage: Stage::Placing,
            expected_records: 0,
            expected_bytes: 0,
            open: None,
            closed: Vec::new(),
            at_end: None,
            failure: None,
        }
    }

    /// Goes elsewhere; what was gathered is dropped.
    pub(super) fn seek(&mut self, version: u64, offset: i64, leader_epoch: i32) {
        let partition = self.partition;
        *self = Self { version, ..Self::new(partition, offset, leader_epoch) };
    }

    /// A record of so many bytes is about to come.
    #[inline]
    pub(super) fn expect(&mut self, bytes: usize) {
        self.expected_records += 1;
        self.expected_bytes += bytes;
    }

    /// Whether a record at this offset is to be taken.
    #[inline]
    pub(super) fn wants(&self, offset: i64) -> bool {
        self.stage == Stage::Reading && offset >= self.next
    }

    /// Where a record at this offset, of this leader's epoch, goes; `None` where it is not wanted.
    #[inline]
    pub(super) fn accept(&mut self, offset: i64, leader_epoch: i32) -> Option<&mut Records> {
        if !self.wants(offset) {
            return None;
        }
        if self.open.as_ref().is_none_or(|chunk| chunk.records.byte_len() >= CHUNK_BYTES_MAX) {
            self.begin();
        }
        let chunk = self.open.as_mut()?;
        if offset > self.next {
            chunk.holes.push(self.next..offset);
        }
        (self.next, self.leader_epoch) = (offset + 1, leader_epoch);
        chunk.to = self.next;
        self.at_end = None;
        Some(&mut chunk.records)
    }

    /// The end of the partition was reached: up to there nothing more is to be read.
    pub(super) fn reach(&mut self, end: i64) {
        if self.stage != Stage::Reading {
            return;
        }
        if end > self.next {
            if self.open.is_none() {
                self.begin();
            }
            if let Some(chunk) = &mut self.open {
                chunk.holes.push(self.next..end);
                chunk.to = end;
            }
            // What has no record may be a marker that a later leader wrote.
            (self.next, self.leader_epoch) = (end, -1);
        }
        self.at_end = Some(end);
    }

    /// Something happened; where it holds until a seek, nothing more is read until then.
    pub(super) fn fail(&mut self, failure: Failure) {
        if failure.until == Until::Seek {
            self.stage = Stage::Off;
        }
        self.failure = Some(failure);
    }

    /// Whether chunks were gathered.
    pub(super) fn has_gathered(&self) -> bool {
        self.open.is_some() || !self.closed.is_empty()
    }

    /// What was gathered, for lane `lane`; `None` where that is nothing. `high_watermark` is what the last fetch saw.
    pub(super) fn hand_over(&mut self, lane: usize, high_watermark: Option<i64>) -> Option<Update> {
        self.expected_records = 0;
        self.expected_bytes = 0;
        self.closed.extend(self.open.take());
        let at_end = self.at_end.take();
        if self.closed.is_empty() && at_end.is_none() && self.failure.is_none() {
            return None;
        }
        // An open transaction at the tail may not be read yet: the end that was reached counts, not the watermark.
        let end = at_end.or(high_watermark).unwrap_or(self.next).max(self.next);
        let chunks = std::mem::take(&mut self.closed);
        Some(Update { lane, version: self.version, chunks, end, failure: self.failure.take() })
    }

    fn begin(&mut self) {
        if let Some(full) = self.open.take() {
            self.expected_records = self.expected_records.saturating_sub(full.records.len());
            self.expected_bytes = self.expected_bytes.saturating_sub(full.records.byte_len());
            self.closed.push(full);
        }
        // Where records are large, their number times the bound would be much more than will fit.
        let bytes = self.expected_bytes.min(CHUNK_BYTES_MAX + CHUNK_BYTES_MAX / 16);
        self.open = Some(Chunk::at(self.next, self.expected_records, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_core::port::ErrorKind;

    fn reading(next: i64) -> Track {
        Track { stage: Stage::Reading, ..Track::new(2, next, -1) }
    }

    fn push(track: &mut Track, offset: i64) -> bool {
        let Some(records) = track.accept(offset, 0) else { return false };
        records.push(offset, 0, 0, None, Some(b"x"), None);
        true
    }

    #[test]
    fn what_is_passed_over_is_a_hole_and_what_comes_twice_is_dropped() {
        let mut track = reading(5);
        let taken: Vec<bool> = [3, 5, 6, 6, 9, 8].map(|offset| push(&mut track, offset)).to_vec();
        assert_eq!(taken, [false, true, true, false, true, false]);
        track.reach(12);
        let update = track.hand_over(7, Some(20)).expect("something");
        assert_eq!((update.lane, update.end), (7, 12), "the end that was reached, not the watermark");
        assert_eq!(update.chunks.len(), 1);
        let chunk = &update.chunks[0];
        assert_eq!((chunk.from, chunk.to, chunk.records.len()), (5, 12, 3));
        assert_eq!(chunk.holes, [7..9, 10..12]);
        assert!(track.hand_over(7, Some(20)).is_none(), "once");
    }

    #[test]
    fn without_its_end_a_partition_ends_at_the_watermark() {
        let mut track = reading(0);
        assert!(push(&mut track, 0));
        assert_eq!(track.hand_over(0, Some(20)).expect("a record").end, 20);
        track.reach(1);
        let update = track.hand_over(0, Some(20)).expect("the end");
        assert_eq!((update.end, update.chunks.len()), (1, 0));
    }

    #[test]
    fn nothing_is_taken_before_a_new_place_is_set_and_nothing_of_the_old_one_stays() {
        let mut track = reading(0);
        assert!(push(&mut track, 0));
        track.seek(4, 100, -1);
        assert!(!push(&mut track, 100), "it may be of the old place");
        track.reach(200);
        assert!(track.hand_over(0, None).is_none());
        track.stage = Stage::Reading;
        assert!(push(&mut track, 100));
        let update = track.hand_over(0, None).expect("a record");
        assert_eq!((update.version, update.chunks[0].from, update.chunks[0].to), (4, 100, 101));
    }

    #[test]
    fn a_position_has_the_epoch_of_the_record_right_before_it_and_none_behind_a_hole() {
        let mut track = reading(5);
        let at = |track: &Track| (track.next, track.leader_epoch);
        assert!(track.accept(5, 3).is_some() && track.accept(5, 9).is_none());
        assert_eq!(at(&track), (6, 3), "what is dropped changes nothing");
        track.reach(6);
        assert_eq!(at(&track), (6, 3), "the end is right there");
        assert!(track.accept(8, 4).is_some());
        drop(track.hand_over(0, None));
        assert_eq!(at(&track), (9, 4));
        track.reach(10);
        assert_eq!(at(&track), (10, -1), "a marker may be of a later leader");
        track.seek(1, 6, 3);
        assert_eq!(at(&track), (6, 3));
    }

    #[test]
    fn large_records_close_chunks() {
        let mut track = reading(0);
        let large = vec![7; CHUNK_BYTES_MAX / 2 + 1];
        (0..5).for_each(|_| track.expect(large.len()));
        for offset in 0..5 {
            let records = track.accept(offset, 0).expect("wanted");
            records.push(offset, 0, 0, None, Some(&large), None);
        }
        let update = track.hand_over(0, None).expect("records");
        let stretches: Vec<(i64, i64)> = update.chunks.iter().map(|chunk| (chunk.from, chunk.to)).collect();
        assert_eq!(stretches, [(0, 2), (2, 4), (4, 5)]);
    }

    #[test]
    fn a_lasting_failure_switches_the_partition_off() {
        let mut track = reading(0);
        track.fail(Failure::new(ErrorKind::Retry, "for now", Until::Progress));
        assert!(push(&mut track, 0));
        track.fail(Failure::new(ErrorKind::Corrupt, "damaged", Until::Seek));
        assert!(!push(&mut track, 1), "nothing behind damage is taken");
        let update = track.hand_over(0, None).expect("both");
        assert_eq!((update.chunks.len(), update.failure.map(|failure| failure.kind)), (1, Some(ErrorKind::Corrupt)));
    }
}
