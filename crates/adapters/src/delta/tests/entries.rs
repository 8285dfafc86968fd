//! Log entries: what they hold, damage, racing writers.

use crate::contract::lake::{DeltaBench, LakeBench, request, rows_of, some_rows, spec, step};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::sync::Barrier;
use std::thread;
use watertight_core::port::{CommitOutcome, ErrorKind, LakeTable, TableSpec};

fn actions(bench: &DeltaBench, version: u64) -> Vec<Value> {
    let text = fs::read_to_string(bench.entry(version)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn commits(bench: &DeltaBench, count: i64) -> Box<dyn LakeTable> {
    let mut table = bench.lake().open(&spec()).unwrap();
    for n in 0..count {
        let file = table.stage(3, &some_rows(n, 1, 3)).unwrap();
        let from = (n > 0).then_some(n);
        table.commit(&request(&format!("c{n}"), vec![step(0, from, n + 1)], vec![file])).unwrap();
    }
    table
}

#[test]
fn version_0_sets_protocol_and_properties_and_never_lets_positions_expire() {
    let bench = DeltaBench::new();
    bench.lake().open(&spec()).unwrap();
    let actions = actions(&bench, 0);
    assert_eq!(actions[1], json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}));
    let metadata = &actions[2]["metaData"];
    let expected = json!({
        "watertight.pipeline": spec().pipeline,
        "delta.enableExpiredLogCleanup": "false",
        "delta.logRetentionDuration": "interval 3650 days",
    });
    assert_eq!(metadata["configuration"].as_object().unwrap().len(), 3);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&metadata["configuration"][key], value);
    }
    assert_eq!(metadata["partitionColumns"], json!(["_event_date"]));
    assert_eq!(metadata["format"], json!({"provider": "parquet", "options": {}}));
}

#[test]
fn an_entry_has_what_spark_and_we_read() {
    let bench = DeltaBench::new();
    let table = commits(&bench, 1);
    let actions = actions(&bench, 1);
    let info = &actions[0]["commitInfo"];
    assert_eq!(info["timestamp"].as_i64(), Some(1_700_000_000_123));
    for (key, value) in info["operationMetrics"].as_object().unwrap() {
        assert!(value.is_string(), "{key}");
    }
    assert_eq!((&info["watertight"]["commit_id"], &info["watertight"]["log_actions"]), (&json!("c0"), &json!(3)));
    let app_id = step(0, None, 1).key.app_id();
    assert_eq!(actions[1]["txn"], json!({"appId": app_id, "version": 1, "lastUpdated": 1_700_000_000_123_i64}));
    let add = &actions[2]["add"];
    assert_eq!(add["partitionValues"], json!({"_event_date": "1970-01-04"}));
    assert!(add["path"].as_str().unwrap().starts_with("_event_date=1970-01-04/part-0000000001-"));
    let live = &table.live_files().unwrap()[0];
    assert_eq!((add["size"].as_u64(), add["stats"].as_str()), (Some(live.size), Some(live.stats.as_str())));
}

#[test]
fn a_torn_newest_entry_is_refused_and_never_written_over() {
    let bench = DeltaBench::new();
    let mut table = commits(&bench, 3);
    let whole = fs::read(bench.entry(3)).unwrap();
    let lines: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let mut behind = bench.lake().open(&spec()).unwrap();
    for cut in [0, 10, lines[0] + 1, lines[1] + 1, lines[2] - 1] {
        // A writer that stands before the torn version, and one that is just starting.
        fs::write(bench.entry(4), whole.get(..cut).unwrap()).unwrap();
        assert_eq!(behind.refresh().unwrap_err().kind, ErrorKind::Corrupt, "cut at {cut}");
        let asked = request("late", vec![step(0, Some(3), 4)], vec![]);
        assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Corrupt, "cut at {cut}");
        let error = bench.lake().open(&spec()).err().unwrap();
        assert!(error.kind == ErrorKind::Corrupt && error.message.contains("00004.json"), "{error}");
        assert_eq!(fs::read(bench.entry(4)).unwrap(), whole[..cut]);
        fs::remove_file(bench.entry(4)).unwrap();
    }
    assert_eq!(table.commit(&request("c", vec![step(0, Some(3), 4)], vec![])).unwrap(), CommitOutcome::Committed(4));
}

#[test]
fn a_missing_entry_below_the_newest_is_damage() {
    let bench = DeltaBench::new();
    commits(&bench, 3);
    fs::remove_file(bench.entry(2)).unwrap();
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Corrupt);
    fs::remove_file(bench.entry(0)).unwrap();
    assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop);
}

#[test]
fn a_table_of_another_program_is_refused_and_left_alone() {
    let bench = DeltaBench::new();
    fs::create_dir_all(bench.log()).unwrap();
    let schema = r#"{"type":"struct","fields":[{"name":"_event_date","type":"date","nullable":true,"metadata":{}}]}"#;
    let text = [
        json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
        json!({"metaData": {"id": "x", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
            "partitionColumns": ["_event_date"], "configuration": {}, "createdTime": 0}}),
    ];
    let text: String = text.iter().map(|action| format!("{action}\n")).collect();
    fs::write(bench.entry(0), &text).unwrap();
    let error = bench.lake().open(&spec()).err().unwrap();
    assert!(error.kind == ErrorKind::Stop && error.message.contains("watertight.pipeline"), "{error}");
    assert!(bench.lake().look("silver", "ticks").unwrap().is_some());
    assert_eq!((bench.newest(), fs::read_to_string(bench.entry(0)).unwrap()), (0, text));
}

