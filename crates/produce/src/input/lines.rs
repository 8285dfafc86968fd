//! Lines of a file, of a file that grows and is rotated, or of standard input.
//!
//! Contract: every line is given once, in order, without its line end (`\n` or `\r\n`). A last line without an end counts at
//! the end of an input; in a followed file it is waited for, until the file is rotated away. A rotated file (another
//! inode under the name) is read to its end first; a truncated one is begun anew. After a restart a file that was
//! rotated meanwhile is looked for beside its old name by its inode.

use super::name_of;
use crate::error::ProduceError;
use crate::request::InputFrom;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

const CHUNK_BYTES: usize = 256 << 10;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A line is in the buffer; `place` is (inode, bytes behind it) for files.
    Line { place: Option<(u64, u64)> },
    /// Nothing now.
    Later,
    /// Nothing any more.
    End,
}

enum Origin {
    File {
        path: PathBuf,
        file: Option<File>,
        inode: u64,
        follow: bool,
    },
    /// A thread reads, so that a stop need not wait for the other end of the pipe.
    Pipe(Receiver<std::io::Result<Vec<u8>>>),
}

enum Chunk {
    More,
    Later,
    /// The file ended, and the next one begins.
    Turned,
    End,
}

/// See the module.
pub(crate) struct Lines {
    name: String,
    origin: Origin,
    buffer: Vec<u8>,
    /// Where the next line begins in `buffer`.
    at: usize,
    /// Up to where `buffer` is known to hold no line end.
    searched: usize,
    /// Place in the file of the buffer's first byte.
    base: u64,
    /// The file of the buffer's bytes has ended: what is left is a line.
    turned: bool,
    ended: bool,
}

impl Lines {
    pub(crate) fn open(from: &InputFrom, follow: bool, resume: Option<(u64, u64)>) -> Result<Self, ProduceError> {
        let name = name_of(from);
        let mut base = 0;
        let origin = match from {
            InputFrom::Stdin => Origin::Pipe(spawn_reader(std::io::stdin())),
            InputFrom::Path(path) => {
                let place = resume.and_then(|(inode, bytes)| Some((find_inode(path, inode)?, bytes)));
                match place {
                    Some((file, bytes)) => {
                        base = bytes;
                        Self::file(path, Some(file), bytes, follow, &name)?
                    }
                    None if resume.is_some() => {
                        let what = "is not the file that was read before, and that is not beside it any more; begin a new ledger";
                        return Err(ProduceError::input(name, what));
                    }
                    None => match File::open(path) {
                        Ok(file) => Self::file(path, Some(file), 0, follow, &name)?,
                        Err(error) if follow && error.kind() == std::io::ErrorKind::NotFound => {
                            Self::file(path, None, 0, follow, &name)?
                        }
                        Err(error) => return Err(ProduceError::input(name, format!("cannot be opened: {error}"))),
                    },
                }
            }
        };
        let (buffer, at, searched) = (Vec::new(), 0, 0);
        Ok(Self { name, origin, buffer, at, searched, base, turned: false, ended: false })
    }

    fn file(path: &Path, file: Option<File>, from: u64, follow: bool, name: &str) -> Result<Origin, ProduceError> {
        let mut inode = 0;
        if let Some(mut file) = file.as_ref() {
            let positioned = file.metadata().and_then(|metadata| {
                inode = metadata.ino();
                file.seek(SeekFrom::Start(from))
            });
            positioned.map_err(|error| ProduceError::input(name, format!("cannot be read: {error}")))?;
        }
        Ok(Origin::File { path: path.to_owned(), file, inode, follow })
    }

