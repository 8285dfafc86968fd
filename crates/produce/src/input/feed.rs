//! Bytes of a file, of a file that grows and is rotated, or of standard input, with the places of its bytes.
//!
//! Contract: every byte is given once, in order, in pieces. A rotated file (another inode under the name) is read to its end first, then
//! those that were begun after it, up to the one that bears the name; a truncated one is begun anew. Of what was
//! taken, the last KiB stays in memory: places are made of it. What is not taken grows until the reader takes it.

use super::name_of;
use super::rotation;
use crate::error::ProduceError;
use crate::ledger::{Place, TAIL_BYTES, check_of};
use crate::request::InputFrom;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Bytes of one read.
const CHUNK_BYTES: usize = 256 << 10;

/// What the next read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// There is more in [`Feed::rest`].
    More,
    /// Nothing now.
    Later,
    /// The file ended, and another one follows: take what is left, then [`Feed::turn`].
    Turned,
    /// Nothing any more.
    End,
}

enum Origin {
    File {
        path: PathBuf,
        file: Option<File>,
        inode: u64,
        /// Whether other files follow this one: always where the name is followed, and where a rotated one is finished.
        turns: bool,
    },
    /// A thread reads, so that a stop need not wait for the other end of the pipe.
    Pipe(Receiver<io::Result<Vec<u8>>>),
}

/// See the module.
pub(super) struct Feed {
    name: String,
    origin: Origin,
    follow: bool,
    buffer: Vec<u8>,
    /// Where in `buffer` those bytes begin that were not taken.
    at: usize,
    /// Place in the file of the buffer's first byte.
    base: u64,
}

impl Feed {
    /// Opens `from`; `resume`: behind this place of a file.
    pub(super) fn open(from: &InputFrom, follow: bool, resume: Option<&Place>) -> Result<Self, ProduceError> {
        let name = name_of(from);
        let begin = |origin| Self { name: name_of(from), origin, follow, buffer: Vec::new(), at: 0, base: 0 };
        let InputFrom::Path(path) = from else { return Ok(begin(Origin::Pipe(spawn_reader(io::stdin())))) };
        let path = path.clone();
        if let Some(place) = resume {
            let found = rotation::find(&path, place, follow).map_err(|what| ProduceError::input(&name, what))?;
            let turns = follow || found.rotated;
            let mut feed = begin(Origin::File { path, file: Some(found.file), inode: found.inode, turns });
            feed.base = place.bytes - found.tail.len() as u64;
            (feed.at, feed.buffer) = (found.tail.len(), found.tail);
            return Ok(feed);
        }
        let file = match File::open(&path) {
            Ok(file) => Some(file),
            Err(error) if follow && error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(ProduceError::input(name, format!("cannot be opened: {error}"))),
        };
        let inode = inode_of(file.as_ref(), &name)?;
        Ok(begin(Origin::File { path, file, inode, turns: follow }))
    }

    /// Name for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What was read and not taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    /// Takes so many bytes of [`Feed::rest`].
    pub(super) fn take(&mut self, count: usize) {
        self.at += count;
    }

    /// How many bytes of the present file were taken.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The place behind what was taken; files only.
    pub(super) fn place(&self) -> Option<Place> {
        let Origin::File { inode, .. } = self.origin else { return None };
        let tail = &self.buffer[self.at.saturating_sub(TAIL_BYTES)..self.at];
        Some(Place { inode, bytes: self.offset(), check: Some(check_of(tail)) })
    }

    /// Reads on.
    pub(super) fn more(&mut self) -> Result<Chunk, ProduceError> {
        let spare = self.at.saturating_sub(TAIL_BYTES);
        self.buffer.drain(..spare);
        self.base += spare as u64;
        self.at -= spare;
        let failed = |error: io::Error| ProduceError::input(&self.name, format!("cannot be read: {error}"));
        match &mut self.origin {
            Origin::Pipe(chunks) => match chunks.recv_timeout(Duration::from_millis(10)) {
                Ok(Ok(chunk)) => {
                    self.buffer.extend_from_slice(&chunk);
                    Ok(Chunk::More)
                }
                Ok(Err(error)) => Err(failed(error)),
                Err(RecvTimeoutError::Timeout) => Ok(Chunk::Later),
                Err(RecvTimeoutError::Disconnected) => Ok(Chunk::End),
            },
            Origin::File { path, file, inode, turns } => {
                let Some(open) = file else {
                    *file = File::open(&*path).ok();
                    *inode = inode_of(file.as_ref(), &self.name)?;
                    return Ok(if file.is_some() { Chunk::More } else { Chunk::Later });
                };
                let length = self.buffer.len();
                self.buffer.resize(length + CHUNK_BYTES, 0);
                let read = open.read(&mut self.buffer[length..]);
                self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
                if read.map_err(failed)? > 0 {
                    return Ok(Chunk::More);
                }
                if !*turns {
                    return Ok(Chunk::End);
                }
                let end = self.base + self.buffer.len() as u64;
                let truncated = open.metadata().is_ok_and(|m| m.len() < end);
                // Looked at after the empty read: what the writer adds to the old file before it turns was read.
                let rotated = std::fs::metadata(&*path).is_ok_and(|metadata| metadata.ino() != *inode);
                if truncated {
                    return Ok(Chunk::Turned);
                }
                if rotated {
                    let more = open.metadata().is_ok_and(|m| m.len() > end);
                    return Ok(if more { Chunk::More } else { Chunk::Turned });
                }
                Ok(if self.follow { Chunk::Later } else { Chunk::End })
            }
        }
    }

    /// Goes on with the file that was begun after the present one.
    pub(super) fn turn(&mut self) -> Result<(), ProduceError> {
        let Origin::File { path, file, inode, turns } = &mut self.origin else { return Ok(()) };
        self.buffer.clear();
        (self.at, self.base) = (0, 0);
        *file = rotation::successor(path, *inode).map_err(|what| ProduceError::input(&self.name, what))?;
        *inode = inode_of(file.as_ref(), &self.name)?;
        *turns = self.follow || std::fs::metadata(&*path).is_ok_and(|metadata| metadata.ino() != *inode);
        Ok(())
    }
}

/// The file's inode; 0 where there is none.
fn inode_of(file: Option<&File>, name: &str) -> Result<u64, ProduceError> {
    let metadata = file.map(File::metadata).transpose();
    let metadata = metadata.map_err(|error| ProduceError::input(name, format!("cannot be read: {error}")))?;
    Ok(metadata.map_or(0, |metadata| metadata.ino()))
}

/// Reads `source` to its end in a thread that outlives a stop: it may be blocked for ever.
fn spawn_reader(mut source: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = sync_channel(4);
    std::thread::spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let message = match source.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => {
                    chunk.truncate(length);
                    Ok(chunk)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = message.is_err();
            if sender.send(message).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
