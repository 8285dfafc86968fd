//! What cannot be written for a while holds up nothing else: a gold table waits alone and is caught up, and so does the
//! copy of the books. And which windows the end of input closes.

use super::bent::BentLake;
use super::lives::{tables_of_one_life, wrong_tables};
use super::rows::{look, rows};
use super::scene::{PATIENCE, SECOND_US, START_US, Scene, TOPIC, live, note, part_one, unheard, words};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use watertight_adapters::memory::lake::{LakeCall, LakeFault};
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::schema::ModelDef;
use watertight_pipeline::runtime::{Condition, Health, Part, Parts, RunOutcome, RunUntil, Setup, Stop, run};

const FULL: &str = "the planted full disk";

/// An outside in which nothing can be written to `table` while the flag is set.
fn full(scene: &Scene, table: &'static str) -> (Parts, Arc<AtomicBool>) {
    let is_full = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&is_full);
    let lake = BentLake::before(&scene.lake, move |call, of| {
        if of == table && matches!(call, LakeCall::Stage | LakeCall::Commit) && flag.load(Ordering::SeqCst) {
            return Err(PortError::new(ErrorKind::Retry, FULL));
        }
        Ok(())
    });
    (Parts { lake: Arc::new(lake), ..scene.parts() }, is_full)
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never came about: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn waits(health: &Health, model: &str) -> bool {
    let condition = health.all().get(&Part::Model(model.into())).cloned();
    matches!(condition, Some(Condition::Waiting { error }) if error.contains(FULL))
}

/// Runs without an end of its own while `meanwhile` looks on, then asks it to stop; says how long that took.
fn run_while(setup: &Setup, parts: &Parts, health: &Health, meanwhile: impl FnOnce()) -> (RunOutcome, Duration) {
    let setup = Setup { until: RunUntil::default(), ..setup.clone() };
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| run(&setup, parts, health, &stop).expect("it begins"));
        // Also where `meanwhile` fails: else the scope would wait for ever.
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        let asked = Instant::now();
        stop.request();
        let outcome = running.join().expect("it does not panic");
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (outcome, asked.elapsed())
    })
}

fn two_models(scene: &Scene) -> Setup {
    let mut setup = scene.setup_left_open();
    let other = ModelDef { name: "others".into(), ..setup.models[0].clone() };
    setup.models.push(other);
    setup
}

fn count(scene: &Scene, table: &str) -> usize {
    look(&scene.lake, table).map_or(0, |_| rows(&scene.lake, table, &[]).len())
}

#[test]
fn a_model_that_cannot_be_written_holds_up_nothing_and_catches_up() {
    let calm = Scene::with_all_events();
    assert_eq!(words(&live(&two_models(&calm), &calm.parts())), Vec::<String>::new());
    let expected = rows(&calm.lake, "gold.per_minute", &[]);
    assert!(expected.len() >= 4, "{expected:?}");

    let scene = Scene::with_all_events();
    let (parts, is_full) = full(&scene, "gold.per_minute");
    let health = unheard();
    let (outcome, _) = run_while(&two_models(&scene), &parts, &health, || {
        eventually("silver is whole", || count(&scene, "silver.notes") == count(&calm, "silver.notes"));
        eventually("the other model is whole", || count(&scene, "gold.others") == expected.len());
        eventually("the model is seen waiting", || waits(&health, "per_minute"));
        assert_eq!(count(&scene, "gold.per_minute"), 0);
        is_full.store(false, Ordering::SeqCst);
        eventually("the model is whole", || count(&scene, "gold.per_minute") == expected.len());
        let running = |model: &str| health.all().get(&Part::Model(model.into())) == Some(&Condition::Running);
        eventually("the model is seen running", || running("per_minute") && running("others"));
    });
    assert!(outcome.failures.is_empty() && outcome.failed_models.is_empty(), "{outcome:?}");
    assert_eq!(rows(&scene.lake, "gold.per_minute", &[]), expected);
}

