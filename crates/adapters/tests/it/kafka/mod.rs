//! The Kafka adapter against a broker.

mod admin;
mod append;
mod away;
mod others;
mod reader;
mod secured;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use watertight_adapters::kafka::{KafkaLog, KafkaOptions};
use watertight_adapters::system::SystemClock;
use watertight_core::port::Clock;
use watertight_core::record::NewRecord;
use watertight_lab::kafka::shared;

const WAIT: Duration = Duration::from_secs(20);

/// The log at these brokers.
fn log_at(bootstrap: &str) -> KafkaLog {
    let options =
        KafkaOptions { bootstrap: bootstrap.to_owned(), properties: BTreeMap::new(), replication_factor: None };
    KafkaLog::new(options).unwrap()
}

/// The log of the broker that all tests share.
fn log() -> KafkaLog {
    log_at(&shared().bootstrap())
}

/// A topic's name that no other test has.
fn fresh(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("it-{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

fn admin() -> AdminClient<DefaultClientContext> {
    client(&shared().bootstrap()).create().unwrap()
}

fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(WAIT))
}

/// Makes a topic with settings of its own.
fn make_topic(topic: &str, settings: &[(&str, &str)]) {
    let wanted = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let wanted = settings.iter().fold(wanted, |wanted, (name, value)| wanted.set(name, value));
    let made = block_on(admin().create_topics([&wanted], &options())).unwrap();
    assert_eq!(made, [Ok(topic.to_owned())]);
}

/// A record of now: older ones are removed by and by.
fn record(value: &[u8]) -> NewRecord<'_> {
    NewRecord { value: Some(value), timestamp_ms: SystemClock.now_us() / 1_000, ..NewRecord::default() }
}

/// A record as a client of its own sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: Option<i64>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Reads partition 0 from its beginning to its end, transactions that were committed only, by librdkafka's own means.
fn read_all(bootstrap: &str, topic: &str) -> Vec<Seen> {
    let mut config = client(bootstrap);
    config.set("group.id", "it").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (began, mut seen) = (Instant::now(), Vec::new());
    loop {
        assert!(began.elapsed() < WAIT, "the end of {topic} is not reached; {} records so far", seen.len());
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return seen,
            Some(Err(error)) => panic!("{topic} cannot be read: {error}"),
            Some(Ok(message)) => {
                let headers = message.headers().map_or_else(Vec::new, |headers| {
                    let owned = |at| {
                        let header = headers.get(at);
                        (header.key.to_owned(), header.value.map(<[u8]>::to_vec))
                    };
                    (0..headers.count()).map(owned).collect()
                });
                seen.push(Seen {
                    offset: message.offset(),
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    timestamp_ms: message.timestamp().to_millis(),
                    headers,
                });
            }
        }
    }
}

/// The values of what [`read_all`] reads, with their offsets.
fn values(bootstrap: &str, topic: &str) -> Vec<(i64, String)> {
    let text = |seen: Seen| (seen.offset, String::from_utf8(seen.value.unwrap()).unwrap());
    read_all(bootstrap, topic).into_iter().map(text).collect()
}
