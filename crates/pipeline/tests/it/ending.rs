//! The end of a run that closes windows on a log whose end cannot be read yet: a transaction is open before it.

use super::bent::{BentLake, BentLog};
use super::rows::{look, rows};
use super::scene::{Scene, TOPIC, append_to, live, note, words};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use watertight_adapters::memory::lake::LakeCall;
use watertight_core::books::TimeDecision;
use watertight_pipeline::runtime::{Parts, Setup};

/// Whether the end of input is in silver's books.
fn is_declared_ended(scene: &Scene) -> bool {
    let commits = look(&scene.lake, "silver.notes").expect("the table is there").commits_after(None);
    let books = commits.expect("no fault is left").into_iter().filter_map(|commit| commit.books);
    books.flat_map(|books| books.decisions).any(|decision| matches!(decision, TimeDecision::EndOfInput { .. }))
}

/// What gold has of each window.
fn counts(scene: &Scene) -> Vec<String> {
    rows(&scene.lake, "gold.per_minute", &["notes"])
}

/// A log that says it holds a third record of partition 0, which cannot be read, from its answer number `from` on (the first
/// is 0). It is asked as the run begins, and once all is read.
fn holding_back(scene: &Scene, from: usize) -> BentLog {
    let answers = AtomicUsize::new(0);
    BentLog::ending(&scene.log, move |partition| {
        let held = partition == 0 && answers.fetch_add(1, Ordering::SeqCst) >= from;
        Ok(held.then_some(3))
    })
}

/// A life in which a transaction stays open, and what the one after it does once it has ended.
fn left_open_and_closed(from: usize) {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    let log = Arc::new(holding_back(&scene, from));
    let said = words(&live(&scene.setup(), &Parts { log, ..scene.parts() }));
    let expected = "stream notes: windows are left open, as a transaction is open before offsets 2..3 of partition 0: ";
    assert!(said.len() == 1 && said[0].starts_with(expected), "{from}: {said:?}");
    assert!(!is_declared_ended(&scene), "{from}");
    assert_eq!(counts(&scene), Vec::<String>::new(), "{from}");
    assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=a", "id=b"], "{from}: what can be read is there");

    scene.append(TOPIC, &[note(0, "c", 45, 1)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "{from}");
    assert!(is_declared_ended(&scene), "{from}");
    assert_eq!(counts(&scene), ["notes=3"], "{from}");
}

/// Each waits as long as such a run does.
#[test]
fn windows_stay_open_over_records_that_an_open_transaction_holds_back_and_the_next_run_closes_them() {
    std::thread::scope(|scope| {
        // Open before the run began, and since: between the two questions of partition 0.
        for from in [0, 1] {
            scope.spawn(move || left_open_and_closed(from));
        }
    });
}

#[test]
fn a_transaction_that_ends_while_the_rest_is_read_is_read_before_windows_are_closed() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    let ended = Arc::new(AtomicBool::new(false));
    let has_ended = ended.clone();
    let log = BentLog::ending(&scene.log, move |partition| {
        Ok((partition == 0 && !has_ended.load(Ordering::SeqCst)).then_some(3))
    });
    // With the commit of what could be read when the run began.
    let events = scene.log.clone();
    let lake = BentLake::before(&scene.lake, move |call, table| {
        if call == LakeCall::Commit && table == "silver.notes" && !ended.swap(true, Ordering::SeqCst) {
            append_to(&events, TOPIC, &[note(0, "c", 45, 1)]);
        }
        Ok(())
    });
    let parts = Parts { log: Arc::new(log), lake: Arc::new(lake), ..scene.parts() };
    assert_eq!(words(&live(&scene.setup(), &parts)), Vec::<String>::new());
    assert_eq!(counts(&scene), ["notes=3"]);
    assert_eq!(rows(&scene.lake, "silver.notes", &["_is_late_arriving"]), ["_is_late_arriving=false"; 3]);
}

#[test]
fn a_run_that_closes_no_window_ends_before_an_open_transaction() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    let without_models = Setup { models: Vec::new(), ..scene.setup() };
    for setup in [scene.setup_left_open(), without_models] {
        let log = Arc::new(holding_back(&scene, 0));
        assert_eq!(words(&live(&setup, &Parts { log, ..scene.parts() })), Vec::<String>::new());
        assert_eq!(rows(&scene.lake, "silver.notes", &["id"]), ["id=a", "id=b"]);
    }
}
