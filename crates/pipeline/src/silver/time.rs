//! Time: each partition's watermark, the stream's, and what is late. Pure; clocks enter as recorded decisions.
//!
//! A partition's watermark is the largest believed event time seen in it, in offset order, minus the declared
//! delay. The stream's is the largest value that the minimum over non-idle partitions ever had. Invariant: a
//! partition that is not idle never has a watermark below the stream's, so no row that is on time misses its window.
//!
//! A stream that never read several topics knows its partitions by number, whichever topic they are of. One that reads
//! several (`by_topic`) knows them by topic and number: [`StreamTime::enter`] says of which topic everything
//! is that is asked and told from then on (docs/adr/0019).

use std::collections::BTreeMap;
use watertight_core::books::{PartitionTime, TimeDecision, Watermarks};
use watertight_core::schema::EventTimeRule;

/// What time says of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Its event time is below its partition's watermark before it.
    pub late: bool,
    /// Its event time is beyond the tolerated future; it moved nothing.
    pub future: bool,
}

/// The watermarks of one stream.
#[derive(Debug, Clone)]
pub struct StreamTime {
    delay_us: i64,
    tolerance_us: i64,
    stream_us: Option<i64>,
    /// Of the topic at hand.
    partitions: BTreeMap<i32, PartitionTime>,
    largest_us: Option<i64>,
    /// Whether partitions are known by topic.
    by_topic: bool,
    /// The topic at hand; empty while none was entered, and where partitions are not known by topic.
    topic: String,
    /// The partitions of the other topics.
    others: BTreeMap<String, BTreeMap<i32, PartitionTime>>,
}

impl StreamTime {
    /// Goes on from recorded watermarks.
    #[must_use]
    pub fn resume(rule: &EventTimeRule, recorded: Option<&Watermarks>) -> Self {
        let recorded = recorded.cloned().unwrap_or_default();
        // Never less than what was seen; what was lifted may make it more.
        let all = recorded.partitions.values().chain(recorded.topics.values().flat_map(BTreeMap::values));
        let largest = all.filter_map(|time| time.watermark_us).max();
        Self {
            largest_us: largest.map(|watermark| watermark.saturating_add(rule.watermark_delay_us)),
            delay_us: rule.watermark_delay_us,
            tolerance_us: rule.future_tolerance_us,
            stream_us: recorded.stream_us,
            partitions: recorded.partitions,
            by_topic: !recorded.topics.is_empty(),
            topic: String::new(),
            others: recorded.topics,
        }
    }

    /// Knows partitions by topic from now on. Those that are known by number alone are of `topic`.
    #[must_use]
    pub fn by_topic(mut self, topic: &str) -> Self {
        if !self.by_topic {
            (self.by_topic, self.topic) = (true, topic.to_owned());
        }
        self
    }

    /// Turns to a topic. Where partitions are not known by topic, they are the same of every topic.
    pub fn enter(&mut self, topic: &str) {
        if !self.by_topic || self.topic == topic {
            return;
        }
        let entered = self.others.remove(topic).unwrap_or_default();
        let left = std::mem::replace(&mut self.partitions, entered);
        let of = std::mem::replace(&mut self.topic, topic.to_owned());
        if !left.is_empty() {
            self.others.insert(of, left);
        }
    }

    /// Whether partitions are known by topic.
    #[must_use]
    pub fn is_by_topic(&self) -> bool {
        self.by_topic
    }

