//! One row of silver against what its record gives, column by column.
//!
//! Contract: every declared column, the id, the time, and every derived column is compared; a column that the definition
//! in force does not declare must be null. Texts and bytes are told by their length, never shown.

use super::At;
use super::columns::SilverRows;
use super::commit::Seen;
use crate::expect::definition::StreamDefinition;
use crate::expect::{ExpectedRow, derived, extra_matches, matches};
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;

/// Columns that silver adds; the same for all streams.
const OURS: &[&str] = &[
    "event_id",
    "_event_time",
    "_is_late_arriving",
    "_arrival_delay_seconds",
    "_quality_flags",
    "_kafka_partition",
    "_kafka_offset",
    "_kafka_topic",
    "_schema_version",
    "_extra",
    "_event_date",
];

/// Where a definition's columns are in the table.
#[derive(Debug)]
pub(super) struct Layout {
    /// Per declared column: its name and its index in the table.
    declared: Vec<(String, Option<usize>)>,
    /// Columns of the table that the definition does not declare.
    undeclared: Vec<(String, usize)>,
}

impl Layout {
    pub(super) fn new(definition: &StreamDefinition, table: &Schema) -> Self {
        let index = |name: &str| table.fields().iter().position(|field| field.name() == name);
        let declared = definition.columns.iter().map(|column| (column.name.clone(), index(&column.name))).collect();
        let others = table.fields().iter().enumerate().filter(|(_, field)| {
            !OURS.contains(&field.name().as_str()) && definition.column_index(field.name()).is_none()
        });
        Self { declared, undeclared: others.map(|(index, field)| (field.name().clone(), index)).collect() }
    }
}

/// A row of silver and what it is compared with.
pub(super) struct Pair<'a> {
    pub(super) at: &'a At<'a>,
    pub(super) expected: &'a ExpectedRow,
    /// What time says of the record; `None` where that cannot be known.
    pub(super) seen: Option<Seen>,
    pub(super) rows: &'a SilverRows,
    pub(super) row: usize,
}

/// The id that a row bears; empty where it is null.
pub(super) fn event_id(rows: &SilverRows, row: usize) -> &str {
    if rows.event_id.is_null(row) { "" } else { rows.event_id.value(row) }
}

