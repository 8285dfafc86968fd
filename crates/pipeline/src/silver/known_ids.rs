//! The ids that silver holds: loaded from the checkpoint, completed or rebuilt from the table, kept up to date.
//!
//! The checkpoint is a cache. Whatever is wrong with it costs one warning and the time to read silver's ids. It never
//! claims a version whose ids it lacks: what could not be appended is made up for by a new base.

use super::judge::id_texts;
use crate::runtime::{in_background, is_gone, unusable};
use arrow::array::RecordBatch;
use std::time::{Duration, Instant};
use watertight_core::books::CommitKind;
use watertight_core::port::{DataFile, ErrorKind, LakeTable, PortError};
use watertight_state::{
    DuplicateIndex, IdHasher, IdKey, IndexOptions, Load, StateError, StateFolder, StateIdentity, StateStore,
};

/// Version of what keys mean; changes when the hash or the id's text does.
const FORMAT: u32 = 1;
/// A base that could not be written is not tried again before this: it holds all ids, and each commit would wait for it.
const BASE_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// The duplicate index of one silver table and its checkpoint.
pub struct KnownIds {
    /// The index: exactly the ids of the table's live rows and of the epoch under way.
    pub index: DuplicateIndex,
    folder: StateFolder,
    identity: StateIdentity,
    store: StateStore,
    hasher: IdHasher,
    /// Version of silver whose ids the index holds.
    covers: u64,
    /// When a base could not be written.
    base_failed: Option<Instant>,
}

impl KnownIds {
    /// Loads what the checkpoint has and reads the rest from `silver`; `told` hears how many rows of how many are read.
    ///
    /// # Errors
    /// When silver cannot be read, or the state folder cannot be opened. That no checkpoint can be written there is none.
    pub fn open(
        state: &StateFolder,
        pipeline: &str,
        stream: &str,
        silver: &dyn LakeTable,
        told: &dyn Fn(u64, u64),
    ) -> Result<Self, PortError> {
        let what = format!("silver.{stream}.ids");
        let identity = StateIdentity { pipeline: pipeline.to_owned(), what: what.clone(), format: FORMAT };
        let mut store = StateStore::open(state, identity.clone()).map_err(unusable)?;
        let options = IndexOptions::new(store.dir());
        let hasher = IdHasher::new(pipeline);
        let version = silver.state().version;
        let loaded = match store.load(&options).map_err(unusable)? {
            Load::Loaded(loaded) if loaded.upto.is_none_or(|upto| upto <= version) => {
                if let Some(cut) = &loaded.cut {
                    tracing::info!(%what, file = cut.file, why = cut.why, "the end of the checkpoint was cut off");
                }
                Some(loaded)
            }
            Load::Loaded(loaded) => {
                tracing::warn!(%what, checkpoint = loaded.upto, table = version, "checkpoint is ahead of its table: rebuilding");
                None
            }
            Load::Rebuild(reason) => {
                if silver.state().last_append.is_some() {
                    tracing::warn!(%what, %reason, "rebuilding the duplicate index from silver");
                }
                None
            }
        };
        let (upto, index) = loaded.map_or_else(|| (None, DuplicateIndex::new(options)), |l| (l.upto, l.index));
        let folder = state.clone();
        let mut known = Self { index, folder, identity, store, hasher, covers: version, base_failed: None };
        if upto.is_none() {
            known.index = DuplicateIndex::new(IndexOptions::new(known.store.dir()));
            known.read_all(silver, &silver.live_files()?, told)?;
        } else if upto < Some(version) {
            let mut commits = silver.commits_after(upto)?;
            commits.retain(|commit| commit.books.as_ref().is_some_and(|books| books.kind == CommitKind::Append));
            let files: Vec<DataFile> = commits.into_iter().flat_map(|commit| commit.files).collect();
            known.read_all(silver, &files, told)?;
        }
        if upto != Some(version) {
            let written = known.write_base();
            tell(written);
        }
        Ok(known)
    }

    /// The hasher of this pipeline's ids.
    #[must_use]
    pub fn hasher(&self) -> IdHasher {
        self.hasher.clone()
    }

    fn read_all(
        &mut self,
        silver: &dyn LakeTable,
        files: &[DataFile],
        told: &dyn Fn(u64, u64),
    ) -> Result<(), PortError> {
        let (mut done, of) = (0, files.iter().map(|file| file.rows).sum());
        for file in files {
            told(done, of);
            self.read(silver, file)?;
            done += file.rows;
        }
        told(of, of);
        Ok(())
    }

    fn read(&mut self, silver: &dyn LakeTable, file: &DataFile) -> Result<(), PortError> {
        for batch in silver.read(file, &["event_id"])? {
            let batch: RecordBatch = batch?;
            let texts = id_texts(batch.column(0))
                .map_err(|e| PortError::caused(ErrorKind::Bug, "silver's event_id could not be read as text", e))?;
            for id in texts.iter() {
                self.index.insert(self.hasher.hash(id.unwrap_or_default().as_bytes())).map_err(unusable)?;
            }
        }
        Ok(())
    }

    /// Notes that silver's version `version` made these keys known. A checkpoint that cannot be written is left
    /// behind: the next start reads more from the table.
    pub fn committed(&mut self, version: u64, keys: &[IdKey]) {
        let before = std::mem::replace(&mut self.covers, version);
        // Into a file that was deleted while it is open one can go on writing.
        let written = if self.store.dir().is_dir() { self.append(before, version, keys) } else { self.begin_anew() };
        tell(written);
    }

    fn append(&mut self, before: u64, version: u64, keys: &[IdKey]) -> Result<(), StateError> {
        match self.store.append_ids(Some(before), version, keys) {
            Ok(()) => {}
            Err(StateError::NotNext { .. } | StateError::NoBase) => return self.write_base(),
            Err(error) if is_gone(&error) => return self.begin_anew(),
            Err(error) => return Err(error),
        }
        if let Some(job) = self.store.compact_if_due()? {
            // The files it would replace stay good until it is done, however it ends.
            in_background("compact checkpoint", move || {
                job.run().unwrap_or_else(|error| tracing::warn!(%error, "checkpoint not compacted"));
            });
        }
        Ok(())
    }

    /// The state folder was deleted while running: makes it again.
    fn begin_anew(&mut self) -> Result<(), StateError> {
        if !self.store.dir().is_dir() {
            self.store = StateStore::open(&self.folder, self.identity.clone())?;
            self.base_failed = None;
        }
        self.write_base()
    }

    fn write_base(&mut self) -> Result<(), StateError> {
        if self.base_failed.is_some_and(|at| at.elapsed() < BASE_AGAIN_AFTER) {
            return Ok(());
        }
        let written = self.store.write_base(Some(self.covers), &self.index);
        self.base_failed = written.is_err().then(Instant::now);
        written
    }
}

fn tell(written: Result<(), StateError>) {
    if let Err(error) = written {
        tracing::warn!(%error, "the duplicate index's checkpoint was not written; a start will take longer");
    }
}

#[cfg(test)]
mod tests;
