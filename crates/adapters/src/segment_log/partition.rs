//! One partition on disk: its folder, its lock, its mark, and what is remembered of its segments.
//!
//! Contract: whoever changes anything holds both the mutex (within the process) and the `flock` (between processes);
//! readers hold neither. What is remembered is a cache: it is checked against the mark under the lock.

use super::block::{HEADER_LEN, Header, OPENING_LEN, Opening};
use super::disk::{Flock, Locking, Open, Wait, is_still_at, lock, names_in, open_in};
use super::group::Queue;
use super::index::SegmentIndex;
use super::mark::Mark;
use super::{Access, Inner, recover::Tail};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::steps::LOG_MARK_WRITE;

/// Name of the lock file.
pub(super) const LOCK_FILE: &str = "lock";
/// Name of the file that holds the mark.
pub(super) const MARK_FILE: &str = "durable";
/// What is written and not published for so long has no live writer, most likely; where it has one after all, it is
/// made durable twice.
const LEFT_BEHIND_AFTER: Duration = Duration::from_millis(500);
/// Ends of names of segment files.
const SEGMENT_SUFFIX: &str = ".seg";

/// Takes a mutex; what a panicking thread left is still valid here, as each change is made in one step.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of the segment that begins at `base`.
pub(super) fn segment_name(base: i64) -> String {
    format!("{base:020}{SEGMENT_SUFFIX}")
}

/// What the holder of the lock remembers between appends.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    /// The tail as it was left; checked before it is believed.
    pub(super) tail: Option<Tail>,
    /// A mark that says "poisoned" and could not be written yet; nothing is appended before it is.
    pub(super) unwritten: Option<Mark>,
}

/// Where a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentEnd {
    /// Bytes that count.
    pub(super) len: u64,
    /// Offset after its last record.
    pub(super) next: i64,
    /// Base of the segment that follows; `None` for the active one.
    pub(super) following: Option<i64>,
}

/// A partition that is open in this process.
pub(super) struct Partition {
    pub(super) inner: Arc<Inner>,
    /// `topic/partition`, for messages.
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) tag: u32,
    pub(super) dir: File,
    pub(super) queue: Queue,
    pub(super) indexes: Mutex<HashMap<i64, SegmentIndex>>,
    path: PathBuf,
    lock_file: File,
    mark_file: File,
    state: Mutex<WriterState>,
    bases: Mutex<Arc<Vec<i64>>>,
    ends: Mutex<HashMap<i64, SegmentEnd>>,
    /// Last segment and its size when a reader first saw more than is durable, when that was, and whether it was looked at.
    left_behind: Mutex<Option<(i64, u64, Instant, bool)>>,
}

/// The right to change a partition: mutex and `flock`, let go of in that order reversed.
pub(super) struct Held<'a> {
    _flock: Flock<'a>,
    pub(super) state: MutexGuard<'a, WriterState>,
}

/// What came of asking for that right.
pub(super) enum Holding<'a> {
    /// Granted.
    Held(Held<'a>),
    /// Somebody else has it.
    Busy,
    /// The topic was removed, and perhaps made anew.
    Removed,
}

impl Partition {
    /// Opens a partition whose topic's file names it, and brings its mark up to date (after a power cut it is old).
    pub(super) fn open(
        inner: Arc<Inner>,
        topic_path: &Path,
        topic: &str,
        number: i32,
        tag: u32,
    ) -> Result<Self, PortError> {
        let path = topic_path.join(number.to_string());
        let name = format!("{topic}/{number}");
        let failed = |e| PortError::io(format!("cannot open partition {name}"), e);
        let dir = File::open(&path).map_err(failed)?;
        let looking = inner.access == Access::Look;
        let how = if looking { Open::Read } else { Open::Make };
        let partition = Self {
            lock_file: open_in(&dir, LOCK_FILE, how).map_err(failed)?,
            mark_file: open_in(&dir, MARK_FILE, how).map_err(failed)?,
            inner,
            name: name.clone(),
            number,
            tag,
            dir,
            queue: Queue::default(),
            indexes: Mutex::default(),
            path,
            state: Mutex::default(),
            bases: Mutex::default(),
            ends: Mutex::default(),
            left_behind: Mutex::default(),
        };
        if !looking && let Holding::Held(_held) = partition.hold(Wait::Block)? {
            partition.settle(super::recover::Role::Reader)?;
        }
        Ok(partition)
    }

