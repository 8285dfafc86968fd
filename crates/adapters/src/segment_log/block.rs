//! One block: a header of 64 bytes that vouches for itself, then the records of one append.
//!
//! Contract: a block is read back exactly as it was written or is found to be damaged; a length is believed only
//! after its checksum and its bounds have been checked. Nothing here knows of files; `mod.rs` has the layout.

use super::options::Codec;
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::record::{NewRecord, encode_headers};

/// Size of a header; blocks are padded to multiples of [`ALIGN`].
pub(super) const HEADER_LEN: usize = 64;
/// Blocks begin at multiples of this, so that a scan for the next header steps by it.
pub(super) const ALIGN: u64 = 8;
/// Upper bound of a block's records, stored or raw: what a reader must hold in memory at once.
pub(super) const BLOCK_BYTES_MAX: usize = 64 << 20;
/// First bytes of each header.
pub(super) const MAGIC: [u8; 4] = [0xF7, b'W', b'T', b'B'];
const VERSION: u8 = 1;
/// Flag of the block that opens a segment and says where its predecessor ends.
const FLAG_OPENING: u16 = 1;

/// A checked header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) codec: Codec,
    pub(super) opening: bool,
    pub(super) payload_crc: u32,
    pub(super) first_offset: i64,
    pub(super) count: u32,
    pub(super) tag: u32,
    pub(super) base_time_ms: i64,
    pub(super) max_time_ms: i64,
    pub(super) stored_len: u32,
    pub(super) raw_len: u32,
    pub(super) position: u64,
}

/// Little-endian fields at fixed places of a header.
fn field<const N: usize>(bytes: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

fn header_crc(bytes: &[u8; HEADER_LEN]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..8]), &bytes[12..])
}

impl Header {
    /// The header's bytes, with its checksum.
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = match self.codec {
            Codec::None => 0,
            Codec::Lz4 => 1,
            Codec::Zstd => 2,
        };
        let flags = if self.opening { FLAG_OPENING } else { 0 };
        bytes[6..8].copy_from_slice(&flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_offset.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.tag.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.base_time_ms.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.max_time_ms.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.raw_len.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.position.to_le_bytes());
        let crc = header_crc(&bytes);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header that stands at byte `position` of a segment of the topic life `tag`; `None` where the bytes
    /// are none: a flipped bit, or bytes that stood elsewhere once (a payload may quote a segment file).
    pub(super) fn decode(bytes: &[u8; HEADER_LEN], tag: u32, position: u64) -> Option<Self> {
        if bytes[..4] != MAGIC || bytes[4] != VERSION || u32::from_le_bytes(field(bytes, 8)) != header_crc(bytes) {
            return None;
        }
        let codec = match bytes[5] {
            0 => Codec::None,
            1 => Codec::Lz4,
            2 => Codec::Zstd,
            _ => return None,
        };
        let header = Self {
            codec,
            opening: u16::from_le_bytes(field(bytes, 6)) & FLAG_OPENING != 0,
            payload_crc: u32::from_le_bytes(field(bytes, 12)),
            first_offset: i64::from_le_bytes(field(bytes, 16)),
            count: u32::from_le_bytes(field(bytes, 24)),
            tag: u32::from_le_bytes(field(bytes, 28)),
            base_time_ms: i64::from_le_bytes(field(bytes, 32)),
            max_time_ms: i64::from_le_bytes(field(bytes, 40)),
            stored_len: u32::from_le_bytes(field(bytes, 48)),
            raw_len: u32::from_le_bytes(field(bytes, 52)),
            position: u64::from_le_bytes(field(bytes, 56)),
        };
        let bounded = header.stored_len as usize <= BLOCK_BYTES_MAX && header.raw_len as usize <= BLOCK_BYTES_MAX;
        let placed = header.tag == tag && header.position == position && header.first_offset >= 0;
        let counted =
            header.opening == (header.count == 0) && header.first_offset.checked_add(header.count.into()).is_some();
        (bounded && placed && counted).then_some(header)
    }

    /// Offset after the block's last record.
    pub(super) fn end_offset(&self) -> i64 {
        self.first_offset + i64::from(self.count)
    }

    /// Bytes from this header to the next.
    pub(super) fn block_len(&self) -> u64 {
        (HEADER_LEN as u64 + u64::from(self.stored_len)).next_multiple_of(ALIGN)
    }

