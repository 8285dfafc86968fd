//! The positions of the tables as offsets of a consumer group in Kafka, for the tools that people watch lag with.
//!
//! Telemetry: the tables say where reading goes on, and nothing is ever read from the group. Offsets are shown behind the
//! commits that hold them, every few seconds; that they cannot be shown is told once, and tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use watertight_adapters::kafka::KafkaLog;
use watertight_core::port::{ErrorKind, EventLog as _, Lake, LakeTable, PortError, TopicInfo};
use watertight_core::schema::StreamDef;
use watertight_pipeline::runtime::Stop;

/// How often positions are shown: tools ask every 10 s or more.
const EVERY: Duration = Duration::from_secs(5);

/// What is shown, and where.
pub(super) struct GroupOffsets<'a> {
    kafka: Arc<KafkaLog>,
    group: &'a str,
    tables: Tables<'a>,
    /// The offsets that the group has, by topic.
    shown: BTreeMap<String, Vec<(i32, i64)>>,
    /// Whether the last round failed, and was told of.
    failing: bool,
}

impl<'a> GroupOffsets<'a> {
    /// Of the tables in `layer`, the last one that the run reaches.
    pub(super) fn new(
        kafka: Arc<KafkaLog>,
        group: &'a str,
        streams: &'a [StreamDef],
        (lake, layer): (&'a dyn Lake, &'static str),
    ) -> Self {
        let tables = Tables { lake, layer, streams, open: BTreeMap::new() };
        Self { kafka, group, tables, shown: BTreeMap::new(), failing: false }
    }

    /// Shows them until the pipeline has ended, and what the last commits brought.
    pub(super) fn keep(mut self, ended: &Stop) {
        while !ended.wait(EVERY) {
            self.round();
        }
        // The end of a run does not wait for a Kafka that was away a moment ago.
        if !self.failing {
            self.round();
        }
    }

    fn round(&mut self) {
        let mut topics: BTreeSet<String> = BTreeSet::new();
        let mut failed: Option<PortError> = None;
        for stream in self.tables.streams {
            match stream.topics_now(self.kafka.as_ref()) {
                Ok(names) => topics.extend(names),
                // Each further question would wait as long for nothing.
                Err(error) if error.kind == ErrorKind::Retry => {
                    failed = Some(error);
                    topics.clear();
                    break;
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        for topic in &topics {
            match self.show(topic) {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Retry => {
                    failed.get_or_insert(error);
                    break;
                }
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        match failed {
            Some(error) if !self.failing => {
                let (group, error) = (self.group, error.chain());
                tracing::warn!(group, error, "positions are not shown to tools that watch lag; trying again");
                self.failing = true;
            }
            Some(error) => tracing::debug!(group = self.group, error = error.chain(), "positions are not shown"),
            None => self.failing = false,
        }
    }

    fn show(&mut self, topic: &str) -> Result<(), PortError> {
        let Some(info) = self.kafka.topic(topic)? else { return Ok(()) };
        let offsets = self.tables.offsets(&info)?;
        if offsets.is_empty() || self.shown.get(topic) == Some(&offsets) {
            return Ok(());
        }
        self.kafka.commit_group_offsets(topic, self.group, &offsets)?;
        self.shown.insert(topic.to_owned(), offsets);
        Ok(())
    }
}

/// The tables of one layer, each opened once and read on from there.
struct Tables<'a> {
    lake: &'a dyn Lake,
    layer: &'static str,
    streams: &'a [StreamDef],
    open: BTreeMap<&'a str, Box<dyn LakeTable>>,
}

impl<'a> Tables<'a> {
    /// Where each partition of this life of the topic is, as the stream that is furthest behind has it. Partitions that one
    /// of them has not begun are left out.
    fn offsets(&mut self, topic: &TopicInfo) -> Result<Vec<(i32, i64)>, PortError> {
        let streams = self.streams;
        let mut lowest: Option<BTreeMap<i32, i64>> = None;
        for stream in streams.iter().filter(|stream| stream.reads(&topic.name)) {
            let at = self.positions(&stream.name, topic)?;
            lowest = Some(match lowest {
                None => at,
                Some(before) => before.iter().filter_map(|(key, to)| Some((*key, *at.get(key)?.min(to)))).collect(),
            });
        }
        Ok(lowest.unwrap_or_default().into_iter().collect())
    }

    fn positions(&mut self, stream: &'a str, topic: &TopicInfo) -> Result<BTreeMap<i32, i64>, PortError> {
        let mut table = match self.open.remove(stream) {
            Some(table) => table,
            None => match self.lake.look(self.layer, stream)? {
                Some(table) => table,
                None => return Ok(BTreeMap::new()),
            },
        };
        // A table that cannot be read on is opened anew the next time.
        let of_topic = table.refresh()?.positions.iter().filter(|(key, _)| {
            key.topic == topic.name && key.incarnation == topic.incarnation && key.partition < topic.partitions
        });
        let positions = of_topic.map(|(key, next)| (key.partition, *next)).collect();
        self.open.insert(stream, table);
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::super::house::tests::has_read;
    use super::*;
    use watertight_adapters::memory::lake::MemoryLake;

    fn reading(name: &str, topic: &str) -> StreamDef {
        let def = serde_json::json!({
            "name": name, "topic": topic, "partitions": 2, "event_id": {"column": "id"},
            "event_time": {
                "column": "at", "watermark_delay_us": 0, "future_tolerance_us": 0, "idle_after_us": 0,
                "not_before_us": 0, "not_after_us": 1
            },
            "columns": [], "checks": [], "payload": {"bytes_max": 1, "depth_max": 1, "duplicate_keys": "reject"}
        });
        serde_json::from_value(def).expect("a definition")
    }

    #[test]
    fn what_is_shown_is_what_every_stream_of_the_topic_has() {
        let lake = MemoryLake::default();
        let ticks = |incarnation: &str| TopicInfo {
            name: "ticks".to_owned(),
            incarnation: incarnation.to_owned(),
            partitions: 2,
        };
        let streams =
            [("fast", "ticks"), ("slow", "ticks"), ("other", "news")].map(|(name, topic)| reading(name, topic));
        let mut tables = Tables { lake: &lake, layer: "silver", streams: &streams, open: BTreeMap::new() };
        assert!(tables.offsets(&ticks("i")).expect("read").is_empty());
        has_read(&lake, ("silver", "fast"), (None, 100));
        assert!(tables.offsets(&ticks("i")).expect("read").is_empty(), "the slow one has nothing");
        has_read(&lake, ("silver", "slow"), (None, 40));
        assert_eq!(tables.offsets(&ticks("i")).expect("read"), [(0, 40)]);
        has_read(&lake, ("silver", "slow"), (Some(40), 120));
        assert_eq!(tables.offsets(&ticks("i")).expect("read"), [(0, 100)], "a table is read on");
        assert!(tables.offsets(&ticks("another life")).expect("read").is_empty());
    }
}
