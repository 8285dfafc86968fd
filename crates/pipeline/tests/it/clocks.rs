//! A clock that goes back, jumps ahead, or decides that a partition is idle: written down as data, and nothing is lost.

use super::bent::BentLog;
use super::rows::{self, look};
use super::scene::{DAY_US, HOUR_US, NOW_US, SECOND_US, START_US, Scene, TOPIC, live, note, part_one, part_two, words};
use arrow::array::AsArray;
use arrow::datatypes::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use watertight_core::books::{Books, TimeDecision};
use watertight_core::port::{ErrorKind, Lake, PortError};
use watertight_pipeline::runtime::{CommitBounds, Parts, Setup};

/// Of each bronze row, by partition and offset: when it was ingested, and its day.
pub(crate) fn ingestion(lake: &dyn Lake) -> Vec<((i32, i64), i64, i32)> {
    let bronze = look(lake, "bronze.notes").expect("the table is there");
    let mut rows = Vec::new();
    for file in bronze.live_files().expect("no fault is left") {
        let columns = ["_kafka_partition", "_kafka_offset", "_ingested_at", "_event_date"];
        for batch in bronze.read(&file, &columns).expect("no fault is left") {
            let batch = batch.expect("no fault is left");
            let partitions = batch.column(0).as_primitive::<Int32Type>();
            let offsets = batch.column(1).as_primitive::<Int64Type>();
            let times = batch.column(2).as_primitive::<TimestampMicrosecondType>();
            let days = batch.column(3).as_primitive::<Date32Type>();
            let row = |row| ((partitions.value(row), offsets.value(row)), times.value(row), days.value(row));
            rows.extend((0..batch.num_rows()).map(row));
        }
    }
    rows.sort_unstable();
    rows
}

pub(crate) fn assert_never_decreasing(rows: &[((i32, i64), i64, i32)]) {
    for pair in rows.windows(2).filter(|pair| pair[0].0.0 == pair[1].0.0) {
        assert!(pair[0].1 <= pair[1].1, "_ingested_at goes back: {pair:?}");
        assert!(pair[0].2 <= pair[1].2, "_event_date goes back: {pair:?}");
    }
    for ((partition, offset), time, day) in rows {
        assert_eq!(i64::from(*day), time.div_euclid(DAY_US), "{partition}/{offset}: the day is that of the time");
    }
}

/// The books of silver's commits, oldest first.
#[test]
fn the_time_of_ingestion_stays_where_it_was_while_the_clock_is_behind_it() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    scene.append(TOPIC, &part_two());
    scene.clock.set(NOW_US - DAY_US - HOUR_US);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let rows = ingestion(&scene.lake);
    assert_eq!(rows.len(), part_one().len() + part_two().len());
    assert_never_decreasing(&rows);
    assert!(rows.iter().all(|(_, time, _)| *time == NOW_US), "{rows:?}");
}

/// Before each epoch the clock is set: an hour back, a day ahead, an hour back, an hour back.
#[test]
fn a_clock_that_jumps_back_and_ahead_between_commits_changes_no_row_but_its_time_of_ingestion() {
    let jumps = [NOW_US, NOW_US - HOUR_US, NOW_US + DAY_US, NOW_US - HOUR_US, NOW_US - 2 * HOUR_US];
    let small = |scene: &Scene| {
        let setup = scene.setup();
        Setup { bounds: CommitBounds { rows_max: 1, ..setup.bounds }, ..setup }
    };
    let scenes = [Scene::with_all_events(), Scene::with_all_events()];
    let [steady, jumping] = &scenes;
    assert_eq!(words(&live(&small(steady), &steady.parts())), Vec::<String>::new());
    let (clock, epochs) = (jumping.clock.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = epochs.clone();
    let log = BentLog::new(&jumping.log, move |fetched| {
        if fetched.partition == 0 {
            let at = counted.fetch_add(1, Ordering::SeqCst);
            clock.set(jumps[at.min(jumps.len() - 1)]);
        }
        fetched
    });
    let lived = live(&small(jumping), &Parts { log: Arc::new(log), ..jumping.parts() });
    assert_eq!(words(&lived), Vec::<String>::new());
    assert!(epochs.load(Ordering::SeqCst) > jumps.len(), "the clock stood everywhere it should");
    let rows = ingestion(&jumping.lake);
    assert_never_decreasing(&rows);
    let mut times: Vec<i64> = rows.iter().map(|(_, time, _)| *time).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times, [NOW_US, NOW_US + DAY_US], "it goes ahead with the clock, and not back");
    let kept = ["_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_key", "_headers", "_raw_value"];
    let letter = ["_kafka_partition", "_kafka_offset", "_raw_value", "_quality_flags"];
    let all: [&str; 0] = [];
    for (table, columns) in [
        ("bronze.notes", &kept[..]),
        ("bronze.notes_dlq", &letter[..]),
        ("silver.notes", &all[..]),
        ("gold.per_minute", &all[..]),
    ] {
        let rows_of = |scene: &Scene| rows::rows(&scene.lake, table, columns);
        assert_eq!(rows_of(jumping), rows_of(steady), "{table}");
    }
    let last =
        |scene: &Scene| rows::books(&scene.lake, "silver.notes").last().and_then(|books| books.watermarks.clone());
    assert!(last(steady).is_some());
    assert_eq!(last(jumping), last(steady), "the watermarks are those of the events");
}

