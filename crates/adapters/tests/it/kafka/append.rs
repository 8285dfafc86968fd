//! Appending.

use super::*;
use watertight_core::port::{ErrorKind, EventLog};

/// Bytes that no codec makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

#[test]
fn keys_values_headers_and_times_arrive_as_they_were_given() {
    let (log, topic) = (log(), fresh("bytes"));
    make_topic(&topic, &[("retention.ms", "-1")]);
    let headers: &[(&str, Option<&[u8]>)] = &[("b", Some(b"1")), ("a", None), ("b", Some(b"")), ("", Some(&[0, 255]))];
    let records = [
        NewRecord { key: None, value: None, headers: &[], timestamp_ms: 1 },
        NewRecord { key: Some(b""), value: Some(b""), headers, timestamp_ms: 1_790_000_000_123 },
        NewRecord { key: Some(b"k\0"), value: Some(b"\xff\0"), headers: &[], timestamp_ms: 2 },
    ];
    assert_eq!(log.append(&topic, 0, &records).unwrap().first_offset, 0);
    fn owned(bytes: Option<&[u8]>) -> Option<Vec<u8>> {
        bytes.map(<[u8]>::to_vec)
    }
    let wanted: Vec<Seen> = (0..)
        .zip(&records)
        .map(|(offset, record)| Seen {
            offset,
            key: owned(record.key),
            value: owned(record.value),
            timestamp_ms: Some(record.timestamp_ms),
            headers: record.headers.iter().map(|(name, value)| ((*name).to_owned(), owned(*value))).collect(),
        })
        .collect();
    assert_eq!(read_all(&shared().bootstrap(), &topic), wanted);
}

#[test]
fn each_record_is_at_the_offset_that_is_told_while_others_write_between() {
    const BATCHES: usize = 6;
    let topic = fresh("between");
    log().create_topic(&topic, 1).unwrap();
    let filling = noise(900);
    let told = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (topic, filling) = (&topic, &filling);
                scope.spawn(move || {
                    let (log, mut told) = (log(), Vec::new());
                    for batch in 0..BATCHES {
                        // Three megabytes: more than one request, so that others come between.
                        let values: Vec<Vec<u8>> = (0..3_000)
                            .map(|row| [format!("{writer}/{batch}/{row} ").as_bytes(), filling.as_slice()].concat())
                            .collect();
                        let records: Vec<NewRecord<'_>> = values.iter().map(|value| record(value)).collect();
                        let append = log.append(topic, 0, &records).unwrap();
                        told.extend(values.into_iter().enumerate().map(|(row, value)| (append.offset(row), value)));
                    }
                    told
                })
            })
            .collect();
        let told = writers.into_iter().flat_map(|writer| writer.join().unwrap());
        told.collect::<BTreeMap<i64, Vec<u8>>>()
    });
    assert_eq!(told.len(), 3 * BATCHES * 3_000, "no offset is told twice");
    let found = read_all(&shared().bootstrap(), &topic).into_iter().map(|seen| (seen.offset, seen.value.unwrap()));
    assert!(found.eq(told), "every record is where its writer was told");
}

#[test]
fn a_record_above_the_clients_limit_stops_the_batch_before_any_of_it_is_sent() {
    let (log, topic) = (log(), fresh("client-limit"));
    log.create_topic(&topic, 1).unwrap();
    let large = noise(1_100_000);
    let error = log.append(&topic, 0, &[record(b"small"), record(&large)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop);
    for part in ["record 1", "1100036 bytes", "1000000", "`message.max.bytes`", "`max.message.bytes`"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    assert_eq!(log.end(&topic, 0).unwrap(), 0);
}

#[test]
fn where_the_first_request_of_a_batch_is_refused_nothing_behind_it_is_in_the_log() {
    let (log, topic) = (log(), fresh("first-refused"));
    make_topic(&topic, &[("max.message.bytes", "500000")]);
    // A request of a megabyte, which the topic refuses, and a rest that it would take.
    let large = noise(100_000);
    let error = log.append(&topic, 0, &vec![record(&large); 13]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop, "{}", error.message);
    assert_eq!(values(&shared().bootstrap(), &topic), []);
    assert_eq!(log.append(&topic, 0, &[record(b"small")]).unwrap().first_offset, 0);
}

#[test]
fn a_record_above_the_topics_limit_stops_and_smaller_ones_go_on() {
    let (log, topic) = (log(), fresh("topic-limit"));
    make_topic(&topic, &[("max.message.bytes", "3000")]);
    let large = noise(6_000);
    let error = log.append(&topic, 0, &[record(&large)]).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop, "{}", error.message);
    for part in ["not in the log", "`max.message.bytes`", "6036 bytes"] {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    assert_eq!(log.append(&topic, 0, &[record(b"small")]).unwrap().first_offset, 0);
}

#[test]
fn a_topic_that_was_made_anew_takes_records_from_its_beginning() {
    let (log, topic) = (log(), fresh("anew"));
    for life in ["first", "second"] {
        log.create_topic(&topic, 1).unwrap();
        for offset in 0..3 {
            assert_eq!(log.append(&topic, 0, &[record(life.as_bytes())]).unwrap().first_offset, offset);
        }
        assert!(values(&shared().bootstrap(), &topic).iter().all(|(_, value)| value == life));
        assert_eq!(block_on(admin().delete_topics(&[topic.as_str()], &options())).unwrap(), [Ok(topic.clone())]);
        let began = Instant::now();
        while log.topic(&topic).unwrap().is_some() {
            assert!(began.elapsed() < WAIT, "a deleted topic is not described");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_full_queue_is_waited_for_and_the_batch_arrives_whole() {
    let topic = fresh("queue");
    let properties = [("queue.buffering.max.messages", "100"), ("linger.ms", "0")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let options = KafkaOptions { bootstrap: shared().bootstrap(), properties, replication_factor: None };
    let log = KafkaLog::new(options).unwrap();
    log.create_topic(&topic, 1).unwrap();
    let texts: Vec<String> = (0..5_000).map(|row| row.to_string()).collect();
    let records: Vec<NewRecord<'_>> = texts.iter().map(|text| record(text.as_bytes())).collect();
    assert_eq!(log.append(&topic, 0, &records).unwrap().first_offset, 0);
    let wanted: Vec<(i64, String)> = (0..).zip(texts).collect();
    assert_eq!(values(&shared().bootstrap(), &topic), wanted);
}
