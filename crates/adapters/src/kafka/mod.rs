//! Apache Kafka as the event log, through librdkafka.
//!
//! Contract: as `EventLog` says, from one broker to a replicated cluster. What is particular to Kafka:
//! - A topic's incarnation is its topic id.
//! - Readers are told of committed transactions only. Offsets without a record (markers of transactions, what they
//!   aborted, what compaction removed) are gaps, once a second reading has found none there either.
//! - `bounds` end where reading ends: before the first open transaction. `end` is behind it.
//! - An append is durable when every replica in sync has it: in memory, unless the brokers flush. It can leave a
//!   beginning of its batch behind, and others may write between its records.
//! - Timestamps are the producer's, or the broker's where the topic says so (`message.timestamp.type`).
//!
//! Never: joins a consumer group, keeps a position in Kafka, or makes a topic by looking at it. A group's offsets are
//! written behind the tables, for the tools that watch lag; nothing is read from them.
//!
//! `settings` → clients; `admin` asks, by a client that is `attended`; `append` and `reports` write; `reader` reads;
//! `native` holds the calls that rdkafka does not offer; `error`, `words` and `listener` say what went wrong. Why it was
//! decided so: docs/adr/0016.

mod admin;
mod append;
mod attended;
mod error;
mod listener;
mod native;
mod reader;
mod reports;
mod settings;
mod words;

use admin::{Admin, no_topic};
use append::Appender;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use watertight_core::port::{Append, EventLog, LogReader, OffsetBounds, PortError, ReadFrom, TopicInfo};
use watertight_core::record::NewRecord;

/// Where a cluster is and how to talk to it.
#[derive(Clone)]
pub struct KafkaOptions {
    /// Brokers to begin with: `host:port`, several separated by commas.
    pub bootstrap: String,
    /// Properties of librdkafka, secrets among them; those on which a guarantee rests are refused.
    pub properties: BTreeMap<String, String>,
    /// Copies of the topics that are made; `None` for the brokers' default.
    pub replication_factor: Option<i16>,
}

impl fmt::Debug for KafkaOptions {
    /// Names of properties only: any value may be a secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("KafkaOptions")
            .field("bootstrap", &self.bootstrap)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .field("replication_factor", &self.replication_factor)
            .finish()
    }
}

/// A cluster as an event log. Clones share their clients.
#[derive(Clone)]
pub struct KafkaLog {
    shared: Arc<Shared>,
}

struct Shared {
    options: KafkaOptions,
    admin: Arc<Admin>,
    appender: Appender,
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("KafkaLog").field(&self.shared.options).finish()
    }
}

impl KafkaLog {
    /// A log at these brokers. None of them is waited for.
    ///
    /// # Errors
    /// `Stop` names the option or property that is wrong, never its value.
    pub fn new(options: KafkaOptions) -> Result<Self, PortError> {
        native::heap::prepare();
        settings::check(&options)?;
        let admin = Arc::new(Admin::open(&options)?);
        let appender = Appender::new(&options, Arc::clone(&admin));
        Ok(Self { shared: Arc::new(Shared { options, admin, appender }) })
    }

    /// Sets the offsets that a consumer group shows for a topic, by partition: the next ones to be read. For tools that
    /// watch lag; a group that has members of its own refuses it.
    ///
    /// # Errors
    /// When it could not be done. Nothing depends on it.
    pub fn commit_group_offsets(&self, topic: &str, group: &str, offsets: &[(i32, i64)]) -> Result<(), PortError> {
        self.shared.admin.commit_group_offsets(topic, group, offsets)
    }
}

impl EventLog for KafkaLog {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        self.shared.admin.describe(topic)
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        self.shared.admin.topics()
    }

    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        self.shared.admin.create_topic(topic, partitions)
    }

    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        self.shared.appender.append(topic, partition, records)
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        self.shared.admin.bounds(topic, partition)
    }

    fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        self.shared.appender.end(topic, partition)
    }

    fn offset_at(&self, topic: &str, partition: i32, timestamp_ms: i64) -> Result<i64, PortError> {
        self.shared.admin.offset_at(topic, partition, timestamp_ms)
    }

    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        let Shared { options, admin, .. } = &*self.shared;
        let info = admin.describe(topic)?.ok_or_else(|| no_topic(topic))?;
        reader::open(options, Arc::clone(admin), topic, &info.incarnation, info.partitions, from)
    }
}
