//! A stream's keys.

use super::Spanned;
use super::column::column;
use super::fields::{Cursor, Fields, beside};
use crate::keys;
use crate::problem::{Place, Report};
use crate::suggest::did_you_mean;
use crate::units::{self, Unreadable};
use crate::yaml::{Entry, below, quoted};
use std::collections::BTreeMap;
use watertight_core::schema::{ColumnType, DuplicateKeys, StartAt};

pub(crate) struct RawStream {
    pub(crate) name: Spanned<String>,
    pub(crate) topic: Option<Spanned<String>>,
    /// Where they stand, and what they are; `None` in it: what is wrong with them was reported.
    pub(crate) topics: Option<Spanned<Option<RawTopics>>>,
    pub(crate) partitions: Option<u64>,
    pub(crate) event_id: Option<RawEventId>,
    pub(crate) event_time: Option<RawEventTime>,
    pub(crate) columns: Vec<RawColumn>,
    /// Name and expression.
    pub(crate) checks: Vec<(String, String)>,
    pub(crate) payload: Option<RawPayload>,
    pub(crate) start: Option<StartAt>,
    pub(crate) fail_on_data_loss: Option<bool>,
}

pub(crate) enum RawTopics {
    List(Vec<Spanned<String>>),
    Pattern(Spanned<String>),
}

pub(crate) enum RawEventId {
    Column(Spanned<String>),
    Hash(Vec<Spanned<String>>),
}

pub(crate) struct RawEventTime {
    pub(crate) column: Option<Spanned<String>>,
    pub(crate) watermark: Option<i64>,
    pub(crate) future_tolerance: Option<i64>,
    pub(crate) idle_after: Option<i64>,
    pub(crate) not_before: Option<Spanned<i64>>,
    pub(crate) not_after: Option<Spanned<i64>>,
}

pub(crate) struct RawColumn {
    pub(crate) name: Spanned<String>,
    pub(crate) at: Place,
    pub(crate) kind: Option<ColumnType>,
    pub(crate) required: bool,
    pub(crate) path: Option<Vec<String>>,
}

pub(crate) struct RawPayload {
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_depth: Option<u64>,
    pub(crate) duplicate_keys: Option<DuplicateKeys>,
}

pub(super) fn stream(name: Spanned<String>, cursor: &Cursor<'_>, report: &mut Report) -> Option<RawStream> {
    let mut fields = Fields::open(cursor, &keys::STREAM, report)?;
    let stream = RawStream {
        name,
        topic: fields.text("topic", report),
        topics: fields.take("topics").map(|cursor| topics(&cursor, report)),
        partitions: fields.whole("partitions", report).map(|partitions| partitions.value),
        event_id: fields.take("event_id").and_then(|cursor| event_id(&cursor, report)),
        event_time: fields.take("event_time").and_then(|cursor| event_time(&cursor, report)),
        columns: fields
            .take("columns")
            .and_then(|cursor| cursor.named("columns by name", report))
            .map(|named| named.into_iter().map(|(name, cursor)| column(name, &cursor, report)).collect())
            .unwrap_or_default(),
        checks: fields.take("checks").map(|cursor| checks(&cursor, report)).unwrap_or_default(),
        payload: match fields.take("payload") {
            Some(cursor) => payload(&cursor, report),
            None => Some(defaults()),
        },
        start: start(&mut fields, report),
        fail_on_data_loss: fields.boolean("fail_on_data_loss", report).map(|fail| fail.value),
    };
    fields.close();
    Some(stream)
}

fn topics(cursor: &Cursor<'_>, report: &mut Report) -> Spanned<Option<RawTopics>> {
    let value = if cursor.is_mapping() {
        Fields::open(cursor, &keys::TOPIC_PATTERN, report).and_then(|mut fields| {
            let pattern = fields.text("pattern", report);
            fields.close();
            pattern.map(RawTopics::Pattern)
        })
    } else {
        let listed = cursor.list("a list of topics, or { pattern: \"orders-.*\" }", report);
        listed.map(|topics| RawTopics::List(topics.iter().filter_map(|topic| topic.text("a topic", report)).collect()))
    };
    Spanned { value, shown: String::new(), at: cursor.node.at, path: cursor.path.clone() }
}

/// Where a first start begins: a word, a time, or offsets by partition.
fn start(fields: &mut Fields<'_>, report: &mut Report) -> Option<StartAt> {
    let start = match fields.take("from") {
        None => fields.default("from", start_at),
        Some(cursor) if cursor.is_mapping() => return offsets(&cursor, report).map(StartAt::Offsets),
        Some(cursor) => cursor.parsed("from", report, start_at),
    };
    start.map(|start| start.value)
}

