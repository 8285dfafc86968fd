//! The kernels' input: events of the benchmark in a file, so that making them is no part of what is counted.
//!
//! Format: per event a partition (i32), and for key and value a length (u32, `u32::MAX` is null) and the bytes; all
//! little-endian. Offsets are dense from 0. It is made anew for every count and kept nowhere.

use crate::live::{Events as _, Generated};
use anyhow::{Context as _, Result};
use std::path::Path;
use watertight_core::record::Records;

/// Event time of the first event: 2026-01-05, microseconds.
const START_US: i64 = 1_767_571_200_000_000;
/// Events per second of event time.
const PER_SECOND: u64 = 20_000;
/// Length of what is null.
const NULL: u32 = u32::MAX;

/// Writes the first `events` events.
pub(super) fn write(path: &Path, events: u64) -> Result<()> {
    let mut source = Generated::new(START_US, PER_SECOND)?;
    let mut bytes = Vec::new();
    for _ in 0..events {
        let event = source.make();
        bytes.extend_from_slice(&event.partition.to_le_bytes());
        for field in [event.key, event.value] {
            bytes.extend_from_slice(&field.map_or(NULL, |field| field.len() as u32).to_le_bytes());
            bytes.extend_from_slice(field.unwrap_or_default());
        }
    }
    std::fs::write(path, bytes).with_context(|| format!("could not write {}", path.display()))
}

/// Reads them; they stand for one partition's.
pub(super) fn read(path: &Path) -> Result<Records> {
    let bytes =
        std::fs::read(path).with_context(|| format!("could not read {}; `kernel-input` makes it", path.display()))?;
    let mut rest = Rest(&bytes);
    let mut records = Records::with_capacity(0, bytes.len());
    while !rest.0.is_empty() {
        let event = rest.event().with_context(|| format!("{} is no input of kernels; make it anew", path.display()))?;
        let offset = records.len() as i64;
        records.push(offset, START_US / 1_000 + offset / 20, -1, event.0, event.1, None);
    }
    Ok(records)
}

/// What was not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn event(&mut self) -> Option<(Option<&'a [u8]>, Option<&'a [u8]>)> {
        self.take(4)?;
        Some((self.field()?, self.field()?))
    }

    fn field(&mut self) -> Option<Option<&'a [u8]>> {
        let length = u32::from_le_bytes(self.take(4)?.try_into().ok()?);
        if length == NULL { Some(None) } else { self.take(length as usize).map(Some) }
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_and_half_of_it_does_not() {
        let dir = tempfile::tempdir().expect("scratch");
        let path = dir.path().join("events");
        write(&path, 500).expect("written");
        let records = read(&path).expect("read");
        let mut source = Generated::new(START_US, PER_SECOND).expect("events");
        assert_eq!(records.len(), 500);
        for row in 0..records.len() {
            let event = source.make();
            assert_eq!((records.key(row), records.value(row)), (event.key, event.value));
        }
        let bytes = std::fs::read(&path).expect("there");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
        assert!(read(&path).is_err() && read(&dir.path().join("none")).is_err());
    }
}
