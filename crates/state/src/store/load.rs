//! Loading: the newest base, then its deltas as far as they are good.
//!
//! Decided here: a base counts whole or not at all; a delta counts up to its last whole group; a delta counts only
//! if it links to what came before it. Nothing on disk is changed by loading.

use super::layout::{Found, Header, Kind, NotAHeader, keys_of, read_block};
use super::{StateIdentity, StateStore, Tail, generation_of, names};
use crate::{DuplicateIndex, IdKey, IndexOptions, StateError};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// What loading gave.
#[derive(Debug)]
pub enum Load {
    /// The set at a version.
    Loaded(Loaded),
    /// Nothing usable: rebuild the index from the tables, then write a base.
    Rebuild(Rebuild),
}

/// A loaded set.
#[derive(Debug)]
pub struct Loaded {
    /// Version of the table it covers; the ids of later versions are to be inserted from the table. `None`: nothing
    /// is covered (an empty base).
    pub upto: Option<u64>,
    /// The set; its runs go where the options said.
    pub index: DuplicateIndex,
    /// Where deltas were cut, if they were: worth a line in the log.
    pub cut: Option<Cut>,
}

/// Where deltas stopped being good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// File name.
    pub file: String,
    /// Good bytes before it.
    pub at: u64,
    /// What was found there.
    pub why: String,
}

/// Why the state must be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rebuild {
    /// There is no checkpoint.
    #[error("there is no checkpoint")]
    Missing,
    /// It belongs to another pipeline.
    #[error("the checkpoint belongs to pipeline {0}")]
    OtherPipeline(String),
    /// It is the state of something else.
    #[error("the checkpoint is of {0}")]
    OtherState(String),
    /// Its content has another format.
    #[error("the checkpoint's content has format {0}")]
    OtherFormat(u32),
    /// Its files have another layout: written by another release.
    #[error("{0} has a layout of another release")]
    OtherLayout(String),
    /// Its bytes are not what was written.
    #[error("{file} is damaged ({why})")]
    Damaged {
        /// File name.
        file: String,
        /// What was found.
        why: &'static str,
    },
    /// The operating system refused to read it.
    #[error("{file} could not be read ({why})")]
    Unreadable {
        /// File name.
        file: String,
        /// What it said.
        why: String,
    },
}

impl Rebuild {
    pub(super) fn damaged(file: &str, why: &'static str) -> Self {
        Self::Damaged { file: file.to_owned(), why }
    }

    pub(super) fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self::Unreadable { file: file.to_owned(), why: error.to_string() }
    }

    /// What the header says against the file, if anything.
    pub(super) fn of_header(file: &str, wanted: &StateIdentity, found: &Header, kind: Kind) -> Option<Self> {
        if found.identity.pipeline != wanted.pipeline {
            return Some(Self::OtherPipeline(found.identity.pipeline.clone()));
        }
        if found.identity.what != wanted.what {
            return Some(Self::OtherState(found.identity.what.clone()));
        }
        if found.identity.format != wanted.format {
            return Some(Self::OtherFormat(found.identity.format));
        }
        (found.kind != kind).then(|| Self::damaged(file, "it is another kind of file"))
    }

    pub(super) fn of_bad_header(file: &str, bad: NotAHeader) -> Self {
        match bad {
            NotAHeader::Damaged(why) => Self::damaged(file, why),
            NotAHeader::OtherLayout => Self::OtherLayout(file.to_owned()),
            NotAHeader::Io(error) => Self::unreadable(file, &error),
        }
    }
}

/// Why a file was not taken: it is unfit, or the index refused (an error of its own).
enum Stop {
    Unfit(Rebuild),
    Index(StateError),
}

impl StateStore {
    /// Loads the checkpoint; the index's runs go where `options` says ([`StateStore::dir`] will do).
    ///
    /// # Errors
    /// Only those of the index's own runs (disk full while spilling); the checkpoint's damage is [`Load::Rebuild`].
    pub fn load(&mut self, options: &IndexOptions) -> Result<Load, StateError> {
        self.tail = None;
        let names = match names(&self.dir) {
            Ok(names) => names,
            Err(error) => return Ok(Load::Rebuild(Rebuild::unreadable("its folder", &error))),
        };
        let mut bases: Vec<u64> = names.iter().filter_map(|name| generation_of(name, "base-")).collect();
        bases.sort_unstable_by(|a, b| b.cmp(a));
        let mut reason = None;
        for generation in bases {
            match self.load_base(generation, options) {
                Ok((index, tail)) => return self.load_deltas(index, tail).map(Load::Loaded),
                Err(Stop::Index(error)) => return Err(error),
                Err(Stop::Unfit(why)) => reason = reason.or(Some(why)),
            }
        }
        let orphan = names.into_iter().find(|name| generation_of(name, "delta-").is_some());
        let orphan = || orphan.map(|name| Rebuild::damaged(&name, "its base is gone"));
        Ok(Load::Rebuild(reason.or_else(orphan).unwrap_or(Rebuild::Missing)))
    }

