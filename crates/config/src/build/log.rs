//! The event log: a folder, or brokers with the properties to reach them.

use super::{Outside, folder, secret};
use crate::config::{KafkaConfig, LogConfig, Retention, Secret};
use crate::keys::SecretForm;
use crate::problem::Report;
use crate::raw::{RawKafkaLog, RawLocalLog, RawLog, Spanned};
use crate::yaml::quoted;
use std::collections::BTreeMap;
use watertight_core::kafka::{Fixed, refused};

/// Properties of librdkafka that are keys of ours.
const OUR_KEYS: [(&str, &str); 3] =
    [("bootstrap.servers", "bootstrap"), ("metadata.broker.list", "bootstrap"), ("group.id", "group")];
/// Words in the names of all of librdkafka's properties that hold a secret, and endings of such names.
const SECRET_WORDS: [&str; 4] = ["password", "passphrase", "secret", "jaas"];
const SECRET_ENDINGS: [&str; 2] = [".key.pem", "ssl_key"];

/// Builds the log; what is wrong is reported.
pub(super) fn log(
    raw: &RawLog,
    pipeline: Option<&str>,
    outside: Outside<'_>,
    report: &mut Report,
) -> Option<LogConfig> {
    match raw {
        RawLog::Local(raw) => local(raw, outside, report),
        RawLog::Kafka(raw) => kafka(raw, pipeline, outside, report).map(LogConfig::Kafka),
    }
}

fn local(raw: &RawLocalLog, outside: Outside<'_>, report: &mut Report) -> Option<LogConfig> {
    Some(LogConfig::Local {
        path: folder(raw.path.as_ref()?, outside.base, report)?,
        segment_bytes: raw.segment_bytes?,
        retention: Retention { age_us: raw.retention_age, bytes: raw.retention_bytes },
    })
}

fn kafka(raw: &RawKafkaLog, pipeline: Option<&str>, outside: Outside<'_>, report: &mut Report) -> Option<KafkaConfig> {
    let bootstrap = raw.bootstrap.as_ref().and_then(|bootstrap| brokers(bootstrap, report));
    let properties = properties(raw, report);
    let mut secrets: BTreeMap<String, Secret> = BTreeMap::new();
    for (name, value) in &raw.secrets {
        let is_ours = ours(name, report);
        if let Some(secret) = secret::secret(value, outside, report) {
            if !is_ours {
                fixed(name, secret.expose(), report);
            }
            secrets.insert(name.value.clone(), secret);
        }
    }
    let group = raw.group.as_ref().map(|group| group.value.clone());
    Some(KafkaConfig {
        bootstrap: bootstrap?,
        properties,
        secrets,
        replication_factor: raw.replication_factor.map(i16::try_from).transpose().ok()?,
        group: match group {
            Some(group) => group,
            None => format!("watertight-{}", pipeline?),
        },
    })
}

fn properties(raw: &RawKafkaLog, report: &mut Report) -> BTreeMap<String, String> {
    for (name, value) in &raw.properties {
        if !ours(name, report) {
            fixed(name, &value.value, report);
        }
        if let Some((twin, _)) = raw.secrets.iter().find(|(twin, _)| twin.value == name.value) {
            let message = format!("property '{}' stands under 'secrets' too (line {})", name.value, twin.at.line);
            name.problem(report, message, Some("keep one".into()));
        } else if let Some(secret) = secret_of(&name.value) {
            let message = format!("'{}' does not stand under 'properties', which may be shown", name.value);
            let suggestion = format!("put it under 'secrets': {secret}_file: PATH, or {secret}_env: NAME");
            name.problem(report, message, Some(suggestion));
        }
    }
    raw.properties.iter().map(|(name, value)| (name.value.clone(), value.value.clone())).collect()
}

/// The secret that the name of a property is about, whatever it says of where that is.
fn secret_of(name: &str) -> Option<&str> {
    let (name, _) = SecretForm::of(name);
    let word = SECRET_WORDS.iter().any(|word| name.contains(word));
    (word || SECRET_ENDINGS.iter().any(|ending| name.ends_with(ending))).then_some(name)
}

/// Reports a property that is a key of ours, and says whether it is one.
fn ours(name: &Spanned<String>, report: &mut Report) -> bool {
    let Some((_, key)) = OUR_KEYS.iter().find(|(property, _)| *property == name.value) else { return false };
    let message = format!("'{}' is what '{key}' says", name.value);
    name.problem(report, message, Some(format!("write it behind log.kafka.{key}")));
    true
}

