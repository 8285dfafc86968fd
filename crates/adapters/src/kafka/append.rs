//! Batches into Kafka: an idempotent producer that waits for every replica in sync, and what became of each record.
//!
//! Contract: the records of a batch come into their partition in order, each once, however often librdkafka has to send
//! them. A batch that fails leaves a beginning of itself in the log or nothing. Records of others may come to lie
//! between: the answer names the offset of each. All or nothing would take a transaction for every batch
//! (docs/adr/0016).
//!
//! An append answers within about [`ANSWER`] after the last sign of life. What is not known by then stays with
//! librdkafka, which goes on trying under the same sequence numbers; until it is decided, this handle appends nothing
//! else to that partition and does not tell its end ([`Appender::end`]). Nor does it while an append of another thread
//! is under way, or let one begin while it asks. So nothing that this handle sent before lies behind an end that it
//! told, and whoever reads the tail back as far as that sees what will be.
//!
//! Limits: a process that is killed leaves what its sockets hold to the brokers; they may still take it when the next
//! one has begun. A timestamp of 0 is taken for "now" by librdkafka.

use super::KafkaOptions;
use super::admin::{Admin, CALL, no_partition, no_topic};
use super::error::{Cause, port_error};
use super::listener::Listener;
use super::native::{Failure, metadata};
use super::reports::{Batch, Progress, Report, Reports};
use super::settings;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, PurgeConfig, ThreadedProducer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use watertight_core::port::{Append, ErrorKind, PortError};
use watertight_core::record::NewRecord;

/// How long no report may come in before an append answers that it does not know.
const ANSWER: Duration = Duration::from_secs(10);
/// A partition that answered this recently is sent to without asking first whether it is there.
const FRESH: Duration = Duration::from_secs(1);
/// Pause while librdkafka's queue is full, or another thread is busy with a partition.
const PAUSE: Duration = Duration::from_millis(1);
/// What librdkafka counts for a record beside its bytes (`RD_KAFKAP_MESSAGE_V2_MAX_OVERHEAD`).
const RECORD_OVERHEAD_BYTES: usize = 36;

type Sender = ThreadedProducer<Reports>;

/// What is known of a partition that was appended to.
#[derive(Default)]
struct Standing {
    /// A batch whose append answered before it was decided, and the producer that goes on trying.
    undecided: Option<(Arc<Sender>, Arc<Batch>)>,
    /// When the last batch was acknowledged, if nothing failed since.
    answered: Option<Instant>,
}

