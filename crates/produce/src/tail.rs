//! Reading a partition's tail back: the only way to know what became of an append whose answer was lost.

use std::time::Duration;
use watertight_core::port::{ErrorKind, EventLog, GapCause, PortError, ReadFrom};
use watertight_core::record::decode_headers;

use crate::ledger::{PRODUCER_HEADER, SEQUENCE_HEADER};

/// Bytes asked for at a time; bounds the memory of a read-back.
const FETCH_BYTES_MAX: usize = 8 << 20;
/// Fetches in a row that may bring nothing although the log says there is more, 50 ms each.
const EMPTY_FETCHES_MAX: u32 = 200;

/// One record as it lies in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) offset: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    headers: &'a [u8],
}

impl Found<'_> {
    /// The record's sequence number, where `producer` wrote it with a ledger.
    pub(crate) fn sequence_of(&self, producer: &str) -> Option<u64> {
        let headers = decode_headers(self.headers)?;
        let value = |name: &str| headers.iter().find(|(n, _)| *n == name.as_bytes()).and_then(|(_, value)| *value);
        (value(PRODUCER_HEADER)? == producer.as_bytes()).then_some(())?;
        std::str::from_utf8(value(SEQUENCE_HEADER)?).ok()?.parse().ok()
    }
}

/// Shows every record of `partition` from offset `from` to the present end.
///
/// # Errors
/// As the log's; `Retry` where the end cannot be read yet, because somebody else's transaction is open; `Stop` where
/// records that may be ours were lost or have been removed, and where the log ends before `from`.
pub(crate) fn read_tail(
    log: &dyn EventLog,
    topic: &str,
    partition: i32,
    from: i64,
    mut each: impl FnMut(Found<'_>),
) -> Result<(), PortError> {
    // First the end: it is told only when what was appended before can change no more.
    let end = log.end(topic, partition)?;
    let bounds = log.bounds(topic, partition)?;
    if bounds.earliest > from {
        let what = format!(
            "offsets {from}..{} of {topic}/{partition} are gone by retention, so what was sent there is unknown; begin a \
             new ledger with another producer name",
            bounds.earliest
        );
        return Err(PortError::new(ErrorKind::Stop, what));
    }
    if end < from {
        let what = format!(
            "offsets {end}..{from} of {topic}/{partition} were there and are gone: the log ends at {end} now, so what was \
             acknowledged there is lost; look for an unclean election, or a log that was restored, and begin a new ledger \
             with another producer name"
        );
        return Err(PortError::new(ErrorKind::Stop, what));
    }
    if bounds.next < end {
        let what = format!(
            "offsets {}..{end} of {topic}/{partition} cannot be read yet, a transaction is open; it is tried again",
            bounds.next
        );
        return Err(PortError::new(ErrorKind::Retry, what));
    }
    if from == end {
        return Ok(());
    }
    let mut reader = log.reader(topic, &[ReadFrom::offset(partition, from)])?;
    let mut at = from;
    let mut empty = 0;
    while at < end {
        let fetched = reader.fetch(FETCH_BYTES_MAX, Duration::from_millis(50))?;
        empty = if fetched.is_empty() { empty + 1 } else { 0 };
        if empty > EMPTY_FETCHES_MAX {
            let what = format!("{topic}/{partition} does not give offset {at}, though it ends at {end}");
            return Err(PortError::new(ErrorKind::Retry, what));
        }
        for part in fetched.iter().filter(|part| part.partition == partition) {
            if let Some(gap) = part.gaps.iter().find(|gap| gap.cause != GapCause::NoRecord) {
                let what = format!(
                    "offsets {}..{} of {topic}/{partition} are damaged, so what was sent there is unknown; begin a new \
                     ledger with another producer name",
                    gap.from, gap.to
                );
                return Err(PortError::new(ErrorKind::Stop, what));
            }
            for (row, meta) in part.records.metas().iter().enumerate() {
                let (key, value) = (part.records.key(row), part.records.value(row));
                each(Found { offset: meta.offset, key, value, headers: part.records.headers(row) });
            }
            at = at.max(part.to);
        }
    }
    Ok(())
}
