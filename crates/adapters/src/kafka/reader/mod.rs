//! The Kafka reader: partitions of one topic, from exact offsets on.
//!
//! Contract: as `LogReader` says. Nothing of a consumer group is used but its name, which librdkafka wants; positions
//! come from whoever opens the reader. Offsets without a record come as gaps of the cause `NoRecord`, once a second
//! reading has found none there (`holes.rs`); damage, a lost place and another life of the topic come as errors, behind
//! what was read before, and nothing is skipped by itself.
//!
//! Who does what: `pump.rs` is the thread that polls librdkafka and copies records once, `track.rs` where it stands in
//! each partition; `inbox.rs` is what waits between it and the fetching caller; `holes.rs`, `second.rs` and `sweep.rs`
//! explain holes on a thread of their own; `identity.rs` watches that the topic stays the same one.

mod chunk;
mod failure;
mod holes;
mod identity;
mod inbox;
mod pump;
mod second;
mod sweep;
mod track;

use self::failure::{Failure, Until, out_of_bounds};
use self::identity::{Ears, Identity};
use self::inbox::Inbox;
use self::pump::Pump;
use self::second::Context;
use self::track::{Stage, Track};
use super::KafkaOptions;
use super::admin::Admin;
use super::error::port_error;
use super::listener::Listener;
use super::native::consume::{Consumer, Watcher};
use super::settings::{self, Isolation};
use rdkafka::ClientConfig;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use watertight_core::port::{ErrorKind, Fetched, LogReader, OffsetBounds, PortError, ReadFrom};

/// How long brokers may take to say what the partitions hold, when a reader is opened; asked twice.
const OPEN_WAIT: Duration = Duration::from_secs(5);
/// Name of the group where the user has set none. It has no member and no offsets; librdkafka assigns no partitions
/// without one.
const GROUP: &str = "watertight-reader";
/// How long a broker may hold a fetch back while there is nothing new. A seek and the news that the end was reached
/// wait for a fetch that is under way; librdkafka's default is 500.
const FETCH_WAIT_MS: &str = "100";

/// Opens a reader. `incarnation` is the topic's id and `partitions` their number as they were described just now.
///
/// # Errors
/// `Stop` where a partition does not exist or comes twice, and where nobody may read it. A position outside what a
/// partition holds is said by the first fetch, and does not keep others from being read; nor does a partition whose
/// broker is away.
pub(super) fn open(
    options: &KafkaOptions,
    admin: Arc<Admin>,
    topic: &str,
    incarnation: &str,
    partitions: i32,
    from: &[ReadFrom],
) -> Result<Box<dyn LogReader>, PortError> {
    check(topic, partitions, from)?;
    let identity = Arc::new(Identity::new(topic, incarnation));
    let context = Context {
        topic: topic.to_owned(),
        identity: Arc::clone(&identity),
        listener: Arc::new(Listener::new("reader", options)),
        committed: config(options, Isolation::Committed),
        uncommitted: config(options, Isolation::Uncommitted),
    };
    let ears = Ears::new(Arc::clone(&identity), Arc::clone(&context.listener));
    let consumer = Consumer::open(&context.committed, topic, Arc::clone(&ears) as Arc<dyn Watcher>)?;
    let mut tracks = Vec::with_capacity(from.len());
    let mut lanes = Vec::with_capacity(from.len());
    for (from, bounds) in from.iter().zip(look(&consumer, topic, from)?) {
        let failure = bounds.and_then(|bounds| out_of_bounds(topic, from.partition, from.offset, bounds));
        let mut track = Track::new(from.partition, from.offset, from.leader_epoch);
        if failure.is_some() {
            track.stage = Stage::Off;
        }
        tracks.push(track);
        lanes.push((*from, failure));
    }
    let inbox = Arc::new(Inbox::new(lanes));
    let mut reader = KafkaReader { inbox, identity, consumer: Arc::new(consumer), threads: Vec::new() };
    reader
        .start(context, ears, tracks, admin)
        .map_err(|error| PortError::io("start the threads of a reader", error))?;
    Ok(Box::new(reader))
}

/// What the partitions hold; nothing where that cannot be said now: then librdkafka finds out whether a position is
/// outside.
fn look(consumer: &Consumer, topic: &str, from: &[ReadFrom]) -> Result<Vec<Option<OffsetBounds>>, PortError> {
    let partitions: Vec<i32> = from.iter().map(|from| from.partition).collect();
    match consumer.bounds(&partitions, OPEN_WAIT) {
        Ok(bounds) => Ok(bounds.into_iter().map(Some).collect()),
        Err(error) => {
            let error = port_error(format!("the partitions of topic {topic} do not tell their offsets"), error);
            if error.kind != ErrorKind::Retry {
                return Err(error);
            }
            tracing::warn!("{}; those that can be read are read", error.message);
            Ok(vec![None; from.len()])
        }
    }
}

