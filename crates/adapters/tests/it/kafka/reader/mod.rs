//! The reader: what it shows of a topic, and what it says where it can show nothing.

mod faults;
mod lives;
mod positions;
mod records;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use watertight_adapters::kafka::KafkaLog;
use watertight_core::port::{EventLog, Fetched, Gap, GapCause, LogReader, PortError, ReadFrom};
use watertight_lab::kafka::{Cluster, ClusterOptions};

const MIB: usize = 1 << 20;
const WAIT: Duration = Duration::from_millis(100);
/// Longer than anything that works takes, a broker's restart included.
const PATIENCE: Duration = Duration::from_secs(60);

fn log(cluster: &Cluster) -> KafkaLog {
    super::log_at(&cluster.bootstrap())
}

/// A cluster that the test may break.
fn own_cluster() -> Cluster {
    let properties = vec![("log.cleaner.backoff.ms".to_owned(), "200".to_owned())];
    Cluster::start(ClusterOptions { properties, ..ClusterOptions::default() }).expect("a cluster")
}

fn open(log: &KafkaLog, topic: &str, from: &[(i32, i64)]) -> Box<dyn LogReader> {
    let from: Vec<ReadFrom> = from.iter().map(|(partition, offset)| ReadFrom::offset(*partition, *offset)).collect();
    log.reader(topic, &from).expect("a reader")
}

/// Reads partition 0 until it is covered up to `end`.
fn read_to(reader: &mut dyn LogReader, end: i64) -> Vec<Fetched> {
    let began = Instant::now();
    let mut parts: Vec<Fetched> = Vec::new();
    while parts.last().is_none_or(|part| part.to < end) {
        assert!(began.elapsed() < PATIENCE, "offset {end} was not reached: {:?}", parts.last());
        for part in reader.fetch(MIB, WAIT).expect("a fetch") {
            covers_exactly(&part);
            assert!(parts.last().is_none_or(|last| last.to == part.from), "parts join");
            parts.push(part);
        }
    }
    parts
}

/// Records and gaps together cover `from..to`, each offset once.
fn covers_exactly(part: &Fetched) {
    let mut covered = BTreeSet::new();
    let records = part.records.metas().iter().map(|meta| meta.offset..meta.offset + 1);
    for range in records.chain(part.gaps.iter().map(|gap| gap.from..gap.to)) {
        for offset in range {
            assert!(covered.insert(offset), "offset {offset} comes once");
        }
    }
    assert!(covered.into_iter().eq(part.from..part.to), "{}..{} is covered", part.from, part.to);
}

fn values(parts: &[Fetched]) -> Vec<String> {
    let text = |part: &Fetched, row| String::from_utf8_lossy(part.records.value(row).unwrap_or(b"-")).into_owned();
    parts.iter().flat_map(|part| (0..part.records.len()).map(|row| text(part, row)).collect::<Vec<_>>()).collect()
}

/// The gaps of all parts, joined where they touch; each must be without a record by its cause.
fn gaps(parts: &[Fetched]) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for Gap { from, to, cause } in parts.iter().flat_map(|part| part.gaps.iter().copied()) {
        assert_eq!(cause, GapCause::NoRecord);
        match joined.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Fetches until an error comes, and returns what was read before.
fn until_error(reader: &mut dyn LogReader) -> (Vec<Fetched>, PortError) {
    let began = Instant::now();
    let mut parts = Vec::new();
    loop {
        match reader.fetch(MIB, WAIT) {
            Ok(fetched) => parts.extend(fetched),
            Err(error) => return (parts, error),
        }
        assert!(began.elapsed() < PATIENCE, "no error came");
    }
}
