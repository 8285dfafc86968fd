//! What every event log must do. Each function takes a [`Subject`]; `suite!` runs them on one adapter: all of them on
//! ours, and on Kafka those that it can be held to.

mod subjects;

use self::subjects::{OnKafka, Subject};
use crate::memory::log::MemoryLog;
use crate::segment_log::tests::Scratch;
use crate::system::SystemIds;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, EventLog, Fetched, Gap, GapCause, LogReader, OffsetRange, ReadFrom};
use watertight_core::record::{NewRecord, decode_headers};

const TOPIC: &str = "ticks";
const WAIT: Duration = Duration::from_secs(5);
const NO_WAIT: Duration = Duration::ZERO;
const MIB: usize = 1 << 20;

macro_rules! suite {
    (ours $adapter:ident: $make:expr) => { mod $adapter {
        use super::*;
        suite!(@everywhere $make);
        // Kafka: the bytes of a running broker cannot be damaged; what was fetched ahead is read although it was
        // removed since; other producers write between the records of a batch; brokers refuse times that lie in the
        // future; the suite's topics have names with a beginning of their own.
        suite!(@each $make; damage_is_a_gap_and_what_follows_is_read; what_is_removed_under_a_reader_is_out_of_range;
            a_batch_is_contiguous_among_many_writers; timestamps_of_any_size_are_kept;
            topics_of_the_log_itself_are_not_listed;);
    } };
    (kafka $adapter:ident: $make:expr) => { mod $adapter {
        use super::*;
        suite!(@everywhere $make);
    } };
    (@everywhere $make:expr) => {
        suite!(@each $make; offsets_are_dense_from_zero_and_per_partition; null_and_empty_stay_apart;
            headers_keep_order_duplicates_and_nulls; making_a_topic_twice_is_once; partitions_are_added_never_removed;
            a_recreated_topic_has_another_incarnation_and_no_records; an_unknown_topic_or_partition_stops;
            an_empty_batch_appends_nothing; the_records_of_each_writer_keep_their_order; a_reader_is_woken_soon;
            a_fetch_is_bounded_but_never_stuck; a_backlog_does_not_starve_other_partitions;
            a_reader_goes_where_it_is_sent; below_the_earliest_is_out_of_range_with_the_exact_range;
            behind_the_end_stops; a_fetch_covers_its_range_exactly; lag_reaches_zero; a_reader_of_a_removed_topic_stops;
            topics_are_listed_in_order; an_offset_is_found_by_time;
            the_end_is_where_the_bounds_end_without_transactions;);
    };
    (@each $make:expr; $($fact:ident;)*) => { $(#[test] fn $fact() { super::$fact(&$make); })* };
}

suite!(ours memory: MemoryLog::new(Arc::new(SystemIds)));
suite!(ours segment_log: Scratch::with_small_segments());
suite!(kafka kafka: OnKafka::new());

fn record(value: &str) -> NewRecord<'_> {
    NewRecord { value: Some(value.as_bytes()), timestamp_ms: 1_000, ..NewRecord::default() }
}

fn append(log: &dyn EventLog, partition: i32, values: &[&str]) -> i64 {
    let records: Vec<NewRecord<'_>> = values.iter().map(|value| record(value)).collect();
    log.append(TOPIC, partition, &records).unwrap().first_offset
}

/// Fetches until nothing more comes; checks that the parts of each partition join without a hole.
fn drain(subject: &impl Subject, reader: &mut dyn LogReader, bytes_max: usize) -> BTreeMap<i32, Vec<Fetched>> {
    let mut all: BTreeMap<i32, Vec<Fetched>> = BTreeMap::new();
    loop {
        let fetched = reader.fetch(bytes_max, subject.comes_within()).unwrap();
        if fetched.is_empty() {
            return all;
        }
        for part in fetched {
            covers_exactly(&part);
            let parts = all.entry(part.partition).or_default();
            assert!(parts.last().is_none_or(|last| last.to == part.from), "parts join");
            parts.push(part);
        }
    }
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
    let text = |part: &Fetched, row| String::from_utf8(part.records.value(row).unwrap().to_vec()).unwrap();
    parts.iter().flat_map(|part| (0..part.records.len()).map(|row| text(part, row)).collect::<Vec<_>>()).collect()
}

fn offsets_are_dense_from_zero_and_per_partition(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 2).unwrap();
    assert_eq!(append(&*log, 0, &["a", "b"]), 0);
    assert_eq!(append(&*log, 0, &["c"]), 2);
    assert_eq!(append(&*log, 1, &["d"]), 0);
    assert_eq!(append(&*subject.another(), 0, &["e"]), 3);
    let all = drain(subject, &mut *log.reader(TOPIC, &[ReadFrom::offset(0, 0), ReadFrom::offset(1, 0)]).unwrap(), MIB);
    assert_eq!(values(&all[&0]), ["a", "b", "c", "e"]);
    assert_eq!(values(&all[&1]), ["d"]);
    let bounds = log.bounds(TOPIC, 0).unwrap();
    assert_eq!((bounds.earliest, bounds.next), (0, 4));
}

