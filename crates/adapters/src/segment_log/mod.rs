//! The built-in event log: append-only segment files, with no server and nothing to install.
//!
//! Contract: as [`EventLog`] says. An append is answered after `fdatasync`, so that its records survive SIGKILL and
//! power loss; a reader sees only such records. A flipped bit costs one block, whose offsets are named, and nothing
//! behind it. Several processes append, read and retire at once. Nothing here knows of the pipeline.
//!
//! # Layout, version 1
//!
//! ```text
//! <root>/lock~                                   flock while topics are made or removed
//! <root>/<topic>/topic.json                      format, incarnation, partitions, time of creation
//! <root>/<topic>/<partition>/lock                flock while the partition is changed
//! <root>/<topic>/<partition>/durable             how far it is durable (`mark.rs`)
//! <root>/<topic>/<partition>/<base offset, 20 digits>.seg
//! ```
//!
//! A segment is a row of blocks, each beginning at a multiple of 8 bytes and padded with zeros. Little-endian:
//!
//! | bytes | field |
//! |---|---|
//! | 0–3 | magic `F7 57 54 42` |
//! | 4 | version, 1 |
//! | 5 | codec: 0 none, 1 LZ4 block, 2 zstd |
//! | 6–7 | flags; bit 0: opening block |
//! | 8–11 | CRC32C of header bytes 0–7 and 12–63 |
//! | 12–15 | CRC32C of the stored records |
//! | 16–23 | offset of the first record |
//! | 24–27 | number of records; their offsets are dense |
//! | 28–31 | tag: CRC32C of the topic's incarnation |
//! | 32–39 | base time, ms since the epoch |
//! | 40–47 | largest record time |
//! | 48–51 | length of the stored records |
//! | 52–55 | their length unpacked |
//! | 56–63 | byte in this segment at which this header stands |
//! | 64– | records |
//!
//! A record, unpacked: time minus base time (zigzag varint), then for key, value and headers a length + 1 (varint; 0
//! is null) and the bytes; headers in the encoding of [`watertight_core::record::encode_headers`]. One append is one
//! block: whole or not there.
//!
//! Each segment begins with an opening block (no records): base offset of the segment before it (-1: none), bytes of
//! that one that count, offset behind its last record, 8 bytes each. What lies behind those bytes was never acked;
//! offsets between that offset and the new base were given up after a failed sync, and hold no record.
//!
//! # Constraints
//!
//! - Tag and place in each header keep the bytes of another life, another segment, or of a payload that quotes a
//!   segment file, from being taken for a block when a scan looks for the next header behind damage.
//! - No length is believed before the header's checksum, the bound of 64 MiB and the segment's end were checked.
//! - The mark is never synced, so it may be old after a power cut, and never ahead. Whoever opens a partition
//!   settles it first under the lock.
//! - `flock` needs a local file system.
//!
//! # Recovery
//!
//! Only the last segment can have an unfinished end: a segment is begun when all before it is durable. From the mark
//! (or the segment's beginning) blocks are scanned. Up to the last good block all is kept; damage before it is kept
//! as damage, for its offsets may have been acked. Bytes behind it are a torn tail, cut by the next writer, never by
//! a reader. Not covered: a bit that flips in the very last group while the mark is old, that is, before anything
//! is appended or read after a power cut; that block looks like a torn one.
//!
//! A reader meets a bad payload: the block's own offsets are a gap. A bad header: the next good header is searched
//! in steps of 8 bytes, and the offsets up to its first one (or to the segment's end) are a gap.

mod append;
mod bell;
mod block;
mod cursor;
mod disk;
mod group;
mod index;
mod mark;
mod options;
mod partition;
mod reader;
mod recover;
mod retention;
mod scan;
mod topic;

#[cfg(test)]
pub(crate) mod tests;

pub use options::{Codec, SegmentLogOptions};
pub use retention::Retired;

use crate::folders;
use bell::Bell;
use block::Block;
use cursor::Cursor;
use disk::{Disk, OsDisk};
use group::Answer;
use partition::{Partition, locked};
use reader::SegmentReader;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use watertight_core::port::{
    Append, Clock, ErrorKind, EventLog, Ids, LogReader, OffsetBounds, PortError, ReadFrom, TopicInfo,
};
use watertight_core::record::NewRecord;
use watertight_core::steps::Steps;

