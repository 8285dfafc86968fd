//! Offsets that are gone, damaged, never held a record, or have other records by now: what is lost is declared with its
//! range, or stops its partition and no other; what is none is not called so.

use super::bent::{BentLake, BentLog};
use super::rows::{self, look, rows};
use super::scene::{NOW_US, SECOND_US, START_US, Scene, TOPIC, live, live_watched, note, raw, stream, unheard, words};
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::{Books, CommitKind, TimeDecision};
use watertight_core::port::{ErrorKind, EventLog, Fetched, GapCause, OffsetRange, PortError, ReadFrom};
use watertight_core::record::{NewRecord, Records};
use watertight_pipeline::runtime::{Condition, Part, Parts, Setup, Upto};

/// What the newest append of a table says.
fn newest(scene: &Scene, table: &str) -> Books {
    look(&scene.lake, table).expect("the table is there").state().last_append.clone().expect("an append")
}

/// Offsets of a partition in bronze.
fn offsets(scene: &Scene, partition: i32) -> Vec<String> {
    let named = format!("_kafka_partition={partition}, _kafka_offset=");
    let all = rows(&scene.lake, "bronze.notes", &["_kafka_partition", "_kafka_offset"]);
    all.iter().filter_map(|row| row.strip_prefix(&named)).map(str::to_owned).collect()
}

/// Partition, range and cause of each gap that is listed.
fn gaps(scene: &Scene) -> Vec<String> {
    rows(&scene.lake, "silver.notes_gaps", &["_kafka_partition", "from_offset", "to_offset", "cause"])
}

fn gap(partition: i32, from: i64, to: i64, cause: &str) -> String {
    format!("_kafka_partition={partition}, from_offset={from}, to_offset={to}, cause={cause}")
}

/// Going on behind offsets that are gone.
fn going_on(mut setup: Setup) -> Setup {
    setup.streams[0].fail_on_data_loss = false;
    setup
}

/// Both partitions were read up to offset 1; then more came, of which retention took offsets 1..3 of partition 0.
fn with_offsets_gone(idle_after_us: Option<i64>) -> Scene {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(1, "b", 0, 1)]);
    let mut setup = scene.setup_left_open();
    setup.streams[0].event_time.idle_after_us = idle_after_us.unwrap_or(setup.streams[0].event_time.idle_after_us);
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    let more = [note(0, "gone", 10, 1), note(0, "gone too", 20, 1), note(0, "c", 600, 1)];
    scene.append(TOPIC, &more);
    scene.append(TOPIC, &[note(1, "d", 605, 1), note(1, "e", 700, 1)]);
    scene.log.retain_from(TOPIC, 0, 3).expect("the topic is there");
    scene
}

#[test]
fn what_retention_took_stops_its_partition_with_the_exact_range_and_everything_else_goes_on() {
    let scene = with_offsets_gone(None);
    scene.log.create_topic("others", 1).expect("a topic");
    scene.append("others", &[note(0, "z", 0, 1)]);
    let mut setup = scene.setup();
    setup.streams.push(stream("others"));
    let health = unheard();
    let said = words(&live_watched(&setup, &scene.parts(), &health));
    let stopped = "stream notes: partition 0 stopped: offsets 1..3 of partition notes/0 are gone";
    assert!(said.len() == 1 && said[0].starts_with(stopped), "{said:?}");
    assert!(said[0].contains("set fail_on_data_loss: false for stream notes"), "{said:?}");
    assert_eq!(offsets(&scene, 0), ["0"]);
    assert_eq!(offsets(&scene, 1), ["0", "1", "2"], "the other partition went on");
    assert_eq!(rows(&scene.lake, "bronze.others", &[]).len(), 1, "the other stream went on");
    assert_eq!(rows(&scene.lake, "gold.per_minute", &[]).len(), 0, "windows stay open for what may still come");
    let shown = health.all();
    assert_eq!(shown.get(&Part::Stream(TOPIC.into())), Some(&Condition::Done));
    let of_partition = shown.get(&Part::Partition(TOPIC.into(), 0));
    assert!(matches!(of_partition, Some(Condition::Failed { error }) if error.contains("1..3")), "{shown:?}");
    assert_eq!(look(&scene.lake, "silver.notes_gaps").map(|_| ()), None, "nothing was declared lost");

    assert_eq!(words(&live_watched(&going_on(scene.setup()), &scene.parts(), &health)), Vec::<String>::new());
    assert_eq!(health.all().get(&Part::Partition(TOPIC.into(), 0)), None, "it is well again");
    assert_eq!(offsets(&scene, 0), ["0", "3"]);
    assert_eq!(gaps(&scene), [gap(0, 1, 3, "retention")]);
    let notes = rows(&scene.lake, "gold.per_minute", &["notes"]);
    assert_eq!(notes, ["notes=1", "notes=2", "notes=2"], "c and d are in one window");
    let late = rows(&scene.lake, "silver.notes", &["_is_late_arriving"]);
    assert_eq!(late, ["_is_late_arriving=false"; 5]);
}