impl Pair<'_> {
    /// Compares everything.
    pub(super) fn compare(&self, layout: &Layout, findings: &Findings) {
        self.values(layout, findings);
        self.identity(findings);
        self.derived(findings);
        if let Some(seen) = self.seen {
            self.time(&seen, findings);
        }
    }

    fn place(&self, column: &str) -> Place {
        self.at.place(self.at.silver, &self.rows.file).event(&self.expected.event_id).in_column(column)
    }

    fn values(&self, layout: &Layout, findings: &Findings) {
        let columns = self.rows.batch.columns();
        for ((name, index), value) in layout.declared.iter().zip(&self.expected.values) {
            let Some(column) = index.and_then(|index| columns.get(index)) else {
                if *value != crate::expect::Value::Null {
                    let what = format!("the record gives {value}, and silver has no such column");
                    findings.add(Code::RowValue, self.place(name), what);
                }
                continue;
            };
            if !matches(value, column.as_ref(), self.row) {
                let what = format!("silver has {}, the record gives {value}", shown(column.as_ref(), self.row));
                findings.add(Code::RowValue, self.place(name), what);
            }
        }
        for (name, index) in &layout.undeclared {
            let Some(column) = columns.get(*index) else { continue };
            if column.is_valid(self.row) {
                let what = format!(
                    "silver has {}, and definition {} has no such column",
                    shown(column.as_ref(), self.row),
                    self.at.definition
                );
                findings.add(Code::RowValue, self.place(name), what);
            }
        }
    }

    fn identity(&self, findings: &Findings) {
        let held = event_id(self.rows, self.row);
        if held != self.expected.event_id {
            let what = format!(
                "silver has a text of {} bytes, the record gives one of {} bytes that is another",
                held.len(),
                self.expected.event_id.len()
            );
            findings.add(Code::RowValue, self.place("event_id"), what);
        }
        let (times, row) = (&self.rows.event_time, self.row);
        if times.is_null(row) || times.value(row) != self.expected.event_time_us {
            let what = format!("silver has {}, the record gives {} µs", shown(times, row), self.expected.event_time_us);
            findings.add(Code::RowValue, self.place("_event_time"), what);
        }
        let (dates, day) = (&self.rows.date, derived::event_date(self.expected.event_time_us));
        if dates.is_null(row) || dates.value(row) != day {
            let what = format!("the row lies on {}, its time says day {day} since 1970", shown(dates, row));
            findings.add(Code::RowDate, self.place("_event_date"), what);
        }
    }

    fn derived(&self, findings: &Findings) {
        let row = self.row;
        let definitions = &self.rows.definition;
        if definitions.is_null(row) || definitions.value(row) != self.at.definition {
            let what =
                format!("silver has {}, definition {} was in force", shown(definitions, row), self.at.definition);
            findings.add(Code::RowDerived, self.place("_schema_version"), what);
        }
        self.topic(findings);
        let delay = derived::arrival_delay_seconds(self.expected.event_time_us, self.at.timestamp_us());
        let delays = &self.rows.delay;
        if delays.is_null(row) || delays.value(row).to_bits() != delay.to_bits() {
            let what = format!("silver has {}, the record gives {delay}", shown(delays, row));
            findings.add(Code::RowDerived, self.place("_arrival_delay_seconds"), what);
        }
        let extras = &self.rows.extra;
        let held = extras.is_valid(row).then(|| extras.value(row));
        let same = extra_matches(self.expected.extra.as_ref(), held);
        if !same {
            let gives = if self.expected.extra.is_some() { "other fields than that" } else { "no further fields" };
            let what = format!("silver has {}, the record has {gives}", shown(extras, row));
            findings.add(Code::RowDerived, self.place("_extra"), what);
        }
    }

    /// A row names its topic from the commit on whose watermarks are by topic; rows from before name none.
    fn topic(&self, findings: &Findings) {
        let row = self.row;
        let held = self.rows.topic.as_ref().filter(|topics| topics.is_valid(row)).map(|topics| topics.value(row));
        if held != self.at.topic {
            let shown = |topic: Option<&str>| topic.map_or_else(|| "none".to_owned(), |topic| format!("{topic:?}"));
            let what = format!("silver has topic {}, the commit gives {}", shown(held), shown(self.at.topic));
            findings.add(Code::RowDerived, self.place("_kafka_topic"), what);
        }
    }

    fn time(&self, seen: &Seen, findings: &Findings) {
        let (lates, row) = (&self.rows.late, self.row);
        if lates.is_null(row) || lates.value(row) != seen.late {
            let what = format!("silver has {}, its partition's watermark gives {}", shown(lates, row), seen.late);
            findings.add(Code::RowLate, self.place("_is_late_arriving"), what);
        }
        let wanted = derived::quality_flags(seen.future);
        if !self.rows.flags.are(row, wanted.iter().copied()) {
            let count = self.rows.flags.texts(row).map_or(0, Iterator::count);
            let gives = wanted.first().unwrap_or(&"no flag");
            let what = format!("silver has {count} flags that are not what the record gives, {gives}");
            findings.add(Code::RowDerived, self.place("_quality_flags"), what);
        }
    }
}

/// A cell for people: texts, bytes and nested values by their size only.
pub(super) fn shown(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    let text = |bytes: usize| format!("a text of {bytes} bytes");
    match column.data_type() {
        DataType::Utf8 => column.as_string_opt::<i32>().map_or(String::new(), |texts| text(texts.value(row).len())),
        DataType::LargeUtf8 => {
            column.as_string_opt::<i64>().map_or(String::new(), |texts| text(texts.value(row).len()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive_opt::<TimestampMicrosecondType>();
            times.map_or(String::new(), |times| format!("{} µs", times.value(row)))
        }
        DataType::Boolean
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Decimal128(..) => {
            array_value_to_string(column, row).unwrap_or_else(|_| "a value that cannot be shown".to_owned())
        }
        _ => "another value".to_owned(),
    }
}
