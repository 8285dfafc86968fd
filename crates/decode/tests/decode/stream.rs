//! Definitions for the tests, and decoding of single payloads.

use crate::read::{Value, read_row};
use watertight_core::record::Records;
use watertight_core::schema::{
    Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, PayloadLimits, StartAt, StreamDef, TimestampForm,
};
use watertight_decode::{Decoded, Decoder};

/// A column whose path is its name with `.` between keys; the column's name is the last key.
pub(crate) fn column(path: &str, kind: ColumnType) -> Column {
    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
    Column { name: path.last().expect("split yields one").clone(), kind, required: false, path }
}

/// A stream of `id`, `ts` (epoch µs) and these columns.
pub(crate) fn stream(columns: impl IntoIterator<Item = Column>) -> StreamDef {
    let mut all =
        vec![column("id", ColumnType::String), column("ts", ColumnType::Timestamp(TimestampForm::EpochMicros))];
    all.extend(columns);
    StreamDef {
        name: "events".to_owned(),
        topic: "events".to_owned(),
        topics: None,
        partitions: 1,
        event_id: EventIdRule::Column("id".to_owned()),
        event_time: EventTimeRule {
            column: "ts".to_owned(),
            watermark_delay_us: 0,
            future_tolerance_us: 0,
            idle_after_us: 0,
            not_before_us: -1_000_000,
            not_after_us: 1_000_000,
        },
        columns: all,
        checks: Vec::new(),
        payload: PayloadLimits { bytes_max: 2_000_000, depth_max: 8, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    }
}

pub(crate) fn decode_all(def: &StreamDef, payloads: &[Option<&[u8]>]) -> Decoded {
    let mut records = Records::default();
    for (offset, payload) in payloads.iter().enumerate() {
        records.push(offset as i64, 0, -1, Some(b"key"), *payload, None);
    }
    Decoder::new(def).expect("the definition is sound").decode(&records)
}

/// What became of one payload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcome {
    /// The cells (the last is `_extra`), or the reasons.
    pub(crate) row: Result<Vec<Value>, Vec<String>>,
    pub(crate) time: Option<i64>,
}

/// What became of record `index`.
pub(crate) fn outcome(decoded: &Decoded, index: usize) -> Outcome {
    let accepted = decoded.rows.iter().position(|row| *row as usize == index);
    let rejected: Vec<_> = decoded.rejected.iter().filter(|rejected| rejected.row as usize == index).collect();
    let row = match (accepted, rejected.as_slice()) {
        (Some(place), []) => Ok(read_row(&decoded.columns, place)),
        (None, [rejected]) => {
            assert!(!rejected.reasons.is_empty(), "a rejection has a reason");
            Err(rejected.reasons.clone())
        }
        (accepted, rejected) => panic!("record {index} lands in {accepted:?} and {rejected:?}"),
    };
    let time = decoded.event_time_us[index];
    Outcome { row, time: (time != Decoded::NO_TIME).then_some(time) }
}

pub(crate) fn decode_bytes(def: &StreamDef, payload: &[u8]) -> Outcome {
    outcome(&decode_all(def, &[Some(payload)]), 0)
}

pub(crate) fn decode(def: &StreamDef, payload: &str) -> Outcome {
    decode_bytes(def, payload.as_bytes())
}

/// The reasons against one payload; none when it is accepted.
pub(crate) fn reasons(def: &StreamDef, payload: &str) -> Vec<String> {
    decode(def, payload).row.err().unwrap_or_default()
}
