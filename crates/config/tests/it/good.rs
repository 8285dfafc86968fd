//! Good files and what they mean.

use super::{fixtures, load};
use std::path::{Path, PathBuf};
use watertight_config::{CommitConfig, LogConfig, PipelineConfig, Retention, Secret};
use watertight_core::schema::{
    Check, Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef,
    TimestampForm,
};

fn good(name: &str) -> PipelineConfig {
    load(&fixtures("good"), name).unwrap_or_else(|problems| panic!("{problems}"))
}

fn column(name: &str, kind: ColumnType, path: &[&str]) -> Column {
    Column { name: name.into(), kind, required: false, path: path.iter().map(|&key| key.into()).collect() }
}

#[test]
fn the_example_of_the_reference_is_read_with_all_defaults() {
    let config = good("issue.yaml");
    assert_eq!(config.name, "market");
    assert_eq!(
        config.log,
        LogConfig::Local { path: "data/log".into(), segment_bytes: 128 << 20, retention: Retention::default() }
    );
    assert_eq!(config.lake, Path::new("data/lake"));
    assert_eq!(config.state, Path::new("data/lake/_watertight/state"));
    assert_eq!(config.commit, CommitConfig { interval_us: 1_000_000, max_rows: 500_000, max_bytes: 128 << 20 });
    let stream = &config.streams[0];
    assert_eq!((stream.name.as_str(), stream.topic.as_str(), stream.partitions), ("stock_ticks", "stock-ticks", 4));
    assert_eq!(stream.event_id, EventIdRule::Column("event_id".into()));
    assert_eq!(
        stream.event_time,
        EventTimeRule {
            column: "ts".into(),
            watermark_delay_us: 7_200_000_000,
            future_tolerance_us: 600_000_000,
            idle_after_us: 30_000_000,
            not_before_us: 0,
            not_after_us: 9_214_646_400_000_000,
        }
    );
    let price =
        Column { required: true, ..column("price", ColumnType::Decimal { precision: 18, scale: 4 }, &["price"]) };
    assert_eq!(stream.columns[2], price);
    assert_eq!(stream.columns[4], column("mag", ColumnType::Double, &["properties", "mag"]));
    assert_eq!(stream.checks, [Check { name: "positive_price".into(), sql: "price > 0".into() }]);
    let defaults = PayloadLimits { bytes_max: 1 << 20, depth_max: 64, duplicate_keys: DuplicateKeys::Reject };
    assert_eq!(stream.payload, defaults);
    let model = &config.models[0];
    assert_eq!((model.name.as_str(), model.from.as_str(), model.window_us), ("candles_1m", "stock_ticks", 60_000_000));
    assert!(model.sql.starts_with("-- one row per minute") && model.sql.ends_with("symbol"), "{}", model.sql);
}

#[test]
fn every_key_has_its_effect() {
    use ColumnType::{Decimal, Double, Int, List, Long, String, Struct, Timestamp};
    let config = good("every_key.yaml");
    let retention = Retention { age_us: Some(7 * 86_400_000_000), bytes: Some(10 << 30) };
    assert_eq!(config.log, LogConfig::Local { path: "data/log".into(), segment_bytes: 1 << 20, retention });
    assert_eq!(config.state, Path::new("data/state"));
    assert_eq!(config.signing_key.as_ref().map(Secret::expose), Some("hunter2-hunter2"));
    assert_eq!(config.commit, CommitConfig { interval_us: 250_000, max_rows: 1_000, max_bytes: 1 << 20 });
    let list = |item| List(Box::new(item));
    let want = StreamDef {
        name: "all_of_it".into(),
        topic: "all.of-it".into(),
        partitions: 8,
        event_id: EventIdRule::Hash(vec!["id".into(), "at".into()]),
        event_time: EventTimeRule {
            column: "at".into(),
            watermark_delay_us: 5_400_000_000,
            future_tolerance_us: 300_000_000,
            idle_after_us: 200_000,
            not_before_us: 946_684_800_000_000,
            not_after_us: 4_102_444_800_000_000,
        },
        columns: vec![
            Column { required: true, ..column("id", Long, &["meta", "id"]) },
            column("at", Timestamp(TimestampForm::EpochMillis), &["meta", "at.ms"]),
            column("tags", list(list(String)), &["tags"]),
            column(
                "place",
                Struct(vec![
                    ("lat".into(), Double),
                    ("seen".into(), Timestamp(TimestampForm::EpochSeconds)),
                    ("near".into(), Struct(vec![("name".into(), String)])),
                ]),
                &["place"],
            ),
            column("seen_at", list(Timestamp(TimestampForm::EpochNanos)), &["seen_at"]),
            column(
                "flat",
                list(Struct(vec![("a".into(), Int), ("b".into(), Decimal { precision: 10, scale: 2 })])),
                &["flat"],
            ),
        ],
        checks: vec![Check { name: "known".into(), sql: "id > 0".into() }],
        payload: PayloadLimits { bytes_max: 64_000, depth_max: 8, duplicate_keys: DuplicateKeys::Last },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    };
    assert_eq!(config.streams, [want]);
    assert!(config.models[0].sql.starts_with("SELECT window_start"), "SQL in place");
}

