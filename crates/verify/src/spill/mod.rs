//! Sets that do not fit in memory: records go to buckets by hash, in memory up to a bound, then on disk.
//!
//! Contract: [`Buckets`] takes records of a fixed size in any order and hands them back group by group of buckets: all
//! records of one hash come in one call, and what one call brings fits in the bound (a bucket that does not is divided
//! again by other bits of the hash). Records of one hash that alone exceed the bound are cut down by
//! [`Record::condense`] while they are read, so that a million copies of one id need no memory of their own.
//!
//! Files have no name and lie in the request's scratch folder: the system removes them, however the process ends.
//! Errors of the disk are [`Unable`]: nobody is told that a set was checked when a part of it could not be read.
//! It never writes into the lake.

use crate::finding::{Place, Unable};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// Buckets of a level: 64, so that a level takes six bits of the hash and at most 64 open files.
const FAN_OUT: usize = 64;
/// Levels of division: 64⁴ buckets. What is still too large then shares one hash, or nearly.
const LEVELS_MAX: u32 = 4;
/// Bytes that are read from a bucket's file at a time, about.
const READ_BYTES: usize = 1 << 20;
/// The least memory that makes sense: a bound below is raised to it. Small, so that tests can spill.
const MEMORY_BYTES_MIN: usize = 1 << 10;

/// A record of fixed size.
pub trait Record: Copy + Send {
    /// Bytes of one record.
    const BYTES: usize;

    /// Appends exactly [`Record::BYTES`] bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads what [`Record::write`] wrote.
    fn read(bytes: &[u8]) -> Self;

    /// By what it is grouped: equal for records that belong together, evenly spread otherwise.
    fn spread(&self) -> u64;

    /// May remove records that say nothing which the others of their group do not say. Called only where a group is too
    /// large for memory; it must be right for any part of a group.
    fn condense(records: &mut Vec<Self>) {
        let _ = records;
    }
}

/// Reads fields of fixed size one after another; bytes that are not there read as zero.
#[derive(Debug)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Of a record's bytes.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else {
            self.0 = &[];
            return [0; N];
        };
        self.0 = rest;
        *field
    }
}

/// Bytes of records, in memory and behind that on disk.
#[derive(Debug, Default)]
struct Bucket {
    memory: Vec<u8>,
    file: Option<File>,
    spilled: u64,
}

impl Bucket {
    fn bytes(&self) -> u64 {
        self.spilled.saturating_add(self.memory.len() as u64)
    }

    fn spill(&mut self, scratch: &Path) -> io::Result<()> {
        if self.memory.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile_in(scratch)?),
        };
        file.write_all(&self.memory)?;
        self.spilled = self.spilled.saturating_add(self.memory.len() as u64);
        self.memory = Vec::new();
        Ok(())
    }

    /// Shows its bytes, a whole number of records at a time.
    fn chunks<R: Record>(mut self, each: &mut dyn FnMut(&[u8]) -> Result<(), Failed>) -> Result<(), Failed> {
        if let Some(mut file) = self.file.take() {
            file.seek(SeekFrom::Start(0))?;
            let size = R::BYTES.max(1);
            let mut buffer = vec![0; (READ_BYTES / size).max(1).saturating_mul(size)];
            let mut left = self.spilled;
            while left > 0 {
                let take = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                let part = &mut buffer[..take];
                file.read_exact(part)?;
                each(part)?;
                left -= take as u64;
            }
        }
        each(&self.memory)
    }
}

/// Why a drain stopped.
enum Failed {
    Disk(io::Error),
    Caller(Unable),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// Records by hash, bounded in memory.
#[derive(Debug)]
pub struct Buckets<R> {
    scratch: PathBuf,
    bytes_max: usize,
    held: usize,
    count: u64,
    buckets: Vec<Bucket>,
    kind: PhantomData<R>,
}

impl<R: Record> Buckets<R> {
    /// Empty; at most about `memory_bytes_max` are held before records go to files in `scratch`.
    #[must_use]
    pub fn new(scratch: &Path, memory_bytes_max: usize) -> Self {
        Self::level(scratch, memory_bytes_max.max(MEMORY_BYTES_MIN) / 2)
    }

