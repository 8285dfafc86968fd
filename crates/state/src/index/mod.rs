//! The duplicate index: an exact set of keys with undo.
//!
//! Keys are split over 64 shards by their upper bits. Each shard has a table in memory (recent keys) and sorted runs
//! on disk (older ones). When the tables hold more than allowed, the fullest shard is written out as a run; so a spill
//! moves a sixty-fourth of the keys, takes some tens of milliseconds, and spills come spread out. A shard's runs are
//! merged whenever a younger one is more than half its elder's size: their number stays logarithmic.
//!
//! Keys inserted since the oldest open mark are journaled and stay in memory, because they may be undone; so memory
//! is `recent_keys_max` plus what open epochs insert, which the epoch's own bounds limit.
//!
//! Never a false duplicate, never a missed one: filters only spare reads, each page read is checked against its
//! checksum, and what cannot be read is an error.

mod page_cache;
mod run;

#[cfg(test)]
mod tests;

use crate::{IdKey, StateError};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use page_cache::PageCache;
use run::{PAGE_BYTES, PAGE_KEYS, Run, page_keys};
use std::collections::VecDeque;
use std::path::PathBuf;

const SHARD_BITS: u32 = 6;
const SHARDS: usize = 1 << SHARD_BITS;

/// Default of [`IndexOptions::recent_keys_max`]: 12 million keys take 285 MB (17 bytes a slot, tables at most 7/8 full).
pub const RECENT_KEYS_MAX: usize = 12_000_000;

/// Whether a key was in the set before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was not; it is now.
    New,
    /// It was.
    Duplicate,
}

/// Where runs go and how many keys stay in memory.
#[derive(Debug, Clone)]
pub struct IndexOptions {
    /// Folder for runs; must exist. Files in it have no names and vanish with the process.
    pub spill_dir: PathBuf,
    /// Settled keys held in memory; beyond it, the fullest shard is written to disk.
    pub recent_keys_max: usize,
}

impl IndexOptions {
    /// The default bound, with runs in `spill_dir`.
    pub fn new(spill_dir: impl Into<PathBuf>) -> Self {
        Self { spill_dir: spill_dir.into(), recent_keys_max: RECENT_KEYS_MAX }
    }
}

/// The beginning of an epoch. Epochs are settled oldest first; there is no copying one.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an epoch that is neither committed nor rolled back keeps its keys in memory"]
pub struct Mark(u64);

#[derive(Debug)]
struct Epoch {
    id: u64,
    journal_start: usize,
}

#[derive(Debug, Default)]
struct Shard {
    recent: HashTable<u128>,
    /// How many of `recent` are in the journal.
    pending: usize,
    runs: Vec<Run>,
}

/// The set of keys. See the module's text.
#[derive(Debug)]
pub struct DuplicateIndex {
    options: IndexOptions,
    shards: Vec<Shard>,
    recent: usize,
    spilled: u64,
    journal: Vec<u128>,
    epochs: VecDeque<Epoch>,
    epochs_begun: u64,
    runs_begun: u32,
    cache: PageCache,
}

fn shard_of(key: u128) -> usize {
    (key >> (128 - SHARD_BITS)) as usize
}

fn table_hash(key: &u128) -> u64 {
    *key as u64
}

impl DuplicateIndex {
    /// An empty set. Touches the disk only when it spills.
    #[must_use]
    pub fn new(options: IndexOptions) -> Self {
        Self {
            options,
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            recent: 0,
            spilled: 0,
            journal: Vec::new(),
            epochs: VecDeque::new(),
            epochs_begun: 0,
            runs_begun: 0,
            cache: PageCache::new(),
        }
    }

    /// Makes room for about this many keys, as far as they will stay in memory.
    pub(crate) fn reserve(&mut self, keys: u64) {
        let held = keys.min(self.options.recent_keys_max as u64) as usize;
        for shard in &mut self.shards {
            shard.recent.reserve(held / SHARDS, table_hash);
        }
    }