fn null_and_empty_stay_apart(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let null = NewRecord { timestamp_ms: 5, ..NewRecord::default() };
    let empty = NewRecord { key: Some(b""), value: Some(b""), timestamp_ms: 4, ..NewRecord::default() };
    log.append(TOPIC, 0, &[null, empty]).unwrap();
    let fetched = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap().fetch(MIB, WAIT).unwrap();
    let records = &fetched[0].records;
    assert_eq!((records.key(0), records.value(0), records.headers(0)), (None, None, &b""[..]));
    assert_eq!((records.key(1), records.value(1)), (Some(&b""[..]), Some(&b""[..])));
    let times: Vec<i64> = records.metas().iter().map(|meta| meta.timestamp_ms).collect();
    assert_eq!(times, [5, 4]);
}

fn timestamps_of_any_size_are_kept(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let times = [-5, 0, i64::MAX];
    log.append(TOPIC, 0, &times.map(|timestamp_ms| NewRecord { timestamp_ms, ..record("v") })).unwrap();
    let fetched = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap().fetch(MIB, WAIT).unwrap();
    let found: Vec<i64> = fetched[0].records.metas().iter().map(|meta| meta.timestamp_ms).collect();
    assert_eq!(found, times);
}

fn headers_keep_order_duplicates_and_nulls(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let headers: &[(&str, Option<&[u8]>)] = &[("b", Some(b"1")), ("a", None), ("b", Some(b"")), ("", Some(b"x"))];
    log.append(TOPIC, 0, &[NewRecord { headers, ..record("v") }]).unwrap();
    let fetched = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap().fetch(MIB, WAIT).unwrap();
    let read = decode_headers(fetched[0].records.headers(0)).unwrap();
    assert_eq!(read, headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect::<Vec<_>>());
}

fn making_a_topic_twice_is_once(subject: &impl Subject) {
    let log = subject.log();
    assert_eq!(log.topic(TOPIC).unwrap(), None);
    let made = log.create_topic(TOPIC, 3).unwrap();
    assert_eq!((made.name.as_str(), made.partitions), (TOPIC, 3));
    append(&*log, 2, &["kept"]);
    assert_eq!(subject.another().create_topic(TOPIC, 3).unwrap(), made);
    assert_eq!(log.topic(TOPIC).unwrap(), Some(made));
    assert_eq!(log.bounds(TOPIC, 2).unwrap().next, 1);
}

fn partitions_are_added_never_removed(subject: &impl Subject) {
    let (log, another) = (subject.log(), subject.another());
    let made = log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a"]);
    let grown = another.create_topic(TOPIC, 3).unwrap();
    assert_eq!((grown.partitions, &grown.incarnation), (3, &made.incarnation));
    assert_eq!(append(&*log, 2, &["b"]), 0, "the other handle sees them");
    assert_eq!(another.create_topic(TOPIC, 2).unwrap().partitions, 3);
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 1);
}

fn a_recreated_topic_has_another_incarnation_and_no_records(subject: &impl Subject) {
    let (log, another) = (subject.log(), subject.another());
    let first = log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["old"]);
    append(&*another, 0, &["old"]);
    subject.remove_topic(TOPIC);
    assert_eq!(another.topic(TOPIC).unwrap(), None);
    let second = log.create_topic(TOPIC, 1).unwrap();
    assert_ne!(first.incarnation, second.incarnation);
    assert_eq!(another.bounds(TOPIC, 0).unwrap().next, 0);
    assert_eq!(append(&*another, 0, &["new"]), 0);
    let all = drain(subject, &mut *log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap(), MIB);
    assert_eq!(values(&all[&0]), ["new"]);
}

fn an_unknown_topic_or_partition_stops(subject: &impl Subject) {
    let log = subject.log();
    assert_eq!(log.append(TOPIC, 0, &[record("v")]).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(log.bounds(TOPIC, 0).unwrap_err().kind, ErrorKind::Stop);
    log.create_topic(TOPIC, 1).unwrap();
    for partition in [-1, 1] {
        assert_eq!(log.append(TOPIC, partition, &[record("v")]).unwrap_err().kind, ErrorKind::Stop);
        assert_eq!(
            log.reader(TOPIC, &[ReadFrom::offset(0, 0), ReadFrom::offset(partition, 0)]).err().unwrap().kind,
            ErrorKind::Stop
        );
    }
    assert_eq!(
        log.reader(TOPIC, &[ReadFrom::offset(0, 0), ReadFrom::offset(0, 0)]).err().unwrap().kind,
        ErrorKind::Stop
    );
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    assert_eq!(reader.seek(1, 0).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(log.create_topic(TOPIC, 0).unwrap_err().kind, ErrorKind::Stop);
}

fn an_empty_batch_appends_nothing(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a"]);
    assert_eq!(append(&*log, 0, &[]), 1);
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 1);
}

const WRITERS: usize = 8;
const BATCHES: usize = 20;

/// Batches of five from many writers at once; what lies in the log then.
fn written_at_once(subject: &impl Subject) -> Vec<String> {
    subject.log().create_topic(TOPIC, 1).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let log = if writer % 2 == 0 { subject.log() } else { subject.another() };
            scope.spawn(move || {
                for batch in 0..BATCHES {
                    let texts: Vec<String> = (0..5).map(|at| format!("{writer}/{batch}/{at}")).collect();
                    let records: Vec<NewRecord<'_>> = texts.iter().map(|text| record(text)).collect();
                    log.append(TOPIC, 0, &records).unwrap();
                }
            });
        }
    });
    values(&drain(subject, &mut *subject.log().reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap(), 1_000)[&0])
}

