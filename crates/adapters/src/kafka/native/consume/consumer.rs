//! A consumer of partitions of one topic.
//!
//! Contract: partitions are assigned by us, never by a group; nothing is committed. After [`Consumer::place`] has
//! answered, no message that was fetched for an earlier place of these partitions is polled any more.
//!
//! Why not rdkafka's `BaseConsumer`. It switches librdkafka to events and polls one message per call;
//! `rd_kafka_consume_batch_queue` works beside that, but then log lines, errors and the rest come to callbacks that
//! rdkafka has not set, and librdkafka prints them or drops them. Its error events bear no partition and no offset, its
//! log lines wait in a queue until somebody polls, and we need them when they are written (`hook.rs`). So the client is
//! made from rdkafka's configuration and is ours from there.
//!
//! Never: pause and resume. librdkafka's batch call counts an event of a partition as a record when it moves the
//! position from which `resume` goes on: behind "end reached at 5" that would be 6.

use super::batch::Batch;
use super::hook::{Hook, Watcher, on_error, on_log};
use super::list::Partitions;
use super::text_of;
use crate::kafka::native::{Failure, code};
use crate::kafka::settings;
use rdkafka::ClientConfig;
use rdkafka::bindings as sys;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::BTreeSet;
use std::ffi::{CString, c_char, c_int};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watertight_core::port::{ErrorKind, OffsetBounds, PortError, ReadFrom};

/// What `rd_kafka_offsets_for_times` is asked for instead of a time: the first offset kept.
const EARLIEST: i64 = -2;
/// And the offset after the last one that may be read at the client's isolation level.
const LATEST: i64 = -1;
/// How long librdkafka's own threads get to take note of a place; they need less than a millisecond.
const PLACE_WAIT: Duration = Duration::from_secs(1);
/// Attempts to set a place. A partition that was taken on just now has to be started first: one or two attempts.
const PLACE_ATTEMPTS: usize = 100;
/// Pause between them.
const PLACE_PAUSE: Duration = Duration::from_millis(2);

/// A consumer. Safe to use from several threads, as librdkafka is.
pub(in crate::kafka) struct Consumer {
    client: NonNull<sys::rd_kafka_t>,
    queue: NonNull<sys::rd_kafka_queue_t>,
    topic: CString,
    assigned: Mutex<BTreeSet<i32>>,
    /// The client's opaque pointer points here.
    _hook: Arc<Hook>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread, several at once.
unsafe impl Send for Consumer {}
// SAFETY: as above.
unsafe impl Sync for Consumer {}

impl Consumer {
    /// A consumer of this topic, of no partition yet. Does not wait for a broker.
    ///
    /// # Errors
    /// `Stop` where the properties do not work together.
    pub(in crate::kafka) fn open(
        config: &ClientConfig,
        topic: &str,
        watcher: Arc<dyn Watcher>,
    ) -> Result<Self, PortError> {
        let Ok(name) = CString::new(topic) else {
            return Err(PortError::new(ErrorKind::Stop, "a topic's name cannot hold a NUL"));
        };
        let native = config.create_native_config().map_err(|error| settings::refused(&error))?;
        let refused = |why: String| settings::refused(&KafkaError::ClientCreation(why));
        let hook = Arc::new(Hook { topic: topic.to_owned(), watcher });
        let mut why: [c_char; 512] = [0; 512];
        // SAFETY: the configuration is ours until `rd_kafka_new` takes it over, which it does where it succeeds. The
        // hook lives until the client is destroyed (`drop`). `why` has the length that is told.
        let (client, queue) = unsafe {
            sys::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
            sys::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
            sys::rd_kafka_conf_set_opaque(native.ptr(), Arc::as_ptr(&hook).cast_mut().cast());
            let kind = sys::rd_kafka_type_t::RD_KAFKA_CONSUMER;
            let client = sys::rd_kafka_new(kind, native.ptr(), why.as_mut_ptr(), why.len());
            let Some(client) = NonNull::new(client) else {
                return Err(refused(text_of(why.as_ptr())));
            };
            let _taken_over = ManuallyDrop::new(native);
            // Errors that belong to no message come through the same queue as messages.
            sys::rd_kafka_poll_set_consumer(client.as_ptr());
            let Some(queue) = NonNull::new(sys::rd_kafka_queue_get_consumer(client.as_ptr())) else {
                sys::rd_kafka_destroy(client.as_ptr());
                return Err(refused("a consumer needs a `group.id`, also where it joins no group".to_owned()));
            };
            (client, queue)
        };
        Ok(Self { client, queue, topic: name, assigned: Mutex::default(), _hook: hook })
    }

