//! What others do to topics: clients set up by hand, none of them ours.

use super::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use watertight_lab::kafka::Cluster;

/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A topic's name that no other test has.
pub(crate) fn unique(name: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Abort,
}

/// Somebody else's clients.
pub(crate) struct Others {
    bootstrap: String,
}

impl Others {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self { bootstrap: cluster.bootstrap() }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap).set("reconnect.backoff.max.ms", "500");
        config
    }

    pub(crate) fn producer(&self, properties: &[(&str, &str)]) -> BaseProducer {
        let mut config = self.config();
        config.set("acks", "all").set("linger.ms", "50");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        config.create().expect("a producer")
    }

    /// Sends values, in one batch.
    pub(crate) fn send(&self, topic: &str, partition: i32, values: &[&str]) {
        let producer = self.producer(&[]);
        put(&producer, topic, partition, values);
        producer.flush(PATIENCE).expect("delivered");
    }

    /// A transaction on partition 0 that is still open; its records are in the log.
    pub(crate) fn open_transaction(&self, topic: &str, values: &[&str]) -> BaseProducer {
        let id = unique(topic);
        let producer = self.producer(&[("transactional.id", &id), ("transaction.timeout.ms", "60000")]);
        producer.init_transactions(PATIENCE).expect("transactions");
        producer.begin_transaction().expect("begun");
        put(&producer, topic, 0, values);
        producer.flush(PATIENCE).expect("delivered");
        producer
    }

    /// A whole transaction on partition 0.
    pub(crate) fn transaction(&self, topic: &str, values: &[&str], end: End) {
        let producer = self.open_transaction(topic, values);
        match end {
            End::Commit => producer.commit_transaction(PATIENCE).expect("committed"),
            End::Abort => producer.abort_transaction(PATIENCE).expect("aborted"),
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client")
    }

    pub(crate) fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        let made = settings
            .iter()
            .fold(NewTopic::new(topic, partitions, TopicReplication::Fixed(1)), |made, (name, value)| {
                made.set(name, value)
            });
        let results = block_on(self.admin().create_topics([&made], &options())).expect("an answer");
        results.into_iter().for_each(|result| drop(result.expect("made")));
    }

    pub(crate) fn delete(&self, topic: &str) {
        let results = block_on(self.admin().delete_topics(&[topic], &options())).expect("an answer");
        results.into_iter().for_each(|result| drop(result.expect("deleted")));
    }

    /// Removes what lies before this offset of partition 0.
    pub(crate) fn delete_records(&self, topic: &str, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(before)).expect("an offset");
        let deleted = block_on(self.admin().delete_records(&list, &options())).expect("an answer");
        deleted.elements().iter().for_each(|element| element.error().expect("deleted"));
    }
}

/// Hands values to a producer.
pub(crate) fn put(producer: &BaseProducer, topic: &str, partition: i32, values: &[&str]) {
    for value in values {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(value.as_bytes());
        producer.send(record).map_err(|(error, _)| error).expect("taken");
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}