    /// An I/O error that names the partition.
    pub(super) fn failed(&self, what: &str, error: io::Error) -> PortError {
        PortError::io(format!("cannot {what} of partition {}", self.name), error)
    }

    /// Asks for the right to change the partition.
    pub(super) fn hold(&self, wait: Wait) -> Result<Holding<'_>, PortError> {
        if self.inner.access == Access::Look {
            let message = format!("partition {} is only looked at here; nothing of it can be changed", self.name);
            return Err(PortError::new(ErrorKind::Stop, message));
        }
        let state = match wait {
            Wait::Block => locked(&self.state),
            Wait::Try => match self.state.try_lock() {
                Ok(state) => state,
                Err(std::sync::TryLockError::Poisoned(state)) => state.into_inner(),
                Err(std::sync::TryLockError::WouldBlock) => return Ok(Holding::Busy),
            },
        };
        match lock(&self.lock_file, wait).map_err(|e| self.failed("take the lock", e))? {
            Locking::Busy => Ok(Holding::Busy),
            Locking::Held(_) if !self.is_current()? => Ok(Holding::Removed),
            Locking::Held(flock) => Ok(Holding::Held(Held { _flock: flock, state })),
        }
    }

    /// Whether the folder is still the one that was opened.
    pub(super) fn is_current(&self) -> Result<bool, PortError> {
        is_still_at(&self.dir, &self.path).map_err(|e| self.failed("look at the folder", e))
    }

    /// The error for those who hold on to a topic that was removed.
    pub(super) fn removed(&self) -> PortError {
        PortError::new(
            ErrorKind::Stop,
            format!("the topic of partition {} was removed or made anew; open it again", self.name),
        )
    }

    /// The mark as it stands in the file.
    pub(super) fn read_mark(&self) -> Result<Option<Mark>, PortError> {
        Mark::read(&self.mark_file, self.tag).map_err(|e| self.failed("read the mark", e))
    }

    /// The mark, which must be there once the partition is open.
    pub(super) fn mark(&self) -> Result<Mark, PortError> {
        if let Some(mark) = self.read_mark()? {
            return Ok(mark);
        }
        // Somebody took it away or damaged it: it is made again from the segments.
        match self.hold(Wait::Block)? {
            Holding::Held(_held) => Ok(self.settle(super::recover::Role::Reader)?.mark),
            Holding::Busy | Holding::Removed => Err(self.removed()),
        }
    }

    /// Publishes how far the partition is durable, and wakes this process's readers. Only under the lock.
    pub(super) fn publish(&self, mark: &Mark) -> Result<(), PortError> {
        let written = self.inner.steps.take(LOG_MARK_WRITE, || mark.write(&self.mark_file, self.tag));
        written.map_err(|e| self.failed("write the mark", e))?;
        self.inner.bell.ring();
        Ok(())
    }

    /// Reads which segments there are, in order.
    pub(super) fn list_segments(&self) -> Result<Arc<Vec<i64>>, PortError> {
        let names = names_in(&self.dir).map_err(|e| self.failed("list the segments", e))?;
        let mut bases: Vec<i64> = names
            .iter()
            .filter_map(|name| name.strip_suffix(SEGMENT_SUFFIX))
            .filter(|digits| digits.len() == 20)
            .filter_map(|digits| digits.parse().ok())
            .collect();
        bases.sort_unstable();
        let bases = Arc::new(bases);
        *locked(&self.bases) = Arc::clone(&bases);
        Ok(bases)
    }

    /// The segments up to the active one of `mark`, from memory where that is enough.
    pub(super) fn segments(&self, mark: &Mark) -> Result<Arc<Vec<i64>>, PortError> {
        let known = Arc::clone(&locked(&self.bases));
        if known.last() == Some(&mark.base) || (known.is_empty() && mark.base < 0) {
            return Ok(known);
        }
        let mut listed = self.list_segments()?;
        if listed.last().is_some_and(|last| *last > mark.base) {
            // One that was just begun, or that was never finished: not durable as far as this mark knows.
            let kept = listed.iter().copied().filter(|base| *base <= mark.base).collect();
            listed = Arc::new(kept);
        }
        Ok(listed)
    }

    /// Forgets what is remembered of segments below `earliest`.
    pub(super) fn forget_below(&self, earliest: i64) {
        locked(&self.indexes).retain(|base, _| *base >= earliest);
        locked(&self.ends).retain(|base, _| *base >= earliest);
        *locked(&self.bases) = Arc::default();
    }

    /// Whether files have been in this state for longer than a live writer's sync takes, and were not looked at yet.
    pub(super) fn is_left_behind(&self, last: i64, size: u64) -> bool {
        let mut seen = locked(&self.left_behind);
        match *seen {
            Some((base, len, since, looked_at)) if (base, len) == (last, size) => {
                !looked_at && since.elapsed() >= LEFT_BEHIND_AFTER
            }
            _ => {
                *seen = Some((last, size, Instant::now(), false));
                false
            }
        }
    }

    /// Remembers that they were looked at.
    pub(super) fn remember_left_behind(&self, last: i64, size: u64) {
        *locked(&self.left_behind) = Some((last, size, Instant::now(), true));
    }

    /// Opens a segment.
    pub(super) fn open_segment(&self, base: i64, how: Open) -> io::Result<File> {
        open_in(&self.dir, &segment_name(base), how)
    }

    /// Where the segment `base` ends, given the mark.
    pub(super) fn segment_end(&self, base: i64, mark: &Mark) -> Result<SegmentEnd, PortError> {
        if base == mark.base {
            return Ok(SegmentEnd { len: mark.len, next: mark.next, following: None });
        }
        if let Some(end) = locked(&self.ends).get(&base) {
            return Ok(*end);
        }
        let segments = self.segments(mark)?;
        let following = segments.iter().copied().find(|other| *other > base).unwrap_or(mark.base);
        let end = match self.read_opening(following)? {
            Some(opening) if opening.prev_base == base => {
                SegmentEnd { len: opening.prev_len, next: opening.prev_next, following: Some(following) }
            }
            _ => {
                // Its opening is damaged, or names another predecessor: everything up to its base was used.
                let file = self.open_segment(base, Open::Read).map_err(|e| self.failed("open a segment", e))?;
                let len = file.metadata().map_err(|e| self.failed("look at a segment", e))?.len();
                SegmentEnd { len, next: following, following: Some(following) }
            }
        };
        locked(&self.ends).insert(base, end);
        Ok(end)
    }

    /// What a segment says of its predecessor; `None` where that is damaged.
    fn read_opening(&self, base: i64) -> Result<Option<Opening>, PortError> {
        let failed = |e| self.failed("read the opening of a segment", e);
        let file = self.open_segment(base, Open::Read).map_err(failed)?;
        let mut bytes = [0; OPENING_LEN as usize];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let (head, payload) = bytes.split_first_chunk::<HEADER_LEN>().unwrap_or((&[0; HEADER_LEN], &[]));
        let header = Header::decode(head, self.tag, 0).filter(|h| h.opening && h.vouches_for(payload));
        Ok(header.and_then(|_| Opening::decode(payload)))
    }
}
