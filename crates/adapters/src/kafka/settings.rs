//! How clients are set up: what we change of librdkafka's defaults, what users add, and what nobody may change.
//!
//! Contract: a property that users set goes in the place of our default of the same meaning, whatever its spelling. One
//! on which a guarantee rests (`watertight_core::kafka`) is refused by name, with the reason (the reader of the pipeline
//! file did so before, for whoever comes from there), and is not handed on, whatever was checked. No message holds a
//! property's value: it may be a secret.

use super::KafkaOptions;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::util::get_rdkafka_version;
use watertight_core::kafka;
use watertight_core::port::{ErrorKind, PortError};

/// Which records of transactions a client is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// Those of transactions that were committed.
    Committed,
    /// All of them.
    Uncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Uncommitted => "read_uncommitted",
        }
    }
}

/// Bytes of one record that librdkafka takes (`message.max.bytes`), where users say nothing.
const RECORD_BYTES_MAX: usize = 1_000_000;

/// A default of ours: all spellings of the property (the first one is set), and the value.
type Own = (&'static [&'static str], &'static str);

/// For every client.
const EVERYWHERE: &[Own] = &[
    (&["client.id"], "watertight"),
    // A broker that is back is found within a second, not within ten.
    (&["reconnect.backoff.max.ms"], "1000"),
    // A broker that keeps the connection and says nothing: the request fails after 10 s, not after a minute.
    (&["socket.timeout.ms"], "10000"),
    (&["socket.keepalive.enable"], "true"),
    // New leaders and partitions are known within 10 s, not within five minutes.
    (&["topic.metadata.refresh.interval.ms"], "10000"),
    // Brokers close idle connections; that is no news.
    (&["log.connection.close"], "false"),
    // Topics are made with as many partitions as are declared, or not at all.
    (&["allow.auto.create.topics"], "false"),
];

/// For readers.
const READING: &[Own] = &[
    // `assign` wants a name; nobody joins the group and nothing is committed to it.
    (&["group.id"], "watertight"),
    (&["enable.auto.commit"], "false"),
    (&["enable.auto.offset.store"], "false"),
    // A position that is not there any more is an error, not a jump to the end.
    (&["auto.offset.reset"], "error"),
    (&["enable.partition.eof"], "true"),
    (&["check.crcs"], "true"),
    // 16 MiB that were fetched and not taken yet, not 64: what is read waits in a queue of its own behind it
    // (`reader/inbox.rs`), and what lies in both is memory that is not in the processor's cache any more.
    (&["queued.max.messages.kbytes"], "16384"),
    // A full queue is looked at again after 20 ms, not after a second.
    (&["fetch.queue.backoff.ms"], "20"),
    (&["fetch.error.backoff.ms"], "100"),
];

/// For the producer.
const WRITING: &[Own] = &[
    (&["enable.idempotence"], "true"),
    (&["acks", "request.required.acks"], "all"),
    // What is in the log of a batch is a beginning of it: no record is given up while a later one is sent.
    (&["enable.gapless.guarantee"], "true"),
    // One request at a time: a broker that does not know the producer yet would take the second one of a batch although it
    // refused the first.
    (&["max.in.flight.requests.per.connection", "max.in.flight"], "1"),
    // Tried until it is known: a record that was given up could still arrive (docs/adr/0016).
    (&["message.timeout.ms", "delivery.timeout.ms"], "0"),
    (&["compression.codec", "compression.type"], "lz4"),
    (&["linger.ms", "queue.buffering.max.ms"], "5"),
    // Batches end at `batch.size`, a megabyte by default: brokers take no larger ones by default.
    (&["batch.num.messages"], "100000"),
    (&["queue.buffering.max.messages"], "1000000"),
    // 128 MiB, not a gigabyte.
    (&["queue.buffering.max.kbytes"], "131072"),
];

/// What makes a token of librdkafka's own, which nobody signs, and what goes into it.
const UNSECURED: &str = "enable.sasl.oauthbearer.unsecure.jwt";
const UNSECURED_CONFIG: &str = "sasl.oauthbearer.config";
const UNSECURED_LIFE: &str = "lifeSeconds=";
/// Ten years. rdkafka takes the news that a token will end away from librdkafka, which would make another: the first
/// one has to last, in the place of an hour.
const UNSECURED_LIFE_S: u32 = 315_360_000;