    /// The topics by which partitions are known; none where they are not.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        self.watermarks().topics.into_keys().collect()
    }

    /// Takes the largest event time believed so far from the books, where they have it.
    #[must_use]
    pub fn with_largest(mut self, largest_us: Option<i64>) -> Self {
        self.largest_us = largest_us.or(self.largest_us);
        self
    }

    /// Goes on under another rule: watermarks stay, what is added to them is reckoned anew.
    pub fn redefine(&mut self, rule: &EventTimeRule) {
        self.delay_us = rule.watermark_delay_us;
        self.tolerance_us = rule.future_tolerance_us;
    }

    /// The largest event time believed so far, over all partitions.
    #[must_use]
    pub fn largest_us(&self) -> Option<i64> {
        self.largest_us
    }

    /// The watermarks as they stand, for the books.
    #[must_use]
    pub fn watermarks(&self) -> Watermarks {
        let (mut partitions, mut topics) = (self.partitions.clone(), self.others.clone());
        if self.by_topic {
            let at_hand = std::mem::take(&mut partitions);
            if !at_hand.is_empty() {
                topics.insert(self.topic.clone(), at_hand);
            }
        }
        Watermarks { stream_us: self.stream_us, partitions, topics }
    }

    /// The stream's watermark.
    #[must_use]
    pub fn stream_us(&self) -> Option<i64> {
        self.stream_us
    }

    /// The partitions from `first` on that are known.
    #[must_use]
    pub fn known_from(&self, first: i32) -> Vec<i32> {
        self.partitions.range(first..).map(|(partition, _)| *partition).collect()
    }

    /// Whether the partition is idle.
    #[must_use]
    pub fn is_idle(&self, partition: i32) -> bool {
        self.partitions.get(&partition).is_some_and(|p| p.idle)
    }

    /// Makes partitions `0..count` known. One that appears after the stream has a watermark starts at it.
    pub fn know(&mut self, count: i32) -> Vec<TimeDecision> {
        let mut decisions = Vec::new();
        for partition in 0..count {
            if self.partitions.contains_key(&partition) {
                continue;
            }
            self.partitions.insert(partition, PartitionTime { watermark_us: self.stream_us, idle: false });
            if self.stream_us.is_some() {
                let topic = self.topic.clone();
                decisions.push(TimeDecision::Lifted { topic, partition, at: 0, watermark_us: self.stream_us });
            }
        }
        decisions
    }

    /// Must be called before the first record of a stretch: an idle partition wakes at the stream's watermark.
    pub fn wake(&mut self, partition: i32, at: i64) -> Option<TimeDecision> {
        let stream_us = self.stream_us;
        let time = self.partitions.entry(partition).or_default();
        if !time.idle {
            return None;
        }
        time.idle = false;
        time.watermark_us = time.watermark_us.max(stream_us);
        let watermark_us = time.watermark_us;
        Some(TimeDecision::Lifted { topic: self.topic.clone(), partition, at, watermark_us })
    }

    /// Takes one record's event time, in offset order. `believed_us` = min(log timestamp, ingestion time).
    pub fn observe(&mut self, partition: i32, event_time_us: i64, believed_us: i64) -> Judgement {
        let time = self.partitions.entry(partition).or_default();
        let late = time.watermark_us.is_some_and(|watermark| event_time_us < watermark);
        let future = event_time_us > believed_us.saturating_add(self.tolerance_us);
        if !future {
            time.watermark_us = time.watermark_us.max(Some(event_time_us.saturating_sub(self.delay_us)));
            self.largest_us = self.largest_us.max(Some(event_time_us));
        }
        Judgement { late, future }
    }

    /// Records that a partition had nothing for the declared time.
    pub fn idle(&mut self, partition: i32, at: i64) -> Option<TimeDecision> {
        let time = self.partitions.entry(partition).or_default();
        if time.idle {
            return None;
        }
        time.idle = true;
        Some(TimeDecision::Idle { topic: self.topic.clone(), partition, at })
    }

    /// Brings the stream's watermark forward; called once per commit, after its records. Where every partition is idle,
    /// nothing holds it back any more: it is the largest of theirs.
    pub fn advance(&mut self) {
        let all = || self.partitions.values().chain(self.others.values().flat_map(BTreeMap::values));
        let awake = all().filter(|time| !time.idle);
        // Where all are idle: what the one that fell idle last, had they done so one by one, would have left.
        let all_idle = || all().map(|time| time.watermark_us).max();
        if let Some(Some(reached)) = awake.map(|time| time.watermark_us).min().or_else(all_idle) {
            self.stream_us = self.stream_us.max(Some(reached));
        }
    }

    /// The input was declared ended: everything is raised to `watermark_us`, where that is forward.
    pub fn end(&mut self, watermark_us: i64) -> TimeDecision {
        let raised = self.stream_us.map_or(watermark_us, |stream| stream.max(watermark_us));
        self.stream_us = Some(raised);
        let others = self.others.values_mut().flat_map(BTreeMap::values_mut);
        for time in self.partitions.values_mut().chain(others) {
            time.watermark_us = time.watermark_us.max(Some(raised));
        }
        TimeDecision::EndOfInput { watermark_us: raised }
    }
}
