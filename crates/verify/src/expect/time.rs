//! Time: watermarks, and which records were late, simulated from bronze and the decisions in silver's books.
//!
//! A partition's watermark is the largest event time seen in it that is believed, minus the declared delay. A record is
//! late if its event time is below its own partition's watermark before it. An event time beyond
//! `min(log timestamp, ingestion time) + future_tolerance` is flagged and moves nothing. After the records of each commit
//! the stream's watermark goes forward to the least watermark of the partitions that are not idle, or to the largest of
//! all where all are idle.
//!
//! # In which order partitions are gone through does not matter
//! Lateness looks at the record's own partition only: its records in the order of offsets, and the decisions about it.
//! The stream's watermark enters a partition in two ways, and both carry it as a number in the books: `lifted`, at an
//! offset of that partition, and `end_of_input`, at the end of a commit. The stream's own watermark is moved in
//! [`StreamTime::end`] alone, when all records of the commit were seen.
//!
//! # What the books are trusted with
//! That a partition fell idle, or that the input ended, nobody can compute anew: those decisions are taken as they are.
//! To where a partition is lifted does follow, and so does that the end lies ahead: what contradicts it is kept for
//! [`StreamTime::take_contradictions`]. Which partitions there were is learnt from the recorded watermarks while the stream
//! has none, as nothing else says it; from then on a new partition comes with its `lifted`.
//!
//! # Several topics
//! A stream that never read several knows partitions by number, whichever topic they are of. From the first commit on whose
//! watermarks are by topic, they are known by topic and number, and those known by then are of the topic of the commit
//! before (docs/adr/0019). A commit has records of one topic; what it decides of others is taken at its end.
//!
//! # Use
//! Per commit of silver, in their order: [`StreamTime::enter`] with its topic, [`StreamTime::begin`] with its decisions, [`StreamTime::observe`] for every
//! record of bronze in its ranges (every partition in the order of offsets, whatever became of the record),
//! [`StreamTime::end`], then [`StreamTime::after_commit`] is what its books must hold. A commit under another definition
//! is preceded by [`StreamTime::redefine`].

use super::definition::EventTime;
use crate::books::{Decision, PartitionTime, Watermarks};
use std::collections::{BTreeMap, VecDeque};

/// What time says of one record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its event time is below its partition's watermark before it.
    pub late: bool,
    /// Its event time is beyond the tolerated future.
    pub future: bool,
}

/// The watermarks of one stream, as they must have been.
#[derive(Debug, Clone)]
pub struct StreamTime {
    delay_us: i64,
    tolerance_us: i64,
    stream_us: Option<i64>,
    largest_us: Option<i64>,
    /// Of the topic at hand.
    partitions: BTreeMap<i32, PartitionTime>,
    by_topic: bool,
    /// Topic of the commit at hand, or of the newest one before.
    topic: String,
    /// The partitions of other topics, where they are known by topic.
    others: BTreeMap<String, BTreeMap<i32, PartitionTime>>,
    /// Decisions of the commit at hand that wait for their offset, by partition, in their order.
    waiting: BTreeMap<i32, VecDeque<Decision>>,
    /// Decisions about other topics and the stream as a whole, for the commit's end.
    at_end: Vec<Decision>,
    contradictions: Vec<String>,
}

impl StreamTime {
    /// Before the first commit.
    #[must_use]
    pub fn new(rule: &EventTime) -> Self {
        Self {
            delay_us: rule.watermark_delay_us,
            tolerance_us: rule.future_tolerance_us,
            stream_us: None,
            largest_us: None,
            partitions: BTreeMap::new(),
            by_topic: false,
            topic: String::new(),
            others: BTreeMap::new(),
            waiting: BTreeMap::new(),
            at_end: Vec::new(),
            contradictions: Vec::new(),
        }
    }

    /// Goes on behind a commit of this topic with these recorded watermarks, which are taken as they are.
    pub fn resume(&mut self, topic: &str, recorded: &Watermarks) {
        self.stream_us = recorded.stream_us;
        self.by_topic = recorded.are_by_topic();
        self.topic = topic.to_owned();
        self.others = recorded.topics.clone();
        let at_hand = self.others.remove(topic).unwrap_or_default();
        self.partitions = if self.by_topic { at_hand } else { recorded.partitions.clone() };
        self.waiting.clear();
        self.at_end.clear();
    }