    fn load_base(&self, generation: u64, options: &IndexOptions) -> Result<(DuplicateIndex, Tail), Stop> {
        let name = format!("base-{generation}");
        let io = |error: std::io::Error| Stop::Unfit(Rebuild::unreadable(&name, &error));
        let damaged = |why| Stop::Unfit(Rebuild::damaged(&name, why));
        let mut file = BufReader::with_capacity(1 << 18, File::open(self.dir.join(&name)).map_err(io)?);
        let (header, mut bytes, mut chain) =
            Header::read(&mut file).map_err(|bad| Stop::Unfit(Rebuild::of_bad_header(&name, bad)))?;
        if let Some(reason) = Rebuild::of_header(&name, &self.identity, &header, Kind::Base) {
            return Err(Stop::Unfit(reason));
        }
        if header.generation != generation {
            return Err(damaged("it was renamed"));
        }
        let mut index = DuplicateIndex::new(options.clone());
        index.reserve(header.content);
        let mut payload = Vec::new();
        let mut keys = 0;
        loop {
            match read_block(&mut file, &mut chain, &mut payload).map_err(io)? {
                Found::Block(_, length) => bytes += length,
                Found::End => break,
                Found::Bad(why) => return Err(damaged(why)),
            }
            keys += payload.len() as u64 / 16;
            insert_all(&mut index, &payload).map_err(Stop::Index)?.ok_or_else(|| damaged("half a key"))?;
        }
        if keys != header.content {
            return Err(damaged("it has more or fewer keys than it says"));
        }
        let tail = Tail {
            generation,
            file: None,
            good_bytes: 0,
            chain: header.link,
            upto: header.upto,
            keys,
            base_bytes: bytes,
            delta_bytes: 0,
        };
        Ok((index, tail))
    }

    /// Follows the deltas from the base on, as far as they are good.
    fn load_deltas(&mut self, mut index: DuplicateIndex, mut tail: Tail) -> Result<Loaded, StateError> {
        let mut cut = None;
        loop {
            let name = format!("delta-{}", tail.generation);
            let path = self.dir.join(&name);
            match load_delta(&path, &name, &self.identity, &mut tail, &mut index)? {
                DeltaEnd::Absent => break,
                DeltaEnd::Cut(at, why) => {
                    cut = Some(Cut { file: name, at, why });
                    break;
                }
                DeltaEnd::Whole => {
                    if !self.dir.join(format!("delta-{}", tail.generation + 1)).exists() {
                        break;
                    }
                    tail.generation += 1;
                    tail.good_bytes = 0;
                }
            }
        }
        let upto = tail.upto;
        self.tail = Some(tail);
        Ok(Loaded { upto, index, cut })
    }
}

enum DeltaEnd {
    Absent,
    Whole,
    Cut(u64, String),
}

fn load_delta(
    path: &Path,
    name: &str,
    identity: &StateIdentity,
    tail: &mut Tail,
    index: &mut DuplicateIndex,
) -> Result<DeltaEnd, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(DeltaEnd::Absent),
        Err(error) => return Ok(DeltaEnd::Cut(0, error.to_string())),
    };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let (header, mut at, mut chain) = match Header::read(&mut file) {
        Ok(read) => read,
        Err(bad) => return Ok(DeltaEnd::Cut(0, Rebuild::of_bad_header(name, bad).to_string())),
    };
    if let Some(reason) = Rebuild::of_header(name, identity, &header, Kind::Delta) {
        return Ok(DeltaEnd::Cut(0, reason.to_string()));
    }
    if header.generation != tail.generation || header.upto != tail.upto || header.link != tail.chain {
        return Ok(DeltaEnd::Cut(0, "it does not continue what is before it".to_owned()));
    }
    tail.good_bytes = at;
    tail.delta_bytes += at;
    tail.chain = chain;
    let mut payload = Vec::new();
    let mut group: Vec<u8> = Vec::new();
    loop {
        let stamp = match read_block(&mut file, &mut chain, &mut payload) {
            Ok(Found::Block(stamp, length)) => {
                at += length;
                stamp
            }
            Ok(Found::End) if group.is_empty() && at == tail.good_bytes => return Ok(DeltaEnd::Whole),
            Ok(Found::End) => return Ok(DeltaEnd::Cut(tail.good_bytes, "it ends inside a group".to_owned())),
            Ok(Found::Bad(why)) => return Ok(DeltaEnd::Cut(tail.good_bytes, why.to_owned())),
            Err(error) => return Ok(DeltaEnd::Cut(tail.good_bytes, error.to_string())),
        };
        if payload.len() % 16 != 0 || tail.upto.is_some_and(|upto| stamp.upto <= upto) {
            return Ok(DeltaEnd::Cut(tail.good_bytes, "a block that was never written".to_owned()));
        }
        group.extend_from_slice(&payload);
        if stamp.last {
            insert_all(index, &group)?;
            tail.keys += group.len() as u64 / 16;
            tail.delta_bytes += at - tail.good_bytes;
            tail.good_bytes = at;
            tail.chain = chain;
            tail.upto = Some(stamp.upto);
            group.clear();
        }
    }
}

/// Inserts a payload's keys; `None` where it is no whole number of them.
fn insert_all(index: &mut DuplicateIndex, payload: &[u8]) -> Result<Option<()>, StateError> {
    let Some(keys) = keys_of(payload) else { return Ok(None) };
    for key in keys {
        index.insert(IdKey(key))?;
    }
    Ok(Some(()))
}
