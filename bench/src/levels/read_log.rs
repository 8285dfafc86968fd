//! L0 of the built-in log: it is read once, from its beginning to where it ends at the start, and the checksum of its
//! records is added up, as anything that reads it and accounts for it must do at least.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::books::{Checksum, record_checksum};
use watertight_core::port::{EventLog as _, Fetched, ReadFrom};

/// Bytes of one fetch: enough that a fetch costs nothing beside its records, and little enough for a processor's cache.
const FETCH_BYTES_MAX: usize = 4 << 20;
/// Records that are known to be there come at once; a log that gives none for this long is not whole.
const FETCH_WAIT: Duration = Duration::from_secs(10);

/// Arguments of `read-log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the log.
    #[arg(long, value_name = "DIR")]
    log: PathBuf,
    /// Its topic.
    #[arg(long, value_name = "NAME")]
    topic: String,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogSum {
    /// Records.
    pub(crate) records: u64,
    /// Bytes of keys and values.
    pub(crate) bytes: u64,
    /// The checksum of the records at their positions.
    pub(crate) checksum: Checksum,
}

impl LogSum {
    /// Adds one record.
    pub(crate) fn add(&mut self, partition: i32, offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) {
        self.checksum.add(record_checksum(partition, offset, key, value));
        self.bytes += (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as u64;
        self.records += 1;
    }

    /// Adds what a fetch brought of one partition.
    pub(crate) fn add_part(&mut self, part: &Fetched) {
        let records = &part.records;
        for (row, meta) in records.metas().iter().enumerate() {
            self.add(part.partition, meta.offset, records.key(row), records.value(row));
        }
    }
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let sum = sum_of(&args.log, &args.topic)?;
    println!("{}", serde_json::to_string(&sum)?);
    Ok(())
}

/// Reads the topic once.
pub(crate) fn sum_of(folder: &Path, topic: &str) -> Result<LogSum> {
    let mut sum = LogSum::default();
    each_part(folder, topic, |part| {
        sum.add_part(part);
        Ok(())
    })?;
    Ok(sum)
}

/// Shows what the topic has when it is opened, once; offsets of a partition come in order.
pub(crate) fn each_part(folder: &Path, topic: &str, mut show: impl FnMut(&Fetched) -> Result<()>) -> Result<()> {
    // Opening would make a folder that is not there.
    ensure!(folder.is_dir(), "there is no log in {}; name its folder with --log", folder.display());
    let log = SegmentLog::open(folder, SegmentLogOptions::default(), Arc::new(SystemClock), Arc::new(SystemIds))?;
    let found = log.topic(topic)?;
    let found = found.with_context(|| format!("{} has no topic '{topic}'; name one with --topic", folder.display()))?;
    let (mut from, mut ends) = (Vec::new(), BTreeMap::new());
    for partition in 0..found.partitions {
        let bounds = log.bounds(topic, partition)?;
        from.push(ReadFrom::offset(partition, bounds.earliest));
        if bounds.next > bounds.earliest {
            ends.insert(partition, bounds.next);
        }
    }
    let mut reader = log.reader(topic, &from)?;
    while !ends.is_empty() {
        let fetched = reader.fetch(FETCH_BYTES_MAX, FETCH_WAIT)?;
        ensure!(!fetched.is_empty(), "{} ended before its own end; make the input anew", folder.display());
        for part in &fetched {
            ensure!(part.gaps.is_empty(), "{} has lost offsets; make the input anew", folder.display());
            show(part)?;
            if ends.get(&part.partition).is_some_and(|end| part.to >= *end) {
                ends.remove(&part.partition);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use watertight_core::record::NewRecord;

    fn write(folder: &Path, values: &[&[u8]]) {
        let options = SegmentLogOptions::default();
        let log = SegmentLog::open(folder, options, Arc::new(SystemClock), Arc::new(SystemIds)).expect("opens");
        log.create_topic("t", 3).expect("made");
        for (at, value) in values.iter().enumerate() {
            let record = NewRecord { key: Some(b"k"), value: Some(value), ..NewRecord::default() };
            log.append("t", (at % 2) as i32, &[record]).expect("appended");
        }
    }

    #[test]
    fn every_record_is_counted_once_and_an_empty_partition_is_no_obstacle() {
        let dir = tempfile::tempdir().expect("scratch");
        write(dir.path(), &[b"one", b"two", b"three"]);
        let sum = sum_of(dir.path(), "t").expect("read");
        let mut checksum = Checksum::default();
        for (partition, offset, value) in [(0, 0, &b"one"[..]), (1, 0, &b"two"[..]), (0, 1, &b"three"[..])] {
            checksum.add(record_checksum(partition, offset, Some(b"k"), Some(value)));
        }
        assert_eq!(sum, LogSum { records: 3, bytes: 14, checksum });
        let text = serde_json::to_string(&sum).expect("written");
        assert_eq!(serde_json::from_str::<LogSum>(&text).expect("read"), sum);
    }

    #[test]
    fn another_log_has_another_sum_and_no_log_is_an_error() {
        let dir = tempfile::tempdir().expect("scratch");
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        write(&one, &[b"one", b"two"]);
        write(&other, &[b"one", b"twp"]);
        assert_ne!(sum_of(&one, "t").expect("read"), sum_of(&other, "t").expect("read"));
        assert!(sum_of(&one, "u").is_err());
        assert!(sum_of(&dir.path().join("none"), "t").is_err() && !dir.path().join("none").exists());
    }
}
