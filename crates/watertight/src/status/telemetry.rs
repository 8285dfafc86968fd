//! Small files that one process leaves for another, `status`: caches of what it knows, never fsynced.
//!
//! Format: a JSON object, a line feed, its checksum as 32 hex digits, a line feed, then whatever fills the file up.
//! It is overwritten in place, in space that it has already: a full disk is what it must be able to tell of, and then
//! no new file can be written. A reader that meets a half-written one sees a wrong checksum and reads again.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use watertight_core::books::record_checksum;

/// Size of a file at least: a few hundred parts with a long error each. What goes beyond needs space on the disk.
pub(super) const RESERVED_BYTES: usize = 64 << 10;
/// A reader can meet a half-written file; that many in a row it cannot.
const READS_MAX: usize = 8;

/// Reads a file; what cannot be read counts as nothing known.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    for _ in 0..READS_MAX {
        if let Some(value) = decode(&std::fs::read(path).ok()?) {
            return Some(value);
        }
        std::thread::yield_now();
    }
    None
}

/// Overwrites a file; makes it where there is none.
pub(super) fn overwrite<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let bytes = encode(value)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.write_all_at(&bytes, 0)
}

fn encode<T: Serialize>(value: &T) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    let sum = checksum(&bytes);
    bytes.push(b'\n');
    bytes.extend_from_slice(sum.as_bytes());
    bytes.push(b'\n');
    bytes.resize(bytes.len().max(RESERVED_BYTES), b' ');
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (text, sum) = (lines.next()?, lines.next()?);
    if checksum(text).as_bytes() != sum {
        return None;
    }
    serde_json::from_slice(text).ok()
}

fn checksum(text: &[u8]) -> String {
    format!("{:032x}", record_checksum(0, 0, None, Some(text)))
}
