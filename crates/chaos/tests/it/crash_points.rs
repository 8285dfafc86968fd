//! SIGKILL at every durable step, before and after it; kills during recovery; kills one after another.
//!
//! Unset, `WATERTIGHT_SOAK_MINUTES` gives the short form of `make test`; set, seeds go on for that long.

use crate::story::{Act, Dice, LONG, Place, SHORT, Size, census, soak_minutes};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};
use watertight_core::steps::{self, ALL};

const SIGKILL: i32 = 9;

/// Steps that a story in one piece does not pass, and where they are passed instead.
const ELSEWHERE: [(&str, &str); 9] = [
    (steps::LOG_TOPIC_REMOVE, "no command removes a topic: tests of the log in crates/adapters"),
    (steps::LOG_TOPIC_REMOVE_NAMES, "the same"),
    (steps::LOG_RECOVER_WRITE, "only behind a dead writer: LEFT_BEHIND below"),
    (steps::LOG_RECOVER_SYNC, "the same"),
    (steps::LOG_RECOVER_NAMES, "the same"),
    (steps::LOG_RECOVER_CUT, "the same"),
    (steps::LOG_RECOVER_REMOVE, "the same"),
    (steps::LOG_RETIRE_REMOVE, "only where a pipeline declares retention: retention.rs"),
    (steps::LOG_RETIRE_NAMES, "the same"),
];

/// What a producer leaves behind by being killed there, and the steps by which the next one mends it.
const LEFT_BEHIND: [(&str, &[&str]); 2] = [
    ("kill:after:log.append.write:1", &[steps::LOG_RECOVER_WRITE, steps::LOG_RECOVER_SYNC, steps::LOG_RECOVER_NAMES]),
    ("kill:before:log.append.write:1", &[steps::LOG_RECOVER_REMOVE, steps::LOG_RECOVER_NAMES]),
];

pub(crate) fn died(status: std::process::ExitStatus) -> bool {
    status.signal() == Some(SIGKILL)
}

/// Kills `act` there once, starts everything again until it is done, and compares.
fn killed_at(size: Size, seed: u64, act: Act, planted: &str) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), size, seed);
    killed_in(&place, act, planted)
}

/// The same in this place.
pub(crate) fn killed_in(place: &Place, act: Act, planted: &str) -> Result<(), String> {
    if act == Act::Run {
        place.complete(Act::Produce);
    }
    if !died(place.once(act, planted)) {
        return Err(format!("'{planted}' did not kill it: {}", place.said()));
    }
    place.finish()
}

/// Runs `work` for each item on two threads and gives what went wrong.
pub(crate) fn failures<T: Sync + std::fmt::Debug>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), String> + Sync,
) -> Vec<String> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                    if let Err(what) = work(item) {
                        failed.lock().expect("no panic").push(format!("{item:?}: {what}"));
                    }
                }
            });
        }
    });
    failed.into_inner().expect("no panic")
}

/// One place to kill at, of each step and moment.
fn crash_points(
    short: &BTreeMap<(Act, String), u64>,
    long: &BTreeMap<(Act, String), u64>,
    dice: &mut Dice,
) -> Vec<(Size, Act, String)> {
    let mut points: BTreeMap<(Act, String), (Size, u64)> = BTreeMap::new();
    for (size, passed) in [(LONG, long), (SHORT, short)] {
        points.extend(passed.iter().map(|(point, times)| (point.clone(), (size, *times))));
    }
    let kill = |((act, point), (size, times)): ((Act, String), (Size, u64))| {
        let (step, moment) = point.split_once(':').expect("step and moment");
        // Near the end of a run, background work may come earlier or later than in the census.
        let nth = dice.roll(1, (times * 2 / 3).max(1));
        (size, act, format!("kill:{moment}:{step}:{nth}"))
    };
    points.into_iter().map(kill).collect()
}

#[test]
fn killed_before_or_after_any_durable_step_the_tables_end_exact() {
    let (short, long) = (census(SHORT, 11), census(LONG, 11));
    for step in ALL.iter().filter(|step| !ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == *step)) {
        let passed = |moment: &str| long.keys().any(|(_, point)| *point == format!("{step}:{moment}"));
        assert!(passed("before") && passed("after"), "no story passes {step}");
    }
    let points = crash_points(&short, &long, &mut Dice(23));
    let failed = failures(&points, |(size, act, planted)| killed_at(*size, 11, *act, planted));
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), points.len(), failed.join("\n"));
}

