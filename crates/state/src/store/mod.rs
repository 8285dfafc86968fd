//! Checkpoint files of one state (a duplicate index with its blobs) in a folder of its own.
//!
//! - `base-<g>`: all keys at a version. Written to a temporary name, fsynced, renamed, the folder fsynced; only then
//!   are older files removed.
//! - `delta-<g>`, `delta-<g+1>` …: what was added since, appended without fsync: after a power cut a tail may be torn.
//! - `blob-<name>`: anything else (open windows), replaced by rename.
//! - `lock`: held while a store is open.
//!
//! Contract: [`StateStore::load`] gives exactly the set at the version it names, one that was once appended or written
//! as base, or says why the state must be rebuilt from the tables. Bytes that are torn, flipped, foreign or too many
//! lead to an older version or a rebuild, never to another set. See [`layout`] for the bytes.
//!
//! After [`Load::Rebuild`] the caller rebuilds the index from the tables and calls [`StateStore::write_base`];
//! `append_ids` works only from a base or a load on.

mod base;
mod blob;
mod layout;
mod load;

#[cfg(test)]
mod tests;

pub use base::CompactionJob;
pub use blob::Blob;
pub use load::{Cut, Load, Loaded, Rebuild};

use crate::{IdKey, StateError};
use layout::{Header, Kind, PAYLOAD_BYTES_MAX, Stamp, write_block};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watertight_core::steps::{STATE_DELTA_WRITE, Steps};

/// Below this, deltas are not worth compacting: reading them takes some hundredths of a second.
const COMPACT_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Where states are kept, and how durable steps are taken there.
#[derive(Debug, Clone)]
pub struct StateFolder {
    /// The folder; each state has one of its own in it.
    pub path: PathBuf,
    /// The way to take durable steps.
    pub steps: Steps,
}

/// Whose state it is and in what form; a file of another identity is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateIdentity {
    /// The pipeline's uuid.
    pub pipeline: String,
    /// What it is the state of, as `silver.stock_ticks.ids`; names the folder.
    pub what: String,
    /// The caller's version of what keys and blobs mean; change it and all is rebuilt.
    pub format: u32,
}

/// Where the next append goes.
#[derive(Debug)]
struct Tail {
    /// Generation of the delta file.
    generation: u64,
    /// The delta file, once opened; it is created by the first append.
    file: Option<File>,
    /// Bytes of it that are good; 0 where it has no good header.
    good_bytes: u64,
    /// Checksum the next block, or the header's link, is begun with.
    chain: u32,
    /// Version covered.
    upto: Option<u64>,
    /// Keys in base and deltas.
    keys: u64,
    base_bytes: u64,
    delta_bytes: u64,
}

/// The checkpoint files of one state. One store at a time has them open.
#[derive(Debug)]
pub struct StateStore {
    dir: PathBuf,
    identity: StateIdentity,
    lock: Arc<File>,
    tail: Option<Tail>,
    steps: Steps,
}