fn start_at(text: &str) -> Result<StartAt, Unreadable> {
    const EXPECTED: &str = "expected earliest, latest, a date or a time with its zone";
    let suggestion =
        || Some("for example from: 2024-05-01T00:00:00Z, or by partition from: { \"0\": 1200 }".to_owned());
    match text {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        // A log dates its records in milliseconds: the first of them that is not before this instant.
        _ => match units::instant_us(text).map(|us| us.div_euclid(1_000) + i64::from(us.rem_euclid(1_000) > 0)) {
            Ok(ms) if ms >= 0 => Ok(StartAt::Time { ms }),
            Ok(_) => Err(Unreadable { message: "from is before 1970-01-01".into(), suggestion: None }),
            Err(_) => {
                let meant = did_you_mean(text, ["earliest", "latest"]);
                Err(Unreadable { message: EXPECTED.into(), suggestion: meant.or_else(suggestion) })
            }
        },
    }
}

fn offsets(cursor: &Cursor<'_>, report: &mut Report) -> Option<BTreeMap<i32, i64>> {
    let entries = cursor.mapping("offsets by partition", report)?;
    if entries.is_empty() {
        let message = "expected offsets by partition, found an empty mapping";
        report.add(cursor.node.at, &cursor.path, message, None);
        return None;
    }
    let mut seen: BTreeMap<i32, &Entry> = BTreeMap::new();
    let mut offsets = BTreeMap::new();
    for entry in entries {
        let path = below(&cursor.path, &entry.key);
        let digits = entry.key.bytes().all(|byte| byte.is_ascii_digit());
        let Some(partition) = entry.key.parse::<i32>().ok().filter(|_| digits) else {
            let message = format!("expected a partition, found {}", quoted(&entry.key));
            report.add(entry.at, &path, message, Some("partitions are counted from 0: from: { \"0\": 1200 }".into()));
            continue;
        };
        if let Some(first) = seen.insert(partition, entry) {
            beside(entry, first, &cursor.path, report);
            continue;
        }
        let too_large = || Unreadable { message: "an offset has 63 bits at most".into(), suggestion: None };
        let read = |text: &str| units::whole(text).and_then(|whole| i64::try_from(whole).map_err(|_| too_large()));
        if let Some(offset) = (Cursor { node: &entry.value, path }).parsed("an offset", report, read) {
            offsets.insert(partition, offset.value);
        }
    }
    Some(offsets)
}

fn event_id(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawEventId> {
    if !cursor.is_mapping() {
        return cursor.text("a column, or { hash: [a, b] }", report).map(RawEventId::Column);
    }
    let mut fields = Fields::open(cursor, &keys::DERIVED_ID, report)?;
    let columns = fields
        .take("hash")
        .and_then(|cursor| cursor.list("a list of columns", report))
        .map(|columns| columns.iter().filter_map(|column| column.text("a column", report)).collect());
    fields.close();
    columns.map(RawEventId::Hash)
}

fn event_time(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawEventTime> {
    let mut fields = Fields::open(cursor, &keys::EVENT_TIME, report)?;
    let event_time = RawEventTime {
        column: fields.text("column", report),
        watermark: fields.duration("watermark", report).map(|duration| duration.value),
        future_tolerance: fields.duration("future_tolerance", report).map(|duration| duration.value),
        idle_after: fields.duration("idle_after", report).map(|duration| duration.value),
        not_before: fields.instant("not_before", report),
        not_after: fields.instant("not_after", report),
    };
    fields.close();
    Some(event_time)
}

fn checks(cursor: &Cursor<'_>, report: &mut Report) -> Vec<(String, String)> {
    let named = cursor.named("checks by name", report).unwrap_or_default();
    named
        .into_iter()
        .filter_map(|(name, cursor)| {
            let sql = cursor.text("a boolean SQL expression", report)?;
            Some((name.value, sql.value.trim().to_owned()))
        })
        .collect()
}

fn payload(cursor: &Cursor<'_>, report: &mut Report) -> Option<RawPayload> {
    Fields::open(cursor, &keys::PAYLOAD, report).map(|fields| payload_of(fields, report))
}

fn payload_of(mut fields: Fields<'_>, report: &mut Report) -> RawPayload {
    let payload = RawPayload {
        max_bytes: fields.size("max_bytes", report).map(|size| size.value),
        max_depth: fields.whole("max_depth", report).map(|depth| depth.value),
        duplicate_keys: fields.one_of("duplicate_keys", report).map(|word| match word.value {
            0 => DuplicateKeys::Reject,
            1 => DuplicateKeys::First,
            _ => DuplicateKeys::Last,
        }),
    };
    fields.close();
    payload
}

/// What holds when the file says nothing about payloads.
fn defaults() -> RawPayload {
    payload_of(Fields::absent(&keys::PAYLOAD), &mut Report::new(String::new()))
}
