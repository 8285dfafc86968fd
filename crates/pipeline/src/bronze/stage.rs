//! Chunks → one bronze commit.

use super::rows::bronze_batch;
use crate::feed::{Chunk, utc_day};
use crate::runtime::{CommitFailure, Committer, Draft, StreamIdentity};
use std::collections::BTreeMap;
use watertight_core::books::{Checksum, Entry, Layer, Outcome, Took};
use watertight_core::port::{ErrorKind, LakeTable, PortError};

/// Bronze of one stream. What is asked and committed is of the topic at hand ([`BronzeStage::enter`]).
pub struct BronzeStage {
    table: Box<dyn LakeTable>,
    identity: StreamIdentity,
    ingested_at_us: i64,
    /// As `Books::leader_epochs`, of the topic at hand.
    leader_epochs: BTreeMap<i32, i32>,
    /// Of the other topics that the stream reads, by incarnation.
    epochs_of_others: BTreeMap<String, BTreeMap<i32, i32>>,
}

impl BronzeStage {
    /// Takes over the table at its newest version. `identity` is that of the first topic, which is at hand then, `others`
    /// are those of the others.
    #[must_use]
    pub fn new<'a>(
        table: Box<dyn LakeTable>,
        identity: StreamIdentity,
        others: impl Iterator<Item = &'a StreamIdentity>,
    ) -> Self {
        let last = table.state().last_append.as_ref();
        let ingested_at_us = last.map_or(i64::MIN, |books| books.ingested_at_us);
        let recorded = |of: &StreamIdentity| -> BTreeMap<i32, i32> {
            let Some(books) = last else { return BTreeMap::new() };
            if books.topic == of.topic && *books.incarnation == *of.incarnation {
                return books.leader_epochs.clone();
            }
            books.leader_epochs_of_others.get(&*of.incarnation).cloned().unwrap_or_default()
        };
        let leader_epochs = recorded(&identity);
        let others = others.map(|of| (of.incarnation.to_string(), recorded(of)));
        let epochs_of_others = others.filter(|(_, epochs)| !epochs.is_empty()).collect();
        Self { table, identity, ingested_at_us, leader_epochs, epochs_of_others }
    }

    /// Turns to another topic that the stream reads.
    pub fn enter(&mut self, identity: &StreamIdentity) {
        if self.identity.incarnation != identity.incarnation {
            let entered = self.epochs_of_others.remove(&*identity.incarnation).unwrap_or_default();
            let left = std::mem::replace(&mut self.leader_epochs, entered);
            if !left.is_empty() {
                self.epochs_of_others.insert(self.identity.incarnation.to_string(), left);
            }
        }
        self.identity.clone_from(identity);
    }

    /// The table, for reading back.
    #[must_use]
    pub fn table(&self) -> &dyn LakeTable {
        self.table.as_ref()
    }

    /// Next offset by partition, of the topic at hand in its present life.
    #[must_use]
    pub fn positions(&self) -> BTreeMap<i32, i64> {
        self.identity.positions(self.table.state())
    }

    /// Whether it holds positions of any topic: if not, nothing was ever read.
    #[must_use]
    pub fn has_any(&self) -> bool {
        self.table.state().positions.keys().any(|key| key.pipeline == self.identity.pipeline)
    }

    /// Whether it holds positions of this topic, in this life of it or an earlier one: if not, it is read for the first
    /// time.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        let StreamIdentity { pipeline, topic, .. } = &self.identity;
        self.table.state().positions.keys().any(|key| key.pipeline == *pipeline && key.topic == *topic)
    }

    /// By partition, the epoch of the leader that wrote the record right before its position, as far as that is known.
    #[must_use]
    pub fn leader_epochs(&self) -> &BTreeMap<i32, i32> {
        &self.leader_epochs
    }

    /// The time that what is ingested now bears: the clock's, but never less than what was written before.
    pub fn ingestion_time(&mut self, now_us: i64) -> i64 {
        self.ingested_at_us = self.ingested_at_us.max(now_us);
        self.ingested_at_us
    }

    /// Commits the chunks, which continue the stored positions; `took` is what having them took. Nothing is written for
    /// none. One that covers no offset makes durable where its partition begins.
    ///
    /// # Errors
    /// See [`CommitFailure`].
    pub fn commit(
        &mut self,
        chunks: &[Chunk],
        took: Took,
        committer: &Committer<'_>,
    ) -> Result<Option<u64>, CommitFailure> {
        let Some(ingested_at_us) = chunks.first().map(|chunk| chunk.ingested_at_us) else { return Ok(None) };
        let mut watch = committer.stopwatch();
        let mut books = self.identity.books(committer.fresh_id());
        books.took = took;
        books.ingested_at_us = ingested_at_us;
        books.entries = entries(chunks);
        books.leader_epochs = epochs_after(self.leader_epochs.clone(), chunks);
        books.leader_epochs_of_others.clone_from(&self.epochs_of_others);
        let leader_epochs = books.leader_epochs.clone();
        for entry in &books.entries {
            entry.check_offsets().map_err(CommitFailure::Imbalance)?;
            books.rows += entry.outcome.records;
        }
        let stored = self.positions();
        let steps = self.identity.steps(&stored, &books);
        let rows = books.rows;
        let columns = self.table.columns();
        let batch = bronze_batch(&columns, &self.identity.topic, chunks, ingested_at_us)
            .map_err(|e| PortError::caused(ErrorKind::Bug, "bronze rows could not be built", e))?;
        *books.took.build_us.get_or_insert(0) += watch.lap_us();
        let mut files = Vec::new();
        if rows > 0 {
            files.push(committer.retry("stage bronze", || self.table.stage(utc_day(ingested_at_us), &batch))?);
        }
        let draft = Draft { layer: Layer::Bronze, steps, files, books };
        let version = committer.append(self.table.as_mut(), draft)?;
        self.leader_epochs = leader_epochs;
        Ok(Some(version))
    }
}

/// The leaders' epochs after these chunks. An epoch is known only of a record that lies right before the position: what
/// lies between (a transaction's marker) may be of a later one, and to say an older epoch of a later offset would look as
/// if the log had been cut off there.
fn epochs_after(mut epochs: BTreeMap<i32, i32>, chunks: &[Chunk]) -> BTreeMap<i32, i32> {
    for chunk in chunks.iter().filter(|chunk| chunk.from < chunk.to) {
        let last = chunk.records.metas().last().filter(|last| last.offset + 1 == chunk.to && last.leader_epoch >= 0);
        match last {
            Some(last) => epochs.insert(chunk.partition, last.leader_epoch),
            None => epochs.remove(&chunk.partition),
        };
    }
    epochs
}

fn entries(chunks: &[Chunk]) -> Vec<Entry> {
    let mut entries: BTreeMap<i32, Entry> = BTreeMap::new();
    for chunk in chunks {
        let entry = entries.entry(chunk.partition).or_insert_with(|| Entry {
            partition: chunk.partition,
            from: chunk.from,
            to: chunk.from,
            ..Entry::default()
        });
        let (no_record, lost) = chunk.without_record(chunk.from, chunk.to);
        entry.to = chunk.to;
        entry.outcome.add(&Outcome { records: chunk.records.len() as u64, no_record, lost, ..Outcome::default() });
        entry.gaps.extend(&chunk.gaps);
        let mut sum = Checksum(entry.checksum.0);
        chunk.checksums.iter().for_each(|one| sum.add(*one));
        entry.checksum = sum;
    }
    entries.into_values().collect()
}