    /// Writes the next line into `line`.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Result<Next, ProduceError> {
        loop {
            if let Some(found) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.searched + found;
                return Ok(self.give(line, end, end + 1));
            }
            self.searched = self.buffer.len();
            if self.turned || self.ended {
                if self.at < self.buffer.len() {
                    let end = self.buffer.len();
                    return Ok(self.give(line, end, end));
                }
                if self.ended {
                    return Ok(Next::End);
                }
                self.turn()?;
            }
            match self.fill()? {
                Chunk::More => {}
                Chunk::Later => return Ok(Next::Later),
                Chunk::Turned => self.turned = true,
                Chunk::End => self.ended = true,
            }
        }
    }

    fn give(&mut self, line: &mut Vec<u8>, end: usize, next: usize) -> Next {
        let bytes = &self.buffer[self.at..end];
        line.clear();
        line.extend_from_slice(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        self.at = next;
        self.searched = next;
        let place = match self.origin {
            Origin::File { inode, .. } => Some((inode, self.base + next as u64)),
            Origin::Pipe(_) => None,
        };
        Next::Line { place }
    }

    /// Goes on with the file that now bears the name.
    fn turn(&mut self) -> Result<(), ProduceError> {
        let Origin::File { path, file, inode, .. } = &mut self.origin else { return Ok(()) };
        self.buffer.clear();
        (self.at, self.searched, self.base, self.turned) = (0, 0, 0, false);
        *file = File::open(path).ok();
        if let Some(file) = file {
            let metadata = file.metadata();
            *inode =
                metadata.map_err(|error| ProduceError::input(&self.name, format!("cannot be read: {error}")))?.ino();
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<Chunk, ProduceError> {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.searched -= self.at;
            self.at = 0;
        }
        let failed = |name: &str, error: std::io::Error| ProduceError::input(name, format!("cannot be read: {error}"));
        match &mut self.origin {
            Origin::Pipe(chunks) => match chunks.recv_timeout(Duration::from_millis(10)) {
                Ok(Ok(chunk)) => {
                    self.buffer.extend_from_slice(&chunk);
                    Ok(Chunk::More)
                }
                Ok(Err(error)) => Err(failed(&self.name, error)),
                Err(RecvTimeoutError::Timeout) => Ok(Chunk::Later),
                Err(RecvTimeoutError::Disconnected) => Ok(Chunk::End),
            },
            Origin::File { path, file, inode, follow } => {
                let Some(open) = file else {
                    *file = File::open(&*path).ok();
                    if let Some(file) = file {
                        *inode = file.metadata().map_err(|error| failed(&self.name, error))?.ino();
                        return Ok(Chunk::More);
                    }
                    return Ok(Chunk::Later);
                };
                let length = self.buffer.len();
                self.buffer.resize(length + CHUNK_BYTES, 0);
                let read = open.read(&mut self.buffer[length..]);
                self.buffer.truncate(length + *read.as_ref().unwrap_or(&0));
                if read.map_err(|error| failed(&self.name, error))? > 0 {
                    return Ok(Chunk::More);
                }
                if !*follow {
                    return Ok(Chunk::End);
                }
                let truncated = open.metadata().is_ok_and(|m| m.len() < self.base + self.buffer.len() as u64);
                // Looked at after the empty read: what the writer adds to the old file before it turns was read.
                let rotated = std::fs::metadata(&*path).is_ok_and(|metadata| metadata.ino() != *inode);
                if truncated {
                    return Ok(Chunk::Turned);
                }
                if rotated {
                    let more = open.metadata().is_ok_and(|m| m.len() > self.base + self.buffer.len() as u64);
                    return Ok(if more { Chunk::More } else { Chunk::Turned });
                }
                Ok(Chunk::Later)
            }
        }
    }
}

/// The file at `path`, or one beside it, that has this inode.
fn find_inode(path: &Path, inode: u64) -> Option<File> {
    let of = |path: &Path| File::open(path).ok().filter(|file| file.metadata().is_ok_and(|m| m.ino() == inode));
    of(path).or_else(|| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = std::fs::read_dir(folder).ok()?.flatten();
        beside.filter(|entry| entry.metadata().is_ok_and(|m| m.ino() == inode)).find_map(|entry| of(&entry.path()))
    })
}

/// Reads `source` to its end in a thread that outlives a stop: it may be blocked for ever.
pub(crate) fn spawn_reader(mut source: impl Read + Send + 'static) -> Receiver<std::io::Result<Vec<u8>>> {
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
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
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
