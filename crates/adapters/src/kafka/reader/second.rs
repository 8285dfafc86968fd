//! A second reader, independent of the first: another client, other connections, its own place.
//!
//! Contract: it shows which offsets of a stretch bear a record at its isolation level, and keeps nothing of them.

use super::failure::{Failure, Until, of_partition, out_of_bounds};
use super::identity::{Ears, Identity};
use super::sweep::Sweep;
use crate::kafka::listener::Listener;
use crate::kafka::native::Failure as NativeError;
use crate::kafka::native::consume::{Batch, Consumer, Watcher};
use rdkafka::ClientConfig;
use rdkafka::types::RDKafkaErrorCode;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, ReadFrom};

/// Messages of one poll.
const BATCH_MAX: usize = 4_096;
/// How long one poll waits; whether to stop is asked in between.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// A pass that gets no further for so long has failed.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// How long a question for offsets may take.
const ASK_WAIT: Duration = Duration::from_secs(2);

/// What second readers are made from.
#[derive(Clone)]
pub(super) struct Context {
    /// The topic.
    pub(super) topic: String,
    /// Its identity, which they watch as well.
    pub(super) identity: Arc<Identity>,
    /// Where their log goes.
    pub(super) listener: Arc<Listener>,
    /// For reading committed records.
    pub(super) committed: ClientConfig,
    /// For reading all records.
    pub(super) uncommitted: ClientConfig,
}

/// See the module.
pub(super) struct Second {
    topic: String,
    identity: Arc<Identity>,
    ears: Arc<Ears>,
    /// Before the consumer, as its messages are to be given back before that is gone.
    batch: Batch,
    consumer: Consumer,
}

impl Second {
    /// One that reads by this configuration.
    ///
    /// # Errors
    /// As [`Consumer::open`].
    pub(super) fn open(context: &Context, config: &ClientConfig) -> Result<Self, Failure> {
        let mut config = config.clone();
        // It reads short stretches: little ahead, and the end of a partition is to be told at once.
        for (name, value) in [
            ("fetch.wait.max.ms", "10"),
            ("fetch.queue.backoff.ms", "5"),
            ("queued.min.messages", "1000"),
            ("queued.max.messages.kbytes", "4096"),
        ] {
            config.set(name, value);
        }
        let ears = Ears::new(Arc::clone(&context.identity), Arc::clone(&context.listener));
        let consumer = Consumer::open(&config, &context.topic, Arc::clone(&ears) as Arc<dyn Watcher>)
            .map_err(|error| Failure::port(error, Until::Progress))?;
        let (topic, identity) = (context.topic.clone(), Arc::clone(&context.identity));
        Ok(Self { topic, identity, ears, batch: Batch::with_capacity(BATCH_MAX), consumer })
    }

    /// Reads until every sweep is done; all of them at once, each partition once.
    ///
    /// # Errors
    /// `Retry` where it got no further or was stopped; else as the broker's answer says. A reader that failed is
    /// thrown away.
    pub(super) fn run(&mut self, sweeps: &mut [Sweep], is_stopped: &dyn Fn() -> bool) -> Result<(), Failure> {
        let starts: Vec<ReadFrom> = sweeps.iter().map(|s| ReadFrom::offset(s.partition, s.position())).collect();
        self.place(&starts)?;
        let mut moved = Instant::now();
        let mut why = "nothing came".to_owned();
        while !sweeps.iter().all(Sweep::is_done) {
            if is_stopped() {
                return Err(self.failed("the reader was closed"));
            }
            self.consumer.poll(&mut self.batch, POLL_WAIT);
            let displaced = self.take(sweeps, &mut moved)?;
            if let Some(ended) = self.identity.ended() {
                return Err(ended);
            }
            if !displaced.is_empty() {
                self.place(&self.moved_on(sweeps, &displaced)?)?;
            }
            if let Some(error) = self.ears.errors().pop() {
                why = error.text;
            }
            if moved.elapsed() > STUCK_AFTER {
                return Err(self.failed(&why));
            }
        }
        let partitions: Vec<i32> = starts.iter().map(|start| start.partition).collect();
        self.consumer.leave(&partitions).map_err(|error| self.native(&error))
    }

    fn place(&self, starts: &[ReadFrom]) -> Result<(), Failure> {
        match self.consumer.place(starts) {
            Ok(left) if left.is_empty() => Ok(()),
            Ok(_) => Err(self.failed("the client did not take its place in time")),
            Err(error) => Err(self.native(&error)),
        }
    }

    /// Goes through what came; names the partitions that lost their place.
    fn take(&mut self, sweeps: &mut [Sweep], moved: &mut Instant) -> Result<Vec<i32>, Failure> {
        let (mut displaced, mut failure) = (Vec::new(), None);
        let (topic, ears) = (&self.topic, &self.ears);
        self.batch.drain(|message| {
            let found = sweeps.iter_mut().find(|sweep| sweep.partition == message.partition());
            let Some(sweep) = found.filter(|_| message.has_topic()) else { return };
            if message.is_record() {
                if ears.has_heard_id() {
                    sweep.see(message.offset());
                    *moved = Instant::now();
                }
                return;
            }
            let event = message.event();
            match event.code {
                RDKafkaErrorCode::PartitionEOF => {
                    sweep.reach(message.offset());
                    *moved = Instant::now();
                }
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
                    displaced.push(sweep.partition);
                }
                _ => {
                    let (partition, position) = (sweep.partition, sweep.position());
                    failure = Some(of_partition(topic, partition, position, message.offset(), &event));
                }
            }
        });
        failure.map_or(Ok(displaced), Err)
    }

    /// Where these partitions go on, as the log begins later by now.
    fn moved_on(&self, sweeps: &mut [Sweep], displaced: &[i32]) -> Result<Vec<ReadFrom>, Failure> {
        let bounds = self.consumer.bounds(displaced, ASK_WAIT).map_err(|error| self.native(&error))?;
        let mut starts = Vec::new();
        for (partition, bounds) in displaced.iter().zip(bounds) {
            let Some(sweep) = sweeps.iter_mut().find(|sweep| sweep.partition == *partition) else { continue };
            // The log lost its end: that is what is told, and no second reading will help.
            if sweep.position() > bounds.next
                && let Some(lost) = out_of_bounds(&self.topic, *partition, sweep.position(), bounds)
            {
                return Err(lost);
            }
            sweep.removed_below(bounds.earliest);
            starts.push(ReadFrom::offset(*partition, sweep.position()));
        }
        Ok(starts)
    }

    fn failed(&self, why: &str) -> Failure {
        let message = format!(
            "offsets without a record in topic {} could not be read a second time, to see that nothing is there: \
             {why}; it is tried again",
            self.topic
        );
        Failure::new(ErrorKind::Retry, message, Until::Progress)
    }

    fn native(&self, error: &NativeError) -> Failure {
        Failure::native(&format!("topic {} cannot be read a second time", self.topic), error, Until::Progress)
    }
}

/// The first stretch of committed records among these offsets; `None` where there is none, or none any more.
///
/// # Errors
/// As [`Second::run`].
pub(super) fn first_record(
    context: &Context,
    partition: i32,
    offsets: Range<i64>,
    is_stopped: &dyn Fn() -> bool,
) -> Result<Option<Range<i64>>, Failure> {
    let mut sweeps = [Sweep::new(partition, vec![offsets])];
    Second::open(context, &context.committed)?.run(&mut sweeps, is_stopped)?;
    Ok(sweeps[0].inside().first().cloned())
}
