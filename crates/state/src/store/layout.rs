//! The bytes of checkpoint files. All numbers little-endian.
//!
//! ```text
//! file   = header, blocks
//! header = "WTSTATE1" | header bytes u32 | kind u32 | content format u32 | generation u64
//!          | has upto u32 | upto u64 | content u64 | link u32 | pipeline str | what str | name str | crc32c u32
//! str    = bytes u32, UTF-8
//! block  = crc32c u32 | payload bytes u32 | upto u64 | last u32 | payload
//! ```
//!
//! Every checksum covers everything else in its header or block. A block's is begun with the checksum of the block
//! before it (the first one's with the header's), so that a block counts only in its file and at its place.
//!
//! - base (`base-<generation>`): `content` keys of 16 bytes; the set at version `upto`. `link` = what `delta-<same
//!   generation>` must have as its link.
//! - delta (`delta-<generation>`): blocks of keys, each group of them ended by one with `last` = 1, bringing the set
//!   to version `upto`. The header's `upto` and `link` are where the predecessor (base or delta) ended; `content` 0.
//! - blob (`blob-<name>`): `content` bytes.
//!
//! "WTSTATE1" is the layout's version: another layout gets another digit, and files of an unknown one are rebuilt.

use super::StateIdentity;
use std::io::{self, Read, Write};

const MAGIC: &[u8; 8] = b"WTSTATE1";
/// Longest header that is believed: names are at most 200 bytes, a uuid 36.
const HEADER_BYTES_MAX: u32 = 4096;
/// Bytes before a block's payload.
pub(super) const BLOCK_HEAD_BYTES: usize = 20;
/// Largest payload of a block: bounds what is allocated before a checksum was seen.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Base = 1,
    Delta = 2,
    Blob = 3,
}

/// A file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) identity: StateIdentity,
    pub(super) name: String,
    pub(super) generation: u64,
    pub(super) upto: Option<u64>,
    pub(super) content: u64,
    pub(super) link: u32,
}

/// Why bytes are not a header.
#[derive(Debug)]
pub(super) enum NotAHeader {
    /// Too short, or a checksum that doesn't fit.
    Damaged(&'static str),
    /// A layout this program does not know.
    OtherLayout,
    /// The operating system refused to read.
    Io(io::Error),
}

impl Header {
    /// The bytes, and the checksum at their end, with which the first block's is begun.
    pub(super) fn encode(&self) -> (Vec<u8>, u32) {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.kind as u32).to_le_bytes());
        out.extend_from_slice(&self.identity.format.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&u32::from(self.upto.is_some()).to_le_bytes());
        out.extend_from_slice(&self.upto.unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&self.content.to_le_bytes());
        out.extend_from_slice(&self.link.to_le_bytes());
        for text in [&self.identity.pipeline, &self.identity.what, &self.name] {
            out.extend_from_slice(&(text.len() as u32).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        let length = out.len() as u32 + 4;
        out[8..12].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        (out, checksum)
    }

    /// Reads a header: it, its length, and the checksum with which the first block's is begun.
    pub(super) fn read(from: &mut impl Read) -> Result<(Self, u64, u32), NotAHeader> {
        let mut bytes = vec![0; 12];
        read_all(from, &mut bytes)?;
        if bytes[..7] != MAGIC[..7] {
            return Err(NotAHeader::Damaged("it does not begin as a state file does"));
        }
        if bytes[7] != MAGIC[7] {
            return Err(NotAHeader::OtherLayout);
        }
        let length = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if !(64..=HEADER_BYTES_MAX).contains(&length) {
            return Err(NotAHeader::Damaged("header length"));
        }
        bytes.resize(length as usize, 0);
        read_all(from, &mut bytes[12..])?;
        let (body, tail) = bytes.split_at(length as usize - 4);
        let checksum = crc32c::crc32c(body);
        if tail != checksum.to_le_bytes() {
            return Err(NotAHeader::Damaged("header checksum"));
        }
        let header = Self::parse(&body[12..]).ok_or(NotAHeader::Damaged("header fields"))?;
        Ok((header, u64::from(length), checksum))
    }

    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let kind = match take_u32(rest)? {
            1 => Kind::Base,
            2 => Kind::Delta,
            3 => Kind::Blob,
            _ => return None,
        };
        let format = take_u32(rest)?;
        let generation = take_u64(rest)?;
        let has_upto = take_u32(rest)?;
        let upto = take_u64(rest)?;
        let content = take_u64(rest)?;
        let link = take_u32(rest)?;
        let identity = StateIdentity { pipeline: take_text(rest)?, what: take_text(rest)?, format };
        let name = take_text(rest)?;
        let upto = (has_upto == 1).then_some(upto);
        rest.is_empty().then_some(Self { kind, identity, name, generation, upto, content, link })
    }
}

