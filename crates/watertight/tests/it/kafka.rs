//! The program on Kafka, as a new user would type it, on a broker of the lab: and what it says when there is none.

use super::running::{Running, until};
use super::{Answer, fine, scratch, watertight};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use watertight_lab::kafka::shared;

/// How long a broker may take for one answer.
const WAIT: Duration = Duration::from_secs(20);

const FILE: &str = "stocks/pipeline.yaml";
/// Longest that anything here may take: far more than it needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that `status` may take where nobody answers: it waits for 7 s, and a busy machine adds to that.
const STATUS_MAX: Duration = Duration::from_secs(20);

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}

fn status(dir: &Path) -> Value {
    let text = fine(dir, &["status", "-f", FILE, "--format", "json"]);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn produce(dir: &Path, name: &str, count: &str, more: &[&str]) -> Answer {
    let ledger = format!("{name}.ids");
    let generated = ["produce", "-f", FILE, "--stream", "stock_ticks", "--generate", "stocks", "--count", count];
    let planted =
        ["--duplicates", "5%", "--late", "3%", "--malformed", "0.5%", "--producer", name, "--ledger", ledger.as_str()];
    let arguments: Vec<&str> = generated.iter().chain(&planted).chain(more).copied().collect();
    watertight(dir, &arguments)
}

fn run(dir: &Path) -> Answer {
    watertight(dir, &["run", "-f", FILE, "--until-caught-up", "--close-windows"])
}

/// Each partition's next offset, by what `status` says.
fn ends(status: &Value) -> Vec<(i32, i64)> {
    let partitions = status["streams"][0]["partitions"].as_array().expect("partitions");
    let ends = (0_i32..).zip(partitions).map(|(number, partition)| (number, partition["next"].as_i64().expect("next")));
    ends.collect()
}

/// What other tools see of the consumer group.
fn committed(brokers: &str, group: &str, topic: &str, partitions: i32) -> Vec<(i32, i64)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create().expect("a client");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(topic, partition);
    }
    let list = consumer.committed_offsets(list, PATIENCE).expect("the group is known");
    list.elements().iter().map(|one| (one.partition(), one.offset().to_raw().unwrap_or(-1))).collect()
}

/// What a tool can do to a group that has no members.
fn move_group(brokers: &str, group: &str, topic: &str, to: &[(i32, i64)]) {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create().expect("a client");
    let mut list = TopicPartitionList::new();
    for (partition, offset) in to {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
    }
    consumer.commit(&list, CommitMode::Sync).expect("moved");
}

/// What retention does, at once.
fn delete_records(brokers: &str, topic: &str, before: &[(i32, i64)]) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in before {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset)).expect("an offset");
    }
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
    let deleted = futures::executor::block_on(admin.delete_records(&list, &AdminOptions::new())).expect("deleted");
    assert!(deleted.elements().iter().all(|one| one.error().is_ok()), "{deleted:?}");
}

#[test]
fn what_a_new_user_types_works_on_kafka() {
    let dir = scratch();
    let dir = dir.path();
    let brokers = shared().bootstrap();
    let next = fine(dir, &["init", "stocks", "--kafka", &brokers]);
    assert!(next.contains("watertight produce -f stocks/pipeline.yaml --stream stock_ticks"), "{next}");

    let produced = produce(dir, "first", "10_000", &["--truth", "truth"]);
    assert!(produced.code == Some(0) && produced.err.contains("10000 events acknowledged"), "{}", produced.err);
    let ran = run(dir);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("stock_ticks: 10000 records: ") && ran.err.contains(" 0 lost, "), "{}", ran.err);
    fine(dir, &["compare", "-f", FILE, "--truth", "truth", "--ledger", "first.ids", "--all-windows"]);
    let verified = fine(dir, &["verify", "-f", FILE, "--ledger", "first.ids"]);
    assert!(verified.contains("balanced: nothing is lost, doubled or altered"), "{verified}");

    let said = status(dir);
    assert_eq!(said["log"].as_str(), Some(format!("kafka at {brokers}").as_str()), "{said}");
    let stream = &said["streams"][0];
    assert_eq!((stream["in_log"].as_i64(), stream["lag"].as_i64()), (Some(10_000), Some(0)), "{said}");
    let read = ends(&said);
    assert_eq!(read.iter().map(|(_, next)| next).sum::<i64>(), 10_000, "{read:?}");
    assert_eq!(committed(&brokers, "watertight-stocks", "stock-ticks", 4), read, "for the tools that watch lag");

    // What bronze has may go from the log.
    delete_records(&brokers, "stock-ticks", &read);
    fine(dir, &["verify", "-f", FILE, "--ledger", "first.ids"]);
    assert_eq!(status(dir)["streams"][0]["in_log"].as_i64(), Some(0), "it is gone");

    let produced = produce(dir, "second", "2_000", &["--seed", "8"]);
    assert!(produced.code == Some(0) && produced.err.contains("2000 events acknowledged"), "{}", produced.err);
    assert_eq!(status(dir)["streams"][0]["lag"].as_i64(), Some(2_000));
    let ran = run(dir);
    assert!(ran.code == Some(0) && ran.err.contains("stock_ticks: 12000 records: "), "{}", ran.err);
    let rows = fine(dir, &["sql", "-f", FILE, "--format", "csv", "select count(*) as c from bronze.stock_ticks"]);
    assert_eq!(rows, "c\n12000\n");
    fine(dir, &["verify", "-f", FILE, "--ledger", "first.ids", "--ledger", "second.ids"]);
    let read = ends(&status(dir));
    assert_eq!(committed(&brokers, "watertight-stocks", "stock-ticks", 4), read);
}