/// A reader's client.
pub(super) fn consumer(options: &KafkaOptions, isolation: Isolation) -> ClientConfig {
    let mut config = client(options, READING);
    config.set("isolation.level", isolation.name());
    config
}

/// The producer's client.
pub(super) fn producer(options: &KafkaOptions) -> ClientConfig {
    client(options, WRITING)
}

/// A client that only asks.
pub(super) fn admin(options: &KafkaOptions) -> ClientConfig {
    client(options, &[])
}

fn client(options: &KafkaOptions, own: &[Own]) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Of those that a guarantee rests on, `check` lets pass only what we set, or what librdkafka has by itself.
    let given = options.properties.iter().filter(|(name, _)| !kafka::is_fixed(name));
    for (names, value) in EVERYWHERE.iter().chain(own) {
        if !given.clone().any(|(name, _)| names.contains(&name.as_str())) {
            config.set(names[0], *value);
        }
    }
    for (name, value) in given {
        config.set(name, value);
    }
    if let Some(lasting) = lasting_token(options) {
        config.set(UNSECURED_CONFIG, lasting);
    }
    config.set("bootstrap.servers", &options.bootstrap);
    let level = if options.properties.contains_key("debug") { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Info };
    config.set_log_level(level);
    config
}

/// What goes into a token that nobody signs, where it does not say how long it is good for.
fn lasting_token(options: &KafkaOptions) -> Option<String> {
    let given = options.properties.get(UNSECURED_CONFIG)?;
    let is_made = options.properties.get(UNSECURED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    (is_made && !given.contains(UNSECURED_LIFE)).then(|| format!("{given} {UNSECURED_LIFE}{UNSECURED_LIFE_S}"))
}

/// The largest record that the client takes.
pub(super) fn record_bytes_max(options: &KafkaOptions) -> usize {
    let given = options.properties.get("message.max.bytes");
    given.and_then(|value| value.parse().ok()).unwrap_or(RECORD_BYTES_MAX)
}

/// Refuses options that cannot work, or on which a guarantee would fail. No broker is asked.
pub(super) fn check(options: &KafkaOptions) -> Result<(), PortError> {
    let stop = |message: String| Err(PortError::new(ErrorKind::Stop, message));
    if !options.bootstrap.split(',').any(|broker| !broker.trim().is_empty()) || options.bootstrap.contains('\0') {
        return stop("`bootstrap` names no broker; give host:port, several separated by commas".to_owned());
    }
    if options.replication_factor.is_some_and(|factor| factor < 1) {
        return stop("`replication_factor` must be at least 1; leave it out for the brokers' default".to_owned());
    }
    for (name, value) in &options.properties {
        if let Some(kafka::Fixed { name, allowed, why }) = kafka::refused(name, value) {
            let only = match allowed.first() {
                Some(only) => format!("the Kafka property `{name}` can only be `{only}`"),
                None => format!("the Kafka property `{name}` cannot be set"),
            };
            return stop(format!("{only}: {why}; leave it out"));
        }
        known(name, value)?;
    }
    Ok(())
}

/// Asks librdkafka for one property.
fn known(name: &str, value: &str) -> Result<(), PortError> {
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(error) => Err(refused(&error)),
    }
}

/// Why librdkafka does not take a setting.
pub(super) fn refused(error: &KafkaError) -> PortError {
    let message = match error {
        KafkaError::ClientConfig(_, said, name, value) => {
            let said = if value.is_empty() { said.clone() } else { said.replace(value.as_str(), "…") };
            let version = get_rdkafka_version().1;
            format!(
                "the Kafka property `{name}` is not taken by librdkafka {version}: {said}; correct it or leave it out"
            )
        }
        KafkaError::ClientCreation(said) if said.contains("GSSAPI") => {
            "Kerberos (GSSAPI) is not in this build, and librdkafka takes it where `sasl.mechanisms` is not set; set \
             it to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
                .to_owned()
        }
        KafkaError::ClientCreation(said) => {
            format!("the Kafka properties don't work together: {said}; correct those that it names")
        }
        // Others hold no value; a text with a NUL in it is one.
        other => format!("the Kafka properties are not taken: {other}; correct them"),
    };
    PortError::new(ErrorKind::Stop, message)
}

