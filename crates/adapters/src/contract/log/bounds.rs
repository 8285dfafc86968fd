//! Where a partition begins and ends: retention, the end, lag, places found by time.

use super::{MIB, NO_WAIT, Subject, TOPIC, WAIT, append, drain, record, values};
use watertight_core::port::{ErrorKind, LogReader, OffsetRange, ReadFrom};
use watertight_core::record::NewRecord;

/// Appends until there is something that retention removes.
fn fill_and_retire(subject: &impl Subject) -> (i64, i64) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let mut state = 88_172_645_463_325_252_u64;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state % 64) as u8)
    };
    let text: String = (0..3_000).map(|_| letter()).collect();
    let mut next = 0;
    for turn in 0..12 {
        let value = format!("{turn}{text}");
        next = append(&*log, 0, &[&value, &value]) + 2;
    }
    subject.retire(10);
    let bounds = log.bounds(TOPIC, 0).unwrap();
    assert_eq!(bounds.next, next);
    assert!(bounds.earliest > 0 && bounds.earliest < next, "{bounds:?}");
    (bounds.earliest, next)
}

/// The reader stands at offset 1; everything before `earliest` is gone.
fn is_told_what_is_gone(subject: &impl Subject, reader: &mut dyn LogReader, earliest: i64, next: i64) {
    for _ in 0..2 {
        let error = reader.fetch(MIB, WAIT).unwrap_err();
        assert_eq!(error.kind, ErrorKind::OutOfRange, "and it moves nothing");
        assert!(error.message.contains(&format!("1..{earliest}")), "{}", error.message);
        assert_eq!(error.range, Some(OffsetRange { partition: 0, from: 1, to: earliest }));
    }
    reader.seek(0, earliest).unwrap();
    let parts = &drain(subject, reader, MIB)[&0];
    assert_eq!((parts[0].from, parts.last().unwrap().to), (earliest, next));
    assert_eq!(values(parts).len() as i64, next - earliest);
    assert_eq!(append(&*subject.another(), 0, &["on"]), next);
}

pub(super) fn below_the_earliest_is_out_of_range_with_the_exact_range(subject: &impl Subject) {
    let (earliest, next) = fill_and_retire(subject);
    let mut reader = subject.log().reader(TOPIC, &[ReadFrom::offset(0, 1)]).unwrap();
    is_told_what_is_gone(subject, &mut *reader, earliest, next);
}

pub(super) fn what_is_removed_under_a_reader_is_out_of_range(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["first", "second"]);
    let mut early = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    assert_eq!(early.fetch(1, WAIT).unwrap()[0].to, 1);
    let (earliest, next) = fill_and_retire(subject);
    is_told_what_is_gone(subject, &mut *early, earliest, next);
}

pub(super) fn behind_the_end_stops(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 2)]).unwrap();
    let error = reader.fetch(MIB, subject.comes_within()).unwrap_err();
    assert_eq!((error.kind, error.range), (ErrorKind::Stop, Some(OffsetRange { partition: 0, from: 1, to: 2 })));
    reader.seek(0, 1).unwrap();
    assert!(reader.fetch(MIB, NO_WAIT).unwrap().is_empty(), "the end itself is a place to wait");
}

pub(super) fn lag_reaches_zero(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a", "b", "c"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    let first = &reader.fetch(1, WAIT).unwrap()[0];
    assert_eq!(first.log_end - first.to, 2);
    let last = drain(subject, &mut *reader, MIB)[&0].last().unwrap().clone();
    assert_eq!(last.log_end - last.to, 0);
}

pub(super) fn an_offset_is_found_by_time(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 2).unwrap();
    for timestamp_ms in [1_000, 2_000, 2_000, 3_000] {
        let at = NewRecord { timestamp_ms, ..record("timed") };
        log.append(TOPIC, 0, &[at]).unwrap();
    }
    let found = [0, 1_000, 1_001, 2_000, 2_001, 3_001].map(|time| log.offset_at(TOPIC, 0, time).unwrap());
    assert_eq!(found, [0, 0, 1, 1, 3, 4], "behind the last, the end");
    assert_eq!(log.offset_at(TOPIC, 1, 0).unwrap(), 0, "an empty partition ends where it begins");
}

pub(super) fn the_end_is_where_the_bounds_end_without_transactions(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    for next in 0..3 {
        assert_eq!((log.end(TOPIC, 0).unwrap(), log.bounds(TOPIC, 0).unwrap().next), (next, next));
        append(&*log, 0, &["one"]);
    }
    assert_eq!(log.end(TOPIC, 1).unwrap_err().kind, ErrorKind::Stop);
}