#[test]
fn a_group_that_was_moved_back_is_not_read_from_and_is_shown_anew() {
    const GROUP: &str = "watertight-moved_back";
    const TOPIC: &str = "moved-back";
    let dir = scratch();
    let dir = dir.path();
    let brokers = shared().bootstrap();
    fine(dir, &["init", "stocks", "--kafka", &brokers]);
    let file = dir.join(FILE);
    let text = std::fs::read_to_string(&file).expect("read").replace("topic: stock-ticks", "topic: moved-back");
    std::fs::write(&file, text.replace("pipeline: stocks", "pipeline: moved_back")).expect("written");

    let produced = produce(dir, "first", "1_000", &[]);
    assert_eq!(produced.code, Some(0), "{}", produced.err);
    let first = run(dir);
    assert_eq!(first.code, Some(0), "{}", first.err);
    let read = ends(&status(dir));
    assert_eq!(committed(&brokers, GROUP, TOPIC, 4), read);
    let back: Vec<(i32, i64)> = (0..4).map(|partition| (partition, 1)).collect();
    move_group(&brokers, GROUP, TOPIC, &back);
    assert_eq!(committed(&brokers, GROUP, TOPIC, 4), back);

    let second = run(dir);
    assert_eq!(second.code, Some(0), "{}", second.err);
    let rows = fine(dir, &["sql", "-f", FILE, "--format", "csv", "select count(*) as c from bronze.stock_ticks"]);
    assert_eq!(rows, "c\n1000\n", "nothing was read again");
    assert_eq!(committed(&brokers, GROUP, TOPIC, 4), read, "and the group shows where the tables are");
}

