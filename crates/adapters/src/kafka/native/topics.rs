//! Topics made, and partitions added.

use super::call::{Answer, Failure, Words, ask, c_text, check};
use super::code;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use std::time::Duration;

/// Makes a topic. `copies`: -1 for the brokers' default.
pub(in crate::kafka) fn create<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partitions: i32,
    copies: i32,
    within: Duration,
) -> Result<(), Failure> {
    let name = c_text(topic)?;
    let answer = ask(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS, within, |begun| {
        let mut words = Words::new();
        let (room, size) = words.room();
        // SAFETY: the name ends with NUL and is copied; `room` has `size` bytes. The new topic is copied by the call,
        // and destroyed once.
        unsafe {
            let mut wanted = c::rd_kafka_NewTopic_new(name.as_ptr(), partitions, copies, room, size);
            if wanted.is_null() {
                return Err(Failure::argument(words.text()));
            }
            c::rd_kafka_CreateTopics(begun.client, &mut wanted, 1, begun.options, begun.queue);
            c::rd_kafka_NewTopic_destroy(wanted);
        }
        Ok(())
    })?;
    // SAFETY: the answer lives for the call; its list has `count` entries.
    unsafe {
        let result = c::rd_kafka_event_CreateTopics_result(answer.event());
        if result.is_null() {
            return Err(Failure::shape());
        }
        let mut count = 0;
        let topics = c::rd_kafka_CreateTopics_result_topics(result, &mut count);
        first(&answer, topics, count)
    }
}

/// Adds partitions up to `partitions`.
pub(in crate::kafka) fn grow<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partitions: i32,
    within: Duration,
) -> Result<(), Failure> {
    let name = c_text(topic)?;
    let total = usize::try_from(partitions).map_err(|_| Failure::argument("fewer partitions than none"))?;
    let answer = ask(client, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, within, |begun| {
        let mut words = Words::new();
        let (room, size) = words.room();
        // SAFETY: as in `create`.
        unsafe {
            let mut wanted = c::rd_kafka_NewPartitions_new(name.as_ptr(), total, room, size);
            if wanted.is_null() {
                return Err(Failure::argument(words.text()));
            }
            c::rd_kafka_CreatePartitions(begun.client, &mut wanted, 1, begun.options, begun.queue);
            c::rd_kafka_NewPartitions_destroy(wanted);
        }
        Ok(())
    })?;
    // SAFETY: as in `create`.
    unsafe {
        let result = c::rd_kafka_event_CreatePartitions_result(answer.event());
        if result.is_null() {
            return Err(Failure::shape());
        }
        let mut count = 0;
        let topics = c::rd_kafka_CreatePartitions_result_topics(result, &mut count);
        first(&answer, topics, count)
    }
}

/// What became of the one topic that was named.
///
/// # Safety
/// `topics` has `count` entries, which belong to the answer.
unsafe fn first(_: &Answer, topics: *mut *const c::rd_kafka_topic_result_t, count: usize) -> Result<(), Failure> {
    // SAFETY: as the caller promises.
    unsafe {
        if count == 0 || topics.is_null() || (*topics).is_null() {
            return Err(Failure::shape());
        }
        check(code::rd_kafka_topic_result_error(*topics), c::rd_kafka_topic_result_error_string(*topics))
    }
}
