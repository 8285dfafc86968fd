//! A definition that changes: what was begun under the old one is finished under it, and where the new one begins is
//! recorded.

use super::bent::BentLake;
use super::rows::{look, rows};
use super::scene::{DAY_US, Event, SECOND_US, START_US, Scene, TOPIC, live, note, stream, words};
use std::sync::Arc;
use watertight_core::port::EventLog;
use watertight_core::record::NewRecord;
use watertight_core::schema::{Check, Column, ColumnType, EventIdRule, StreamDef, TimestampForm};
use watertight_pipeline::runtime::{CommitBounds, Parts, Setup, Upto};

/// The same pipeline, whose check now wants the opposite, in epochs that take all there is.
fn turned(scene: &Scene, check: &str) -> Setup {
    let mut setup = scene.setup_left_open();
    setup.streams[0].checks = vec![Check { name: "small".into(), sql: check.into() }];
    Setup { bounds: CommitBounds { rows_max: 1_000, ..setup.bounds }, ..setup }
}

/// A life that ends between the first commit of dead letters and that of silver.
fn died_between(scene: &Scene) {
    let dying = BentLake::dying_at_commit(&scene.lake, "silver.notes", 1);
    let lived = live(&turned(scene, "n < 100"), &Parts { lake: Arc::new(dying), ..scene.parts() });
    assert_eq!(words(&lived), ["stream notes: the planted death"]);
}

fn row(offset: usize, version: i32) -> String {
    format!("_kafka_offset={offset}, _schema_version={version}")
}

/// Offset and version of each row.
fn judged(scene: &Scene, table: &str) -> Vec<String> {
    rows(&scene.lake, table, &["_kafka_offset", "_schema_version"])
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// What `ops.definitions` says of one version.
fn in_force_from(scene: &Scene, kind: &str, version: i32) -> String {
    let named = format!("kind={kind}, version={version}, in_force_from=");
    let all = rows(&scene.lake, "ops.definitions", &["kind", "version", "in_force_from"]);
    let found: Vec<&str> = all.iter().filter_map(|row| row.strip_prefix(&named)).collect();
    assert_eq!(found.len(), 1, "{named}: {all:?}");
    found[0].to_owned()
}

#[test]
fn a_record_whose_definition_changes_between_two_commits_is_in_one_table_by_the_old_one() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 500), note(0, "b", 1, 1), note(0, "c", 2, 2)]);
    died_between(&scene);
    assert_eq!(judged(&scene, "bronze.notes_dlq"), [row(0, 1)]);
    assert_eq!(judged(&scene, "silver.notes"), Vec::<String>::new());
    scene.append(TOPIC, &[note(0, "d", 3, 500), note(0, "e", 4, 1)]);
    assert_eq!(words(&live(&turned(&scene, "n > 100"), &scene.parts())), Vec::<String>::new());
    assert_eq!(judged(&scene, "bronze.notes_dlq"), [row(0, 1), row(4, 2)]);
    assert_eq!(judged(&scene, "silver.notes"), [row(1, 1), row(2, 1), row(3, 2)]);
    assert!(in_force_from(&scene, "stream", 2).contains(r#""positions":{"0":3}"#));
}

/// More event dates than a commit takes: the dead letters reach up to the first of those of the second commit, bronze
/// further.
#[test]
fn only_what_the_dead_letters_cover_is_finished_by_the_old_definition() {
    let scene = Scene::new();
    scene.clock.set(START_US + 100 * DAY_US);
    let day = |n: i64| note(0, &format!("id-{n}"), n * DAY_US / SECOND_US, 1);
    let events: Vec<Event> = [note(0, "bad", 0, 500)].into_iter().chain((0..70).map(day)).collect();
    scene.append(TOPIC, &events);
    died_between(&scene);
    assert_eq!(judged(&scene, "bronze.notes_dlq"), [row(0, 1)]);
    assert_eq!(words(&live(&turned(&scene, "n > 100"), &scene.parts())), Vec::<String>::new());
    let by_the_old: Vec<String> = (1..65).map(|offset| row(offset, 1)).collect();
    assert_eq!(judged(&scene, "silver.notes"), sorted(by_the_old));
    let letters: Vec<String> = [row(0, 1)].into_iter().chain((65..71).map(|offset| row(offset, 2))).collect();
    assert_eq!(judged(&scene, "bronze.notes_dlq"), sorted(letters));
    assert!(in_force_from(&scene, "stream", 2).contains(r#""positions":{"0":65}"#));
}

#[test]
fn what_an_earlier_life_of_the_topic_left_is_finished_by_the_definition_of_that_life() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 500), note(0, "b", 1, 1), note(0, "c", 2, 2)]);
    died_between(&scene);
    scene.append(TOPIC, &[note(0, "d", 3, 500), note(0, "e", 4, 1)]);
    let bronze_only = Setup { upto: Upto::Bronze, ..turned(&scene, "n < 100") };
    assert_eq!(words(&live(&bronze_only, &scene.parts())), Vec::<String>::new());
    scene.make_anew();
    scene.append(TOPIC, &[note(0, "f", 5, 500), note(0, "g", 6, 1)]);
    // Bronze alone begins under the new definition; what the earlier life left has the old one all the same.
    let bronze_only = Setup { upto: Upto::Bronze, ..turned(&scene, "n > 100") };
    for setup in [bronze_only, turned(&scene, "n > 100")] {
        assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    }
    assert_eq!(judged(&scene, "bronze.notes_dlq"), [row(0, 1), row(1, 2), row(3, 1)]);
    assert_eq!(judged(&scene, "silver.notes"), [row(0, 2), row(1, 1), row(2, 1), row(4, 1)]);
    let from = in_force_from(&scene, "stream", 2);
    assert!(from.contains(r#""incarnation":"log-000001""#) && from.contains(r#""positions":{}"#), "{from}");
}

#[test]
fn without_the_definition_of_an_earlier_life_its_stream_stops_and_says_which_it_needs() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1)]);
    died_between(&scene);
    scene.make_anew();
    let unreadable = BentLake::reading(&scene.lake, |table, batch| match table {
        "ops.definitions" => batch.slice(0, 0),
        _ => batch,
    });
    let lived = live(&turned(&scene, "n > 100"), &Parts { lake: Arc::new(unreadable), ..scene.parts() });
    let said = words(&lived);
    let needed = "silver of stream notes does not have yet; version 1 of the definition was in force then";
    assert!(said.len() == 1 && said[0].contains(needed) && said[0].contains("bring ops.definitions back"), "{said:?}");
    assert_eq!(judged(&scene, "silver.notes"), Vec::<String>::new());
}