impl StateStore {
    /// Opens the folder `<folder>/<identity.what>`, creating it where it does not exist. Reads nothing yet.
    ///
    /// # Errors
    /// `InUse` where another store has it; `Name`; `Io`.
    pub fn open(folder: &StateFolder, identity: StateIdentity) -> Result<Self, StateError> {
        check_file_name(&identity.what)?;
        let dir = folder.path.join(&identity.what);
        std::fs::create_dir_all(&dir).map_err(|e| StateError::io(format!("could not create {}", dir.display()), e))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))
            .map_err(|error| StateError::io(format!("could not open the lock in {}", dir.display()), error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(dir)),
            Err(TryLockError::Error(error)) => {
                return Err(StateError::io(format!("could not lock {}", dir.display()), error));
            }
        }
        let store = Self { dir, identity, lock: Arc::new(lock), tail: None, steps: folder.steps.clone() };
        store.remove_where(|name| name.ends_with(".tmp"))?;
        Ok(store)
    }

    /// The folder, also fit for the index's runs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Version the checkpoint covers, once loaded or written; `None` before, and for a base of an empty table.
    #[must_use]
    pub fn upto(&self) -> Option<u64> {
        self.tail.as_ref().and_then(|tail| tail.upto)
    }

    /// Appends the ids that version `upto` of the table brought beyond version `after`, up to which the checkpoint
    /// must reach. Not fsynced: it survives the death of the process, and after a power cut may be cut off again.
    ///
    /// # Errors
    /// `NotNext` where an earlier append failed or was left out: write a base. `Io`: nothing is appended; goes on
    /// with the same call, or later with a base.
    pub fn append_ids(&mut self, after: Option<u64>, upto: u64, keys: &[IdKey]) -> Result<(), StateError> {
        let tail = self.tail.as_mut().ok_or(StateError::NoBase)?;
        if tail.upto != after {
            return Err(StateError::NotNext { stored: tail.upto, after });
        }
        if tail.upto.is_some_and(|stored| stored >= upto) {
            return Err(StateError::Backwards { stored: tail.upto, upto });
        }
        let mut bytes = Vec::with_capacity(keys.len() * 16 + 256);
        let mut chain = tail.chain;
        if tail.good_bytes == 0 {
            let header = Header {
                kind: Kind::Delta,
                identity: self.identity.clone(),
                name: String::new(),
                generation: tail.generation,
                upto: tail.upto,
                content: 0,
                link: chain,
            };
            let (encoded, checksum) = header.encode();
            bytes.extend_from_slice(&encoded);
            chain = checksum;
        }
        encode_group(&mut bytes, &mut chain, upto, keys);
        if tail.file.is_none() {
            tail.file = Some(open_delta(&self.dir, tail)?);
        }
        let file = tail.file.as_ref().expect("opened above");
        if let Err(error) = self.steps.take(STATE_DELTA_WRITE, || file.write_all_at(&bytes, tail.good_bytes)) {
            tail.file = None; // Opened again, it is cut to its good bytes.
            return Err(StateError::io(format!("could not append to the checkpoint in {}", self.dir.display()), error));
        }
        tail.good_bytes += bytes.len() as u64;
        tail.delta_bytes += bytes.len() as u64;
        tail.keys += keys.len() as u64;
        tail.chain = chain;
        tail.upto = Some(upto);
        Ok(())
    }

    fn remove_where(&self, which: impl Fn(&str) -> bool) -> Result<(), StateError> {
        remove_where(&self.dir, which)
    }
}

/// Opens the delta file for appending: later generations, which would not fit on it any more, go first; then it is
/// cut to its good bytes.
fn open_delta(dir: &Path, tail: &Tail) -> Result<File, StateError> {
    remove_where(dir, |name| generation_of(name, "delta-").is_some_and(|found| found > tail.generation))?;
    let path = dir.join(format!("delta-{}", tail.generation));
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = opened.map_err(|error| StateError::io(format!("could not open {}", path.display()), error))?;
    file.set_len(tail.good_bytes)
        .map_err(|error| StateError::io(format!("could not cut {}", path.display()), error))?;
    Ok(file)
}

/// One version's keys as blocks; the last one says so, also where there is no key.
fn encode_group(bytes: &mut Vec<u8>, chain: &mut u32, upto: u64, keys: &[IdKey]) {
    let mut payload = Vec::with_capacity(PAYLOAD_BYTES_MAX);
    let mut chunks = keys.chunks(PAYLOAD_BYTES_MAX / 16).peekable();
    loop {
        payload.clear();
        for key in chunks.next().unwrap_or_default() {
            payload.extend_from_slice(&key.0.to_le_bytes());
        }
        let last = chunks.peek().is_none();
        write_block(bytes, chain, Stamp { upto, last }, &payload).expect("writing to memory does not fail");
        if last {
            return;
        }
    }
}

/// A file name's generation, as in `base-12` with prefix `base-`.
fn generation_of(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

fn names(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    Ok(names)
}

fn remove_where(dir: &Path, which: impl Fn(&str) -> bool) -> Result<(), StateError> {
    let refused = |error| StateError::io(format!("could not tidy {}", dir.display()), error);
    for name in names(dir).map_err(refused)? {
        if which(&name) {
            match std::fs::remove_file(dir.join(&name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(error)),
                _ => {}
            }
        }
    }
    Ok(())
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

fn check_file_name(name: &str) -> Result<(), StateError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.chars().all(fits) {
        return Err(StateError::Name(name.chars().take(40).flat_map(char::escape_default).collect()));
    }
    Ok(())
}
