//! The adapter on a broker that wants to know who asks: each way to say so, and what is said where it is not enough.

mod rights;
mod tokens;

use super::{fresh, record};
use rights::{Right, allow};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watertight_adapters::kafka::{KafkaLog, KafkaOptions};
use watertight_core::port::{ErrorKind, EventLog, PortError, ReadFrom};
use watertight_lab::kafka::secured::{GUEST, GUEST_PASSWORD, KEY_PASSWORD, STRANGER, Secured, USER, USER_PASSWORD};
use watertight_lab::kafka::shared_secured;

/// A password that is nobody's.
const WRONG: &str = "wrong-horse-42";
/// What no message may hold.
const SECRETS: [&str; 5] = [USER_PASSWORD, GUEST_PASSWORD, KEY_PASSWORD, WRONG, tokens::CLIENT_SECRET];
/// Longest that two calls may take that are refused.
const BOUND: Duration = Duration::from_secs(40);
/// Longer than anything that works takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn secured() -> &'static Secured {
    shared_secured().secured().unwrap()
}

/// Where to go and what to say there, as the pipeline file gives it.
#[derive(Clone)]
struct Way {
    bootstrap: String,
    properties: BTreeMap<String, String>,
}

impl Way {
    fn to(bootstrap: String, protocol: &str) -> Self {
        let way = Self { bootstrap, properties: BTreeMap::new() };
        way.with("security.protocol", protocol).with("ssl.ca.location", &text(secured().authority()))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.to_owned());
        self
    }

    fn open(&self) -> Result<KafkaLog, PortError> {
        let Self { bootstrap, properties } = self.clone();
        KafkaLog::new(KafkaOptions { bootstrap, properties, replication_factor: None })
    }

    fn log(&self) -> KafkaLog {
        self.open().unwrap()
    }
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

fn password(mechanism: &str, user: &str, password: &str) -> Way {
    let way = Way::to(secured().sasl(), "SASL_SSL").with("sasl.mechanism", mechanism);
    way.with("sasl.username", user).with("sasl.password", password)
}

fn token(config: &str) -> Way {
    let way = Way::to(secured().sasl(), "SASL_SSL").with("sasl.mechanism", "OAUTHBEARER");
    way.with("enable.sasl.oauthbearer.unsecure.jwt", "true").with("sasl.oauthbearer.config", config)
}

fn certificate(name: &str) -> Way {
    let way = Way::to(secured().mutual(), "SSL").with("ssl.certificate.location", &text(secured().certificate(name)));
    way.with("ssl.key.location", &text(secured().key(name)))
}

/// Reads partition 0 until there are so many records: their values.
fn values(log: &KafkaLog, topic: &str, count: usize) -> Result<Vec<String>, PortError> {
    let mut reader = log.reader(topic, &[ReadFrom::offset(0, 0)])?;
    let (began, mut values) = (Instant::now(), Vec::new());
    while values.len() < count {
        assert!(began.elapsed() < PATIENCE, "only {values:?} came");
        for part in reader.fetch(1 << 20, Duration::from_millis(100))? {
            let value = |row| String::from_utf8(part.records.value(row).unwrap().to_vec()).unwrap();
            values.extend((0..part.records.len()).map(value));
        }
    }
    Ok(values)
}

/// A topic is made this way, appended to, and read.
fn is_served(way: &Way, name: &str) {
    let (log, topic) = (way.log(), fresh(name));
    log.create_topic(&topic, 1).unwrap();
    assert_eq!(log.append(&topic, 0, &[record(b"a"), record(b"b")]).unwrap().first_offset, 0);
    assert_eq!(log.end(&topic, 0).unwrap(), 2);
    assert_eq!(values(&log, &topic, 2).unwrap(), ["a", "b"]);
}

/// Stops, with these words and without a secret.
fn says<T: std::fmt::Debug>(answer: Result<T, PortError>, words: &[&str]) {
    let error = answer.unwrap_err();
    let said = error.chain();
    assert_eq!(error.kind, ErrorKind::Stop, "{said}");
    words.iter().for_each(|word| assert!(said.contains(word), "{word} is not in: {said}"));
    SECRETS.iter().for_each(|secret| assert!(!said.contains(secret), "{said}"));
}

/// Whatever is asked this way stops, within the bound.
fn is_refused(way: &Way, words: &[&str]) {
    let (log, began) = (way.log(), Instant::now());
    says(log.topic("t"), words);
    says(log.append("t", 0, &[record(b"never sent")]), words);
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
}

