//! Topics, offsets, groups.

use super::*;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use watertight_core::port::{ErrorKind, EventLog, OffsetBounds};

/// A producer with a transaction that is open.
fn in_transaction(name: &str) -> BaseProducer {
    let producer: BaseProducer = client(&shared().bootstrap()).set("transactional.id", name).create().unwrap();
    producer.init_transactions(WAIT).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn send(producer: &BaseProducer, topic: &str, values: &[&str]) {
    for value in values {
        producer
            .send(BaseRecord::<str, str>::to(topic).partition(0).payload(value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(WAIT).unwrap();
}

#[test]
fn a_topic_is_known_by_the_id_that_kafka_gives_it_in_each_of_its_lives() {
    let (log, topic) = (log(), fresh("lives"));
    assert_eq!(log.topic(&topic).unwrap(), None, "and is not made by being looked at");
    let first = log.create_topic(&topic, 2).unwrap();
    let letters = |text: &str| text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_".contains(&letter));
    assert!(first.incarnation.len() == 22 && letters(&first.incarnation), "{}", first.incarnation);
    assert_eq!(log_at(&shared().bootstrap()).topic(&topic).unwrap(), Some(first.clone()));
    assert_eq!(block_on(admin().delete_topics(&[topic.as_str()], &options())).unwrap(), [Ok(topic.clone())]);
    let began = Instant::now();
    while log.topic(&topic).unwrap().is_some() {
        assert!(began.elapsed() < WAIT, "a deleted topic is not described");
        std::thread::sleep(Duration::from_millis(10));
    }
    let second = log.create_topic(&topic, 2).unwrap();
    assert_ne!(second.incarnation, first.incarnation);
}

#[test]
fn partitions_that_were_added_elsewhere_are_known_at_once() {
    let (log, another, topic) = (log(), log(), fresh("grown"));
    log.create_topic(&topic, 1).unwrap();
    log.append(&topic, 0, &[record(b"a")]).unwrap();
    assert_eq!(log.bounds(&topic, 1).unwrap_err().kind, ErrorKind::Stop);
    assert_eq!(another.create_topic(&topic, 3).unwrap().partitions, 3);
    assert_eq!(log.bounds(&topic, 2).unwrap(), OffsetBounds { earliest: 0, next: 0 });
    assert_eq!(log.append(&topic, 2, &[record(b"b")]).unwrap().first_offset, 0);
    assert_eq!(log.create_topic(&topic, 2).unwrap().partitions, 3, "what is there is never reduced");
}

#[test]
fn a_topic_that_the_cluster_cannot_make_stops_and_says_what_to_change() {
    let options =
        KafkaOptions { bootstrap: shared().bootstrap(), properties: BTreeMap::new(), replication_factor: Some(3) };
    let error = KafkaLog::new(options).unwrap().create_topic(&fresh("copies"), 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop);
    assert!(error.message.contains("`replication_factor`"), "{}", error.message);
    let error = log().create_topic("not/a/name", 1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stop);
    assert!(error.message.contains("249"), "{}", error.message);
}

#[test]
fn what_can_be_read_ends_before_an_open_transaction_and_behind_markers() {
    let (log, topic) = (log(), fresh("transactions"));
    log.create_topic(&topic, 1).unwrap();
    let bounds = || {
        let OffsetBounds { earliest, next } = log.bounds(&topic, 0).unwrap();
        (earliest, next, log.end(&topic, 0).unwrap())
    };
    // A marker is written soon after the end of its transaction was answered.
    let become_so = |wanted: (i64, i64, i64), why: &str| {
        let began = Instant::now();
        while bounds() != wanted {
            assert!(began.elapsed() < WAIT, "{why}: {:?} instead of {wanted:?}", bounds());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    assert_eq!(bounds(), (0, 0, 0));
    let producer = in_transaction(&topic);
    send(&producer, &topic, &["a", "b"]);
    assert_eq!(bounds(), (0, 0, 2), "nothing can be read yet");
    producer.commit_transaction(WAIT).unwrap();
    become_so((0, 3, 3), "two records and a marker");
    // Somebody without transactions writes behind the beginning of an open one.
    producer.begin_transaction().unwrap();
    send(&producer, &topic, &["c"]);
    assert_eq!(log.append(&topic, 0, &[record(b"d")]).unwrap().first_offset, 4);
    assert_eq!(bounds(), (0, 3, 5));
    producer.abort_transaction(WAIT).unwrap();
    become_so((0, 6, 6), "what was aborted counts as read, and so does its marker");
    let found: Vec<String> = values(&shared().bootstrap(), &topic).into_iter().map(|(_, value)| value).collect();
    assert_eq!(found, ["a", "b", "d"]);
}

#[test]
fn the_earliest_offset_is_what_a_deletion_leaves() {
    let (log, topic) = (log(), fresh("deleted"));
    log.create_topic(&topic, 1).unwrap();
    log.append(&topic, 0, &[record(b"a"), record(b"b"), record(b"c")]).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topic, 0, Offset::Offset(2)).unwrap();
    block_on(admin().delete_records(&list, &options())).unwrap();
    assert_eq!(log.bounds(&topic, 0).unwrap(), OffsetBounds { earliest: 2, next: 3 });
}

#[test]
fn an_offset_is_found_by_time_also_where_times_go_back() {
    let (log, topic) = (log(), fresh("times"));
    make_topic(&topic, &[("retention.ms", "-1")]);
    let at = |timestamp_ms| NewRecord { timestamp_ms, ..record(b"timed") };
    for timestamp_ms in [1_000, 3_000, 2_000, 4_000] {
        log.append(&topic, 0, &[at(timestamp_ms)]).unwrap();
    }
    let found = [i64::MIN, -1, 1_000, 1_001, 2_500, 3_001, 4_001].map(|time| log.offset_at(&topic, 0, time).unwrap());
    assert_eq!(found, [0, 0, 0, 1, 1, 3, 4], "behind the last, the end");
}

#[test]
fn a_groups_offsets_are_shown_to_whoever_watches_its_lag() {
    let (log, topic) = (log(), fresh("lag"));
    log.create_topic(&topic, 2).unwrap();
    let group = fresh("group");
    // A broker that has just begun does not know yet who coordinates a group: the next try does.
    let commit = |offsets: &[(i32, i64)]| {
        let began = Instant::now();
        while let Err(error) = log.commit_group_offsets(&topic, &group, offsets) {
            assert!(error.kind == ErrorKind::Retry && began.elapsed() < WAIT, "{}", error.chain());
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    for offsets in [&[][..], &[(0, 5), (1, 7)], &[(1, 8)]] {
        commit(offsets);
    }
    let consumer: BaseConsumer = client(&shared().bootstrap()).set("group.id", &group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range(&topic, 0, 1);
    let committed = consumer.committed_offsets(list, WAIT).unwrap();
    let found: Vec<_> = committed.elements().iter().map(|found| (found.partition(), found.offset())).collect();
    assert_eq!(found, [(0, Offset::Offset(5)), (1, Offset::Offset(8))]);
}
