//! Positions that the log does not hold, and positions that it holds with other records below them.

use super::*;
use crate::kafka::others::{Others, unique};
use watertight_core::port::{ErrorKind, OffsetRange};
use watertight_lab::kafka::shared;

#[test]
fn below_the_earliest_is_told_with_the_exact_range_and_others_are_read() {
    let (others, topic) = (Others::of(shared()), unique("below"));
    others.create(&topic, 2, &[]);
    others.send(&topic, 0, &["0", "1", "2", "3", "4", "5", "6", "7"]);
    others.send(&topic, 1, &["other"]);
    others.delete_records(&topic, 5);
    let log = log(shared());
    let mut reader = open(&log, &topic, &[(0, 2), (1, 0)]);
    let (mut other, mut errors) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while (other.is_empty() || errors.len() < 3) && began.elapsed() < PATIENCE {
        match reader.fetch(MIB, WAIT) {
            Ok(fetched) => other.extend(fetched),
            Err(error) => errors.push(error),
        }
    }
    assert_eq!(values(&other), ["other"]);
    for error in &errors {
        assert_eq!(error.kind, ErrorKind::OutOfRange, "and it moves nothing");
        assert_eq!(error.range, Some(OffsetRange { partition: 0, from: 2, to: 5 }));
        assert!(error.message.contains("2..5"), "{}", error.message);
    }
    assert!(errors.len() >= 3, "at each fetch");
    reader.seek(0, 5).expect("assigned");
    assert_eq!(values(&read_to(&mut *reader, 8)), ["5", "6", "7"]);
}

#[test]
fn records_that_are_removed_while_the_reader_waits_elsewhere_are_told_after_a_seek() {
    let (others, topic) = (Others::of(shared()), unique("removed"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["0", "1", "2", "3"]);
    let mut reader = open(&log(shared()), &topic, &[(0, 3)]);
    assert_eq!(values(&read_to(&mut *reader, 4)), ["3"]);
    others.delete_records(&topic, 2);
    for (offset, from) in [(1, 1), (-7, -7)] {
        reader.seek(0, offset).expect("assigned");
        let (parts, error) = until_error(&mut *reader);
        assert!(parts.is_empty(), "nothing is read from somewhere else");
        assert_eq!((error.kind, error.range), (ErrorKind::OutOfRange, Some(OffsetRange { partition: 0, from, to: 2 })));
    }
    reader.seek(0, 2).expect("assigned");
    assert_eq!(values(&read_to(&mut *reader, 4)), ["2", "3"]);
}

#[test]
fn behind_the_end_stops_with_the_range_and_the_end_is_a_place_to_wait() {
    let (others, topic) = (Others::of(shared()), unique("behind"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["0", "1"]);
    let mut reader = open(&log(shared()), &topic, &[(0, 7)]);
    let range = |to| Some(OffsetRange { partition: 0, from: 2, to });
    for _ in 0..2 {
        let error = reader.fetch(MIB, Duration::ZERO).expect_err("at once, and again");
        assert_eq!((error.kind, error.range), (ErrorKind::Stop, range(7)));
    }
    reader.seek(0, 2).expect("assigned");
    for _ in 0..8 {
        assert!(reader.fetch(MIB, WAIT).expect("a fetch").is_empty());
    }
    reader.seek(0, 3).expect("assigned");
    let (_, error) = until_error(&mut *reader);
    assert_eq!((error.kind, error.range), (ErrorKind::Stop, range(3)));
    reader.seek(0, 2).expect("assigned");
    others.send(&topic, 0, &["2"]);
    assert_eq!(values(&read_to(&mut *reader, 3)), ["2"]);
    assert_eq!(reader.seek(1, 0).expect_err("not assigned").kind, ErrorKind::Stop);
}

#[test]
fn a_seek_shows_nothing_of_the_place_before_it() {
    let (others, topic) = (Others::of(shared()), unique("seeks"));
    others.create(&topic, 1, &[]);
    let sent: Vec<String> = (0..5_000).map(|at| format!("{at} {}", "x".repeat(200))).collect();
    others.send(&topic, 0, &sent.iter().map(String::as_str).collect::<Vec<_>>());
    let mut reader = open(&log(shared()), &topic, &[(0, 0)]);
    for (turn, offset) in [4_000, 10, 2_500, 0, 4_999, 1].into_iter().enumerate() {
        // Sometimes while much is under way, sometimes when nothing is.
        if turn % 2 == 0 {
            drop(reader.fetch(10_000, WAIT).expect("a fetch"));
        }
        reader.seek(0, offset).expect("assigned");
        let parts = read_to(&mut *reader, 5_000);
        assert_eq!(parts[0].from, offset);
        assert!(values(&parts) == sent[offset as usize..], "from {offset} on, each once");
    }
}

#[test]
fn an_epoch_that_the_log_does_not_know_stops() {
    let (others, topic) = (Others::of(shared()), unique("epoch"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["0", "1", "2"]);
    let log = log(shared());
    let at = |offset, leader_epoch| [ReadFrom { partition: 0, offset, leader_epoch }];
    let mut known = log.reader(&topic, &at(2, 0)).expect("a reader");
    assert_eq!(values(&read_to(&mut *known, 3)), ["2"]);
    let mut unknown = log.reader(&topic, &at(2, 99)).expect("a reader");
    for _ in 0..2 {
        let (parts, error) = until_error(&mut *unknown);
        assert!(parts.is_empty(), "nothing is shown of a log that may be another one");
        assert_eq!(error.kind, ErrorKind::Stop, "{}", error.message);
        assert_eq!(error.range, Some(OffsetRange { partition: 0, from: 0, to: 2 }));
    }
    unknown.seek(0, 0).expect("assigned");
    assert_eq!(values(&read_to(&mut *unknown, 3)).len(), 3, "a seek knows nothing of what lies below");
}