    /// Number of keys, those of open epochs included.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.spilled + self.recent as u64
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of keys without those of open epochs: what [`DuplicateIndex::for_each_settled`] visits.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.len() - self.journal.len() as u64
    }

    /// Inserts a key.
    ///
    /// # Errors
    /// `Io`: the set is unchanged, the call can be repeated. `DamagedRun`: throw the index away and rebuild it.
    pub fn insert(&mut self, key: IdKey) -> Result<Seen, StateError> {
        if self.recent - self.journal.len() >= self.options.recent_keys_max.max(1) {
            self.spill_fullest()?;
        }
        let key = key.0;
        let shard = &mut self.shards[shard_of(key)];
        // The place is looked up once, for the question and for the key.
        let place = match shard.recent.entry(table_hash(&key), |held| *held == key, table_hash) {
            Entry::Occupied(_) => return Ok(Seen::Duplicate),
            Entry::Vacant(place) => place,
        };
        for run in shard.runs.iter().rev() {
            if run.contains(key, &mut self.cache)? {
                return Ok(Seen::Duplicate);
            }
        }
        place.insert(key);
        self.recent += 1;
        if !self.epochs.is_empty() {
            shard.pending += 1;
            self.journal.push(key);
        }
        Ok(Seen::New)
    }

    /// Inserts keys in order; appends one answer for each to `answers`. A key repeated within `keys` is new once.
    ///
    /// # Errors
    /// As [`DuplicateIndex::insert`]; the keys answered before it are in the set (roll the epoch back to undo them).
    pub fn insert_batch(&mut self, keys: &[IdKey], answers: &mut Vec<Seen>) -> Result<(), StateError> {
        answers.reserve(keys.len());
        for key in keys {
            answers.push(self.insert(*key)?);
        }
        Ok(())
    }

    /// Whether the key is in the set. Mutable because pages are cached.
    ///
    /// # Errors
    /// As [`DuplicateIndex::insert`].
    pub fn contains(&mut self, key: IdKey) -> Result<bool, StateError> {
        let key = key.0;
        let shard = &self.shards[shard_of(key)];
        if shard.recent.find(table_hash(&key), |held| *held == key).is_some() {
            return Ok(true);
        }
        for run in shard.runs.iter().rev() {
            if run.contains(key, &mut self.cache)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Begins an epoch: what is inserted from here on can be undone. Epochs may follow one another before the first is
    /// settled.
    pub fn mark(&mut self) -> Mark {
        self.epochs_begun += 1;
        self.epochs.push_back(Epoch { id: self.epochs_begun, journal_start: self.journal.len() });
        Mark(self.epochs_begun)
    }

    /// Makes the epoch that began at `mark`, and those before it, permanent. Gives the keys that became so, in the
    /// order of their insertion: what the checkpoint appends.
    ///
    /// # Errors
    /// `StaleMark` where it was settled before; nothing changes.
    pub fn commit(&mut self, mark: Mark) -> Result<Vec<IdKey>, StateError> {
        let at = self.epoch_position(&mark)?;
        let end = self.epochs.get(at + 1).map_or(self.journal.len(), |next| next.journal_start);
        let settled: Vec<IdKey> = self.journal.drain(..end).map(IdKey).collect();
        for key in &settled {
            self.shards[shard_of(key.0)].pending -= 1;
        }
        self.epochs.drain(..=at);
        for epoch in &mut self.epochs {
            epoch.journal_start -= end;
        }
        Ok(settled)
    }

    /// Undoes the epoch that began at `mark` and every later one. Gives the number of keys taken out.
    ///
    /// # Errors
    /// `StaleMark` where it was settled before; nothing changes.
    pub fn rollback(&mut self, mark: Mark) -> Result<u64, StateError> {
        let at = self.epoch_position(&mark)?;
        let start = self.epochs[at].journal_start;
        let undone = self.journal.len() - start;
        for key in self.journal.drain(start..) {
            let shard = &mut self.shards[shard_of(key)];
            shard.pending -= 1;
            if let Ok(entry) = shard.recent.find_entry(table_hash(&key), |held| *held == key) {
                entry.remove();
                self.recent -= 1;
            }
        }
        self.epochs.truncate(at);
        Ok(undone as u64)
    }

    /// Visits every key that is settled (not of an open epoch), in chunks, in no particular order.
    ///
    /// # Errors
    /// What `visit` returns, or as [`DuplicateIndex::insert`] for the runs.
    pub fn for_each_settled(&self, mut visit: impl FnMut(&[u128]) -> Result<(), StateError>) -> Result<(), StateError> {
        let mut pending = self.journal.clone();
        pending.sort_unstable();
        let mut chunk = Vec::with_capacity(PAGE_KEYS * 16);
        let mut page = [0; PAGE_BYTES];
        for shard in &self.shards {
            for run in &shard.runs {
                for page_no in 0..run.pages() {
                    run.read_page(page_no, &mut page)?;
                    chunk.extend(page_keys(&page));
                    pass_on_full(&mut chunk, &mut visit)?;
                }
            }
            for key in shard.recent.iter().filter(|key| pending.binary_search(key).is_err()) {
                chunk.push(*key);
                pass_on_full(&mut chunk, &mut visit)?;
            }
        }
        if chunk.is_empty() { Ok(()) } else { visit(&chunk) }
    }

    fn epoch_position(&self, mark: &Mark) -> Result<usize, StateError> {
        self.epochs.iter().position(|epoch| epoch.id == mark.0).ok_or(StateError::StaleMark)
    }

    /// Writes the settled keys of the shard that has most of them as a run. The shard changes only when the run is
    /// written: after an error the set is what it was.
    fn spill_fullest(&mut self) -> Result<(), StateError> {
        let fullest = |(_, shard): &(usize, &Shard)| shard.recent.len() - shard.pending;
        let Some((shard_no, _)) = self.shards.iter().enumerate().max_by_key(fullest) else { return Ok(()) };
        let mut pending: Vec<u128> = self.journal.iter().copied().filter(|key| shard_of(*key) == shard_no).collect();
        pending.sort_unstable();
        let shard = &self.shards[shard_no];
        let mut keys: Vec<u128> =
            shard.recent.iter().copied().filter(|key| pending.binary_search(key).is_err()).collect();
        keys.sort_unstable();
        let run = Run::write(&self.options.spill_dir, self.runs_begun, &keys)?;
        self.runs_begun = self.runs_begun.wrapping_add(1);

        let shard = &mut self.shards[shard_no];
        shard.runs.push(run);
        shard.recent = HashTable::with_capacity(pending.len());
        for key in pending {
            shard.recent.insert_unique(table_hash(&key), key, table_hash);
        }
        self.recent -= keys.len();
        self.spilled += keys.len() as u64;
        self.merge_runs(shard_no)
    }

    fn merge_runs(&mut self, shard_no: usize) -> Result<(), StateError> {
        let runs = &mut self.shards[shard_no].runs;
        while let [.., elder, younger] = runs.as_slice() {
            if younger.keys() * 2 <= elder.keys() {
                return Ok(());
            }
            let merged = Run::merge(&self.options.spill_dir, self.runs_begun, elder, younger)?;
            self.runs_begun = self.runs_begun.wrapping_add(1);
            runs.truncate(runs.len() - 2);
            runs.push(merged);
        }
        Ok(())
    }
}

fn pass_on_full(
    chunk: &mut Vec<u128>,
    visit: &mut impl FnMut(&[u128]) -> Result<(), StateError>,
) -> Result<(), StateError> {
    if chunk.len() >= PAGE_KEYS * 15 {
        visit(chunk)?;
        chunk.clear();
    }
    Ok(())
}