    /// Whether `stored` is what was written under this header.
    pub(super) fn vouches_for(&self, stored: &[u8]) -> bool {
        stored.len() == self.stored_len as usize && crc32c::crc32c(stored) == self.payload_crc
    }

    /// Unpacks stored bytes that the header vouches for; `None` where they do not unpack to the declared length.
    pub(super) fn unpack(&self, stored: &[u8], raw: &mut Vec<u8>) -> Option<()> {
        let raw_len = self.raw_len as usize;
        match self.codec {
            Codec::None => {
                raw.clear();
                raw.extend_from_slice(stored);
            }
            Codec::Lz4 => {
                raw.resize(raw_len, 0);
                let unpacked = lz4_flex::block::decompress_into(stored, raw).ok()?;
                raw.truncate(unpacked);
            }
            Codec::Zstd => {
                raw.resize(raw_len, 0);
                let unpacked = zstd::bulk::decompress_to_buffer(stored, &mut raw[..]).ok()?;
                raw.truncate(unpacked);
            }
        }
        (raw.len() == raw_len).then_some(())
    }
}

/// What a segment's opening block says of the segment before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    /// First offset in the predecessor's name; -1 where there is none.
    pub(super) prev_base: i64,
    /// Bytes of the predecessor that were durable when this segment began; what lies behind them was never acked.
    pub(super) prev_len: u64,
    /// Offset after the predecessor's last durable record; up to this segment's base no offset was used.
    pub(super) prev_next: i64,
}

impl Opening {
    /// The block that opens the segment `base`.
    pub(super) fn block(&self, tag: u32, base: i64) -> Vec<u8> {
        let mut payload = [0; 24];
        payload[..8].copy_from_slice(&self.prev_base.to_le_bytes());
        payload[8..16].copy_from_slice(&self.prev_len.to_le_bytes());
        payload[16..].copy_from_slice(&self.prev_next.to_le_bytes());
        let header = Header {
            codec: Codec::None,
            opening: true,
            payload_crc: crc32c::crc32c(&payload),
            first_offset: base,
            count: 0,
            tag,
            base_time_ms: 0,
            max_time_ms: 0,
            stored_len: payload.len() as u32,
            raw_len: payload.len() as u32,
            position: 0,
        };
        let mut bytes = header.encode().to_vec();
        bytes.extend_from_slice(&payload);
        bytes
    }

    /// Reads the stored bytes of an opening block.
    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        let (prev_base, rest) = stored.split_first_chunk::<8>()?;
        let (prev_len, rest) = rest.split_first_chunk::<8>()?;
        let prev_next = rest.first_chunk::<8>()?;
        Some(Self {
            prev_base: i64::from_le_bytes(*prev_base),
            prev_len: u64::from_le_bytes(*prev_len),
            prev_next: i64::from_le_bytes(*prev_next),
        })
    }
}

/// Length of an opening block.
pub(super) const OPENING_LEN: u64 = HEADER_LEN as u64 + 24;

/// A packed append: everything but its place, which is known only when it is written.
#[derive(Debug)]
pub(super) struct Block {
    /// The block, and behind it whatever an earlier one left.
    buffer: Vec<u8>,
    len: usize,
    header: Header,
}