fn check(topic: &str, partitions: i32, from: &[ReadFrom]) -> Result<(), PortError> {
    let mut numbers = BTreeSet::new();
    for ReadFrom { partition, .. } in from {
        if !(0..partitions).contains(partition) {
            return Err(PortError::new(
                ErrorKind::Stop,
                format!("topic {topic} has no partition {partition}; it has {partitions}, numbered from 0"),
            ));
        }
        if !numbers.insert(partition) {
            return Err(PortError::new(
                ErrorKind::Stop,
                format!("partition {topic}/{partition} is asked for twice; name each partition once"),
            ));
        }
    }
    Ok(())
}

/// The settings that this reader rests on, over those of all consumers.
fn config(options: &KafkaOptions, isolation: Isolation) -> ClientConfig {
    let mut config = settings::consumer(options, isolation);
    for (name, value) in [
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "error"),
        ("check.crcs", "true"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // The line that announces another topic must come when it is written, not when it is polled.
        ("log.queue", "false"),
    ] {
        config.set(name, value);
    }
    for (name, value) in [("group.id", GROUP), ("fetch.wait.max.ms", FETCH_WAIT_MS), ("enable.metrics.push", "false")] {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    // What announces a recreated topic, see `native/consume/hook.rs`. A few lines for each answer about metadata.
    let debug = match config.get("debug") {
        Some(contexts) if !contexts.is_empty() => format!("{contexts},metadata"),
        _ => "metadata".to_owned(),
    };
    config.set("debug", debug);
    config
}

/// See the module.
struct KafkaReader {
    inbox: Arc<Inbox>,
    identity: Arc<Identity>,
    consumer: Arc<Consumer>,
    threads: Vec<JoinHandle<()>>,
}

impl KafkaReader {
    fn start(
        &mut self,
        context: Context,
        ears: Arc<Ears>,
        tracks: Vec<Track>,
        admin: Arc<Admin>,
    ) -> std::io::Result<()> {
        let topic = context.topic.clone();
        let (inbox, explained) = (Arc::clone(&self.inbox), context.clone());
        let explain = move || holes::run(&explained, &inbox);
        self.threads.push(spawn(format!("kafka-holes-{topic}"), Arc::clone(&self.inbox), explain)?);

        let (consumer, inbox) = (Arc::clone(&self.consumer), Arc::clone(&self.inbox));
        let pump = Pump::new(context, consumer, ears, inbox, tracks);
        self.threads.push(spawn(format!("kafka-reader-{topic}"), Arc::clone(&self.inbox), || pump.run())?);

        // Not joined: it may wait for an answer. It ends when that came, or a time-out.
        let identity = Arc::clone(&self.identity);
        let name = format!("kafka-watch-{topic}");
        let watch = move || {
            identity.watch(|| Ok(admin.describe(&topic)?.map(|described| described.incarnation)));
        };
        drop(std::thread::Builder::new().name(name).spawn(watch)?);
        Ok(())
    }
}

impl LogReader for KafkaReader {
    fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        self.inbox.fetch(bytes_max, wait, || self.identity.silence())
    }

    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        if self.inbox.seek(partition, offset) {
            self.consumer.wake();
            return Ok(());
        }
        Err(PortError::new(
            ErrorKind::Stop,
            format!(
                "partition {}/{partition} is not assigned to this reader; open one that has it",
                self.identity.topic()
            ),
        ))
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.inbox.close();
        self.identity.close();
        self.consumer.wake();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            drop(thread.join());
        }
    }
}

/// Tells whoever fetches when the thread that holds it panics: nothing would come any more.
struct Alarm {
    inbox: Arc<Inbox>,
    thread: String,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let message = format!(
                "thread {} panicked; this is a defect in watertight, nothing that was read is affected: please report \
                 it",
                self.thread
            );
            self.inbox.end(Failure::new(ErrorKind::Bug, message, Until::Seek));
        }
    }
}

/// Starts a thread that raises the alarm where it panics.
fn spawn(name: String, inbox: Arc<Inbox>, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    let alarm = Alarm { inbox, thread: name.clone() };
    std::thread::Builder::new().name(name).spawn(move || {
        let _alarm = alarm;
        body();
    })
}
