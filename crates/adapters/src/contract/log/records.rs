//! What is appended lies in the log as it was sent: offsets, bytes, headers, times, the order of each writer.

use super::{MIB, Subject, TOPIC, WAIT, append, drain, record, values};
use watertight_core::port::ReadFrom;
use watertight_core::record::{NewRecord, decode_headers};

pub(super) fn offsets_are_dense_from_zero_and_per_partition(subject: &impl Subject) {
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

pub(super) fn null_and_empty_stay_apart(subject: &impl Subject) {
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

pub(super) fn timestamps_of_any_size_are_kept(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let times = [-5, 0, i64::MAX];
    log.append(TOPIC, 0, &times.map(|timestamp_ms| NewRecord { timestamp_ms, ..record("v") })).unwrap();
    let fetched = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap().fetch(MIB, WAIT).unwrap();
    let found: Vec<i64> = fetched[0].records.metas().iter().map(|meta| meta.timestamp_ms).collect();
    assert_eq!(found, times);
}

pub(super) fn headers_keep_order_duplicates_and_nulls(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    let headers: &[(&str, Option<&[u8]>)] = &[("b", Some(b"1")), ("a", None), ("b", Some(b"")), ("", Some(b"x"))];
    log.append(TOPIC, 0, &[NewRecord { headers, ..record("v") }]).unwrap();
    let fetched = log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).unwrap().fetch(MIB, WAIT).unwrap();
    let read = decode_headers(fetched[0].records.headers(0)).unwrap();
    assert_eq!(read, headers.iter().map(|(name, value)| (name.as_bytes(), *value)).collect::<Vec<_>>());
}

pub(super) fn an_empty_batch_appends_nothing(subject: &impl Subject) {
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

pub(super) fn the_records_of_each_writer_keep_their_order(subject: &impl Subject) {
    let all = written_at_once(subject);
    for writer in 0..WRITERS {
        let own = |text: &&String| text.starts_with(&format!("{writer}/"));
        let expected = (0..BATCHES).flat_map(|batch| (0..5).map(move |at| format!("{writer}/{batch}/{at}")));
        assert!(all.iter().filter(own).cloned().eq(expected), "writer {writer}: each once, in order");
    }
    assert_eq!(all.len(), WRITERS * BATCHES * 5);
}

pub(super) fn a_batch_is_contiguous_among_many_writers(subject: &impl Subject) {
    for batch in written_at_once(subject).chunks(5) {
        let first = batch[0].strip_suffix("/0").unwrap();
        let expected: Vec<String> = (0..5).map(|at| format!("{first}/{at}")).collect();
        assert_eq!(batch, expected, "a batch stays together");
    }
}