fn the_records_of_each_writer_keep_their_order(subject: &impl Subject) {
    let all = written_at_once(subject);
    for writer in 0..WRITERS {
        let own = |text: &&String| text.starts_with(&format!("{writer}/"));
        let expected = (0..BATCHES).flat_map(|batch| (0..5).map(move |at| format!("{writer}/{batch}/{at}")));
        assert!(all.iter().filter(own).cloned().eq(expected), "writer {writer}: each once, in order");
    }
    assert_eq!(all.len(), WRITERS * BATCHES * 5);
}

fn a_batch_is_contiguous_among_many_writers(subject: &impl Subject) {
    for batch in written_at_once(subject).chunks(5) {
        let first = batch[0].strip_suffix("/0").unwrap();
        let expected: Vec<String> = (0..5).map(|at| format!("{first}/{at}")).collect();
        assert_eq!(batch, expected, "a batch stays together");
    }
}

fn a_reader_is_woken_soon(subject: &impl Subject) {
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

fn a_fetch_is_bounded_but_never_stuck(subject: &impl Subject) {
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

fn a_backlog_does_not_starve_other_partitions(subject: &impl Subject) {
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

fn a_reader_goes_where_it_is_sent(subject: &impl Subject) {
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

fn damage_is_a_gap_and_what_follows_is_read(subject: &impl Subject) {
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

fn below_the_earliest_is_out_of_range_with_the_exact_range(subject: &impl Subject) {
    let (earliest, next) = fill_and_retire(subject);
    let mut reader = subject.log().reader(TOPIC, &[ReadFrom::offset(0, 1)]).unwrap();
    is_told_what_is_gone(subject, &mut *reader, earliest, next);
}

fn what_is_removed_under_a_reader_is_out_of_range(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["first", "second"]);
    let mut early = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    assert_eq!(early.fetch(1, WAIT).unwrap()[0].to, 1);
    let (earliest, next) = fill_and_retire(subject);
    is_told_what_is_gone(subject, &mut *early, earliest, next);
}

fn behind_the_end_stops(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 2)]).unwrap();
    let error = reader.fetch(MIB, subject.comes_within()).unwrap_err();
    assert_eq!((error.kind, error.range), (ErrorKind::Stop, Some(OffsetRange { partition: 0, from: 1, to: 2 })));
    reader.seek(0, 1).unwrap();
    assert!(reader.fetch(MIB, NO_WAIT).unwrap().is_empty(), "the end itself is a place to wait");
}

fn a_fetch_covers_its_range_exactly(subject: &impl Subject) {
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

fn lag_reaches_zero(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a", "b", "c"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap();
    let first = &reader.fetch(1, WAIT).unwrap()[0];
    assert_eq!(first.log_end - first.to, 2);
    let last = drain(subject, &mut *reader, MIB)[&0].last().unwrap().clone();
    assert_eq!(last.log_end - last.to, 0);
}

fn topics_are_listed_in_order(subject: &impl Subject) {
    let log = subject.log();
    let is_listed_soon = |wanted: &[&str]| {
        let began = Instant::now();
        while log.topics().unwrap() != wanted {
            assert!(began.elapsed() < WAIT, "{:?} is not {wanted:?}", log.topics());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    ["orders-us", "orders-eu", TOPIC].map(|topic| log.create_topic(topic, 1).unwrap());
    is_listed_soon(&["orders-eu", "orders-us", TOPIC]);
    subject.remove_topic(TOPIC);
    is_listed_soon(&["orders-eu", "orders-us"]);
}

fn topics_of_the_log_itself_are_not_listed(subject: &impl Subject) {
    let log = subject.log();
    ["__offsets", "_orders"].map(|topic| log.create_topic(topic, 1).unwrap());
    assert_eq!(log.topics().unwrap(), ["_orders"]);
}

fn a_reader_of_a_removed_topic_stops(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["old"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 1)]).unwrap();
    subject.remove_topic(TOPIC);
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["new", "new"]);
    assert_eq!(reader.fetch(MIB, WAIT).unwrap_err().kind, ErrorKind::Stop);
}

fn an_offset_is_found_by_time(subject: &impl Subject) {
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

fn the_end_is_where_the_bounds_end_without_transactions(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    for next in 0..3 {
        assert_eq!((log.end(TOPIC, 0).unwrap(), log.bounds(TOPIC, 0).unwrap().next), (next, next));
        append(&*log, 0, &["one"]);
    }
    assert_eq!(log.end(TOPIC, 1).unwrap_err().kind, ErrorKind::Stop);
}
