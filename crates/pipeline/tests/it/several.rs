//! A stream of several topics: whose each row is, which of two duplicates wins, time over all of them, and topics that
//! come, go, or are found while it runs.

use super::bent::BentLake;
use super::rows::{look, rows};
use super::scene::{PIPELINE, SECOND_US, START_US, Scene, TOPIC, live, note, part_one, part_two, raw, stream, words};
use super::topics::{wait_until, while_running_with};
use arrow::array::AsArray;
use arrow::datatypes::{Int32Type, Int64Type};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use watertight_core::books::{Books, CommitKind, TimeDecision, Watermarks};
use watertight_core::port::{EventLog, LakeTable};
use watertight_core::schema::{StartAt, StreamDef, TopicPattern, Topics};
use watertight_pipeline::runtime::{CommitBounds, Parts, Setup, Upto};

/// The stream `notes` of these topics.
fn of(topics: Topics) -> StreamDef {
    StreamDef { topic: String::new(), topics: Some(topics), ..stream(TOPIC) }
}

fn list(topics: &[&str]) -> StreamDef {
    of(Topics::List(topics.iter().map(|topic| (*topic).to_owned()).collect()))
}

fn pattern(text: &str) -> StreamDef {
    of(Topics::Pattern(TopicPattern::new(text).expect("a pattern")))
}

fn reading(scene: &Scene, stream: StreamDef) -> Setup {
    Setup { streams: vec![stream], ..scene.setup_left_open() }
}

/// A scene whose log has the events of part one in topic `east` and those of part two in topic `west`.
fn east_and_west() -> Scene {
    let scene = Scene::new();
    for (topic, events) in [("east", part_one()), ("west", part_two())] {
        scene.log.create_topic(topic, 2).expect("a topic");
        scene.append(topic, &events);
    }
    scene
}

fn lives_well(setup: &Setup, scene: &Scene) {
    assert_eq!(words(&live(setup, &scene.parts())), Vec::<String>::new());
}

/// Books of a table's appends, oldest first.
fn books(scene: &Scene, table: &str) -> Vec<Books> {
    let commits = look(&scene.lake, table).expect("the table is there").commits_after(None).expect("no fault is left");
    commits.into_iter().filter_map(|commit| commit.books).filter(|books| books.kind == CommitKind::Append).collect()
}

fn newest(scene: &Scene, table: &str) -> Books {
    books(scene, table).pop().expect("an append")
}

fn watermarks(scene: &Scene) -> Watermarks {
    newest(scene, "silver.notes").watermarks.expect("silver has them")
}

/// Next offsets by topic and partition.
fn positions(scene: &Scene, table: &str) -> BTreeMap<(String, i32), i64> {
    let table = look(&scene.lake, table).expect("the table is there");
    let positions = table.state().positions.iter();
    positions.map(|(key, next)| ((key.topic.clone(), key.partition), *next)).collect()
}

/// Topic, partition and offset.
type Position = (String, i32, i64);

/// Bronze's records in the order of its commits: where each lies, and its payload.
fn bronze_in_order(scene: &Scene) -> Vec<(Position, String)> {
    let table = look(&scene.lake, "bronze.notes").expect("the table is there");
    let mut all = Vec::new();
    for commit in table.commits_after(None).expect("no fault is left") {
        for file in &commit.files {
            all.extend(records(table.as_ref(), file));
        }
    }
    all
}

fn records(table: &dyn LakeTable, file: &watertight_core::port::DataFile) -> Vec<(Position, String)> {
    let mut all = Vec::new();
    for batch in table.read(file, &["_kafka_topic", "_kafka_partition", "_kafka_offset", "_raw_value"]).expect("read") {
        let batch = batch.expect("read");
        let column = |name: &str| batch.column_by_name(name).expect("the column").clone();
        let (topics, values) = (column("_kafka_topic"), column("_raw_value"));
        let (partitions, offsets) = (column("_kafka_partition"), column("_kafka_offset"));
        for row in 0..batch.num_rows() {
            let topic = topics.as_string::<i32>().value(row).to_owned();
            let partition = partitions.as_primitive::<Int32Type>().value(row);
            let offset = offsets.as_primitive::<Int64Type>().value(row);
            let value = String::from_utf8_lossy(values.as_binary::<i32>().value(row)).into_owned();
            all.push(((topic, partition, offset), value));
        }
    }
    all
}

