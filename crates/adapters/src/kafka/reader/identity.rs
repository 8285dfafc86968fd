//! Whether the topic still is the one that was opened, and whether anybody answers.
//!
//! Contract: a record of another life of the topic is never handed over. librdkafka goes on in a recreated topic
//! without a word, but writes the new id to its log before it uses it (`native/consume/hook.rs`); whoever has polled
//! looks here before using what came. Deletion it notices late or not at all: so the topic is described every second,
//! which also tells whether brokers answer while nothing is produced.
//!
//! That a topic is gone is believed when every answer within [`ABSENT_FOR`] says so. A broker that has just started
//! answers before it knows its topics, and a description that an error on some partition prompted follows the one
//! before at once; two answers alone would be those of one moment. An unanswered question begins the time anew: what
//! answers next may have started since.

use super::failure::{Failure, Until};
use crate::kafka::listener::Listener;
use crate::kafka::native::Failure as NativeError;
use crate::kafka::native::consume::Watcher;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use watertight_core::port::{ErrorKind, PortError};

/// How often the topic is described.
const DESCRIBED_EVERY: Duration = Duration::from_secs(1);
/// The topic is gone when it was missed for so long by every answer, two at least.
const ABSENT_FOR: Duration = Duration::from_secs(2);
/// Silence for so long is said; shorter ones (a leader moves, a broker restarts) pass unnoticed.
const SILENCE_SAID_AFTER: Duration = Duration::from_secs(10);
/// Errors of one client that are kept until somebody takes them.
const ERRORS_MAX: usize = 32;
/// The facility of librdkafka's lines about topics and brokers.
const METADATA: &str = "METADATA";

/// What is known of the topic.
#[derive(Debug)]
pub(super) struct Identity {
    topic: String,
    expected: String,
    seen: Mutex<Seen>,
    changed: Condvar,
}

#[derive(Debug)]
struct Seen {
    ended: Option<Failure>,
    /// Since when every answer has missed the topic.
    absent_since: Option<Instant>,
    alive: Instant,
    trouble: Option<Failure>,
    asked: bool,
    closed: bool,
}

impl Identity {
    /// Of this topic, which had this id when it was opened just now.
    pub(super) fn new(topic: &str, expected: &str) -> Self {
        let (alive, asked, closed) = (Instant::now(), false, false);
        let seen = Seen { ended: None, absent_since: None, alive, trouble: None, asked, closed };
        Self { topic: topic.to_owned(), expected: expected.to_owned(), seen: Mutex::new(seen), changed: Condvar::new() }
    }

    /// The topic's name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A broker has answered.
    pub(super) fn alive(&self) {
        let mut seen = self.lock();
        seen.alive = Instant::now();
        seen.trouble = None;
    }

    /// Something went wrong; it is named if silence follows.
    pub(super) fn trouble(&self, failure: Failure) {
        self.lock().trouble = Some(failure);
    }

    /// The topic may be gone: describe it now.
    pub(super) fn ask(&self) {
        self.lock().asked = true;
        self.changed.notify_all();
    }

    /// The topic has this id.
    pub(super) fn saw(&self, id: &str) {
        if id != self.expected {
            let message = format!(
                "topic {} was deleted and created anew while it was read (it was {}, it is {id}); nothing of the new \
                 one was used: restart to read it from its beginning",
                self.topic, self.expected
            );
            self.lock().ended.get_or_insert(Failure::new(ErrorKind::Stop, message, Until::Seek));
        }
    }

    /// Why the topic cannot be read any more.
    pub(super) fn ended(&self) -> Option<Failure> {
        self.lock().ended.clone()
    }

    /// What to say of a long silence.
    pub(super) fn silence(&self) -> Option<Failure> {
        let seen = self.lock();
        let silent = seen.alive.elapsed();
        if silent < SILENCE_SAID_AFTER {
            return None;
        }
        let (kind, why) = match &seen.trouble {
            Some(failure) => (failure.kind, failure.message.as_str()),
            None => (ErrorKind::Retry, "requests are not answered; check that the brokers run and can be reached"),
        };
        let (topic, seconds) = (&self.topic, silent.as_secs());
        let message = format!(
            "no broker has answered about topic {topic} for {seconds} s: {why}; reading goes on by itself when one does"
        );
        Some(Failure::new(kind, message, Until::Progress))
    }

    /// Ends the watch.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Describes the topic every second until [`Identity::close`], by its incarnation.
    ///
    /// Nobody waits for the thread that does this: an unanswered question takes its time, and holds nothing up.
    pub(super) fn watch(&self, describe: impl Fn() -> Result<Option<String>, PortError>) {
        loop {
            let idle = |seen: &mut Seen| !seen.closed && !seen.asked;
            let waited = self.changed.wait_timeout_while(self.lock(), DESCRIBED_EVERY, idle);
            let mut seen = waited.unwrap_or_else(PoisonError::into_inner).0;
            if seen.closed {
                return;
            }
            seen.asked = false;
            drop(seen);
            self.judge(describe(), Instant::now());
        }
    }

