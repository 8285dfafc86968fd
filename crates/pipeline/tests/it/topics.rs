//! A topic that is made anew, while the pipeline stands still or runs, or before silver has what bronze has of it, and
//! one that gets more partitions meanwhile.

use super::bent::{BentLake, BentLog};
use super::rows::{self, books_not_copied_once, differences, look};
use super::scene::{Event, PATIENCE, Scene, TOPIC, live, note, part_one, part_two, unheard, words};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};
use watertight_core::port::EventLog;
use watertight_pipeline::runtime::{Condition, Health, Part, Parts, RunUntil, Setup, Stop, Upto, run};

/// Of each table, all that does not say which life of the topic a record is of, and where it lies there.
const CONTENT: [(&str, &[&str]); 4] = [
    ("bronze.notes", &["_kafka_partition", "_kafka_timestamp", "_key", "_headers", "_raw_value", "_ingested_at"]),
    ("bronze.notes_dlq", &["_kafka_partition", "_raw_value", "_quality_flags"]),
    (
        "silver.notes",
        &["id", "at", "n", "_event_time", "_is_late_arriving", "_quality_flags", "_kafka_partition", "_schema_version"],
    ),
    ("gold.per_minute", &[]),
];

/// The rows of each table, without what [`CONTENT`] leaves out.
fn content(scene: &Scene) -> rows::Tables {
    CONTENT.iter().map(|(table, columns)| ((*table).to_owned(), rows::rows(&scene.lake, table, columns))).collect()
}

/// What is in the tables where the topic stayed what it was.
fn content_of_one_life() -> rows::Tables {
    let scene = Scene::with_all_events();
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    content(&scene)
}

fn bronze_rows(scene: &Scene) -> usize {
    look(&scene.lake, "bronze.notes").map_or(0, |_| rows::rows(&scene.lake, "bronze.notes", &["_kafka_offset"]).len())
}

/// Where the records of the topic's second life lie: from 0 on, without a hole, in both partitions.
fn assert_read_from_0(scene: &Scene) {
    let at = ["_kafka_partition", "_kafka_offset", "_log_incarnation"];
    let found = rows::rows(&scene.lake, "bronze.notes", &at);
    let second: Vec<&String> = found.iter().filter(|row| row.contains("log-000001")).collect();
    assert_eq!((second.len(), found.len()), (part_two().len(), part_one().len() + part_two().len()));
    for partition in 0..2 {
        for offset in 0..part_two().len() / 2 {
            let wanted = format!("_kafka_partition={partition}, _kafka_offset={offset}, ");
            assert_eq!(second.iter().filter(|row| row.contains(&wanted)).count(), 1, "{wanted}{second:?}");
        }
    }
}

/// Asks for the stop when dropped, also where a test fails while the pipeline runs.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.request();
    }
}

/// One life that goes on until `work` is done, or ends by itself; what failed in it.
fn while_running(scene: &Scene, work: impl FnOnce(&Health)) -> Vec<String> {
    while_running_with(scene, &scene.setup(), work)
}

/// The same of another pipeline.
pub(crate) fn while_running_with(scene: &Scene, setup: &Setup, work: impl FnOnce(&Health)) -> Vec<String> {
    while_running_on(scene.parts(), setup, work)
}

fn while_running_on(parts: Parts, setup: &Setup, work: impl FnOnce(&Health)) -> Vec<String> {
    let until = RunUntil { elapsed: Some(PATIENCE), ..RunUntil::default() };
    let setup = Setup { until, ..setup.clone() };
    let (health, stop) = (unheard(), Stop::default());
    std::thread::scope(|scope| {
        let life = scope.spawn(|| run(&setup, &parts, &health, &stop));
        let ends = StopAtEnd(&stop);
        work(&health);
        drop(ends);
        let outcome = life.join().expect("it does not panic");
        words(&outcome.map_err(|error| error.chain()))
    })
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE / 2, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_topic_made_anew_between_two_lives_is_read_from_0_and_no_row_is_lost_or_doubled() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    scene.make_anew();
    scene.append(TOPIC, &part_two());
    for life in ["the second", "the third, which finds nothing new"] {
        assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "{life}");
        assert_eq!(differences(&content(&scene), &content_of_one_life()), Vec::<String>::new(), "{life}");
        assert_read_from_0(&scene);
    }
    assert_eq!(books_not_copied_once(&scene), Vec::<String>::new());
}

