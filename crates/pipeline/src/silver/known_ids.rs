//! The ids that silver holds: loaded from the checkpoint, completed or rebuilt from the table, kept up to date.
//!
//! The checkpoint is a cache. Whatever is wrong with it costs one warning and the time to read silver's ids.

use super::transform::id_texts;
use arrow::array::RecordBatch;
use std::path::Path;
use watertight_core::books::CommitKind;
use watertight_core::port::{DataFile, ErrorKind, LakeTable, PortError};
use watertight_state::{DuplicateIndex, IdHasher, IdKey, IndexOptions, Load, StateError, StateIdentity, StateStore};

/// Version of what keys mean; changes when the hash or the id's text does.
const FORMAT: u32 = 1;

/// The duplicate index of one silver table and its checkpoint.
pub struct KnownIds {
    /// The index: exactly the ids of the table's live rows and of the epoch under way.
    pub index: DuplicateIndex,
    store: StateStore,
    hasher: IdHasher,
}

impl KnownIds {
    /// Loads what the checkpoint has and reads the rest from `silver`.
    ///
    /// # Errors
    /// When silver cannot be read, or the state folder cannot be used.
    pub fn open(state_dir: &Path, pipeline: &str, stream: &str, silver: &dyn LakeTable) -> Result<Self, PortError> {
        let what = format!("silver.{stream}.ids");
        let identity = StateIdentity { pipeline: pipeline.to_owned(), what: what.clone(), format: FORMAT };
        let mut store = StateStore::open(state_dir, identity).map_err(unusable)?;
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
        let mut known = Self { index, store, hasher };
        if upto.is_none() {
            known.index = DuplicateIndex::new(IndexOptions::new(known.store.dir()));
            for file in silver.live_files()? {
                known.read(silver, &file)?;
            }
        } else if upto < Some(version) {
            for commit in silver.commits_after(upto)? {
                let append = commit.books.as_ref().is_some_and(|books| books.kind == CommitKind::Append);
                for file in commit.files.iter().filter(|_| append) {
                    known.read(silver, file)?;
                }
            }
        }
        if upto != Some(version) {
            known.store.write_base(Some(version), &known.index).map_err(unusable)?;
        }
        Ok(known)
    }

    /// The hasher of this pipeline's ids.
    #[must_use]
    pub fn hasher(&self) -> IdHasher {
        self.hasher.clone()
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
        let appended = self.store.append_ids(self.store.upto(), version, keys);
        let kept = match appended {
            Err(StateError::NotNext { .. } | StateError::NoBase) => self.store.write_base(Some(version), &self.index),
            other => other,
        };
        let compacted = kept.and_then(|()| self.store.compact_if_due()).map(|job| {
            if let Some(job) = job {
                let run = || job.run().unwrap_or_else(|error| tracing::warn!(%error, "checkpoint not compacted"));
                let _detached = std::thread::Builder::new().name("compact checkpoint".to_owned()).spawn(run);
            }
        });
        if let Err(error) = compacted {
            tracing::warn!(%error, "the duplicate index's checkpoint was not written; a start will take longer");
        }
    }
}

fn unusable(error: StateError) -> PortError {
    let advice = "the state folder cannot be used; free space or fix its permissions, or delete it: it is rebuilt from the tables";
    PortError::caused(ErrorKind::Stop, format!("{advice}: {error}"), error)
}
