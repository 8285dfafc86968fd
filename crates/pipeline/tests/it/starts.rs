//! Where a stream begins to read its topic: decided once, for empty partitions too, and kept in the tables.

use super::bent::{BentLake, BentLog};
use super::rows::{books, books_not_copied_once, look, rows};
use super::scene::{START_US, Scene, TOPIC, live, note, words};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use watertight_core::port::EventLog;
use watertight_core::schema::StartAt;
use watertight_pipeline::runtime::{Parts, Setup};

fn from(scene: &Scene, start: StartAt) -> Setup {
    let mut setup = scene.setup_left_open();
    setup.streams[0].start = start;
    setup
}

/// Partition and offset of each record that was read.
fn read(scene: &Scene) -> Vec<String> {
    rows(&scene.lake, "bronze.notes", &["_kafka_partition", "_kafka_offset"])
}

fn at(partition: i32, offset: i64) -> String {
    format!("_kafka_partition={partition}, _kafka_offset={offset}")
}

/// The positions of a table, in whatever life of the topic.
fn positions(scene: &Scene, table: &str) -> Vec<(i32, i64)> {
    let table = look(&scene.lake, table).expect("the table is there");
    table.state().positions.iter().map(|(key, next)| (key.partition, *next)).collect()
}

/// What the first append of a table covers: partition, from, to.
fn first_entries(scene: &Scene, table: &str) -> Vec<(i32, i64, i64)> {
    let first = books(&scene.lake, table).into_iter().next().expect("an append");
    first.entries.iter().map(|entry| (entry.partition, entry.from, entry.to)).collect()
}

#[test]
fn from_the_end_on_nothing_that_comes_before_the_second_start_is_passed_over() {
    for dies in [false, true] {
        let scene = Scene::new();
        scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 1, 1)]);
        let latest = from(&scene, StartAt::Latest);
        if dies {
            // Between bronze, which says where it begins, and silver.
            let dying = Arc::new(BentLake::dying_at_commit(&scene.lake, "silver.notes", 1));
            let lived = live(&latest, &Parts { lake: dying, ..scene.parts() });
            assert_eq!(words(&lived), ["stream notes: the planted death"]);
        } else {
            assert_eq!(words(&live(&latest, &scene.parts())), Vec::<String>::new());
            assert_eq!(positions(&scene, "silver.notes"), [(0, 2), (1, 0)]);
        }
        assert_eq!(positions(&scene, "bronze.notes"), [(0, 2), (1, 0)], "the first start made the second partition");
        assert_eq!(read(&scene), Vec::<String>::new());
        scene.append(TOPIC, &[note(0, "c", 2, 1), note(1, "d", 3, 1)]);
        for life in ["the second", "the third, which finds nothing new"] {
            assert_eq!(words(&live(&latest, &scene.parts())), Vec::<String>::new(), "{life}, {dies}");
            assert_eq!(read(&scene), [at(0, 2), at(1, 0)], "{life}, {dies}");
            assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=c", "id=d"], "{life}, {dies}");
            for table in ["bronze.notes", "silver.notes"] {
                assert_eq!(positions(&scene, table), [(0, 3), (1, 1)], "{table}, {life}, {dies}");
            }
        }
        assert_eq!(books_not_copied_once(&scene), Vec::<String>::new());
    }
}

#[test]
fn at_given_offsets_the_books_begin_there_and_partitions_that_are_not_named_at_the_first_offset_of_the_log() {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 1, 1), note(0, "c", 2, 1)]);
    scene.append(TOPIC, &[note(1, "d", 0, 1), note(1, "e", 1, 1)]);
    scene.log.retain_from(TOPIC, 1, 1).expect("the topic is there");
    let setup = from(&scene, StartAt::Offsets(BTreeMap::from([(0, 2)])));
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    assert_eq!(read(&scene), [at(0, 2), at(1, 1)]);
    for table in ["bronze.notes", "silver.notes"] {
        assert_eq!(first_entries(&scene, table), [(0, 2, 2), (1, 1, 1)], "{table}");
        assert_eq!(positions(&scene, table), [(0, 3), (1, 2)], "{table}");
        let totals = books(&scene.lake, table).last().expect("an append").totals;
        assert_eq!(
            (totals.records, totals.no_record, totals.lost),
            (2, 0, 0),
            "{table}: what is below was not asked for"
        );
    }
}