#[test]
fn a_topic_made_anew_under_a_running_pipeline_stops_its_stream_and_the_next_life_reads_it_from_0() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    let said = while_running(&scene, |health| {
        wait_until("part one is read", || bronze_rows(&scene) == part_one().len());
        scene.make_anew();
        scene.append(TOPIC, &part_two());
        let stream = Part::Stream(TOPIC.to_owned());
        let stopped = || matches!(health.all().get(&stream), Some(Condition::Failed { .. }));
        wait_until("the stream notices", stopped);
    });
    // Noticed by the reader, or by the question for new partitions.
    let named = said.len() == 1 && said[0].starts_with("stream notes: ") && said[0].contains(" anew");
    assert!(named, "{said:?}");
    assert_eq!(bronze_rows(&scene), part_one().len(), "nothing of the second life was taken for the first");
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(differences(&content(&scene), &content_of_one_life()), Vec::<String>::new());
    assert_read_from_0(&scene);
    assert_eq!(books_not_copied_once(&scene), Vec::<String>::new());
}

/// A broker that has just begun may not know of a topic yet.
#[test]
fn a_topic_that_is_missed_once_is_read_on_and_one_that_stays_missing_stops_its_stream() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    let wrong = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&wrong);
    let missing = move || left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    let log = Arc::new(BentLog::missing(&scene.log, missing));
    let said = while_running_on(Parts { log, ..scene.parts() }, &scene.setup(), |health| {
        wait_until("part one is read", || bronze_rows(&scene) == part_one().len());
        wrong.store(1, SeqCst);
        wait_until("the wrong answer is given", || wrong.load(SeqCst) == 0);
        scene.append(TOPIC, &part_two());
        wait_until("part two is read", || bronze_rows(&scene) == part_one().len() + part_two().len());
        wrong.store(usize::MAX, SeqCst);
        let stream = Part::Stream(TOPIC.to_owned());
        let stopped = || matches!(health.all().get(&stream), Some(Condition::Failed { .. }));
        wait_until("the stream stops", stopped);
    });
    assert!(said.len() == 1 && said[0].contains("topic notes was deleted while it was read"), "{said:?}");
}

/// As far as bronze, and no further.
fn bronze_only(scene: &Scene) -> Setup {
    Setup { upto: Upto::Bronze, ..scene.setup_left_open() }
}

/// The positions of the topic's first life in a table.
fn positions_of_first_life(scene: &Scene, table: &str) -> Vec<(i32, i64)> {
    let table = look(&scene.lake, table).expect("the table is there");
    let positions = table.state().positions.iter().filter(|(key, _)| key.incarnation == "log-000000");
    positions.map(|(key, next)| (key.partition, *next)).collect()
}

/// The books of silver's appends, oldest first.
#[test]
fn what_bronze_has_of_a_topic_that_was_made_anew_still_comes_to_silver_and_gold() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    let dying = BentLake::dying_at_commit(&scene.lake, "silver.notes", 2);
    let lived = live(&scene.setup_left_open(), &Parts { lake: Arc::new(dying), ..scene.parts() });
    assert_eq!(words(&lived), ["stream notes: the planted death"]);
    // Whatever is left of part one is read as far as bronze; then that is all that there is of it.
    assert_eq!(words(&live(&bronze_only(&scene), &scene.parts())), Vec::<String>::new());
    assert_eq!(bronze_rows(&scene), part_one().len());
    scene.make_anew();
    scene.append(TOPIC, &part_two());
    for life in ["the one that finds it", "the next, which finds nothing new"] {
        assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "{life}");
        assert_eq!(differences(&content(&scene), &content_of_one_life()), Vec::<String>::new(), "{life}");
        assert_read_from_0(&scene);
        let all = [(0, part_one().len() as i64), (1, 0)]; // Where an empty partition begins is kept, too.
        for table in ["bronze.notes", "silver.notes", "gold.per_minute"] {
            assert_eq!(positions_of_first_life(&scene, table), all, "{table}, {life}");
        }
    }
    assert_eq!(books_not_copied_once(&scene), Vec::<String>::new());
}

#[test]
fn whoever_dies_while_an_earlier_life_of_the_topic_is_finished_is_gone_on_from() {
    for (table, number) in [("bronze.notes_dlq", 1), ("silver.notes", 1), ("silver.notes", 2), ("silver.notes", 3)] {
        let scene = Scene::new();
        scene.append(TOPIC, &part_one());
        assert_eq!(words(&live(&bronze_only(&scene), &scene.parts())), Vec::<String>::new());
        scene.make_anew();
        scene.append(TOPIC, &part_two());
        let dying = BentLake::dying_at_commit(&scene.lake, table, number);
        let lived = live(&scene.setup(), &Parts { lake: Arc::new(dying), ..scene.parts() });
        assert_eq!(words(&lived), ["stream notes: the planted death"], "{table}, commit {number}");
        assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "{table}, commit {number}");
        let wrong = differences(&content(&scene), &content_of_one_life());
        assert_eq!(wrong, Vec::<String>::new(), "{table}, commit {number}");
        assert_read_from_0(&scene);
    }
}

