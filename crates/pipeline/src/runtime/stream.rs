//! One stream at work: catch up from bronze, then epoch after epoch: fetch (`fetch.rs`), bronze, silver, gold; until a stop,
//! or until it is done (`ending.rs`).

use super::commit::CommitFailure;
use super::ending::{Ended, HeldBack, shown};
use super::fetch::{ByTopic, Collected, merge};
use super::health::{Condition, Part};
use super::models::Source;
use super::start::{Started, Starter, Upto};
use super::stopwatch::Stopwatch;
use super::topics::Reading;
use crate::bronze::{chunks_between, commits_between};
use crate::feed::Chunk;
use crate::silver::SilverCommit;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::books::Took;
use watertight_core::port::{ErrorKind, Fetched, GapCause, OffsetBounds};
use watertight_core::record::Records;

/// How often the topic is asked for new partitions.
const TOPIC_ASKED_EVERY: Duration = Duration::from_secs(1);

/// What bounds an epoch.
#[derive(Debug, Clone, Copy)]
pub struct CommitBounds {
    /// Time from the first record to the commit.
    pub interval: Duration,
    /// Records.
    pub rows_max: usize,
    /// Bytes of keys, values and headers.
    pub bytes_max: usize,
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RunUntil {
    /// When all that is in the log is committed.
    pub caught_up: bool,
    /// Then declare the input ended: close every open window.
    pub close_windows: bool,
    /// After this time.
    pub elapsed: Option<Duration>,
}

/// Why a stream, or a part of it, stopped.
#[derive(Debug, thiserror::Error)]
pub enum StreamFailure {
    /// Its failure; others go on.
    #[error("stream {stream}: {source}")]
    Failed {
        /// Stream name.
        stream: String,
        /// Why.
        source: CommitFailure,
    },
    /// A partition of it stopped; its others went on.
    #[error("stream {stream}: partition {partition} stopped: {error}")]
    PartitionStopped {
        /// Stream name.
        stream: String,
        /// Partition number.
        partition: i32,
        /// Why, with the exact range and what to do.
        error: String,
    },
    /// A partition of one of its topics stopped; all others went on.
    #[error("stream {stream}: partition {partition} of topic {topic} stopped: {error}")]
    TopicPartitionStopped {
        /// Stream name.
        stream: String,
        /// Topic name.
        topic: String,
        /// Partition number.
        partition: i32,
        /// Why, with the exact range and what to do.
        error: String,
    },
    /// It did all else that was asked, but could not declare the input ended: records that are written cannot be read yet.
    #[error(
        "stream {stream}: windows are left open, as a transaction is open before {}: these offsets are written and not read \
         yet, and would be late; run again when it has ended, `watertight status` says how to find one that stays",
        shown(.held_back)
    )]
    HeldBack {
        /// Stream name.
        stream: String,
        /// What is held back.
        held_back: Vec<HeldBack>,
    },
    /// A panic: a defect; everything stops.
    #[error(
        "{thread} panicked: {message}; this is a defect in watertight, nothing that was committed is affected: please report it"
    )]
    Panicked {
        /// Name of the thread.
        thread: String,
        /// The panic's message.
        message: String,
    },
}

/// Runs a stream until it is stopped, done, or failed.
pub(super) fn run_stream(starter: &Starter<'_>) -> Result<Ended, CommitFailure> {
    let part = Part::Stream(starter.def.name.clone());
    starter.health.forget_partitions(&starter.def.name);
    let started = starter.start()?;
    let mut worker = Worker { starter, started };
    worker.catch_up()?;
    starter.health.set(&part, Condition::Running);
    let ended = worker.live()?;
    starter.health.set(&part, Condition::Done);
    let version = worker.started.silver.table().state().version;
    worker.started.models.end(starter, version);
    Ok(ended)
}

/// Topics are told by their place in `started.topics`, which they keep.
pub(super) struct Worker<'a> {
    pub(super) starter: &'a Starter<'a>,
    pub(super) started: Started,
}