#[test]
fn a_partition_that_stopped_holds_the_stream_back_even_where_it_was_idle() {
    let scene = with_offsets_gone(Some(0));
    let before = newest(&scene, "silver.notes").watermarks.expect("silver has them");
    assert!(before.partitions[&0].idle && before.partitions[&1].idle);
    let mut setup = scene.setup_left_open();
    setup.streams[0].event_time.idle_after_us = 0;
    assert_eq!(words(&live(&setup, &scene.parts())).len(), 1);
    let after = newest(&scene, "silver.notes").watermarks.expect("silver has them");
    assert_eq!(after.stream_us, Some(START_US - 60 * SECOND_US), "where partition 0 stands");
    assert!(!after.partitions[&0].idle && after.partitions[&1].idle, "{after:?}");
    let books = rows::books(&scene.lake, "silver.notes").into_iter();
    let decisions: Vec<TimeDecision> = books.flat_map(|books| books.decisions).collect();
    let lifted = TimeDecision::Lifted { topic: String::new(), partition: 0, at: 1, watermark_us: before.stream_us };
    assert!(decisions.contains(&lifted), "it is written down: {decisions:?}");
}

#[test]
fn what_is_declared_lost_is_listed_once_wherever_it_dies_and_counted_in_every_book() {
    for (table, number) in [("bronze.notes", 1), ("silver.notes_gaps", 1), ("silver.notes", 1), ("silver.notes", 9)] {
        let scene = with_offsets_gone(None);
        let setup = going_on(scene.setup_left_open());
        let dying = Arc::new(BentLake::dying_at_commit(&scene.lake, table, number));
        let lived = live(&setup, &Parts { lake: dying, ..scene.parts() });
        let expected = if number == 9 { vec![] } else { vec!["stream notes: the planted death"] };
        assert_eq!(words(&lived), expected, "{table}");
        for life in ["the next", "the one after"] {
            assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new(), "{table}, {life}");
            assert_eq!(gaps(&scene), [gap(0, 1, 3, "retention")], "{table}, {life}");
            for of in ["bronze.notes", "silver.notes"] {
                let totals = newest(&scene, of).totals;
                assert_eq!((totals.records, totals.lost, totals.no_record), (5, 2, 0), "{of}, {table}, {life}");
            }
        }
        let listed = newest(&scene, "silver.notes_gaps");
        assert_eq!((listed.rows_total, listed.totals.lost, listed.kind), (1, 2, CommitKind::Append), "{table}");
        let silver = rows(&scene.lake, "silver.notes", &["id"]);
        assert_eq!(silver, ["id=a", "id=b", "id=c", "id=d", "id=e"], "{table}");
    }
}

#[test]
fn a_run_that_ends_at_bronze_leaves_the_listing_of_gaps_to_one_that_goes_further() {
    let scene = with_offsets_gone(None);
    let setup = going_on(Setup { upto: Upto::Bronze, ..scene.setup_left_open() });
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    assert!(look(&scene.lake, "silver.notes_gaps").is_none());
    // By then the loss is in the books, and whether it stops a partition is no question any more.
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    assert_eq!(gaps(&scene), [gap(0, 1, 3, "retention")]);
}

