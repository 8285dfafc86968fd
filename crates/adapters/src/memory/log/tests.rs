//! The scripted faults: each does what it says, once.

use super::*;
use crate::system::SystemIds;
use std::time::{Duration, Instant};
use watertight_core::port::{Fetched, Gap, OffsetRange};

const TOPIC: &str = "ticks";

fn log() -> MemoryLog {
    let log = MemoryLog::new(Arc::new(SystemIds));
    log.create_topic(TOPIC, 1).unwrap();
    log
}

fn append(log: &MemoryLog, value: &str) -> Result<i64, ErrorKind> {
    let record = NewRecord { value: Some(value.as_bytes()), ..NewRecord::default() };
    log.append(TOPIC, 0, &[record]).map(|append| append.first_offset).map_err(|error| error.kind)
}

fn fetch(log: &MemoryLog, from: i64) -> Fetched {
    log.reader(TOPIC, &[ReadFrom::offset(0, from)]).unwrap().fetch(1 << 20, Duration::ZERO).unwrap().remove(0)
}

#[test]
fn a_rejected_append_changes_nothing() {
    let log = log();
    log.inject(LogCall::Append, LogFault::Reject(ErrorKind::Retry));
    log.inject(LogCall::Append, LogFault::Reject(ErrorKind::Stop));
    assert_eq!(append(&log, "a"), Err(ErrorKind::Retry));
    assert_eq!(append(&log, "a"), Err(ErrorKind::Stop));
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 0);
    assert_eq!(append(&log, "a"), Ok(0));
}

#[test]
fn an_append_whose_answer_is_lost_was_done() {
    let log = log();
    log.inject(LogCall::Append, LogFault::LoseAnswer);
    assert_eq!(append(&log, "a"), Err(ErrorKind::Unknown));
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 1);
    assert_eq!(fetch(&log, 0).records.value(0), Some(&b"a"[..]));
}

#[test]
fn a_failed_fetch_moves_nothing() {
    let log = log();
    append(&log, "a").unwrap();
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    for fault in [LogFault::Reject(ErrorKind::Retry), LogFault::LoseAnswer] {
        log.inject(LogCall::Fetch, fault);
        assert!(reader.fetch(1 << 20, Duration::ZERO).is_err());
    }
    assert_eq!(reader.fetch(1 << 20, Duration::ZERO).unwrap()[0].to, 1);
}

#[test]
fn held_calls_wait_for_the_hold_and_slow_ones_take_their_time() {
    let log = log();
    let hold = log.hold(LogCall::Append);
    std::thread::scope(|scope| {
        let appended = scope.spawn(|| append(&log, "a"));
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 0);
        drop(hold);
        assert_eq!(appended.join().unwrap(), Ok(0));
    });
    log.inject(LogCall::Bounds, LogFault::Slow(Duration::from_millis(30)));
    let began = Instant::now();
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 1);
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[test]
fn offsets_without_a_record_come_as_gaps_with_their_cause() {
    let log = log();
    for value in ["a", "b", "c", "d"] {
        append(&log, value).unwrap();
    }
    log.skip_offsets(TOPIC, 0, 3).unwrap();
    log.lose(TOPIC, 0, 1..3, GapCause::Damaged).unwrap();
    assert_eq!(append(&log, "e"), Ok(7));
    let part = fetch(&log, 0);
    let (damaged, none) = (GapCause::Damaged, GapCause::NoRecord);
    assert_eq!(part.gaps, [Gap { from: 1, to: 3, cause: damaged }, Gap { from: 4, to: 7, cause: none }]);
    assert_eq!(part.records.metas().iter().map(|meta| meta.offset).collect::<Vec<_>>(), [0, 3, 7]);
    assert_eq!((part.from, part.to), (0, 8));
    log.retain_from(TOPIC, 0, 5).unwrap();
    assert_eq!(fetch(&log, 5).gaps, [Gap { from: 5, to: 7, cause: none }], "from within a gap");
}

#[test]
fn behind_a_cut_off_end_offsets_are_given_again() {
    let log = log();
    for value in ["a", "b", "c"] {
        append(&log, value).unwrap();
    }
    log.skip_offsets(TOPIC, 0, 4).unwrap();
    log.truncate(TOPIC, 0, 5).unwrap();
    assert_eq!(fetch(&log, 0).gaps, [Gap { from: 3, to: 5, cause: GapCause::NoRecord }]);
    log.truncate(TOPIC, 0, 1).unwrap();
    let mut behind = log.reader(TOPIC, &[ReadFrom::offset(0, 3)]).unwrap();
    let error = behind.fetch(1 << 20, Duration::ZERO).unwrap_err();
    assert_eq!((error.kind, error.range), (ErrorKind::Stop, Some(OffsetRange { partition: 0, from: 1, to: 3 })));
    assert_eq!(append(&log, "z"), Ok(1));
    assert_eq!(fetch(&log, 1).records.value(0), Some(&b"z"[..]));
}