impl Worker<'_> {
    /// Turns to a topic: what is asked of bronze and silver, and committed, is of it from then on.
    pub(super) fn enter(&mut self, at: usize) {
        let Started { topics, bronze, silver, .. } = &mut self.started;
        let identity = &topics[at].identity;
        bronze.enter(identity);
        silver.enter(identity);
    }

    /// Feeds silver from bronze where a crash left it behind, in the order of bronze's commits.
    fn catch_up(&mut self) -> Result<(), CommitFailure> {
        if self.upto_bronze() {
            return Ok(());
        }
        let Started { topics, bronze, silver, .. } = &self.started;
        let mut behind = Vec::new();
        for (at, Reading { identity, .. }) in topics.iter().enumerate() {
            let positions = identity.positions(silver.table().state());
            let ends = identity.positions(bronze.table().state());
            if ends.iter().any(|(partition, to)| positions.get(partition) != Some(to)) {
                let commits = commits_between(bronze.table(), &identity.incarnation, &positions, &ends)?;
                behind.extend(commits.into_iter().map(|commit| (at, commit)));
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        behind.sort_by_key(|(_, commit)| commit.version);
        tracing::info!(stream = self.starter.def.name, commits = behind.len(), "catching silver up from bronze");
        for (at, commit) in behind {
            self.enter(at);
            let positions = self.started.silver.positions();
            let chunks = chunks_between(self.started.bronze.table(), &commit, &positions, None)?;
            self.silver(&chunks)?;
            if self.starter.stop.requested() {
                return Err(CommitFailure::Stopped);
            }
        }
        Ok(())
    }

    fn live(&mut self) -> Result<Ended, CommitFailure> {
        self.decide_starts()?;
        let mut readers = self.readers()?;
        let mut ends = if self.starter.setup.until.caught_up { Some(self.ends()?) } else { None };
        let mut asked = Instant::now();
        loop {
            let mut watch = Stopwatch::start(self.starter.parts.clock.as_ref());
            let Collected { fetched, trouble } = self.collect(&mut readers)?;
            let fetch_us = Some(watch.lap_us());
            if let Some((at, error)) = &trouble {
                // First: it holds the watermark for what this epoch brings of others, too.
                self.stop_partition(*at, error);
            }
            self.epoch(fetched, Took { fetch_us, ..Took::default() })?;
            if let Some((at, _)) = trouble {
                self.read_again(&mut readers, at)?;
            }
            if !self.upto_bronze() {
                self.declare_idle_partitions()?;
            }
            if self.started.silver.has_decisions() {
                self.silver(&[])?;
            }
            if self.starter.stop.requested() {
                return Ok(Ended::AsAsked);
            }
            self.open_models_again();
            if let Some(ends) = &mut ends
                && let Some(ended) = self.ended(ends)?
            {
                self.finish(&ended)?;
                return Ok(ended);
            }
            if asked.elapsed() >= TOPIC_ASKED_EVERY {
                asked = Instant::now();
                for at in self.topics_that_grew()? {
                    self.read_again(&mut readers, at)?;
                }
            }
        }
    }

    pub(super) fn bounds(&self, at: usize, partition: i32) -> Result<OffsetBounds, CommitFailure> {
        let Starter { parts, def, .. } = self.starter;
        let committer = self.starter.committer(Part::Stream(def.name.clone()));
        let topic = &self.started.topics[at].topic.name;
        committer.retry("ask for offsets", || parts.log.bounds(topic, partition))
    }

    /// Takes what was fetched, and where partitions begin, through all stages, a topic after the other in the order of
    /// their names; `took` says how long the fetching was, which the first one bears.
    fn epoch(&mut self, mut fetched: ByTopic, mut took: Took) -> Result<(), CommitFailure> {
        let has_some = |(at, reading): &(usize, &Reading)| fetched.contains_key(at) || !reading.starts.is_empty();
        let mut order: Vec<usize> = self.started.topics.iter().enumerate().filter(has_some).map(|(at, _)| at).collect();
        order.sort_by(|one, other| self.topic(*one).cmp(self.topic(*other)));
        for at in order {
            let of_topic = fetched.remove(&at).unwrap_or_default();
            self.epoch_of(at, of_topic, std::mem::take(&mut took))?;
        }
        Ok(())
    }

    pub(super) fn topic(&self, at: usize) -> &str {
        &self.started.topics[at].topic.name
    }

    /// Takes what was fetched of a topic, and where its partitions begin, through all stages; `took` says how long the
    /// fetching was.
    pub(super) fn epoch_of(&mut self, at: usize, fetched: Vec<Fetched>, mut took: Took) -> Result<(), CommitFailure> {
        self.enter(at);
        let committer = self.starter.committer(Part::Stream(self.starter.def.name.clone()));
        let incarnation = Arc::clone(&self.started.topics[at].identity.incarnation);
        let ingested_at_us = self.started.bronze.ingestion_time(self.starter.parts.clock.now_us());
        let mut watch = committer.stopwatch();
        let starts = std::mem::take(&mut self.started.topics[at].starts);
        let begun = starts.into_iter().map(|(partition, at)| {
            Chunk::new(incarnation.clone(), partition, (at, at), Records::default(), Vec::new(), ingested_at_us)
        });
        let fetched = merge(fetched).into_iter().map(|one| Chunk::from_log(one, &incarnation, ingested_at_us));
        let chunks: Vec<Chunk> = begun.chain(fetched).collect();
        took.build_us = Some(watch.lap_us());
        for chunk in &chunks {
            for gap in chunk.gaps.iter().filter(|gap| gap.cause != GapCause::NoRecord) {
                let (topic, partition) = (self.topic(at), chunk.partition);
                tracing::error!(%topic, partition, from = gap.from, to = gap.to, cause = ?gap.cause,
                    "offsets are lost: entered in the books as lost, and passed over");
            }
        }
        let began = Instant::now();
        self.started.bronze.commit(&chunks, took, &committer)?;
        if !self.upto_bronze() {
            self.silver(&chunks)?;
        }
        self.starter.health.note_commit(&committer.part, began.elapsed());
        Ok(())
    }

    /// Silver, and behind each of its commits the models.
    pub(super) fn silver(&mut self, chunks: &[Chunk]) -> Result<(), CommitFailure> {
        let starter = self.starter;
        let committer = starter.committer(Part::Stream(starter.def.name.clone()));
        let models = &mut self.started.models;
        let mut on_commit = |commit: SilverCommit| -> Result<(), CommitFailure> {
            models.feed(starter, &commit);
            Ok(())
        };
        self.started.silver.process(chunks, &committer, &mut on_commit)
    }

    fn declare_idle_partitions(&mut self) -> Result<(), CommitFailure> {
        (0..self.started.topics.len()).try_for_each(|at| self.declare_idle_partitions_of(at))
    }

    fn declare_idle_partitions_of(&mut self, at: usize) -> Result<(), CommitFailure> {
        let idle_after = Duration::from_micros(self.starter.def.event_time.idle_after_us.unsigned_abs());
        let Started { topics, silver, .. } = &mut self.started;
        let reading = &mut topics[at];
        silver.enter(&reading.identity);
        let (positions, time) = (silver.positions(), silver.time());
        let silent = reading.seen.iter().filter(|(partition, seen)| {
            !reading.stopped.contains(*partition) && !time.is_idle(**partition) && seen.elapsed() >= idle_after
        });
        let silent: Vec<i32> = silent.map(|(partition, _)| *partition).collect();
        for partition in silent {
            let position = positions.get(&partition).copied().unwrap_or(0);
            // The end, not what can be read: behind an open transaction lie records that come yet.
            match self.starter.parts.log.end(&reading.topic.name, partition) {
                Ok(end) if end == position => silver.declare_idle(partition, position),
                Ok(_) => {}
                // Its leader is away, or the broker does not know of it: whether it is idle nobody knows, and it must not
                // hold up the others. What stops the stream, whoever reads and whoever asks for the topic are told, too.
                Err(error) if matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown | ErrorKind::Stop) => {
                    tracing::debug!(partition, error = error.chain(), "not known whether it is idle");
                    reading.seen.insert(partition, Instant::now());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(super) fn upto_bronze(&self) -> bool {
        self.starter.setup.upto == Upto::Bronze
    }

    pub(super) fn open_models_again(&mut self) {
        let Started { topics, silver, models, .. } = &mut self.started;
        models.open_again(Source { starter: self.starter, identity: &topics[0].identity, silver });
    }
}
