//! A disk that is full, read-only or forbidden, files that cannot be opened, memory that runs out: at every durable
//! step, and for real. What may pass is waited for; all else stops cleanly; nothing is torn, and the tables end exact.

use crate::crash_points::failures;
use crate::story::{Act, Place, SHORT, census};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use watertight_core::steps;

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EACCES: i32 = 13;
const EMFILE: i32 = 24;
const EIO: i32 = 5;

/// Steps that are taken before the pipeline or the producer is under way: what is refused there ends the command with
/// a message, and the next start goes on.
const AT_THE_START: [&str; 14] = [
    steps::FOLDER_MAKE,
    steps::FOLDER_NAMES,
    steps::IDENTITY_SYNC,
    steps::IDENTITY_RENAME,
    steps::IDENTITY_NAMES,
    steps::LOG_TOPIC_NAMES,
    steps::LOG_PARTITION_SYNC,
    steps::LOG_PARTITION_NAMES,
    steps::LOG_TOPIC_FILE_SYNC,
    steps::LOG_TOPIC_FILE_RENAME,
    steps::LOG_TOPIC_FILE_NAMES,
    steps::LEDGER_BEGIN_SYNC,
    steps::LEDGER_BEGIN_LINK,
    steps::LEDGER_BEGIN_NAMES,
];

fn here(size: crate::story::Size, seed: u64) -> (tempfile::TempDir, Place) {
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), size, seed);
    (scratch, place)
}

/// What is refused at one step; the program must go on by itself where it is under way, and say so where it ends.
fn refused_at(act: Act, step: &str, moment: &str, nth: u64, code: i32) -> Result<(), String> {
    let (_scratch, place) = here(SHORT, 41);
    if act == Act::Run {
        place.complete(Act::Produce);
    }
    let planted = format!("fail:{moment}:{step}:{nth}:{code}");
    let status = place.once(act, &planted);
    // The ledger is made durable once when it is opened.
    let opening = step == steps::LEDGER_SYNC && nth == 1;
    let may_end = AT_THE_START.contains(&step) || opening || code == EIO;
    if !status.success() && !may_end {
        return Err(format!("'{planted}' ended it with {status}: {}", place.said()));
    }
    let said_so = status.code() == Some(1) && place.said().contains("error");
    if !status.success() && !said_so {
        return Err(format!("'{planted}' ended it with {status} and no word: {}", place.said()));
    }
    place.finish().map_err(|difference| format!("'{planted}': {difference}"))
}

#[test]
fn whatever_the_system_refuses_at_any_step_nothing_is_torn_and_what_may_pass_is_waited_for() {
    let passed = census(SHORT, 41);
    let steps: BTreeSet<(Act, String)> = passed
        .keys()
        .filter_map(|(act, point)| point.strip_suffix(":before").map(|step| (*act, step.to_owned())))
        .collect();
    let mut cases = Vec::new();
    for (act, step) in steps {
        for (at, code) in [ENOSPC, EROFS, EACCES, EMFILE, EIO].into_iter().enumerate() {
            let times = passed[&(act, format!("{step}:before"))];
            // Nothing done yet; for half of them done, and the answer is an error.
            let moment = if at % 2 == 0 { "before" } else { "after" };
            cases.push((act, step.clone(), moment, 1 + (at as u64 * 3) % times.max(1), code));
        }
    }
    assert!(cases.len() > 150, "{}", cases.len());
    let failed = failures(&cases, |(act, step, moment, nth, code)| refused_at(*act, step, moment, *nth, *code));
    assert!(failed.is_empty(), "{} of {}: {}", failed.len(), cases.len(), failed.join("\n"));
}

fn is_root() -> bool {
    if rustix::process::getuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "CI is root");
    eprintln!("skipped: needs root, for mounting and limits");
    false
}

fn command(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().is_ok_and(|status| status.success()), "{program}");
}

/// A small file system in memory, gone when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(dir: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(dir).expect("a folder");
        command("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs", dir.to_str().expect("plain")]);
        Self(dir)
    }

    /// Takes all the space that is left.
    fn fill(&self) {
        let mut block = vec![7_u8; 1 << 16];
        let mut file = std::fs::File::create(self.0.join("ballast")).expect("a file");
        while !block.is_empty() {
            match std::io::Write::write(&mut file, &block) {
                Ok(written) if written > 0 => {}
                _ => block.truncate(block.len() / 2),
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("ballast")).expect("the ballast");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l", self.0.to_str().expect("plain")]).status();
    }
}