#[test]
fn a_clock_behind_the_events_flags_them_and_moves_no_watermark_until_it_is_right_again() {
    let scene = Scene::new();
    scene.clock.set(START_US - HOUR_US);
    scene.append(TOPIC, &[note(0, "a", 600, 1), note(0, "b", 0, 1)]);
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    let wrong = rows::books(&scene.lake, "silver.notes").pop().expect("it committed");
    assert_eq!((wrong.totals.silver, wrong.totals.future, wrong.totals.late), (2, 2, 0));
    let watermark = |books: &Books| books.watermarks.as_ref().expect("silver has them").partitions[&0].watermark_us;
    assert_eq!(watermark(&wrong), None, "nothing that is not believed moves it");
    scene.clock.set(NOW_US);
    scene.append(TOPIC, &[note(0, "c", 600, 1), note(0, "d", 30, 1)]);
    assert_eq!(words(&live(&scene.setup_left_open(), &scene.parts())), Vec::<String>::new());
    let right = rows::books(&scene.lake, "silver.notes").pop().expect("it committed");
    assert_eq!((right.totals.silver, right.totals.future, right.totals.late), (4, 2, 1), "d is late behind c");
    assert_eq!(watermark(&right), Some(START_US + 540 * SECOND_US));
}

#[test]
fn every_decision_about_time_is_in_silvers_books() {
    let scene = Scene::new();
    let at_once = |mut setup: Setup| {
        setup.streams[0].event_time.idle_after_us = 0;
        setup
    };
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    assert_eq!(words(&live(&at_once(scene.setup_left_open()), &scene.parts())), Vec::<String>::new());
    scene.append(TOPIC, &[note(1, "c", 20, 1)]);
    assert_eq!(words(&live(&at_once(scene.setup()), &scene.parts())), Vec::<String>::new());
    let books = rows::books(&scene.lake, "silver.notes");
    let decisions: Vec<TimeDecision> = books.iter().flat_map(|books| books.decisions.clone()).collect();
    let watermark_us = START_US - 30 * SECOND_US; // Of b; partition 1 had nothing that could hold it back.
    let end_us = START_US + 60 * SECOND_US; // Of the only window.
    let expected = [
        TimeDecision::Idle { topic: String::new(), partition: 0, at: 2 },
        TimeDecision::Idle { topic: String::new(), partition: 1, at: 0 },
        TimeDecision::Lifted { topic: String::new(), partition: 1, at: 0, watermark_us: Some(watermark_us) },
        TimeDecision::Idle { topic: String::new(), partition: 1, at: 1 },
        TimeDecision::EndOfInput { watermark_us: end_us },
    ];
    assert_eq!(decisions, expected);
    let last = books.last().and_then(|books| books.watermarks.clone()).expect("silver has them");
    assert_eq!(last.stream_us, Some(end_us));
    assert!(last.partitions.values().all(|partition| partition.idle && partition.watermark_us == Some(end_us)));
}

/// Of partition 1, which has nothing to read, whether it was declared idle although this is said of its end.
fn is_idle(ending: impl Fn(i32) -> Result<Option<i64>, PortError> + Send + Sync + 'static) -> bool {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    let mut setup = scene.setup_left_open();
    setup.streams[0].event_time.idle_after_us = 0;
    let log = Arc::new(BentLog::ending(&scene.log, ending));
    assert_eq!(words(&live(&setup, &Parts { log, ..scene.parts() })), Vec::<String>::new());
    let last = rows::books(&scene.lake, "silver.notes").pop().expect("the other partition went on");
    assert_eq!(last.totals.silver, 2);
    last.watermarks.expect("silver has them").partitions.get(&1).is_some_and(|partition| partition.idle)
}

#[test]
fn a_partition_whose_end_nobody_knows_or_behind_which_records_are_held_back_is_not_idle() {
    assert!(is_idle(|_| Ok(None)), "all that it has was read");
    assert!(!is_idle(|partition| Ok((partition == 1).then_some(3))), "a transaction is open before three offsets");
    let away = |partition| match partition {
        1 => Err(PortError::new(ErrorKind::Retry, "its leader is away")),
        _ => Ok(None),
    };
    assert!(!is_idle(away), "its leader is away");
}
