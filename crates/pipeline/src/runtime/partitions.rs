//! The partitions of a stream at work: where each begins, where it is read from, and those that stop by themselves.
//!
//! Contract: where a partition begins is decided once, when the stream first reads its topic, for all partitions that the
//! topic has by then, empty ones too; it is in bronze's books, with a position, before or with the first records, so that
//! nothing that comes before the next start is passed over. From then on a partition without a position is one that was
//! added, or one of a topic that was made anew, and begins at 0.
//!
//! Offsets that are gone before they were read, and a log that ends below what was read, are about one partition. It
//! stops, by name and with the exact range; the others go on, and windows stay open for it. Where the stream says
//! `fail_on_data_loss: false`, offsets that are gone are declared lost instead, and it goes on behind them; what was read
//! and is no longer in the log cannot be undone, and stops it all the same.
//!
//! Several topics are several times the same; `at` is a topic's place among them.

use super::commit::CommitFailure;
use super::health::{Condition, Part};
use super::start::{Started, Starter};
use super::stream::Worker;
use super::topics::{Readers, Reading};
use std::time::{Duration, Instant};
use watertight_core::books::Took;
use watertight_core::port::{
    ErrorKind, Fetched, Gap, GapCause, LogReader, OffsetBounds, OffsetRange, PortError, ReadFrom,
};
use watertight_core::record::Records;
use watertight_core::schema::{StartAt, StreamDef, Topics};

/// How long the log says that there is no such topic until that is believed: a broker that has just begun may not know
/// of it yet.
pub(super) const MISSED_FOR: Duration = Duration::from_secs(2);

