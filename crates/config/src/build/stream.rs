//! A stream: its columns, and what its identity and its time refer to.

use crate::problem::Report;
use crate::raw::{RawColumn, RawEventId, RawEventTime, RawPayload, RawStream, RawTopics, Spanned};
use crate::suggest::did_you_mean;
use crate::yaml::quoted;
use std::collections::{BTreeMap, BTreeSet};
use watertight_core::schema::{
    Check, Column, ColumnType, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef, TOPICS_MAX, TopicPattern,
    Topics, check_name,
};

/// Columns that Watertight adds to a model's table.
const WINDOW_COLUMNS: [&str; 2] = ["window_start", "window_end"];
/// Kafka's longest topic name; in the local log it is a folder.
const TOPIC_LENGTH_MAX: usize = 249;
/// Keys of a path and levels of its type: the decoder walks both by recursion, with a bound.
const NESTING_MAX: usize = 32;
/// DataFusion bins times in nanoseconds: 1677-09-22 to 2262-04-11, in whole days, as microseconds.
const EVENT_TIME_US: (i64, i64) = (-9_223_286_400_000_000, 9_223_286_400_000_000);

/// Builds a stream; what is wrong is reported. A stream whose columns are misnamed is not built: its SQL would be
/// wrong for that reason alone.
pub(super) fn stream(raw: &RawStream, report: &mut Report) -> Option<StreamDef> {
    let columns: Vec<Option<Column>> = raw.columns.iter().map(column).collect();
    let named = own_columns(raw, report);
    one_path_each(&raw.columns, report);
    let event_id = raw.event_id.as_ref().and_then(|rule| event_id(rule, raw, report));
    let event_time = raw.event_time.as_ref().and_then(|rule| event_time(rule, &raw.columns, report));
    let topics = topics(raw, report);
    if !named {
        return None;
    }
    let (topic, topics) = topics?;
    Some(StreamDef {
        name: raw.name.value.clone(),
        topic,
        topics,
        partitions: i32::try_from(raw.partitions?).ok()?,
        event_id: event_id?,
        event_time: event_time?,
        columns: columns.into_iter().collect::<Option<_>>()?,
        checks: raw.checks.iter().map(|(name, sql)| Check { name: name.clone(), sql: sql.clone() }).collect(),
        payload: payload(raw.payload.as_ref()?)?,
        start: raw.start.clone()?,
        fail_on_data_loss: raw.fail_on_data_loss?,
    })
}

fn column(raw: &RawColumn) -> Option<Column> {
    Some(Column { name: raw.name.value.clone(), kind: raw.kind.clone()?, required: raw.required, path: path(raw) })
}

fn payload(raw: &RawPayload) -> Option<PayloadLimits> {
    Some(PayloadLimits {
        bytes_max: u32::try_from(raw.max_bytes?).ok()?,
        depth_max: u16::try_from(raw.max_depth?).ok()?,
        duplicate_keys: raw.duplicate_keys?,
    })
}

/// The one topic, or the several ones; the other of the two is empty.
fn topics(raw: &RawStream, report: &mut Report) -> Option<(String, Option<Topics>)> {
    let one = match &raw.topic {
        Some(topic) => is_topic(topic, report).then(|| topic.value.clone()),
        None => Some(raw.name.value.clone()),
    };
    let Some(several) = &raw.topics else { return Some((one?, None)) };
    if raw.topic.is_some() {
        let message = "a stream has a topic or several topics, and both are given";
        several.problem(report, message, Some("keep 'topic' or 'topics'".into()));
    }
    if matches!(raw.start, Some(StartAt::Offsets(_))) {
        let message = "from names offsets by partition, and several topics have partitions of the same number";
        several.problem(report, message, Some("use earliest, latest or a time as 'from'".into()));
    }
    let topics = match several.value.as_ref()? {
        RawTopics::Pattern(text) => match TopicPattern::new(&text.value) {
            Ok(pattern) => Topics::Pattern(pattern),
            Err(why) => {
                let message = format!("bad pattern {}: {why}", quoted(&text.shown));
                text.problem(report, message, Some("it is a regular expression, such as 'orders-.*'".into()));
                return None;
            }
        },
        RawTopics::List(listed) => {
            let mut names: BTreeSet<&str> = BTreeSet::new();
            for topic in listed {
                if is_topic(topic, report) && !names.insert(topic.value.as_str()) {
                    topic.problem(report, format!("topic {} is there twice", quoted(&topic.shown)), None);
                }
            }
            if names.len() > TOPICS_MAX {
                let message = format!("{} topics; a stream reads {TOPICS_MAX} at most", names.len());
                several.problem(report, message, Some("split the stream".into()));
            }
            Topics::List(names.into_iter().map(str::to_owned).collect())
        }
    };
    Some((String::new(), Some(topics)))
}

