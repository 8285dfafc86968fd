//! Topics that are deleted, and made anew, while they are read.

use super::*;
use crate::kafka::others::{Others, unique};
use watertight_core::port::ErrorKind;
use watertight_lab::kafka::shared;

#[test]
fn nothing_of_a_recreated_topic_is_shown() {
    let (others, topic) = (Others::of(shared()), unique("recreated"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["old", "old"]);
    let mut reader = open(&log(shared()), &topic, &[(0, 0)]);
    assert_eq!(values(&read_to(&mut *reader, 2)), ["old", "old"]);
    others.delete(&topic);
    others.create(&topic, 1, &[]);
    // More than were read: librdkafka by itself would go on behind the second one.
    others.send(&topic, 0, &["new"; 9]);
    let (parts, error) = until_error(&mut *reader);
    assert_eq!(values(&parts), Vec::<String>::new());
    assert_eq!(error.kind, ErrorKind::Stop);
    assert!(error.message.contains("created anew"), "{}", error.message);
    assert_eq!(reader.fetch(MIB, WAIT).expect_err("for good").kind, ErrorKind::Stop);
    assert_eq!(values(&read_to(&mut *open(&log(shared()), &topic, &[(0, 0)]), 9)), ["new"; 9]);
}

#[test]
fn a_deleted_topic_stops_within_seconds() {
    let (others, topic) = (Others::of(shared()), unique("deleted"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["old"]);
    let mut reader = open(&log(shared()), &topic, &[(0, 0)]);
    assert_eq!(values(&read_to(&mut *reader, 1)), ["old"]);
    others.delete(&topic);
    let began = Instant::now();
    let (_, error) = until_error(&mut *reader);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(error.kind, ErrorKind::Stop);
    assert!(error.message.contains("deleted"), "{}", error.message);
}

#[test]
fn a_reader_of_nothing_waits() {
    let (others, topic) = (Others::of(shared()), unique("nothing"));
    others.create(&topic, 1, &[]);
    others.send(&topic, 0, &["unwanted"]);
    let mut reader = open(&log(shared()), &topic, &[]);
    let began = Instant::now();
    assert!(reader.fetch(MIB, WAIT).expect("a fetch").is_empty());
    assert!(began.elapsed() >= WAIT);
}