/// Reports a property that a guarantee rests on, where it is given another value. What value is not shown.
fn fixed(name: &Spanned<String>, value: &str, report: &mut Report) {
    if let Some(Fixed { name: property, allowed, why }) = refused(&name.value, value) {
        let only = match allowed.first() {
            Some(only) => format!("'{property}' can only be '{only}'"),
            None => format!("'{property}' cannot be set"),
        };
        name.problem(report, format!("{only}: {why}"), Some("leave it out".into()));
    }
}

fn brokers(text: &Spanned<String>, report: &mut Report) -> Option<String> {
    match read_brokers(&text.value) {
        Ok(brokers) => Some(brokers),
        Err((at, wrong)) => {
            // As it stands in the file: what a variable holds is not shown.
            let shown: Vec<&str> = text.shown.split(',').map(str::trim).collect();
            let named = match shown.get(at) {
                Some(broker) if shown.len() == text.value.split(',').count() => quoted(broker),
                _ => format!("broker {}", at + 1),
            };
            let message = format!("cannot read {} as brokers", quoted(&text.shown));
            text.problem(report, message, Some(wrong.advice(&named)));
            None
        }
    }
}

/// Reads brokers as the pipeline file writes them: `host:port`, or several with commas between them.
///
/// # Errors
/// What to write instead, in words.
pub fn parse_brokers(text: &str) -> Result<String, String> {
    read_brokers(text).map_err(|(at, wrong)| wrong.advice(&quoted(text.split(',').nth(at).unwrap_or(text).trim())))
}

/// What is wrong with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Scheme,
    Form,
    Port,
}

impl Wrong {
    /// What to write instead, for the broker of this name.
    fn advice(self, named: &str) -> String {
        match self {
            Self::Scheme => {
                "write host:port; how they are reached is under 'properties': { security.protocol: SASL_SSL }"
                    .to_owned()
            }
            Self::Form => "write each as host:port, with commas between them: kafka-1:9092,kafka-2:9092".to_owned(),
            Self::Port => format!("the port of {named} must be a number from 1 to 65535"),
        }
    }
}

/// The brokers without spaces; or the place of the first that is none, and what is wrong with it.
fn read_brokers(text: &str) -> Result<String, (usize, Wrong)> {
    let brokers: Vec<&str> = text.split(',').map(str::trim).collect();
    match brokers.iter().enumerate().find_map(|(at, broker)| Some((at, wrong(broker)?))) {
        Some(bad) => Err(bad),
        None => Ok(brokers.join(",")),
    }
}

fn wrong(broker: &str) -> Option<Wrong> {
    if broker.contains("://") {
        return Some(Wrong::Scheme);
    }
    let Some((host, port)) = broker.rsplit_once(':') else { return Some(Wrong::Form) };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or_else(|| {
        // Without brackets, the colons of an IPv6 address would be taken for the one before the port.
        if host.contains(':') { "" } else { host }
    });
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || port.is_empty() || !host.chars().all(plain) {
        return Some(Wrong::Form);
    }
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (!is_port).then_some(Wrong::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_hosts_with_ports() {
        for good in ["127.0.0.1:9092", "kafka-1.example.com:9092", "[::1]:9092", "broker_1:1"] {
            assert_eq!(wrong(good), None, "{good}");
        }
        for bad in ["kafka", "kafka:", ":9092", "::1:9092", "a b:1", ""] {
            assert_eq!(wrong(bad), Some(Wrong::Form), "{bad}");
        }
        for bad in ["PLAINTEXT://kafka:9092", "PLAINTEXT://kafka"] {
            assert_eq!(wrong(bad), Some(Wrong::Scheme), "{bad}");
        }
    }

    #[test]
    fn the_broker_whose_port_is_out_of_range_is_named_with_the_range() {
        for (text, named) in [
            ("kafka:99999", "'kafka:99999'"),
            ("kafka-1:1, kafka-2:0 ,kafka-3:65535", "'kafka-2:0'"),
            ("[::1]:65536", "'[::1]:65536'"),
            ("kafka:+1", "'kafka:+1'"),
            ("kafka:http", "'kafka:http'"),
        ] {
            let said = parse_brokers(text).expect_err(text);
            assert_eq!(said, format!("the port of {named} must be a number from 1 to 65535"));
        }
    }

    #[test]
    fn a_property_that_holds_a_secret_is_known_by_its_name() {
        for secret in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl_key",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.jaas.config",
        ] {
            assert_eq!(secret_of(secret), Some(secret));
        }
        assert_eq!(secret_of("sasl.password_file"), Some("sasl.password"));
        for other in ["sasl.username", "ssl.key.location", "ssl.ca.pem", "ssl.certificate.pem", "security.protocol"] {
            assert_eq!(secret_of(other), None);
        }
    }
}
