//! L0 on Kafka: a bare consumer of librdkafka reads every partition once, from its beginning to where it ends at the start,
//! and adds up the checksum of the records. One thread polls; what librdkafka does in its own is part of it.
//!
//! Settings are librdkafka's defaults, but for one that its users are advised to change: with the default of a second, a
//! full queue makes the reading pause for that long.

use super::read_log::LogSum;
use anyhow::{Context as _, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use std::time::{Duration, Instant};

/// How long a broker may take over a question.
const PATIENCE: Duration = Duration::from_secs(30);
/// One poll; records that are there come at once.
const POLL_MAX: Duration = Duration::from_secs(1);
/// Records that are known to be there come sooner than this, or never.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Arguments of `read-kafka`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Brokers.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap: String,
    /// Topic.
    #[arg(long, value_name = "NAME")]
    topic: String,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let sum = sum_of(&args.bootstrap, &args.topic)?;
    println!("{}", serde_json::to_string(&sum)?);
    Ok(())
}

/// Reads the topic once.
fn sum_of(bootstrap: &str, topic: &str) -> Result<LogSum> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        // Partitions are assigned by hand, which librdkafka allows to members of a group only; nothing is committed to it.
        .set("group.id", "watertight-bench")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer = config.create().with_context(|| format!("no consumer for {bootstrap}"))?;
    let bounds = bounds_of(&consumer, topic)?;
    let mut assigned = TopicPartitionList::new();
    for (partition, (from, _)) in bounds.iter().enumerate() {
        assigned.add_partition_offset(topic, partition as i32, Offset::Offset(*from))?;
    }
    let ends: Vec<i64> = bounds.iter().map(|(_, end)| *end).collect();
    let mut left = bounds.iter().filter(|(from, end)| end > from).count();
    consumer.assign(&assigned).context("the partitions could not be assigned")?;
    let (mut sum, mut silent_since) = (LogSum::default(), None);
    while left > 0 {
        let Some(polled) = consumer.poll(POLL_MAX) else {
            let since = *silent_since.get_or_insert_with(Instant::now);
            ensure!(since.elapsed() < SILENCE_MAX, "topic {topic} ended before its own end; look at the brokers");
            continue;
        };
        silent_since = None;
        let message = polled.with_context(|| format!("topic {topic} could not be read"))?;
        let (partition, offset) = (message.partition(), message.offset());
        let end = ends[partition as usize];
        if offset < end {
            sum.add(partition, offset, message.key(), message.payload());
            left -= usize::from(offset + 1 == end);
        }
    }
    Ok(sum)
}

/// The first offset and the end of each partition.
fn bounds_of(consumer: &BaseConsumer, topic: &str) -> Result<Vec<(i64, i64)>> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).context("the brokers do not answer")?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let partitions = found.map_or(0, |found| found.partitions().len()) as i32;
    ensure!(partitions > 0, "there is no topic '{topic}'; name one with --topic");
    let bounds = |partition| {
        let bounds = consumer.fetch_watermarks(topic, partition, PATIENCE);
        bounds.with_context(|| format!("partition {partition} of {topic} does not answer"))
    };
    (0..partitions).map(bounds).collect()
}
