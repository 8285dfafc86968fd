//! Chunks → dead letters and gaps, then silver, each committed with its own position.

use super::fold::{Folded, SilverFold};
use super::gaps::GapsTable;
use super::judge::Judge;
use super::known_ids::KnownIds;
use super::rows::{dead_letter_rows, silver_rows};
use super::time::StreamTime;
use crate::feed::{Chunk, DayRows};
use crate::runtime::{CommitFailure, Committer, Draft, StreamIdentity};
use std::collections::BTreeMap;
use watertight_core::books::{Checksum, Entry, Layer, Outcome, TimeDecision, Took};
use watertight_core::port::{DataFile, ErrorKind, LakeTable, PortError};
use watertight_core::position::Positions;
use watertight_core::schema::EventTimeRule;

/// A silver commit as later stages are fed with it.
#[derive(Debug)]
pub struct SilverCommit {
    /// Version of the silver table.
    pub version: u64,
    /// The rows, by event day.
    pub rows: Vec<DayRows>,
    /// The stream's watermark after it.
    pub watermark_us: Option<i64>,
    /// All positions of silver after it, those of earlier lives of the topic too.
    pub positions: Positions,
}

/// Receives each silver commit once it is durable.
pub type OnCommit<'a> = &'a mut dyn FnMut(SilverCommit) -> Result<(), CommitFailure>;

/// Silver and dead letters of one stream.
pub struct SilverStage {
    silver: Box<dyn LakeTable>,
    dead_letters: Box<dyn LakeTable>,
    gaps: GapsTable,
    identity: StreamIdentity,
    judge: Judge,
    time: StreamTime,
    known: KnownIds,
    decisions: Vec<TimeDecision>,
}

impl SilverStage {
    /// Takes over the tables at their newest versions; `known` holds exactly the ids that silver holds.
    #[must_use]
    pub fn new(
        silver: Box<dyn LakeTable>,
        dead_letters: Box<dyn LakeTable>,
        gaps: GapsTable,
        identity: StreamIdentity,
        judge: Judge,
        time: StreamTime,
        known: KnownIds,
    ) -> Self {
        Self { silver, dead_letters, gaps, identity, judge, time, known, decisions: Vec::new() }
    }

