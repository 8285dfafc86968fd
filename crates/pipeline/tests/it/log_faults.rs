//! A fault at every single call of the log, one run for each. (The pipeline appends nothing.)

use super::lives::{tables_of_one_life, three_lives, wrong_tables};
use super::rows::{self, Tables};
use super::scene::{Scene, TOPIC, live, part_one, words};
use std::time::Duration;
use watertight_adapters::memory::log::{LogCall, LogFault, MemoryLog};
use watertight_core::port::{ErrorKind, EventLog, ReadFrom};
use watertight_pipeline::runtime::{RunUntil, Setup};

/// Lets `passes` calls through, then strikes once.
fn inject_after(log: &MemoryLog, call: LogCall, passes: usize, fault: LogFault) {
    (0..passes).for_each(|_| log.inject(call, LogFault::Slow(Duration::ZERO)));
    log.inject(call, fault);
}

/// Whether such a fault has not struck: asks as often as it would take. Leaves none.
fn is_left(log: &MemoryLog, call: LogCall, passes: usize) -> bool {
    let fails = |_| match call {
        LogCall::Topic => log.topic(TOPIC).is_err(),
        LogCall::Bounds => log.bounds(TOPIC, 0).is_err(),
        LogCall::Fetch => {
            log.reader(TOPIC, &[ReadFrom::offset(0, 0)]).expect("a reader").fetch(1, Duration::ZERO).is_err()
        }
        LogCall::Append => log.append(TOPIC, 0, &[]).is_err(),
    };
    (0..=passes).any(fails)
}

fn struck_at_every(call: LogCall, calls_min: usize, lives: fn(&Scene) -> Vec<String>, expected: &Tables) {
    let mut troubles = Vec::new();
    let faults = [("refused", LogFault::Reject(ErrorKind::Retry)), ("its answer lost", LogFault::LoseAnswer)];
    for (what, fault) in faults {
        let mut passes = 0;
        loop {
            let scene = Scene::new();
            inject_after(&scene.log, call, passes, fault);
            let mut found = lives(&scene);
            if is_left(&scene.log, call, passes) {
                break;
            }
            found.extend(wrong_tables(&scene, expected));
            troubles.extend(found.into_iter().map(|trouble| format!("{call:?} {passes} {what}: {trouble}")));
            passes += 1;
        }
        assert!(passes >= calls_min, "{call:?} was struck {passes} times only");
    }
    assert!(troubles.is_empty(), "{} troubles\n{}", troubles.len(), troubles.join("\n"));
}

#[test]
fn any_question_for_a_topic_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LogCall::Topic, 4, three_lives, &tables_of_one_life()); // Once it adds a partition.
}

#[test]
fn any_question_for_offsets_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LogCall::Bounds, 8, three_lives, &tables_of_one_life()); // Where to begin, and where to end.
}

#[test]
fn any_fetch_may_fail_once_and_the_tables_are_as_they_would_have_been() {
    struck_at_every(LogCall::Fetch, 4, three_lives, &tables_of_one_life());
}

/// Partition 1 stays empty and is idle at once: from then on windows close by partition 0 alone.
fn idle_life(scene: &Scene) -> Vec<String> {
    scene.append(TOPIC, &part_one());
    let mut setup = scene.setup();
    setup.streams[0].event_time.idle_after_us = 0;
    words(&live(&setup, &scene.parts()))
}

#[test]
fn a_question_for_offsets_that_fails_as_a_partition_falls_idle_stops_nothing() {
    let scene = Scene::new();
    assert_eq!(idle_life(&scene), Vec::<String>::new());
    let expected = rows::all(&scene.lake);
    assert!(expected["gold.per_minute"].len() >= 4, "{:?}", expected["gold.per_minute"]);
    // Of two partitions each: to begin, what can be read and what is written to the end, as they fall idle, and before the
    // end of input is declared.
    struck_at_every(LogCall::Bounds, 10, idle_life, &expected);
}

#[test]
fn a_topic_that_cannot_be_asked_for_new_partitions_is_asked_again() {
    for fault in [LogFault::Reject(ErrorKind::Retry), LogFault::LoseAnswer] {
        let scene = Scene::with_all_events();
        inject_after(&scene.log, LogCall::Topic, 1, fault);
        // Asked at the start, which passes, and then every second.
        let until = RunUntil { elapsed: Some(Duration::from_millis(2_500)), ..RunUntil::default() };
        let lived = live(&Setup { until, ..scene.setup() }, &scene.parts());
        assert_eq!(words(&lived), Vec::<String>::new(), "{fault:?}");
        assert!(!is_left(&scene.log, LogCall::Topic, 1), "it was asked while running");
        assert_eq!(rows::rows(&scene.lake, "bronze.notes", &[]).len(), 28);
    }
}
