//! No fsync is missing: the real program's system calls, watched with strace and replayed on a disk that forgets
//! whatever was not synced ([`model`]), against the rules of what rests on what ([`rules`]).
//!
//! Power cuts of a real file system cannot show this: ext4 makes more durable than it is asked to. And the check is
//! checked: each sync that is left out must be found.

mod little;
mod model;
mod roles;
mod rules;
mod story;
mod trace;

use roles::Role;
use rules::{Finding, Rule};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use story::{Story, can_trace, tell};
use watertight_core::steps::ALL;

/// A producer dies between write and sync; a pipeline behind the link of bronze's first commit, and another one behind
/// silver's: so each of what follows has to make durable what it finds.
const SHORT: Story<'static> = Story {
    events: 400,
    rows_max: 200,
    left_out: None,
    producers_die: &["kill:after:log.append.write:1"],
    pipelines_die: &["kill:after:delta.entry.link:9", "kill:before:state.delta.write:1"],
    retention: false,
};

/// Over a hundred commits make a checkpoint of the Delta log; several segments make one that can be retired.
const LONG: Story<'static> = Story { events: 10_000, rows_max: 80, retention: true, ..SHORT };

/// Stories told at once.
const WORKERS: usize = 4;

/// Each sync, and a rule that is broken without it.
const FOUND_BY: [(&str, Rule); 24] = [
    ("log.retire.names", Rule::AllAtExit),
    ("delta.checkpoint.sync", Rule::AllAtExit),
    ("folder.names", Rule::LogBeforeMark),
    ("log.topic.names", Rule::PartitionsBeforeTopic),
    ("log.partition.sync", Rule::PartitionsBeforeTopic),
    ("log.partition.names", Rule::PartitionsBeforeTopic),
    ("log.topic_file.sync", Rule::BytesBeforeName),
    ("log.topic_file.names", Rule::LogBeforeMark),
    ("log.append.sync", Rule::LogBeforeMark),
    ("log.append.names", Rule::LogBeforeMark),
    ("log.recover.sync", Rule::LogBeforeMark),
    ("log.recover.names", Rule::LogBeforeMark),
    ("ledger.begin.sync", Rule::BytesBeforeName),
    ("ledger.begin.names", Rule::LogBeforeLedger),
    ("ledger.sync", Rule::LogBeforeLedger),
    ("identity.sync", Rule::BytesBeforeName),
    ("identity.names", Rule::AllAtExit),
    ("delta.data.sync", Rule::DataBeforeEntry),
    ("delta.data.names", Rule::DataBeforeEntry),
    ("delta.entry.sync", Rule::BytesBeforeName),
    ("delta.entry.names", Rule::EntryBeforeNext),
    ("delta.log.names", Rule::EntryBeforeNext),
    ("state.base.sync", Rule::BytesBeforeName),
    ("state.base.names", Rule::BaseBeforeRemoval),
];

/// Syncs that the stories cannot be without.
const NOT_TOLD: [(&str, &str); 1] = [("log.topic.remove.names", "the program removes no topic")];

/// Where a producer dies: behind each of its steps that changes something and makes nothing durable.
const PRODUCER_DEATHS: [&str; 11] = [
    "kill:after:folder.make:1",
    "kill:after:folder.make:2",
    "kill:after:folder.make:3",
    "kill:after:folder.make:6",
    "kill:after:log.topic_file.rename:1",
    "kill:before:log.partition.names:2",
    "kill:after:log.append.write:2",
    "kill:before:log.append.names:1",
    "kill:after:log.mark.write:1",
    "kill:after:ledger.begin.link:1",
    "kill:after:ledger.write:1",
];

