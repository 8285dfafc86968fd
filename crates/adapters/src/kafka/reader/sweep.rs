//! Bookkeeping of a second read: which offsets of a partition's holes show a record after all.
//!
//! Contract: pure. A hole is done when the second read has passed it: by a record behind it, or by the partition's end.

use std::ops::Range;
use watertight_core::port::{Gap, GapCause};

/// A pass over one partition's holes.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// Partition number.
    pub(super) partition: i32,
    holes: Vec<Range<i64>>,
    /// The hole that the position is in or before.
    at: usize,
    position: i64,
    inside: Vec<Range<i64>>,
    /// Below this offset the log keeps nothing any more.
    removed: i64,
}

impl Sweep {
    /// Over these holes, in order and apart from one another.
    pub(super) fn new(partition: i32, holes: Vec<Range<i64>>) -> Self {
        let position = holes.first().map_or(0, |hole| hole.start);
        Self { partition, holes, at: 0, position, inside: Vec::new(), removed: 0 }
    }

    /// Where reading begins, or goes on.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Whether all holes were passed.
    pub(super) fn is_done(&self) -> bool {
        self.holes.last().is_none_or(|hole| self.position >= hole.end)
    }

    /// A record was shown.
    pub(super) fn see(&mut self, offset: i64) {
        if offset < self.position {
            return;
        }
        self.position = offset + 1;
        while self.holes.get(self.at).is_some_and(|hole| hole.end <= offset) {
            self.at += 1;
        }
        if self.holes.get(self.at).is_some_and(|hole| hole.contains(&offset)) {
            match self.inside.last_mut() {
                Some(last) if last.end == offset => last.end += 1,
                _ => self.inside.push(offset..offset + 1),
            }
        }
    }

    /// There is nothing more below this offset.
    pub(super) fn reach(&mut self, end: i64) {
        self.position = self.position.max(end);
    }

    /// The log has lost what lies below this offset, since the first read.
    pub(super) fn removed_below(&mut self, earliest: i64) {
        self.removed = self.removed.max(earliest);
        self.reach(earliest);
    }

    /// Offsets inside holes that showed a record.
    pub(super) fn inside(&self) -> &[Range<i64>] {
        &self.inside
    }

    /// The holes as gaps. What was removed before it could be read a second time is lost as far as anybody knows.
    pub(super) fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for hole in &self.holes {
            let cut = self.removed.clamp(hole.start, hole.end);
            let parts = [(hole.start, cut, GapCause::Retention), (cut, hole.end, GapCause::NoRecord)];
            let parts = parts.into_iter().filter(|(from, to, _)| from < to);
            gaps.extend(parts.map(|(from, to, cause)| Gap { from, to, cause }));
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: i64, to: i64, cause: GapCause) -> Gap {
        Gap { from, to, cause }
    }

    #[test]
    fn one_pass_goes_over_all_holes_and_ends_behind_the_last() {
        let mut sweep = Sweep::new(1, vec![5..7, 9..10, 20..25]);
        assert_eq!(sweep.position(), 5);
        for offset in [7, 8, 10, 11, 19] {
            sweep.see(offset);
            assert!(!sweep.is_done(), "at {offset}");
        }
        sweep.reach(24);
        assert!(!sweep.is_done(), "the last offset of the last hole was not passed");
        sweep.reach(25);
        assert!(sweep.is_done());
        assert!(sweep.inside().is_empty());
        let none = GapCause::NoRecord;
        assert_eq!(sweep.gaps(), [gap(5, 7, none), gap(9, 10, none), gap(20, 25, none)]);
    }

    #[test]
    fn a_record_behind_the_last_hole_ends_the_pass() {
        let mut sweep = Sweep::new(1, std::iter::once(5..7).collect());
        sweep.see(7);
        assert!(sweep.is_done());
    }

    #[test]
    fn records_inside_holes_are_named() {
        let mut sweep = Sweep::new(1, vec![5..9, 12..14]);
        for offset in [5, 6, 6, 8, 9, 10, 13, 14] {
            sweep.see(offset);
        }
        assert_eq!(sweep.inside(), [5..7, 8..9, 13..14]);
    }

    #[test]
    fn what_was_removed_meanwhile_is_not_called_empty() {
        let mut sweep = Sweep::new(1, vec![5..9, 12..14]);
        sweep.removed_below(7);
        assert_eq!(sweep.position(), 7, "the pass goes on from there");
        sweep.see(14);
        let (lost, none) = (GapCause::Retention, GapCause::NoRecord);
        assert_eq!(sweep.gaps(), [gap(5, 7, lost), gap(7, 9, none), gap(12, 14, none)]);
        sweep.removed_below(100);
        assert_eq!(sweep.gaps(), [gap(5, 9, lost), gap(12, 14, lost)]);
    }
}
