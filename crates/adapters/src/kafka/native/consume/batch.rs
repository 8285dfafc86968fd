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

/// The librdkafka whose sources say that a record's headers lie right behind its value: in
/// `rd_kafka_msgset_reader_msg_v2`, key, value and headers are pointers into one buffer, read one after the other. With
/// another one nothing is told from that.
const LAYOUT_READ_OF: i32 = 0x020c_01ff;
/// Bytes within which the next record's key or value begins behind the end of a value without headers: number of
/// headers, length, attributes, time, offset, and both lengths, each as long as it can be.
const NEXT_WITHIN: usize = 64;

/// Messages of one poll, in the order in which they came.
pub(in crate::kafka) struct Batch {
    messages: Vec<*mut sys::rd_kafka_message_t>,
    /// Whether this is the librdkafka that we know the layout of.
    layout_is_known: bool,
}

// SAFETY: messages belong to no thread; librdkafka allows them to be read and given back on any.
unsafe impl Send for Batch {}

impl Batch {
    /// Room for so many.
    pub(in crate::kafka) fn with_capacity(messages: usize) -> Self {
        // SAFETY: it takes nothing and gives a number.
        let layout_is_known = unsafe { sys::rd_kafka_version() } == LAYOUT_READ_OF;
        Self { messages: Vec::with_capacity(messages), layout_is_known }
    }

    /// Whether there is none.
    pub(in crate::kafka) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The messages, to look at.
    pub(in crate::kafka) fn iter(&self) -> impl Iterator<Item = Message<'_>> {
        self.messages.iter().map(|raw| Message { raw: *raw, next: ptr::null(), batch: PhantomData })
    }

    /// Hands out each message and gives its memory back when `take` returns.
    #[inline]
    pub(in crate::kafka) fn drain(&mut self, mut take: impl FnMut(Message<'_>)) {
        for at in 0..self.messages.len() {
            let raw = self.messages[at];
            let next = self.messages.get(at + 1).filter(|_| self.layout_is_known);
            let next = next.map_or(ptr::null(), |next| next.cast_const());
            take(Message { raw, next, batch: PhantomData });
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
    /// The message behind it in its batch; null where that is not known, or of no use.
    next: *const sys::rd_kafka_message_t,
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
    /// cheaper question, so it is asked only where a look does not tell. A name that holds a NUL ends there.
    ///
    /// # Errors
    /// When they are not of Kafka's form.
    #[inline]
    pub(in crate::kafka) fn headers(self, out: &mut Vec<u8>) -> Result<bool, Failure> {
        if self.shows_no_headers() {
            return Ok(false);
        }
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

impl Message<'_> {
    /// Whether its bytes show that it has no headers: in its buffer, the number of headers lies right behind the value.
    ///
    /// False says nothing. True is right whatever lies there: a record in the format with headers has the number there,
    /// and it is 0; one of an older format, or one that is cut off behind its value, has none.
    #[inline]
    fn shows_no_headers(self) -> bool {
        if self.next.is_null() {
            return false;
        }
        // SAFETY: both messages were not given back: this one as its lifetime ends before that, the next one as they
        // are given back in order. The byte is read only where that one's bytes begin shortly behind it: then it lies
        // between bytes of one buffer, or of two that are neighbours on the heap, and what is between those can be read.
        unsafe {
            let next_key = (*self.next).key;
            let begins = if next_key.is_null() { (*self.next).payload } else { next_key };
            let value = (*self.raw).payload;
            if value.is_null() || begins.is_null() {
                return false;
            }
            let end = value.cast::<u8>().cast_const().wrapping_add((*self.raw).len);
            let apart = (begins as usize).wrapping_sub(end as usize);
            (1..=NEXT_WITHIN).contains(&apart) && end.read() == 0
        }
    }
}

/// # Safety
/// `bytes` is null, or `len` bytes are there for `'a`.
#[inline]
unsafe fn slice<'a>(bytes: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!bytes.is_null()).then(|| unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record's bytes as they lie in a buffer: key, length of the value, value, number of headers and what comes of
    /// it, and the beginning of the next record up to its key.
    fn buffer(behind_value: &[u8]) -> Vec<u8> {
        [b"key\x0avalue".as_slice(), behind_value, b"\x20\x00\x00\x02\x06next".as_slice()].concat()
    }

    fn message(key: *const u8, payload: *const u8, len: usize) -> sys::rd_kafka_message_t {
        // SAFETY: a struct of numbers and pointers, for which zeros are values; error 0 is a member of its enum.
        let mut message: sys::rd_kafka_message_t = unsafe { std::mem::zeroed() };
        (message.key, message.payload, message.len) = (key.cast_mut().cast(), payload.cast_mut().cast(), len);
        message
    }

    fn shows(behind_value: &[u8]) -> bool {
        let bytes = buffer(behind_value);
        let first = message(bytes.as_ptr(), bytes[4..].as_ptr(), 5);
        let second = message(bytes[bytes.len() - 4..].as_ptr(), ptr::null(), 0);
        Message { raw: &first, next: &second, batch: PhantomData }.shows_no_headers()
    }

    #[test]
    fn the_layout_that_the_look_rests_on_is_that_of_the_librdkafka_that_is_built_in() {
        assert!(
            Batch::with_capacity(1).layout_is_known,
            "read `rd_kafka_msgset_reader_msg_v2` of the new one, then raise the number"
        );
    }

    #[test]
    fn a_record_shows_that_it_has_no_headers_and_never_hides_any() {
        assert!(shows(&[0]));
        assert!(!shows(&[2, 2, b'a', 2, b'1']), "one header");
        assert!(!shows(&[0x80, 0x00]), "a number that is written oddly is left to librdkafka");
    }

    #[test]
    fn a_look_tells_nothing_without_a_neighbour_in_the_same_buffer() {
        let bytes = buffer(&[0]);
        let (first, null) = (message(bytes.as_ptr(), bytes[4..].as_ptr(), 5), message(ptr::null(), ptr::null(), 0));
        let before = message(bytes.as_ptr(), ptr::null(), 0);
        for next in [ptr::null(), ptr::from_ref(&null), ptr::from_ref(&before)] {
            assert!(!Message { raw: &first, next, batch: PhantomData }.shows_no_headers());
        }
    }
}