/// Where a pipeline dies.
const PIPELINE_DEATHS: [&str; 14] = [
    "kill:after:folder.make:1",
    "kill:after:folder.make:2",
    "kill:after:folder.make:4",
    "kill:after:folder.make:9",
    "kill:after:identity.rename:1",
    "kill:after:delta.data.write:3",
    "kill:after:delta.entry.write:9",
    "kill:after:delta.entry.link:1",
    "kill:after:delta.entry.link:3",
    "kill:after:delta.entry.link:10",
    "kill:after:delta.entry.link:11",
    "kill:after:state.base.rename:1",
    "kill:after:state.delta.write:1",
    "kill:after:state.blob.rename:1",
];

/// The first few, as text.
fn shown(findings: &[Finding]) -> String {
    let lines = findings.iter().take(12).map(|finding| format!("\n  {finding}"));
    format!("{} findings{}", findings.len(), lines.collect::<String>())
}

/// Does `work` for each, several at once, and gives what was complained of.
fn complaints<T: Sync>(all: &[T], work: impl Fn(&T) -> Option<String> + Sync) -> Vec<String> {
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaint = work(one);
                    said.lock().expect("no panic").extend(complaint);
                }
            });
        }
    });
    said.into_inner().expect("no panic")
}

#[test]
fn every_byte_and_name_is_durable_before_anything_rests_on_it() {
    if !can_trace() {
        return;
    }
    let replay = tell(LONG);
    assert!(replay.findings.is_empty(), "{}", shown(&replay.findings));
    let counts = &replay.counts;
    let count = |of: &BTreeMap<Role, usize>, role: Role| of.get(&role).copied().unwrap_or_default();
    assert!(counts.entries > 200 && counts.syncs > 3 * counts.entries, "{counts:?}");
    assert!(count(&counts.written, Role::Mark) >= 16, "{counts:?}");
    assert!(count(&counts.written, Role::Ledger) >= 2, "{counts:?}");
    assert!(count(&counts.named, Role::LogCheckpoint) >= 2, "{counts:?}");
    assert!(count(&counts.removed, Role::StateBase) >= 1, "{counts:?}");
    assert!(count(&counts.removed, Role::Segment) >= 1, "{counts:?}");
}

#[test]
fn each_fsync_left_out_is_found() {
    if !can_trace() {
        return;
    }
    let overlooked = complaints(&FOUND_BY, |(step, rule)| {
        let long = ["log.retire.names", "delta.checkpoint.sync"].contains(step);
        let base = if long { LONG } else { SHORT };
        let replay = tell(Story { left_out: Some(*step), ..base });
        let found = replay.broken().contains(rule);
        (!found).then(|| format!("{step}: {rule:?} was not broken; {}", shown(&replay.findings)))
    });
    assert!(overlooked.is_empty(), "{}", overlooked.join("\n"));
}

#[test]
fn what_a_dead_process_left_is_made_durable_before_anything_rests_on_it() {
    if !can_trace() {
        return;
    }
    let producers = PRODUCER_DEATHS.into_iter().map(|death| (Some(death), None));
    let pipelines = PIPELINE_DEATHS.into_iter().map(|death| (None, Some(death)));
    let deaths: Vec<(Option<&str>, Option<&str>)> = producers.chain(pipelines).collect();
    let believed = complaints(&deaths, |(producer, pipeline)| {
        let (producers_die, pipelines_die) = (producer.as_slice(), pipeline.as_slice());
        let replay = tell(Story { producers_die, pipelines_die, ..SHORT });
        let findings = &replay.findings;
        (!findings.is_empty()).then(|| format!("{producer:?} {pipeline:?}: {}", shown(findings)))
    });
    assert!(believed.is_empty(), "{}", believed.join("\n"));
}

#[test]
fn each_step_that_syncs_is_left_out_or_has_a_reason() {
    let syncs = ALL.into_iter().filter(|step| step.ends_with(".sync") || step.ends_with(".names"));
    let found = FOUND_BY.into_iter().map(|(step, _)| step);
    let listed = found.chain(NOT_TOLD.into_iter().map(|(step, _)| step));
    assert_eq!(syncs.collect::<BTreeSet<_>>(), listed.collect::<BTreeSet<_>>());
}
