//! Where live events go: a topic in Kafka, or in a local log.
//!
//! Contract: events of a partition arrive in the order in which they were sent, at dense offsets. What could not be
//! sent is an error.

use crate::log::KafkaSender;
use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use watertight_adapters::segment_log::{SegmentLog, SegmentLogOptions};
use watertight_adapters::system::{SystemClock, SystemIds};
use watertight_core::port::EventLog as _;
use watertight_core::record::NewRecord;

/// What a producer that cares for latency waits for others.
const LINGER_MS: u32 = 5;

/// See the module.
pub(crate) enum Sink {
    /// Kafka.
    Kafka(KafkaSender),
    /// The built-in log.
    Local(LocalSink),
}

impl Sink {
    /// Into a topic of the brokers.
    pub(crate) fn kafka(bootstrap: &str, topic: &str) -> Result<Self> {
        KafkaSender::new(bootstrap, topic, LINGER_MS).map(Self::Kafka)
    }

    /// Into a topic of the log in `folder`, which is made where it is not there.
    pub(crate) fn local(folder: &Path, topic: &str, partitions: i32) -> Result<Self> {
        let log = SegmentLog::open(folder, SegmentLogOptions::default(), Arc::new(SystemClock), Arc::new(SystemIds))?;
        log.create_topic(topic, partitions)?;
        let waiting = vec![Vec::new(); partitions as usize];
        Ok(Self::Local(LocalSink { log, topic: topic.to_owned(), waiting }))
    }

    /// Sends one event; it may wait for [`Sink::tick`].
    pub(crate) fn send(
        &mut self,
        partition: i32,
        (key, value): (Option<&[u8]>, Option<&[u8]>),
        timestamp_ms: i64,
    ) -> Result<()> {
        match self {
            Self::Kafka(sender) => sender.send(partition, key, value, timestamp_ms),
            Self::Local(sink) => {
                let event = Waiting { key: key.map(<[u8]>::to_vec), value: value.map(<[u8]>::to_vec), timestamp_ms };
                sink.waiting[partition as usize].push(event);
                Ok(())
            }
        }
    }

    /// Sends what waits.
    pub(crate) fn tick(&mut self) -> Result<()> {
        match self {
            Self::Kafka(_) => Ok(()),
            Self::Local(sink) => sink.append(),
        }
    }

    /// Sends what waits, and returns when everything is acknowledged.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Kafka(sender) => sender.finish(),
            Self::Local(mut sink) => sink.append(),
        }
    }
}

#[derive(Debug, Clone)]
struct Waiting {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: i64,
}

impl Waiting {
    fn as_record(&self) -> NewRecord<'_> {
        let Self { key, value, timestamp_ms } = self;
        NewRecord { key: key.as_deref(), value: value.as_deref(), timestamp_ms: *timestamp_ms, ..NewRecord::default() }
    }
}

/// A topic of the built-in log, and what waits for an append.
pub(crate) struct LocalSink {
    log: SegmentLog,
    topic: String,
    waiting: Vec<Vec<Waiting>>,
}

impl LocalSink {
    fn append(&mut self) -> Result<()> {
        for (partition, waiting) in self.waiting.iter_mut().enumerate().filter(|(_, waiting)| !waiting.is_empty()) {
            let records: Vec<NewRecord<'_>> = waiting.iter().map(Waiting::as_record).collect();
            self.log.append(&self.topic, partition as i32, &records)?;
            waiting.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levels::read_log::sum_of;

    #[test]
    fn what_waits_is_there_after_a_tick_and_at_the_end() {
        let dir = tempfile::tempdir().expect("scratch");
        let mut sink = Sink::local(dir.path(), "t", 2).expect("opens");
        sink.send(0, (Some(b"k"), Some(b"one")), 5).expect("taken");
        sink.send(1, (None, None), 6).expect("taken");
        sink.tick().expect("appended");
        assert_eq!(sum_of(dir.path(), "t").expect("read").records, 2);
        sink.send(0, (Some(b"k"), Some(b"two")), 7).expect("taken");
        sink.finish().expect("appended");
        let mut expected = crate::levels::read_log::LogSum::default();
        expected.add(0, 0, Some(b"k"), Some(b"one"));
        expected.add(0, 1, Some(b"k"), Some(b"two"));
        expected.add(1, 0, None, None);
        assert_eq!(sum_of(dir.path(), "t").expect("read"), expected);
    }
}