    /// The offsets that these partitions hold, in the order asked; the end is the last stable offset where only
    /// committed records are read. Waits for brokers, at most twice `wait`.
    ///
    /// # Errors
    /// When no answer came, or a partition does not exist.
    pub(in crate::kafka) fn bounds(&self, partitions: &[i32], wait: Duration) -> Result<Vec<OffsetBounds>, Failure> {
        let earliest = self.offsets(partitions, EARLIEST, wait)?;
        let next = self.offsets(partitions, LATEST, wait)?;
        Ok(earliest.into_iter().zip(next).map(|(earliest, next)| OffsetBounds { earliest, next }).collect())
    }

    fn offsets(&self, partitions: &[i32], which: i64, wait: Duration) -> Result<Vec<i64>, Failure> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let list = Partitions::new(&self.topic, partitions.iter().map(|at| ReadFrom::offset(*at, which)));
        // SAFETY: client and list are ours.
        let number = unsafe { code::rd_kafka_offsets_for_times(self.client.as_ptr(), list.as_ptr(), millis(wait)) };
        if number != code::NONE {
            let failure = code::failure(number, "");
            return Err(match failure.code {
                // So it says where none of them has a leader; that they exist was seen when the topic was described.
                RDKafkaErrorCode::UnknownPartition => Failure { code: RDKafkaErrorCode::LeaderNotAvailable, ..failure },
                _ => failure,
            });
        }
        let rows = list.rows();
        let find = |partition: &i32| match rows.iter().find(|row| row.partition == *partition) {
            Some(row) if row.number == code::NONE && row.offset >= 0 => Ok(row.offset),
            Some(row) if row.number != code::NONE => Err(code::failure(row.number, format!("partition {partition}"))),
            _ => Err(Failure {
                code: RDKafkaErrorCode::Partial,
                text: format!("partition {partition}: the broker named no offset"),
            }),
        };
        partitions.iter().map(find).collect()
    }

