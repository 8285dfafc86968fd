//! What does not add up stops the stream before anything is committed, and is named to the offset.

use super::bent::{BentLake, BentLog};
use super::rows::{self, look};
use super::scene::{DAY_US, NOW_US, PIPELINE, START_US, Scene, TOPIC, live, note, raw, stream, unheard, words};
use arrow::datatypes::Schema;
use std::sync::Arc;
use watertight_core::books::Imbalance;
use watertight_core::port::{Fetched, Gap, GapCause, Lake, LakeTable, TableSpec};
use watertight_core::record::Records;
use watertight_core::schema::{BRONZE_PARTITION, DLQ_PARTITION, dlq_schema, silver_schema};
use watertight_pipeline::feed::Chunk;
use watertight_pipeline::runtime::{CommitBounds, CommitFailure, Parts, Setup, Stop, StreamIdentity};
use watertight_pipeline::silver::{GapsTable, Judge, KnownIds, SilverCommit, SilverStage, StreamTime};

/// Loses the last record and still claims its offset.
fn without_last_record(mut fetched: Fetched) -> Fetched {
    let (whole, mut records) = (fetched.records, Records::default());
    for (row, meta) in whole.metas().iter().enumerate().take(whole.len().saturating_sub(1)) {
        let Some(value) = whole.value(row) else { continue };
        records.push(meta.offset, meta.timestamp_ms, meta.leader_epoch, whole.key(row), Some(value), None);
    }
    fetched.records = records;
    fetched
}

fn is_untouched(table: &dyn LakeTable) -> bool {
    let state = table.state();
    let files = table.live_files().expect("no fault is left");
    state.last_append.is_none() && state.positions.is_empty() && files.is_empty()
}

#[test]
fn a_fetch_that_does_not_balance_stops_the_stream_and_nothing_is_committed() {
    let scene = Scene::new();
    scene.append(TOPIC, &(0..3).map(|n| note(0, &format!("id-{n}"), n, 1)).collect::<Vec<_>>());
    let log = Arc::new(BentLog::new(&scene.log, without_last_record));
    let said = words(&live(&scene.setup(), &Parts { log, ..scene.parts() }));
    assert_eq!(said.len(), 1, "{said:?}");
    let named = "stream notes: the books of partition 0 do not balance over 0..3: \
                 3 offsets, but 2 records + 0 without + 0 lost; this is a defect in watertight, nothing of it was committed";
    assert!(said[0].starts_with(named), "{said:?}");
    for table in ["bronze.notes", "bronze.notes_dlq", "silver.notes", "gold.per_minute"] {
        assert!(is_untouched(look(&scene.lake, table).expect("opened at the start").as_ref()), "{table}");
    }
}

/// Silver of the scene, with tables that are new.
fn silver_stage(scene: &Scene) -> SilverStage {
    let def = stream(TOPIC);
    let open = |schema_name: &str, table: &str, columns: Schema, partition_column: &str| {
        let spec = TableSpec {
            schema_name: schema_name.into(),
            table: table.into(),
            columns: Arc::new(columns),
            partition_column: partition_column.into(),
            pipeline: PIPELINE.into(),
        };
        scene.lake.open(&spec).expect("a new table")
    };
    let silver = open("silver", TOPIC, silver_schema(&def), BRONZE_PARTITION);
    let dead_letters = open("bronze", "notes_dlq", dlq_schema(), DLQ_PARTITION);
    let known =
        KnownIds::open(&scene.state_folder(), PIPELINE, TOPIC, silver.as_ref(), &|_, _| ()).expect("an empty index");
    let judge = Judge::new(&def, known.hasher()).expect("a definition that works");
    let time = StreamTime::resume(&def.event_time, None);
    let identity =
        StreamIdentity { pipeline: PIPELINE.into(), topic: TOPIC.into(), incarnation: "i".into(), definition: 1 };
    let gaps = GapsTable::new(Arc::new(scene.lake.clone()), PIPELINE, TOPIC);
    SilverStage::new(silver, dead_letters, gaps, identity, judge, time, known)
}

#[test]
fn silver_stops_on_a_stretch_that_does_not_balance_and_commits_no_dead_letter_either() {
    let scene = Scene::new();
    let mut stage = silver_stage(&scene);
    let mut records = Records::default();
    (5..8).for_each(|offset| records.push(offset, 0, -1, None, Some(b"not json"), None));
    let chunk = Chunk::new("i".into(), 1, (5, 9), records, Vec::new(), NOW_US);
    let (health, stop) = (unheard(), Stop::default());
    let mut on_commit = |_: SilverCommit| -> Result<(), CommitFailure> { panic!("it was committed") };
    let failure = stage.process(&[chunk], &scene.committer(&health, &stop), &mut on_commit).expect_err("planted");
    let CommitFailure::Imbalance(found) = &failure else { panic!("another failure: {failure}") };
    assert!(matches!(found, Imbalance::Entry { partition: 1, from: 5, to: 9, .. }), "{found}");
    for table in ["silver.notes", "bronze.notes_dlq"] {
        assert!(is_untouched(look(&scene.lake, table).expect("opened above").as_ref()), "{table}");
    }
}