/// Whether it can be a topic's name; reported where it cannot.
fn is_topic(topic: &Spanned<String>, report: &mut Report) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = &topic.value;
    if name.len() > TOPIC_LENGTH_MAX || !name.chars().all(allowed) || name == "." || name == ".." {
        let message = format!("bad topic {}", quoted(&topic.shown));
        topic.problem(report, message, Some("use up to 249 letters, digits, '.', '_' and '-'".into()));
        return false;
    }
    true
}

/// Whether all columns have names of their own; those are reported that silver or a model's table gives to something
/// else, and names that are none were reported where they were read.
fn own_columns(raw: &RawStream, report: &mut Report) -> bool {
    let mut named = raw.columns.iter().all(|column| check_name(&column.name.value).is_ok());
    for column in &raw.columns {
        let name = column.name.value.to_ascii_lowercase();
        if WINDOW_COLUMNS.contains(&name.as_str()) {
            let message = format!("column '{}' is what models call the bounds of a window", column.name.value);
            column.name.problem(report, message, Some("give it another name, and its key as 'path'".into()));
            named = false;
        }
        let other_id = match &raw.event_id {
            Some(RawEventId::Column(id)) => {
                id.value != column.name.value && raw.columns.iter().any(|column| column.name.value == id.value)
            }
            Some(RawEventId::Hash(_)) => true,
            None => false,
        };
        if name == "event_id" && other_id {
            let message = "column 'event_id' is not what the stream's event_id says, and silver has one event_id";
            column.name.problem(report, message, Some("give it another name, and its key as 'path'".into()));
            named = false;
        }
    }
    named
}

/// No value of an event is read both whole and in parts, and no list or struct into two columns.
fn one_path_each(columns: &[RawColumn], report: &mut Report) {
    let paths: Vec<Vec<String>> = columns.iter().map(path).collect();
    for (index, column) in columns.iter().enumerate() {
        let mine = &paths[index];
        if mine.len() + column.kind.as_ref().map_or(0, depth) > NESTING_MAX {
            let message = format!("column '{}' nests deeper than {NESTING_MAX} levels", column.name.value);
            report.add(column.at, &column.name.path, message, Some("keep the value as a string".into()));
        }
        let clash = columns[..index].iter().zip(&paths).find(|(other, theirs)| {
            let within = theirs.starts_with(mine) || mine.starts_with(theirs);
            within && (mine != *theirs || is_nested(column) || is_nested(other))
        });
        if let Some((other, _)) = clash {
            let message =
                format!("columns '{}' and '{}' read the same value of the event", other.name.value, column.name.value);
            report.add(column.at, &column.name.path, message, Some("keep one, or give them different paths".into()));
        }
    }
}

fn path(column: &RawColumn) -> Vec<String> {
    column.path.clone().unwrap_or_else(|| vec![column.name.value.clone()])
}

fn is_nested(column: &RawColumn) -> bool {
    matches!(column.kind, Some(ColumnType::List(_) | ColumnType::Struct(_)))
}

