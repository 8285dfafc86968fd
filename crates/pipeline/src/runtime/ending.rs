//! How a run that ends by itself comes to its end: what it reads first, whom it waits for, and the end of input.
//!
//! Contract: what could be read when it began is read. Where it is to close windows, so is what was written by then, and
//! when it declares the input ended no record lies behind an open transaction: such a record is there and cannot be read
//! yet, and behind the declaration it would be late, for good. It is waited for, for a while; then windows stay open, the
//! exact offsets are named, and a later run closes them. What is written without a transaction after the run began is not
//! asked for: that no more comes is what whoever closes windows says.

use super::commit::CommitFailure;
use super::fetch::FETCH_WAIT_MAX;
use super::health::Part;
use super::stream::Worker;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use watertight_core::port::OffsetRange;

/// How long a run that ends by itself waits, once it has read all it can, for an open transaction, and once it is done,
/// for models that could not be written. Longer, and a transaction that nobody ends or a gold table whose disk is full
/// would hold up what was to run next; the next start catches up.
const AWAITED_MAX: Duration = Duration::from_secs(10);

/// How a stream's work ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// All that was asked is done, or a stop was asked for.
    AsAsked,
    /// All is done but the closing of windows: these offsets are written and could not be read.
    HeldBack(Vec<OffsetRange>),
}

/// What is to be reached before a run ends by itself: next offsets by partition.
pub(super) struct Ends {
    /// What could be read when it began.
    readable: BTreeMap<i32, i64>,
    /// What was written by then, where windows are to be closed; and what was found held back since.
    written: BTreeMap<i32, i64>,
    /// Until when what is held back is waited for; nothing, while there is something else to read.
    until: Option<Instant>,
}

impl Worker<'_> {
    /// Where the log ends now.
    pub(super) fn ends(&self) -> Result<Ends, CommitFailure> {
        let (mut readable, mut written) = (BTreeMap::new(), BTreeMap::new());
        for partition in 0..self.started.topic.partitions {
            readable.insert(partition, self.bounds(partition)?.next);
            if self.closes_windows() {
                written.insert(partition, self.end(partition)?);
            }
        }
        Ok(Ends { readable, written, until: None })
    }

    /// Whether the run is to declare the end of input. A stream without models has no windows.
    fn closes_windows(&self) -> bool {
        self.starter.setup.until.close_windows && !self.started.models.is_empty()
    }

    /// The end of what was written, whether it can be read or not.
    fn end(&self, partition: i32) -> Result<i64, CommitFailure> {
        let (parts, def) = (self.starter.parts, self.starter.def);
        let committer = self.starter.committer(Part::Stream(def.name.clone()));
        committer.retry("ask for offsets", || parts.log.end(&def.topic, partition))
    }

    /// How the run ends, once it is to end.
    pub(super) fn ended(&self, ends: &mut Ends) -> Result<Option<Ended>, CommitFailure> {
        if !self.has_reached(&ends.readable) {
            return Ok(None);
        }
        if !self.closes_windows() || !self.stopped.is_empty() {
            return Ok(Some(Ended::AsAsked));
        }
        let reached = self.has_reached(&ends.written);
        if !reached && ends.until.is_none() {
            tracing::info!(stream = self.starter.def.name, "reading on to the end of what was written at the start");
        }
        let until = *ends.until.get_or_insert_with(|| Instant::now() + AWAITED_MAX);
        let waited = Instant::now() >= until;
        if !reached && !waited {
            return Ok(None);
        }
        let held = self.held_back()?;
        if held.is_empty() {
            // Where not all is reached yet, it can be read by now, or an election cut it off.
            ends.until = None;
            if !reached {
                for (partition, at) in &mut ends.written {
                    *at = self.end(*partition)?.min(*at);
                }
            }
            return Ok(reached.then_some(Ended::AsAsked));
        }
        if waited {
            return Ok(Some(Ended::HeldBack(held)));
        }
        tracing::warn!(stream = self.starter.def.name, held_back = shown(&held), "waiting for an open transaction");
        ends.written.extend(held.iter().map(|range| (range.partition, range.to)));
        Ok(None)
    }

    fn has_reached(&self, ends: &BTreeMap<i32, i64>) -> bool {
        let positions = self.last_positions();
        let reached = |partition: &i32, end: i64| positions.get(partition).copied().unwrap_or(0) >= end;
        ends.iter().all(|(partition, end)| self.stopped.contains(partition) || reached(partition, *end))
    }

    /// Next offset by partition of the last stage that rows pass through.
    fn last_positions(&self) -> BTreeMap<i32, i64> {
        if self.upto_bronze() { self.started.bronze.positions() } else { self.started.silver.positions() }
    }

    /// What is written and cannot be read now.
    fn held_back(&self) -> Result<Vec<OffsetRange>, CommitFailure> {
        let (positions, mut held) = (self.last_positions(), Vec::new());
        for partition in 0..self.started.topic.partitions {
            // In this order: what is appended between the two questions can be read, and is not held back.
            let to = self.end(partition)?;
            if positions.get(&partition).is_some_and(|at| *at >= to) {
                continue;
            }
            let from = self.bounds(partition)?.next;
            if from < to {
                held.push(OffsetRange { partition, from, to });
            }
        }
        Ok(held)
    }

    /// Waits for models that are set aside, until that time or a stop.
    fn await_models(&mut self, until: Instant) {
        while self.started.models.any_waits() && Instant::now() < until && !self.starter.stop.wait(FETCH_WAIT_MAX) {
            self.open_models_again();
        }
    }

    /// All is read: waits a while for models that are behind, and declares the end of input where that was asked for, so
    /// that every open window closes. Where a partition stopped, or records are held back, they stay open: the input has
    /// not ended.
    pub(super) fn finish(&mut self, ended: &Ended) -> Result<(), CommitFailure> {
        let until = Instant::now() + AWAITED_MAX;
        self.await_models(until);
        if !self.stopped.is_empty() {
            let (stream, stopped) = (&self.starter.def.name, &self.stopped);
            tracing::warn!(%stream, ?stopped, "windows are left open for partitions that stopped");
        } else if self.closes_windows() && matches!(ended, Ended::AsAsked) {
            let time = self.started.silver.time();
            let now_us = self.starter.parts.clock.now_us();
            let end_us = self.started.models.end_of_input_us(time.largest_us(), now_us);
            if let Some(end_us) = end_us.filter(|end| time.stream_us().is_none_or(|stream| stream < *end)) {
                self.started.silver.declare_end(end_us);
                self.silver(&[])?;
                self.await_models(until);
            }
        }
        if !self.starter.stop.requested() {
            self.started.models.give_up(self.starter);
        }
        Ok(())
    }
}

/// Ranges of offsets, for people.
pub(super) fn shown(ranges: &[OffsetRange]) -> String {
    let one =
        |OffsetRange { partition, from, to }: &OffsetRange| format!("offsets {from}..{to} of partition {partition}");
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_named_partition_by_partition() {
        let held = [(0, 3, 9), (7, 0, 1)].map(|(partition, from, to)| OffsetRange { partition, from, to });
        assert_eq!(shown(&held), "offsets 3..9 of partition 0, offsets 0..1 of partition 7");
    }
}
