//! The reader: several cursors, taken in turn.
//!
//! Contract: as `LogReader` says. Appends of this process ring a bell; those of others are met by looking at the
//! mark every few milliseconds. Waiting readers also publish what a dead writer left behind.

use super::Inner;
use super::cursor::Cursor;
use super::disk::{Open, Wait};
use super::mark::Mark;
use super::partition::{Holding, Partition};
use super::recover::Role;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, Fetched, LogReader, PortError};

/// How often a waiting reader looks at the mark: another process has no other way to wake it (aim: 20 ms).
const POLL_INTERVAL: Duration = Duration::from_millis(4);
/// How often a waiting reader looks for what a dead writer left, and whether its topic still is the same.
const LOOK_AFTER_INTERVAL: Duration = Duration::from_millis(100);

/// Reads partitions of one topic.
pub(super) struct SegmentReader {
    inner: Arc<Inner>,
    topic: String,
    cursors: Vec<Cursor>,
    turn: usize,
    looked_after: Option<Instant>,
}

impl SegmentReader {
    pub(super) fn new(inner: Arc<Inner>, topic: &str, cursors: Vec<Cursor>) -> Self {
        Self { inner, topic: topic.to_owned(), cursors, turn: 0, looked_after: None }
    }

    /// What is there now: first a fair share of each partition, then what room is left. Each time another partition
    /// is the first, so that none waits behind another's backlog or error.
    fn gather(&mut self, bytes_max: usize) -> Result<Vec<Fetched>, PortError> {
        let count = self.cursors.len();
        let mut marks: Vec<Option<Mark>> = vec![None; count];
        let mut parts: Vec<Option<Fetched>> = (0..count).map(|_| None).collect();
        let mut left = bytes_max.max(1);
        let share = (left / count.max(1)).max(1);
        self.turn = self.turn.wrapping_add(1);
        'passes: for pass in 0..2 {
            for step in 0..count {
                let at = (self.turn + step) % count;
                let taken_any = parts.iter().flatten().any(|part| part.to > part.from);
                if left == 0 && taken_any {
                    break 'passes;
                }
                let budget = if pass == 0 { share.min(left).max(1) } else { left };
                match take(&mut self.cursors[at], &mut marks[at], &mut parts[at], budget) {
                    Ok(used) => left = left.saturating_sub(used),
                    Err(error) if !taken_any && parts.iter().flatten().all(|part| part.to == part.from) => {
                        return Err(error);
                    }
                    // What was read before counts; the error comes again when this partition is the first.
                    Err(_) => break 'passes,
                }
            }
        }
        Ok(parts.into_iter().flatten().filter(|part| part.to > part.from).collect())
    }

    /// Publishes what dead writers left; an error where the topic is another one by now.
    fn look_after(&mut self) -> Result<(), PortError> {
        if self.looked_after.is_some_and(|at| at.elapsed() < LOOK_AFTER_INTERVAL) {
            return Ok(());
        }
        self.looked_after = Some(Instant::now());
        for cursor in &self.cursors {
            if !cursor.partition.is_current()? {
                return Err(cursor.partition.removed());
            }
            cursor.partition.settle_left_behind()?;
        }
        Ok(())
    }
}

/// Reads on in one partition.
fn take(
    cursor: &mut Cursor,
    mark: &mut Option<Mark>,
    part: &mut Option<Fetched>,
    budget: usize,
) -> Result<usize, PortError> {
    let mark = match mark {
        Some(mark) => mark,
        None => mark.insert(cursor.partition.mark()?),
    };
    let out = part.get_or_insert_with(|| cursor.nothing(mark));
    cursor.fill(mark, budget, out)
}

impl LogReader for SegmentReader {
    fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        let began = Instant::now();
        loop {
            let seen = self.inner.bell.count();
            let fetched = self.gather(bytes_max)?;
            if !fetched.is_empty() {
                return Ok(fetched);
            }
            self.look_after()?;
            if self.inner.bell.count() != seen {
                continue;
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(Vec::new());
            }
            self.inner.bell.listen(seen, left.min(POLL_INTERVAL));
        }
    }

    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        match self.cursors.iter_mut().find(|cursor| cursor.partition.number == partition) {
            Some(cursor) => {
                cursor.seek(offset);
                Ok(())
            }
            None => Err(PortError::new(
                ErrorKind::Stop,
                format!("partition {}/{partition} is not assigned to this reader; open one that has it", self.topic),
            )),
        }
    }
}

impl Partition {
    /// Publishes what a writer left behind that died between its sync and its mark. Does nothing while one is at
    /// work or may be syncing, and looks at each state of the files once.
    pub(super) fn settle_left_behind(&self) -> Result<(), PortError> {
        let mark = self.mark()?;
        let listed = self.list_segments()?;
        let Some(&last) = listed.last() else { return Ok(()) };
        let size = match self.open_segment(last, Open::Read).and_then(|file| file.metadata()) {
            Ok(metadata) => metadata.len(),
            // A writer removed what it had begun.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.failed("look at the last segment", error)),
        };
        let settled = last == mark.base && (size <= mark.len || mark.poisoned.is_some());
        if last < mark.base || settled || !self.is_left_behind(last, size) {
            return Ok(());
        }
        if let Holding::Held(_held) = self.hold(Wait::Try)? {
            self.settle(Role::Reader)?;
            self.remember_left_behind(last, size);
        }
        Ok(())
    }
}
