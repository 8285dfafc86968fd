//! Tests of the segment log against its files: damage, torn tails, lost power, failing disks, old layouts.

mod damage;
mod failing;
mod forged;
mod layout;
mod power;
mod recovery;
mod retire;

use super::block::{HEADER_LEN, Header};
use super::disk::{Disk, OsDisk};
use super::mark::Mark;
use super::partition::{MARK_FILE, locked};
use super::scan::{Stretch, Window};
use super::topic::tag_of;
use super::{Codec, SegmentLog, SegmentLogOptions};
use crate::system::SystemIds;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use watertight_core::port::{Clock, EventLog, Gap, PortError, ReadFrom};
use watertight_core::record::NewRecord;
use watertight_core::steps::Steps;

pub(super) const TOPIC: &str = "ticks";

/// A clock that stands still.
pub(super) struct FixedClock(pub(super) i64);

impl Clock for FixedClock {
    fn now_us(&self) -> i64 {
        self.0
    }
}

/// A log in a folder of its own.
pub(crate) struct Scratch {
    pub(crate) log: Arc<SegmentLog>,
    dir: tempfile::TempDir,
    options: SegmentLogOptions,
}

impl Scratch {
    /// Segments of 4 KiB, so that a few appends fill several.
    pub(crate) fn with_small_segments() -> Self {
        Self::with(SegmentLogOptions { segment_bytes: 4096, codec: Codec::Lz4 }, Arc::new(OsDisk))
    }

    pub(super) fn new() -> Self {
        Self::with(SegmentLogOptions { codec: Codec::None, ..SegmentLogOptions::default() }, Arc::new(OsDisk))
    }

    pub(super) fn with(options: SegmentLogOptions, disk: Arc<dyn Disk>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(open_on(dir.path(), &options, disk));
        Self { log, dir, options }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// The same folder opened once more, as another process does.
    pub(crate) fn open(&self) -> SegmentLog {
        open_on(self.dir.path(), &self.options, Arc::new(OsDisk))
    }

    /// The folder of partition 0.
    pub(super) fn partition(&self) -> PathBuf {
        self.dir.path().join(TOPIC).join("0")
    }
}

pub(super) fn open_on(root: &Path, options: &SegmentLogOptions, disk: Arc<dyn Disk>) -> SegmentLog {
    let (clock, ids) = (Arc::new(FixedClock(0)), Arc::new(SystemIds));
    SegmentLog::open_on(root, options.clone(), (clock, ids), disk, Steps::default()).unwrap()
}

pub(super) fn open(root: &Path) -> SegmentLog {
    open_on(root, &SegmentLogOptions { codec: Codec::None, ..SegmentLogOptions::default() }, Arc::new(OsDisk))
}

pub(super) fn try_append(log: &SegmentLog, values: &[&str]) -> Result<i64, PortError> {
    let records: Vec<NewRecord<'_>> =
        values.iter().map(|value| NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() }).collect();
    log.append(TOPIC, 0, &records).map(|append| append.first_offset)
}

pub(super) fn append(log: &SegmentLog, values: &[&str]) -> i64 {
    try_append(log, values).unwrap()
}

/// What a reader gets from `from` to the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) records: Vec<(i64, String)>,
    pub(super) gaps: Vec<Gap>,
}

pub(super) fn read(log: &SegmentLog, from: i64) -> Read {
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, from)]).unwrap();
    let mut all = Read::default();
    let mut position = from;
    loop {
        let fetched = reader.fetch(1 << 20, Duration::ZERO).unwrap();
        let Some(part) = fetched.first() else { return all };
        assert_eq!(part.from, position);
        position = part.to;
        let text = |row| String::from_utf8_lossy(part.records.value(row).unwrap_or(b"null")).into_owned();
        all.records.extend(part.records.metas().iter().enumerate().map(|(row, meta)| (meta.offset, text(row))));
        all.gaps.extend(&part.gaps);
    }
}

/// The records a row of values makes from offset `first` on.
pub(super) fn rows(first: i64, values: &[&str]) -> Vec<(i64, String)> {
    values.iter().enumerate().map(|(at, value)| (first + at as i64, (*value).to_owned())).collect()
}