/// All at once: each takes as long as a question may take.
fn are_refused(cases: &[(Way, &[&str])]) {
    std::thread::scope(|scope| {
        for (way, words) in cases {
            scope.spawn(move || is_refused(way, words));
        }
    });
}

/// Tries until it works: what was allowed takes a moment to be known to the broker.
fn in_time<T>(mut call: impl FnMut() -> Result<T, PortError>) -> T {
    let began = Instant::now();
    loop {
        match call() {
            Ok(answer) => return answer,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{}", error.chain()),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn whoever_shows_a_password_is_served() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        is_served(&password(mechanism, USER, USER_PASSWORD), mechanism);
    }
}

#[test]
fn whoever_shows_a_token_is_served() {
    is_served(&token(&format!("principal={USER}")), "token");
}

#[test]
fn whoever_shows_a_certificate_is_served_with_a_locked_key_too() {
    is_served(&certificate(USER).with("ssl.key.password", KEY_PASSWORD), "certificate");
    // The same in the properties themselves, as a variable or a mounted secret holds them.
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let way = Way::to(secured().mutual(), "SSL").with("ssl.certificate.pem", &read(secured().certificate(USER)));
    is_served(&way.with("ssl.key.pem", &read(secured().key(USER))).with("ssl.key.password", KEY_PASSWORD), "pem");
}

#[test]
fn a_key_that_is_not_unlocked_is_refused_before_anybody_is_asked() {
    says(certificate(USER).with("ssl.key.password", WRONG).open(), &["ssl.key.location"]);
}

#[test]
fn whoever_shows_a_wrong_password_or_token_is_told_to_check_it() {
    let words: &[&str] = &["`sasl.mechanisms`", "password"];
    are_refused(&[
        (password("PLAIN", USER, WRONG), words),
        (password("SCRAM-SHA-512", USER, WRONG), words),
        // Nobody of this name is known by this mechanism.
        (password("SCRAM-SHA-256", GUEST, GUEST_PASSWORD), words),
        // A token without the claim that says whose it is.
        (token(&format!("principalClaimName=azp principal={USER}")), &["invalid_token", "or the token"]),
    ]);
}

#[test]
fn a_broker_that_cannot_be_trusted_is_told_with_what_to_check() {
    let other = text(secured().other_authority());
    let known = password("PLAIN", USER, USER_PASSWORD);
    // The certificate is for the address, not for this name of it.
    let by_name = Way { bootstrap: known.bootstrap.replace("127.0.0.1", "localhost"), ..known.clone() };
    are_refused(&[
        (known.with("ssl.ca.location", &other), &["`ssl.ca.location`"]),
        (by_name.with("broker.address.family", "v4"), &["SSL", "verify"]),
    ]);
}

#[test]
fn whoever_shows_no_certificate_or_a_strangers_stops_and_is_told_so() {
    let words: &[&str] = &["`ssl.certificate.location`", "`ssl.key.location`"];
    are_refused(&[(Way::to(secured().mutual(), "SSL"), words), (certificate(STRANGER), words)]);
}

#[test]
fn whoever_has_no_right_to_a_topic_is_told_which_one_is_missing() {
    let topic = fresh("rights");
    let owner = password("PLAIN", USER, USER_PASSWORD).log();
    owner.create_topic(&topic, 1).unwrap();
    owner.append(&topic, 0, &[record(b"a")]).unwrap();
    let guest = password("SCRAM-SHA-512", GUEST, GUEST_PASSWORD).log();
    says(guest.topic(&topic), &["allow this user", "topic"]);
    says(certificate(GUEST).log().topic(&topic), &["allow this user", "topic"]);

    allow(GUEST, &topic, Right::Describe);
    assert_eq!(in_time(|| guest.topic(&topic)), owner.topic(&topic).unwrap());
    says(guest.append(&topic, 0, &[record(b"never sent")]), &["allow this user to write"]);
    says(values(&guest, &topic, 1), &["allow this user", "read"]);

    allow(GUEST, &topic, Right::Read);
    assert_eq!(in_time(|| values(&guest, &topic, 1)), ["a"]);
    allow(GUEST, &topic, Right::Write);
    assert_eq!(in_time(|| guest.append(&topic, 0, &[record(b"b")])).first_offset, 1);
    assert_eq!(values(&guest, &topic, 2).unwrap(), ["a", "b"], "what was refused is not there");
}