/// Whether a property's value is a secret whatever else it is called: it is cut out of what librdkafka says.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "secret", "passphrase", ".pem", "oauthbearer.config"].iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::KafkaLog;

    const PASSWORD: &str = "hunter2-hunter2";

    fn options(properties: &[(&str, &str)]) -> KafkaOptions {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        KafkaOptions { bootstrap: "127.0.0.1:1".to_owned(), properties, replication_factor: None }
    }

    fn refusal(properties: &[(&str, &str)]) -> String {
        let error = KafkaLog::new(options(properties)).map(drop).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stop);
        error.chain()
    }

    #[test]
    fn every_default_is_one_that_librdkafka_knows() {
        for (names, value) in EVERYWHERE.iter().chain(READING).chain(WRITING) {
            names.iter().for_each(|name| known(name, value).unwrap());
        }
        for isolation in [Isolation::Committed, Isolation::Uncommitted] {
            consumer(&options(&[]), isolation).create_native_config().unwrap();
        }
    }

    #[test]
    fn every_property_that_a_guarantee_rests_on_is_one_that_librdkafka_knows() {
        for kafka::Fixed { name, allowed, .. } in kafka::FIXED {
            allowed.iter().for_each(|value| known(name, value).unwrap());
        }
    }

    #[test]
    fn a_property_goes_in_the_place_of_our_default_whatever_its_spelling() {
        let given = options(&[("compression.type", "zstd"), ("fetch.queue.backoff.ms", "50"), ("client.id", "mine")]);
        let producer = producer(&given);
        assert_eq!((producer.get("compression.codec"), producer.get("compression.type")), (None, Some("zstd")));
        assert_eq!((producer.get("linger.ms"), producer.get("client.id")), (Some("5"), Some("mine")));
        let consumer = consumer(&given, Isolation::Committed);
        assert_eq!(consumer.get("fetch.queue.backoff.ms"), Some("50"));
        assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
    }

    #[test]
    fn a_property_that_nobody_knows_or_with_a_bad_value_is_refused_by_name() {
        let said = refusal(&[("linger.msec", "5")]);
        assert!(said.contains("`linger.msec`") && said.contains("No such configuration property"), "{said}");
        let said = refusal(&[("linger.ms", "soon-enough")]);
        assert!(said.contains("`linger.ms`") && !said.contains("soon-enough"), "{said}");
    }

    #[test]
    fn a_property_that_a_guarantee_rests_on_is_refused_with_the_reason() {
        for (name, value, why) in [
            ("auto.offset.reset", "latest", "jumped over"),
            ("isolation.level", "read_uncommitted", "aborted"),
            ("enable.auto.commit", "true", "tables"),
            ("check.crcs", "false", "damaged"),
            ("acks", "1", "acknowledged"),
            ("enable.idempotence", "false", "twice"),
            ("delivery.timeout.ms", "1000", "still arrive"),
            ("bootstrap.servers", "127.0.0.1:2", "`bootstrap`"),
        ] {
            let said = refusal(&[(name, value)]);
            assert!(said.contains(&format!("`{name}`")) && said.contains(why), "{said}");
        }
        check(&options(&[("acks", "all"), ("enable.idempotence", "True"), ("auto.offset.reset", "error")])).unwrap();
    }

    #[test]
    fn what_a_guarantee_rests_on_is_handed_to_librdkafka_whatever_the_properties_say() {
        const WRITES: &[(&str, &str)] = &[
            ("enable.idempotence", "true"),
            ("acks", "-1"),
            ("enable.gapless.guarantee", "true"),
            ("max.in.flight.requests.per.connection", "1"),
            ("message.timeout.ms", "0"),
            ("message.send.max.retries", "2147483647"),
            ("queuing.strategy", "fifo"),
            ("delivery.report.only.error", "false"),
            ("allow.auto.create.topics", "false"),
            ("bootstrap.servers", "127.0.0.1:1"),
        ];
        const READS: &[(&str, &str)] = &[
            ("isolation.level", "read_committed"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("check.crcs", "true"),
            ("bootstrap.servers", "127.0.0.1:1"),
        ];
        let harmful = [
            ("enable.idempotence", "false"),
            ("acks", "1"),
            ("request.required.acks", "0"),
            ("enable.gapless.guarantee", "false"),
            ("max.in.flight.requests.per.connection", "5"),
            ("max.in.flight", "6"),
            ("message.timeout.ms", "1000"),
            ("delivery.timeout.ms", "1000"),
            ("message.send.max.retries", "2"),
            ("retries", "3"),
            ("queuing.strategy", "lifo"),
            ("delivery.report.only.error", "true"),
            ("allow.auto.create.topics", "true"),
            ("isolation.level", "read_uncommitted"),
            ("enable.auto.commit", "true"),
            ("enable.auto.offset.store", "true"),
            ("auto.offset.reset", "latest"),
            ("enable.partition.eof", "false"),
            ("check.crcs", "false"),
            ("bootstrap.servers", "127.0.0.1:2"),
            ("metadata.broker.list", "127.0.0.1:3"),
        ];
        // As librdkafka reads it, one spelling for each meaning.
        let has = |config: ClientConfig, wanted: &[(&str, &str)], given: &[(&str, &str)]| {
            let native = config.create_native_config().unwrap();
            wanted.iter().for_each(|(name, value)| assert_eq!(native.get(name).unwrap(), *value, "{name}, {given:?}"));
        };
        let alone = harmful.iter().map(std::slice::from_ref);
        for given in alone.chain([&harmful[..0], &harmful[..]]) {
            let options = options(given);
            has(producer(&options), WRITES, given);
            has(consumer(&options, Isolation::Committed), READS, given);
        }
    }

    #[test]
    fn no_value_of_a_property_is_in_what_is_printed() {
        let given = [("sasl.password", PASSWORD), ("sasl.username", "user"), ("security.protocol", "sasl_plaintext")];
        let printed = format!("{:?}", options(&given));
        assert!(printed.contains("sasl.password") && !printed.contains(PASSWORD), "{printed}");
        let log = KafkaLog::new(options(&[&given[..], &[("sasl.mechanisms", "PLAIN")]].concat())).unwrap();
        assert!(!format!("{log:?}").contains(PASSWORD));
        // Without a mechanism it would be Kerberos, and a key that is no key is refused while the client is made.
        let said = refusal(&given);
        assert!(said.contains("sasl.mechanisms") && !said.contains(PASSWORD), "{said}");
        let said = refusal(&[("ssl.key.pem", PASSWORD), ("security.protocol", "ssl")]);
        assert!(said.contains("ssl") && !said.contains(PASSWORD), "{said}");
    }

    #[test]
    fn the_build_can_fetch_tokens_itself() {
        // librdkafka's configure script leaves this out without a word where it finds no curl.
        known("sasl.oauthbearer.method", "oidc").unwrap();
    }

    #[test]
    fn a_token_that_nobody_signs_lasts_unless_it_is_told_for_how_long() {
        let given = |config| {
            let options = options(&[(UNSECURED, "true"), (UNSECURED_CONFIG, config)]);
            producer(&options).get(UNSECURED_CONFIG).map(str::to_owned)
        };
        assert_eq!(given("principal=me").as_deref(), Some("principal=me lifeSeconds=315360000"));
        assert_eq!(given("lifeSeconds=9 principal=me").as_deref(), Some("lifeSeconds=9 principal=me"));
        let other = options(&[(UNSECURED_CONFIG, "query=a=b")]);
        assert_eq!(producer(&other).get(UNSECURED_CONFIG), Some("query=a=b"), "it may be about something else");
    }

    #[test]
    fn a_log_without_a_broker_or_with_no_copies_is_refused() {
        for bootstrap in ["", " , "] {
            let error = check(&KafkaOptions { bootstrap: bootstrap.to_owned(), ..options(&[]) }).unwrap_err();
            assert!(error.message.contains("`bootstrap`"), "{}", error.message);
        }
        let error = check(&KafkaOptions { replication_factor: Some(0), ..options(&[]) }).unwrap_err();
        assert!(error.message.contains("`replication_factor`"), "{}", error.message);
    }
}
