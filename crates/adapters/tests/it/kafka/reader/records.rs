//! Records as they were sent, and offsets without one.

use super::*;
use crate::kafka::others::{End, Others, put, unique};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use watertight_core::record::decode_headers;
use watertight_lab::kafka::shared;

#[test]
fn keys_values_headers_and_times_come_as_they_were_sent() {
    let (others, topic) = (Others::of(shared()), unique("as-sent"));
    others.create(&topic, 1, &[]);
    let producer = others.producer(&[]);
    let to = || BaseRecord::<[u8], [u8]>::to(&topic).partition(0);
    let some = |text: &'static str| Some(text.as_bytes());
    let headers = OwnedHeaders::new()
        .insert(Header { key: "b", value: some("1") })
        .insert(Header { key: "a", value: None::<&[u8]> })
        .insert(Header { key: "b", value: some("") })
        .insert(Header { key: "", value: some("x") });
    let only_empty = OwnedHeaders::new().insert(Header { key: "e", value: some("") });
    for record in [
        to().key(b"key").payload(b"value").timestamp(1_700_000_000_123).headers(headers),
        to().payload(b"no key").timestamp(1),
        to().key(b"").payload(b""),
        to().key(b"tombstone").headers(only_empty),
    ] {
        producer.send(record).map_err(|(error, _)| error).expect("taken");
    }
    producer.flush(PATIENCE).expect("delivered");

    let parts = read_to(&mut *open(&log(shared()), &topic, &[(0, 0)]), 4);
    let row = |at: usize| {
        let part = parts.iter().find(|part| (part.from..part.to).contains(&(at as i64))).expect("covered");
        (&part.records, at - part.from as usize)
    };
    let fields = |at: usize| {
        let (records, row) = row(at);
        (records.key(row), records.value(row))
    };
    assert_eq!(fields(0), (Some(&b"key"[..]), Some(&b"value"[..])));
    assert_eq!(fields(1), (None, Some(&b"no key"[..])));
    assert_eq!(fields(2), (Some(&b""[..]), Some(&b""[..])));
    assert_eq!(fields(3), (Some(&b"tombstone"[..]), None));
    let times: Vec<i64> = [0, 1].map(|at| row(at).0.metas()[row(at).1].timestamp_ms).to_vec();
    assert_eq!(times, [1_700_000_000_123, 1]);
    assert!((0..4).all(|at| row(at).0.metas()[row(at).1].leader_epoch >= 0));

    let read = |at: usize| decode_headers(row(at).0.headers(row(at).1)).expect("our encoding");
    let sent: Vec<(&[u8], Option<&[u8]>)> =
        vec![(&b"b"[..], some("1")), (b"a", None), (b"b", some("")), (b"", some("x"))];
    assert_eq!(read(0), sent);
    assert_eq!((read(1), read(3)), (Vec::new(), vec![(&b"e"[..], some(""))]));
}

#[test]
fn batches_of_every_codec_are_read() {
    let (others, topic) = (Others::of(shared()), unique("codecs"));
    others.create(&topic, 1, &[]);
    let mut sent = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = others.producer(&[("compression.type", codec)]);
        let batch: Vec<String> = (0..200).map(|at| format!("{codec} {at} {}", "the same again ".repeat(20))).collect();
        let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
        put(&producer, &topic, 0, &texts);
        producer.flush(PATIENCE).expect("delivered");
        sent.extend(batch);
    }
    let parts = read_to(&mut *open(&log(shared()), &topic, &[(0, 0)]), sent.len() as i64);
    assert!(values(&parts) == sent, "every value, in order");
    assert!(gaps(&parts).is_empty());
}

#[test]
fn markers_and_aborted_records_are_gaps_and_lag_reaches_zero_behind_them() {
    let (others, topic) = (Others::of(shared()), unique("transactions"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["a", "b"]);
    others.transaction(&topic, &["c", "d"], End::Commit); // marker at 4
    others.transaction(&topic, &["x", "y", "z"], End::Abort); // 5..8, marker at 8
    others.send(&topic, 0, &["e"]); // 9
    others.transaction(&topic, &["f"], End::Commit); // 10, marker at 11
    let log = log(shared());
    let mut reader = open(&log, &topic, &[(0, 0)]);
    let parts = read_to(&mut *reader, 12);
    assert_eq!(values(&parts), ["a", "b", "c", "d", "e", "f"]);
    assert_eq!(gaps(&parts), [(4, 9), (11, 12)]);
    let last = parts.last().expect("parts");
    assert_eq!((last.to, last.log_end), (12, 12));
    assert_eq!(log.bounds(&topic, 0).expect("bounds").next, 12, "the end that is to be reached");

    // From within the aborted transaction, and behind the last record.
    assert_eq!(values(&read_to(&mut *open(&log, &topic, &[(0, 6)]), 12)), ["e", "f"]);
    let parts = read_to(&mut *open(&log, &topic, &[(0, 11)]), 12);
    assert_eq!((values(&parts).len(), gaps(&parts)), (0, vec![(11, 12)]));
}

#[test]
fn an_open_transaction_holds_the_end_back_until_it_is_over() {
    let (others, topic) = (Others::of(shared()), unique("open-transaction"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["a"]);
    let open_one = others.open_transaction(&topic, &["b"]);
    others.send(&topic, 0, &["behind"]);
    let log = log(shared());
    let mut reader = open(&log, &topic, &[(0, 0)]);
    assert_eq!(values(&read_to(&mut *reader, 1)), ["a"]);
    for _ in 0..8 {
        assert!(reader.fetch(MIB, WAIT).expect("a fetch").is_empty(), "nothing that may still be aborted is shown");
    }
    assert_eq!(log.bounds(&topic, 0).expect("bounds").next, 1);
    open_one.commit_transaction(PATIENCE).expect("committed");
    let parts = read_to(&mut *reader, 4);
    assert_eq!(values(&parts), ["b", "behind"]);
    assert_eq!(gaps(&parts), [(3, 4)]);
}

#[test]
fn what_compaction_removed_is_a_gap() {
    let cluster = own_cluster();
    let (others, topic) = (Others::of(&cluster), unique("compacted"));
    let settings = [("cleanup.policy", "compact"), ("segment.ms", "100"), ("min.cleanable.dirty.ratio", "0.001")];
    others.create(&topic, 1, &settings);
    let producer = others.producer(&[("linger.ms", "0")]);
    let send = |key: &str, value: String| {
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0).key(key.as_bytes()).payload(value.as_bytes());
        producer.send(record).map_err(|(error, _)| error).expect("taken");
        producer.flush(PATIENCE).expect("delivered");
    };
    for at in 0..30 {
        send(&format!("k{}", at % 3), format!("v{at}"));
    }
    // Segments are closed by appends that come when they are old enough.
    std::thread::sleep(Duration::from_millis(200));
    send("last", "v30".to_owned());

    let log = log(&cluster);
    let began = Instant::now();
    loop {
        let parts = read_to(&mut *open(&log, &topic, &[(0, 0)]), 31);
        let (kept, gone) = (values(&parts), gaps(&parts));
        assert_eq!(kept.last().map(String::as_str), Some("v30"));
        let removed: i64 = gone.iter().map(|(from, to)| to - from).sum();
        assert_eq!(removed, 31 - kept.len() as i64);
        if removed > 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "nothing was compacted");
        std::thread::sleep(Duration::from_millis(300));
    }
}