/// By id of silver's rows, how the row tells its position.
fn kept(scene: &Scene) -> BTreeMap<String, String> {
    let found = rows(&scene.lake, "silver.notes", &["id", "_kafka_partition", "_kafka_offset", "_kafka_topic"]);
    let count = found.len();
    let split = |row: &String| row.split_once(", ").map(|(id, at)| (id.to_owned(), at.to_owned())).expect("an id");
    let kept: BTreeMap<String, String> = found.iter().map(split).collect();
    assert_eq!(kept.len(), count, "an id is there once: {found:?}");
    kept
}

/// Each row of silver is the first record with its id in the order of bronze's commits.
fn assert_the_first_is_kept(scene: &Scene) {
    let in_order = bronze_in_order(scene);
    for (id, at) in kept(scene) {
        let named = format!(r#""id":"{}""#, id.trim_start_matches("id="));
        let ((topic, partition, offset), _) = in_order.iter().find(|(_, value)| value.contains(&named)).expect("there");
        assert_eq!(at, format!("_kafka_partition={partition}, _kafka_offset={offset}, _kafka_topic={topic}"), "{id}");
    }
}

/// The ids of silver where all events came in one topic.
fn ids_of_one_topic() -> BTreeSet<String> {
    let scene = Scene::with_all_events();
    lives_well(&scene.setup_left_open(), &scene);
    rows(&scene.lake, "silver.notes", &["id"]).into_iter().collect()
}

#[test]
fn two_topics_give_every_record_once_whatever_an_epoch_holds() {
    let expected = ids_of_one_topic();
    for rows_max in [1, 4, 1_000] {
        let scene = east_and_west();
        let setup = reading(&scene, list(&["east", "west"]));
        let bounds = CommitBounds { rows_max, ..setup.bounds };
        lives_well(&Setup { bounds, ..setup }, &scene);
        let mut at: Vec<Position> = bronze_in_order(&scene).into_iter().map(|(at, _)| at).collect();
        let read = at.len();
        at.sort_unstable();
        at.dedup();
        assert_eq!((read, at.len()), (28, 28), "{rows_max}");
        let ends = [("east", 0, 12), ("east", 1, 0), ("west", 0, 8), ("west", 1, 8)];
        let ends = BTreeMap::from(ends.map(|(topic, partition, end)| ((topic.to_owned(), partition), end)));
        for table in ["bronze.notes", "silver.notes"] {
            assert_eq!(positions(&scene, table), ends, "{table}, {rows_max}");
        }
        assert_eq!(kept(&scene).into_keys().collect::<BTreeSet<_>>(), expected, "{rows_max}");
        assert_the_first_is_kept(&scene);
        let totals = newest(&scene, "silver.notes").totals;
        let counted = totals.silver + totals.duplicates + totals.dead_letters;
        assert_eq!((totals.records, counted), (28, 28), "{rows_max}");
        for table in ["bronze.notes", "silver.notes"] {
            let of_one = |books: &Books| ["east", "west"].contains(&books.topic.as_str());
            assert!(books(&scene, table).iter().all(of_one), "a commit is of one topic");
        }
    }
}

#[test]
fn silver_that_was_left_behind_is_brought_up_in_the_order_of_bronze() {
    let scene = east_and_west();
    let setup = reading(&scene, list(&["east", "west"]));
    lives_well(&Setup { upto: Upto::Bronze, ..setup.clone() }, &scene);
    for topic in ["east", "west"] {
        // Again what bronze has already, in the other partition, and only then the rest.
        scene.append(topic, &[note(1, "a", 0, 1), note(1, "z", 700, 2)]);
    }
    lives_well(&setup, &scene);
    assert_the_first_is_kept(&scene);
    assert_eq!(positions(&scene, "silver.notes"), positions(&scene, "bronze.notes"));
}

#[test]
fn whoever_dies_at_a_commit_of_one_topic_goes_on_in_all_of_them() {
    let expected = ids_of_one_topic();
    for (table, numbers) in [("bronze.notes", 1..4), ("bronze.notes_dlq", 1..3), ("silver.notes", 1..4)] {
        for number in numbers {
            let scene = east_and_west();
            let setup = reading(&scene, list(&["east", "west"]));
            let dying = BentLake::dying_at_commit(&scene.lake, table, number);
            let lived = live(&setup, &Parts { lake: Arc::new(dying), ..scene.parts() });
            assert_eq!(words(&lived), ["stream notes: the planted death"], "{table} {number}");
            lives_well(&setup, &scene);
            let case = format!("{table} {number}");
            assert_eq!(kept(&scene).into_keys().collect::<BTreeSet<_>>(), expected, "{case}");
            assert_eq!(bronze_in_order(&scene).len(), 28, "{case}");
            let totals = newest(&scene, "silver.notes").totals;
            assert_eq!(totals.silver + totals.duplicates + totals.dead_letters, 28, "{case}");
            let letters = rows(&scene.lake, "bronze.notes_dlq", &[]).len() as u64;
            assert_eq!(letters, totals.dead_letters, "{case}");
        }
    }
}

#[test]
fn the_watermark_waits_for_the_partitions_of_every_topic() {
    let scene = Scene::new();
    for topic in ["east", "west"] {
        scene.log.create_topic(topic, 1).expect("a topic");
    }
    let setup = reading(&scene, StreamDef { partitions: 1, ..list(&["east", "west"]) });
    scene.append("east", &[note(0, "a", 500, 1)]);
    lives_well(&setup, &scene);
    assert_eq!(watermarks(&scene).stream_us, None, "topic west has said nothing yet");
    scene.append("west", &[note(0, "b", 100, 1)]);
    lives_well(&setup, &scene);
    let after = watermarks(&scene);
    assert_eq!(after.stream_us, Some(START_US + 40 * SECOND_US));
    assert!(after.partitions.is_empty(), "{after:?}");
    let east = after.topics["east"][&0].watermark_us;
    assert_eq!(east, Some(START_US + 440 * SECOND_US), "each under its own topic: {after:?}");
}

#[test]
fn topics_that_come_beside_the_first_leave_what_was_read_of_it_as_it_is() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    lives_well(&scene.setup_left_open(), &scene);
    let before = watermarks(&scene);
    assert!(before.topics.is_empty());
    scene.log.create_topic("west", 2).expect("a topic");
    scene.append("west", &part_two());
    lives_well(&reading(&scene, list(&[TOPIC, "west"])), &scene);
    assert_eq!(kept(&scene).into_keys().collect::<BTreeSet<_>>(), ids_of_one_topic());
    let after = watermarks(&scene);
    assert_eq!(after.topics[TOPIC], before.partitions, "it had nothing more");
    let told: BTreeSet<String> =
        kept(&scene).values().filter_map(|at| at.rsplit(", ").next().map(str::to_owned)).collect();
    let expected = ["_kafka_topic=NULL", "_kafka_topic=west"].map(str::to_owned);
    assert_eq!(told, BTreeSet::from(expected), "rows from before need no topic");

    // One topic again: time stays told by topic, and the one that is read no more holds nothing back.
    scene.append(TOPIC, &[note(0, "z", 90_000, 1), note(1, "y", 90_000, 1)]);
    lives_well(&scene.setup_left_open(), &scene);
    let last = watermarks(&scene);
    assert_eq!(last.stream_us, Some(START_US + (90_000 - 60) * SECOND_US), "{last:?}");
    assert!(last.topics["west"].values().all(|time| time.idle), "{last:?}");
    let idle = |decision: &TimeDecision| matches!(decision, TimeDecision::Idle { topic, .. } if topic == "west");
    let decided =
        books(&scene, "silver.notes").iter().flat_map(|books| &books.decisions).filter(|one| idle(one)).count();
    assert_eq!(decided, 2, "it is written down, once for each partition");
}