#[test]
fn nothing_is_left_to_the_old_definition_where_nothing_was_begun_under_it() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 500), note(0, "b", 1, 1)]);
    assert_eq!(words(&live(&turned(&scene, "n < 100"), &scene.parts())), Vec::<String>::new());
    scene.append(TOPIC, &[note(0, "c", 2, 500)]);
    assert_eq!(words(&live(&turned(&scene, "n > 100"), &scene.parts())), Vec::<String>::new());
    assert_eq!(judged(&scene, "bronze.notes_dlq"), [row(0, 1)]);
    assert_eq!(judged(&scene, "silver.notes"), [row(1, 1), row(2, 2)]);
}

#[test]
fn a_model_is_in_force_from_silvers_positions_and_the_windows_that_are_not_written() {
    let scene = Scene::new();
    scene.append(TOPIC, &[note(0, "a", 0, 1), note(0, "b", 70, 2)]);
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let mut setup = scene.setup();
    setup.models[0].sql = setup.models[0].sql.replace("sum(n)", "sum(n + 1)");
    scene.append(TOPIC, &[note(0, "c", 130, 3)]);
    assert_eq!(words(&live(&setup, &scene.parts())), Vec::<String>::new());
    let (first, second) = (in_force_from(&scene, "model", 1), in_force_from(&scene, "model", 2));
    assert!(first.contains(r#""positions":{}"#) && first.contains(r#""closed_until_us":null"#), "{first}");
    let closed = format!(r#""closed_until_us":{}"#, START_US + 120 * SECOND_US);
    assert!(second.contains(r#""positions":{"0":2,"1":0}"#) && second.contains(&closed), "{second}");
}

#[test]
fn a_definition_reads_back_from_what_is_kept_of_it() {
    let mut def: StreamDef = stream(TOPIC);
    let decimal = ColumnType::Decimal { precision: 38, scale: 4 };
    let kinds = [
        ColumnType::Boolean,
        ColumnType::Int,
        ColumnType::Float,
        ColumnType::Double,
        decimal.clone(),
        ColumnType::Date,
        ColumnType::Binary,
        ColumnType::Timestamp(TimestampForm::Rfc3339),
        ColumnType::List(Box::new(ColumnType::Struct(vec![("a".into(), decimal), ("b".into(), ColumnType::Long)]))),
    ];
    def.columns.extend(kinds.into_iter().enumerate().map(|(n, kind)| Column {
        name: format!("column_{n}"),
        kind,
        required: false,
        path: vec!["deep".into(), format!("er {n}")],
    }));
    for rule in [EventIdRule::Column("id".into()), EventIdRule::Hash(vec!["id".into(), "n".into()])] {
        def.event_id = rule;
        let text = serde_json::to_string(&def).expect("serialises");
        assert_eq!(serde_json::from_str::<StreamDef>(&text).expect("reads"), def);
    }
}

#[test]
fn rows_with_fields_that_the_definition_does_not_name_are_counted() {
    let scene = Scene::new();
    let at = START_US / 1_000;
    let append = |value: String| {
        let value = Some(value.as_bytes());
        let record = NewRecord { key: None, value, headers: &[], timestamp_ms: at };
        scene.log.append(TOPIC, 0, &[record]).expect("appended");
    };
    append(format!(r#"{{"id":"a","at":{at},"n":1}}"#));
    append(format!(r#"{{"id":"b","at":{at},"n":1,"more":1,"still more":[2]}}"#));
    append(format!(r#"{{"id":"b","at":{at},"n":1,"more":1}}"#));
    append(format!(r#"{{"id":"c","at":{at},"n":500,"more":1}}"#));
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new());
    let silver = look(&scene.lake, "silver.notes").expect("the table is there");
    let totals = silver.state().last_append.as_ref().expect("it has rows").totals;
    assert_eq!((totals.silver, totals.duplicates, totals.dead_letters, totals.unknown_fields), (2, 1, 1, 1));
}