#[test]
fn where_every_partition_stopped_so_has_the_stream() {
    let scene = with_offsets_gone(None);
    scene.log.retain_from(TOPIC, 1, 2).expect("the topic is there");
    let mut said = words(&live(&scene.setup(), &scene.parts()));
    said.sort();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("stream notes: every partition of topic notes stopped"), "{said:?}");
    assert!(said[1].contains("partition 0 stopped: offsets 1..3 of partition notes/0"), "{said:?}");
    assert!(said[2].contains("partition 1 stopped: offsets 1..2 of partition notes/1"), "{said:?}");
}

/// K5 and K6: a leader was elected that lacks the end of the log, or the log was put back.
#[test]
fn a_log_that_ends_below_what_was_read_stops_its_partition_whatever_is_said_of_loss() {
    for fail_on_data_loss in [true, false] {
        let scene = Scene::new();
        scene.log.create_topic(TOPIC, 2).expect("a second partition");
        scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 1, 1), note(0, "c", 2, 1)]);
        let mut setup = scene.setup_left_open();
        setup.streams[0].fail_on_data_loss = fail_on_data_loss;
        assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
        let read = rows::all(&scene.lake)["bronze.notes"].clone();
        scene.log.truncate(TOPIC, 0, 1).expect("the topic is there");
        scene.append(TOPIC, &[note(0, "z", 3, 1), note(1, "d", 4, 1)]);
        let said = words(&live(&setup, &scene.parts()));
        let stopped =
            "stream notes: partition 0 stopped: position 3 of partition notes/0 lies behind the end of the log, 2";
        assert!(said.len() == 1 && said[0].starts_with(stopped), "{said:?}");
        assert!(said[0].contains("what was read is kept") && !said[0].contains("fail_on_data_loss"), "{said:?}");
        let kept = rows::all(&scene.lake)["bronze.notes"].clone();
        assert!(read.iter().all(|row| kept.contains(row)), "what was read stays as it was: {kept:?}");
        assert_eq!((kept.len(), offsets(&scene, 1)), (4, vec!["0".to_owned()]), "the other partition went on");
        assert_eq!(look(&scene.lake, "silver.notes_gaps").map(|_| ()), None);
    }
}

/// The same records, written by the leader of this epoch.
fn of_epoch(epoch: i32, mut fetched: Fetched) -> Fetched {
    let mut records = Records::default();
    for (row, meta) in fetched.records.metas().iter().enumerate() {
        let (key, value) = (fetched.records.key(row), fetched.records.value(row));
        records.push(meta.offset, meta.timestamp_ms, epoch, key, value, None);
    }
    fetched.records = records;
    fetched
}

#[test]
fn a_reader_begins_with_the_epoch_of_the_leader_that_wrote_the_record_before_if_it_is_known() {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 1, 1)]);
    let lived = |epoch: i32| -> Vec<ReadFrom> {
        let log = Arc::new(BentLog::new(&scene.log, move |fetched| of_epoch(epoch, fetched)));
        assert_eq!(
            words(&live(&scene.setup_left_open(), &Parts { log: log.clone(), ..scene.parts() })),
            Vec::<String>::new()
        );
        log.opened().remove(0)
    };
    let from = |partition, offset, leader_epoch| ReadFrom { partition, offset, leader_epoch };
    assert_eq!(lived(4), [from(0, 0, -1), from(1, 0, -1)]);
    assert_eq!(newest(&scene, "bronze.notes").leader_epochs, BTreeMap::from([(0, 4)]));
    scene.append(TOPIC, &[note(1, "c", 2, 1)]);
    assert_eq!(lived(7), [from(0, 2, 4), from(1, 0, -1)]);
    assert_eq!(
        newest(&scene, "bronze.notes").leader_epochs,
        BTreeMap::from([(0, 4), (1, 7)]),
        "carried from commit to commit"
    );
    // A marker may be of a later epoch than the record before it: then none is known.
    scene.append(TOPIC, &[note(0, "d", 3, 1)]);
    scene.log.skip_offsets(TOPIC, 0, 1).expect("the topic is there");
    assert_eq!(lived(8), [from(0, 2, 4), from(1, 1, 7)]);
    assert_eq!(lived(9), [from(0, 4, -1), from(1, 1, 7)]);
    // Another life of the topic has leaders of its own.
    scene.make_anew();
    assert_eq!(lived(1), [from(0, 0, -1), from(1, 0, -1)]);
}