fn read_all(from: &mut impl Read, into: &mut [u8]) -> Result<(), NotAHeader> {
    from.read_exact(into).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => NotAHeader::Damaged("it ends inside its header"),
        _ => NotAHeader::Io(error),
    })
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = take_u32(rest)? as usize;
    String::from_utf8(take(rest, length)?.to_vec()).ok()
}

/// A block's place in a sequence of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Version the group brings the set to; 0 in bases and blobs.
    pub(super) upto: u64,
    /// Whether the group ends with this block.
    pub(super) last: bool,
}

/// Writes a block and moves the chain of checksums on. `payload` is at most [`PAYLOAD_BYTES_MAX`].
pub(super) fn write_block(out: &mut impl Write, chain: &mut u32, stamp: Stamp, payload: &[u8]) -> io::Result<()> {
    let mut head = [0; BLOCK_HEAD_BYTES];
    head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&stamp.upto.to_le_bytes());
    head[16..20].copy_from_slice(&u32::from(stamp.last).to_le_bytes());
    let checksum = block_checksum(*chain, &head, payload);
    head[..4].copy_from_slice(&checksum.to_le_bytes());
    out.write_all(&head)?;
    out.write_all(payload)?;
    *chain = checksum;
    Ok(())
}

fn block_checksum(chain: u32, head: &[u8; BLOCK_HEAD_BYTES], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(chain, &head[4..]), payload)
}

/// What was found where a block may begin.
#[derive(Debug)]
pub(super) enum Found {
    /// A block; its payload is in the buffer, its bytes in the file are counted here.
    Block(Stamp, u64),
    /// The file's end.
    End,
    /// Bytes that are no block of this chain.
    Bad(&'static str),
}

/// Reads the next block's payload into `payload` and moves the chain on if it is good.
pub(super) fn read_block(from: &mut impl Read, chain: &mut u32, payload: &mut Vec<u8>) -> io::Result<Found> {
    let mut head = [0; BLOCK_HEAD_BYTES];
    match read_up_to(from, &mut head)? {
        0 => return Ok(Found::End),
        BLOCK_HEAD_BYTES => {}
        _ => return Ok(Found::Bad("it ends inside a block")),
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Ok(Found::Bad("block length"));
    }
    payload.resize(length, 0);
    if read_up_to(from, payload)? != length {
        return Ok(Found::Bad("it ends inside a block"));
    }
    let checksum = block_checksum(*chain, &head, payload);
    if head[..4] != checksum.to_le_bytes() {
        return Ok(Found::Bad("block checksum"));
    }
    *chain = checksum;
    let upto = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
    let stamp = Stamp { upto, last: head[16] == 1 };
    Ok(Found::Block(stamp, (BLOCK_HEAD_BYTES + length) as u64))
}

fn read_up_to(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The keys of a payload; `None` where it is no whole number of them.
pub(super) fn keys_of(payload: &[u8]) -> Option<impl Iterator<Item = u128> + '_> {
    let (keys, rest) = payload.as_chunks::<16>();
    rest.is_empty().then(|| keys.iter().map(|bytes| u128::from_le_bytes(*bytes)))
}
