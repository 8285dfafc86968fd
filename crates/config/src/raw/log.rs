//! The keys of the event log: of the one in a folder, and of Kafka.

use super::fields::{Cursor, Fields, beside};
use super::{RawSecret, Spanned};
use crate::keys;
use crate::problem::Report;
use crate::yaml::{Entry, Kind, below, quoted};

pub(crate) enum RawLog {
    Local(RawLocalLog),
    Kafka(RawKafkaLog),
}

pub(crate) struct RawLocalLog {
    pub(crate) path: Option<Spanned<String>>,
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) retention_age: Option<i64>,
    pub(crate) retention_bytes: Option<u64>,
}

pub(crate) struct RawKafkaLog {
    pub(crate) bootstrap: Option<Spanned<String>>,
    /// Name and value.
    pub(crate) properties: Vec<(Spanned<String>, Spanned<String>)>,
    /// Name, without what tells where the secret is, and the secret.
    pub(crate) secrets: Vec<(Spanned<String>, RawSecret)>,
    pub(crate) replication_factor: Option<u64>,
    pub(crate) group: Option<Spanned<String>>,
}

/// Reads the log; where both are written, which is reported, all that is wrong with either is.
pub(super) fn log(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawLog> {
    let mut fields = Fields::open(cursor, &keys::LOG, report)?;
    let (local, kafka) = (fields.take("local"), fields.take("kafka"));
    fields.close();
    let local = local.and_then(|cursor| local_log(&cursor, report)).map(RawLog::Local);
    let kafka = kafka.and_then(|cursor| kafka_log(&cursor, report)).map(RawLog::Kafka);
    local.or(kafka)
}

fn local_log(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawLocalLog> {
    let mut fields = Fields::open(cursor, &keys::LOCAL_LOG, report)?;
    let path = fields.text("path", report);
    let segment_bytes = fields.size("segment_bytes", report).map(|size| size.value);
    let (mut retention_age, mut retention_bytes) = (None, None);
    if let Some(cursor) = fields.take("retention")
        && let Some(mut retention) = Fields::open(&cursor, &keys::RETENTION, report)
    {
        if !retention.has("age") && !retention.has("bytes") {
            report.add(cursor.node.at, &cursor.path, "a retention needs 'age', 'bytes' or both", None);
        }
        retention_age = retention.duration("age", report).map(|age| age.value);
        retention_bytes = retention.size("bytes", report).map(|bytes| bytes.value);
        retention.close();
    }
    fields.close();
    Some(RawLocalLog { path, segment_bytes, retention_age, retention_bytes })
}

fn kafka_log(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawKafkaLog> {
    let mut fields = Fields::open(cursor, &keys::KAFKA_LOG, report)?;
    let log = RawKafkaLog {
        bootstrap: fields.text("bootstrap", report),
        properties: fields.take("properties").map(|cursor| properties(&cursor, report)).unwrap_or_default(),
        secrets: fields.take("secrets").map(|cursor| cursor.secrets(report)).unwrap_or_default(),
        replication_factor: fields.whole("replication_factor", report).map(|factor| factor.value),
        group: fields.text("group", report),
    };
    fields.close();
    Some(log)
}

fn properties(cursor: &Cursor<'_>, report: &mut Report) -> Vec<(Spanned<String>, Spanned<String>)> {
    let mut seen: Vec<&Entry> = Vec::new();
    let mut properties = Vec::new();
    for entry in cursor.properties("properties by name", report) {
        if let Some(first) = seen.iter().find(|first| first.key == entry.key) {
            beside(entry, first, &cursor.path, report);
            continue;
        }
        seen.push(entry);
        let path = below(&cursor.path, &entry.key);
        let key = Spanned { value: entry.key.clone(), shown: entry.key.clone(), at: entry.at, path: path.clone() };
        if matches!(entry.value.kind, Kind::Mapping(_)) {
            let suggestion = Some("write the whole name with its dots, for example security.protocol: SSL".into());
            key.problem(report, format!("property {} holds a mapping", quoted(&entry.key)), suggestion);
            continue;
        }
        let value = Cursor { node: &entry.value, path }.text("text, a number, true or false", report);
        properties.extend(value.map(|value| (key, value)));
    }
    properties
}

impl<'n> Cursor<'n> {
    /// The entries of a mapping from the names of a library's properties; bad names are reported and left out.
    pub(super) fn properties(&self, what: &str, report: &mut Report) -> Vec<&'n Entry> {
        let Some(entries) = self.mapping(what, report) else { return Vec::new() };
        if entries.is_empty() {
            report.add(self.node.at, &self.path, format!("expected {what}, found an empty mapping"), None);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let (good, bad): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| !entry.key.is_empty() && entry.key.chars().all(allowed));
        for entry in bad {
            let message = format!("bad name of a property: {}", quoted(&entry.key));
            let suggestion = Some("use letters, digits, '.', '_' and '-', for example security.protocol".into());
            report.add(entry.at, &below(&self.path, &entry.key), message, suggestion);
        }
        good
    }
}
