//! Another worker at the same lake, and a checkpoint of another past: the tables decide, and nothing is mixed.

use super::lives::{tables_of_one_life, wrong_tables};
use super::rows;
use super::scene::{PIPELINE, Scene, TOPIC, live, note, part_one, words};
use std::sync::Arc;
use watertight_adapters::memory::lake::{Gate, LakeCall, LakeFault, MemoryLake, When};
use watertight_core::books::Books;
use watertight_pipeline::runtime::{CommitBounds, Parts, Setup};
use watertight_state::{IndexOptions, Load, StateIdentity, StateStore};

/// One worker is held before a commit to `table`, behind `passed` others, with its rows in hand; `meanwhile` happens,
/// and another worker reads all, commits all and ends. Then the first goes on. Says what failed in either.
fn overtaken(scene: &Scene, setup: &Setup, (table, passed): (&str, usize), meanwhile: impl FnOnce()) -> Vec<String> {
    let gate = Gate::default();
    scene.lake.script(LakeFault::hold(LakeCall::Commit, When::Before, gate.clone()).of(table).after(passed));
    let other = Setup { state_dir: scene.other_state().to_owned(), ..setup.clone() };
    let (held, other) = std::thread::scope(|scope| {
        let held = scope.spawn(|| live(setup, &scene.parts()));
        gate.wait_for_arrival();
        meanwhile();
        let other = live(&other, &scene.parts());
        gate.open();
        (held.join().expect("it does not panic"), other)
    });
    let mut troubles: Vec<String> = words(&held).into_iter().map(|said| format!("{table}, the held: {said}")).collect();
    troubles.extend(words(&other).into_iter().map(|said| format!("{table}, the other: {said}")));
    troubles
}

fn overtaken_at(table: &str, passed: usize, rows_max: usize) -> Vec<String> {
    let scene = Scene::with_all_events();
    let setup = scene.setup();
    let setup = Setup { bounds: CommitBounds { rows_max, ..setup.bounds }, ..setup };
    let mut troubles = overtaken(&scene, &setup, (table, passed), || {});
    let wrong = wrong_tables(&scene, &tables_of_one_life());
    troubles.extend(wrong.into_iter().map(|said| format!("{table}: {said}")));
    troubles
}

#[test]
fn a_stream_that_is_fenced_at_any_of_its_tables_starts_again_from_them_and_mixes_nothing() {
    let tables = ["bronze.notes", "bronze.notes_dlq", "silver.notes"];
    let troubles: Vec<String> = tables.into_iter().flat_map(|table| overtaken_at(table, 0, 4)).collect();
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

#[test]
fn a_model_that_is_fenced_does_not_stop_for_good_and_no_window_is_written_twice() {
    // All events in one epoch: behind it no commit to silver would start the stream again.
    let troubles = overtaken_at("gold.per_minute", 0, 1_000);
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

#[test]
fn a_window_that_closes_without_a_new_record_is_written_once_by_two_workers() {
    // Behind the one of the epoch: the commit of the windows that the end of input closes.
    let troubles = overtaken_at("gold.per_minute", 1, 1_000);
    assert!(troubles.is_empty(), "{}", troubles.join("\n"));
}

#[test]
fn a_decision_about_time_does_not_pass_behind_the_commits_of_another_worker() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 30, 1)]);
    let mut setup = scene.setup_left_open();
    setup.streams[0].event_time.idle_after_us = 0;
    // The first commit is of the two notes, the second of nothing but that both partitions are idle.
    let append = || scene.append(TOPIC, &[note(0, "c", 600, 1)]);
    let troubles = overtaken(&scene, &setup, ("silver.notes", 1), append);
    assert!(troubles.is_empty(), "{troubles:?}");
    let books = rows::books(&scene.lake, "silver.notes");
    let watermark = |books: &Books| books.watermarks.as_ref().and_then(|watermarks| watermarks.stream_us);
    for pair in books.windows(2) {
        assert!(pair[0].totals.silver <= pair[1].totals.silver, "totals go back: {pair:?}");
        assert!(watermark(&pair[0]) <= watermark(&pair[1]), "the stream's watermark goes back: {pair:?}");
    }
    assert_eq!(books.last().map(|books| books.totals.silver), Some(3));
}

/// The version of silver that the checkpoint of its ids claims to cover.
fn ids_cover(scene: &Scene) -> Option<u64> {
    let what = format!("silver.{TOPIC}.ids");
    let identity = StateIdentity { pipeline: PIPELINE.into(), what, format: 1 };
    let mut store = StateStore::open(&scene.state_folder(), identity).expect("nobody else has it");
    let options = IndexOptions::new(store.dir());
    match store.load(&options).expect("readable") {
        Load::Loaded(loaded) => loaded.upto,
        Load::Rebuild(why) => panic!("there is no checkpoint: {why}"),
    }
}

/// The lake was put back to how it was before the first event; the state folder was not.
#[test]
fn a_checkpoint_that_is_ahead_of_its_table_is_not_believed() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one());
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let expected = rows::all(&scene.lake);
    assert!(ids_cover(&scene) >= Some(2), "it covers what the new silver does not have");
    let earlier = MemoryLake::default();
    let parts = Parts { lake: Arc::new(earlier.clone()), ..scene.parts() };
    assert_eq!(words(&live(&scene.setup(), &parts)), Vec::<String>::new());
    assert_eq!(rows::differences(&rows::all(&earlier), &expected), Vec::<String>::new());
}
