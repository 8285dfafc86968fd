//! A sorted, immutable run of keys on disk.
//!
//! The file is anonymous (unlinked while open): it needs no name, no fsync and no cleaning up, and dies with the
//! process. Pages of 4 KiB:
//!
//! ```text
//! crc32c u32 | keys u32 | page number u32 | run id u32 | up to 255 keys of 16 bytes, ascending | zeros
//! ```
//!
//! The checksum covers everything behind it, so that another page, or another run's page, is never taken for this
//! one. In memory: the first key of each page, and per 4,096 pages a binary fuse filter (Graf, Lemire 2022; 9 bits a
//! key, 0.4 % false positives) over the keys' upper 64 bits. A hit of the filter is confirmed on the page itself.

use super::page_cache::PageCache;
use crate::StateError;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use xorf::{BinaryFuse8, Filter as _};

/// Bytes of a page: what a device reads at once.
pub(super) const PAGE_BYTES: usize = 4096;
const HEAD_BYTES: usize = 16;
/// Keys of a full page.
pub(super) const PAGE_KEYS: usize = (PAGE_BYTES - HEAD_BYTES) / 16;
/// Pages under one filter: building it takes 24 bytes a key for a moment, so about 25 MiB at most.
const PIECE_PAGES: usize = 4096;

/// A page as it lies on disk.
pub(super) type Page = [u8; PAGE_BYTES];

#[derive(Debug)]
struct Piece {
    first: u128,
    /// `None` where the filter could not be built: then every key in the piece's range is looked up on disk.
    filter: Option<BinaryFuse8>,
}

/// A run; immutable once written.
#[derive(Debug)]
pub(super) struct Run {
    file: File,
    id: u32,
    keys: u64,
    fences: Vec<u128>,
    pieces: Vec<Piece>,
}

impl Run {
    /// Writes ascending, distinct keys as a run in `dir`.
    pub(super) fn write(dir: &Path, id: u32, keys: &[u128]) -> Result<Self, StateError> {
        let mut writer = RunWriter::new(dir, id)?;
        for key in keys {
            writer.push(*key)?;
        }
        writer.finish()
    }

    /// Merges two runs that share no key.
    pub(super) fn merge(dir: &Path, id: u32, left: &Self, right: &Self) -> Result<Self, StateError> {
        let mut writer = RunWriter::new(dir, id)?;
        let (mut a, mut b) = (Cursor::new(left)?, Cursor::new(right)?);
        loop {
            match (a.peek(), b.peek()) {
                (Some(x), Some(y)) if y < x => {
                    writer.push(y)?;
                    b.advance()?;
                }
                (Some(x), _) => {
                    writer.push(x)?;
                    a.advance()?;
                }
                (None, Some(y)) => {
                    writer.push(y)?;
                    b.advance()?;
                }
                (None, None) => return writer.finish(),
            }
        }
    }

    pub(super) fn keys(&self) -> u64 {
        self.keys
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn pages(&self) -> usize {
        self.fences.len()
    }

    /// Whether the key is in the run: exact.
    pub(super) fn contains(&self, key: u128, cache: &mut PageCache) -> Result<bool, StateError> {
        let piece_no = self.pieces.partition_point(|piece| piece.first <= key);
        if piece_no == 0 {
            return Ok(false);
        }
        let piece = &self.pieces[piece_no - 1];
        if piece.filter.as_ref().is_some_and(|filter| !filter.contains(&filter_key(key))) {
            return Ok(false);
        }
        let start = (piece_no - 1) * PIECE_PAGES;
        let end = self.fences.len().min(start + PIECE_PAGES);
        // The piece's first key is the first fence of its range, so at least one fence is not above the key.
        let page_no = start + self.fences[start..end].partition_point(|fence| *fence <= key) - 1;
        let page = cache.get(self, page_no)?;
        Ok(holds(page, key))
    }

    /// Reads a page and checks that it is the one that was written there.
    pub(super) fn read_page(&self, page_no: usize, page: &mut Page) -> Result<(), StateError> {
        match self.file.read_exact_at(page, (page_no * PAGE_BYTES) as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(StateError::DamagedRun("it ends before its last page"));
            }
            Err(error) => return Err(StateError::io("could not read a run of the duplicate index", error)),
        }
        if crc32c::crc32c(&page[4..]) != word(page, 0) {
            return Err(StateError::DamagedRun("checksum"));
        }
        if word(page, 8) != page_no as u32 || word(page, 12) != self.id || word(page, 4) as usize > PAGE_KEYS {
            return Err(StateError::DamagedRun("a page in another's place"));
        }
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

fn word(page: &Page, at: usize) -> u32 {
    u32::from_le_bytes([page[at], page[at + 1], page[at + 2], page[at + 3]])
}

/// The keys of a page that was checked, ascending.
pub(super) fn page_keys(page: &Page) -> impl Iterator<Item = u128> + '_ {
    let count = word(page, 4) as usize;
    page[HEAD_BYTES..HEAD_BYTES + count * 16].as_chunks::<16>().0.iter().map(|bytes| u128::from_le_bytes(*bytes))
}

fn holds(page: &Page, key: u128) -> bool {
    let count = word(page, 4) as usize;
    let keys = page[HEAD_BYTES..HEAD_BYTES + count * 16].as_chunks::<16>().0;
    keys.binary_search_by(|bytes| u128::from_le_bytes(*bytes).cmp(&key)).is_ok()
}

/// Filters take 64 bits; the upper half keeps the runs' order, so equal ones are neighbours when a filter is built.
fn filter_key(key: u128) -> u64 {
    (key >> 64) as u64
}

/// Walks a run's keys in order.
struct Cursor<'a> {
    run: &'a Run,
    next_page: usize,
    keys: Vec<u128>,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn new(run: &'a Run) -> Result<Self, StateError> {
        let mut cursor = Self { run, next_page: 0, keys: Vec::with_capacity(PAGE_KEYS), at: 0 };
        cursor.fill()?;
        Ok(cursor)
    }

