//! One stream at work: catch up from bronze, then epoch after epoch: fetch (`fetch.rs`), bronze, silver, gold; until a stop,
//! or until it is done (`ending.rs`).

use super::commit::CommitFailure;
use super::ending::{Ended, shown};
use super::fetch::Collected;
use super::health::{Condition, Part};
use super::models::Source;
use super::start::{Started, Starter, Upto};
use super::stopwatch::Stopwatch;
use crate::bronze::{chunks_between, commits_between};
use crate::feed::Chunk;
use crate::silver::SilverCommit;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::books::Took;
use watertight_core::port::{ErrorKind, Fetched, GapCause, OffsetBounds, OffsetRange, PortError};
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
    /// Then declare the input ended: close every open window. Not while an open transaction holds records back.
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
        held_back: Vec<OffsetRange>,
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
    let (seen, starts, stopped) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut worker = Worker { starter, started, seen, starts, stopped };
    worker.catch_up()?;
    starter.health.set(&part, Condition::Running);
    let ended = worker.live()?;
    starter.health.set(&part, Condition::Done);
    let version = worker.started.silver.table().state().version;
    worker.started.models.end(starter, version);
    Ok(ended)
}

pub(super) struct Worker<'a> {
    pub(super) starter: &'a Starter<'a>,
    pub(super) started: Started,
    /// When each partition last had a record, or was first looked at.
    pub(super) seen: BTreeMap<i32, Instant>,
    /// Where partitions begin, as far as it is decided and not in the tables yet: it is with the next epoch.
    pub(super) starts: BTreeMap<i32, i64>,
    /// Partitions that stopped, and are not read.
    pub(super) stopped: BTreeSet<i32>,
}

impl Worker<'_> {
    /// Feeds silver from bronze where a crash left it behind.
    fn catch_up(&mut self) -> Result<(), CommitFailure> {
        let table = self.started.bronze.table();
        let behind = |positions: &BTreeMap<i32, i64>, bronze: &BTreeMap<i32, i64>| {
            bronze.iter().any(|(partition, to)| positions.get(partition) != Some(to))
        };
        let (silver, bronze) = (self.started.silver.positions(), self.started.bronze.positions());
        if self.upto_bronze() || !behind(&silver, &bronze) {
            return Ok(());
        }
        let incarnation = self.started.identity.incarnation.clone();
        let commits = commits_between(table, &incarnation, &silver, &bronze)?;
        tracing::info!(stream = self.starter.def.name, commits = commits.len(), "catching silver up from bronze");
        for commit in commits {
            let at = self.started.silver.positions();
            let chunks = chunks_between(self.started.bronze.table(), &commit, &at, None)?;
            self.silver(&chunks)?;
            if self.starter.stop.requested() {
                return Err(CommitFailure::Stopped);
            }
        }
        Ok(())
    }

    fn live(&mut self) -> Result<Ended, CommitFailure> {
        self.decide_starts()?;
        let mut reader = self.reader()?;
        let mut ends = if self.starter.setup.until.caught_up { Some(self.ends()?) } else { None };
        let mut asked = Instant::now();
        loop {
            let mut watch = Stopwatch::start(self.starter.parts.clock.as_ref());
            let Collected { fetched, trouble } = self.collect(reader.as_mut())?;
            let fetch_us = Some(watch.lap_us());
            if let Some(error) = &trouble {
                self.stop_partition(error); // First: it holds the watermark for what this epoch brings of others, too.
            }
            if !fetched.is_empty() || !self.starts.is_empty() {
                self.epoch(fetched, Took { fetch_us, ..Took::default() })?;
            }
            if trouble.is_some() {
                reader = self.reader()?;
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
                if self.topic_grew()? {
                    reader = self.reader()?;
                }
            }
        }
    }

    pub(super) fn bounds(&self, partition: i32) -> Result<OffsetBounds, CommitFailure> {
        let Starter { parts, def, .. } = self.starter;
        let committer = self.starter.committer(Part::Stream(def.name.clone()));
        committer.retry("ask for offsets", || parts.log.bounds(&def.topic, partition))
    }

    /// Takes what was fetched, and where partitions begin, through all stages; `took` says how long the fetching was.
    pub(super) fn epoch(&mut self, fetched: Vec<Fetched>, mut took: Took) -> Result<(), CommitFailure> {
        let committer = self.starter.committer(Part::Stream(self.starter.def.name.clone()));
        let incarnation: Arc<str> = self.started.topic.incarnation.as_str().into();
        let ingested_at_us = self.started.bronze.ingestion_time(self.starter.parts.clock.now_us());
        let mut watch = committer.stopwatch();
        let begun = std::mem::take(&mut self.starts).into_iter().map(|(partition, at)| {
            Chunk::new(incarnation.clone(), partition, (at, at), Records::default(), Vec::new(), ingested_at_us)
        });
        let fetched = fetched.into_iter().map(|one| Chunk::from_log(one, &incarnation, ingested_at_us));
        let chunks: Vec<Chunk> = begun.chain(fetched).collect();
        took.build_us = Some(watch.lap_us());
        for chunk in &chunks {
            for gap in chunk.gaps.iter().filter(|gap| gap.cause != GapCause::NoRecord) {
                let (topic, partition) = (&self.starter.def.topic, chunk.partition);
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
        let def = self.starter.def;
        let idle_after = Duration::from_micros(def.event_time.idle_after_us.unsigned_abs());
        let positions = self.started.silver.positions();
        let time = self.started.silver.time();
        let silent = self.seen.iter().filter(|(partition, seen)| {
            !self.stopped.contains(*partition) && !time.is_idle(**partition) && seen.elapsed() >= idle_after
        });
        let silent: Vec<i32> = silent.map(|(partition, _)| *partition).collect();
        for partition in silent {
            let at = positions.get(&partition).copied().unwrap_or(0);
            // The end, not what can be read: behind an open transaction lie records that come yet.
            match self.starter.parts.log.end(&def.topic, partition) {
                Ok(end) if end == at => self.started.silver.declare_idle(partition, at),
                Ok(_) => {}
                // Its leader is away: whether it is idle nobody knows, and it must not hold up the others.
                Err(error) if matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown) => {
                    tracing::debug!(partition, error = error.chain(), "not known whether it is idle");
                    self.seen.insert(partition, Instant::now());
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
        let Started { silver, models, identity, .. } = &mut self.started;
        models.open_again(Source { starter: self.starter, identity, silver });
    }

    fn topic_grew(&mut self) -> Result<bool, CommitFailure> {
        let name = &self.starter.def.topic;
        let committer = self.starter.committer(Part::Stream(self.starter.def.name.clone()));
        let Some(topic) = committer.retry("ask for the topic", || self.starter.parts.log.topic(name))? else {
            let message = format!(
                "topic {name} was deleted while it was read; nothing was skipped: create it again or remove the stream"
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        };
        if topic.incarnation != self.started.topic.incarnation {
            let message = format!(
                "topic {name} was deleted and created anew while it was read; restart to read the new one from its beginning"
            );
            return Err(PortError::new(ErrorKind::Stop, message).into());
        }
        let grew = topic.partitions > self.started.topic.partitions;
        if grew {
            self.started.silver.know_partitions(topic.partitions);
            self.started.topic = topic;
        }
        Ok(grew)
    }
}