/// Levels of lists and structs.
fn depth(kind: &ColumnType) -> usize {
    match kind {
        ColumnType::List(item) => 1 + depth(item),
        ColumnType::Struct(fields) => 1 + fields.iter().map(|(_, kind)| depth(kind)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The declared column that a key refers to; its type is unknown when that is a problem of its own.
fn referred<'a>(name: &Spanned<String>, columns: &'a [RawColumn], report: &mut Report) -> Option<&'a RawColumn> {
    let found = columns.iter().find(|column| column.name.value == name.value);
    if found.is_none() {
        let suggestion = did_you_mean(&name.value, columns.iter().map(|column| column.name.value.as_str()))
            .or_else(|| Some("declare it under 'columns'".into()));
        name.problem(report, format!("no column {} is declared", quoted(&name.shown)), suggestion);
    }
    found
}

fn event_id(rule: &RawEventId, raw: &RawStream, report: &mut Report) -> Option<EventIdRule> {
    match rule {
        RawEventId::Column(name) => {
            let column = referred(name, &raw.columns, report)?;
            match column.kind.as_ref()? {
                ColumnType::String | ColumnType::Int | ColumnType::Long => {
                    Some(EventIdRule::Column(name.value.clone()))
                }
                _ => {
                    let message = format!("event_id {} must be a string, int or long", quoted(&name.shown));
                    name.problem(report, message, Some("or derive it: event_id: { hash: [a, b] }".into()));
                    None
                }
            }
        }
        RawEventId::Hash(names) => {
            let mut known = Vec::new();
            for (index, name) in names.iter().enumerate() {
                if names[..index].iter().any(|other| other.value == name.value) {
                    name.problem(report, format!("column {} is hashed twice", quoted(&name.shown)), None);
                }
                let column = referred(name, &raw.columns, report);
                if matches!(
                    column.and_then(|column| column.kind.as_ref()),
                    Some(ColumnType::List(_) | ColumnType::Struct(_))
                ) {
                    let message = format!("column {} is a list or struct and cannot be hashed", quoted(&name.shown));
                    name.problem(report, message, Some("name columns of plain types".into()));
                }
                known.push(column.map(|column| column.name.value.clone()));
            }
            known.into_iter().collect::<Option<_>>().map(EventIdRule::Hash)
        }
    }
}

fn event_time(rule: &RawEventTime, columns: &[RawColumn], report: &mut Report) -> Option<EventTimeRule> {
    if let Some(name) = &rule.column
        && let Some(kind) = referred(name, columns, report).and_then(|column| column.kind.as_ref())
        && !matches!(kind, ColumnType::Timestamp(_) | ColumnType::Date)
    {
        let suggestion = Some("declare it as { type: timestamp, format: epoch_ms } or the like".into());
        name.problem(report, format!("column {} is neither a timestamp nor a date", quoted(&name.shown)), suggestion);
    }
    for bound in [&rule.not_before, &rule.not_after].into_iter().flatten() {
        if bound.value < EVENT_TIME_US.0 || bound.value > EVENT_TIME_US.1 {
            bound.problem(report, "windows are counted in nanoseconds, which end at 1677 and 2262", None);
        }
    }
    if let (Some(from), Some(to)) = (&rule.not_before, &rule.not_after)
        && from.value >= to.value
    {
        let at = if to.at.line > 0 && to.shown != "2262-01-01" { to } else { from };
        at.problem(report, "not_after is not later than not_before: no event could pass", None);
    }
    Some(EventTimeRule {
        column: rule.column.as_ref()?.value.clone(),
        watermark_delay_us: rule.watermark?,
        future_tolerance_us: rule.future_tolerance?,
        idle_after_us: rule.idle_after?,
        not_before_us: rule.not_before.as_ref()?.value,
        not_after_us: rule.not_after.as_ref()?.value,
    })
}

/// No two streams write one table: a stream `x_dlq` would be the dead letters of `x`, and a stream `x_gaps` what it lost;
/// and one topic has one number of partitions.
pub(super) fn tables_apart(streams: &[RawStream], report: &mut Report) {
    let mut topics: BTreeMap<&str, &RawStream> = BTreeMap::new();
    for stream in streams {
        let name = &stream.name.value;
        for (schema, ending, what) in [("bronze", "_dlq", "the dead letters"), ("silver", "_gaps", "the gaps")] {
            let is_owner = |other: &&RawStream| format!("{}{ending}", other.name.value).eq_ignore_ascii_case(name);
            if let Some(owner) = streams.iter().find(is_owner) {
                let owner = &owner.name.value;
                let message = format!("{schema}.{name} would be both this stream and {what} of '{owner}'");
                stream.name.problem(report, message, Some("give the stream another name".into()));
            }
        }
        for topic in named(stream) {
            match topics.get(topic) {
                Some(other)
                    if other.partitions != stream.partitions && other.partitions.and(stream.partitions).is_some() =>
                {
                    let message = format!(
                        "streams '{}' and '{name}' share a topic but not its number of partitions",
                        other.name.value
                    );
                    stream.name.problem(report, message, Some("give both the same 'partitions'".into()));
                }
                Some(_) => {}
                None => {
                    topics.insert(topic, stream);
                }
            }
        }
    }
}

/// The topics that a stream names, and makes where they are not there.
fn named(stream: &RawStream) -> Vec<&str> {
    match &stream.topics {
        None => vec![stream.topic.as_ref().unwrap_or(&stream.name).value.as_str()],
        Some(Spanned { value: Some(RawTopics::List(names)), .. }) => {
            names.iter().map(|topic| topic.value.as_str()).collect()
        }
        Some(_) => Vec::new(),
    }
}
