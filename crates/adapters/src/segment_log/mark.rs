//! The mark: how far a partition is known to be durable. Readers go no further.
//!
//! One record of [`MARK_LEN`] bytes in the file `durable`, overwritten in place after each successful `fdatasync`
//! and never synced itself: after a power cut it may be old, but it is never ahead of the truth. A reader that meets
//! a half-written one sees a wrong checksum and reads again.
//!
//! | bytes | field |
//! |---|---|
//! | 0–3 | magic `F7 57 54 4D` |
//! | 4–5 | version, 1 |
//! | 6–7 | flags; bit 0: poisoned |
//! | 8–15 | base offset of the segment being written, -1 before the first |
//! | 16–23 | bytes of it that are durable |
//! | 24–31 | offset of the next record |
//! | 32–39 | earliest offset kept |
//! | 40–47 | where poisoned: first offset that no lost record could have had |
//! | 48–51 | tag of the topic's life |
//! | 52–55 | CRC32C of bytes 0–51 |

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Size of the mark.
pub(super) const MARK_LEN: usize = 56;
const MAGIC: [u8; 4] = [0xF7, b'W', b'T', b'M'];
const VERSION: u16 = 1;
const FLAG_POISONED: u16 = 1;
/// A reader can meet a half-written mark; that many in a row it cannot.
const READS_MAX: usize = 8;

/// How far a partition is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Base offset of the active segment; -1 where there is none yet.
    pub(super) base: i64,
    /// Durable bytes of it.
    pub(super) len: u64,
    /// Offset of the next record.
    pub(super) next: i64,
    /// Earliest offset kept.
    pub(super) earliest: i64,
    /// After a failed fsync: the active segment may not be written any more, and the next one begins here, above
    /// every offset that a record in doubt could have had.
    pub(super) poisoned: Option<i64>,
}

impl Mark {
    /// The mark of a partition without records.
    pub(super) const EMPTY: Self = Self { base: -1, len: 0, next: 0, earliest: 0, poisoned: None };

    /// The mark's bytes.
    pub(super) fn encode(&self, tag: u32) -> [u8; MARK_LEN] {
        let mut bytes = [0; MARK_LEN];
        let flags = if self.poisoned.is_some() { FLAG_POISONED } else { 0 };
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.base.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.len.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.next.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.earliest.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.poisoned.unwrap_or(0).to_le_bytes());
        bytes[48..52].copy_from_slice(&tag.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a mark of the topic life `tag`; `None` where the bytes are none.
    pub(super) fn decode(bytes: &[u8; MARK_LEN], tag: u32) -> Option<Self> {
        let eight = |at: usize| {
            let mut out = [0; 8];
            out.copy_from_slice(&bytes[at..at + 8]);
            out
        };
        let crc = u32::from_le_bytes([bytes[52], bytes[53], bytes[54], bytes[55]]);
        let own_tag = u32::from_le_bytes([bytes[48], bytes[49], bytes[50], bytes[51]]);
        let version = u16::from_le_bytes([bytes[4], bytes[5]]);
        if bytes[..4] != MAGIC || version != VERSION || crc32c::crc32c(&bytes[..52]) != crc || own_tag != tag {
            return None;
        }
        let poisoned = u16::from_le_bytes([bytes[6], bytes[7]]) & FLAG_POISONED != 0;
        Some(Self {
            base: i64::from_le_bytes(eight(8)),
            len: u64::from_le_bytes(eight(16)),
            next: i64::from_le_bytes(eight(24)),
            earliest: i64::from_le_bytes(eight(32)),
            poisoned: poisoned.then(|| i64::from_le_bytes(eight(40))),
        })
    }

    /// Reads the mark in `file`; `None` where there is no valid one.
    pub(super) fn read(file: &File, tag: u32) -> io::Result<Option<Self>> {
        let mut bytes = [0; MARK_LEN];
        for _ in 0..READS_MAX {
            match file.read_exact_at(&mut bytes, 0) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error),
            }
            if let Some(mark) = Self::decode(&bytes, tag) {
                return Ok(Some(mark));
            }
            std::thread::yield_now();
        }
        Ok(None)
    }

    /// Overwrites the mark in `file`.
    pub(super) fn write(&self, file: &File, tag: u32) -> io::Result<()> {
        file.write_all_at(&self.encode(tag), 0)
    }
}