#[test]
fn at_a_time_it_begins_with_the_first_record_that_is_not_older() {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    // Each is logged a second after its time.
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1), note(0, "c", 60, 1), note(1, "d", 5, 1)]);
    let setup = from(&scene, StartAt::Time { ms: START_US / 1_000 + 31_000 });
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    assert_eq!(read(&scene), [at(0, 1), at(0, 2)]);
    assert_eq!(first_entries(&scene, "bronze.notes"), [(0, 1, 1), (1, 1, 1)]);
}

#[test]
fn what_the_log_does_not_have_is_refused_before_anything_is_read() {
    for (offsets, named) in [
        ([(0, 5)], "from says that partition 0 of topic notes begins at offset 5, the log has 0..1: correct"),
        ([(7, 0)], "from names partition 7 of topic notes, which has partitions 0..2: correct"),
    ] {
        let scene = Scene::new();
        scene.append(TOPIC, &[note(0, "a", 0, 1)]);
        let said = words(&live(&from(&scene, StartAt::Offsets(BTreeMap::from(offsets))), &scene.parts()));
        assert!(said.len() == 1 && said[0].starts_with(&format!("stream notes: {named}")), "{said:?}");
        assert_eq!(positions(&scene, "bronze.notes"), []);
        // Corrected, it is a first start still.
        let setup = from(&scene, StartAt::Offsets(BTreeMap::from([(0, 1)])));
        assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
        assert_eq!(positions(&scene, "bronze.notes"), [(0, 1), (1, 0)]);
    }
}

#[test]
fn it_is_decided_once_and_partitions_and_topics_that_come_later_begin_at_0() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1)]);
    assert_eq!(words(&live(&from(&scene, StartAt::Latest), &scene.parts())), Vec::<String>::new());
    scene.log.create_topic(TOPIC, 3).expect("a third partition");
    scene.append(TOPIC, &[note(0, "b", 1, 1), note(2, "c", 2, 1)]);
    assert_eq!(words(&live(&from(&scene, StartAt::Latest), &scene.parts())), Vec::<String>::new());
    assert_eq!(read(&scene), [at(0, 1), at(2, 0)]);
    scene.make_anew();
    scene.append(TOPIC, &[note(0, "d", 3, 1), note(1, "e", 4, 1)]);
    let elsewhere = StartAt::Offsets(BTreeMap::from([(0, 1)]));
    assert_eq!(words(&live(&from(&scene, elsewhere), &scene.parts())), Vec::<String>::new());
    assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=b", "id=c", "id=d", "id=e"]);
}

#[test]
fn a_partition_that_was_empty_at_the_first_start_does_not_begin_behind_what_retention_took_since() {
    let scene = Scene::new();
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    for table in ["bronze.notes", "silver.notes"] {
        assert_eq!(positions(&scene, table), [(0, 0), (1, 0)], "{table}");
    }
    scene.append(TOPIC, &[note(1, "a", 0, 1), note(1, "b", 1, 1), note(0, "c", 2, 1)]);
    scene.log.retain_from(TOPIC, 1, 1).expect("the topic is there");
    let said = words(&live(&scene.setup_left_open(), &scene.parts()));
    let gone = "stream notes: partition 1 stopped: offsets 0..1 of partition notes/1 are gone";
    assert!(said.len() == 1 && said[0].starts_with(gone), "{said:?}");
    assert_eq!(read(&scene), [at(0, 0)]);
}

/// The log's first offset is asked for; by the first fetch it is another.
#[test]
fn what_retention_takes_before_the_first_record_was_read_is_not_lost_but_never_asked_for() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 1, 1), note(0, "c", 2, 1)]);
    let (inner, done) = (scene.log.clone(), AtomicBool::new(false));
    let log = BentLog::refusing(&scene.log, move |_| {
        if !done.swap(true, Ordering::SeqCst) {
            inner.retain_from(TOPIC, 0, 2).expect("the topic is there");
        }
        None
    });
    let lived = live(&scene.setup_left_open(), &Parts { log: Arc::new(log), ..scene.parts() });
    assert_eq!(words(&lived), Vec::<String>::new());
    assert_eq!(read(&scene), [at(0, 2)]);
    assert_eq!(first_entries(&scene, "bronze.notes"), [(0, 2, 2), (1, 0, 0)]);
}
