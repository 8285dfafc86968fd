//! A topic that others write to as well, with offsets that hold no record, and appends of which only a beginning
//! arrives.

use super::tests::{generate, plan_in, request, start, start_again_and_again};
use super::*;
use crate::fixtures::{FakeLog, Fault, FixedClock, Writer};
use crate::ledger;

const COUNT: u64 = 120;

fn log(faults: impl IntoIterator<Item = (u64, Fault)>) -> FakeLog {
    let log = FakeLog::with_faults(faults);
    log.state().others_every = 2;
    log
}

/// Every item of ours once, in order within its partition; every line of the ledger at the place of its record.
fn assert_exact(log: &FakeLog, path: Option<&Path>, plan: &Plan) {
    let state = log.state();
    let mut wanted = vec![Vec::new(); state.partitions.len()];
    let mut item = Item::default();
    for sequence in 0..COUNT {
        plan.item(sequence, &mut item);
        wanted[item.partition as usize].push((item.key.clone(), item.value.clone()));
    }
    for (partition, records) in state.partitions.iter().enumerate() {
        let ours = records.iter().filter(|record| record.writer == Writer::Ours);
        let found: Vec<_> = ours.map(|record| (record.key.clone(), record.value.clone())).collect();
        assert!(found == wanted[partition], "partition {partition}: {} of {}", found.len(), wanted[partition].len());
        assert!(records.iter().any(|record| record.writer == Writer::Other), "others wrote there too");
    }
    let Some(path) = path else { return };
    let mut lines = 0;
    ledger::read(path, |line| {
        lines += 1;
        plan.item(line.sequence, &mut item);
        let stored = &state.partitions[line.partition as usize][line.offset as usize];
        assert_eq!((stored.writer, &stored.value), (Writer::Ours, &item.value), "sequence {}", line.sequence);
    })
    .expect("the ledger reads");
    assert_eq!(lines, COUNT);
}

#[test]
fn others_between_our_records_change_neither_what_is_sent_nor_the_ledger() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let faults = || (0..30).map(|step| (step, [Fault::LosePart, Fault::LoseAfter, Fault::Refuse][step as usize % 3]));
    let with = log(faults());
    let summary = start(request(generate(Some(COUNT)), Some(&path)), &with).expect("runs");
    assert!(summary.resolved > 10, "{summary:?}");
    assert_exact(&with, Some(&path), &plan_in(&path));
    let without = log(faults());
    start(request(generate(Some(COUNT)), None), &without).expect("runs");
    assert_exact(&without, None, &plan_in(&path));
}

#[test]
fn killed_behind_a_beginning_of_a_batch_the_rest_is_sent_and_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    for step in 0..12 {
        for fault in [Fault::KillBefore, Fault::KillAfter] {
            let path = folder.path().join(format!("{step}-{fault:?}"));
            let log = log([(step, Fault::LosePart), (step + 1, fault)]);
            assert_eq!(start_again_and_again(&request(generate(Some(COUNT)), Some(&path)), &log), 1);
            assert_exact(&log, Some(&path), &plan_in(&path));
        }
    }
}

#[test]
fn what_an_open_transaction_covers_is_waited_for_before_anything_is_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = log([(1, Fault::LoseAfter)]);
    log.state().covered = 3;
    let summary = start(request(generate(Some(COUNT)), Some(&path)), &log).expect("runs");
    assert!(summary.resolved == 1 && summary.retries >= 4, "{summary:?}");
    assert_exact(&log, Some(&path), &plan_in(&path));
}

#[test]
fn a_run_that_goes_on_waits_until_the_end_of_the_log_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger");
    let log = log([(3, Fault::KillAfter)]);
    assert_eq!(start_again_and_again(&request(generate(Some(COUNT / 2)), Some(&path)), &log), 1);
    // Four of them go to the question where the topic stands now.
    log.state().covered = 6;
    let mut waits = 0;
    let request = request(generate(Some(COUNT)), Some(&path));
    run(request, &log, &FixedClock, &AtomicBool::new(false), &mut |progress| {
        waits += u32::from(progress.waiting.is_some_and(|why| why.to_string().contains("transaction")));
    })
    .expect("runs");
    assert_exact(&log, Some(&path), &plan_in(&path));
    assert!(waits > 0, "and says what it waits for");
}
