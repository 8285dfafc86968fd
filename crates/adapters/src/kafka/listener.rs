//! What a client of librdkafka says by itself: its log, and errors that belong to no call.
//!
//! Contract: what it logs goes to the program's log without secrets. The last error that belongs to no call is kept for
//! a while: a call that then only runs out of time can say why, and whether waiting helps.

use super::KafkaOptions;
use super::error::is_final;
use super::settings::is_secret;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an error is taken for the reason of calls that run out of time.
const HEARD_FOR: Duration = Duration::from_secs(15);
/// Shorter values are no secrets, and would be found in any text.
const SECRET_BYTES_MIN: usize = 4;

/// An error that belongs to no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) code: RDKafkaErrorCode,
    pub(super) text: String,
}

/// Listens to one client.
pub(super) struct Listener {
    client: &'static str,
    secrets: Vec<String>,
    heard: Mutex<Option<(Instant, Heard)>>,
}

impl Listener {
    /// For a client that is called `client` in the log.
    pub(super) fn new(client: &'static str, options: &KafkaOptions) -> Self {
        let secrets =
            options.properties.iter().filter(|(name, value)| is_secret(name) && value.len() >= SECRET_BYTES_MIN);
        Self { client, secrets: secrets.map(|(_, value)| value.clone()).collect(), heard: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Heard)>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error that may be the reason of what just failed.
    pub(super) fn heard(&self) -> Option<Heard> {
        self.lock().as_ref().filter(|(at, _)| at.elapsed() < HEARD_FOR).map(|(_, heard)| heard.clone())
    }

    /// A call has succeeded: what was heard before is over.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    pub(super) fn without_secrets(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "…"))
    }
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (client, message) = (self.client, self.without_secrets(message));
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "librdkafka", client, facility, "{message}");
            }
            _ => tracing::debug!(target: "librdkafka", client, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        let text = self.without_secrets(reason);
        tracing::debug!(target: "librdkafka", client = self.client, "{code}: {text}");
        let mut heard = self.lock();
        let known = heard.as_ref().filter(|(at, _)| at.elapsed() < HEARD_FOR).map(|(_, heard)| heard);
        // "All brokers are down" follows the error that says why, and a broker that refuses a client hangs up as well.
        let says_less = |known: &Heard| {
            code == RDKafkaErrorCode::AllBrokersDown || (is_final(known.code, &known.text) && !is_final(code, &text))
        };
        if !known.is_some_and(says_less) {
            *heard = Some((Instant::now(), Heard { code, text }));
        }
    }
}

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener() -> Listener {
        let properties = [("sasl.password", "hunter2"), ("sasl.username", "user")];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Listener::new("test", &KafkaOptions { bootstrap: "b:1".to_owned(), properties, replication_factor: None })
    }

    #[test]
    fn what_was_heard_is_kept_until_a_call_succeeds_and_the_reason_is_not_covered_up() {
        let listener = listener();
        assert_eq!(listener.heard(), None);
        listener.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "bad password hunter2 of user");
        listener.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        listener.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "Disconnected");
        let text = "bad password … of user".to_owned();
        assert_eq!(listener.heard(), Some(Heard { code: RDKafkaErrorCode::Authentication, text }));
        listener.forget();
        assert_eq!(listener.heard(), None);
    }
}