/// Appends for one handle of the log.
pub(super) struct Appender {
    options: KafkaOptions,
    admin: Arc<Admin>,
    record_bytes_max: usize,
    /// Opened by the first append: it asks for more rights than reading does.
    producer: Mutex<Option<Arc<Sender>>>,
    partitions: Mutex<HashMap<(String, i32), Arc<Mutex<Standing>>>>,
    /// The incarnation of each topic that was sent to.
    lives: Mutex<HashMap<String, String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`], but not for longer than `patience`.
fn lock_within<T>(mutex: &Mutex<T>, patience: Duration) -> Option<MutexGuard<'_, T>> {
    let began = Instant::now();
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if began.elapsed() < patience => std::thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

impl Appender {
    pub(super) fn new(options: &KafkaOptions, admin: Arc<Admin>) -> Self {
        Self {
            options: options.clone(),
            admin,
            record_bytes_max: settings::record_bytes_max(options),
            producer: Mutex::default(),
            partitions: Mutex::default(),
            lives: Mutex::default(),
        }
    }

    /// As `EventLog::append` says.
    pub(super) fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        // Held until the answer: one batch at a time on a partition, so that none is torn by another of this handle.
        let standing = self.standing(topic, partition);
        let mut standing = lock(&standing);
        settle(&mut standing, topic, partition)?;
        if records.is_empty() {
            return self.admin.end(topic, partition).map(Append::dense);
        }
        self.check_sizes(topic, partition, records)?;
        if standing.answered.is_none_or(|at| at.elapsed() > FRESH) {
            self.look(topic, partition)?;
        }
        standing.answered = None;
        let producer = self.producer()?;
        let batch = producer.context().begin(records.len());
        let (sent, refusal) = enqueue(&producer, &batch, topic, partition, records);
        if sent < records.len() {
            producer.context().cut(&batch, sent);
        }
        let Some(progress) = decided(&producer, &batch) else {
            let error = unanswered(&producer, &batch, topic, partition);
            standing.undecided = Some((producer, batch));
            return Err(error);
        };
        let outcome = Outcome { topic, partition, records, progress, refusal, fatal: producer.client().fatal_error() };
        let (answer, usable) = (outcome.answer(), outcome.leaves_usable());
        if !usable {
            self.retire(&producer);
        }
        if answer.is_ok() {
            producer.context().listener().forget();
            standing.answered = Some(Instant::now());
        }
        answer
    }

    /// As `EventLog::end` says.
    pub(super) fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        self.settled(topic, partition, ANSWER, || self.admin.end(topic, partition))
    }

    /// Asks when nothing of this handle is under way or undecided on a partition, and lets no append begin meanwhile.
    ///
    /// # Errors
    /// `Retry` where that did not come about within `patience`, or what is undecided was not decided; or as the
    /// question.
    fn settled<T>(
        &self,
        topic: &str,
        partition: i32,
        patience: Duration,
        ask: impl FnOnce() -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        let standing = self.standing(topic, partition);
        let Some(mut standing) = lock_within(&standing, patience) else {
            let message = format!("the end of {topic}/{partition} cannot be told while another thread appends to it");
            return Err(PortError::new(ErrorKind::Retry, message));
        };
        settle(&mut standing, topic, partition)?;
        ask()
    }

    /// What is known of a partition. Who holds it locked is the only one to append there.
    fn standing(&self, topic: &str, partition: i32) -> Arc<Mutex<Standing>> {
        Arc::clone(lock(&self.partitions).entry((topic.to_owned(), partition)).or_default())
    }

    /// Finds out whether the partition is there and its leader answers, before anything is begun that could stay
    /// undecided.
    fn look(&self, topic: &str, partition: i32) -> Result<(), PortError> {
        let info = self.admin.describe(topic)?.ok_or_else(|| no_topic(topic))?;
        if !(0..info.partitions).contains(&partition) {
            return Err(no_partition(topic, info.partitions, partition));
        }
        self.admin.end(topic, partition)?;
        let before = lock(&self.lives).insert(topic.to_owned(), info.incarnation.clone());
        if before.is_some_and(|before| before != info.incarnation) {
            // What the producer knows of leaders and their epochs is of the topic's earlier life.
            let old = lock(&self.producer).take();
            drop(old);
        }
        Ok(())
    }

    fn producer(&self) -> Result<Arc<Sender>, PortError> {
        let mut producer = lock(&self.producer);
        if let Some(open) = &*producer {
            return Ok(Arc::clone(open));
        }
        let reports = Reports::new(Listener::new("producer", &self.options));
        let open: Sender = settings::producer(&self.options)
            .create_with_context(reports)
            .map_err(|error| settings::refused(&error))?;
        let open = Arc::new(open);
        *producer = Some(Arc::clone(&open));
        Ok(open)
    }

    /// The next append begins with a new producer.
    fn retire(&self, producer: &Arc<Sender>) {
        let old = lock(&self.producer).take_if(|open| Arc::ptr_eq(open, producer));
        drop(old);
    }

    /// Refuses a batch with a record that the client would not take, before any of it is sent.
    fn check_sizes(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<(), PortError> {
        let limit = self.record_bytes_max;
        let too_large = records.iter().map(wire_bytes).enumerate().find(|(_, bytes)| *bytes > limit);
        let Some((row, bytes)) = too_large else { return Ok(()) };
        let message = format!(
            "record {row} of a batch for {topic}/{partition} takes {bytes} bytes with its key and headers, and the \
             limit is {limit}: raise the client's `message.max.bytes`, and with it the topic's `max.message.bytes` \
             (of all topics: the brokers' `message.max.bytes`)"
        );
        Err(PortError::new(ErrorKind::Stop, message))
    }
}

/// Waits for what is undecided.
fn settle(standing: &mut Standing, topic: &str, partition: i32) -> Result<(), PortError> {
    let Some((producer, batch)) = &standing.undecided else { return Ok(()) };
    if decided(producer, batch).is_none() {
        let heard = producer.context().listener().heard().map(|heard| format!(" ({})", heard.text)).unwrap_or_default();
        let message = format!(
            "what became of the last batch for {topic}/{partition} is not decided yet: Kafka does not answer{heard}; \
             it is tried again"
        );
        return Err(PortError::new(ErrorKind::Retry, message));
    }
    standing.undecided = None;
    Ok(())
}

/// Waits until a batch is decided. A producer that failed for good sends nothing more, and librdkafka puts what was in
/// flight then back into its queue without a word: it is taken out, so that it is reported.
fn decided(producer: &Sender, batch: &Batch) -> Option<Progress> {
    let decided = batch.wait(ANSWER);
    if decided.is_some() || producer.client().fatal_error().is_none() {
        return decided;
    }
    producer.purge(PurgeConfig::default().queue());
    batch.wait(ANSWER)
}

fn unanswered(producer: &Sender, batch: &Batch, topic: &str, partition: i32) -> PortError {
    let (seconds, reported) = (ANSWER.as_secs(), batch.reported());
    let what = format!(
        "Kafka has not answered for {seconds} s: {reported} records of a batch for {topic}/{partition} are \
         acknowledged, others may be in the log"
    );
    let mut error = match producer.context().listener().heard() {
        Some(heard) => port_error(what, Failure { code: heard.code, text: heard.text }),
        None => PortError::new(ErrorKind::Unknown, what),
    };
    error.kind = ErrorKind::Unknown;
    error
}

/// Hands records to librdkafka until it takes no more: how many it took, and why it refused the next.
fn enqueue(
    producer: &Sender,
    batch: &Batch,
    topic: &str,
    partition: i32,
    records: &[NewRecord<'_>],
) -> (usize, Option<KafkaError>) {
    let mut refreshed = false;
    for (row, record) in records.iter().enumerate() {
        let mut message: BaseRecord<'_, [u8], [u8], usize> = BaseRecord {
            topic,
            partition: Some(partition),
            payload: record.value,
            key: record.key,
            timestamp: Some(record.timestamp_ms),
            headers: headers(record),
            delivery_opaque: batch.ticket(row),
        };
        let (mut reported, mut since) = (batch.reported(), Instant::now());
        while let Err((error, back)) = producer.send(message) {
            message = back;
            match error.rdkafka_error_code() {
                Some(Code::QueueFull) if since.elapsed() < ANSWER => {
                    std::thread::sleep(PAUSE);
                    if batch.reported() != reported {
                        (reported, since) = (batch.reported(), Instant::now());
                    }
                }
                // The topic was made anew, or partitions were added, since the client looked.
                Some(Code::UnknownPartition | Code::UnknownTopic | Code::UnknownTopicOrPartition) if !refreshed => {
                    refreshed = true;
                    if let Err(failure) = metadata::partitions(producer.client(), topic, CALL) {
                        return (row, Some(KafkaError::MetadataFetch(failure.code)));
                    }
                }
                _ => return (row, Some(error)),
            }
        }
    }
    (records.len(), None)
}

fn headers(record: &NewRecord<'_>) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let empty = OwnedHeaders::new_with_capacity(record.headers.len());
    Some(record.headers.iter().fold(empty, |headers, &(key, value)| headers.insert(Header { key, value })))
}

/// What librdkafka holds against its limit.
fn wire_bytes(record: &NewRecord<'_>) -> usize {
    let length = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
    // Lengths are written zigzag, seven bits a byte.
    let counted = |bytes: usize| bytes + (usize::BITS - ((bytes << 1) | 1).leading_zeros()).div_ceil(7) as usize;
    let headers = record.headers.iter().map(|(name, value)| counted(name.len()) + counted(length(*value)));
    RECORD_OVERHEAD_BYTES + length(record.key) + length(record.value) + headers.sum::<usize>()
}

/// What became of a batch that is decided.
struct Outcome<'a> {
    topic: &'a str,
    partition: i32,
    records: &'a [NewRecord<'a>],
    progress: Progress,
    /// Why librdkafka did not take all of it.
    refusal: Option<KafkaError>,
    /// Why the producer can send nothing any more.
    fatal: Option<(Code, String)>,
}

impl Outcome<'_> {
    fn answer(&self) -> Result<Append, PortError> {
        let (mut offsets, mut delivered, mut doubtful, mut codes) = (Vec::new(), 0, 0, Vec::new());
        for report in self.progress.reports.iter().flatten() {
            match *report {
                Report::Delivered(offset) => {
                    delivered += 1;
                    offsets.extend(offset);
                }
                Report::Failed { code, absent } => {
                    doubtful += usize::from(!absent);
                    codes.push(code);
                }
            }
        }
        let (topic, partition, total) = (self.topic, self.partition, self.records.len());
        if delivered == total {
            let known = offsets.len() == total && offsets.windows(2).all(|pair| pair[0] < pair[1]);
            let answer = Append::at(offsets).filter(|_| known);
            let silent = || format!("the records for {topic}/{partition} are in the log, but Kafka does not say where");
            return answer.ok_or_else(|| PortError::new(ErrorKind::Unknown, silent()));
        }
        let what = match (delivered, doubtful) {
            (0, 0) => format!("{total} records for {topic}/{partition} are not in the log"),
            _ => format!(
                "of {total} records for {topic}/{partition}, {delivered} are in the log and {doubtful} may be, the \
                 first ones"
            ),
        };
        let mut error = port_error(what, self.cause(&codes));
        if codes.iter().any(|code| matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge)) {
            let largest = self.records.iter().map(wire_bytes).max().unwrap_or_default();
            error.message.push_str(&format!(" (the largest record takes {largest} bytes with its key and headers)"));
        }
        error.kind = match (delivered, doubtful, error.kind) {
            // That it is there was seen before it was sent to.
            (0, 0, ErrorKind::Stop) if !self.is_unknown_to_the_client(&codes) => ErrorKind::Stop,
            (0, 0, _) => ErrorKind::Retry,
            _ => ErrorKind::Unknown,
        };
        Err(error)
    }

    /// Whether the producer can go on.
    fn leaves_usable(&self) -> bool {
        let refused = self.refusal.as_ref().and_then(KafkaError::rdkafka_error_code);
        self.fatal.is_none() && refused.is_none_or(|code| code == Code::QueueFull)
    }

    fn is_unknown_to_the_client(&self, codes: &[Code]) -> bool {
        let refused = self.refusal.as_ref().and_then(KafkaError::rdkafka_error_code);
        let unknown =
            |code: &Code| matches!(code, Code::UnknownTopic | Code::UnknownPartition | Code::UnknownTopicOrPartition);
        codes.iter().chain(&refused).any(unknown)
    }

    /// The most telling of the errors: the first record's that was not only carried away by another's.
    fn cause(&self, codes: &[Code]) -> Cause {
        let carried_away = |code: Code| {
            matches!(
                code,
                Code::Fatal
                    | Code::PurgeQueue
                    | Code::PurgeInflight
                    | Code::GaplessGuarantee
                    | Code::InvalidDifferentRecord
            )
        };
        let telling = codes.iter().copied().find(|code| !carried_away(*code));
        match (telling, &self.fatal, &self.refusal) {
            (Some(code), ..) => code.into(),
            (None, Some((code, text)), _) => Failure { code: *code, text: text.clone() }.into(),
            (None, None, Some(refusal)) => refusal.clone().into(),
            (None, None, None) => codes.first().copied().unwrap_or(Code::Fail).into(),
        }
    }
}

#[cfg(test)]
mod tests;