#[test]
fn topics_that_match_are_read_into_one_silver_and_each_is_shown_to_tools() {
    const GROUP: &str = "watertight-matched";
    const TOPICS: [&str; 3] = ["matched-east", "matched-north", "matched-west"];
    let dir = scratch();
    let dir = dir.path();
    let brokers = shared().bootstrap();
    fine(dir, &["init", "stocks", "--kafka", &brokers]);
    let file = dir.join(FILE);
    let text = std::fs::read_to_string(&file).expect("read").replace("pipeline: stocks", "pipeline: matched");
    let matched = text.replace("topic: stock-ticks", "topics: { pattern: \"matched-.*\" }");
    std::fs::write(&file, matched).expect("written");
    let mut verify = vec!["verify", "-f", FILE];
    for (topics, records) in [(&TOPICS[..2], 2_000), (&TOPICS[2..], 3_000)] {
        for &topic in topics {
            let produced = produce(dir, topic, "1_000", &["--topic", topic]);
            assert_eq!(produced.code, Some(0), "{}", produced.err);
        }
        let ran = watertight(dir, &["run", "-f", FILE, "--until-caught-up"]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        assert!(ran.err.contains(&format!("stock_ticks: {records} records: ")), "{}", ran.err);
    }
    let ledgers = TOPICS.map(|topic| format!("{topic}.ids"));
    verify.extend(ledgers.iter().flat_map(|ledger| ["--ledger", ledger.as_str()]));
    let verified = fine(dir, &verify);
    assert!(verified.contains("balanced: nothing is lost, doubled or altered"), "{verified}");
    let query = "select _kafka_topic, count(*) as c from bronze.stock_ticks group by 1 order by 1";
    let rows = fine(dir, &["sql", "-f", FILE, "--format", "csv", query]);
    assert_eq!(rows.lines().skip(1).collect::<Vec<_>>(), TOPICS.map(|topic| format!("{topic},1000")));
    let said = status(dir);
    let partitions = said["streams"][0]["partitions"].as_array().expect("partitions");
    for topic in TOPICS {
        let of_topic = partitions.iter().filter(|one| one["topic"] == topic);
        let next = of_topic.map(|one| one["next"].as_i64().expect("next"));
        let read: Vec<(i32, i64)> = (0..).zip(next).collect();
        assert_eq!(committed(&brokers, GROUP, topic, 4), read, "{topic}");
    }
}

#[test]
fn what_lies_behind_an_open_transaction_is_told_and_no_window_closes_over_it_until_it_ends() {
    const TOPIC: &str = "held-back";
    let dir = scratch();
    let dir = dir.path();
    let brokers = shared().bootstrap();
    fine(dir, &["init", "stocks", "--kafka", &brokers]);
    let file = dir.join(FILE);
    let text = std::fs::read_to_string(&file).expect("read").replace("topic: stock-ticks", "topic: held-back");
    std::fs::write(&file, text).expect("written");
    assert_eq!(produce(dir, "first", "100", &[]).code, Some(0));
    let held = |dir: &Path| {
        let status = status(dir);
        status["streams"][0]["partitions"].as_array().expect("a list")[2]["held_back"].as_i64().expect("a number")
    };
    assert_eq!(held(dir), 0);

    let mut config = ClientConfig::new();
    let producer: BaseProducer =
        config.set("bootstrap.servers", &brokers).set("transactional.id", TOPIC).create().expect("a producer");
    producer.init_transactions(WAIT).expect("known");
    producer.begin_transaction().expect("begun");
    for _ in 0..3 {
        let record = BaseRecord::<str, str>::to(TOPIC).partition(2).payload("{}");
        producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    producer.flush(WAIT).expect("written");
    assert_eq!(held(dir), 3);
    let told = fine(dir, &["status", "-f", FILE]);
    assert!(told.contains("partition 2: A TRANSACTION IS OPEN before offset "), "{told}");
    let ran = run(dir);
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let left_open = "error: stream stock_ticks: windows are left open, as a transaction is open before offsets ";
    assert!(ran.err.contains(left_open) && ran.err.contains(" of partition 2: "), "{}", ran.err);
    assert!(ran.err.contains("stock_ticks: 100 records: "), "what can be read is in the tables: {}", ran.err);

    producer.commit_transaction(WAIT).expect("committed");
    assert_eq!(held(dir), 0);
    let told = fine(dir, &["status", "-f", FILE]);
    assert!(!told.contains("TRANSACTION"), "{told}");
    let ran = run(dir);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.err.contains("stock_ticks: 103 records: "), "{}", ran.err);
}

#[test]
fn brokers_that_are_away_are_told_in_seconds_and_waited_for_by_run() {
    let dir = scratch();
    let dir = dir.path();
    let brokers = nobody();
    fine(dir, &["init", "stocks", "--kafka", &brokers]);
    let began = Instant::now();
    let said = watertight(dir, &["status", "-f", FILE]);
    assert!(began.elapsed() < STATUS_MAX, "{:?}", began.elapsed());
    assert_eq!(said.code, Some(1), "{}", said.err);
    assert!(said.out.contains(&format!("log kafka at {brokers}\n")), "{}", said.out);
    assert!(said.out.contains("UNREADABLE: log: ") && said.out.contains("bronze 0  silver 0"), "{}", said.out);

    let produced = produce(dir, "first", "10", &[]);
    assert_eq!(produced.code, Some(1), "{}", produced.err);
    assert!(produced.err.contains("error: the event log refused: "), "{}", produced.err);

    let running = Running::start(dir, &["run", "-f", FILE]);
    until(dir, "it says that it waits", || {
        watertight(dir, &["status", "-f", FILE]).out.contains("WAITING: open the topic: ").then_some(())
    });
    assert_eq!(running.stop(), Some(0), "asked to stop, with nothing in hand");
}

#[test]
fn a_secret_that_is_not_there_is_told_and_one_that_is_there_is_in_nothing_that_is_printed() {
    let dir = scratch();
    let dir = dir.path();
    fine(dir, &["init", "stocks", "--kafka", &shared().bootstrap()]);
    let file = dir.join(FILE);
    let secured = std::fs::read_to_string(&file).expect("read").replace("# properties: ", "properties: ");
    let secured = secured.replace("SASL_SSL", "SASL_PLAINTEXT").replace("# secrets: ", "secrets: ");
    std::fs::write(&file, &secured).expect("written");
    let answer = watertight(dir, &["status", "-f", FILE]);
    assert_eq!(answer.code, Some(78), "{}", answer.err);
    assert!(answer.err.contains(": error: cannot read the file of a secret, 'kafka.password': "), "{}", answer.err);

    std::fs::write(dir.join("stocks/kafka.password"), "hunter2\n").expect("written");
    // The lab's broker knows of no secrets: it is not reached, and that is said.
    for arguments in [
        &["status", "-f", FILE][..],
        &["status", "-f", FILE, "--format", "json"],
        &["validate", "-f", FILE, "--format", "json"],
        &["produce", "-f", FILE, "--stream", "stock_ticks", "--generate", "stocks", "--count", "1"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_watertight"))
            .args(arguments)
            .current_dir(dir)
            .env("WATERTIGHT_LOG", "trace")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let expected = if arguments[0] == "validate" { Some(0) } else { Some(1) };
        assert_eq!(output.status.code(), expected, "{arguments:?}: {said}");
        assert!(!said.contains("hunter2"), "{arguments:?}: {said}");
    }
    let misplaced = secured.replace("sasl.username: watertight", "sasl.password: hunter2");
    std::fs::write(&file, misplaced).expect("written");
    let answer = watertight(dir, &["validate", FILE]);
    assert_eq!(answer.code, Some(78), "{}", answer.err);
    assert!(answer.err.contains("stands under 'secrets' too") && !answer.err.contains("hunter2"), "{}", answer.err);
}