    /// The largest event time that a commit recorded, where [`StreamTime::resume`] goes on behind it.
    pub fn resume_largest(&mut self, largest_event_time_us: Option<i64>) {
        self.largest_us = largest_event_time_us;
    }

    /// Goes on under another definition: watermarks stay, what is added to them is reckoned anew.
    pub fn redefine(&mut self, rule: &EventTime) {
        self.delay_us = rule.watermark_delay_us;
        self.tolerance_us = rule.future_tolerance_us;
    }

    /// Turns to the topic of the next commit. `by_topic`: its watermarks are; then they stay so.
    pub fn enter(&mut self, topic: &str, by_topic: bool) {
        if !self.by_topic {
            if !by_topic || self.topic.is_empty() {
                self.topic = topic.to_owned();
            }
            self.by_topic = by_topic;
        }
        if self.topic == topic {
            return;
        }
        let entered = self.others.remove(topic).unwrap_or_default();
        let left = std::mem::replace(&mut self.partitions, entered);
        let of = std::mem::replace(&mut self.topic, topic.to_owned());
        if !left.is_empty() {
            self.others.insert(of, left);
        }
    }

    /// Begins a commit: its decisions wait for their offsets.
    pub fn begin(&mut self, decisions: &[Decision]) {
        for decision in decisions {
            match decision {
                Decision::Idle { topic, .. } | Decision::Lifted { topic, .. } if self.is_of_another(topic) => {
                    self.at_end.push(decision.clone());
                }
                Decision::Idle { partition, .. } | Decision::Lifted { partition, .. } => {
                    self.waiting.entry(*partition).or_default().push_back(decision.clone());
                }
                Decision::EndOfInput { .. } => self.at_end.push(decision.clone()),
            }
        }
    }

    /// Takes one record of bronze; within a partition in the order of offsets. `event_time_us` is
    /// [`crate::expect::Judged::event_time_us`].
    pub fn observe(
        &mut self,
        partition: i32,
        offset: i64,
        event_time_us: Option<i64>,
        kafka_timestamp_us: i64,
        ingested_at_us: i64,
    ) -> Seen {
        self.decide_until(partition, Some(offset));
        let Some(event_us) = event_time_us else { return Seen::default() };
        let time = self.partitions.entry(partition).or_default();
        let late = time.watermark_us.is_some_and(|watermark| event_us < watermark);
        let believed_us = kafka_timestamp_us.min(ingested_at_us).saturating_add(self.tolerance_us);
        let future = event_us > believed_us;
        if !future {
            // `None` is less than any time.
            time.watermark_us = time.watermark_us.max(Some(event_us.saturating_sub(self.delay_us)));
            self.largest_us = self.largest_us.max(Some(event_us));
        }
        Seen { late, future }
    }

    /// Ends a commit: decisions about records behind it are taken, and the stream's watermark goes forward. `recorded` are
    /// the commit's own watermarks; all that is taken from them is which partitions there are, while the stream has no
    /// watermark.
    pub fn end(&mut self, recorded: Option<&Watermarks>) {
        let partitions: Vec<i32> = self.waiting.keys().copied().collect();
        for partition in partitions {
            self.decide_until(partition, None);
        }
        for decision in std::mem::take(&mut self.at_end) {
            self.decide(&decision);
        }
        if self.stream_us.is_none() {
            for (topic, partition) in recorded.into_iter().flat_map(|recorded| recorded.keys()) {
                self.partitions_of(topic).entry(partition).or_default();
            }
        }
        let all = || self.partitions.values().chain(self.others.values().flat_map(BTreeMap::values));
        let awake = all().filter(|time| !time.idle).map(|time| time.watermark_us).min();
        let reached = match awake {
            Some(least) => least,
            None => all().filter_map(|time| time.watermark_us).max(),
        };
        self.stream_us = self.stream_us.max(reached);
    }

