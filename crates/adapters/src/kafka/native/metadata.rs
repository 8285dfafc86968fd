//! A topic's partitions, and all topics, as any broker shows them; the client takes note of them and of their leaders.

use super::call::{Failure, c_text, check};
use super::code;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use std::ffi::CStr;
use std::ptr;
use std::time::Duration;

/// How many partitions a broker shows: none where it shows an error instead, such as that it knows no such topic.
pub(in crate::kafka) fn partitions<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    within: Duration,
) -> Result<usize, Failure> {
    let name = c_text(topic)?;
    let timeout = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives for the call, and the name ends with NUL and is copied. What is made here is destroyed
    // once; metadata has as many topics as it says, and lives until it is destroyed.
    unsafe {
        let topic = c::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), ptr::null_mut());
        if topic.is_null() {
            return Err(Failure::argument("a name that no topic can have"));
        }
        let mut metadata = ptr::null();
        let number = code::rd_kafka_metadata(client.native_ptr(), 0, topic, &mut metadata, timeout);
        c::rd_kafka_topic_destroy(topic);
        check(number, ptr::null())?;
        if metadata.is_null() {
            return Err(Failure::shape());
        }
        let is_shown = (*metadata).topic_cnt > 0 && code::of_topic((*metadata).topics) == code::NONE;
        let count = if is_shown { (*(*metadata).topics).partition_cnt } else { 0 };
        c::rd_kafka_metadata_destroy(metadata);
        Ok(usize::try_from(count).unwrap_or_default())
    }
}

/// All topics that brokers show to this client, each with its number of no error or of one, in no order.
pub(in crate::kafka) fn topics<C: ClientContext>(
    client: &Client<C>,
    within: Duration,
) -> Result<Vec<(String, Option<Failure>)>, Failure> {
    let timeout = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client lives for the call. Metadata has as many topics as it says, each with a name that ends with NUL,
    // and lives until it is destroyed, once, behind the last look at it.
    unsafe {
        let mut metadata = ptr::null();
        let number = code::rd_kafka_metadata(client.native_ptr(), 1, ptr::null_mut(), &mut metadata, timeout);
        check(number, ptr::null())?;
        if metadata.is_null() {
            return Err(Failure::shape());
        }
        let count = usize::try_from((*metadata).topic_cnt).unwrap_or_default();
        let topic = |at: usize| {
            let topic = (*metadata).topics.add(at);
            let name = CStr::from_ptr((*topic).topic).to_string_lossy().into_owned();
            let number = code::of_topic(topic);
            (name, (number != code::NONE).then(|| code::failure(number, "")))
        };
        let topics = (0..count).map(topic).collect();
        c::rd_kafka_metadata_destroy(metadata);
        Ok(topics)
    }
}
