//! Retention: whole segments are unlinked, oldest first, never the active one.
//!
//! Contract: the earliest offset moves forward before a file goes, so that no reader looks for it any more; a reader
//! that was below is told the exact range it lost. Age is judged by the largest record timestamp of a segment.

use super::disk::{Open, Wait, remove_in};
use super::mark::Mark;
use super::partition::{Holding, Partition, segment_name};
use super::recover::Role;
use super::scan::Stretch;
use std::time::Duration;
use watertight_core::port::PortError;
use watertight_core::steps::{LOG_RETIRE_NAMES, LOG_RETIRE_REMOVE};

/// What retention removed from one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// Partition number.
    pub partition: i32,
    /// Earliest offset before.
    pub from: i64,
    /// Earliest offset now.
    pub to: i64,
    /// Segments removed.
    pub segments: usize,
    /// Bytes given back.
    pub bytes: u64,
}

impl Partition {
    /// Removes segments whose newest record is older than `age`, and the oldest ones while all segments together
    /// are larger than `bytes_max`; but none that holds offsets from `needed_from` on. `None` where nothing was to be
    /// removed.
    pub(super) fn retire(
        &self,
        now_ms: i64,
        age: Option<Duration>,
        bytes_max: Option<u64>,
        needed_from: i64,
    ) -> Result<Option<Retired>, PortError> {
        let mut held = match self.hold(Wait::Block)? {
            Holding::Held(held) => held,
            Holding::Busy | Holding::Removed => return Err(self.removed()),
        };
        let tail = self.settle(Role::Writer)?;
        let mark = tail.mark;
        held.state.tail = Some(tail);
        let listed = self.list_segments()?;
        // A segment ends where the next one begins; the newest closed one ends where the active one begins.
        let ends = listed.iter().skip(1);
        let closed: Vec<i64> = listed
            .iter()
            .zip(ends)
            .filter(|(base, end)| **base < mark.base && **end <= needed_from)
            .map(|(base, _)| *base)
            .collect();
        let sizes = self.sizes(&listed)?;
        let old = match age {
            Some(age) => self.older_than(&closed, &mark, now_ms, age)?,
            None => 0,
        };
        let mut total: u64 = sizes.iter().sum();
        let mut surplus = 0;
        while bytes_max.is_some_and(|max| total > max) && surplus < closed.len() {
            total -= sizes[surplus];
            surplus += 1;
        }
        let gone = old.max(surplus);
        if gone == 0 {
            return Ok(None);
        }
        let earliest = listed.get(gone).copied().unwrap_or(mark.base);
        let moved = Mark { earliest: mark.earliest.max(earliest), ..mark };
        self.publish(&moved)?;
        held.state.tail = None;
        let failed = |e| self.failed("remove an old segment", e);
        for base in &closed[..gone] {
            let remove = || remove_in(&self.dir, &segment_name(*base));
            self.inner.steps.take(LOG_RETIRE_REMOVE, remove).map_err(failed)?;
        }
        self.inner.steps.take(LOG_RETIRE_NAMES, || self.inner.disk.sync_dir(&self.dir)).map_err(failed)?;
        self.forget_below(moved.earliest);
        let bytes = sizes[..gone].iter().sum();
        Ok(Some(Retired { partition: self.number, from: mark.earliest, to: moved.earliest, segments: gone, bytes }))
    }

    fn sizes(&self, bases: &[i64]) -> Result<Vec<u64>, PortError> {
        let size = |base: &i64| self.open_segment(*base, Open::Read).and_then(|f| f.metadata()).map(|m| m.len());
        bases.iter().map(|base| size(base).map_err(|e| self.failed("look at a segment", e))).collect()
    }

    /// How many of the oldest segments hold only records older than `age`; one of which nothing can be read goes
    /// with those behind it.
    fn older_than(&self, closed: &[i64], mark: &Mark, now_ms: i64, age: Duration) -> Result<usize, PortError> {
        let limit_ms = now_ms.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let failed = |e| self.failed("look at a segment", e);
        let mut old = 0;
        for (at, base) in closed.iter().enumerate() {
            let end = self.segment_end(*base, mark)?;
            let file = self.open_segment(*base, Open::Read).map_err(failed)?;
            let stretch = Stretch { file: &file, tag: self.tag, end: end.len, end_offset: end.next };
            match self.max_time_ms(*base, &stretch).map_err(failed)? {
                Some(newest) if newest < limit_ms => old = at + 1,
                Some(_) => break,
                None => {}
            }
        }
        Ok(old)
    }
}
