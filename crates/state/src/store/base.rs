//! Bases: written from an index, or by compaction of an older base and its deltas.
//!
//! Compaction needs no index and no memory: it copies keys from files that no longer change, so it can run on
//! another thread while appends go on into the next delta. It uses nothing that it has not checked.

use super::layout::{Found, Header, Kind, PAYLOAD_BYTES_MAX, Stamp, read_block, write_block};
use super::{
    COMPACT_BYTES_MIN, StateIdentity, StateStore, Tail, generation_of, names, open_delta, remove_where, sync_dir,
};
use crate::{DuplicateIndex, StateError};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watertight_core::steps::{
    STATE_BASE_NAMES, STATE_BASE_REMOVE, STATE_BASE_RENAME, STATE_BASE_SYNC, STATE_BASE_WRITE, Steps,
};

impl StateStore {
    /// Writes all settled keys of the index as the checkpoint at version `upto` (`None`: an empty table). Durable when
    /// answered; what was there before is removed.
    ///
    /// # Errors
    /// `Io`: what was there before still is, and holds; or the index's own.
    pub fn write_base(&mut self, upto: Option<u64>, index: &DuplicateIndex) -> Result<(), StateError> {
        let generation = self.next_generation()?;
        let keys = index.settled();
        // Any value that an older delta of this generation could not have will do; there is none of this generation.
        let link = crc32c::crc32c(&[generation.to_le_bytes(), keys.to_le_bytes()].concat());
        let header = self.base_header(generation, upto, keys, link);
        let mut writer = BaseWriter::create(&self.dir, header, &self.steps)?;
        index.for_each_settled(|chunk| writer.push(chunk))?;
        let base_bytes = writer.publish()?;
        self.tail =
            Some(Tail { generation, file: None, good_bytes: 0, chain: link, upto, keys, base_bytes, delta_bytes: 0 });
        remove_before(&self.dir, generation, &self.steps)
    }

    /// A compaction, if the deltas have outgrown the base (and 16 MiB). Appends that follow go into a new delta; the
    /// job may run on another thread, and may fail or never run: the files it would replace stay good until it is done.
    ///
    /// # Errors
    /// `NoBase` before a load or a base.
    pub fn compact_if_due(&mut self) -> Result<Option<CompactionJob>, StateError> {
        let tail = self.tail.as_ref().ok_or(StateError::NoBase)?;
        if tail.delta_bytes < tail.base_bytes.max(COMPACT_BYTES_MIN) { Ok(None) } else { self.compact() }
    }

    /// A compaction, if there is any delta; otherwise as [`StateStore::compact_if_due`].
    ///
    /// # Errors
    /// `NoBase` before a load or a base; `Io`.
    pub fn compact(&mut self) -> Result<Option<CompactionJob>, StateError> {
        let tail = self.tail.as_mut().ok_or(StateError::NoBase)?;
        if tail.good_bytes == 0 {
            return Ok(None);
        }
        if tail.file.is_none() {
            tail.file = Some(open_delta(&self.dir, tail)?); // Cuts what a load found behind the good bytes.
        }
        let (last_delta, frozen_bytes) = (tail.generation, tail.good_bytes);
        tail.generation += 1;
        tail.file = None;
        tail.good_bytes = 0;
        tail.base_bytes += std::mem::take(&mut tail.delta_bytes);
        let (generation, upto, keys, link) = (tail.generation, tail.upto, tail.keys, tail.chain);
        let header = self.base_header(generation, upto, keys, link);
        let (dir, lock) = (self.dir.clone(), Arc::clone(&self.lock));
        let steps = self.steps.clone();
        Ok(Some(CompactionJob { dir, _lock: lock, last_delta, frozen_bytes, header, steps }))
    }

    fn base_header(&self, generation: u64, upto: Option<u64>, keys: u64, link: u32) -> Header {
        let (identity, name): (StateIdentity, _) = (self.identity.clone(), String::new());
        Header { kind: Kind::Base, identity, name, generation, upto, content: keys, link }
    }

    /// Above every generation that there is or that a running compaction will write.
    fn next_generation(&self) -> Result<u64, StateError> {
        let found = names(&self.dir)
            .map_err(|error| StateError::io(format!("could not list {}", self.dir.display()), error))?
            .iter()
            .filter_map(|name| {
                let name = name.strip_suffix(".tmp").unwrap_or(name);
                generation_of(name, "base-").or_else(|| generation_of(name, "delta-"))
            })
            .max()
            .unwrap_or(0);
        Ok(found.max(self.tail.as_ref().map_or(0, |tail| tail.generation)) + 1)
    }
}

fn remove_before(dir: &Path, generation: u64, steps: &Steps) -> Result<(), StateError> {
    let older = |found: Option<u64>| found.is_some_and(|found| found < generation);
    let refused = |error| StateError::io(format!("could not tidy {}", dir.display()), error);
    steps.before(STATE_BASE_REMOVE).map_err(refused)?;
    remove_where(dir, |name| older(generation_of(name, "base-")) || older(generation_of(name, "delta-")))?;
    steps.after(STATE_BASE_REMOVE).map_err(refused)
}

/// A base to be written from the files of a base and its deltas. Holds the folder's lock.
#[derive(Debug)]
pub struct CompactionJob {
    dir: PathBuf,
    _lock: Arc<File>,
    last_delta: u64,
    frozen_bytes: u64,
    header: Header,
    steps: Steps,
}