/// What all parts of an open log share.
struct Inner {
    root: PathBuf,
    options: SegmentLogOptions,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    disk: Arc<dyn Disk>,
    steps: Steps,
    access: Access,
    bell: Bell,
    buffers: Buffers,
}

/// What an open log may do to its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Everything: whoever reads also brings up to date what a dead writer left.
    Full,
    /// Nothing is made, locked or changed: bounds are those that were published last.
    Look,
}

/// Buffers of finished appends, kept for the next ones.
#[derive(Debug, Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

/// As many as callers that append at once, roughly; a large one is not kept.
const BUFFERS_MAX: usize = 8;
const BUFFER_BYTES_MAX: usize = 4 << 20;

impl Buffers {
    fn take(&self) -> Vec<u8> {
        locked(&self.0).pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut kept = locked(&self.0);
        if kept.len() < BUFFERS_MAX && (1..=BUFFER_BYTES_MAX).contains(&buffer.capacity()) {
            kept.push(buffer);
        }
    }
}

/// A topic that was used in this process.
struct OpenTopic {
    info: TopicInfo,
    partitions: HashMap<i32, Arc<Partition>>,
}

/// The event log in a folder.
pub struct SegmentLog {
    inner: Arc<Inner>,
    topics: Mutex<HashMap<String, OpenTopic>>,
}

impl SegmentLog {
    /// Opens the log in `root`, making the folder where there is none.
    ///
    /// # Errors
    /// `Stop` for settings out of bounds; the system's error where the folder cannot be made.
    pub fn open(
        root: &Path,
        options: SegmentLogOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, PortError> {
        Self::open_with(root, options, clock, ids, Steps::default())
    }

    /// As [`SegmentLog::open`], taking every durable step through `steps`.
    ///
    /// # Errors
    /// As there.
    pub fn open_with(
        root: &Path,
        options: SegmentLogOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        steps: Steps,
    ) -> Result<Self, PortError> {
        Self::open_on(root, options, (clock, ids), Arc::new(OsDisk), steps)
    }

    /// Opens the log to look at topics and bounds only: changes nothing, needs no permission to write, and takes a
    /// folder that does not exist for an empty log.
    #[must_use]
    pub fn look(root: &Path, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        let (options, disk, steps) = (SegmentLogOptions::default(), Arc::new(OsDisk), Steps::default());
        Self::over(root, options, (clock, ids), disk, (steps, Access::Look))
    }

    fn open_on(
        root: &Path,
        options: SegmentLogOptions,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>),
        disk: Arc<dyn Disk>,
        steps: Steps,
    ) -> Result<Self, PortError> {
        options.check()?;
        let failed = |e| PortError::io(format!("cannot make the log's folder {}", root.display()), e);
        folders::make(root, &steps).map_err(failed)?;
        Ok(Self::over(root, options, (clock, ids), disk, (steps, Access::Full)))
    }

    fn over(
        root: &Path,
        options: SegmentLogOptions,
        (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>),
        disk: Arc<dyn Disk>,
        (steps, access): (Steps, Access),
    ) -> Self {
        let inner = Inner {
            root: root.to_owned(),
            options,
            clock,
            ids,
            disk,
            steps,
            access,
            bell: Bell::default(),
            buffers: Buffers::default(),
        };
        Self { inner: Arc::new(inner), topics: Mutex::default() }
    }

    /// Removes a topic with all its records; false where there was none. Its readers get an error of kind `Stop`.
    ///
    /// # Errors
    /// The system's.
    pub fn remove_topic(&self, topic: &str) -> Result<bool, PortError> {
        let removed = topic::remove_topic(&self.inner, topic)?;
        locked(&self.topics).remove(topic);
        self.inner.bell.ring();
        Ok(removed)
    }

