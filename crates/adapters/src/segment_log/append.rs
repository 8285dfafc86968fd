//! Writing a group of blocks, so that an answer is given only for what is on disk.
//!
//! Under the lock: check the tail (another process may have moved it), give each block its place, write all of them.
//! Then one sync without the lock, during which other processes write behind these bytes and sync on their own: the disk
//! makes all that waits durable at once, and whoever comes back first publishes for those before it. Under the lock
//! again: publish the mark, answer. A new segment's opening block and first group share one sync, under the lock.
//!
//! A sync that fails is told to every process that has the file open (Linux keeps the error per open file), so none of
//! them takes a later sync for success; what is found behind the mark by others is written once more before it counts.
//!
//! | failure | what is done | answer |
//! |---|---|---|
//! | before the first byte | nothing | `Retry` or `Stop`, as the system's code says |
//! | write, no space | what was written is cut, and the cut synced | `Retry` |
//! | write, otherwise; or the cut failed | segment poisoned | `Unknown` |
//! | sync | segment poisoned | `Unknown` |
//!
//! A poisoned segment counts up to its last durable byte. The next one begins above every offset that a record in
//! doubt could have had: such offsets are never used again, and readers are told that they hold no record.

use super::block::{Block, OPENING_LEN, Opening};
use super::disk::{Open, Wait, remove_in};
use super::group::Answer;
use super::mark::Mark;
use super::partition::{Held, Holding, Partition, WriterState, segment_name};
use super::recover::{Found, Role, Tail};
use std::fs::File;
use std::io;
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::steps::{Course, LOG_APPEND_NAMES, LOG_APPEND_SYNC, LOG_APPEND_WRITE, LOG_RECOVER_CUT};

/// Where a group goes.
struct Target {
    file: File,
    base: i64,
    /// Byte of its first block.
    start: u64,
    /// Offset of its first record.
    first: i64,
    /// The opening block, where the segment is new.
    opening: Option<Vec<u8>>,
}

/// Where a write went wrong.
enum Broken {
    /// After so many bytes.
    Write(u64, io::Error),
    /// All bytes were handed over; whether they are on disk is not known.
    Sync(io::Error),
}

impl Partition {
    /// Writes a group and answers for each of its blocks.
    pub(super) fn write_group(&self, blocks: &mut [Block]) -> Vec<Answer> {
        let written = self.try_write_group(blocks);
        for block in blocks.iter_mut() {
            self.inner.buffers.give(block.take_buffer());
        }
        match written {
            Ok(Some(first)) => {
                let mut next = first;
                let answer = |block: &Block| {
                    let first = next;
                    next += i64::from(block.count());
                    Answer::Durable(first)
                };
                blocks.iter().map(answer).collect()
            }
            Ok(None) => vec![Answer::Removed; blocks.len()],
            Err(error) => vec![Answer::failed(&error); blocks.len()],
        }
    }

    /// The first offset of the group; `None` where the topic is gone.
    fn try_write_group(&self, blocks: &mut [Block]) -> Result<Option<i64>, PortError> {
        let mut held = match self.hold(Wait::Block)? {
            Holding::Held(held) => held,
            Holding::Busy | Holding::Removed => return Ok(None),
        };
        let tail = self.take_tail(&mut held)?;
        let before = tail.mark;
        let target = self.target(tail)?;
        let mut at = target.start + target.opening.as_ref().map_or(0, |o| o.len() as u64);
        let mut next = target.first;
        for block in blocks.iter_mut() {
            block.place(self.tag, next, at);
            at += block.bytes().len() as u64;
            next += i64::from(block.count());
        }
        let mark = Mark { base: target.base, len: at, next, earliest: before.earliest, poisoned: None };
        if let Err(broken) = self.write(&target, blocks) {
            return Err(self.give_up(&mut held.state, &target, &before, next, broken));
        }
        let sync = || self.inner.steps.take(LOG_APPEND_SYNC, || self.inner.disk.sync(&target.file));
        if target.opening.is_some() {
            let names = || self.inner.steps.take(LOG_APPEND_NAMES, || self.inner.disk.sync_dir(&self.dir));
            if let Err(error) = sync().and_then(|()| names()) {
                return Err(self.give_up(&mut held.state, &target, &before, next, Broken::Sync(error)));
            }
            self.announce(&mut held, mark, target.file);
            return Ok(Some(target.first));
        }
        // Others write meanwhile; the disk makes what is waiting durable at once, whoever asked first.
        drop(held);
        let synced = sync();
        // From here on the bytes may be on disk: whatever goes wrong now is unknown, never a refusal.
        let mut held = match self.hold(Wait::Block).map_err(in_doubt)? {
            Holding::Held(held) => held,
            Holding::Busy | Holding::Removed => return Ok(None),
        };
        self.answer(&mut held, target, mark, synced).map(Some)
    }

    /// What became of a group that was synced without the lock, seen under the lock: its first offset.
    fn answer(
        &self,
        held: &mut Held<'_>,
        target: Target,
        mark: Mark,
        synced: io::Result<()>,
    ) -> Result<i64, PortError> {
        let now = match self.read_mark().map_err(in_doubt)? {
            Some(now) => now,
            None => self.settle(Role::Reader).map_err(in_doubt)?.mark,
        };
        let counted = match now.base == mark.base {
            true => now.len,
            false => self.segment_end(mark.base, &now).map_err(in_doubt)?.len,
        };
        if counted >= mark.len {
            return Ok(target.first); // Another writer's sync came later than these bytes, and went well.
        }
        if now.base != mark.base || now.poisoned.is_some() {
            let message = format!("a sync of partition {} failed for another writer", self.name);
            return Err(in_doubt(PortError::new(ErrorKind::Unknown, message)));
        }
        match synced {
            Ok(()) => {
                self.announce(held, Mark { earliest: now.earliest, ..mark }, target.file);
                Ok(target.first)
            }
            Err(error) => {
                // Others may have written behind these bytes; none of those offsets is used again either.
                let size = target.file.metadata().map_or(mark.len, |metadata| metadata.len());
                let from = Found { len: now.len, next: now.next };
                let written = self.scan_tail(&target.file, from, size).map_or(mark.next, |found| found.next);
                let above = written.max(mark.next);
                Err(self.give_up(&mut held.state, &target, &now, above, Broken::Sync(error)))
            }
        }
    }