#[test]
fn topics_that_match_are_found_while_it_runs_and_read_from_their_first_record() {
    let scene = Scene::new();
    scene.log.create_topic("orders-eu", 1).expect("a topic");
    scene.append("orders-eu", &[note(0, "before", 0, 1)]);
    // Neither the topic of another name nor an internal one is read.
    scene.log.create_topic("__orders-eu", 1).expect("a topic");
    scene.append("__orders-eu", &[note(0, "internal", 0, 1)]);
    scene.append(TOPIC, &[note(0, "other", 0, 1)]);
    let latest = StreamDef { start: StartAt::Latest, ..pattern("(__)?orders-.*") };
    let setup = reading(&scene, latest);
    let topics = || -> BTreeSet<String> {
        let Some(_) = look(&scene.lake, "bronze.notes") else { return BTreeSet::new() };
        bronze_in_order(&scene).into_iter().map(|((topic, ..), _)| topic).collect()
    };
    let said = while_running_with(&scene, &setup, |_| {
        wait_until("it begins behind the last record", || {
            look(&scene.lake, "bronze.notes").is_some_and(|table| !table.state().positions.is_empty())
        });
        scene.append("orders-eu", &[note(0, "after", 10, 1)]);
        scene.log.create_topic("orders-us", 2).expect("a topic");
        scene.append("orders-us", &[note(1, "us", 20, 1)]);
        wait_until("the topic is found", || topics().contains("orders-us"));
    });
    assert_eq!(said, Vec::<String>::new());
    // And one that comes while nothing runs.
    scene.log.create_topic("orders-jp", 1).expect("a topic");
    scene.append("orders-jp", &[note(0, "jp", 30, 1)]);
    lives_well(&setup, &scene);
    let ids: Vec<String> = kept(&scene).into_keys().collect();
    assert_eq!(ids, ["id=after", "id=jp", "id=us"]);
    assert_eq!(topics(), BTreeSet::from(["orders-eu", "orders-jp", "orders-us"].map(str::to_owned)));
}