    /// Removes whole segments of each partition: those whose newest record is older than `age`, and the oldest while
    /// the partition holds more than `bytes_max`. The active segment stays, and so does every segment that holds offsets
    /// from `needed_from` on (by partition; one that is not named needs nothing). Returns what was removed.
    ///
    /// # Errors
    /// `Stop` where there is no such topic; the system's.
    pub fn apply_retention(
        &self,
        topic: &str,
        age: Option<Duration>,
        bytes_max: Option<u64>,
        needed_from: &BTreeMap<i32, i64>,
    ) -> Result<Vec<Retired>, PortError> {
        let info = topic::read_topic(&self.inner.root, topic)?.ok_or_else(|| no_topic(topic))?;
        let now_ms = self.inner.clock.now_us().div_euclid(1000);
        let mut retired = Vec::new();
        for number in 0..info.partitions {
            retired.extend(self.partition(topic, number)?.retire(
                now_ms,
                age,
                bytes_max,
                needed_from.get(&number).copied().unwrap_or(i64::MAX),
            )?);
        }
        Ok(retired)
    }

    /// The partition, opened where it is not yet, of the topic's present life.
    fn partition(&self, topic: &str, number: i32) -> Result<Arc<Partition>, PortError> {
        let mut topics = locked(&self.topics);
        if let Some(open) = topics.get(topic).and_then(|open| open.partitions.get(&number)) {
            if open.is_current()? {
                return Ok(Arc::clone(open));
            }
            topics.remove(topic);
        }
        let info = topic::read_topic(&self.inner.root, topic)?.ok_or_else(|| no_topic(topic))?;
        if !(0..info.partitions).contains(&number) {
            let message =
                format!("topic {topic} has partitions 0..{}, not {number}; add partitions first", info.partitions);
            return Err(PortError::new(ErrorKind::Stop, message));
        }
        if topics.get(topic).is_some_and(|open| open.info.incarnation != info.incarnation) {
            topics.remove(topic);
        }
        if self.inner.access == Access::Full && !topics.contains_key(topic) {
            let failed = |e| PortError::io(format!("cannot make topic {topic} durable"), e);
            topic::settle_names(&self.inner, topic).map_err(failed)?;
        }
        let path = self.inner.root.join(topic);
        let tag = topic::tag_of(&info.incarnation);
        let partition = Arc::new(Partition::open(Arc::clone(&self.inner), &path, topic, number, tag)?);
        let open = topics.entry(topic.to_owned()).or_insert_with(|| OpenTopic { info, partitions: HashMap::new() });
        open.partitions.insert(number, Arc::clone(&partition));
        Ok(partition)
    }
}

fn no_topic(topic: &str) -> PortError {
    PortError::new(ErrorKind::Stop, format!("there is no topic {topic}; make it first"))
}

impl EventLog for SegmentLog {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        topic::read_topic(&self.inner.root, topic)
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        topic::list_topics(&self.inner.root)
    }

    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        topic::create_topic(&self.inner, topic, partitions)
    }

    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        if records.is_empty() {
            return Ok(Append::dense(self.bounds(topic, partition)?.next));
        }
        let inner = &self.inner;
        // Twice: a topic that is made anew between the look and the lock is found at the second attempt.
        for _ in 0..2 {
            let partition = self.partition(topic, partition)?;
            // Given back the other way round: each comes back for what it was used for before, and is as long as that needs.
            let buffer = inner.buffers.take();
            let mut raw = inner.buffers.take();
            let block = Block::pack(records, inner.options.codec, &mut raw, buffer);
            inner.buffers.give(raw);
            match partition.queue.submit(block?, |blocks| partition.write_group(blocks)) {
                Answer::Durable(first_offset) => return Ok(Append::dense(first_offset)),
                Answer::Failed(kind, message) => return Err(PortError::new(kind, message)),
                Answer::Removed => {}
            }
        }
        Err(PortError::new(ErrorKind::Retry, format!("topic {topic} was made anew just now; try again")))
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        let partition = self.partition(topic, partition)?;
        if self.inner.access == Access::Full {
            partition.settle_left_behind()?;
        }
        let mark = partition.mark()?;
        Ok(OffsetBounds { earliest: mark.earliest, next: mark.next })
    }

    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        let mut cursors: Vec<Cursor> = Vec::with_capacity(from.len());
        for ReadFrom { partition: number, offset, .. } in from {
            if cursors.iter().any(|cursor| cursor.partition.number == *number) {
                let message = format!("partition {topic}/{number} is named twice; name each partition once");
                return Err(PortError::new(ErrorKind::Stop, message));
            }
            cursors.push(Cursor::new(self.partition(topic, *number)?, *offset));
        }
        Ok(Box::new(SegmentReader::new(Arc::clone(&self.inner), topic, cursors)))
    }
}