    /// Publishes what is durable, and remembers the tail.
    fn announce(&self, held: &mut Held<'_>, mark: Mark, file: File) {
        held.state.tail = match self.publish(&mark) {
            Ok(()) => Some(Tail::durable(mark, Some(file))),
            Err(error) => {
                // The records are durable, so the answer stands; the next holder of the lock publishes them.
                tracing::error!(partition = self.name, error = error.chain(), "durable, but readers wait");
                None
            }
        };
    }

    /// The tail: as it was left, where nobody else was here since; found again otherwise.
    fn take_tail(&self, held: &mut Held<'_>) -> Result<Tail, PortError> {
        if let Some(mark) = held.state.unwritten {
            self.publish(&mark)?;
            held.state.unwritten = None;
        }
        if let Some(tail) = held.state.tail.take()
            && let Some(file) = &tail.file
            && self.read_mark()? == Some(tail.mark)
            && file.metadata().map_err(|e| self.failed("look at the active segment", e))?.len() == tail.written.len
        {
            return Ok(tail);
        }
        self.settle(Role::Joiner)
    }

    /// Where the next group goes: the active segment, or a new one where it is full, poisoned or missing.
    fn target(&self, tail: Tail) -> Result<Target, PortError> {
        let Mark { base, poisoned, .. } = tail.mark;
        let Found { len, next } = tail.written;
        let failed = |e| self.failed("begin a new segment", e);
        if let Some(file) = tail.file {
            if len < self.inner.options.segment_bytes || next == base {
                return Ok(Target { file, base, start: len, first: next, opening: None });
            }
            // A segment is begun when all before it is durable.
            if len > tail.mark.len {
                self.sync_all(&file).map_err(failed)?;
                self.publish(&Mark { len, next, ..tail.mark })?;
            }
        }
        let new_base = poisoned.unwrap_or(next);
        let file = self.open_segment(new_base, Open::Make).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            // Begun before and never finished: nothing in it was durable, or recovery would have found it.
            self.inner.steps.take(LOG_RECOVER_CUT, || self.inner.disk.cut(&file, 0)).map_err(failed)?;
        }
        let prev_base = if base == new_base { -1 } else { base };
        let opening = Opening { prev_base, prev_len: len, prev_next: next }.block(self.tag, new_base);
        debug_assert_eq!(opening.len() as u64, OPENING_LEN);
        Ok(Target { file, base: new_base, start: 0, first: new_base, opening: Some(opening) })
    }

    fn write(&self, target: &Target, blocks: &[Block]) -> Result<(), Broken> {
        let (disk, steps) = (&self.inner.disk, &self.inner.steps);
        let opening = target.opening.iter().map(Vec::as_slice);
        let slices: Vec<&[u8]> = opening.chain(blocks.iter().map(Block::bytes)).collect();
        let nothing = |error| Broken::Write(0, error);
        if steps.before(LOG_APPEND_WRITE).map_err(nothing)? == Course::Take {
            let write = disk.write(&target.file, &slices, target.start);
            write.map_err(|(written, error)| Broken::Write(written, error))?;
        }
        steps.after(LOG_APPEND_WRITE).map_err(Broken::Sync)
    }

    /// After a failure: leaves the partition so that nothing in doubt is ever read or overwritten by other records.
    fn give_up(
        &self,
        state: &mut WriterState,
        target: &Target,
        before: &Mark,
        above: i64,
        broken: Broken,
    ) -> PortError {
        let (error, undone) = match broken {
            Broken::Write(written, error) => {
                let undone = self.undo(target, written);
                (self.failed("write to the active segment", error), undone)
            }
            Broken::Sync(error) => (self.failed("sync the active segment", error), false),
        };
        if undone && error.kind == ErrorKind::Retry {
            return error;
        }
        if undone && target.opening.is_some() {
            return in_doubt(error);
        }
        let (base, len, next) = match &target.opening {
            Some(_) => (target.base, 0, target.first),
            None => (before.base, before.len, before.next),
        };
        let poisoned = Mark { base, len, next, earliest: before.earliest, poisoned: Some(above) };
        tracing::error!(
            partition = self.name,
            segment = base,
            error = error.chain(),
            "a write is in doubt; the segment is closed and a new one begun"
        );
        if let Err(failure) = self.publish(&poisoned) {
            tracing::error!(partition = self.name, error = failure.chain(), "cannot mark the segment as poisoned");
            state.unwritten = Some(poisoned);
        }
        in_doubt(error)
    }

    /// Takes back a write that did not finish; true where it is known that nothing of it is left.
    fn undo(&self, target: &Target, written: u64) -> bool {
        let disk = &self.inner.disk;
        if target.opening.is_some() {
            return remove_in(&self.dir, &segment_name(target.base)).is_ok() && disk.sync_dir(&self.dir).is_ok();
        }
        written == 0 || disk.cut(&target.file, target.start).is_ok()
    }
}

fn in_doubt(error: PortError) -> PortError {
    let message = format!("{}; whether the batch is on disk is not known, read the tail back", error.message);
    PortError::caused(ErrorKind::Unknown, message, error)
}
