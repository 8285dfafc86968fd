//! Definitions for the tests of this module.

use super::definition::{
    Check, Column, ColumnType, DuplicateKeys, EventId, EventTime, Payload, StreamDefinition, TimestampForm,
};

/// A column whose path is `path` with `.` between keys, named like the last of them.
pub(crate) fn column(path: &str, kind: ColumnType) -> Column {
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    Column { name: path.last().cloned().unwrap_or_default(), kind, required: false, path }
}

/// A column that must be there.
pub(crate) fn required(path: &str, kind: ColumnType) -> Column {
    Column { required: true, ..column(path, kind) }
}

/// A check.
pub(crate) fn check(name: &str, sql: &str) -> Check {
    Check { name: name.to_owned(), sql: sql.to_owned() }
}

/// A stream of `id`, `ts` (epoch µs, within a second of the epoch) and these columns.
pub(crate) fn stream(columns: impl IntoIterator<Item = Column>) -> StreamDefinition {
    let ts = column("ts", ColumnType::Timestamp(TimestampForm::EpochMicros));
    let mut all = vec![column("id", ColumnType::String), ts];
    all.extend(columns);
    StreamDefinition {
        name: "events".to_owned(),
        topic: "events".to_owned(),
        partitions: 1,
        event_id: EventId::Column("id".to_owned()),
        event_time: rule("ts"),
        columns: all,
        checks: Vec::new(),
        payload: Payload { bytes_max: 2_000_000, depth_max: 8, duplicate_keys: DuplicateKeys::Reject },
    }
}

/// A delay of 10 µs, a tolerance of 5 µs.
pub(crate) fn rule(column: &str) -> EventTime {
    EventTime {
        column: column.to_owned(),
        watermark_delay_us: 10,
        future_tolerance_us: 5,
        idle_after_us: 1_000_000,
        not_before_us: -1_000_000,
        not_after_us: 1_000_000,
    }
}
