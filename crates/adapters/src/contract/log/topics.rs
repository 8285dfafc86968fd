//! Topics and partitions: made, grown, removed, made anew, unknown.

use super::{MIB, Subject, TOPIC, WAIT, append, drain, record, values};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, ReadFrom};

pub(super) fn making_a_topic_twice_is_once(subject: &impl Subject) {
    let log = subject.log();
    assert_eq!(log.topic(TOPIC).unwrap(), None);
    let made = log.create_topic(TOPIC, 3).unwrap();
    assert_eq!((made.name.as_str(), made.partitions), (TOPIC, 3));
    append(&*log, 2, &["kept"]);
    assert_eq!(subject.another().create_topic(TOPIC, 3).unwrap(), made);
    assert_eq!(log.topic(TOPIC).unwrap(), Some(made));
    assert_eq!(log.bounds(TOPIC, 2).unwrap().next, 1);
}

pub(super) fn partitions_are_added_never_removed(subject: &impl Subject) {
    let (log, another) = (subject.log(), subject.another());
    let made = log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["a"]);
    let grown = another.create_topic(TOPIC, 3).unwrap();
    assert_eq!((grown.partitions, &grown.incarnation), (3, &made.incarnation));
    assert_eq!(append(&*log, 2, &["b"]), 0, "the other handle sees them");
    assert_eq!(another.create_topic(TOPIC, 2).unwrap().partitions, 3);
    assert_eq!(log.bounds(TOPIC, 0).unwrap().next, 1);
}

pub(super) fn a_recreated_topic_has_another_incarnation_and_no_records(subject: &impl Subject) {
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

pub(super) fn an_unknown_topic_or_partition_stops(subject: &impl Subject) {
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

pub(super) fn a_reader_of_a_removed_topic_stops(subject: &impl Subject) {
    let log = subject.log();
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["old"]);
    let mut reader = log.reader(TOPIC, &[ReadFrom::offset(0, 1)]).unwrap();
    subject.remove_topic(TOPIC);
    log.create_topic(TOPIC, 1).unwrap();
    append(&*log, 0, &["new", "new"]);
    assert_eq!(reader.fetch(MIB, WAIT).unwrap_err().kind, ErrorKind::Stop);
}

pub(super) fn topics_are_listed_in_order(subject: &impl Subject) {
    let log = subject.log();
    let is_listed_soon = |wanted: &[&str]| {
        let began = Instant::now();
        while log.topics().unwrap() != wanted {
            assert!(began.elapsed() < WAIT, "{:?} is not {wanted:?}", log.topics());
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    for topic in ["orders-us", "orders-eu", TOPIC] {
        log.create_topic(topic, 1).unwrap();
    }
    is_listed_soon(&["orders-eu", "orders-us", TOPIC]);
    subject.remove_topic(TOPIC);
    is_listed_soon(&["orders-eu", "orders-us"]);
}

pub(super) fn topics_of_the_log_itself_are_not_listed(subject: &impl Subject) {
    let log = subject.log();
    for topic in ["__offsets", "_orders"] {
        log.create_topic(topic, 1).unwrap();
    }
    assert_eq!(log.topics().unwrap(), ["_orders"]);
}