    /// The partition's high watermark as the last fetch saw it; `None` before the first.
    pub(in crate::kafka) fn high_watermark(&self, partition: i32) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client is ours, the name a C string, and the two are set by the call.
        let number = unsafe {
            let (client, topic) = (self.client.as_ptr(), self.topic.as_ptr());
            code::rd_kafka_get_watermark_offsets(client, topic, partition, &mut low, &mut high)
        };
        (number == code::NONE && high >= 0).then_some(high)
    }

    /// Reads these partitions from these places on; answers with those that could not be placed yet. Offsets are 0 or
    /// more: smaller ones mean something else to librdkafka.
    ///
    /// Where the leader epoch is known, librdkafka asks the broker whether the records below the offset still are
    /// those that were read (KIP-320). It does so on a seek, and not on an assignment whose leader it knows already;
    /// so both are done. The seek is also what makes messages of an earlier place invalid at once.
    ///
    /// # Errors
    /// When the client cannot be used any more.
    pub(in crate::kafka) fn place(&self, starts: &[ReadFrom]) -> Result<Vec<i32>, Failure> {
        let partitions: Vec<i32> = starts.iter().map(|start| start.partition).collect();
        self.leave(&partitions)?;
        let list = Partitions::new(&self.topic, starts.iter().copied());
        // SAFETY: client and list are ours; the list is copied.
        taken(unsafe { sys::rd_kafka_incremental_assign(self.client.as_ptr(), list.as_ptr()) })?;
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner).extend(partitions);
        let mut left = starts.to_vec();
        for _ in 0..PLACE_ATTEMPTS {
            let list = Partitions::new(&self.topic, left.iter().copied());
            // SAFETY: client and list are ours.
            let error =
                unsafe { sys::rd_kafka_seek_partitions(self.client.as_ptr(), list.as_ptr(), millis(PLACE_WAIT)) };
            match taken(error) {
                Err(error) if error.code == RDKafkaErrorCode::OperationTimedOut => break,
                other => other?,
            }
            let rows = list.rows();
            let is_placed =
                |start: &ReadFrom| rows.iter().any(|row| row.partition == start.partition && row.number == code::NONE);
            left.retain(|start| !is_placed(start));
            if left.is_empty() {
                break;
            }
            std::thread::sleep(PLACE_PAUSE);
        }
        Ok(left.into_iter().map(|start| start.partition).collect())
    }

    /// Reads these partitions no more; those that are not read are passed over.
    ///
    /// # Errors
    /// When the client cannot be used any more.
    pub(in crate::kafka) fn leave(&self, partitions: &[i32]) -> Result<(), Failure> {
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        let leaving: Vec<i32> = partitions.iter().copied().filter(|at| assigned.contains(at)).collect();
        if leaving.is_empty() {
            return Ok(());
        }
        let list = Partitions::new(&self.topic, leaving.iter().map(|at| ReadFrom::offset(*at, 0)));
        // SAFETY: client and list are ours; the list is copied.
        taken(unsafe { sys::rd_kafka_incremental_unassign(self.client.as_ptr(), list.as_ptr()) })?;
        assigned.retain(|at| !leaving.contains(at));
        Ok(())
    }

    /// Fills the batch with what is there; waits up to `wait` for the first message, and not for more.
    pub(in crate::kafka) fn poll(&self, batch: &mut Batch, wait: Duration) {
        batch.clear();
        // librdkafka waits until the batch is full or the time over; so one message is waited for, and only if there
        // is none.
        if self.consume(batch, Duration::ZERO, usize::MAX) == 0 && self.consume(batch, wait, 1) == 1 {
            self.consume(batch, Duration::ZERO, usize::MAX);
        }
    }

    fn consume(&self, batch: &mut Batch, wait: Duration, max: usize) -> usize {
        let (room, len) = batch.spare();
        // SAFETY: the queue is ours; `len` pointers fit behind `room`. What is written are messages that are ours.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(self.queue.as_ptr(), millis(wait), room, len.min(max));
            let count = usize::try_from(count).unwrap_or(0);
            batch.filled(count);
            count
        }
    }

    /// Lets a poll that waits return at once, or the next one that would.
    pub(in crate::kafka) fn wake(&self) {
        // SAFETY: the queue is ours.
        unsafe { sys::rd_kafka_queue_yield(self.queue.as_ptr()) };
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: both are ours and used no more; messages are given back by whoever polled them, before. There is no
        // group to leave and nothing to commit, so nothing is waited for but librdkafka's threads.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
            sys::rd_kafka_destroy_flags(self.client.as_ptr(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        }
    }
}

/// librdkafka counts in whole milliseconds.
fn millis(wait: Duration) -> c_int {
    c_int::try_from(wait.as_millis()).unwrap_or(c_int::MAX)
}

/// An error object as ours; null is success.
fn taken(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the object was given to us, and is destroyed once its text is copied.
    let error = unsafe {
        let failure = code::failure(code::rd_kafka_error_code(error), text_of(sys::rd_kafka_error_string(error)));
        sys::rd_kafka_error_destroy(error);
        failure
    };
    Err(error)
}
