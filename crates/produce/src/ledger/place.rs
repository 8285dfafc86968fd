//! A place in an input file, with what vouches for it.
//!
//! Contract: a place is believed again only where the file still holds the same bytes before it. An inode alone says
//! little: a removed file's number is given to the next one, and a file can be written anew in place.

use std::fmt;

/// How many bytes before a place its checksum covers: some events, so that other content does not agree by chance, and
/// little enough to be computed for each event.
pub(crate) const TAIL_BYTES: usize = 1 << 10;

/// A place in an input file: behind a record that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The file's inode.
    pub inode: u64,
    /// Bytes before the place.
    pub bytes: u64,
    /// Checksum of the last 1 KiB before the place (of all, where there is less); absent in ledgers of older builds.
    pub check: Option<u32>,
}

impl Place {
    /// Reads `<inode>:<bytes>` or `<inode>:<bytes>:<checksum>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let inode = parts.next()?.parse().ok()?;
        let bytes = parts.next()?.parse().ok()?;
        let check = match parts.next() {
            None => None,
            Some(check) => Some(u32::from_str_radix(check, 16).ok()?),
        };
        parts.next().is_none().then_some(Self { inode, bytes, check })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.inode, self.bytes)?;
        self.check.map_or(Ok(()), |check| write!(out, ":{check:08x}"))
    }
}

/// The checksum of the bytes before a place: multiply and rotate over words of eight bytes (the hash of the Firefox
/// sources), begun with the length, folded to 32 bits. Kept in ledgers: it must stay as it is.
pub(crate) fn check_of(tail: &[u8]) -> u32 {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = tail.as_chunks::<8>();
    let hash = words.iter().fold(step(0, tail.len() as u64), |hash, word| step(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)));
    (hash ^ (hash >> 32)) as u32
}