    /// Takes a decision now.
    pub fn decide(&mut self, decision: &Decision) {
        match decision {
            Decision::Idle { topic, partition, at } => {
                let time = self.partitions_of(topic).entry(*partition).or_default();
                let was_idle = std::mem::replace(&mut time.idle, true);
                if was_idle {
                    let which = named(topic, *partition);
                    self.contradictions.push(format!("{which} falls idle at {at}, and was idle"));
                }
            }
            Decision::Lifted { topic, partition, at, watermark_us } => {
                let stream_us = self.stream_us;
                let partitions = self.partitions_of(topic);
                let expected = match partitions.get(partition) {
                    None => Some(stream_us),
                    Some(time) if time.idle => Some(time.watermark_us.max(stream_us)),
                    Some(_) => None,
                };
                partitions.insert(*partition, PartitionTime { watermark_us: *watermark_us, idle: false });
                let which = named(topic, *partition);
                match expected {
                    Some(expected) if expected == *watermark_us => {}
                    Some(expected) => self.contradictions.push(format!(
                        "{which} is lifted at {at} to {}, and the watermarks before make it {}",
                        shown(*watermark_us),
                        shown(expected)
                    )),
                    None => {
                        self.contradictions.push(format!("{which} is lifted at {at}, and was neither idle nor new"));
                    }
                }
            }
            Decision::EndOfInput { watermark_us } => {
                if self.stream_us.is_some_and(|stream| stream > *watermark_us) {
                    self.contradictions.push(format!(
                        "the input ends at {watermark_us}, and the stream's watermark was {}",
                        shown(self.stream_us)
                    ));
                }
                self.stream_us = self.stream_us.max(Some(*watermark_us));
                let others = self.others.values_mut().flat_map(BTreeMap::values_mut);
                for time in self.partitions.values_mut().chain(others) {
                    time.watermark_us = time.watermark_us.max(self.stream_us);
                }
            }
        }
    }

    /// The watermarks as they stand: after [`StreamTime::end`], what the commit's books must hold.
    #[must_use]
    pub fn after_commit(&self) -> Watermarks {
        let (mut partitions, mut topics) = (self.partitions.clone(), self.others.clone());
        if self.by_topic {
            let at_hand = std::mem::take(&mut partitions);
            if !at_hand.is_empty() {
                topics.insert(self.topic.clone(), at_hand);
            }
        }
        Watermarks { stream_us: self.stream_us, partitions, topics }
    }

    fn is_of_another(&self, topic: &str) -> bool {
        self.by_topic && *topic != self.topic
    }

    /// The partitions of a topic; all there are, where they are not known by topic.
    fn partitions_of(&mut self, topic: &str) -> &mut BTreeMap<i32, PartitionTime> {
        if self.is_of_another(topic) {
            return self.others.entry(topic.to_owned()).or_default();
        }
        &mut self.partitions
    }

    /// The largest event time believed so far: what the books must hold as `largest_event_time_us`. After
    /// [`StreamTime::resume`] without [`StreamTime::resume_largest`] it is that of the records since.
    #[must_use]
    pub fn largest_us(&self) -> Option<i64> {
        self.largest_us
    }

    /// What decisions contradicted since this was asked last: sentences for a finding about the commit's books.
    pub fn take_contradictions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.contradictions)
    }

    /// Takes the decisions that wait at or before an offset of a partition; all of them without one.
    fn decide_until(&mut self, partition: i32, offset: Option<i64>) {
        if self.waiting.is_empty() {
            return;
        }
        let due = |decision: &Decision| match decision {
            Decision::Idle { at, .. } | Decision::Lifted { at, .. } => offset.is_none_or(|offset| *at <= offset),
            Decision::EndOfInput { .. } => true,
        };
        while let Some(waiting) = self.waiting.get_mut(&partition) {
            match waiting.front() {
                Some(next) if due(next) => {}
                Some(_) => return,
                None => {
                    self.waiting.remove(&partition);
                    return;
                }
            }
            if let Some(decision) = waiting.pop_front() {
                self.decide(&decision);
            }
        }
    }
}

fn named(topic: &str, partition: i32) -> String {
    if topic.is_empty() { format!("partition {partition}") } else { format!("partition {partition} of topic {topic}") }
}

fn shown(watermark_us: Option<i64>) -> String {
    watermark_us.map_or_else(|| "none".to_owned(), |us| us.to_string())
}

#[cfg(test)]
mod tests;