/// K5: the log found out, by the epoch, that offsets below the position hold other records by now.
#[test]
fn a_position_that_a_reader_refuses_stops_its_partition_and_no_other() {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(1, "b", 1, 1)]);
    let log = BentLog::refusing(&scene.log, |from| {
        let is_read = from.iter().any(|one| one.partition == 0);
        let range = OffsetRange { partition: 0, from: 0, to: 1 };
        is_read.then(|| PortError::new(ErrorKind::Stop, "offsets 0..1 hold other records by now").about(range))
    });
    let said = words(&live(&scene.setup(), &Parts { log: Arc::new(log), ..scene.parts() }));
    let stopped = "stream notes: partition 0 stopped: offsets 0..1 hold other records by now; what was read is kept";
    assert!(said.len() == 1 && said[0].starts_with(stopped), "{said:?}");
    assert_eq!((offsets(&scene, 0).len(), offsets(&scene, 1)), (0, vec!["0".to_owned()]));
}

/// K11: transactions' markers and compacted records.
#[test]
fn offsets_that_never_held_a_record_are_counted_as_that_and_are_no_loss() {
    let scene = Scene::new();
    scene.append(TOPIC, &(0..4).map(|n| note(0, &format!("id-{n}"), n, 1)).collect::<Vec<_>>());
    scene.log.lose(TOPIC, 0, 1..3, GapCause::NoRecord).expect("the topic is there");
    scene.log.skip_offsets(TOPIC, 0, 2).expect("the topic is there");
    scene.append(TOPIC, &[note(0, "last", 5, 1)]);
    scene.log.skip_offsets(TOPIC, 0, 1).expect("the topic is there");
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "the end of the log is reached");
    for table in ["bronze.notes", "silver.notes"] {
        let totals = newest(&scene, table).totals;
        assert_eq!((totals.records, totals.no_record, totals.lost), (3, 5, 0), "{table}");
    }
    assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=id-0", "id=id-3", "id=last"]);
    assert_eq!(look(&scene.lake, "silver.notes_gaps").map(|_| ()), None);
}

/// K17: too large, without a key, without a value, unreadable.
#[test]
fn records_that_are_no_rows_keep_their_bytes_and_what_cannot_be_read_is_listed_and_passed_over() {
    let scene = Scene::new();
    let large = format!(r#"{{"id":"large","at":{},"n":1,"more":"{}"}}"#, START_US / 1_000, "x".repeat(500));
    let without_key =
        NewRecord { key: None, value: Some(b"no key"), timestamp_ms: NOW_US / 1_000, ..NewRecord::default() };
    scene.append(TOPIC, &[raw(0, Some(&large), 1), raw(0, None, 2)]);
    scene.log.append(TOPIC, 0, &[without_key]).expect("appended");
    scene.append(TOPIC, &[note(0, "unreadable", 3, 1), note(0, "a", 4, 1)]);
    scene.log.lose(TOPIC, 0, 3..4, GapCause::Damaged).expect("the topic is there");
    let mut setup = scene.setup();
    setup.streams[0].payload.bytes_max = 400;
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new(), "damage stops nothing");
    let bronze = rows(&scene.lake, "bronze.notes", &["_kafka_offset", "_key", "_raw_value"]);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(bronze.len(), 4, "{bronze:?}");
    assert_eq!(bronze[0], format!("_kafka_offset=0, _key={}, _raw_value={}", hex("k"), hex(&large)));
    assert_eq!(bronze[1], format!("_kafka_offset=1, _key={}, _raw_value=NULL", hex("k")));
    assert_eq!(bronze[2], format!("_kafka_offset=2, _key=NULL, _raw_value={}", hex("no key")));
    let letters = rows(&scene.lake, "bronze.notes_dlq", &["_kafka_offset", "_quality_flags"]);
    let reasons = ["oversize", "tombstone", "invalid_json"];
    assert!(letters.len() == 3 && letters.iter().zip(reasons).all(|(row, why)| row.contains(why)), "{letters:?}");
    assert_eq!(gaps(&scene), [gap(0, 3, 4, "damaged")]);
    assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=a"]);
}