#[test]
fn a_pattern_that_nothing_matches_is_told_by_a_run_that_ends_by_itself() {
    let scene = Scene::new();
    let said = words(&live(&reading(&scene, pattern("orders-.*")), &scene.parts()));
    assert_eq!(
        said,
        ["stream notes: no topic of the log matches /orders-.*/ of stream notes: make one, or correct the pattern"]
    );
}

#[test]
fn a_definition_says_from_where_it_is_in_force_in_every_topic() {
    let scene = east_and_west();
    let stream = list(&["east", "west"]);
    lives_well(&reading(&scene, stream.clone()), &scene);
    let mut changed = stream;
    changed.checks.clear();
    scene.append("west", &[raw(1, Some(r#"{"id":"big","at":1772359900000,"n":500}"#), 800)]);
    lives_well(&reading(&scene, changed), &scene);
    let versions = rows(&scene.lake, "ops.definitions", &["version", "in_force_from"]);
    let second = versions.iter().find(|row| row.contains("version=2")).expect("a second version");
    assert!(second.contains(r#""positions":{"0":12,"1":0},"others":{"log-"#), "{second}");
    assert!(second.contains(r#":{"0":8,"1":8}}"#), "{second}");
    let of_big = kept(&scene).remove("id=big");
    assert_eq!(of_big.as_deref(), Some("_kafka_partition=1, _kafka_offset=8, _kafka_topic=west"));
    assert!(books(&scene, "silver.notes").iter().all(|books| books.pipeline == PIPELINE));
}
