//! Records as they come from an event log: one arena of bytes and a row of spans into it.
//!
//! A fetch of many thousand records is one allocation; a record is a `Copy` of a few integers. Nothing here
//! interprets keys, values or headers: they are carried byte for byte.

mod partitioner;

pub use partitioner::{murmur2, partition_for_key};

/// A stretch of the arena; `None` bytes (a null key, a tombstone) are kept apart from empty ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The span of a field that is null.
    pub const NULL: Self = Self { start: 0, len: u32::MAX };

    /// Whether the field is null (not merely empty).
    #[must_use]
    pub fn is_null(self) -> bool {
        self.len == u32::MAX
    }
}

/// What is known of one record besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMeta {
    /// Offset in its partition.
    pub offset: i64,
    /// The log's timestamp, milliseconds since the epoch (Kafka's unit).
    pub timestamp_ms: i64,
    /// Epoch of the leader that wrote it; -1 where the log has none.
    pub leader_epoch: i32,
    key: Span,
    value: Span,
    headers: Span,
}

/// A record about to be appended, borrowed from its producer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// The key; `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// The payload; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in order; names may repeat.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since the epoch, given by the producer.
    pub timestamp_ms: i64,
}

/// Records of one partition in offset order, in one arena (at most 4 GiB; fetches are bounded far below).
#[derive(Debug, Clone, Default)]
pub struct Records {
    arena: Vec<u8>,
    metas: Vec<RecordMeta>,
}

impl Records {
    /// An empty set with room for `records` records of `bytes` bytes in all.
    #[must_use]
    pub fn with_capacity(records: usize, bytes: usize) -> Self {
        Self { arena: Vec::with_capacity(bytes), metas: Vec::with_capacity(records) }
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.metas.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.metas.is_empty()
    }

    /// Bytes held in the arena (keys, values and headers together).
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.arena.len()
    }

    /// The records' metadata, in order.
    #[must_use]
    pub fn metas(&self) -> &[RecordMeta] {
        &self.metas
    }

    /// Appends one record, copying its bytes. `headers` are in the encoding of [`encode_headers`]; `None` = no headers.
    pub fn push(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        leader_epoch: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<&[u8]>,
    ) {
        let key = self.copy(key);
        let value = self.copy(value);
        let headers = self.copy(headers);
        self.metas.push(RecordMeta { offset, timestamp_ms, leader_epoch, key, value, headers });
    }

    fn copy(&mut self, bytes: Option<&[u8]>) -> Span {
        let Some(bytes) = bytes else { return Span::NULL };
        let start = u32::try_from(self.arena.len()).expect("an arena stays under 4 GiB");
        let len = u32::try_from(bytes.len()).expect("a field stays under 4 GiB");
        self.arena.extend_from_slice(bytes);
        Span { start, len }
    }

    fn slice(&self, span: Span) -> Option<&[u8]> {
        (!span.is_null()).then(|| &self.arena[span.start as usize..(span.start + span.len) as usize])
    }

    /// The key of record `row`; `None` is a null key.
    #[must_use]
    pub fn key(&self, row: usize) -> Option<&[u8]> {
        self.slice(self.metas[row].key)
    }

    /// The payload of record `row`; `None` is a tombstone.
    #[must_use]
    pub fn value(&self, row: usize) -> Option<&[u8]> {
        self.slice(self.metas[row].value)
    }

    /// The encoded headers of record `row` (see [`decode_headers`]); empty where it has none.
    #[must_use]
    pub fn headers(&self, row: usize) -> &[u8] {
        self.slice(self.metas[row].headers).unwrap_or(&[])
    }

    /// Appends all records of `other`, which must follow this set in offset order.
    pub fn append(&mut self, other: &Self) {
        for (row, meta) in other.metas.iter().enumerate() {
            self.push(
                meta.offset,
                meta.timestamp_ms,
                meta.leader_epoch,
                other.key(row),
                other.value(row),
                other.slice(meta.headers),
            );
        }
    }
}

/// Encodes headers for [`Records::push`]: per header, name length (u32 LE), name, value length (u32 LE, `u32::MAX` = null), value.
pub fn encode_headers(headers: &[(&str, Option<&[u8]>)], out: &mut Vec<u8>) {
    for (name, value) in headers {
        encode_header(name.as_bytes(), *value, out);
    }
}

/// Appends one header in the encoding of [`encode_headers`]; its name may be any bytes.
pub fn encode_header(name: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(&value.map_or(u32::MAX, |v| v.len() as u32).to_le_bytes());
    out.extend_from_slice(value.unwrap_or(&[]));
}

/// One decoded header: its name's bytes and its value (`None` is a null value).
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// Decodes what [`encode_headers`] wrote; `None` when the bytes are not of that form.
#[must_use]
pub fn decode_headers(mut bytes: &[u8]) -> Option<Vec<Header<'_>>> {
    fn take_len(bytes: &mut &[u8]) -> Option<u32> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*head))
    }
    fn take<'a>(bytes: &mut &'a [u8], len: u32) -> Option<&'a [u8]> {
        let (head, rest) = bytes.split_at_checked(len as usize)?;
        *bytes = rest;
        Some(head)
    }
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        let name_len = take_len(&mut bytes)?;
        let name = take(&mut bytes, name_len)?;
        let value_len = take_len(&mut bytes)?;
        let value = if value_len == u32::MAX { None } else { Some(take(&mut bytes, value_len)?) };
        headers.push((name, value));
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_fields_stay_apart() {
        let mut records = Records::default();
        records.push(7, 1, -1, None, Some(b""), None);
        records.push(8, 2, -1, Some(b""), None, None);
        assert_eq!(records.key(0), None);
        assert_eq!(records.value(0), Some(&b""[..]));
        assert_eq!(records.key(1), Some(&b""[..]));
        assert_eq!(records.value(1), None);
    }

    #[test]
    fn headers_keep_order_duplicates_and_nulls() {
        let mut bytes = Vec::new();
        encode_headers(&[("a", Some(b"1")), ("a", None), ("", Some(b""))], &mut bytes);
        let headers = decode_headers(&bytes).expect("just encoded");
        assert_eq!(headers, vec![(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"", Some(b""))]);
        assert_eq!(decode_headers(&bytes[..bytes.len() - 2]), None, "a cut header is not read as a shorter one");
    }
}
