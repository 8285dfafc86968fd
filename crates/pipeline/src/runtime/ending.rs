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
use super::start::Started;
use super::stream::Worker;
use super::topics::Reading;
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
    HeldBack(Vec<HeldBack>),
}

/// Offsets that are written and cannot be read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// Topic name, where the stream reads several.
    pub topic: Option<String>,
    /// The offsets.
    pub range: OffsetRange,
}

/// Next offsets by topic (its place among the stream's) and partition.
type Nexts = BTreeMap<(usize, i32), i64>;

/// What is to be reached before a run ends by itself. Topics that are found later are not waited for.
pub(super) struct Ends {
    /// How many topics there were when it began.
    topics: usize,
    /// What could be read then.
    readable: Nexts,
    /// What was written by then, where windows are to be closed; and what was found held back since.
    written: Nexts,
    /// Until when what is held back is waited for; nothing, while there is something else to read.
    until: Option<Instant>,
}

impl Worker<'_> {
    /// Where the log ends now.
    pub(super) fn ends(&self) -> Result<Ends, CommitFailure> {
        let (mut readable, mut written) = (Nexts::new(), Nexts::new());
        let topics = self.started.topics.len();
        for (at, partition) in self.partitions(topics) {
            readable.insert((at, partition), self.bounds(at, partition)?.next);
            if self.closes_windows() {
                written.insert((at, partition), self.end(at, partition)?);
            }
        }
        Ok(Ends { topics, readable, written, until: None })
    }

    /// All partitions of the first so many topics.
    fn partitions(&self, topics: usize) -> impl Iterator<Item = (usize, i32)> + use<> {
        let count = |(at, reading): (usize, &Reading)| (at, reading.topic.partitions);
        let counts: Vec<(usize, i32)> = self.started.topics.iter().take(topics).enumerate().map(count).collect();
        counts.into_iter().flat_map(|(at, count)| (0..count).map(move |partition| (at, partition)))
    }

    /// Whether the run is to declare the end of input. A stream without models has no windows.
    fn closes_windows(&self) -> bool {
        self.starter.setup.until.close_windows && !self.started.models.is_empty()
    }

    /// The end of what was written, whether it can be read or not.
    fn end(&self, at: usize, partition: i32) -> Result<i64, CommitFailure> {
        let (parts, def, topic) = (self.starter.parts, self.starter.def, self.topic(at));
        let committer = self.starter.committer(Part::Stream(def.name.clone()));
        committer.retry("ask for offsets", || parts.log.end(topic, partition))
    }

    fn any_stopped(&self) -> bool {
        self.started.topics.iter().any(|reading| !reading.stopped.is_empty())
    }

    /// How the run ends, once it is to end.
    pub(super) fn ended(&self, ends: &mut Ends) -> Result<Option<Ended>, CommitFailure> {
        if !self.has_reached(&ends.readable) {
            return Ok(None);
        }
        if !self.closes_windows() || self.any_stopped() {
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
        let held = self.held_back(ends.topics)?;
        if held.is_empty() {
            // Where not all is reached yet, it can be read by now, or an election cut it off.
            ends.until = None;
            if !reached {
                for ((at, partition), next) in &mut ends.written {
                    *next = self.end(*at, *partition)?.min(*next);
                }
            }
            return Ok(reached.then_some(Ended::AsAsked));
        }
        let named = |(at, range): &(usize, OffsetRange)| HeldBack { topic: self.topic_of_several(*at), range: *range };
        let named: Vec<HeldBack> = held.iter().map(named).collect();
        if waited {
            return Ok(Some(Ended::HeldBack(named)));
        }
        tracing::warn!(stream = self.starter.def.name, held_back = shown(&named), "waiting for an open transaction");
        ends.written.extend(held.iter().map(|(at, range)| ((*at, range.partition), range.to)));
        Ok(None)
    }

    /// The topic's name, where there are several.
    fn topic_of_several(&self, at: usize) -> Option<String> {
        (self.started.topics.len() > 1).then(|| self.topic(at).to_owned())
    }

    /// Whether all is committed up to there.
    fn has_reached(&self, nexts: &Nexts) -> bool {
        let positions = self.last_positions();
        let reached = |(at, partition): &(usize, i32), next: i64| {
            let position = positions.get(*at).and_then(|of_topic| of_topic.get(partition));
            position.copied().unwrap_or(0) >= next
        };
        let stopped = |(at, partition): &(usize, i32)| self.started.topics[*at].stopped.contains(partition);
        nexts.iter().all(|(place, next)| stopped(place) || reached(place, *next))
    }

    /// Next offset by topic and partition of the last stage that rows pass through.
    fn last_positions(&self) -> Vec<BTreeMap<i32, i64>> {
        let Started { topics, bronze, silver, .. } = &self.started;
        let table = if self.upto_bronze() { bronze.table() } else { silver.table() };
        topics.iter().map(|reading| reading.identity.positions(table.state())).collect()
    }

    /// What is written in the first so many topics and cannot be read now.
    fn held_back(&self, topics: usize) -> Result<Vec<(usize, OffsetRange)>, CommitFailure> {
        let (positions, mut held) = (self.last_positions(), Vec::new());
        for (at, partition) in self.partitions(topics) {
            // In this order: what is appended between the two questions can be read, and is not held back.
            let to = self.end(at, partition)?;
            if positions[at].get(&partition).is_some_and(|position| *position >= to) {
                continue;
            }
            let from = self.bounds(at, partition)?.next;
            if from < to {
                held.push((at, OffsetRange { partition, from, to }));
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
        if self.any_stopped() {
            let stream = &self.starter.def.name;
            for Reading { topic, stopped, .. } in self.started.topics.iter().filter(|one| !one.stopped.is_empty()) {
                let topic = &topic.name;
                tracing::warn!(%stream, %topic, ?stopped, "windows are left open for partitions that stopped");
            }
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
pub(super) fn shown(held: &[HeldBack]) -> String {
    let one = |HeldBack { topic, range: OffsetRange { partition, from, to } }: &HeldBack| {
        let of = topic.as_ref().map(|topic| format!(" of topic {topic}")).unwrap_or_default();
        format!("offsets {from}..{to} of partition {partition}{of}")
    };
    held.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_named_partition_by_partition_and_by_topic_where_there_are_several() {
        let held = |topic: Option<&str>, (partition, from, to)| HeldBack {
            topic: topic.map(str::to_owned),
            range: OffsetRange { partition, from, to },
        };
        assert_eq!(
            shown(&[held(None, (0, 3, 9)), held(Some("orders"), (7, 0, 1))]),
            "offsets 3..9 of partition 0, offsets 0..1 of partition 7 of topic orders"
        );
    }
}