impl CompactionJob {
    /// Writes the base, durably, then removes what it replaces.
    ///
    /// # Errors
    /// `Io`: the files there were are still there. A damaged file is an `Io` error of kind `InvalidData`.
    pub fn run(self) -> Result<(), StateError> {
        let generation = self.header.generation;
        let keys = self.header.content;
        let dir = self.dir;
        let refused = |error| StateError::io(format!("could not compact the checkpoint in {}", dir.display()), error);
        // What earlier jobs did is seen in the folder, not remembered.
        let found =
            names(&dir).map_err(refused)?.iter().filter_map(|name| generation_of(name, "base-")).collect::<Vec<_>>();
        let Some(base) = found.into_iter().filter(|base| *base <= self.last_delta).max() else {
            return Err(refused(std::io::Error::new(std::io::ErrorKind::NotFound, "a newer base replaced its files")));
        };
        let mut writer = BaseWriter::create(&dir, self.header, &self.steps)?;
        copy_keys(&dir.join(format!("base-{base}")), u64::MAX, &mut writer)?;
        for delta in base..=self.last_delta {
            let path = dir.join(format!("delta-{delta}"));
            let bytes = if delta == self.last_delta { self.frozen_bytes } else { u64::MAX };
            copy_keys(&path, bytes, &mut writer)?;
        }
        if writer.keys != keys {
            let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "keys are missing from its files");
            return Err(refused(error));
        }
        writer.publish()?;
        remove_before(&dir, generation, &self.steps)
    }
}

/// Copies the keys of a file's first `bytes` bytes, all of which must be good.
fn copy_keys(path: &Path, bytes: u64, writer: &mut BaseWriter) -> Result<(), StateError> {
    let refused = |error| StateError::io(format!("could not read {}", path.display()), error);
    let damaged = |why: &str| refused(std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned()));
    let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(refused)?);
    let (_, mut at, mut chain) = Header::read(&mut file).map_err(|_| damaged("its header is damaged"))?;
    let mut payload = Vec::new();
    while at < bytes {
        match read_block(&mut file, &mut chain, &mut payload).map_err(refused)? {
            Found::Block(_, length) => at += length,
            Found::End => break,
            Found::Bad(why) => return Err(damaged(why)),
        }
        writer.push_bytes(&payload)?;
    }
    Ok(())
}

/// Writes `base-<g>.tmp`; publishing it is what makes it count.
struct BaseWriter {
    dir: PathBuf,
    generation: u64,
    out: BufWriter<File>,
    chain: u32,
    payload: Vec<u8>,
    bytes: u64,
    keys: u64,
    steps: Steps,
}

impl BaseWriter {
    fn create(dir: &Path, header: Header, steps: &Steps) -> Result<Self, StateError> {
        let path = dir.join(format!("base-{}.tmp", header.generation));
        let refused = |error| StateError::io(format!("could not write {}", path.display()), error);
        steps.before(STATE_BASE_WRITE).map_err(refused)?;
        let mut out = BufWriter::with_capacity(1 << 18, File::create(&path).map_err(refused)?);
        let (encoded, chain) = header.encode();
        out.write_all(&encoded).map_err(refused)?;
        let payload = Vec::with_capacity(PAYLOAD_BYTES_MAX);
        let bytes = encoded.len() as u64;
        Ok(Self {
            dir: dir.to_owned(),
            generation: header.generation,
            out,
            chain,
            payload,
            bytes,
            keys: 0,
            steps: steps.clone(),
        })
    }

    fn push(&mut self, keys: &[u128]) -> Result<(), StateError> {
        for key in keys {
            if self.payload.len() == PAYLOAD_BYTES_MAX {
                self.flush_block()?;
            }
            self.payload.extend_from_slice(&key.to_le_bytes());
        }
        self.keys += keys.len() as u64;
        Ok(())
    }

    fn push_bytes(&mut self, keys: &[u8]) -> Result<(), StateError> {
        if self.payload.len() + keys.len() > PAYLOAD_BYTES_MAX {
            self.flush_block()?;
        }
        self.payload.extend_from_slice(keys);
        self.keys += keys.len() as u64 / 16;
        Ok(())
    }

    fn flush_block(&mut self) -> Result<(), StateError> {
        let stamp = Stamp { upto: 0, last: false };
        write_block(&mut self.out, &mut self.chain, stamp, &self.payload)
            .map_err(|error| StateError::io(format!("could not write a base in {}", self.dir.display()), error))?;
        self.bytes += (super::layout::BLOCK_HEAD_BYTES + self.payload.len()) as u64;
        self.payload.clear();
        Ok(())
    }

    /// File fsynced, renamed, folder fsynced. Gives its size.
    fn publish(mut self) -> Result<u64, StateError> {
        if !self.payload.is_empty() {
            self.flush_block()?;
        }
        let dir = self.dir;
        let refused = |error| StateError::io(format!("could not write a base in {}", dir.display()), error);
        let file = self.out.into_inner().map_err(|error| refused(error.into_error()))?;
        let steps = self.steps;
        steps.after(STATE_BASE_WRITE).map_err(refused)?;
        steps.take(STATE_BASE_SYNC, || file.sync_all()).map_err(refused)?;
        let name = format!("base-{}", self.generation);
        let rename = || std::fs::rename(dir.join(format!("{name}.tmp")), dir.join(&name));
        steps.take(STATE_BASE_RENAME, rename).map_err(refused)?;
        steps.take(STATE_BASE_NAMES, || sync_dir(&dir)).map_err(refused)?;
        Ok(self.bytes)
    }
}