    fn fill(&mut self) -> Result<(), StateError> {
        self.keys.clear();
        self.at = 0;
        if self.next_page < self.run.pages() {
            let mut page = [0; PAGE_BYTES];
            self.run.read_page(self.next_page, &mut page)?;
            self.keys.extend(page_keys(&page));
            self.next_page += 1;
        }
        Ok(())
    }

    fn peek(&self) -> Option<u128> {
        self.keys.get(self.at).copied()
    }

    fn advance(&mut self) -> Result<(), StateError> {
        self.at += 1;
        if self.at == self.keys.len() { self.fill() } else { Ok(()) }
    }
}

struct RunWriter {
    out: BufWriter<File>,
    page: Box<Page>,
    in_page: usize,
    filter_keys: Vec<u64>,
    piece_first: u128,
    run: RunParts,
}

struct RunParts {
    id: u32,
    keys: u64,
    fences: Vec<u128>,
    pieces: Vec<Piece>,
}

impl RunWriter {
    fn new(dir: &Path, id: u32) -> Result<Self, StateError> {
        let file = tempfile::tempfile_in(dir)
            .map_err(|error| StateError::io(format!("could not create a run in {}", dir.display()), error))?;
        Ok(Self {
            out: BufWriter::with_capacity(1 << 20, file),
            page: Box::new([0; PAGE_BYTES]),
            in_page: 0,
            filter_keys: Vec::new(),
            piece_first: 0,
            run: RunParts { id, keys: 0, fences: Vec::new(), pieces: Vec::new() },
        })
    }

    fn push(&mut self, key: u128) -> Result<(), StateError> {
        if self.in_page == 0 {
            if self.run.fences.len().is_multiple_of(PIECE_PAGES) {
                self.close_piece();
                self.piece_first = key;
            }
            self.run.fences.push(key);
        }
        let at = HEAD_BYTES + self.in_page * 16;
        self.page[at..at + 16].copy_from_slice(&key.to_le_bytes());
        self.in_page += 1;
        self.run.keys += 1;
        let filter_key = filter_key(key);
        if self.filter_keys.last() != Some(&filter_key) {
            self.filter_keys.push(filter_key);
        }
        if self.in_page == PAGE_KEYS { self.close_page() } else { Ok(()) }
    }

    fn close_page(&mut self) -> Result<(), StateError> {
        let page_no = (self.run.fences.len() - 1) as u32;
        self.page[4..8].copy_from_slice(&(self.in_page as u32).to_le_bytes());
        self.page[8..12].copy_from_slice(&page_no.to_le_bytes());
        self.page[12..16].copy_from_slice(&self.run.id.to_le_bytes());
        let checksum = crc32c::crc32c(&self.page[4..]);
        self.page[..4].copy_from_slice(&checksum.to_le_bytes());
        self.out.write_all(&self.page[..]).map_err(no_run)?;
        self.page.fill(0);
        self.in_page = 0;
        Ok(())
    }

    fn close_piece(&mut self) {
        if self.filter_keys.is_empty() {
            return;
        }
        let filter = BinaryFuse8::try_from(&self.filter_keys).ok();
        self.run.pieces.push(Piece { first: self.piece_first, filter });
        self.filter_keys.clear();
    }

    fn finish(mut self) -> Result<Run, StateError> {
        if self.in_page > 0 {
            self.close_page()?;
        }
        self.close_piece();
        let file = self.out.into_inner().map_err(|error| no_run(error.into_error()))?;
        let RunParts { id, keys, mut fences, pieces } = self.run;
        fences.shrink_to_fit();
        Ok(Run { file, id, keys, fences, pieces })
    }
}

fn no_run(error: std::io::Error) -> StateError {
    StateError::io("could not write a run of the duplicate index", error)
}
