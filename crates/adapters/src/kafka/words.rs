//! What librdkafka tells in words only: its code is that of a lost connection, or of any refusal, and would mislead.
//!
//! Contract: the words are those of librdkafka 2.12, of OpenSSL 3 and of curl. Words that are not known leave it to the
//! code. The tests against a secured broker fail where the words of the first two change.

use watertight_core::port::ErrorKind;

/// The other side speaks another protocol: its first bytes are taken for a length. The advice that comes with these
/// words, to raise a limit, is for those who know that Kafka answers there.
const NOT_KAFKA: &str = "Invalid response size";
/// The other side hung up on the first words of TLS. A broker that was just ended does so too.
const HUNG_UP: &str = "connecting to a PLAINTEXT broker listener";
/// A broker takes another token on a connection once a second at most. librdkafka asks for more where a token is so
/// short that its end is near before the next one is there; it connects again. A listener that knows no SASL says the
/// same, whatever it is asked with.
const NO_SECOND_TOKEN: [&str; 2] =
    ["SASL OAUTHBEARER mechanism handshake failed", "Request not valid in current SASL state"];
/// Before the first record, a producer asks for a number; whoever may write to any topic is given one.
const NO_NUMBER: &str = "Failed to acquire idempotence PID";
/// Behind them, where he may not: any other reason passes.
const NOT_ALLOWED: &str = "Cluster authorization failed";
/// Before the reason why there is no token.
const NO_TOKEN: &str = "Failed to acquire SASL OAUTHBEARER token";
/// Before the number of what the other side says against a connection with TLS.
const ALERT: &str = "SSL alert number ";

/// Numbers with which a broker refuses a client for good (RFC 8446, section 6.2): no agreement on how to speak, and a
/// certificate that is missing, damaged, of an unknown authority, over, or taken back.
const REFUSALS: [u32; 11] = [40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 116];
/// Words of curl for whoever gives tokens being away, and of those who stand before him and have him away or busy.
const AWAY: [&str; 16] = [
    "Failed to connect",
    "Could not connect",
    "Couldn't connect",
    "Could not resolve",
    "Couldn't resolve",
    "timed out",
    "Timeout was reached",
    "Connection reset",
    "Empty reply",
    "Service Unavailable",
    "Temporarily Unavailable",
    "temporarily_unavailable",
    "Bad Gateway",
    "Gateway Time",
    "Too Many Requests",
    "Internal Server Error",
];

/// What the caller does and what an operator can do, where the words say so.
pub(super) fn judged(text: &str) -> Option<(ErrorKind, &'static str)> {
    if let Some((_, reason)) = text.split_once(NO_TOKEN) {
        return Some(if AWAY.iter().any(|words| reason.contains(words)) {
            (ErrorKind::Retry, "does whoever gives tokens run, and does `sasl.oauthbearer.token.endpoint.url` name it?")
        } else {
            (
                ErrorKind::Stop,
                "check `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id` and the secret that belongs \
                 to it",
            )
        });
    }
    if alert(text).is_some_and(|number| REFUSALS.contains(&number)) {
        return Some((
            ErrorKind::Stop,
            "the broker refuses the client: check `ssl.certificate.location` and `ssl.key.location`, and that the \
             broker trusts who signed the certificate",
        ));
    }
    if text.contains(NO_NUMBER) && text.contains(NOT_ALLOWED) {
        return Some((ErrorKind::Stop, "allow this user to write to the topic"));
    }
    if NO_SECOND_TOKEN.iter().all(|words| text.contains(words)) {
        return Some((
            ErrorKind::Retry,
            "does the listener want SASL, as `security.protocol` says? Connections are made anew; if that goes on, have \
             tokens given that are good for a minute or more",
        ));
    }
    let (_, kind, advice) = PHRASES.iter().find(|(words, ..)| text.contains(words))?;
    Some((*kind, *advice))
}

/// Phrases that say all of it.
const PHRASES: &[(&str, ErrorKind, &str)] = &[
    (
        NOT_KAFKA,
        ErrorKind::Stop,
        "rather than raise it, check what answers there: a listener that wants TLS (`security.protocol`), or no Kafka \
         at all (`bootstrap`)",
    ),
    (HUNG_UP, ErrorKind::Retry, "does Kafka run, and does its listener want TLS as `security.protocol` says?"),
];

/// The number of the alert that a text tells.
fn alert(text: &str) -> Option<u32> {
    let (_, number) = text.split_once(ALERT)?;
    let digits = number.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_say_more_than_their_code_are_heard() {
        let alert = |number: u32| {
            format!("Receive failed: error:0A000412:SSL routines::alert: SSL alert number {number} (after")
        };
        let no_token = |why: &str| format!("Failed to acquire SASL OAUTHBEARER token: {why}");
        for (text, wanted, said) in [
            (alert(42), ErrorKind::Stop, "`ssl.certificate.location`"),
            (alert(116), ErrorKind::Stop, "`ssl.key.location`"),
            (no_token("Failed to connect to 127.0.0.1 port 9 after 0 ms"), ErrorKind::Retry, "endpoint"),
            (no_token("{\"error\":\"invalid_client\"}"), ErrorKind::Stop, "`sasl.oauthbearer.client.id`"),
            (no_token("<h1>503 Service Temporarily Unavailable</h1>"), ErrorKind::Retry, "endpoint"),
            (
                "SASL OAUTHBEARER mechanism handshake failed: Broker: Request not valid in current SASL state"
                    .to_owned(),
                ErrorKind::Retry,
                "a minute",
            ),
            ("SSL connection closed: connecting to a PLAINTEXT broker listener?".to_owned(), ErrorKind::Retry, "TLS"),
        ] {
            let (kind, advice) = judged(&text).unwrap();
            assert_eq!(kind, wanted, "{text}");
            assert!(advice.contains(said), "{text}: {advice}");
        }
    }

    #[test]
    fn words_that_are_not_known_leave_it_to_the_code() {
        // Alert 80 is the broker's own trouble.
        let busy = "Failed to acquire idempotence PID from broker b:1/1: Broker: Coordinator load in progress";
        let plain = "SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state";
        for text in
            [busy, plain, "", "Connection refused", "SSL alert number 80", "SSL alert number ", "SSL alert number 4200"]
        {
            assert_eq!(judged(text), None, "{text}");
        }
    }
}