#[test]
fn a_protocol_upgrade_or_unreadable_books_stop_the_table() {
    for action in [
        json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7}}),
        json!({"commitInfo": {"watertight": {"format": 2, "kind": "append", "commit_id": "n", "pipeline": "p"}}}),
        json!({"txn": {"appId": step(0, None, 1).key.app_id(), "version": 9}}),
    ] {
        let bench = DeltaBench::new();
        let mut table = commits(&bench, 1);
        bench.write_entry(&[action]);
        assert_eq!(table.refresh().unwrap_err().kind, ErrorKind::Stop);
        assert_eq!(bench.lake().open(&spec()).err().unwrap().kind, ErrorKind::Stop);
    }
}

#[test]
fn a_table_that_asks_for_a_newer_writer_is_read_and_not_written() {
    let bench = DeltaBench::new();
    let state = commits(&bench, 2).state().clone();
    // In an entry of ours, below a commit of ours: nothing but the version itself speaks against it.
    let text = fs::read_to_string(bench.entry(0)).unwrap();
    fs::write(bench.entry(0), text.replace("\"minWriterVersion\":2", "\"minWriterVersion\":7")).unwrap();
    let error = bench.lake().open(&spec()).err().unwrap();
    assert!(error.kind == ErrorKind::Stop && error.message.contains("writer version 7"), "{error}");
    assert_eq!(bench.lake().look("silver", "ticks").unwrap().unwrap().state(), &state);
}

#[test]
fn two_writers_racing_commit_each_position_exactly_once() {
    const PER_WRITER: i64 = 100;
    let bench = DeltaBench::new();
    bench.lake().open(&spec()).unwrap();
    let barrier = Barrier::new(2);
    // Both move partition 0, against each other, and each its own partition.
    let race = |own: i32| {
        let mut table = bench.lake().open(&spec()).unwrap();
        barrier.wait();
        let (mut won, mut own_at) = (0, None);
        while won < PER_WRITER {
            let shared = table.state().positions.get(&step(0, None, 0).key).copied();
            let (first, next) = (shared.unwrap_or(0), shared.unwrap_or(0) + 1);
            let file = table.stage(3, &some_rows(first, 1, 3)).unwrap();
            let steps = vec![step(0, shared, next), step(own, own_at, own_at.unwrap_or(0) + 1)];
            match table.commit(&request(&format!("w{own}-{first}-{won}"), steps, vec![file])) {
                Ok(CommitOutcome::Committed(_)) => (won, own_at) = (won + 1, Some(own_at.unwrap_or(0) + 1)),
                Ok(CommitOutcome::AlreadyCommitted(version)) => panic!("{version} was not written before"),
                Err(error) => assert_eq!(error.kind, ErrorKind::Fenced, "{}", error.chain()),
            }
        }
    };
    thread::scope(|scope| [1, 2].map(|own| scope.spawn(move || race(own))).map(|thread| thread.join().unwrap()));
    let table = bench.lake().open(&spec()).unwrap();
    assert_eq!(table.state().version, 2 * PER_WRITER as u64);
    assert_eq!(table.state().positions.values().copied().collect::<Vec<_>>(), [2 * PER_WRITER, PER_WRITER, PER_WRITER]);
    let mut covered = BTreeMap::new();
    for commit in table.commits_after(None).unwrap() {
        for entry in commit.books.unwrap().entries.iter().filter(|entry| entry.partition == 0) {
            *covered.entry(entry.from).or_insert(0) += 1;
        }
    }
    assert_eq!(covered, (0..2 * PER_WRITER).map(|at| (at, 1)).collect());
    let ids = rows_of(table.as_ref(), &["id"]).num_rows();
    assert_eq!(ids, 2 * PER_WRITER as usize);
}

#[test]
fn openers_racing_to_create_and_extend_a_table_all_get_the_same_one() {
    let bench = DeltaBench::new();
    let wider = |n: usize| {
        let mut fields: Vec<_> = spec().columns.fields().iter().map(|field| field.as_ref().clone()).collect();
        let added = arrow::datatypes::Field::new(format!("added{n}"), arrow::datatypes::DataType::Utf8, true);
        fields.insert(0, added);
        TableSpec { columns: std::sync::Arc::new(arrow::datatypes::Schema::new(fields)), ..spec() }
    };
    let barrier = Barrier::new(4);
    let (bench, barrier, wider) = (&bench, &barrier, &wider);
    thread::scope(|scope| {
        let open = |n: usize| {
            barrier.wait();
            bench.lake().open(&wider(n)).map(|table| table.state().version)
        };
        let openers: Vec<_> = (0..4).map(|n| scope.spawn(move || open(n))).collect();
        openers.into_iter().for_each(|opener| assert!(opener.join().unwrap().unwrap() <= 3));
    });
    let table = bench.lake().open(&wider(0)).unwrap();
    // One made it with its own column, the other three each added theirs.
    assert_eq!((table.columns().fields().len(), table.state().version), (7, 3));
}
