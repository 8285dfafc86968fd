//! What librdkafka says by itself: log lines and errors that belong to no message.
//!
//! Contract: log lines come on librdkafka's own threads, at the moment they are written; errors come on the thread that
//! polls. Nothing here calls back into librdkafka.

use super::text_of;
use crate::kafka::native::{Failure, code};
use rdkafka::bindings as sys;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Who is told.
pub(in crate::kafka) trait Watcher: Send + Sync {
    /// librdkafka learnt that the topic has this id (22 characters, URL-safe base64), and reads by it from now on.
    fn topic_id(&self, id: &str);

    /// A line of its log, of one of syslog's levels.
    fn line(&self, level: i32, facility: &str, line: &str);

    /// An error that belongs to no message.
    fn error(&self, error: Failure);
}

/// What callbacks get as their opaque pointer.
pub(super) struct Hook {
    pub(super) topic: String,
    pub(super) watcher: Arc<dyn Watcher>,
}

impl Hook {
    fn line(&self, level: i32, facility: &str, line: &str) {
        if let Some(id) = changed_id(line, &self.topic) {
            self.watcher.topic_id(&id);
        }
        self.watcher.line(level, facility, line);
    }
}

/// The new id where `line` says that the topic has got another one.
///
/// librdkafka 2.12 goes on in the new topic at the old offset where a topic is deleted and created anew (`FIXME` in
/// `rd_kafka_topic_metadata_update`), and has no call that tells. It writes this line, in the debug context `metadata`,
/// before it uses the new id in a fetch; the first id of all is announced in the same way. A version that words it
/// otherwise is noticed: records come, and no id was announced.
fn changed_id(line: &str, topic: &str) -> Option<String> {
    let (_, rest) = line.split_once("Topic ")?;
    let (_, id) = rest.strip_prefix(topic)?.strip_prefix(" changed id from ")?.split_once(" to ")?;
    let id = id.split_whitespace().next()?;
    Some(id.replace('+', "-").replace('/', "_"))
}

/// librdkafka's log callback.
///
/// # Safety
/// Called by librdkafka only, for a client whose opaque pointer is a [`Hook`] that outlives it.
pub(super) unsafe extern "C" fn on_log(
    client: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    if client.is_null() || line.is_null() {
        return;
    }
    // SAFETY: the client is alive during its callback, its opaque pointer was set before it was made, and both texts
    // are C strings for the length of the call.
    unsafe {
        let hook = sys::rd_kafka_opaque(client).cast::<Hook>();
        if let Some(hook) = hook.as_ref() {
            let (facility, line) = (text_of(facility), CStr::from_ptr(line).to_string_lossy());
            // A panic must not unwind into C.
            drop(catch_unwind(AssertUnwindSafe(|| hook.line(level, &facility, &line))));
        }
    }
}

/// librdkafka's error callback.
///
/// # Safety
/// As [`on_log`].
pub(super) unsafe extern "C" fn on_error(
    _client: *mut sys::rd_kafka_t,
    number: c_int,
    why: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as above; `why` is a C string or null.
    unsafe {
        if let Some(hook) = opaque.cast::<Hook>().as_ref() {
            let error = code::failure(number, text_of(why));
            drop(catch_unwind(AssertUnwindSafe(|| hook.watcher.error(error))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::changed_id;

    #[test]
    fn the_id_of_the_topic_is_found_in_librdkafkas_line() {
        let line = "[thrd:main]: Topic b changed id from agq341jTR+mVNy3MSJCt6Q to y5l0xGG0RGCwlXJhHT/CP+";
        assert_eq!(changed_id(line, "b").as_deref(), Some("y5l0xGG0RGCwlXJhHT_CP-"), "in the form of Kafka's tools");
        assert_eq!(changed_id(line, "bb"), None, "another topic");
        assert_eq!(changed_id("[thrd:main]: Topic b [0] Leader 1 Epoch 0", "b"), None, "another line");
        assert_eq!(changed_id("Topic b changed id from AAA to CCC", "b").as_deref(), Some("CCC"), "without the thread");
    }
}