#[test]
fn killed_while_it_mends_what_a_dead_writer_left_the_log_ends_exact() {
    let mut cases = Vec::new();
    for (left, mending) in LEFT_BEHIND {
        for step in mending {
            cases.extend(["before", "after"].map(|moment| (left, format!("kill:{moment}:{step}:1"))));
        }
    }
    let failed = failures(&cases, |(left, planted)| {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SHORT, 12);
        assert!(died(place.once(Act::Produce, left)), "{}", place.said());
        if !died(place.once(Act::Produce, planted)) {
            return Err(format!("'{planted}' did not kill it: {}", place.said()));
        }
        place.finish()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_torn_tail_is_cut_by_the_next_writer_even_if_that_is_killed_at_the_cut() {
    for moment in ["before", "after"] {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), LONG, 13);
        assert!(died(place.once(Act::Produce, "kill:after:log.mark.write:3")), "{}", place.said());
        let topic = place.dir.join("data/log/stock-ticks");
        let mut torn = 0;
        for partition in ["0", "1"] {
            let segments = std::fs::read_dir(topic.join(partition)).expect("a partition");
            let newest =
                segments.map(|entry| entry.expect("an entry").path()).filter(|path| path.ends_with_seg()).max();
            let Some(newest) = newest else { continue };
            let mut bytes = std::fs::read(&newest).expect("a segment");
            // The other thread may have died between making its segment and writing into it.
            if bytes.len() < 40 {
                continue;
            }
            bytes.extend_from_slice(&bytes.clone()[..40]);
            std::fs::write(&newest, bytes).expect("written");
            torn += 1;
        }
        assert!(torn > 0);
        assert!(died(place.once(Act::Produce, &format!("kill:{moment}:log.recover.cut:1"))), "{}", place.said());
        place.finish().unwrap_or_else(|difference| panic!("{moment}: {difference}"));
        assert!(place.said().contains("cut a torn tail"), "{}", place.said());
    }
}

trait Segment {
    fn ends_with_seg(&self) -> bool;
}

impl Segment for std::path::PathBuf {
    fn ends_with_seg(&self) -> bool {
        self.extension().is_some_and(|ending| ending == "seg")
    }
}

/// Kills run after run at random steps: each one recovers from the last one's death, and dies.
fn killed_in_a_row(seed: u64, kills: usize) -> Result<usize, String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), LONG, seed);
    let mut dice = Dice(seed);
    let mut dead = 0;
    place.complete(Act::Produce);
    for _ in 0..kills {
        // A start passes some tens of steps before its first commit: most of these die in recovery.
        let planted = format!("kill:any:{}", dice.roll(1, 60));
        dead += usize::from(died(place.once(Act::Run, &planted)));
    }
    place.finish()?;
    Ok(dead)
}

#[test]
fn twenty_kills_during_recovery_in_a_row_converge() {
    let dead = killed_in_a_row(14, 20).unwrap_or_else(|difference| panic!("{difference}"));
    assert!(dead >= 18, "only {dead} of 20 were killed");
}

#[test]
fn orphans_lie_outside_the_log_only() {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SHORT, 15);
    place.complete(Act::Produce);
    for planted in ["kill:before:delta.entry.link:7", "kill:after:delta.data.names:5", "kill:after:delta.entry.link:3"]
    {
        assert!(died(place.once(Act::Run, planted)), "{}", place.said());
    }
    place.finish().unwrap_or_else(|difference| panic!("{difference}"));
    let mut logs = 0;
    let mut folders = vec![place.dir.join("data/lake")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if folder.ends_with("_delta_log") {
                logs += 1;
                let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
                // A temporary entry of the dead is no part of the log: readers of Delta skip it, and it goes in an hour.
                let whole = name.ends_with(".json") || name.ends_with(".parquet") || name == "_last_checkpoint";
                assert!(whole || name.starts_with(".wt-"), "{}", entry.display());
            }
        }
    }
    assert!(logs > 10);
}

#[test]
fn random_kills_of_pipeline_and_producer_leave_the_tables_exact() {
    let Some(minutes) = soak_minutes() else {
        random_story(16, 12).unwrap_or_else(|difference| panic!("{difference}"));
        return;
    };
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    let (mut stories, mut kills, mut seed) = (0, 0, u64::from(std::process::id()) << 20);
    while Instant::now() < until {
        kills += random_story(seed, 40).unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
        (stories, seed) = (stories + 1, seed + 1);
        println!(
            "crash points: {stories} stories, {kills} kills at durable steps, 0 differences; last seed {}",
            seed - 1
        );
    }
}

/// Producer and pipeline are killed at random steps in turn.
fn random_story(seed: u64, kills: usize) -> Result<usize, String> {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), LONG, seed);
    let mut dice = Dice(seed);
    let mut dead = 0;
    for kill in 0..kills {
        let act = if kill % 3 == 0 { Act::Produce } else { Act::Run };
        let planted = format!("kill:any:{}", dice.roll(1, 400));
        dead += usize::from(died(place.once(act, &planted)));
    }
    place.finish()?;
    Ok(dead)
}
