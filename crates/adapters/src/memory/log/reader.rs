//! Reading the log in memory.

use super::{Entry, LogCall, Partition, Shared, State, stop};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, Fetched, Gap, LogReader, OffsetRange, PortError};
use watertight_core::record::{RecordMeta, Records};

/// Partitions of one topic, taken in turn.
pub(super) struct MemoryReader {
    pub(super) shared: Arc<Shared>,
    pub(super) topic: String,
    pub(super) incarnation: String,
    pub(super) positions: Vec<(i32, i64)>,
    pub(super) turn: usize,
}

impl MemoryReader {
    fn gather(&mut self, state: &mut State, bytes_max: usize) -> Result<Vec<Fetched>, PortError> {
        if state.topics.get(&self.topic).is_none_or(|found| found.incarnation != self.incarnation) {
            return Err(stop(format!("the topic {} was removed or made anew; open it again", self.topic)));
        }
        let count = self.positions.len();
        let share = (bytes_max / count.max(1)).max(1);
        self.turn = self.turn.wrapping_add(1);
        let mut all: Vec<Fetched> = Vec::new();
        for step in 0..count {
            let (number, position) = &mut self.positions[(self.turn + step) % count];
            let found = state.partition(&self.topic, *number)?;
            match read(found, &self.topic, *number, *position, share) {
                Ok(part) if part.to > part.from => {
                    *position = part.to;
                    all.push(part);
                }
                Ok(_) => {}
                Err(error) if all.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(all)
    }
}

fn read(found: &Partition, topic: &str, number: i32, from: i64, bytes_max: usize) -> Result<Fetched, PortError> {
    let (earliest, next) = (found.earliest, found.next);
    if from < earliest {
        let message = format!("offsets {from}..{earliest} of partition {topic}/{number} are gone; seek to {earliest}");
        let range = OffsetRange { partition: number, from, to: earliest };
        return Err(PortError::new(ErrorKind::OutOfRange, message).about(range));
    }
    if from > next {
        let message = format!("position {from} of partition {topic}/{number} lies behind the end of the log, {next}");
        return Err(stop(message).about(OffsetRange { partition: number, from: next, to: from }));
    }
    let records = Records::default();
    let mut part = Fetched { partition: number, from, to: from, records, gaps: Vec::new(), log_end: next };
    let start = found.entries.range(..=from).next_back().map_or(from, |(offset, _)| *offset);
    let mut used = 0;
    for (offset, entry) in found.entries.range(start..) {
        match entry {
            Entry::Gap { to, cause } if *to > from => {
                part.gaps.push(Gap { from: part.to, to: *to, cause: *cause });
                part.to = *to;
            }
            Entry::Record(record) if *offset >= from => {
                if used >= bytes_max {
                    break;
                }
                let fields = [record.key.as_deref(), record.value.as_deref(), record.headers.as_deref()];
                used += fields.iter().flatten().map(|bytes| bytes.len()).sum::<usize>() + size_of::<RecordMeta>();
                part.records.push(*offset, record.timestamp_ms, -1, fields[0], fields[1], fields[2]);
                part.to = offset + 1;
            }
            _ => {}
        }
    }
    Ok(part)
}

impl LogReader for MemoryReader {
    fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        let began = Instant::now();
        let lost = self.shared.enter(LogCall::Fetch)?;
        Shared::leave(LogCall::Fetch, lost, ())?;
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            let fetched = self.gather(&mut state, bytes_max)?;
            let left = wait.saturating_sub(began.elapsed());
            if !fetched.is_empty() || left.is_zero() {
                return Ok(fetched);
            }
            state = shared.turned.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        match self.positions.iter_mut().find(|(number, _)| *number == partition) {
            Some((_, position)) => {
                *position = offset;
                Ok(())
            }
            None => Err(stop(format!("partition {}/{partition} is not assigned to this reader", self.topic))),
        }
    }
}
