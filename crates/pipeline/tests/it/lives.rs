//! A process that is started three times over the same log and lake, in a way that uses every path of a start.
//!
//! The first life reads part one and ends as asked. The second finds its state folder lost, reads part two, and dies
//! between bronze and silver. The third finds the first one's state folder, which by now is old: it catches silver up
//! from bronze, ids and open windows from silver, and goes on to the end.

use super::bent::BentLake;
use super::rows::{self, Tables, books_not_copied_once, differences};
use super::scene::{Scene, TOPIC, live, part_one, part_two, words};
use std::sync::Arc;
use watertight_pipeline::runtime::{Parts, Setup};

/// What the tables hold when everything was read in one life without a fault.
pub(crate) fn tables_of_one_life() -> Tables {
    let scene = Scene::with_all_events();
    let said = words(&live(&scene.setup(), &scene.parts()));
    assert!(said.is_empty(), "{said:?}");
    rows::all(&scene.lake)
}

/// Lives the three lives; says what went otherwise than it should.
pub(crate) fn three_lives(scene: &Scene) -> Vec<String> {
    let mut troubles = Vec::new();
    let mut expect = |life: &str, said: Vec<String>, planted: &[&str]| {
        if said != planted {
            troubles.push(format!("the {life} life ended with {said:?}"));
        }
    };
    let first = scene.setup_left_open();
    scene.append(TOPIC, &part_one());
    expect("first", words(&live(&first, &scene.parts())), &[]);
    scene.append(TOPIC, &part_two());
    let second = Setup { state_dir: scene.other_state().to_owned(), ..first };
    let dying = BentLake::dying_at_commit(&scene.lake, "silver.notes", 2);
    let dying = Parts { lake: Arc::new(dying), ..scene.parts() };
    expect("second", words(&live(&second, &dying)), &["stream notes: the planted death"]);
    expect("third", words(&live(&scene.setup(), &scene.parts())), &[]);
    troubles
}

/// Where the tables are not what they should be. No fault may be left.
pub(crate) fn wrong_tables(scene: &Scene, expected: &Tables) -> Vec<String> {
    let mut wrong = differences(&rows::all(&scene.lake), expected);
    wrong.extend(books_not_copied_once(scene));
    wrong
}

#[test]
fn three_lives_leave_the_tables_that_one_would_have_left() {
    let scene = Scene::new();
    assert_eq!(three_lives(&scene), Vec::<String>::new());
    assert_eq!(wrong_tables(&scene, &tables_of_one_life()), Vec::<String>::new());
}

/// Else the comparisons would show less than they claim.
#[test]
fn the_events_bring_every_outcome_and_several_windows_and_days() {
    let tables = tables_of_one_life();
    let count = |table: &str, part: &str| tables[table].iter().filter(|row| row.contains(part)).count();
    assert_eq!(tables["bronze.notes"].len(), part_one().len() + part_two().len());
    assert_eq!(tables["bronze.notes_dlq"].len(), 5);
    for reason in ["invalid_json", "check:small", "tombstone", "missing_event_id", "not_an_object"] {
        assert_eq!(count("bronze.notes_dlq", reason), 1, "{reason}: {:?}", tables["bronze.notes_dlq"]);
    }
    assert_eq!(tables["silver.notes"].len(), 20, "three of the valid ones are duplicates");
    assert_eq!(count("silver.notes", "_is_late_arriving=true"), 2, "f and r");
    assert_eq!(count("silver.notes", "future_event_time"), 1, "h");
    assert_eq!(count("silver.notes", "_event_date=2026-03-02"), 6, "m, n, o, s, t, u");
    assert!(tables["gold.per_minute"].len() >= 8, "{:?}", tables["gold.per_minute"]);
    assert_eq!(tables["ops.definitions"].len(), 2, "the stream and its model");
}
