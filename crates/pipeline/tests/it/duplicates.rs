//! A duplicate that comes a day later, when the watermark has long passed its time.

use super::rows::{look, rows};
use super::scene::{Event, Scene, TOPIC, live, logged_at, note, words};
use watertight_core::port::EventLog;
use watertight_pipeline::runtime::Setup;

/// A day, in the seconds of notes.
const DAY: i64 = 86_400;
/// Of silver, all that does not depend on how many records were in the log.
const SILVER: [&str; 7] =
    ["id", "at", "n", "_event_time", "_is_late_arriving", "_arrival_delay_seconds", "_kafka_partition"];

fn the_first_day() -> Vec<Event> {
    vec![note(0, "a", 0, 1), note(0, "b", 30, 2), note(1, "c", 20, 3)]
}

/// Takes the watermarks of both partitions to the next day; "e" is late there.
fn the_next_day() -> Vec<Event> {
    let late = logged_at(DAY + 210, note(0, "e", 40, 6));
    vec![note(0, "d", DAY + 200, 4), note(1, "f", DAY + 205, 5), late]
}

/// What came on the first day, once more: the same bytes in the same and in another partition, and the same ids with
/// other bytes and a time of the next day.
fn sent_again() -> Vec<Event> {
    vec![
        logged_at(DAY + 220, note(0, "a", 0, 1)),
        logged_at(DAY + 220, note(1, "b", 30, 2)),
        note(1, "c", DAY + 220, 7),
        note(0, "a", DAY + 221, 8),
    ]
}

fn the_last() -> Vec<Event> {
    vec![note(0, "g", DAY + 400, 9), note(1, "h", DAY + 400, 10)]
}

/// Silver and gold of a pipeline to which nothing was sent again.
fn without_duplicates() -> (Vec<String>, Vec<String>) {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    [the_first_day(), the_next_day(), the_last()].iter().for_each(|events| scene.append(TOPIC, events));
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    tables(&scene)
}

fn tables(scene: &Scene) -> (Vec<String>, Vec<String>) {
    (rows(&scene.lake, "silver.notes", &SILVER), rows(&scene.lake, "gold.per_minute", &[]))
}

/// One life for each part; `lost` is what happens to the state folder between them.
fn in_lives(parts: &[Vec<Event>], lost: bool) -> Scene {
    let scene = Scene::new();
    scene.log.create_topic(TOPIC, 2).expect("a second partition");
    for (number, events) in parts.iter().enumerate() {
        scene.append(TOPIC, events);
        let last = number + 1 == parts.len();
        let setup = if last { scene.setup() } else { scene.setup_left_open() };
        let elsewhere = Setup { state_dir: scene.other_state().to_owned(), ..setup.clone() };
        let setup = if lost && last { elsewhere } else { setup };
        assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new(), "life {number}");
    }
    scene
}

#[test]
fn an_event_sent_again_a_day_later_behind_the_watermark_is_a_duplicate_whatever_became_of_the_state() {
    let expected = without_duplicates();
    assert_eq!(expected.0.len(), 8);
    let late: Vec<&String> = expected.0.iter().filter(|row| row.contains("_is_late_arriving=true")).collect();
    assert!(late.len() == 1 && late[0].contains("id=e"), "the watermark has passed the first day: {late:?}");
    let one_life = [[the_first_day(), the_next_day(), sent_again(), the_last()].concat()];
    let two_lives = [[the_first_day(), the_next_day()].concat(), [sent_again(), the_last()].concat()];
    for (parts, lost) in [(&one_life[..], false), (&two_lives[..], false), (&two_lives[..], true)] {
        let scene = in_lives(parts, lost);
        assert_eq!(tables(&scene), expected, "{} lives, state lost: {lost}", parts.len());
        let silver = look(&scene.lake, "silver.notes").expect("the table is there");
        let totals = silver.state().last_append.as_ref().expect("it committed").totals;
        assert_eq!((totals.records, totals.silver, totals.duplicates, totals.dead_letters), (12, 8, 4, 0));
        assert_eq!(rows(&scene.lake, "bronze.notes", &["_raw_value"]).len(), 12, "bronze keeps all of them");
    }
}