/// The tag of the topic in a partition's folder.
pub(super) fn tag_in(partition: &Path) -> u32 {
    let topic: serde_json::Value = serde_json::from_slice(&fs::read(partition.join("../topic.json")).unwrap()).unwrap();
    tag_of(topic["incarnation"].as_str().unwrap())
}

/// The segment files of a partition, in order.
pub(super) fn segments(partition: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    paths.sort();
    paths
}

/// The good headers of a segment.
pub(super) fn headers(segment: &Path) -> Vec<Header> {
    let file = File::open(segment).unwrap();
    let tag = tag_in(segment.parent().unwrap());
    let stretch = Stretch { file: &file, tag, end: file.metadata().unwrap().len(), end_offset: i64::MAX };
    let mut window = Window::for_records();
    let mut headers: Vec<Header> = Vec::new();
    while let Some(header) =
        window.next_header(&stretch, headers.last().map_or(0, |h| h.position + h.block_len())).unwrap()
    {
        headers.push(header);
    }
    headers
}

pub(super) fn flip(path: &Path, byte: u64, bit: u8) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte as usize] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
}

/// Flips a bit in the stored records of the block that holds `offset`.
pub(crate) fn damage_record(partition: &Path, offset: i64) {
    for segment in segments(partition) {
        let hit = headers(&segment).into_iter().find(|h| (h.first_offset..h.end_offset()).contains(&offset));
        if let Some(header) = hit {
            flip(&segment, header.position + HEADER_LEN as u64, 3);
            return;
        }
    }
    panic!("offset {offset} is in no block");
}

pub(super) fn mark_in(partition: &Path) -> Option<Mark> {
    Mark::read(&File::open(partition.join(MARK_FILE)).unwrap(), tag_in(partition)).unwrap()
}

pub(super) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a [`FailingDisk`] does wrong, once each.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// The next write stops after so many bytes, with this error number.
    pub(super) write: Option<(u64, i32)>,
    /// The next sync panics.
    pub(super) panics: bool,
    /// So many syncs fail.
    pub(super) syncs: usize,
    /// So many cuts fail.
    pub(super) cuts: usize,
    /// Syncs wait.
    pub(super) held: bool,
    /// Syncs that were asked for.
    pub(super) synced: usize,
}

/// A disk that fails as it is told.
#[derive(Default)]
pub(super) struct FailingDisk {
    faults: Mutex<Faults>,
    turned: Condvar,
}

/// No space left on device; input/output error.
pub(super) const ENOSPC: i32 = 28;
pub(super) const EIO: i32 = 5;

impl FailingDisk {
    pub(super) fn set<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        let changed = change(&mut locked(&self.faults));
        self.turned.notify_all();
        changed
    }

    pub(super) fn wait_for(&self, state: impl Fn(&Faults) -> bool) {
        drop(self.turned.wait_while(locked(&self.faults), |faults| !state(faults)).unwrap());
    }
}

impl Disk for FailingDisk {
    fn write(&self, file: &File, slices: &[&[u8]], at: u64) -> Result<(), (u64, io::Error)> {
        let Some((bytes, number)) = self.set(|faults| faults.write.take()) else {
            return OsDisk.write(file, slices, at);
        };
        let all = slices.concat();
        let part = &all[..all.len().min(bytes as usize)];
        if !part.is_empty() {
            OsDisk.write(file, &[part], at)?;
        }
        Err((part.len() as u64, io::Error::from_raw_os_error(number)))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.set(|faults| faults.synced += 1);
        let mut faults = self.turned.wait_while(locked(&self.faults), |faults| faults.held).unwrap();
        if std::mem::take(&mut faults.panics) {
            drop(faults);
            panic!("as the test asked for");
        }
        if faults.syncs > 0 {
            faults.syncs -= 1;
            return Err(io::Error::from_raw_os_error(EIO));
        }
        drop(faults);
        OsDisk.sync(file)
    }

    fn sync_dir(&self, dir: &File) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        if self.set(|faults| faults.cuts.checked_sub(1).map(|left| faults.cuts = left)).is_some() {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        OsDisk.cut(file, len)
    }
}