#[test]
fn a_secret_of_a_file_is_its_content_to_the_letter_and_is_never_printed() {
    let config = good("secret_in_a_file.yaml");
    assert_eq!(config.signing_key.as_ref().map(Secret::expose), Some("k${SECRET}: {x}"));
    let printed = format!("{config:?} {config:#?}");
    assert!(printed.contains('…') && !printed.contains("{x}"), "{printed}");
    let windows = watertight_config::load(Path::new("p.yaml"), &|_| None, &|path| {
        let yaml = std::fs::read_to_string(fixtures("good").join("secret_in_a_file.yaml"));
        if path.ends_with("signing.key") { Ok("one\r\n\r\n".into()) } else { yaml }
    });
    assert_eq!(windows.expect("good").signing_key.as_ref().map(Secret::expose), Some("one\r\n"), "one newline goes");
}

#[test]
fn variables_aliases_and_commas_in_braces_mean_what_they_look_like() {
    let config = good("shared_columns.yaml");
    assert_eq!(config.name, "shared");
    assert_eq!(config.lake, Path::new("/srv/data/lake"));
    let (a, b) = (&config.streams[0], &config.streams[1]);
    assert_eq!(a.columns, b.columns);
    assert_eq!(a.columns[2].kind, ColumnType::Decimal { precision: 18, scale: 4 });
    assert_eq!(a.columns[3].kind, ColumnType::Decimal { precision: 10, scale: 2 });
    assert_eq!(a.checks[0].sql, "coalesce(price, 0) > round(cost, 1)");
    assert_eq!(a.checks[1].sql, "id <> '$'");
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let at = fixtures("good").join("issue.yaml");
    let config = watertight_config::load(&at, &|_| None, &|path| std::fs::read_to_string(path)).expect("good");
    let LogConfig::Local { path, .. } = config.log;
    assert_eq!(path, fixtures("good").join("data/log"));
    assert_eq!(config.lake, fixtures("good").join("data/lake"));
}

#[test]
fn a_problem_found_later_stands_at_its_key() {
    let config = good("issue.yaml");
    let problem = config.source.problem("models.candles_1m.sql", "no such column", None);
    assert_eq!(problem.to_string(), "issue.yaml:17:56: error: no such column");
    let inside = config.source.problem("streams.stock_ticks.checks.positive_price.left", "x", None);
    assert_eq!((inside.line, inside.column), (15, 31), "the nearest key above it");
}

#[test]
fn the_examples_of_the_repository_are_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&examples).expect("examples") {
        let file: PathBuf = entry.expect("entry").path().join("pipeline.yaml");
        let config = watertight_config::load(&file, &|_| None, &|path| std::fs::read_to_string(path));
        seen.push(config.unwrap_or_else(|problems| panic!("{problems}")).name);
    }
    seen.sort();
    assert_eq!(seen, ["api_usage", "demo", "earthquakes", "stocks"]);
}
