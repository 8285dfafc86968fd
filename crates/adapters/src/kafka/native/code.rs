//! librdkafka's error codes: numbers until they were looked at.
//!
//! Contract: no code that C gives is taken for an enum of Rust's before it is known to be one of its members. The
//! bindings declare codes as such an enum; a broker that is newer than they are sends codes that it lacks, and such a
//! value is undefined behaviour, whatever is done with it. So the calls that answer with a code are declared here once
//! more, with the number that they give in C, and in structures a code is read as the number that it is.
//!
//! Limit: where rdkafka reads codes itself, it reads them as the enum, before we see them: those of records that were
//! refused, and of errors that belong to no call.

use super::call::Failure;
use rdkafka::bindings as c;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// No error.
pub(super) const NONE: i32 = 0;

// As the bindings declare them, but for the answer: an `enum` of C's that has negative members is an `int`.
unsafe extern "C" {
    pub(super) fn rd_kafka_error_code(error: *const c::rd_kafka_error_t) -> i32;
    pub(super) fn rd_kafka_event_error(event: *mut c::rd_kafka_event_t) -> i32;
    pub(super) fn rd_kafka_topic_result_error(result: *const c::rd_kafka_topic_result_t) -> i32;
    pub(super) fn rd_kafka_AdminOptions_set_request_timeout(
        options: *mut c::rd_kafka_AdminOptions_t,
        timeout_ms: c_int,
        text: *mut c_char,
        text_size: usize,
    ) -> i32;
    pub(super) fn rd_kafka_metadata(
        client: *mut c::rd_kafka_t,
        all_topics: c_int,
        topic: *mut c::rd_kafka_topic_t,
        metadata: *mut *const c::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> i32;
    pub(super) fn rd_kafka_offsets_for_times(
        client: *mut c::rd_kafka_t,
        offsets: *mut c::rd_kafka_topic_partition_list_t,
        timeout_ms: c_int,
    ) -> i32;
    pub(super) fn rd_kafka_get_watermark_offsets(
        client: *mut c::rd_kafka_t,
        topic: *const c_char,
        partition: i32,
        low: *mut i64,
        high: *mut i64,
    ) -> i32;
    pub(super) fn rd_kafka_message_headers(
        message: *const c::rd_kafka_message_t,
        headers: *mut *mut c::rd_kafka_headers_t,
    ) -> i32;
    pub(super) fn rd_kafka_header_get_all(
        headers: *const c::rd_kafka_headers_t,
        index: usize,
        name: *mut *const c_char,
        value: *mut *const c_void,
        size: *mut usize,
    ) -> i32;
}

/// The code that a row of a list bears.
///
/// # Safety
/// `row` points to a row that lives for the call.
pub(super) unsafe fn of_row(row: *const c::rd_kafka_topic_partition_t) -> i32 {
    // SAFETY: as the caller promises; the enum has the size of the number.
    unsafe { ptr::addr_of!((*row).err).cast::<i32>().read() }
}

/// The code that a message bears.
///
/// # Safety
/// `message` points to a message that lives for the call.
#[inline]
pub(super) unsafe fn of_message(message: *const c::rd_kafka_message_t) -> i32 {
    // SAFETY: as the caller promises; the enum has the size of the number.
    unsafe { ptr::addr_of!((*message).err).cast::<i32>().read() }
}

/// The code that a topic of metadata bears.
///
/// # Safety
/// `topic` points to a topic that lives for the call.
pub(super) unsafe fn of_topic(topic: *const c::rd_kafka_metadata_topic) -> i32 {
    // SAFETY: as the caller promises; the enum has the size of the number.
    unsafe { ptr::addr_of!((*topic).err).cast::<i32>().read() }
}

/// What a number means; `None` where the bindings know no such code.
fn known(number: i32) -> Option<RDKafkaErrorCode> {
    RDKafkaRespErr::try_from(number).ok().map(RDKafkaErrorCode::from)
}

/// What a number means; `Unknown` where the bindings know no such code.
pub(super) fn code_of(number: i32) -> RDKafkaErrorCode {
    known(number).unwrap_or(RDKafkaErrorCode::Unknown)
}

/// The failure that a number stands for, with librdkafka's words. A number that nobody knows is named.
pub(super) fn failure(number: i32, text: impl Into<String>) -> Failure {
    let text = text.into();
    match known(number) {
        Some(code) => Failure::new(code, text),
        None => {
            let what = format!("error code {number}, which this build does not know (are the brokers newer?)");
            let text = if text.is_empty() { what } else { format!("{what}: {text}") };
            Failure::new(RDKafkaErrorCode::Unknown, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::error::port_error;
    use crate::kafka::native::call::{check, check_error};
    use watertight_core::port::ErrorKind;

    // `INCONSISTENT_TOPIC_ID`: brokers have it since 3.1, the bindings do not.
    const NEWER: i32 = 103;

    unsafe extern "C" {
        fn rd_kafka_error_new(code: i32, format: *const c_char, ...) -> *mut c::rd_kafka_error_t;
    }

    #[test]
    fn a_code_that_nobody_knows_is_an_error_that_names_it() {
        for number in [NEWER, 31_000, -1_000, i32::MAX, i32::MIN] {
            // SAFETY: no text.
            let failure = unsafe { check(number, ptr::null()) }.expect_err("an error");
            assert_eq!(failure.code, RDKafkaErrorCode::Unknown);
            let error = port_error("topic t cannot be described", failure);
            assert_eq!(error.kind, ErrorKind::Stop);
            assert!(error.message.contains(&format!("error code {number}, which")), "{}", error.message);
        }
        assert!(failure(NEWER, "in the broker's words").text.ends_with(": in the broker's words"));
    }

    #[test]
    fn known_codes_are_what_they_are_and_none_is_no_error() {
        // As rdkafka.h has them.
        for (number, code) in [
            (-191, RDKafkaErrorCode::PartitionEOF),
            (-1, RDKafkaErrorCode::Unknown),
            (3, RDKafkaErrorCode::UnknownTopicOrPartition),
            (129, RDKafkaErrorCode::RebootstrapRequired),
        ] {
            assert_eq!((code_of(number), failure(number, "text")), (code, Failure::new(code, "text")));
        }
        // SAFETY: no text.
        assert_eq!(unsafe { check(NONE, ptr::null()) }, Ok(()));
    }

    #[test]
    fn an_error_of_librdkafkas_with_a_code_that_nobody_knows_is_read_as_its_number() {
        // SAFETY: the format ends with NUL and takes no argument; the error is destroyed once, after it was read.
        let failure = unsafe {
            let error = rd_kafka_error_new(NEWER, c"the id is another".as_ptr());
            let failure = check_error(error).expect_err("an error");
            c::rd_kafka_error_destroy(error);
            failure
        };
        assert!(failure.text.contains("103") && failure.text.contains("the id is another"), "{}", failure.text);
    }

    #[test]
    fn structures_with_a_code_that_nobody_knows_are_read_as_its_number() {
        // SAFETY: the list is ours, has the row that was added, and is destroyed once. Message and topic are all zeros,
        // which are sound ones without an error; only codes are written, as the numbers that they are, and read.
        unsafe {
            let list = c::rd_kafka_topic_partition_list_new(1);
            let row = c::rd_kafka_topic_partition_list_add(list, c"t".as_ptr(), 0);
            assert_eq!(of_row(row), NONE);
            ptr::addr_of_mut!((*row).err).cast::<i32>().write(NEWER);
            assert_eq!(of_row(row), NEWER);
            c::rd_kafka_topic_partition_list_destroy(list);

            let mut message = std::mem::MaybeUninit::<c::rd_kafka_message_t>::zeroed();
            let message = message.as_mut_ptr();
            assert_eq!(of_message(message), NONE);
            ptr::addr_of_mut!((*message).err).cast::<i32>().write(NEWER);
            assert_eq!(of_message(message), NEWER);

            let mut topic = std::mem::MaybeUninit::<c::rd_kafka_metadata_topic>::zeroed();
            let topic = topic.as_mut_ptr();
            assert_eq!(of_topic(topic), NONE);
            ptr::addr_of_mut!((*topic).err).cast::<i32>().write(NEWER);
            assert_eq!(of_topic(topic), NEWER);
        }
    }
}
