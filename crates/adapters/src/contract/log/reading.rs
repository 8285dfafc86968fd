//! Readers: woken, bounded, fair, sent elsewhere; what they are handed covers its range exactly.

use super::{MIB, Subject, TOPIC, WAIT, append, drain, values};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{Gap, GapCause, ReadFrom};

pub(super) fn a_reader_is_woken_soon(subject: &impl Subject) {
    let (log, another) = (subject.log(), subject.another());
    log.create_topic(TOPIC, 1).unwrap();
    let mut waits = Vec::new();
    for turn in 0..6 {
        let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, turn)]).unwrap();
        // It stands at the end, and waits there.
        assert!(reader.fetch(MIB, subject.comes_within()).unwrap().is_empty());
        let writer = if turn % 2 == 0 { Arc::clone(&log) } else { Arc::clone(&another) };
        let waits = &mut waits;
        std::thread::scope(|scope| {
            let appended = scope.spawn(move || {
                std::thread::sleep(Duration::from_millis(30));
                append(&*writer, 0, &["wake"]);
                Instant::now()
            });
            assert_eq!(reader.fetch(MIB, WAIT).unwrap()[0].records.len(), 1);
            let woken = Instant::now();
            waits.push(woken.saturating_duration_since(appended.join().unwrap()));
        });
    }
    waits.sort_unstable();
    assert!(waits[2] < Duration::from_millis(20), "typical: {waits:?}");
    assert!(waits[5] < Duration::from_millis(500), "worst, on a busy machine: {waits:?}");
}

pub(super) fn a_fetch_is_bounded_but_never_stuck(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let value = "x".repeat(1_000);
    append(&*log, 0, &[value.as_str(); 20]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    assert_eq!(reader.fetch(1, WAIT).unwrap()[0].records.len(), 1, "at least one record");
    let part = &reader.fetch(5_000, WAIT).unwrap()[0];
    assert_eq!(part.from, 1);
    assert!((2..=6).contains(&part.records.len()), "{} records of 1,000 bytes", part.records.len());
    let rest = drain(subject, &mut *reader, MIB);
    assert_eq!(rest[&0].last().unwrap().to, 20);
    let began = Instant::now();
    assert!(reader.fetch(MIB, Duration::from_millis(60)).unwrap().is_empty());
    assert!(began.elapsed() >= Duration::from_millis(60), "it waits for as long as it may");
}

pub(super) fn a_backlog_does_not_starve_other_partitions(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 3).unwrap();
    let value = "x".repeat(1_000);
    append(&*log, 0, &[value.as_str(); 50]);
    append(&*log, 1, &[value.as_str(); 50]);
    append(&*log, 2, &["small"]);
    let mut reader =
        log.reader(TOPIC, &[ReadFrom::offset(0, 0), ReadFrom::offset(1, 0), ReadFrom::offset(2, 0)]).unwrap();
    // A log that is fetched in the background brings one partition before another: all of them are there by now.
    std::thread::sleep(subject.comes_within());
    let mut met = BTreeSet::new();
    for _ in 0..3 {
        met.extend(reader.fetch(6_000, WAIT).unwrap().iter().map(|part| part.partition));
    }
    assert_eq!(met, BTreeSet::from([0, 1, 2]));
    let all = drain(subject, &mut *reader, 6_000);
    assert_eq!((all[&0].last().unwrap().to, all[&1].last().unwrap().to), (50, 50));
}

pub(super) fn a_reader_goes_where_it_is_sent(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a", "b", "c"]);
    append(&*log, 0, &["d", "e"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 4)]).unwrap();
    assert_eq!(values(&reader.fetch(MIB, WAIT).unwrap()), ["e"]);
    for (offset, expected) in [(1, &["b", "c", "d", "e"][..]), (3, &["d", "e"]), (0, &["a", "b", "c", "d", "e"])] {
        reader.seek(0, offset).unwrap();
        assert_eq!(values(&drain(subject, &mut *reader, MIB)[&0]), expected);
    }
    reader.seek(0, 0).unwrap();
    assert_eq!(reader.fetch(1, WAIT).unwrap()[0].to, 1);
    reader.seek(0, 4).unwrap();
    assert_eq!(values(&reader.fetch(MIB, WAIT).unwrap()), ["e"], "also from the middle of a batch");
}

pub(super) fn a_fetch_covers_its_range_exactly(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    for turn in 0..30 {
        let texts: Vec<String> = (0..=turn % 7).map(|at| format!("{turn}.{at}")).collect();
        append(&*log, 0, &texts.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let next = log.bounds(TOPIC, 0).unwrap().next;
    for (from, bytes_max) in [(0, 1), (3, 60), (next / 2, 300), (0, MIB)] {
        let parts = &drain(subject, &mut *log.reader(TOPIC, &[ReadFrom::offset(0, from)]).unwrap(), bytes_max)[&0];
        assert_eq!((parts[0].from, parts.last().unwrap().to), (from, next));
    }
}

pub(super) fn damage_is_a_gap_and_what_follows_is_read(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    for value in ["a", "b", "c", "d"] {
        append(&*log, 0, &[value]);
    }
    subject.damage(2);
    let parts = &drain(subject, &mut *log.reader(TOPIC, &[ReadFrom::offset(0, 1)]).unwrap(), MIB)[&0];
    assert_eq!(values(parts), ["b", "d"]);
    let gaps: Vec<Gap> = parts.iter().flat_map(|part| part.gaps.clone()).collect();
    assert_eq!(gaps, [Gap { from: 2, to: 3, cause: GapCause::Damaged }]);
}
