//! Walking a segment from header to header, over damage.
//!
//! Contract: reads never go beyond the `end` that is given (what is known to be durable, or the file's size while
//! the lock is held); a damaged header costs the bytes up to the next good one, which is found in steps of eight.

use super::block::{ALIGN, HEADER_LEN, Header, MAGIC};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes read at once: large enough that reading is not bound by calls, small enough for many cursors.
const WINDOW_BYTES: usize = 512 << 10;

/// Bytes read at once where only headers are wanted.
const HEADERS_BYTES: usize = 4 << 10;

/// Bytes of one file, read ahead.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    start: u64,
    ahead: usize,
}

/// Where and how far to look in one segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'a> {
    /// The segment's file.
    pub(super) file: &'a File,
    /// The topic life's tag, which all its headers carry.
    pub(super) tag: u32,
    /// Byte behind the last that may be looked at.
    pub(super) end: u64,
    /// Offset behind the last that may be there.
    pub(super) end_offset: i64,
}

impl Window {
    /// A window for reading everything.
    pub(super) fn for_records() -> Self {
        Self { bytes: Vec::new(), start: 0, ahead: WINDOW_BYTES }
    }

    /// A window for looking at headers only.
    pub(super) fn for_headers() -> Self {
        Self { bytes: Vec::new(), start: 0, ahead: HEADERS_BYTES }
    }

    /// Forgets what was read (another file is next).
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The bytes at `at..at + len`, fewer where the stretch or the file ends.
    pub(super) fn get(&mut self, stretch: &Stretch<'_>, at: u64, len: usize) -> io::Result<&[u8]> {
        let len = usize::try_from(stretch.end.saturating_sub(at)).unwrap_or(usize::MAX).min(len);
        let held = at >= self.start && at + len as u64 <= self.start + self.bytes.len() as u64;
        if !held {
            self.load(stretch, at, len)?;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.bytes.len());
        let to = (from + len).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }

    fn load(&mut self, stretch: &Stretch<'_>, at: u64, len: usize) -> io::Result<()> {
        let ahead = usize::try_from(stretch.end.saturating_sub(at)).unwrap_or(usize::MAX).min(len.max(self.ahead));
        self.start = at;
        self.bytes.resize(ahead, 0);
        let mut filled = 0;
        while filled < ahead {
            match stretch.file.read_at(&mut self.bytes[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }

    /// The next good header at or behind `at`; `None` where the stretch holds no more.
    pub(super) fn next_header(&mut self, stretch: &Stretch<'_>, at: u64) -> io::Result<Option<Header>> {
        let mut at = at.next_multiple_of(ALIGN);
        loop {
            let bytes = self.get(stretch, at, HEADER_LEN)?;
            let Some(head) = bytes.first_chunk::<HEADER_LEN>() else { return Ok(None) };
            if let Some(header) = Header::decode(head, stretch.tag, at)
                && at + header.block_len() <= stretch.end
                && header.end_offset() <= stretch.end_offset
            {
                return Ok(Some(header));
            }
            at = self.next_magic(stretch, at + ALIGN)?;
        }
    }

    /// The next place at or behind `at` where a header could begin, or where the bytes end.
    fn next_magic(&mut self, stretch: &Stretch<'_>, mut at: u64) -> io::Result<u64> {
        loop {
            let bytes = self.get(stretch, at, WINDOW_BYTES)?;
            if bytes.len() < HEADER_LEN {
                return Ok(at);
            }
            match bytes.chunks_exact(ALIGN as usize).position(|chunk| chunk[..4] == MAGIC) {
                Some(step) => return Ok(at + step as u64 * ALIGN),
                None => at += bytes.len() as u64 / ALIGN * ALIGN,
            }
        }
    }

    /// The stored bytes of the block under `header`, fewer where the file ends too early.
    pub(super) fn stored(&mut self, stretch: &Stretch<'_>, header: &Header) -> io::Result<&[u8]> {
        self.get(stretch, header.position + HEADER_LEN as u64, header.stored_len as usize)
    }
}