#[test]
fn several_lives_of_a_topic_are_finished_in_the_order_in_which_they_were_lived() {
    let scene = Scene::new();
    for events in [[note(0, "a", 0, 1), note(0, "b", 30, 2)], [note(0, "a", 0, 9), note(0, "c", 65, 3)]] {
        scene.append(TOPIC, &events);
        assert_eq!(words(&live(&bronze_only(&scene), &scene.parts())), Vec::<String>::new());
        scene.make_anew();
    }
    assert!(
        rows::books(&scene.lake, "silver.notes").is_empty(),
        "a run that ends at bronze finishes no earlier life either"
    );
    scene.append(TOPIC, &[note(0, "d", 200, 4)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let rows = rows::rows(&scene.lake, "silver.notes", &["id", "n"]);
    assert_eq!(rows, ["id=a, n=1", "id=b, n=2", "id=c, n=3", "id=d, n=4"], "the first a is the one that was first");
    let mut lives: Vec<String> =
        rows::books(&scene.lake, "silver.notes").into_iter().map(|books| books.incarnation).collect();
    lives.dedup();
    assert_eq!(lives, ["log-000000", "log-000001", "log-000002"]);
    assert_eq!(rows::rows(&scene.lake, "gold.per_minute", &["notes"]), ["notes=1", "notes=1", "notes=2"]);
}

#[test]
fn what_bronze_has_of_the_topic_that_a_stream_read_before_comes_to_silver_too() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1)]);
    assert_eq!(words(&live(&bronze_only(&scene), &scene.parts())), Vec::<String>::new());
    let mut setup = scene.setup();
    setup.streams[0].topic = "more_notes".into();
    scene.log.create_topic("more_notes", 2).expect("a topic");
    scene.append("more_notes", &[note(0, "b", 30, 2)]);
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    let rows = rows::rows(&scene.lake, "silver.notes", &["id", "n", "_schema_version"]);
    assert_eq!(rows, ["id=a, n=1, _schema_version=1", "id=b, n=2, _schema_version=2"]);
}

#[test]
fn a_partition_that_the_new_topic_has_no_more_holds_no_window_open() {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 3).expect("two more partitions");
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(1, "b", 0, 1), note(2, "c", 0, 1)]);
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    scene.make_anew();
    scene.append(TOPIC, &[note(0, "d", 600, 1), note(1, "e", 600, 1)]);
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    assert_eq!(rows::rows(&scene.lake, "gold.per_minute", &["notes"]), ["notes=3"]);
    // Should it be there again, it starts where the others are.
    scene.log.create_topic(TOPIC, 3).expect("one more partition");
    scene.append(TOPIC, &[note(2, "f", 500, 1), note(2, "g", 600, 1)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let late = rows::rows(&scene.lake, "silver.notes", &["id", "_is_late_arriving"]);
    assert_eq!(late.iter().filter(|row| row.ends_with("=true")).collect::<Vec<_>>(), ["id=f, _is_late_arriving=true"]);
}

/// In two partitions that come later: an event of its own time each, and duplicates of what other partitions brought.
fn of_added_partitions() -> Vec<Event> {
    vec![
        note(2, "v", 86_100, 1),
        note(3, "w", 86_110, 2),
        note(2, "x", 86_120, 3),
        note(3, "b", 86_130, 2),
        note(2, "y", 86_140, 500),
        note(3, "z", 86_200, 4),
    ]
}

#[test]
fn partitions_added_under_a_running_pipeline_are_found_and_read_from_0_and_the_tables_end_exact() {
    let there_at_once = Scene::with_all_events();
    there_at_once.log.create_topic(TOPIC, 4).expect("two more partitions");
    there_at_once.append(TOPIC, &of_added_partitions());
    assert_eq!(words(&live(&there_at_once.setup(), &there_at_once.parts())), Vec::<String>::new());
    let before = part_one().len() + part_two().len();

    let scene = Scene::with_all_events();
    let said = while_running(&scene, |_| {
        wait_until("both partitions are read", || bronze_rows(&scene) == before);
        scene.log.create_topic(TOPIC, 4).expect("two more partitions");
        scene.append(TOPIC, &of_added_partitions());
        let all = before + of_added_partitions().len();
        wait_until("the added partitions are read by the same life", || bronze_rows(&scene) == all);
    });
    assert_eq!(said, Vec::<String>::new());
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let expected = rows::all(&there_at_once.lake);
    assert_eq!(differences(&rows::all(&scene.lake), &expected), Vec::<String>::new());
    assert_eq!(books_not_copied_once(&scene), Vec::<String>::new());
}
