//! Retention, killed while it removes segments that the tables have already. What is left of them goes with the next
//! run, nothing that was not read goes, and the tables end exact.

use crate::crash_points::{died, failures};
use crate::story::{Act, Place, Size};
use std::path::Path;
use std::time::{Duration, Instant};
use watertight_core::steps::{LOG_RETIRE_NAMES, LOG_RETIRE_REMOVE};

/// Most of the events, in five appends to each partition: enough for three segments of 64 KiB, however well they pack.
const FIRST: Size = Size { events: 17_000, rows_max: 1_000 };
const ALL: Size = Size { events: 20_000, ..FIRST };
/// Longest that a run may take to remove what it may: it begins after one second.
const PATIENCE: Duration = Duration::from_secs(30);

/// Each step, before and after it; the removal also with one segment of the partition gone.
const KILLS: [(&str, &str, u64); 6] = [
    ("before", LOG_RETIRE_REMOVE, 1),
    ("after", LOG_RETIRE_REMOVE, 1),
    ("before", LOG_RETIRE_REMOVE, 2),
    ("after", LOG_RETIRE_REMOVE, 2),
    ("before", LOG_RETIRE_NAMES, 1),
    ("after", LOG_RETIRE_NAMES, 1),
];

/// How many segments each partition has.
fn segments(place: &Place) -> [usize; 2] {
    let topic = place.dir.join("data/log/stock-ticks");
    let is_segment = |path: &Path| path.extension().is_some_and(|ending| ending == "seg");
    ["0", "1"].map(|partition| {
        let entries = std::fs::read_dir(topic.join(partition)).expect("a partition");
        entries.filter(|entry| is_segment(&entry.as_ref().expect("an entry").path())).count()
    })
}

/// A pipeline whose tables have all that is in the log, and which from now on keeps no closed segment for longer than
/// a second.
fn with_much_to_remove(scratch: &Path, seed: u64) -> Place {
    let place = Place::new(&scratch.join("here"), &scratch.join("aside"), FIRST, seed);
    place.complete(Act::Produce);
    place.complete(Act::CatchUp);
    let file = place.dir.join("pipeline.yaml");
    let text = std::fs::read_to_string(&file).expect("the pipeline file");
    let retaining = text.replace("segment_bytes: 64 KiB", "segment_bytes: 64 KiB, retention: { age: 1 s }");
    assert_ne!(retaining, text);
    std::fs::write(&file, retaining).expect("written");
    place
}

/// Runs the pipeline until only active segments are left, and kills it.
fn remove_the_rest(place: &Place) -> Result<(), String> {
    let began = Instant::now();
    while segments(place) != [1, 1] {
        if began.elapsed() > PATIENCE {
            return Err(format!("{:?} segments are left: {}", segments(place), place.said()));
        }
        let mut child = place.start(Act::Stay, "");
        while child.try_wait().expect("looked at").is_none() && segments(place) != [1, 1] {
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill().expect("a child can be killed");
        child.wait().expect("reaped");
    }
    Ok(())
}

fn killed_at(moment: &str, step: &str, nth: u64) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = with_much_to_remove(scratch.path(), 61);
    let before = segments(&place);
    if before.iter().any(|count| *count < 3) {
        return Err(format!("{before:?} segments: too few to remove two of each partition"));
    }
    let planted = format!("kill:{moment}:{step}:{nth}");
    if !died(place.once(Act::Stay, &planted)) {
        return Err(format!("'{planted}' did not kill it: {}", place.said()));
    }
    let left = segments(&place);
    // Each partition by itself: the first loses two segments and has its names made durable, then the second.
    let gone = before[0] - left[0];
    let expected = match (step, moment, nth) {
        (LOG_RETIRE_REMOVE, "before", nth) => nth as usize - 1,
        (LOG_RETIRE_REMOVE, _, nth) => nth as usize,
        _ => before[0] - 1,
    };
    if (gone, left[1]) != (expected, before[1]) {
        return Err(format!("'{planted}': {before:?} segments became {left:?}"));
    }
    remove_the_rest(&place)?;
    // What comes later is read on from where the tables are, whatever of the log is gone.
    Place { size: ALL, ..place }.finish()
}

#[test]
fn killed_before_or_after_any_step_of_retention_the_rest_goes_later_and_the_tables_end_exact() {
    let failed = failures(&KILLS, |(moment, step, nth)| killed_at(moment, step, *nth));
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), KILLS.len(), failed.join("\n"));
}