    /// Takes note of an answer that came at this time.
    fn judge(&self, answer: Result<Option<String>, PortError>, now: Instant) {
        match answer {
            Ok(Some(id)) => {
                self.alive();
                self.lock().absent_since = None;
                self.saw(&id);
            }
            Ok(None) => {
                let mut seen = self.lock();
                let since = *seen.absent_since.get_or_insert(now);
                if now.saturating_duration_since(since) >= ABSENT_FOR {
                    let topic = &self.topic;
                    let message = format!(
                        "topic {topic} was deleted while it was read; nothing was skipped: create it again or remove \
                         the stream"
                    );
                    seen.ended.get_or_insert(Failure::new(ErrorKind::Stop, message, Until::Seek));
                }
            }
            Err(error) => {
                self.lock().absent_since = None;
                self.trouble(Failure::port(error, Until::Progress));
            }
        }
    }
}

/// What one client of librdkafka says by itself.
pub(super) struct Ears {
    identity: Arc<Identity>,
    listener: Arc<Listener>,
    has_heard_id: AtomicBool,
    errors: Mutex<Vec<NativeError>>,
}

impl Ears {
    /// Of a client that reads this topic; its log goes to the listener.
    pub(super) fn new(identity: Arc<Identity>, listener: Arc<Listener>) -> Arc<Self> {
        Arc::new(Self { identity, listener, has_heard_id: AtomicBool::new(false), errors: Mutex::default() })
    }

    /// Whether the client has announced the id that it reads by. It does so before it reads.
    pub(super) fn has_heard_id(&self) -> bool {
        self.has_heard_id.load(Ordering::Acquire)
    }

    /// The errors that came since.
    pub(super) fn errors(&self) -> Vec<NativeError> {
        std::mem::take(&mut *self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watcher for Ears {
    fn topic_id(&self, id: &str) {
        self.identity.saw(id);
        self.has_heard_id.store(true, Ordering::Release);
    }

    fn line(&self, level: i32, facility: &str, line: &str) {
        let level = match level {
            0..=3 => RDKafkaLogLevel::Error,
            4 => RDKafkaLogLevel::Warning,
            5 | 6 => RDKafkaLogLevel::Info,
            // The context `metadata` is on for the topic's id (`native/consume/hook.rs`); nobody asked to see it.
            _ if facility == METADATA => return,
            _ => RDKafkaLogLevel::Debug,
        };
        self.listener.log(level, facility, line);
    }

    fn error(&self, mut error: NativeError) {
        error.text = self.listener.without_secrets(&error.text);
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        if errors.len() < ERRORS_MAX {
            errors.push(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Result<Option<String>, PortError> {
        Err(PortError::new(ErrorKind::Stop, "authentication failed"))
    }

    #[test]
    fn another_id_ends_the_reading_and_the_same_one_does_not() {
        let identity = Identity::new("ticks", "abc");
        identity.saw("abc");
        identity.judge(Ok(Some("abc".to_owned())), Instant::now());
        assert_eq!(identity.ended(), None);
        identity.saw("abd");
        let ended = identity.ended().expect("ended");
        assert_eq!(ended.kind, ErrorKind::Stop);
        assert!(ended.message.contains("abc") && ended.message.contains("abd"), "{}", ended.message);
        identity.saw("abc");
        assert_eq!(identity.ended(), Some(ended), "for good");
    }

    #[test]
    fn a_topic_is_gone_when_every_answer_of_two_seconds_misses_it() {
        let (identity, began) = (Identity::new("ticks", "abc"), Instant::now());
        let missed_at = |ms| {
            identity.judge(Ok(None), began + Duration::from_millis(ms));
            identity.ended()
        };
        assert_eq!([0, 1, 2, 1_999].map(missed_at), [None, None, None, None], "a broker that just started");
        identity.judge(Ok(Some("abc".to_owned())), began + Duration::from_millis(2_000));
        assert_eq!([2_001, 4_000].map(missed_at), [None, None], "it was there in between");
        identity.judge(away(), began + Duration::from_millis(4_500));
        assert_eq!([60_000, 61_999].map(missed_at), [None, None], "and nobody answered in between");
        assert!(missed_at(62_000).expect("ended").message.contains("deleted"));
    }

    #[test]
    fn a_long_silence_is_said_with_its_cause_and_a_short_one_is_not() {
        let identity = Identity::new("ticks", "abc");
        identity.judge(away(), Instant::now());
        assert_eq!(identity.silence(), None);
        let long_ago = Instant::now().checked_sub(2 * SILENCE_SAID_AFTER).expect("the machine runs for longer");
        identity.lock().alive = long_ago;
        let silence = identity.silence().expect("said");
        assert_eq!(silence.kind, ErrorKind::Stop, "as the cause's kind says");
        assert!(silence.message.contains("authentication failed"), "{}", silence.message);
        identity.judge(Ok(Some("abc".to_owned())), Instant::now());
        assert_eq!(identity.silence(), None, "somebody answers");
        identity.lock().alive = long_ago;
        assert_eq!(identity.silence().expect("said").kind, ErrorKind::Retry, "an old cause is no cause");
    }

    #[test]
    fn the_watch_asks_at_once_where_it_is_told_to_and_ends_when_it_is_closed() {
        let identity = Arc::new(Identity::new("ticks", "abc"));
        let watch = std::thread::spawn({
            let identity = Arc::clone(&identity);
            move || identity.watch(|| Ok(Some("another".to_owned())))
        });
        let began = Instant::now();
        identity.ask();
        while identity.ended().is_none() {
            std::thread::yield_now();
        }
        assert!(began.elapsed() < DESCRIBED_EVERY / 2);
        identity.close();
        watch.join().expect("no panic");
    }
}
