//! Good files and what they mean.

use super::{fixtures, load};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use watertight_config::{CommitConfig, KafkaConfig, LogConfig, PipelineConfig, Retention, Secret};
use watertight_core::schema::{
    Check, Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef,
    TimestampForm, TopicPattern, Topics,
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
        topics: None,
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
        start: StartAt::Offsets(BTreeMap::from([(0, 1_200), (7, 0)])),
        fail_on_data_loss: false,
    };
    assert_eq!(config.streams, [want]);
    assert!(config.models[0].sql.starts_with("SELECT window_start"), "SQL in place");
}

#[test]
fn every_key_of_kafka_has_its_effect_and_no_secret_is_printed() {
    let config = good("every_key_of_kafka.yaml");
    let printed = format!("{config:?} {config:#?}");
    assert!(!printed.contains("hunter2") && !printed.contains("{x}"), "{printed}");
    let LogConfig::Kafka(kafka) = config.log else { panic!("{printed}") };
    let KafkaConfig { bootstrap, properties, secrets, replication_factor, group } = kafka;
    assert_eq!((bootstrap.as_str(), replication_factor), ("kafka-1:9092,[::1]:9093", Some(3)));
    assert_eq!(group, "ticks.lag");
    let properties: Vec<(&str, &str)> =
        properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let written = [
        ("linger.ms", "5"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("security.protocol", "SASL_SSL"),
        ("socket.keepalive.enable", "true"),
    ];
    assert_eq!(properties, written);
    let secrets: Vec<(&str, &str)> = secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
    let given = [
        ("sasl.password", "k${SECRET}: {x}"),
        ("sasl.username", "hunter2-hunter2"),
        ("ssl.key.password", "hunter2-hunter2"),
    ];
    assert_eq!(secrets, given);
    let starts: Vec<StartAt> = config.streams.iter().map(|stream| stream.start.clone()).collect();
    let new_year_ms = 1_767_225_600_000;
    let expected = [
        StartAt::Earliest,
        StartAt::Earliest,
        StartAt::Latest,
        StartAt::Time { ms: new_year_ms },
        StartAt::Time { ms: new_year_ms + 1 },
    ];
    assert_eq!(starts, expected, "a time between two milliseconds is before the second");
    assert!(config.streams.iter().all(|stream| stream.fail_on_data_loss));
    let (by_pattern, listed) = (&config.streams[2], &config.streams[3]);
    let pattern = TopicPattern::new("orders-.*").expect("a pattern");
    assert_eq!((by_pattern.topic.as_str(), &by_pattern.topics), ("", &Some(Topics::Pattern(pattern))));
    assert_eq!(listed.topics_named(), ["orders-eu", "orders-us"], "in the order of their names");
    assert_eq!(config.streams[0].topics, None);
}

#[test]
fn a_log_in_kafka_needs_its_brokers_and_nothing_else() {
    let yaml = std::fs::read_to_string(fixtures("good").join("secret_in_a_file.yaml")).expect("fixture");
    let yaml = yaml.replace("{ local: { path: data/log } }", "{ kafka: { bootstrap: \"kafka:9092\" } }");
    let config = watertight_config::load(Path::new("p.yaml"), &|_| None, &|_| Ok(yaml.clone())).expect("good");
    let expected = LogConfig::Kafka(KafkaConfig {
        bootstrap: "kafka:9092".to_owned(),
        properties: BTreeMap::new(),
        secrets: BTreeMap::new(),
        replication_factor: None,
        group: "watertight-signed".to_owned(),
    });
    assert_eq!(config.log, expected);
}

#[test]
fn how_a_stream_is_read_is_no_part_of_what_is_kept_of_its_definition() {
    let said = good("every_key.yaml").streams.remove(0);
    let default = StreamDef { start: StartAt::Earliest, fail_on_data_loss: true, ..said.clone() };
    assert_ne!(said, default);
    let text = |def: &StreamDef| serde_json::to_string(def).expect("serialises");
    assert_eq!(text(&said), text(&default), "no new version, and rows of before keep theirs");
    assert_eq!(serde_json::from_str::<StreamDef>(&text(&said)).expect("reads"), default);
}

#[test]
fn the_ways_to_reach_kafka_that_the_readme_shows_are_right() {
    let shown = shown_ways_to_kafka("README.md");
    assert_eq!(shown.len(), 2, "one with a password, one with a certificate");
    assert!(shown.iter().all(|kafka| kafka.secrets.len() == 1), "{shown:?}");
}

#[test]
fn the_ways_to_reach_kafka_that_the_reference_shows_are_right() {
    let shown = shown_ways_to_kafka("docs/PIPELINE_FILE.md");
    let with_secrets = shown.iter().filter(|kafka| kafka.secrets.len() == 1).count();
    assert_eq!((shown.len(), with_secrets), (5, 4), "a token that nobody signs has no secret: {shown:?}");
}

/// The logs in Kafka that a document shows, each put into a whole file.
fn shown_ways_to_kafka(document: &str) -> Vec<KafkaConfig> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(document);
    let text = std::fs::read_to_string(path).expect("read");
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let local = std::fs::read_to_string(fixtures("good").join("secret_in_a_file.yaml")).expect("fixture");
    let read = |block: &str| {
        let yaml = local.replace("log: { local: { path: data/log } }\n", block);
        let reader = |path: &Path| Ok(if path == Path::new("p.yaml") { yaml.clone() } else { "secret".to_owned() });
        let config = watertight_config::load(Path::new("p.yaml"), &|_| Some("secret".to_owned()), &reader);
        let config = config.unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        let LogConfig::Kafka(kafka) = config.log else { panic!("a log that is not in Kafka: {yaml}") };
        kafka
    };
    blocks.filter(|block| block.starts_with("log:\n")).map(read).collect()
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
    let LogConfig::Local { path, .. } = config.log else { panic!("a local log") };
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
