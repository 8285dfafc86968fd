//! Appends and reads of the segment log beside a bare write + fdatasync of the same bytes, interleaved, so that a
//! disk that is slower for a while is slower for both.
//!
//! `cargo run -p watertight-adapters --example segment_log_bench [-- DIR [BATCHES]]`

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_adapters::segment_log::{Codec, SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::port::{EventLog, PortError, ReadFrom};
use watertight_core::record::NewRecord;

const EVENT_BYTES: usize = 350;
const BATCH: usize = 1_000;
/// Batches written by one side before the other takes its turn.
const ROUND: usize = 20;

/// Events of 350 bytes, as a producer would write them: JSON, some of it repeating, some of it not.
fn events(batch: usize) -> Vec<Vec<u8>> {
    let mut state = batch as u64 ^ 0x9E37_79B9_7F4A_7C15;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let event = |at: usize| {
        let mut text = format!(
            r#"{{"event_id":"bench-{:012}","key":"customer-{:06}","ts":"2026-11-21T10:{:02}:{:02}.{:06}Z","value":{}.{:04},"status":{},"note":""#,
            batch * BATCH + at,
            draw() % 1_000_000,
            draw() % 60,
            draw() % 60,
            draw() % 1_000_000,
            draw() % 1_000,
            draw() % 10_000,
            200 + draw() % 4,
        );
        while text.len() < EVENT_BYTES - 2 {
            let word = format!("{:016x}", draw());
            text.push_str(&word[..word.len().min(EVENT_BYTES - 2 - text.len())]);
        }
        text.push_str("\"}");
        text.into_bytes()
    };
    (0..BATCH).map(event).collect()
}

struct Bare {
    file: File,
    at: u64,
}

impl Bare {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        self.file.sync_data()
    }
}

fn open(root: &Path, codec: Codec) -> Result<SegmentLog, PortError> {
    let options = SegmentLogOptions { codec, ..SegmentLogOptions::default() };
    let log = SegmentLog::open(root, options, Arc::new(SystemClock), Arc::new(SystemIds))?;
    log.create_topic("bench", 1)?;
    Ok(log)
}

/// Events per second of each side: bare, log with one caller, log with four.
fn write_rounds(root: &Path, codec: Codec, batches: usize) -> Result<[f64; 3], Box<dyn std::error::Error>> {
    let log = open(root, codec)?;
    let mut bare = Bare { file: File::create(root.join("bare"))?, at: 0 };
    let mut spent = [Duration::ZERO; 3];
    let rounds = batches.div_ceil(ROUND);
    for round in 0..rounds {
        let batches: Vec<Vec<Vec<u8>>> = (0..ROUND).map(|at| events(round * ROUND + at)).collect();
        let flat: Vec<Vec<u8>> = batches.iter().map(|batch| batch.concat()).collect();
        let records: Vec<Vec<NewRecord<'_>>> = batches.iter().map(|batch| records(batch)).collect();
        let began = Instant::now();
        for bytes in &flat {
            bare.append(bytes)?;
        }
        spent[0] += began.elapsed();
        let began = Instant::now();
        for batch in &records {
            log.append("bench", 0, batch)?;
        }
        spent[1] += began.elapsed();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let log = &log;
            let part = |chunk| scope.spawn(move || append_all(log, chunk));
            let callers: Vec<_> = records.chunks(ROUND / 4).map(part).collect();
            callers.into_iter().try_for_each(|caller| caller.join().expect("no caller panics"))
        })?;
        spent[2] += began.elapsed();
    }
    let written = (rounds * ROUND * BATCH) as f64;
    Ok(spent.map(|time| written / time.as_secs_f64()))
}

fn records(batch: &[Vec<u8>]) -> Vec<NewRecord<'_>> {
    let timestamp = 1_795_000_000_000;
    batch
        .iter()
        .enumerate()
        .map(|(at, value)| NewRecord {
            value: Some(value),
            timestamp_ms: timestamp + at as i64,
            ..NewRecord::default()
        })
        .collect()
}

fn append_all(log: &SegmentLog, batches: &[Vec<NewRecord<'_>>]) -> Result<(), PortError> {
    batches.iter().try_for_each(|batch| log.append("bench", 0, batch).map(|_| ()))
}

/// Events per second from the page cache.
fn read_all(root: &Path, codec: Codec) -> Result<f64, Box<dyn std::error::Error>> {
    let log = open(root, codec)?;
    let next = log.bounds("bench", 0)?.next;
    let began = Instant::now();
    let mut reader = log.reader("bench", &[ReadFrom::offset(0, 0)])?;
    let (mut read, mut bytes) = (0, 0);
    while read < next {
        for part in reader.fetch(16 << 20, Duration::from_secs(1))? {
            read += part.records.len() as i64;
            bytes += part.records.byte_len();
        }
    }
    assert_eq!(bytes, next as usize * EVENT_BYTES, "every byte comes back");
    Ok(read as f64 / began.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let batches = arguments.next().map_or(Ok(400), |text| text.parse())?;
    for codec in [Codec::Lz4, Codec::None, Codec::Zstd] {
        let root = tempfile::tempdir_in(&dir)?;
        let [bare, one, four] = write_rounds(root.path(), codec, batches)?;
        let read = read_all(root.path(), codec)?;
        println!(
            "{codec:?}: bare write+fdatasync {bare:.0} events/s ({:.0} fsyncs/s); appends {one:.0}/s with one caller \
             ({:.0} %), {four:.0}/s with four ({:.0} %); reads {read:.0}/s",
            bare / BATCH as f64,
            one / bare * 100.0,
            four / bare * 100.0,
        );
    }
    Ok(())
}
