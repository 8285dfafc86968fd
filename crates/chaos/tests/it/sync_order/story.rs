//! A small story told by the real program, each of its processes under strace, and replayed on the strict disk.
//!
//! Producers and pipelines that are to die come first, each followed by one that has to go on from what it left.

use super::model::Disk;
use super::rules::Replay;
use super::trace::CALLS;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program with faults planted.
const PROGRAM: &str = env!("CARGO_BIN_EXE_watertight-planted");
const FILE: &str = "market/pipeline.yaml";
const PRODUCE: [&str; 17] = [
    "produce",
    "-f",
    FILE,
    "--stream",
    "stock_ticks",
    "--generate",
    "stocks",
    "--duplicates",
    "5%",
    "--late",
    "3%",
    "--malformed",
    "2%",
    "--ledger",
    "acks/of/this/market/acked.ledger",
    "--start-time",
    "2026-03-01T12:00:00Z",
];
const RUN: [&str; 5] = ["run", "-f", FILE, "--until-caught-up", "--close-windows"];

/// What happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Story<'a> {
    /// Events of the first producer that lives; a second one adds a fifth.
    pub(super) events: u32,
    /// Rows in a commit.
    pub(super) rows_max: u32,
    /// A step that no process takes.
    pub(super) left_out: Option<&'a str>,
    /// Where producers die: directives of `WATERTIGHT_STEPS`, one for each.
    pub(super) producers_die: &'a [&'a str],
    /// Where pipelines die.
    pub(super) pipelines_die: &'a [&'a str],
    /// At the end the pipeline runs until retention has removed what is old.
    pub(super) retention: bool,
}

/// How a process is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End<'a> {
    Well,
    Killed(&'a str),
}

/// Tells the story and replays it.
pub(super) fn tell(story: Story<'_>) -> Replay {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let dir = scratch.path().canonicalize().expect("it is there");
    let root = dir.join("root");
    std::fs::create_dir(&root).expect("a folder");
    let made = Command::new(PROGRAM).args(["init", "stocks", "market"]).current_dir(&root).output().expect("it starts");
    assert!(made.status.success(), "{made:?}");
    settings(&root.join(FILE), &story);
    let mut disk = Disk::new(&root);
    look_around(&root, &mut disk);
    let mut replay = Replay::new(disk);
    let mut go = |arguments: &[&str], end: End<'_>| {
        let trace = dir.join("trace");
        traced(&root, &trace, arguments, story.left_out, end);
        let text = std::fs::read_to_string(&trace).expect("strace wrote it");
        let sizes = |path: &Path| path.metadata().map_or(0, |about| about.len());
        replay.play(&text, &root, end == End::Well, &sizes);
    };
    let (first, second) = (story.events.to_string(), (story.events + story.events / 5).to_string());
    for death in story.producers_die {
        go(&produce(&first), End::Killed(death));
    }
    go(&produce(&first), End::Well);
    for death in story.pipelines_die {
        go(&RUN, End::Killed(death));
    }
    go(&RUN, End::Well);
    go(&produce(&second), End::Well);
    go(&RUN, End::Well);
    if story.retention {
        go(&["run", "-f", FILE, "--for", "4s"], End::Well);
    }
    replay
}

fn produce(count: &str) -> Vec<&str> {
    PRODUCE.into_iter().chain(["--count", count]).collect()
}

/// Small commits and segments.
fn settings(file: &Path, story: &Story<'_>) {
    let retention = if story.retention { ", retention: { age: 1 s }" } else { "" };
    let text = std::fs::read_to_string(file).expect("the example");
    let log = text.replace("path: data/log", &format!("path: data/log, segment_bytes: 64 KiB{retention}"));
    let both = log.replace("interval: 1 s", &format!("interval: 200 ms, max_rows: {}", story.rows_max));
    assert!(log != text && both != log, "the example has changed: {text}");
    std::fs::write(file, both).expect("written");
}

fn look_around(folder: &Path, disk: &mut Disk) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let about = path.metadata().expect("it is there");
        disk.was_there(&path, about.len());
        if about.is_dir() {
            look_around(&path, disk);
        }
    }
}

fn traced(root: &Path, trace: &Path, arguments: &[&str], left_out: Option<&str>, end: End<'_>) {
    let mut steps: Vec<String> = left_out.map(|step| format!("leave-out:{step}")).into_iter().collect();
    if let End::Killed(death) = end {
        steps.push(death.to_owned());
    }
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"])
        .arg(trace)
        .arg(PROGRAM)
        .args(arguments)
        .current_dir(root)
        .env_remove("WATERTIGHT_LOG")
        .env("WATERTIGHT_STEPS", steps.join(";"))
        .stdin(Stdio::null())
        .output()
        .expect("strace starts");
    let status = output.status;
    // strace ends as the process did that it watched.
    let as_told = match end {
        End::Well => status.success(),
        End::Killed(_) => status.signal() == Some(9) || status.code() == Some(128 + 9),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(as_told, "{arguments:?} with {steps:?} was to end {end:?}, and ended with {status}: {said}");
}

/// Whether processes can be traced here; where not, says so, and fails in CI.
pub(super) fn can_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-e", "trace=fsync", "-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if tried.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "strace is missing, or may not trace: CI must have it");
    println!("skipped: strace is missing, or may not trace here");
    false
}
