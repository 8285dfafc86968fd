//! A panic stops everything by name; a full disk stops nothing.

use super::bent::BentLake;
use super::lives::{tables_of_one_life, wrong_tables};
use super::scene::{Scene, live, live_watched, note, stream, unheard, words};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use watertight_adapters::memory::lake::{LakeCall, LakeFault};
use watertight_core::port::{ErrorKind, EventLog};
use watertight_pipeline::runtime::{Condition, Health, Part, Parts, RunUntil, Setup};

fn said_of(thread: &str) -> String {
    format!(
        "{thread} panicked: the planted panic; this is a defect in watertight, nothing that was committed is \
         affected: please report it"
    )
}

fn panicking(scene: &Scene, at: LakeCall, table: &'static str) -> Parts {
    let lake = BentLake::before(&scene.lake, move |call, of| {
        assert!(call != at || of != table, "the planted panic");
        Ok(())
    });
    Parts { lake: Arc::new(lake), ..scene.parts() }
}

#[test]
fn a_panic_in_one_stream_stops_the_others_and_is_named() {
    let mut expected = tables_of_one_life();
    expected.remove("ops.definitions"); // There are those of another stream, too.
    for (at, table) in [
        (LakeCall::Stage, "silver.notes"),
        (LakeCall::Commit, "bronze.notes_dlq"),
        (LakeCall::Stage, "gold.per_minute"),
        (LakeCall::Open, "bronze.notes"),
    ] {
        let scene = Scene::with_all_events();
        scene.log.create_topic("others", 2).expect("a topic");
        scene.append("others", &[note(0, "z", 0, 1)]);
        let endless = RunUntil { caught_up: false, close_windows: false, ..scene.setup().until };
        let mut setup = Setup { until: endless, ..scene.setup() };
        setup.streams.push(stream("others"));
        let health = unheard();
        let said = words(&live_watched(&setup, &panicking(&scene, at, table), &health));
        assert_eq!(said, [said_of("stream notes")], "{at:?} {table}");
        assert_eq!(health.all().get(&Part::Stream("others".into())), Some(&Condition::Done), "{at:?} {table}");
        assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
        let wrong = wrong_tables(&scene, &expected);
        assert!(wrong.is_empty(), "{at:?} {table}: {wrong:?}");
    }
}

#[test]
fn a_panic_in_the_last_copy_of_the_books_is_named_too() {
    let scene = Scene::with_all_events();
    let parts = panicking(&scene, LakeCall::Stage, "ops.commits");
    let lived = catch_unwind(AssertUnwindSafe(|| words(&live(&scene.setup(), &parts))));
    let said = lived.unwrap_or_else(|_| vec!["it came out of the run itself".to_owned()]);
    assert_eq!(said, [said_of("ops")]);
}

/// A health that notes everything that was waited for.
fn noting(waits: &Arc<Mutex<Vec<String>>>) -> Health {
    let waits = Arc::clone(waits);
    Health::new(Box::new(move |conditions| {
        for condition in conditions.values() {
            if let Condition::Waiting { error } = condition {
                waits.lock().expect("nobody panicked").push(error.clone());
            }
        }
    }))
}

#[test]
fn a_full_disk_passes_by_itself_and_is_shown_while_it_lasts() {
    let expected = tables_of_one_life();
    for table in ["bronze.notes", "bronze.notes_dlq", "silver.notes", "gold.per_minute", "ops.definitions"] {
        for call in [LakeCall::Stage, LakeCall::Commit] {
            let scene = Scene::with_all_events();
            (0..3).for_each(|_| scene.lake.script(LakeFault::reject(call, ErrorKind::Retry).of(table)));
            let waits = Arc::new(Mutex::new(Vec::new()));
            let health = noting(&waits);
            let said = words(&live_watched(&scene.setup(), &scene.parts(), &health));
            assert_eq!(said, Vec::<String>::new(), "{call:?} {table}");
            assert_eq!(scene.lake.faults_left(), 0, "{call:?} {table}: it was tried until it worked");
            assert_eq!(wrong_tables(&scene, &expected), Vec::<String>::new(), "{call:?} {table}");
            let shown = format!("scripted fault at {call:?} of {table}");
            let waits = waits.lock().expect("nobody panicked");
            assert!(waits.iter().any(|error| error.contains(&shown)), "{call:?} {table}: {waits:?}");
            let after = health.all();
            assert!(after.values().all(|condition| *condition == Condition::Done), "{after:?}");
        }
    }
}
