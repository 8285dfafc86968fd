use super::naive::{self, Order, Tables};
use super::*;
use crate::fixtures::{FakeLog, FixedClock, bench_stream, model, stocks_stream, usage_stream};
use crate::generate::{GeneratorKind, Shares};
use crate::request::{GenerateOptions, ProduceRequest, ProduceSummary, Source};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

const SHARES: Shares = Shares { duplicates: 0.1, late: 0.06, malformed: 0.05 };

/// A produced topic with its truth and ledger.
struct Produced {
    log: FakeLog,
    folder: TempDir,
    stream: StreamDef,
    model: ModelDef,
    summary: ProduceSummary,
}

fn produce(kind: GeneratorKind, count: u64, seed: u64, delay_us: i64) -> Produced {
    let (stream, window_us) = match kind {
        GeneratorKind::Stocks => (stocks_stream(delay_us), 2_000_000),
        GeneratorKind::ApiUsage => (usage_stream(delay_us), 3_600_000_000),
        GeneratorKind::Bench => (bench_stream(delay_us), 60_000_000),
    };
    let model = model(&stream, kind, "standard", window_us);
    let folder = tempfile::tempdir().expect("a folder");
    let request = ProduceRequest {
        stream: stream.clone(),
        models: vec![model.clone()],
        source: Source::Generate(GenerateOptions {
            kind,
            shares: Some(SHARES),
            count: Some(count),
            seed,
            start_time_us: None,
            uuid_ids: seed % 2 == 1,
        }),
        rate: None,
        producer: "maker".to_owned(),
        ledger: Some(folder.path().join("ledger")),
        truth: Some(folder.path().to_owned()),
        batching: crate::Batching::default(),
        steps: watertight_core::steps::Steps::default(),
    };
    let log = FakeLog::default();
    let summary = crate::run(request, &log, &FixedClock, &AtomicBool::new(false), &mut |_| {}).expect("produces");
    Produced { log, folder, stream, model, summary }
}

impl Produced {
    fn compare(&self, tables: &Tables, gold: GoldScope) -> Comparison {
        let lake = naive::lake(tables, &self.stream, &self.model);
        let options = CompareOptions { ledger: Some(self.folder.path().join("ledger")), gold };
        compare(self.folder.path(), &lake, &self.stream, std::slice::from_ref(&self.model), &options).expect("compares")
    }

    fn tables(&self, order: Order) -> Tables {
        naive::run(&self.log, &self.stream, &self.model, order)
    }
}

#[test]
fn the_truth_is_what_a_naive_pipeline_makes_of_the_bytes_in_any_order_of_partitions() {
    let kinds = [GeneratorKind::Stocks, GeneratorKind::ApiUsage, GeneratorKind::Bench];
    for (kind, seed, delay_us) in kinds
        .into_iter()
        .flat_map(|kind| [(kind, 1, 2_000_000), (kind, 2, 7_200_000_000), (kind, 3, 60_000), (kind, 4, 0)])
    {
        let produced = produce(kind, 6_000, seed, delay_us);
        let counts = produced.summary.truth.clone().expect("asked for");
        assert_eq!(counts.records, 6_000);
        assert_eq!(counts.silver + counts.duplicates + counts.dead_letters, 6_000);
        assert!(counts.duplicates > 400 && counts.dead_letters > 200, "{counts:?}");
        assert!(counts.late > if kind == GeneratorKind::Bench { 3 } else { 100 }, "{kind:?} {delay_us} {counts:?}");
        assert!(delay_us < 2_000_000 || counts.duplicates_elsewhere > 50, "{kind:?} {delay_us} {counts:?}");
        assert!(counts.per_partition.iter().all(|&records| records > 0));
        for order in [Order::InTurn, Order::LastFirst] {
            let found = produced.compare(&produced.tables(order), GoldScope::All);
            assert!(found.is_exact(), "{kind:?} {seed} {order:?}\n{found}");
            assert_eq!(found.checks.iter().map(|check| check.found).max(), Some(6_000));
        }
    }
}

