use super::*;
use crate::fixtures::{NOW_US, bench_stream, stocks_stream, usage_stream};
use std::collections::HashMap;
use watertight_core::record::partition_for_key;
use watertight_core::schema::ColumnType;

fn plan(kind: GeneratorKind, seed: u64) -> Plan {
    let stream = match kind {
        GeneratorKind::Stocks => stocks_stream(2_000_000),
        GeneratorKind::ApiUsage => usage_stream(2_000_000),
        GeneratorKind::Bench => bench_stream(2_000_000),
    };
    let mut spec = PlanSpec::for_stream(&stream, kind, "p");
    (spec.seed, spec.start_time_us) = (seed, NOW_US);
    spec.shares = Shares { duplicates: 0.05, late: 0.03, malformed: 0.005 };
    Plan::new(spec).expect("fits")
}

fn item(plan: &Plan, index: u64) -> Item {
    let mut item = Item::default();
    plan.item(index, &mut item);
    item
}

const KINDS: [GeneratorKind; 3] = [GeneratorKind::Stocks, GeneratorKind::ApiUsage, GeneratorKind::Bench];

#[test]
fn an_item_is_the_same_in_any_order_and_another_for_another_seed() {
    for kind in KINDS {
        let (one, other) = (plan(kind, 1), plan(kind, 2));
        let forward: Vec<Item> = (0..2_000).map(|index| item(&one, index)).collect();
        for index in (0..2_000).rev() {
            assert_eq!(item(&one, index), forward[index as usize]);
            assert_eq!(one.partition(index), forward[index as usize].partition);
        }
        assert!((0..100).any(|index| item(&other, index).value != forward[index as usize].value));
    }
}

#[test]
fn items_without_a_log_are_those_of_the_plan() {
    let plan = plan(GeneratorKind::Bench, 1);
    let mut items = Items::new(plan.spec.clone()).expect("fits");
    for index in 0..1_000 {
        let (made, planned) = (items.make(), item(&plan, index));
        assert_eq!((made.sequence, made.partition), (index, planned.partition));
        assert_eq!((made.key, made.value), (planned.key.as_deref(), planned.value.as_deref()));
    }
}

#[test]
fn the_first_bytes_of_a_seed_never_change() {
    // A changed generator would make every kept truth and ledger wrong without a word: raise the format instead.
    let stocks = item(&plan(GeneratorKind::Stocks, 1), 0);
    let text = String::from_utf8(stocks.value.expect("bytes")).expect("text");
    assert!(text.starts_with("{\"event_id\":\"p-0\",\"symbol\":\"AAPL\",\"price\":"), "{text}");
    assert!(text.ends_with("Z\",\"exchange\":\"XNAS\"}"), "{text}");
    let bench = item(&plan(GeneratorKind::Bench, 1), 5);
    let again = item(&plan(GeneratorKind::Bench, 1), 5);
    assert_eq!(bench, again);
}

#[test]
fn shares_are_met_and_copies_are_byte_equal_to_a_valid_original_before_them() {
    for kind in KINDS {
        let plan = plan(kind, 3);
        let count = 100_000_u64;
        let mut tally: HashMap<&str, u64> = HashMap::new();
        for index in 0..count {
            let what = match plan.role(index) {
                Role::Original(_) => "original",
                Role::Malformed(_) => "malformed",
                Role::Copy { of, elsewhere } => {
                    assert!(of < index && matches!(plan.role(of), Role::Original(_)));
                    let (copy, original) = (item(&plan, index), item(&plan, of));
                    assert_eq!((copy.value, copy.id), (original.value, original.id));
                    assert_eq!(copy.partition != original.partition, elsewhere);
                    *tally.entry(if elsewhere { "elsewhere" } else { "here" }).or_default() += 1;
                    "copy"
                }
            };
            *tally.entry(what).or_default() += 1;
        }
        let near = |what: &str, share: f64| {
            let found = tally[what] as f64 / count as f64;
            assert!((found - share).abs() < share * 0.1, "{kind:?} {what}: {found} instead of {share}");
        };
        near("malformed", 0.005);
        near("copy", 0.05);
        assert!(tally["elsewhere"] > 200 && tally["here"] > 200, "{tally:?}");
    }
}

#[test]
fn keys_lead_to_the_partitions_and_ids_are_unique() {
    for kind in KINDS {
        let plan = plan(kind, 4);
        let mut ids = HashMap::new();
        for index in 0..5_000 {
            let item = item(&plan, index);
            assert_eq!(item.partition, partition_for_key(item.key.as_deref().expect("a key"), 4));
            if matches!(plan.role(index), Role::Original(_)) {
                assert_eq!(ids.insert(item.id, index), None);
            }
        }
    }
}

#[test]
fn bench_events_have_the_declared_sizes_and_oddities() {
    let plan = plan(GeneratorKind::Bench, 5);
    let (mut total, mut odd, mut unknown, mut users) = (0, 0, 0, HashMap::new());
    let count = 20_000;
    for index in 0..count {
        if !matches!(plan.role(index), Role::Original(_)) {
            continue;
        }
        let item = item(&plan, index);
        let value = item.value.expect("bytes");
        assert!((230..=500).contains(&value.len()), "{}", value.len());
        let json: serde_json::Value = serde_json::from_slice(&value).expect("valid");
        total += 1;
        odd += u64::from(value.contains(&b'\\') || !value.is_ascii());
        unknown += u64::from(json.get("experiment_bucket").is_some());
        assert!(json.get("country").is_some(), "a required field is never left out");
        *users.entry(json["user_id"].to_string()).or_insert(0) += 1;
    }
    assert!(odd * 100 > total && odd * 100 < total * 3, "{odd} of {total}");
    assert!(unknown * 200 > total && unknown * 50 < total, "{unknown} of {total}");
    let most = users.values().max().copied().unwrap_or(0);
    assert!(users.len() > 5_000 && most > total / 25, "Zipf: {} users, the first {most} of {total}", users.len());
}

#[test]
fn a_stream_that_does_not_fit_is_refused_with_all_reasons() {
    let mut stream = stocks_stream(2_000_000);
    stream.columns[1].kind = ColumnType::Int;
    stream.columns[2].path = vec!["cost".to_owned()];
    stream.event_id = EventIdRule::Hash(vec!["symbol".to_owned()]);
    let mut spec = PlanSpec::for_stream(&stream, GeneratorKind::Stocks, "p 1");
    spec.shares.late = 1.5;
    let error = Plan::new(spec).expect_err("refused");
    assert_eq!(error.reasons.len(), 5, "{error}");
}

#[test]
fn a_check_that_is_not_understood_leaves_the_truth_unknown() {
    let mut stream = stocks_stream(2_000_000);
    for (sql, known) in [
        ("price > 0", true),
        ("\"volume\" >= 1.0", true),
        ("price < 1000000", true),
        ("volume > 5", false),
        ("price * 2 > 0", false),
        ("price > 0 or volume > 0", false),
        ("symbol <> ''", false),
    ] {
        stream.checks[0].sql = sql.to_owned();
        let plan = Plan::new(PlanSpec::for_stream(&stream, GeneratorKind::Stocks, "p")).expect("fits");
        assert_eq!(plan.unknown_checks.is_empty(), known, "{sql}");
    }
}