impl Block {
    /// Packs records into `buffer`; `raw` is scratch space. What the two hold is overwritten as far as it is needed, and not
    /// zeroed first: a caller waits for each pass over its batch. They may come back swapped.
    pub(super) fn pack(
        records: &[NewRecord<'_>],
        codec: Codec,
        raw: &mut Vec<u8>,
        mut buffer: Vec<u8>,
    ) -> Result<Self, PortError> {
        let base_time_ms = records.first().map_or(0, |r| r.timestamp_ms);
        let max_time_ms = records.iter().map(|r| r.timestamp_ms).max().unwrap_or(0);
        // Room for the header, so that what does not shrink is stored where it is.
        raw.clear();
        raw.resize(HEADER_LEN, 0);
        let mut headers = Vec::new();
        for record in records {
            encode_record(record, base_time_ms, &mut headers, raw);
            if raw.len() - HEADER_LEN > BLOCK_BYTES_MAX {
                return Err(PortError::new(
                    ErrorKind::Stop,
                    format!("a batch of {} records is larger than 64 MiB; append it in parts", records.len()),
                ));
            }
        }
        let raw_len = raw.len() - HEADER_LEN;
        let packed = compress(&raw[HEADER_LEN..], codec, &mut buffer)?;
        let (codec, stored_len) = match packed.filter(|len| *len < raw_len) {
            Some(len) => (codec, len),
            None => {
                std::mem::swap(raw, &mut buffer);
                (Codec::None, raw_len)
            }
        };
        let end = HEADER_LEN + stored_len;
        let len = end.next_multiple_of(ALIGN as usize);
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        buffer[end..len].fill(0);
        let header = Header {
            codec,
            opening: false,
            payload_crc: crc32c::crc32c(&buffer[HEADER_LEN..end]),
            first_offset: 0,
            count: records.len() as u32,
            tag: 0,
            base_time_ms,
            max_time_ms,
            stored_len: stored_len as u32,
            raw_len: raw_len as u32,
            position: 0,
        };
        Ok(Self { buffer, len, header })
    }

    /// Number of records.
    pub(super) fn count(&self) -> u32 {
        self.header.count
    }

    /// The header, once it has its place, the stored records, padding.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// Gives the block its place.
    pub(super) fn place(&mut self, tag: u32, first_offset: i64, position: u64) {
        self.header.tag = tag;
        self.header.first_offset = first_offset;
        self.header.position = position;
        self.buffer[..HEADER_LEN].copy_from_slice(&self.header.encode());
    }

    /// Takes the buffer, for another block; nothing is left of this one but its number of records.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        self.len = 0;
        std::mem::take(&mut self.buffer)
    }
}

/// Packs `raw` into `buffer`, behind room for a header; gives the packed length.
fn compress(raw: &[u8], codec: Codec, buffer: &mut Vec<u8>) -> Result<Option<usize>, PortError> {
    let needed = match codec {
        Codec::None => return Ok(None),
        Codec::Lz4 => HEADER_LEN + lz4_flex::block::get_maximum_output_size(raw.len()),
        Codec::Zstd => HEADER_LEN + zstd::zstd_safe::compress_bound(raw.len()),
    };
    if buffer.capacity() < needed {
        // Nothing in it is worth being copied, and the system gives new pages zeroed.
        *buffer = vec![0; needed];
    } else if buffer.len() < needed {
        buffer.resize(needed, 0);
    }
    let packed = &mut buffer[HEADER_LEN..];
    match codec {
        Codec::None => Ok(None),
        Codec::Lz4 => Ok(lz4_flex::block::compress_into(raw, packed).ok()),
        Codec::Zstd => {
            let len = zstd::bulk::compress_to_buffer(raw, packed, 1);
            len.map(Some).map_err(|e| PortError::caused(ErrorKind::Bug, "cannot pack a batch with zstd", e))
        }
    }
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// A record: time since the block's base time (zigzag), then length + 1 (0 = null) and bytes of key, value, headers.
fn encode_record(record: &NewRecord<'_>, base_time_ms: i64, headers: &mut Vec<u8>, out: &mut Vec<u8>) {
    let delta = record.timestamp_ms.wrapping_sub(base_time_ms);
    put_varint(((delta << 1) ^ (delta >> 63)) as u64, out);
    headers.clear();
    encode_headers(record.headers, headers);
    let headers = (!record.headers.is_empty()).then_some(&headers[..]);
    for part in [record.key, record.value, headers] {
        put_varint(part.map_or(0, |bytes| bytes.len() as u64 + 1), out);
        out.extend_from_slice(part.unwrap_or(&[]));
    }
}

/// One record of an unpacked block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RawRecord<'a> {
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Option<&'a [u8]>,
}

/// Takes the next record off an unpacked block; `None` where the bytes are not of that form.
pub(super) fn take_record<'a>(bytes: &mut &'a [u8], base_time_ms: i64) -> Option<RawRecord<'a>> {
    fn take_part<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
        let len = take_varint(bytes)?;
        let Some(len) = len.checked_sub(1) else { return Some(None) };
        let (part, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
        *bytes = rest;
        Some(Some(part))
    }
    let delta = take_varint(bytes)?;
    let delta = (delta >> 1) as i64 ^ -((delta & 1) as i64);
    Some(RawRecord {
        timestamp_ms: base_time_ms.wrapping_add(delta),
        key: take_part(bytes)?,
        value: take_part(bytes)?,
        headers: take_part(bytes)?,
    })
}
