//! The adapters under test, and what tests do to them that the port does not offer.

use super::{NO_WAIT, TOPIC};
use crate::kafka::{KafkaLog, KafkaOptions};
use crate::memory::log::MemoryLog;
use crate::segment_log::tests::{Scratch, damage_record};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use watertight_core::port::{Append, EventLog, GapCause, LogReader, OffsetBounds, PortError, ReadFrom, TopicInfo};
use watertight_core::record::NewRecord;
use watertight_lab::kafka::shared;

/// A log under test, and what the port does not offer.
pub(super) trait Subject {
    /// The log.
    fn log(&self) -> Arc<dyn EventLog>;
    /// The same log as another process has it.
    fn another(&self) -> Arc<dyn EventLog>;
    /// Removes the topic.
    fn remove_topic(&self, topic: &str);
    /// Lets retention remove some records of partition 0 of [`TOPIC`]: those below `below`, or whole old segments.
    fn retire(&self, below: i64);
    /// Makes the record at `offset` of partition 0 of [`TOPIC`] unreadable (it was appended alone).
    fn damage(&self, offset: i64);
    /// What is in the log comes to a reader within this time.
    fn comes_within(&self) -> Duration {
        NO_WAIT
    }
}

impl Subject for MemoryLog {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::new(self.clone())
    }
    fn another(&self) -> Arc<dyn EventLog> {
        self.log()
    }
    fn remove_topic(&self, topic: &str) {
        assert!(MemoryLog::remove_topic(self, topic));
    }
    fn retire(&self, below: i64) {
        self.retain_from(TOPIC, 0, below).unwrap();
    }
    fn damage(&self, offset: i64) {
        self.lose(TOPIC, 0, offset..offset + 1, GapCause::Damaged).unwrap();
    }
}

impl Subject for Scratch {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as Arc<dyn EventLog>
    }
    fn another(&self) -> Arc<dyn EventLog> {
        Arc::new(self.open())
    }
    fn remove_topic(&self, topic: &str) {
        assert!(self.log.remove_topic(topic).unwrap());
    }
    fn retire(&self, _below: i64) {
        assert!(!self.log.apply_retention(TOPIC, None, Some(4096), &BTreeMap::new()).unwrap().is_empty());
    }
    fn damage(&self, offset: i64) {
        damage_record(&self.path().join(TOPIC).join("0"), offset);
    }
}

/// The broker that all tests of this program share, under names of its own.
pub(super) struct OnKafka {
    prefix: String,
    log: Arc<Prefixed>,
    admin: AdminClient<DefaultClientContext>,
}

impl OnKafka {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("contract-{}-", NUMBER.fetch_add(1, Ordering::Relaxed));
        let admin = ClientConfig::new().set("bootstrap.servers", shared().bootstrap()).create().unwrap();
        Self { log: Arc::new(Prefixed::open(&prefix)), prefix, admin }
    }

    fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(Duration::from_secs(20)))
    }
}

fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

impl Subject for OnKafka {
    fn log(&self) -> Arc<dyn EventLog> {
        Arc::clone(&self.log) as Arc<dyn EventLog>
    }
    fn another(&self) -> Arc<dyn EventLog> {
        Arc::new(Prefixed::open(&self.prefix))
    }
    fn remove_topic(&self, topic: &str) {
        let name = format!("{}{topic}", self.prefix);
        let results = block_on(self.admin.delete_topics(&[name.as_str()], &Self::options())).unwrap();
        assert_eq!(results, [Ok(name)]);
        // The controller knows at once, the broker's view of it follows.
        let began = Instant::now();
        while self.log.topic(topic).unwrap().is_some() {
            assert!(began.elapsed() < Duration::from_secs(10), "the topic is still shown");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    fn retire(&self, below: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&format!("{}{TOPIC}", self.prefix), 0, Offset::Offset(below)).unwrap();
        let results = block_on(self.admin.delete_records(&list, &Self::options())).unwrap();
        results.elements().iter().for_each(|result| result.error().unwrap());
    }
    fn damage(&self, _offset: i64) {
        unreachable!("no fact that Kafka is held to damages anything");
    }
    fn comes_within(&self) -> Duration {
        Duration::from_millis(1_500)
    }
}

/// Kafka with names of topics that nobody else uses.
struct Prefixed {
    prefix: String,
    log: KafkaLog,
    admin: AdminClient<DefaultClientContext>,
}

impl Prefixed {
    fn open(prefix: &str) -> Self {
        let (bootstrap, prefix) = (shared().bootstrap(), prefix.to_owned());
        let admin = ClientConfig::new().set("bootstrap.servers", &bootstrap).create().unwrap();
        let options = KafkaOptions { bootstrap, properties: BTreeMap::new(), replication_factor: None };
        Self { prefix, log: KafkaLog::new(options).unwrap(), admin }
    }

    fn name(&self, topic: &str) -> String {
        format!("{}{topic}", self.prefix)
    }

    fn shown(&self, info: TopicInfo) -> TopicInfo {
        let name = info.name.strip_prefix(&self.prefix).unwrap().to_owned();
        TopicInfo { name, ..info }
    }
}

impl EventLog for Prefixed {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        Ok(self.log.topic(&self.name(topic))?.map(|info| self.shown(info)))
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        let all = self.log.topics()?;
        Ok(all.iter().filter_map(|name| name.strip_prefix(&self.prefix)).map(str::to_owned).collect())
    }

    /// New topics keep their records, whatever their timestamps: those of the suite are of 1970, and by default Kafka
    /// removes what is a week old.
    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        let name = self.name(topic);
        if partitions > 0 && self.log.topic(&name)?.is_none() {
            let wanted = NewTopic::new(&name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1");
            let _made = block_on(self.admin.create_topics([&wanted], &OnKafka::options())).unwrap();
        }
        self.log.create_topic(&name, partitions).map(|info| self.shown(info))
    }

    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        self.log.append(&self.name(topic), partition, records)
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        self.log.bounds(&self.name(topic), partition)
    }

    fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        self.log.end(&self.name(topic), partition)
    }

    fn offset_at(&self, topic: &str, partition: i32, timestamp_ms: i64) -> Result<i64, PortError> {
        self.log.offset_at(&self.name(topic), partition, timestamp_ms)
    }

    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        self.log.reader(&self.name(topic), from)
    }
}