#[test]
fn a_bronze_file_that_lacks_a_row_stops_the_catching_up_and_is_named() {
    let scene = Scene::new();
    scene.append(TOPIC, &(0..3).map(|n| note(0, &format!("id-{n}"), n, 1)).collect::<Vec<_>>());
    let dying = Arc::new(BentLake::dying_at_commit(&scene.lake, "silver.notes", 1));
    let said = words(&live(&scene.setup(), &Parts { lake: dying, ..scene.parts() }));
    assert_eq!(said, ["stream notes: the planted death"]);
    let torn = BentLake::reading(&scene.lake, |table, batch| match table {
        "bronze.notes" => batch.slice(0, batch.num_rows() - 1),
        _ => batch,
    });
    let said = words(&live(&scene.setup(), &Parts { lake: Arc::new(torn), ..scene.parts() }));
    assert_eq!(said.len(), 1, "{said:?}");
    let named = "stream notes: bronze version 1: partition 0 should cover 0..3 but its files hold 2 records";
    assert!(said[0].starts_with(named), "{said:?}");
    assert!(is_untouched(look(&scene.lake, "silver.notes").expect("opened at the start").as_ref()));
    assert_eq!(words(&live(&scene.setup(), &scene.parts())), Vec::<String>::new(), "the file is whole again");
    assert_eq!(rows::rows(&scene.lake, "silver.notes", &[]).len(), 3);
}

#[test]
fn a_row_that_is_lost_on_the_way_into_a_file_stops_the_commit_and_nothing_of_it_is_there() {
    let events =
        [note(0, "a", 0, 1), raw(0, Some("[]"), 1), note(0, "b", 120, 1), raw(0, None, 2), note(0, "c", 240, 1)];
    let said_of = |of: &str, over: &str, rows: u64| {
        let held = rows - 1;
        format!(
            "the books of {of} do not balance{over}: it adds {rows} rows, but its files hold {held}; this is a defect"
        )
    };
    for (table, named) in [
        ("bronze.notes", format!("stream notes: {}", said_of("bronze", " over 0..5 of partition 0", 5))),
        ("bronze.notes_dlq", format!("stream notes: {}", said_of("dead letters", " over 0..5 of partition 0", 2))),
        ("silver.notes", format!("stream notes: {}", said_of("silver", " over 0..5 of partition 0", 3))),
        ("gold.per_minute", format!("model per_minute: {}", said_of("gold", "", 3))),
    ] {
        let scene = Scene::new();
        scene.append(TOPIC, &events);
        let lake = BentLake::staging(&scene.lake, move |of, rows| {
            let kept = rows.num_rows() - usize::from(of == table);
            rows.slice(0, kept)
        });
        let setup = scene.setup();
        let setup = Setup { bounds: CommitBounds { rows_max: 100, ..setup.bounds }, ..setup };
        let said = words(&live(&setup, &Parts { lake: Arc::new(lake), ..scene.parts() }));
        assert!(said.len() == 1 && said[0].starts_with(&named), "{table}: {said:?}");
        assert!(is_untouched(look(&scene.lake, table).expect("opened").as_ref()), "{table}");
    }
}

#[test]
fn a_gap_before_the_record_at_which_a_commit_is_cut_is_entered_once() {
    let scene = Scene::new();
    let mut stage = silver_stage(&scene);
    let record = |records: &mut Records, offset: i64, day: i64| {
        let at_ms = (START_US + day * DAY_US) / 1_000;
        let value = format!(r#"{{"id":"id-{offset}","at":{at_ms},"n":1}}"#);
        records.push(offset, at_ms, -1, None, Some(value.as_bytes()), None);
    };
    let (mut first, mut second) = (Records::default(), Records::default());
    (0..64).for_each(|offset| record(&mut first, offset, offset));
    record(&mut second, 69, 64);
    let gap = Gap { from: 64, to: 69, cause: GapCause::NoRecord };
    let chunks = [
        Chunk::new("i".into(), 0, (0, 64), first, Vec::new(), NOW_US),
        Chunk::new("i".into(), 0, (64, 70), second, vec![gap], NOW_US),
    ];
    let (health, stop) = (unheard(), Stop::default());
    let mut on_commit = |_: SilverCommit| -> Result<(), CommitFailure> { Ok(()) };
    stage.process(&chunks, &scene.committer(&health, &stop), &mut on_commit).expect("it balances");
    let commits = stage.table().commits_after(Some(0)).expect("no fault is left");
    let books: Vec<_> = commits.into_iter().filter_map(|commit| commit.books).collect();
    let entries: Vec<_> = books.iter().flat_map(|books| &books.entries).map(|entry| (entry.from, entry.to)).collect();
    assert_eq!(entries, [(0, 64), (64, 70)]);
    let totals = books.last().expect("two commits").totals;
    assert_eq!((totals.records, totals.no_record, totals.silver), (65, 5, 65));
}
