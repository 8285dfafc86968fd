//! Messages in the memory that librdkafka fetched them into.
//!
//! Contract: a message is read where it lies; its bytes are valid until it is given back, which [`Batch::drain`] does
//! right after each. Whatever is left in a batch is given back with it.

use super::text_of;
use crate::kafka::native::{Failure, code};
use rdkafka::bindings as sys;
use rdkafka::types::RDKafkaErrorCode;
use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;
use watertight_core::record::encode_header;

/// Messages of one poll, in the order in which they came.
pub(in crate::kafka) struct Batch {
    messages: Vec<*mut sys::rd_kafka_message_t>,
}

// SAFETY: messages belong to no thread; librdkafka allows them to be read and given back on any.
unsafe impl Send for Batch {}

impl Batch {
    /// Room for so many.
    pub(in crate::kafka) fn with_capacity(messages: usize) -> Self {
        Self { messages: Vec::with_capacity(messages) }
    }

    /// Whether there is none.
    pub(in crate::kafka) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages, to look at.
    pub(in crate::kafka) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.messages.iter().map(|raw| Message { raw: *raw, batch: PhantomData })
    }

    /// Hands out each message and gives its memory back when `take` returns.
    #[inline]
    pub(in crate::kafka) fn drain(&mut self, mut take: impl FnMut(Message<'_>)) {
        for at in 0..self.messages.len() {
            let raw = self.messages[at];
            take(Message { raw, batch: PhantomData });
            self.messages[at] = ptr::null_mut();
            // SAFETY: the message is ours, was not given back before, and nobody can refer to it: `take` got it with
            // a lifetime that ended.
            unsafe { sys::rd_kafka_message_destroy(raw) };
        }
        self.messages.clear();
    }

    /// Gives everything back.
    pub(super) fn clear(&mut self) {
        for raw in self.messages.drain(..).filter(|raw| !raw.is_null()) {
            // SAFETY: the message is ours, and messages that were given back are null.
            unsafe { sys::rd_kafka_message_destroy(raw) };
        }
    }

    /// Room for further messages, and how many.
    pub(super) fn spare(&mut self) -> (*mut *mut sys::rd_kafka_message_t, usize) {
        let spare = self.messages.spare_capacity_mut();
        (spare.as_mut_ptr().cast(), spare.len())
    }

    /// # Safety
    /// `count` messages that are ours were written to [`Batch::spare`].
    pub(super) unsafe fn filled(&mut self, count: usize) {
        // SAFETY: as the caller promises.
        unsafe { self.messages.set_len(self.messages.len() + count) };
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One message: a record, or an event of a partition (its end was reached, an error).
#[derive(Clone, Copy)]
pub(in crate::kafka) struct Message<'a> {
    raw: *const sys::rd_kafka_message_t,
    batch: PhantomData<&'a Batch>,
}

impl<'a> Message<'a> {
    // In all of these: `raw` points to a message that was not given back, as `'a` ends before that.

    /// Partition number; meaningless where [`Message::has_topic`] is false.
    #[inline]
    pub(in crate::kafka) fn partition(self) -> i32 {
        // SAFETY: see above.
        unsafe { (*self.raw).partition }
    }

    /// Offset of the record; of an event, where it happened.
    #[inline]
    pub(in crate::kafka) fn offset(self) -> i64 {
        // SAFETY: see above.
        unsafe { (*self.raw).offset }
    }

    #[inline]
    fn raw_code(self) -> i32 {
        // SAFETY: see above.
        unsafe { code::of_message(self.raw) }
    }

    /// Whether it is a record.
    #[inline]
    pub(in crate::kafka) fn is_record(self) -> bool {
        self.raw_code() == code::NONE
    }

    /// Whether it belongs to a partition of a topic.
    pub(in crate::kafka) fn has_topic(self) -> bool {
        // SAFETY: see above.
        unsafe { !(*self.raw).rkt.is_null() }
    }

    /// What happened, where it is an event.
    pub(in crate::kafka) fn event(self) -> Failure {
        // SAFETY: see above; the text lives as long as the message.
        let text = unsafe { text_of(sys::rd_kafka_message_errstr(self.raw)) };
        code::failure(self.raw_code(), text)
    }

    /// Bytes of key and value.
    #[inline]
    pub(in crate::kafka) fn byte_len(self) -> usize {
        // SAFETY: see above.
        unsafe { (*self.raw).len + (*self.raw).key_len }
    }

    /// The key; `None` is a null key. librdkafka gives an address for an empty one.
    #[inline]
    pub(in crate::kafka) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: see above; `key_len` bytes are at `key`, for as long as the message lives.
        unsafe { slice((*self.raw).key, (*self.raw).key_len) }
    }

    /// The value; `None` is a tombstone.
    #[inline]
    pub(in crate::kafka) fn value(self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { slice((*self.raw).payload, (*self.raw).len) }
    }

    /// Milliseconds since the epoch; -1 where the record has none.
    #[inline]
    pub(in crate::kafka) fn timestamp_ms(self) -> i64 {
        // SAFETY: see above; the type may be null where it is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.raw, ptr::null_mut()) }
    }

    /// Epoch of the leader that wrote its batch; -1 where it has none.
    #[inline]
    pub(in crate::kafka) fn leader_epoch(self) -> i32 {
        // SAFETY: see above.
        unsafe { sys::rd_kafka_message_leader_epoch(self.raw) }
    }

    /// Writes its headers to `out`, in the encoding of `watertight_core::record`; whether it has any.
    ///
    /// librdkafka parses them anew for each record, also to learn that there are none (about 60 ns); it offers no
    /// cheaper question. A name that holds a NUL ends there.
    ///
    /// # Errors
    /// When they are not of Kafka's form.
    #[inline]
    pub(in crate::kafka) fn headers(self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        let mut headers = ptr::null_mut();
        // SAFETY: see above; what is parsed belongs to the message.
        let number = unsafe { code::rd_kafka_message_headers(self.raw, &mut headers) };
        match code::code_of(number) {
            RDKafkaErrorCode::NoEnt => return Ok(false),
            RDKafkaErrorCode::NoError => {}
            _ => {
                let what = format!("the headers of the record at offset {}", self.offset());
                return Err(code::failure(number, what));
            }
        }
        out.clear();
        for at in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; the three are set where it succeeds, the name to a C
            // string, the value to null or to `size` bytes.
            unsafe {
                if code::rd_kafka_header_get_all(headers, at, &mut name, &mut value, &mut size) != code::NONE {
                    break;
                }
                encode_header(CStr::from_ptr(name).to_bytes(), slice(value, size), out);
            }
        }
        Ok(true)
    }
}

/// # Safety
/// `bytes` is null, or `len` bytes are there for `'a`.
#[inline]
unsafe fn slice<'a>(bytes: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) })
}
