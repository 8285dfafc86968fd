//! Recovery: from the files alone, how far a partition is durable.
//!
//! Contract: what was acked stays; what was not acked may stay or go, whole blocks only. A reader settles too (it
//! must not wait for a writer that may never come), but it never cuts or removes anything.
//!
//! What lies behind the mark was written by somebody who died before saying how it ended, or was made durable before
//! a power cut took the newer mark. It is scanned; what is good up to the last good block is written once more at
//! its own place and synced, so that it is on disk whatever became of an earlier sync nobody knows the answer of. Or a
//! live writer is syncing it just now, without the lock: then it is on disk once more, which harms nobody.
//! Bytes behind the last good block are a torn tail: no ack can have covered them.

use super::disk::Open;
use super::mark::Mark;
use super::partition::{Partition, segment_name};
use super::scan::{Stretch, Window};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::steps::{
    LOG_RECOVER_CUT, LOG_RECOVER_NAMES, LOG_RECOVER_REMOVE, LOG_RECOVER_SYNC, LOG_RECOVER_WRITE,
};

/// Who settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Wants to read: adds to what is known to be durable.
    Reader,
    /// Wants the end for itself: cuts a torn tail too.
    Writer,
    /// Wants to append: cuts a torn tail, and leaves it to its own sync to make durable what others have written.
    Joiner,
}

/// The end of a partition.
#[derive(Debug)]
pub(super) struct Tail {
    /// How far it is durable.
    pub(super) mark: Mark,
    /// The active segment; `None` where a new one must be begun.
    pub(super) file: Option<File>,
    /// How far it is written: behind the mark lies what other writers are syncing just now.
    pub(super) written: Found,
}

impl Tail {
    /// All that is written is durable.
    pub(super) fn durable(mark: Mark, file: Option<File>) -> Self {
        Self { mark, file, written: Found { len: mark.len, next: mark.next } }
    }
}

/// Where good blocks end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Byte after the last one.
    pub(super) len: u64,
    /// Offset after its last record.
    pub(super) next: i64,
}

/// Bytes written again at once.
const REWRITE_BYTES: u64 = 1 << 20;

impl Partition {
    /// Finds the end of the partition and publishes it. Only under the lock.
    pub(super) fn settle(&self, role: Role) -> Result<Tail, PortError> {
        let marked = self.read_mark()?;
        let known = marked.unwrap_or(Mark::EMPTY);
        let listed = self.list_segments()?;
        let mut bases = &listed[..];
        let mut tail = loop {
            let Some((&last, before)) = bases.split_last().filter(|(last, _)| **last >= known.base) else {
                break Tail::durable(known, None);
            };
            if last == known.base && known.poisoned.is_some() {
                break Tail::durable(known, None);
            }
            match self.settle_segment(last, &known, role)? {
                Some(tail) => break tail,
                None if marked.is_none() => return Err(self.unreadable(last)),
                None => bases = before,
            }
        };
        if role != Role::Reader && bases.len() < listed.len() {
            self.remove_unfinished(&listed[bases.len()..])?;
        }
        tail.mark.earliest = known.earliest.max(listed.first().copied().unwrap_or(known.earliest)).min(tail.mark.next);
        if marked != Some(tail.mark) {
            self.publish(&tail.mark)?;
        }
        Ok(tail)
    }

    /// Settles the last segment; `None` where it was begun but nothing of it was ever durable.
    fn settle_segment(&self, last: i64, known: &Mark, role: Role) -> Result<Option<Tail>, PortError> {
        let failed = |e| self.failed("recover the last segment", e);
        let file = self.open_segment(last, Open::Write).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let from =
            if last == known.base { Found { len: known.len, next: known.next } } else { Found { len: 0, next: last } };
        if size < from.len {
            tracing::error!(
                partition = self.name,
                segment = last,
                "a segment is shorter than what was durable of it; its missing offsets are reported as damaged"
            );
            return Ok(Some(Tail::durable(*known, None)));
        }
        let found = self.scan_tail(&file, from, size).map_err(failed)?;
        if found.len == 0 {
            return Ok(None);
        }
        // A segment that the mark does not know yet may lack its name too.
        let joins = role == Role::Joiner && last == known.base;
        if found.len > from.len {
            self.write_again(&file, from.len, found.len).map_err(failed)?;
            if !joins {
                self.sync_all(&file).map_err(failed)?;
            }
        }
        if role != Role::Reader && size > found.len {
            tracing::warn!(partition = self.name, segment = last, bytes = size - found.len, "cut a torn tail");
            let cut = self.inner.steps.take(LOG_RECOVER_CUT, || self.inner.disk.cut(&file, found.len));
            cut.map_err(failed)?;
        }
        let end = if joins { from } else { found };
        let mark = Mark { base: last, len: end.len, next: end.next, earliest: known.earliest, poisoned: None };
        Ok(Some(Tail { mark, file: Some(file), written: found }))
    }

    /// The last good block behind `from`; damage before it is kept, as its offsets may have been acked.
    pub(super) fn scan_tail(&self, file: &File, from: Found, size: u64) -> io::Result<Found> {
        let stretch = Stretch { file, tag: self.tag, end: size, end_offset: i64::MAX };
        let mut window = Window::for_records();
        let mut found = from;
        let mut at = from.len;
        while let Some(header) = window.next_header(&stretch, at)? {
            at = header.position + header.block_len();
            let good = header.first_offset >= found.next && header.vouches_for(window.stored(&stretch, &header)?);
            if good {
                found = Found { len: at, next: header.end_offset() };
            }
        }
        Ok(found)
    }

    /// Writes good bytes once more at their own place: a sync whose answer nobody got may have failed, and would not be
    /// tried again for pages that look clean.
    fn write_again(&self, file: &File, from: u64, to: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut at = from;
        while at < to {
            let len = (to - at).min(REWRITE_BYTES);
            bytes.resize(len as usize, 0);
            file.read_exact_at(&mut bytes, at)?;
            self.inner
                .steps
                .take(LOG_RECOVER_WRITE, || self.inner.disk.write(file, &[&bytes], at).map_err(|(_, error)| error))?;
            at += len;
        }
        Ok(())
    }

    /// Makes a segment and its name durable.
    pub(super) fn sync_all(&self, file: &File) -> io::Result<()> {
        self.inner.steps.take(LOG_RECOVER_SYNC, || self.inner.disk.sync(file))?;
        self.inner.steps.take(LOG_RECOVER_NAMES, || self.inner.disk.sync_dir(&self.dir))
    }

    /// Removes segments that were begun but never held anything durable.
    fn remove_unfinished(&self, bases: &[i64]) -> Result<(), PortError> {
        let failed = |e| self.failed("remove an unfinished segment", e);
        for base in bases {
            let remove = || super::disk::remove_in(&self.dir, &segment_name(*base));
            self.inner.steps.take(LOG_RECOVER_REMOVE, remove).map_err(failed)?;
        }
        self.inner.steps.take(LOG_RECOVER_NAMES, || self.inner.disk.sync_dir(&self.dir)).map_err(failed)?;
        self.forget_below(i64::MAX);
        Ok(())
    }

    fn unreadable(&self, base: i64) -> PortError {
        PortError::new(
            ErrorKind::Corrupt,
            format!(
                "the mark of partition {} is gone and its last segment {} holds no readable block; keep a copy of the \
                 folder, then move that segment away to go on without its records",
                self.name,
                segment_name(base)
            ),
        )
    }
}