    /// Next offset by partition, of the topic at hand in its present life.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.identity.positions(self.silver.state())
    }

    /// All positions of silver: of this life of the topic, and of those that are over.
    #[must_use]
    pub fn positions_of_all_lives(&self) -> Positions {
        let positions = self.silver.state().positions.iter();
        let ours = positions.filter(|(key, _)| key.pipeline == self.identity.pipeline);
        ours.map(|(key, next)| (key.clone(), *next)).collect()
    }

    /// The silver table, for reading back.
    #[must_use]
    pub fn table(&self) -> &dyn LakeTable {
        self.silver.as_ref()
    }

    /// The table of dead letters, for reading back.
    #[must_use]
    pub fn dead_letters(&self) -> &dyn LakeTable {
        self.dead_letters.as_ref()
    }

    /// The stream's time.
    #[must_use]
    pub fn time(&self) -> &StreamTime {
        &self.time
    }

    /// Next offset by partition of the current incarnation up to which dead letters are written: ahead of silver's where
    /// the process died between the two commits.
    #[must_use]
    pub fn dead_letter_positions(&self) -> BTreeMap<i32, i64> {
        self.identity.positions(self.dead_letters.state())
    }

    /// Goes on under another definition, or in another life of the topic, from the next record. Time goes on: windows
    /// may be closed up to where it is.
    pub fn go_on_as(&mut self, identity: StreamIdentity, judge: Judge, rule: &EventTimeRule) {
        self.time.redefine(rule);
        self.judge = judge;
        self.enter(&identity);
    }

    /// Turns to another topic that the stream reads: what is asked, told and committed from then on is of it.
    pub fn enter(&mut self, identity: &StreamIdentity) {
        self.time.enter(&identity.topic);
        self.identity.clone_from(identity);
    }

    /// Records that the partitions of topics that are not among `read` are idle: nothing would move them any more.
    pub fn let_go_topics(&mut self, read: &[&str]) {
        let at_hand = self.identity.topic.clone();
        for topic in self.time.topics().into_iter().filter(|topic| !read.contains(&topic.as_str())) {
            self.time.enter(&topic);
            self.let_go_partitions(0);
        }
        self.time.enter(&at_hand);
    }

    /// Makes partitions `0..count` of the topic at hand known to the stream's time.
    pub fn know_partitions(&mut self, count: i32) {
        let lifted = self.time.know(count);
        self.decisions.extend(lifted);
    }

    /// Records that partitions from `count` on are idle, for as long as the topic does not have them: an earlier life
    /// of it had, nothing would move them any more, and they would hold the stream back for good.
    pub fn let_go_partitions(&mut self, count: i32) {
        for partition in self.time.known_from(count) {
            self.declare_idle(partition, 0);
        }
    }

    /// Records that a partition that stopped holds the stream back: what it was idle for is over, and nobody knows the
    /// times of what it does not bring. Written with the next commit.
    pub fn hold(&mut self, partition: i32, at: i64) {
        self.decisions.extend(self.time.wake(partition, at));
    }

    /// Records that a partition was idle for the declared time; written with the next commit.
    pub fn declare_idle(&mut self, partition: i32, at: i64) {
        self.decisions.extend(self.time.idle(partition, at));
    }

    /// Records the end of input: every watermark is raised to `watermark_us`.
    pub fn declare_end(&mut self, watermark_us: i64) {
        let decision = self.time.end(watermark_us);
        self.decisions.push(decision);
    }

    /// Whether decisions wait for a commit.
    #[must_use]
    pub fn has_decisions(&self) -> bool {
        !self.decisions.is_empty()
    }

    /// Takes the chunks, which continue the stored positions, through judgement and fold, and commits: once, or
    /// more often where too many event dates are touched. A chunk that covers no offset makes durable where its partition
    /// begins.
    ///
    /// # Errors
    /// See [`CommitFailure`]. After an error the stage's state is behind or ahead of the tables: build it anew.
    pub fn process(
        &mut self,
        chunks: &[Chunk],
        committer: &Committer<'_>,
        on_commit: OnCommit<'_>,
    ) -> Result<(), CommitFailure> {
        let mut folded = Folded::with_decisions(std::mem::take(&mut self.decisions));
        let (mut took, mut watch) = (Took::default(), committer.stopwatch());
        for (number, chunk) in chunks.iter().enumerate() {
            if chunk.from == chunk.to {
                folded.begin(chunk.partition, chunk.from);
                continue;
            }
            let judged = self.judge.judge(&chunk.records)?;
            *took.judge_us.get_or_insert(0) += watch.lap_us();
            let mut from_row = Some(0);
            while let Some(row) = from_row {
                let mut fold = SilverFold { time: &mut self.time, index: &mut self.known.index };
                from_row = fold.fold(number, chunk, &judged, row, &mut folded)?;
                *took.fold_us.get_or_insert(0) += watch.lap_us();
                if from_row.is_some() {
                    let full = (std::mem::take(&mut folded), std::mem::take(&mut took));
                    self.commit(chunks, full, committer, on_commit)?;
                    watch = committer.stopwatch();
                }
            }
        }
        self.commit(chunks, (folded, took), committer, on_commit)
    }

    fn commit(
        &mut self,
        chunks: &[Chunk],
        (folded, took): (Folded, Took),
        committer: &Committer<'_>,
        on_commit: OnCommit<'_>,
    ) -> Result<(), CommitFailure> {
        if folded.is_empty() {
            return Ok(());
        }
        for entry in folded.entries.values() {
            entry.check_offsets().map_err(CommitFailure::Imbalance)?;
            entry.check_outcomes().map_err(CommitFailure::Imbalance)?;
        }
        self.time.advance();
        self.commit_dead_letters(chunks, &folded, committer)?;
        let declared_at_us = chunks.first().map_or(0, |chunk| chunk.ingested_at_us);
        self.gaps.commit(&self.identity, &folded.entries, declared_at_us, committer)?;
        let mut books = self.identity.books(committer.fresh_id());
        books.took = took;
        let (columns, mut watch) = (self.silver.columns(), committer.stopwatch());
        let topic = self.time.is_by_topic().then_some(self.identity.topic.as_str());
        let rows = silver_rows(&columns, &folded, self.identity.definition, topic).map_err(|e| bug("silver", e))?;
        books.took.build_us = Some(watch.lap_us());
        let files = stage(self.silver.as_mut(), &rows, committer)?;
        books.rows = rows.iter().map(|(_, rows)| rows.num_rows() as u64).sum();
        books.entries = folded.entries.into_values().collect();
        books.watermarks = Some(self.time.watermarks());
        books.largest_event_time_us = self.time.largest_us();
        books.decisions = folded.decisions;
        let steps = self.identity.steps(&self.positions(), &books);
        let draft = Draft { layer: Layer::Silver, steps, files, books };
        let version = committer.append(self.silver.as_mut(), draft)?;
        let (watermark_us, positions) = (self.time.stream_us(), self.positions_of_all_lives());
        self.known.committed(version, &folded.keys);
        on_commit(SilverCommit { version, rows, watermark_us, positions })
    }

    /// Dead letters come before silver, so what silver's position covers is always here; what a crash in between
    /// left behind silver is recognised by this table's own position and not written twice. That is right only as long as
    /// the same definition judges: a start under another one first brings silver up to here (`runtime::unfinished`).
    fn commit_dead_letters(
        &mut self,
        chunks: &[Chunk],
        folded: &Folded,
        committer: &Committer<'_>,
    ) -> Result<(), CommitFailure> {
        let stored = self.dead_letter_positions();
        let position = |chunk: &Chunk, row: usize| (chunk.partition, chunk.records.metas()[row].offset);
        let mut letters = folded.dead_letters.clone();
        letters.retain(|letter| {
            let (partition, offset) = position(&chunks[letter.chunk], letter.row);
            stored.get(&partition).is_none_or(|next| offset >= *next)
        });
        if letters.is_empty() {
            return Ok(());
        }
        let mut books = self.identity.books(committer.fresh_id());
        books.rows = letters.len() as u64;
        let mut entries: BTreeMap<i32, Entry> = BTreeMap::new();
        for entry in folded.entries.values() {
            let from = stored.get(&entry.partition).copied().unwrap_or(entry.from);
            if entry.to > from {
                let blank = Entry { partition: entry.partition, from, to: entry.to, ..Entry::default() };
                entries.insert(entry.partition, blank);
            }
        }
        for letter in &letters {
            let chunk = &chunks[letter.chunk];
            if let Some(entry) = entries.get_mut(&chunk.partition) {
                entry.outcome.add(&Outcome { dead_letters: 1, ..Outcome::default() });
                let mut sum = Checksum(entry.checksum.0);
                sum.add(chunk.checksums[letter.row]);
                entry.checksum = sum;
            }
        }
        books.entries = entries.into_values().collect();
        let (columns, mut watch) = (self.dead_letters.columns(), committer.stopwatch());
        let rows = dead_letter_rows(&columns, &self.identity.topic, chunks, &letters, self.identity.definition)
            .map_err(|e| bug("dead letter", e))?;
        books.took.build_us = Some(watch.lap_us());
        let files = stage(self.dead_letters.as_mut(), &rows, committer)?;
        let steps = self.identity.steps(&stored, &books);
        let draft = Draft { layer: Layer::DeadLetters, steps, files, books };
        committer.append(self.dead_letters.as_mut(), draft).map(drop)
    }
}

fn stage(
    table: &mut dyn LakeTable,
    rows: &[DayRows],
    committer: &Committer<'_>,
) -> Result<Vec<DataFile>, CommitFailure> {
    rows.iter().map(|(day, rows)| committer.retry("stage rows", || table.stage(*day, rows))).collect()
}

fn bug(what: &str, source: arrow::error::ArrowError) -> PortError {
    PortError::caused(ErrorKind::Bug, format!("{what} rows could not be built"), source)
}