    fn level(scratch: &Path, bytes_max: usize) -> Self {
        let buckets = std::iter::repeat_with(Bucket::default).take(FAN_OUT).collect();
        Self { scratch: scratch.to_owned(), bytes_max, held: 0, count: 0, buckets, kind: PhantomData }
    }

    /// How many records were put in.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether none was put in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Puts a record in.
    ///
    /// # Errors
    /// When the scratch folder does not take what no longer fits in memory.
    pub fn push(&mut self, record: R) -> Result<(), Unable> {
        self.put(record, 0).map_err(|failed| unable(&self.scratch, failed))
    }

    fn put(&mut self, record: R, level: u32) -> Result<(), Failed> {
        let index = index(record.spread(), level);
        if let Some(bucket) = self.buckets.get_mut(index) {
            record.write(&mut bucket.memory);
            self.held = self.held.saturating_add(R::BYTES);
            self.count = self.count.saturating_add(1);
        }
        if self.held > self.bytes_max {
            for bucket in &mut self.buckets {
                bucket.spill(&self.scratch)?;
            }
            self.held = 0;
        }
        Ok(())
    }

    /// Hands back everything: each call brings all records of the hashes it brings, in no order. The caller may sort
    /// and change the vector.
    ///
    /// # Errors
    /// When what lies on disk cannot be read, or as `each`.
    pub fn drain(self, each: &mut dyn FnMut(&mut Vec<R>) -> Result<(), Unable>) -> Result<(), Unable> {
        let Self { scratch, bytes_max, buckets, .. } = self;
        let mut records = Vec::new();
        for bucket in buckets {
            settle(bucket, 1, &scratch, bytes_max, &mut records, each).map_err(|failed| unable(&scratch, failed))?;
        }
        Ok(())
    }
}

/// Hands a bucket over whole where it fits, divided where it does not. Its depth is bounded by [`LEVELS_MAX`].
fn settle<R: Record>(
    bucket: Bucket,
    level: u32,
    scratch: &Path,
    bytes_max: usize,
    records: &mut Vec<R>,
    each: &mut dyn FnMut(&mut Vec<R>) -> Result<(), Unable>,
) -> Result<(), Failed> {
    let bytes = bucket.bytes();
    if bytes == 0 {
        return Ok(());
    }
    let fits = bytes <= bytes_max as u64;
    if !fits && level < LEVELS_MAX {
        let mut parts = Buckets::<R>::level(scratch, bytes_max);
        bucket.chunks::<R>(&mut |bytes| {
            bytes.chunks_exact(R::BYTES).try_for_each(|bytes| parts.put(R::read(bytes), level))
        })?;
        for part in parts.buckets {
            settle(part, level + 1, scratch, bytes_max, records, each)?;
        }
        return Ok(());
    }
    records.clear();
    let most = (bytes_max / R::BYTES.max(1)).max(1);
    let mut condense_at = most;
    bucket.chunks::<R>(&mut |bytes| {
        records.extend(bytes.chunks_exact(R::BYTES).map(R::read));
        if !fits && records.len() > condense_at {
            R::condense(records);
            // What cannot be condensed is not tried again at every chunk.
            condense_at = most.max(records.len().saturating_mul(2));
        }
        Ok(())
    })?;
    each(records).map_err(Failed::Caller)
}

fn index(spread: u64, level: u32) -> usize {
    let bits = FAN_OUT.trailing_zeros();
    let shift = 64_u32.saturating_sub(bits.saturating_mul(level.saturating_add(1)));
    (spread >> shift) as usize % FAN_OUT
}

fn unable(scratch: &Path, failed: Failed) -> Unable {
    match failed {
        Failed::Caller(unable) => unable,
        Failed::Disk(error) => Unable {
            place: Place::default(),
            why: format!(
                "what does not fit in memory could not be kept in {}: {error}; give it room, or allow more memory",
                scratch.display()
            ),
        },
    }
}

#[cfg(test)]
mod tests;