#[test]
fn a_stop_leaves_a_waiting_model_behind_and_the_next_life_catches_it_up() {
    let scene = Scene::with_all_events();
    let (parts, _is_full) = full(&scene, "gold.per_minute");
    let health = unheard();
    let (outcome, took) = run_while(&scene.setup(), &parts, &health, || {
        eventually("the model is seen waiting", || waits(&health, "per_minute"));
        eventually("silver is whole", || count(&scene, "silver.notes") == 20);
    });
    assert!(took < Duration::from_secs(5), "it took {took:?} to stop");
    assert!(outcome.failures.is_empty() && outcome.failed_models.is_empty(), "{outcome:?}");
    assert!(waits(&health, "per_minute"), "what was left undone is still shown");
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(wrong_tables(&scene, &tables_of_one_life()), Vec::<String>::new());
}

#[test]
fn a_run_until_caught_up_says_which_model_is_not_and_ends() {
    let scene = Scene::with_all_events();
    let (parts, _is_full) = full(&scene, "gold.per_minute");
    let said = words(&live(&scene.setup(), &parts));
    let expected = format!("model per_minute: not done when the run ended, and caught up at the next start: {FULL}");
    assert_eq!(said, [expected]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(wrong_tables(&scene, &tables_of_one_life()), Vec::<String>::new());
}

#[test]
fn a_lost_answer_of_gold_is_resolved_by_opening_it_again_and_no_window_is_written_twice() {
    let expected = tables_of_one_life();
    let mut skip = 0;
    loop {
        let scene = Scene::with_all_events();
        scene.lake.script(LakeFault::lose_answer(LakeCall::Commit).of("gold.per_minute").after(skip));
        let said = words(&live(&scene.setup(), &scene.parts()));
        if scene.lake.faults_left() > 0 {
            break;
        }
        assert_eq!(said, Vec::<String>::new(), "{skip}");
        assert_eq!(wrong_tables(&scene, &expected), Vec::<String>::new(), "{skip}");
        skip += 1;
    }
    assert!(skip >= 2, "{skip} commits only");
}

#[test]
fn a_run_that_cannot_copy_its_last_books_ends_all_the_same_and_the_next_completes_the_copy() {
    let scene = Scene::with_all_events();
    let (parts, _is_full) = full(&scene, "ops.commits");
    let began = Instant::now();
    assert_eq!(words(&live(&scene.setup(), &parts)), Vec::<String>::new());
    assert!(began.elapsed() < PATIENCE / 2, "it took {:?}", began.elapsed());
    assert_eq!(count(&scene, "ops.commits"), 0);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert!(count(&scene, "ops.commits") > 0);
    assert_eq!(wrong_tables(&scene, &tables_of_one_life()), Vec::<String>::new());
}

/// Where the stream's watermark stands, in seconds after the start.
fn watermark_s(scene: &Scene) -> i64 {
    let silver = look(&scene.lake, "silver.notes").expect("the table is there");
    let books = silver.state().last_append.clone().expect("it has rows");
    let us = books.watermarks.and_then(|watermarks| watermarks.stream_us).expect("it was declared");
    (us - START_US) / SECOND_US
}

#[test]
fn an_event_with_a_wrong_clock_keeps_its_window_open_and_makes_nothing_late() {
    let scene = Scene::new();
    let in_a_year = 365 * 86_400;
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "wrong", in_a_year, 1), note(0, "b", 30, 2)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(watermark_s(&scene), 60, "the end of the window of the largest time that is believed");
    assert_eq!(count(&scene, "gold.per_minute"), 1);
    scene.append(TOPIC, &[note(0, "c", 65, 1), note(0, "d", 130, 1)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let late = rows(&scene.lake, "silver.notes", &["_is_late_arriving"]);
    assert_eq!(late, ["_is_late_arriving=false"; 5]);
    assert_eq!(watermark_s(&scene), 180);
    assert_eq!(count(&scene, "gold.per_minute"), 3);
    // Nothing came: nothing is raised either.
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(watermark_s(&scene), 180);
}

#[test]
fn a_window_that_was_opened_too_early_is_closed_once_its_time_has_come() {
    let scene = Scene::new();
    scene.append(TOPIC, &part_one()); // Its h was an hour ahead of the log, and is long past by now.
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    assert_eq!(watermark_s(&scene), 4_020);
}