impl Worker<'_> {
    /// At a first start, decides where every partition begins. What depends on the moment (the end of the log, say) is
    /// made durable at once; the first offset of the log is with the first records.
    pub(super) fn decide_starts(&mut self) -> Result<(), CommitFailure> {
        let by_pattern = matches!(self.starter.def.topics, Some(Topics::Pattern(_)));
        // Nobody chose the moment at which a topic came to match: what it brought before it was found is read, too.
        let from_the_first = by_pattern && self.started.bronze.has_any();
        for at in 0..self.started.topics.len() {
            if from_the_first {
                self.started.topics[at].start = StartAt::Earliest;
            }
            self.decide_starts_of(at)?;
        }
        Ok(())
    }

    fn decide_starts_of(&mut self, at: usize) -> Result<(), CommitFailure> {
        self.enter(at);
        if self.started.bronze.has_begun() {
            return Ok(());
        }
        let (start, partitions) = (self.started.topics[at].start.clone(), self.started.topics[at].topic.partitions);
        if let StartAt::Offsets(offsets) = &start
            && let Some(unknown) = offsets.keys().find(|partition| !(0..partitions).contains(*partition))
        {
            let message = format!(
                "from names partition {unknown} of topic {}, which has partitions 0..{partitions}: correct the pipeline file",
                self.topic(at)
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        }
        for partition in 0..partitions {
            let offset = self.start_of(at, partition)?;
            self.started.topics[at].starts.insert(partition, offset);
        }
        let (stream, topic, from) = (&self.starter.def.name, self.topic(at), &self.started.topics[at].starts);
        tracing::info!(%stream, %topic, ?from, "read for the first time");
        match start {
            StartAt::Earliest => Ok(()),
            StartAt::Latest | StartAt::Time { .. } | StartAt::Offsets(_) => {
                self.epoch_of(at, Vec::new(), Took::default())
            }
        }
    }

    fn start_of(&self, at: usize, partition: i32) -> Result<i64, CommitFailure> {
        let Starter { parts, def, .. } = self.starter;
        let (start, topic) = (&self.started.topics[at].start, self.topic(at));
        if let StartAt::Time { ms } = *start {
            let committer = self.starter.committer(Part::Stream(def.name.clone()));
            return committer.retry("find an offset by time", || parts.log.offset_at(topic, partition, ms));
        }
        let OffsetBounds { earliest, next } = self.bounds(at, partition)?;
        let offset = match start {
            StartAt::Latest => next,
            StartAt::Offsets(offsets) => offsets.get(&partition).copied().unwrap_or(earliest),
            StartAt::Earliest | StartAt::Time { .. } => earliest,
        };
        if (0..=next).contains(&offset) {
            return Ok(offset);
        }
        let message = format!(
            "from says that partition {partition} of topic {topic} begins at offset {offset}, the log has {earliest}..{next}: \
             correct the pipeline file"
        );
        Err(PortError::new(ErrorKind::Stop, message).into())
    }

    /// Readers of all topics.
    pub(super) fn readers(&mut self) -> Result<Readers, CommitFailure> {
        let mut readers = Readers::new(Vec::new());
        for at in 0..self.started.topics.len() {
            let reader = self.reader(at)?;
            readers.put(at, reader);
        }
        self.reads_something(&readers).map(|()| readers)
    }

    /// Opens a topic's reader anew: one of its partitions stopped, or some were added, or it was found.
    pub(super) fn read_again(&mut self, readers: &mut Readers, at: usize) -> Result<(), CommitFailure> {
        let reader = self.reader(at)?;
        readers.put(at, reader);
        self.reads_something(readers)
    }

    fn reads_something(&self, readers: &Readers) -> Result<(), CommitFailure> {
        if !readers.is_empty() {
            return Ok(());
        }
        let message = format!("every partition of topic {} stopped: see each", self.starter.def.topics_shown());
        Err(PortError::new(ErrorKind::Stop, message).into())
    }

    /// A reader of the partitions of a topic that have not stopped, each from its position on; `None` where all have.
    fn reader(&mut self, at: usize) -> Result<Option<Box<dyn LogReader>>, CommitFailure> {
        let starter = self.starter;
        let (log, def) = (&starter.parts.log, starter.def);
        let committer = starter.committer(Part::Stream(def.name.clone()));
        loop {
            let from = self.read_from(at);
            if from.is_empty() {
                return Ok(None);
            }
            let topic = self.topic(at);
            match committer.retry("open a reader", || log.reader(topic, &from)) {
                Err(CommitFailure::Port(error)) if self.stops_one(at, &error) => match lost(&error, def) {
                    Some(lost) => self.epoch_of(at, vec![lost], Took::default())?,
                    None => self.stop_partition(at, &error),
                },
                opened => return opened.map(Some),
            }
        }
    }

    fn read_from(&mut self, at: usize) -> Vec<ReadFrom> {
        self.enter(at);
        let Started { topics, bronze, .. } = &mut self.started;
        let (reading, stored, epochs) = (&mut topics[at], bronze.positions(), bronze.leader_epochs());
        let mut from = Vec::new();
        for partition in (0..reading.topic.partitions).filter(|partition| !reading.stopped.contains(partition)) {
            let offset = stored.get(&partition).or_else(|| reading.starts.get(&partition));
            let leader_epoch = epochs.get(&partition).copied().unwrap_or(-1);
            from.push(ReadFrom { partition, offset: offset.copied().unwrap_or(0), leader_epoch });
            reading.seen.entry(partition).or_insert_with(Instant::now);
        }
        from
    }

    /// Whether an error is about one partition that is being read, and the others can go on.
    pub(super) fn stops_one(&self, at: usize, error: &PortError) -> bool {
        let kinds = [ErrorKind::OutOfRange, ErrorKind::Stop, ErrorKind::Corrupt];
        let reading = &self.started.topics[at];
        kinds.contains(&error.kind) && error.range.is_some_and(|range| reading.reads(range.partition))
    }

    /// Goes on behind offsets that are gone, where that is wanted: gives what covers them. `None`: the partition is to
    /// stop.
    pub(super) fn pass_over(
        &mut self,
        at: usize,
        error: &PortError,
        readers: &mut Readers,
    ) -> Result<Option<Vec<Fetched>>, CommitFailure> {
        let Some(OffsetRange { partition, from, to }) = error.range else { return Ok(None) };
        let reading = &mut self.started.topics[at];
        let begins = reading.start == StartAt::Earliest && reading.starts.get(&partition) == Some(&from);
        if error.kind == ErrorKind::OutOfRange && begins {
            // The log's first offset moved since it was asked for, and nothing of the partition is in the tables.
            reading.starts.insert(partition, to);
            readers.seek(partition, to)?;
            return Ok(Some(Vec::new()));
        }
        let Some(lost) = lost(error, self.starter.def) else { return Ok(None) };
        readers.seek(partition, to)?;
        Ok(Some(vec![lost]))
    }

    /// Enters that a partition stopped. It holds the stream's watermark where it is, also where it was idle: nobody knows
    /// the times of what it does not bring.
    pub(super) fn stop_partition(&mut self, at: usize, error: &PortError) {
        let Some(OffsetRange { partition, from, to }) = error.range else { return };
        let def = self.starter.def;
        let (error, topic) = (told(error, def), self.topic(at));
        tracing::error!(
            stream = def.name,
            topic,
            partition,
            from,
            to,
            error,
            "the partition stopped; the others go on"
        );
        let part = match def.topics {
            None => Part::Partition(def.name.clone(), partition),
            Some(_) => Part::TopicPartition(def.name.clone(), topic.to_owned(), partition),
        };
        self.starter.health.set(&part, Condition::Failed { error });
        self.started.topics[at].stopped.insert(partition);
        if !self.upto_bronze() {
            self.enter(at);
            let position = self.started.silver.positions().get(&partition).copied().unwrap_or(0);
            self.started.silver.hold(partition, position);
        }
    }

    /// Looks for partitions that were added, and for topics that have come to match; gives the topics to read anew.
    pub(super) fn topics_that_grew(&mut self) -> Result<Vec<usize>, CommitFailure> {
        let mut grew = Vec::new();
        for at in 0..self.started.topics.len() {
            if self.topic_grew(at)? {
                grew.push(at);
            }
        }
        grew.extend(self.find_topics()?);
        Ok(grew)
    }

    fn topic_grew(&mut self, at: usize) -> Result<bool, CommitFailure> {
        let name = self.topic(at).to_owned();
        let committer = self.starter.committer(Part::Stream(self.starter.def.name.clone()));
        let found = committer.retry("ask for the topic", || self.starter.parts.log.topic(&name))?;
        let reading = &mut self.started.topics[at];
        let Some(topic) = found else {
            if reading.missed.get_or_insert_with(Instant::now).elapsed() < MISSED_FOR {
                return Ok(false);
            }
            let message = format!(
                "topic {name} was deleted while it was read; nothing was skipped: create it again or remove the stream"
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        };
        reading.missed = None;
        if topic.incarnation != reading.topic.incarnation {
            let message = format!(
                "topic {name} was deleted and created anew while it was read; restart to read the new one from its beginning"
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        }
        let grew = topic.partitions > self.started.topics[at].topic.partitions;
        if grew {
            self.enter(at);
            self.started.silver.know_partitions(topic.partitions);
            self.started.topics[at].topic = topic;
        }
        Ok(grew)
    }

    /// Topics that match and are not read yet. They begin at the first record that the log keeps.
    fn find_topics(&mut self) -> Result<Vec<usize>, CommitFailure> {
        let Starter { parts, def, .. } = self.starter;
        if !matches!(def.topics, Some(Topics::Pattern(_))) {
            return Ok(Vec::new());
        }
        let committer = self.starter.committer(Part::Stream(def.name.clone()));
        let log = parts.log.as_ref();
        let mut names = committer.retry("look for topics", || def.topics_now(log))?;
        names.retain(|name| self.started.topics.iter().all(|reading| reading.topic.name != *name));
        let mut found = Vec::new();
        for name in names {
            let Some(topic) = committer.retry("ask for the topic", || log.topic(&name))? else { continue };
            tracing::info!(stream = def.name, topic = name, "a topic that matches was found");
            let (at, partitions) = (self.started.topics.len(), topic.partitions);
            let identity = self.starter.identity(&topic, self.started.topics[0].identity.definition);
            self.started.topics.push(Reading::new(topic, identity, StartAt::Earliest));
            self.enter(at);
            self.started.silver.know_partitions(partitions);
            self.decide_starts_of(at)?;
            found.push(at);
        }
        Ok(found)
    }
}

/// What covers offsets that are gone, where the stream wants to go on behind them.
fn lost(error: &PortError, def: &StreamDef) -> Option<Fetched> {
    let OffsetRange { partition, from, to } = error.range?;
    let declared = error.kind == ErrorKind::OutOfRange && !def.fail_on_data_loss;
    let gaps = vec![Gap { from, to, cause: GapCause::Retention }];
    declared.then(|| Fetched { partition, from, to, records: Records::default(), gaps, log_end: to })
}

/// The error, and what can be done.
fn told(error: &PortError, def: &StreamDef) -> String {
    let advice = match error.kind {
        ErrorKind::OutOfRange => format!(
            "they were not read and cannot be any more; to declare them lost and go on, set fail_on_data_loss: false for \
             stream {} and run again",
            def.name
        ),
        _ => "what was read is kept; nothing more of this partition is read until the log is right again".to_owned(),
    };
    format!("{}; {advice} (docs/runbooks/stopped-partition.md)", error.chain())
}