/// Waits until the program has said `word`.
fn wait_for_word(place: &Place, word: &str) {
    let began = Instant::now();
    while !place.said().contains(word) {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not say '{word}': {}", place.said());
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn on_a_full_disk_pipeline_and_producer_wait_and_go_on_by_themselves_once_there_is_room() {
    if !is_root() {
        return;
    }
    for act in [Act::Produce, Act::Run] {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let data = scratch.path().join("here/data");
        let disk = SmallDisk::mount(&data, "24m");
        let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SHORT, 42);
        if act == Act::Run {
            place.complete(Act::Produce);
            // Its tables are there: it is under way, not at its very first start.
            assert!(place.once(Act::Run, "kill:before:delta.entry.link:9").code().is_none());
        } else {
            assert!(place.once(Act::Produce, "kill:before:log.append.write:1").code().is_none());
        }
        disk.fill();
        let mut child = place.start(act, "");
        wait_for_word(&place, if act == Act::Run { "waiting" } else { "trying again" });
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().expect("looked at").is_none(), "{act:?} ended: {}", place.said());
        disk.free();
        let status = child.wait().expect("it ends");
        assert!(status.success(), "{act:?} ended with {status}: {}", place.said());
        place.finish().unwrap_or_else(|difference| panic!("{act:?}: {difference}"));
    }
}

#[test]
fn on_a_read_only_disk_it_says_so_and_goes_on_later() {
    if !is_root() {
        return;
    }
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let data = scratch.path().join("here/data");
    let _disk = SmallDisk::mount(&data, "24m");
    let place = Place::new(&scratch.path().join("here"), &scratch.path().join("aside"), SHORT, 43);
    place.complete(Act::Produce);
    command("mount", &["-o", "remount,ro", data.to_str().expect("plain")]);
    let status = place.once(Act::Run, "");
    assert_eq!(status.code(), Some(1), "{}", place.said());
    assert!(place.said().contains("Read-only file system"), "{}", place.said());
    command("mount", &["-o", "remount,rw", data.to_str().expect("plain")]);
    place.finish().unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn without_file_descriptors_it_stops_cleanly_or_goes_on_and_the_tables_end_exact() {
    for limit in [12, 20, 32, 48] {
        let (_scratch, place) = here(SHORT, 44);
        place.complete(Act::Produce);
        let mut child = place.start_through(&["prlimit", &format!("--nofile={limit}")], Act::Run);
        let began = Instant::now();
        while child.try_wait().expect("looked at").is_none() && began.elapsed() < Duration::from_secs(4) {
            std::thread::sleep(Duration::from_millis(10));
        }
        // It may wait for descriptors that never come: then it is asked to stop, and does.
        if child.try_wait().expect("looked at").is_none() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a child can be asked");
        }
        let asked = Instant::now();
        while child.try_wait().expect("looked at").is_none() {
            assert!(
                asked.elapsed() < Duration::from_secs(10),
                "{limit} descriptors: it does not stop: {}",
                place.said()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let status = child.wait().expect("reaped");
        assert!(status.code().is_some(), "{limit} descriptors: {status}: {}", place.said());
        place.finish().unwrap_or_else(|difference| panic!("{limit} descriptors: {difference}"));
    }
}

#[test]
fn a_panic_in_the_stream_or_beside_it_is_named_ends_with_1_and_costs_nothing() {
    for step in [steps::DELTA_DATA_SYNC, steps::STATE_DELTA_WRITE, steps::DELTA_ENTRY_LINK] {
        let (_scratch, place) = here(SHORT, 46);
        place.complete(Act::Produce);
        place.once(Act::Run, "kill:before:delta.entry.link:9");
        let status = place.once(Act::Run, &format!("panic:after:{step}:2"));
        assert_eq!(status.code(), Some(1), "{step}: {}", place.said());
        assert!(place.said().contains("panicked: planted; this is a defect in watertight"), "{}", place.said());
        place.finish().unwrap_or_else(|difference| panic!("{step}: {difference}"));
    }
}

#[test]
fn killed_for_its_memory_it_goes_on_where_it_was() {
    if !is_root() {
        return;
    }
    let (_scratch, place) = here(SHORT, 45);
    place.complete(Act::Produce);
    let group = Path::new("/sys/fs/cgroup/memory/watertight-test");
    let (limit, version_2) = (group.join("memory.limit_in_bytes"), Path::new("/sys/fs/cgroup/cgroup.controllers"));
    if version_2.exists() || std::fs::create_dir_all(group).is_err() || !limit.exists() {
        eprintln!("skipped: no memory cgroup of version 1 here");
        return;
    }
    let mut killed = 0;
    for mib in [3_u64, 6, 12, 24] {
        std::fs::write(&limit, format!("{}", mib << 20)).expect("a limit");
        let script = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.display());
        let status = place.start_through(&["sh", "-c", &script, "sh"], Act::Run).wait().expect("it ends");
        killed += usize::from(!status.success());
    }
    std::fs::remove_dir(group).ok();
    assert!(killed > 0, "no limit was too small: {}", place.said());
    place.finish().unwrap_or_else(|difference| panic!("{difference}"));
}
