//! What goes on beside the pipeline: the retention of the built-in log, readings for `status`, and a line on the terminal
//! while state is rebuilt.

use crate::status::{HealthWriter, ProgressLine, RetentionWatch};
use crate::wiring::Log;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use watertight_adapters::segment_log::SegmentLog;
use watertight_config::{LogConfig, PipelineConfig, Retention};
use watertight_core::port::{EventLog as _, Lake, PortError, TopicInfo};
use watertight_pipeline::runtime::{Health, Part, Rebuilding, Stop};

/// How often retention of the log is applied.
const RETENTION_EVERY: Duration = Duration::from_secs(10);
/// How often commit times are left for `status`.
const HEALTH_EVERY: Duration = Duration::from_secs(1);

/// Keeps house until the pipeline has ended.
pub(super) fn keep(
    config: &PipelineConfig,
    log: &Log,
    lake: &dyn Lake,
    writer: &HealthWriter,
    health: &Health,
    ended: &Stop,
) {
    let mut next_retention = Instant::now();
    let (mut line, mut watch) = (ProgressLine::on_stderr(), RetentionWatch::default());
    let port = log.port();
    while !ended.wait(HEALTH_EVERY) {
        watch.look(config, &port, lake);
        let rebuilding = health.rebuilding();
        writer.write(&health.all(), &health.commit_times(), &rebuilding);
        match rebuilding_line(&rebuilding) {
            Some(text) => line.show(&text),
            None => line.clear(),
        }
        // Kafka's retention is its own.
        if let (Log::Local(log), LogConfig::Local { retention, .. }) = (log, &config.log)
            && (retention.age_us.is_some() || retention.bytes.is_some())
            && Instant::now() >= next_retention
        {
            next_retention += RETENTION_EVERY;
            apply_retention(config, log, *retention, lake);
        }
    }
}

fn apply_retention(config: &PipelineConfig, log: &SegmentLog, retention: Retention, lake: &dyn Lake) {
    let age = retention.age_us.map(|us| Duration::from_micros(us.unsigned_abs()));
    let mut names: BTreeSet<String> = BTreeSet::new();
    for stream in &config.streams {
        match stream.topics_now(log) {
            Ok(topics) => names.extend(topics),
            Err(error) => {
                let stream = &stream.name;
                tracing::warn!(stream, error = error.chain(), "retention was not applied to its topics");
            }
        }
    }
    for name in &names {
        let applied = log.topic(name).and_then(|topic| {
            let Some(topic) = topic else { return Ok(Vec::new()) };
            let readers = config.streams.iter().filter(|stream| stream.reads(name));
            let needed = needed_from(lake, readers.map(|stream| stream.name.as_str()), &topic)?;
            log.apply_retention(name, age, retention.bytes, &needed)
        });
        if let Err(error) = applied {
            tracing::warn!(topic = name, error = error.chain(), "retention was not applied");
        }
    }
}

/// The offsets from which a bronze table still needs the log, by partition: retention spares them. Several streams may
/// read one topic; the one that is furthest behind counts.
fn needed_from<'a>(
    lake: &dyn Lake,
    streams: impl Iterator<Item = &'a str>,
    topic: &TopicInfo,
) -> Result<BTreeMap<i32, i64>, PortError> {
    let mut needed: BTreeMap<i32, i64> = (0..topic.partitions).map(|partition| (partition, i64::MAX)).collect();
    for stream in streams {
        let bronze = lake.look("bronze", stream)?;
        for (partition, from) in &mut needed {
            let at = bronze.iter().flat_map(|bronze| &bronze.state().positions).find(|(key, _)| {
                key.topic == topic.name && key.incarnation == topic.incarnation && key.partition == *partition
            });
            *from = at.map_or(0, |(_, next)| *next).min(*from);
        }
    }
    Ok(needed)
}

/// What the parts read again at a start, as one line; `None` when there is nothing of the kind.
fn rebuilding_line(rebuilding: &BTreeMap<Part, Rebuilding>) -> Option<String> {
    let percent = |at: &Rebuilding| at.done.saturating_mul(100) / at.of.max(1);
    let parts = rebuilding.iter().map(|(part, at)| format!("{part} {} of {} rows ({}%)", at.done, at.of, percent(at)));
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("reading state back from the tables: {}", parts.join(", ")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::Arc;
    use watertight_adapters::memory::lake::MemoryLake;
    use watertight_core::books::Books;
    use watertight_core::port::{CommitRequest, TableSpec};
    use watertight_core::position::{PositionKey, PositionStep};
    use watertight_core::schema::{BRONZE_PARTITION, bronze_schema};

    /// A stream's table in a layer has partition 0 of the topic up to `to`.
    pub(crate) fn has_read(lake: &MemoryLake, (layer, stream): (&str, &str), (from, to): (Option<i64>, i64)) {
        let spec = TableSpec {
            schema_name: layer.to_owned(),
            table: stream.to_owned(),
            columns: Arc::new(bronze_schema()),
            partition_column: BRONZE_PARTITION.to_owned(),
            pipeline: "p".to_owned(),
        };
        let (topic, incarnation) = ("ticks".to_owned(), "i".to_owned());
        let key = PositionKey { pipeline: "p".to_owned(), topic, incarnation, partition: 0 };
        let steps = vec![PositionStep { key, from, to }];
        let request = CommitRequest {
            steps,
            files: vec![],
            books: Books::append("p", format!("{stream} {to}")),
            timestamp_us: 0,
        };
        lake.open(&spec).expect("a table").commit(&request).expect("committed");
    }

    #[test]
    fn retention_spares_what_any_stream_of_the_topic_has_not_read() {
        let lake = MemoryLake::default();
        let topic = TopicInfo { name: "ticks".to_owned(), incarnation: "i".to_owned(), partitions: 2 };
        has_read(&lake, ("bronze", "fast"), (None, 100));
        let needed = |streams: &[&'static str]| needed_from(&lake, streams.iter().copied(), &topic).expect("read");
        assert_eq!(needed(&["fast"]), BTreeMap::from([(0, 100), (1, 0)]));
        assert_eq!(needed(&["fast", "new"]), BTreeMap::from([(0, 0), (1, 0)]), "a stream without a table needs it all");
        has_read(&lake, ("bronze", "slow"), (None, 40));
        assert_eq!(needed(&["fast", "slow"]), BTreeMap::from([(0, 40), (1, 0)]));
    }
}
