//! The clock between two commits, with the real log and the real lake: a day ahead, an hour back, right again.

use super::clocks::{assert_never_decreasing, ingestion};
use super::rows;
use super::scene::{DAY_US, Event, HOUR_US, NOW_US, Scene, TOPIC, append_to, live, part_one, part_two, words};
use std::path::Path;
use std::sync::Arc;
use watertight_adapters::delta::DeltaLake;
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::SystemIds;
use watertight_core::port::EventLog;
use watertight_pipeline::runtime::{Parts, Setup};

/// The lake below `dir`, as a process opens it.
fn lake(scene: &Scene, dir: &Path) -> DeltaLake {
    DeltaLake::open(&dir.join("lake"), scene.clock.clone(), Arc::new(SystemIds))
}

/// One life of a process over the folder `dir`, behind an append of `events`; the clock stands where it was set.
fn live_on_disk(scene: &Scene, dir: &Path, setup: &Setup, events: &[Event]) {
    let options = SegmentLogOptions::default();
    let log = SegmentLog::open(&dir.join("log"), options, scene.clock.clone(), Arc::new(SystemIds));
    let log = log.expect("a log");
    log.create_topic(TOPIC, 2).expect("a topic");
    append_to(&log, TOPIC, events);
    let parts = Parts { log: Arc::new(log), lake: Arc::new(lake(scene, dir)), ..scene.parts() };
    assert_eq!(words(&live(setup, &parts)), Vec::<String>::new());
}

#[test]
fn a_clock_a_day_ahead_and_an_hour_back_between_two_runs_changes_no_row_on_disk_but_its_time_of_ingestion() {
    let (steady, jumping) = (Scene::new(), Scene::new());
    let dirs = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    live_on_disk(&steady, dirs[0].path(), &steady.setup(), &[part_one(), part_two()].concat());

    let part_two = part_two();
    let (second, third) = part_two.split_at(part_two.len() / 2);
    jumping.clock.set(NOW_US + DAY_US);
    live_on_disk(&jumping, dirs[1].path(), &jumping.setup_left_open(), &part_one());
    jumping.clock.set(NOW_US - HOUR_US);
    live_on_disk(&jumping, dirs[1].path(), &jumping.setup_left_open(), second);
    jumping.clock.set(NOW_US);
    live_on_disk(&jumping, dirs[1].path(), &jumping.setup(), third);

    let (steady, jumping) = (lake(&steady, dirs[0].path()), lake(&jumping, dirs[1].path()));
    let ingested = ingestion(&jumping);
    assert_eq!(ingested.len(), part_one().len() + part_two.len());
    assert_never_decreasing(&ingested);
    assert!(ingested.iter().all(|(_, time, _)| *time == NOW_US + DAY_US), "it stays where it was: {ingested:?}");
    assert!(ingestion(&steady).iter().all(|(_, time, _)| *time == NOW_US));
    let kept = ["_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_key", "_headers", "_raw_value"];
    let letter = ["_kafka_partition", "_kafka_offset", "_kafka_timestamp", "_raw_value", "_quality_flags"];
    let all: [&str; 0] = [];
    for (table, columns) in [
        ("bronze.notes", &kept[..]),
        ("bronze.notes_dlq", &letter[..]),
        ("silver.notes", &all[..]),
        ("gold.per_minute", &all[..]),
    ] {
        let expected = rows::rows(&steady, table, columns);
        assert!(expected.len() > 1, "{table}: {expected:?}");
        assert_eq!(rows::rows(&jumping, table, columns), expected, "{table}");
    }
}
