//! Brokers that die, fall silent, or hand out damaged batches.

use super::*;
use crate::kafka::others::{Others, unique};
use rdkafka::producer::Producer;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use watertight_core::port::ErrorKind;

/// The first segment of partition 0.
fn segment(cluster: &Cluster, topic: &str) -> PathBuf {
    cluster.folder().join("broker-1/data").join(format!("{topic}-0")).join("00000000000000000000.log")
}

#[test]
fn damage_is_corrupt_and_nothing_behind_it_is_shown_before_a_seek() {
    let cluster = own_cluster();
    let (others, topic) = (Others::of(&cluster), unique("damaged"));
    others.create(&topic, 1, &[]);
    for batch in ["first", "second", "third"] {
        others.send(&topic, 0, &[batch, batch]);
    }
    let path = segment(&cluster, &topic);
    let bytes = fs::read(&path).expect("a segment");
    let at = bytes.windows(6).position(|window| window == b"second").expect("in the segment");
    let file = fs::File::options().write(true).open(&path).expect("a segment");
    file.write_all_at(b"S", at as u64).expect("written");

    let mut reader = open(&log(&cluster), &topic, &[(0, 0)]);
    let (parts, error) = until_error(&mut *reader);
    assert_eq!(values(&parts), ["first", "first"]);
    assert_eq!(error.kind, ErrorKind::Corrupt, "{}", error.message);
    assert_eq!(error.range.map(|range| (range.partition, range.from)), Some((0, 2)), "the first that cannot be read");
    for _ in 0..10 {
        let error = reader.fetch(MIB, WAIT).expect_err("and again");
        assert_eq!(error.kind, ErrorKind::Corrupt);
    }
    reader.seek(0, 4).expect("assigned");
    assert_eq!(values(&read_to(&mut *reader, 6)), ["third", "third"]);
}

#[test]
fn a_broker_that_dies_is_missed_aloud_and_read_on_when_it_is_back() {
    let cluster = own_cluster();
    let (others, topic) = (Others::of(&cluster), unique("killed"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["before"]);
    let mut reader = open(&log(&cluster), &topic, &[(0, 0)]);
    assert_eq!(values(&read_to(&mut *reader, 1)), ["before"]);
    cluster.kill(1).expect("killed");
    let began = Instant::now();
    let (parts, error) = until_error(&mut *reader);
    assert!(began.elapsed() > Duration::from_secs(5), "a short absence is no news");
    assert!(parts.is_empty());
    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.message);
    assert!(error.message.contains(&topic), "{}", error.message);
    cluster.start_again(1).expect("started");
    others.send(&topic, 0, &["after"]);
    let began = Instant::now();
    let mut parts = Vec::new();
    while values(&parts).is_empty() && began.elapsed() < PATIENCE {
        parts.extend(reader.fetch(MIB, WAIT).unwrap_or_default());
    }
    assert_eq!(values(&parts), ["after"]);
    assert!(reader.fetch(MIB, WAIT).is_ok(), "it is over");
}

#[test]
fn a_marker_that_a_later_leader_wrote_is_no_truncation() {
    let cluster = own_cluster();
    let (others, topic) = (Others::of(&cluster), unique("later-marker"));
    others.create(&topic, 1, &[]);
    let transaction = others.open_transaction(&topic, &["a", "b"]);
    cluster.kill(1).expect("killed");
    cluster.start_again(1).expect("started");
    transaction.commit_transaction(PATIENCE).expect("committed");
    let log = log(&cluster);
    let mut reader = open(&log, &topic, &[(0, 0)]);
    let parts = read_to(&mut *reader, 3);
    assert_eq!((values(&parts), gaps(&parts)), (vec!["a".to_owned(), "b".to_owned()], vec![(2, 3)]));
    let epoch = parts.iter().filter_map(|part| part.records.metas().last()).next_back().expect("records").leader_epoch;
    drop(reader);

    // The position lies behind the marker, the epoch is that of the last record, and its log ends before the marker.
    let from = [ReadFrom { partition: 0, offset: 3, leader_epoch: epoch }];
    let mut reader = log.reader(&topic, &from).expect("a reader");
    others.send(&topic, 0, &["c"]);
    assert_eq!(values(&read_to(&mut *reader, 4)), ["c"]);

    // Behind a record of the later leader, with the same epoch, the position is one of another log.
    let from = [ReadFrom { partition: 0, offset: 4, leader_epoch: epoch }];
    let (parts, error) = until_error(&mut *log.reader(&topic, &from).expect("a reader"));
    assert!(parts.is_empty());
    let range = error.range.expect("a range");
    assert_eq!((error.kind, range.from, range.to), (ErrorKind::Stop, 3, 4));
}

#[test]
fn a_reader_is_closed_within_a_second_or_so_whatever_brokers_do() {
    let cluster = own_cluster();
    let (others, topic) = (Others::of(&cluster), unique("closed"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["a"]);
    let log = log(&cluster);
    let mut silent = open(&log, &topic, &[(0, 0)]);
    assert_eq!(values(&read_to(&mut *silent, 1)), ["a"]);
    let idle = open(&log, &topic, &[(0, 0)]);
    let quickly = |reader: Box<dyn LogReader>| {
        let began = Instant::now();
        drop(reader);
        assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    };
    quickly(idle);
    cluster.pause(1).expect("paused");
    std::thread::sleep(Duration::from_secs(2));
    quickly(silent);
    cluster.resume(1).expect("resumed");
}
