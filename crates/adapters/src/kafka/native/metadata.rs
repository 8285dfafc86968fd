//! A topic's partitions as any broker shows them; the client takes note of them and of their leaders.

use super::call::{Failure, c_text, check};
use super::code;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
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