#[test]
fn each_planted_fault_is_found_by_its_name() {
    type Plant = fn(&mut Tables);
    let faults: [(&str, &str, Plant); 19] = [
        ("bronze", "rows missing", |t| drop(t.bronze.remove(77))),
        ("bronze", "rows twice", |t| t.bronze.push(t.bronze[78].clone())),
        ("bronze", "rows that the ledger does not know", |t| {
            t.bronze.push(naive::Row { offset: 1 << 40, ..t.bronze[78].clone() });
        }),
        ("bronze", "rows with other bytes", |t| t.bronze[79].value.as_mut().expect("bytes")[30] ^= 1),
        ("bronze", "rows with another key", |t| t.bronze[80].key = None),
        ("bronze", "rows with other bytes", |t| {
            let (one, other) = (t.bronze[81].value.clone(), t.bronze[82].value.clone());
            (t.bronze[81].value, t.bronze[82].value) = (other, one);
        }),
        ("silver", "ids missing", |t| drop(t.silver.remove(50))),
        ("silver", "ids twice", |t| t.silver.push(t.silver[51].clone())),
        ("silver", "ids too many", |t| t.silver[52].id.push('x')),
        ("silver", "late flags wrong", |t| t.silver[53].late ^= true),
        ("silver", "rows from a copy that cannot win", |t| t.silver[54].at = t.silver[55].at.clone()),
        ("silver", "values wrong", |t| t.silver[56].json["volume"] = 10_001.into()),
        ("silver", "values wrong", |t| {
            let (one, other) = (t.silver[57].json.clone(), t.silver[58].json.clone());
            (t.silver[57].json, t.silver[58].json) = (other, one);
        }),
        ("silver", "unknown fields lost", |t| {
            drop(t.silver[59].json.as_object_mut().expect("object").remove("exchange"));
        }),
        ("dead letters", "rows missing", |t| drop(t.dead.pop())),
        ("dead letters", "rows twice", |t| t.dead.push(t.dead[0].clone())),
        ("dead letters", "rows with other reasons", |t| t.dead[1].1[0].push('x')),
        ("dead letters", "rows too many", |t| {
            let row = t.silver[3].at.clone();
            t.dead.push((row, vec!["invalid_json".to_owned()]));
        }),
        ("gold standard", "rows missing", |t| drop(t.gold.remove(9))),
    ];
    let produced = produce(GeneratorKind::Stocks, 4_000, 5, 2_000_000);
    let good = produced.tables(Order::InTurn);
    assert!(produced.compare(&good, GoldScope::All).is_exact());
    for (check, what, plant) in faults {
        let mut tables = good.clone();
        plant(&mut tables);
        let found = produced.compare(&tables, GoldScope::All);
        assert!(!found.is_exact() && found.count(check, what) > 0, "{check}: {what}\n{found}");
        assert!(found.to_string().contains(what));
    }
}

#[test]
fn planted_faults_in_gold_are_found_to_the_last_digit() {
    let produced = produce(GeneratorKind::Stocks, 4_000, 6, 2_000_000);
    let good = produced.tables(Order::InTurn);
    for column in 0..good.gold[0].values.len() {
        let mut tables = good.clone();
        tables.gold[7].values[column].1 += 1;
        assert_eq!(produced.compare(&tables, GoldScope::All).count("gold standard", "values wrong"), 1);
    }
    let mut doubled = good.clone();
    doubled.gold.push(doubled.gold[3].clone());
    assert_eq!(produced.compare(&doubled, GoldScope::All).count("gold standard", "rows twice"), 1);
    let mut extra = good.clone();
    extra.gold[4].group = "NONE".to_owned();
    let found = produced.compare(&extra, GoldScope::All);
    assert_eq!(found.count("gold standard", "rows too many"), 1);
    assert_eq!(found.count("gold standard", "rows missing"), 1);
    let mut late = good;
    late.silver.iter_mut().filter(|row| row.late).take(1).for_each(|row| row.late = false);
    assert_eq!(produced.compare(&late, GoldScope::All).count("silver", "late flags wrong"), 1);
}

#[test]
fn only_closed_windows_must_be_there_when_the_input_goes_on() {
    let produced = produce(GeneratorKind::Stocks, 8_000, 7, 2_000_000);
    let mut tables = produced.tables(Order::InTurn);
    let (all, closed) = produced.summary.truth.clone().expect("asked for").gold["standard"];
    assert!(closed > 0 && closed < all);
    let last = tables.gold.iter().map(|row| row.start_us).max().expect("rows");
    tables.gold.retain(|row| row.start_us < last);
    assert!(produced.compare(&tables, GoldScope::Closed).is_exact(), "the last window is open");
    assert!(!produced.compare(&tables, GoldScope::All).is_exact());
    tables.gold.remove(0);
    assert!(!produced.compare(&tables, GoldScope::Closed).is_exact());
}

#[test]
fn a_table_that_is_absent_is_a_difference() {
    let produced = produce(GeneratorKind::Stocks, 500, 8, 2_000_000);
    let options = CompareOptions { ledger: None, gold: GoldScope::All };
    let lake = crate::fixtures::FakeLake::default();
    let models = std::slice::from_ref(&produced.model);
    let found = compare(produced.folder.path(), &lake, &produced.stream, models, &options).expect("compares");
    for table in ["bronze", "dead letters", "silver", "gold standard"] {
        assert_eq!(found.count(table, "table missing"), 1, "{found}");
    }
}

#[test]
fn a_ledger_that_lacks_or_doubles_a_line_is_found() {
    let produced = produce(GeneratorKind::Stocks, 500, 9, 2_000_000);
    let tables = produced.tables(Order::InTurn);
    let path = produced.folder.path().join("ledger");
    let whole = std::fs::read_to_string(&path).expect("there");
    let lines: Vec<&str> = whole.lines().collect();
    let with = |lines: &[&str]| {
        std::fs::write(&path, lines.join("\n") + "\n").expect("written");
        produced.compare(&tables, GoldScope::All)
    };
    let without = [&lines[..40], &lines[41..]].concat();
    let found = with(&without);
    assert_eq!(found.count("ledger", "lines missing"), 1);
    assert_eq!(found.count("bronze", "rows that the ledger does not know"), 1);
    assert_eq!(with(&[&lines[..], &lines[40..41]].concat()).count("ledger", "lines twice"), 1);
    let renamed = lines[40].replacen('\t', "\tx", 1);
    let found = with(&[&lines[..40], &[renamed.as_str()], &lines[41..]].concat());
    assert_eq!(found.count("ledger", "lines with another id"), 1);
    assert!(with(&lines).is_exact());
}
