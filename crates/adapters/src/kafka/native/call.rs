//! One question to the cluster, from its options to its answer.
//!
//! Contract: a call returns within its time, with the answer or with a [`Failure`]; librdkafka drops an answer that
//! comes too late.

use super::code;
use rdkafka::bindings as c;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use std::ffi::{CStr, CString, c_char};
use std::ptr::NonNull;
use std::time::Duration;

/// How much longer than the question may take its answer is waited for: librdkafka says itself that time has run out.
const GRACE: Duration = Duration::from_secs(2);
/// Room for librdkafka's texts.
const TEXT_BYTES: usize = 512;

/// Why a call failed: librdkafka's code, and its words where it has any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) struct Failure {
    pub(in crate::kafka) code: RDKafkaErrorCode,
    pub(in crate::kafka) text: String,
}

impl Failure {
    pub(super) fn new(code: RDKafkaErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// An argument that C cannot take.
    pub(super) fn argument(text: impl Into<String>) -> Self {
        Self::new(RDKafkaErrorCode::InvalidArgument, text)
    }

    /// An answer of another shape than was asked for.
    pub(super) fn shape() -> Self {
        Self::new(RDKafkaErrorCode::Fail, "librdkafka gave an answer of another shape")
    }
}

/// A name for C.
pub(super) fn c_text(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::argument("a name with a NUL in it"))
}

/// Fails where `number` is an error's.
///
/// # Safety
/// `text` is null or points to a text that ends with NUL and lives for the call.
pub(super) unsafe fn check(number: i32, text: *const c_char) -> Result<(), Failure> {
    if number == code::NONE {
        return Ok(());
    }
    // SAFETY: as the caller promises.
    let text =
        if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() };
    Err(code::failure(number, text))
}

/// Fails where `error` is one. The error stays its owner's.
///
/// # Safety
/// `error` is null or points to an error that lives for the call.
pub(super) unsafe fn check_error(error: *const c::rd_kafka_error_t) -> Result<(), Failure> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as the caller promises; the text lives as long as the error.
    unsafe { check(code::rd_kafka_error_code(error), c::rd_kafka_error_string(error)) }
}

/// Room for a text of librdkafka's.
pub(super) struct Words([c_char; TEXT_BYTES]);

impl Words {
    pub(super) fn new() -> Self {
        Self([0; TEXT_BYTES])
    }

    pub(super) fn room(&mut self) -> (*mut c_char, usize) {
        (self.0.as_mut_ptr(), TEXT_BYTES)
    }

    pub(super) fn start(&self) -> *const c_char {
        self.0.as_ptr()
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

struct Queue(NonNull<c::rd_kafka_queue_t>);

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, destroyed here only.
        unsafe { c::rd_kafka_queue_destroy(self.0.as_ptr()) }
    }
}

struct Options(NonNull<c::rd_kafka_AdminOptions_t>);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`, destroyed here only.
        unsafe { c::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) }
    }
}

/// An answer; what is read from it lives as long as it does.
pub(super) struct Answer(NonNull<c::rd_kafka_event_t>);

impl Answer {
    pub(super) fn event(&self) -> *mut c::rd_kafka_event_t {
        self.0.as_ptr()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: given by `rd_kafka_queue_poll`, destroyed here only.
        unsafe { c::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// What a call is begun with. All of it lives until the answer is there.
pub(super) struct Begun {
    pub(super) client: *mut c::rd_kafka_t,
    pub(super) options: *mut c::rd_kafka_AdminOptions_t,
    pub(super) queue: *mut c::rd_kafka_queue_t,
}

/// Begins a call with `begin` and waits for its answer.
pub(super) fn ask<C: ClientContext>(
    client: &Client<C>,
    operation: c::rd_kafka_admin_op_t,
    within: Duration,
    begin: impl FnOnce(&Begun) -> Result<(), Failure>,
) -> Result<Answer, Failure> {
    let handle = client.native_ptr();
    let milliseconds = |time: Duration| i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `client` lives for the whole call, and librdkafka's calls may come from any thread.
    let options = NonNull::new(unsafe { c::rd_kafka_AdminOptions_new(handle, operation) }).map(Options);
    let options = options.ok_or_else(Failure::shape)?;
    let mut words = Words::new();
    let (room, size) = words.room();
    // SAFETY: `options` was made above; `room` has `size` bytes, which librdkafka ends with NUL.
    unsafe {
        let timeout = milliseconds(within).max(1);
        let number = code::rd_kafka_AdminOptions_set_request_timeout(options.0.as_ptr(), timeout, room, size);
        check(number, words.start())?;
    }
    // SAFETY: as above.
    let queue = NonNull::new(unsafe { c::rd_kafka_queue_new(handle) }).map(Queue).ok_or_else(Failure::shape)?;
    begin(&Begun { client: handle, options: options.0.as_ptr(), queue: queue.0.as_ptr() })?;
    // SAFETY: `queue` was made above; nobody else polls it, and only this call's answer comes to it.
    let event = unsafe { c::rd_kafka_queue_poll(queue.0.as_ptr(), milliseconds(within + GRACE)) };
    let late = || Failure::new(RDKafkaErrorCode::OperationTimedOut, "librdkafka gave no answer");
    let answer = NonNull::new(event).map(Answer).ok_or_else(late)?;
    // SAFETY: the answer lives, and so does its text.
    unsafe { check(code::rd_kafka_event_error(answer.event()), c::rd_kafka_event_error_string(answer.event()))? };
    Ok(answer)
}
