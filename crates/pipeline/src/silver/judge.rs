//! Records → valid rows with their identity, and rejects with their reasons. Pure: the same bytes under the same
//! definition give the same answer.

use crate::checks::Checks;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, filter, filter_record_batch};
use arrow::datatypes::DataType;
use watertight_core::port::{ErrorKind, PortError};
use watertight_core::record::Records;
use watertight_core::schema::{EventIdRule, StreamDef};
use watertight_decode::{Decoder, Rejected};
use watertight_state::{IdHasher, IdKey};
use xxhash_rust::xxh3::xxh3_128;

/// What was made of one chunk's records.
#[derive(Debug)]
pub struct Judged {
    /// Valid rows: the declared columns, then `_extra`.
    pub columns: RecordBatch,
    /// The record each valid row came from.
    pub rows: Vec<u32>,
    /// The event id of each valid row.
    pub event_ids: StringArray,
    /// The same, as keys of the duplicate index.
    pub keys: Vec<IdKey>,
    /// Event time of each record, or `NO_TIME`.
    pub event_time_us: Vec<i64>,
    /// Dead letters, in record order.
    pub rejected: Vec<Rejected>,
}

/// Decodes and checks under one definition.
pub struct Judge {
    decoder: Decoder,
    checks: Checks,
    declared: usize,
    identity: Vec<usize>,
    hashed: bool,
    hasher: IdHasher,
}

impl Judge {
    /// Prepares for a definition.
    ///
    /// # Errors
    /// `Stop` where the definition cannot be worked with; says what to change.
    pub fn new(def: &StreamDef, hasher: IdHasher) -> Result<Self, PortError> {
        let setup = |error: Box<dyn std::error::Error + Send + Sync>| {
            PortError::caused(ErrorKind::Stop, format!("stream {}: {error}", def.name), error)
        };
        let decoder = Decoder::new(def).map_err(|e| setup(e.into()))?;
        let checks = Checks::new(def).map_err(|e| setup(e.into()))?;
        let (names, hashed) = match &def.event_id {
            EventIdRule::Column(name) => (std::slice::from_ref(name), false),
            EventIdRule::Hash(names) => (names.as_slice(), true),
        };
        let index = |name: &String| {
            def.column_index(name)
                .ok_or_else(|| PortError::new(ErrorKind::Stop, format!("event_id names '{name}', which is no column")))
        };
        let identity = names.iter().map(index).collect::<Result<_, _>>()?;
        Ok(Self { decoder, checks, declared: def.columns.len(), identity, hashed, hasher })
    }

    /// Judges records. Every record is in `rows` or in `rejected`, never in both.
    ///
    /// # Errors
    /// Only `Bug`.
    pub fn judge(&mut self, records: &Records) -> Result<Judged, PortError> {
        let decoded = self.decoder.decode(records);
        let (mut columns, mut rows, mut rejected) = (decoded.columns, decoded.rows, decoded.rejected);
        let declared: Vec<usize> = (0..self.declared).collect();
        let checked = columns.project(&declared).map_err(|e| bug(e.into()))?;
        let failed = self.checks.evaluate(&checked).map_err(|e| bug(e.into()))?;
        if !failed.is_empty() {
            let mut keep = vec![true; rows.len()];
            for failure in failed {
                keep[failure.row] = false;
                let reasons = failure.checks.iter().map(|name| format!("check:{name}")).collect();
                rejected.push(Rejected { row: rows[failure.row], reasons });
            }
            rejected.sort_by_key(|reject| reject.row);
            let mask = BooleanArray::from(keep);
            columns = filter_record_batch(&columns, &mask).map_err(|e| bug(e.into()))?;
            let kept = filter(&UInt32Array::from(rows), &mask).map_err(|e| bug(e.into()))?;
            rows = kept.as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec();
        }
        let event_ids = self.event_ids(&columns).map_err(|e| bug(e.into()))?;
        let keys = event_ids.iter().map(|id| self.hasher.hash(id.unwrap_or_default().as_bytes())).collect();
        Ok(Judged { columns, rows, event_ids, keys, event_time_us: decoded.event_time_us, rejected })
    }

    /// The text of the id column; or, for a derived id, 32 hex digits of xxh3-128 over the columns' texts, each
    /// preceded by its length (u32 LE; `u32::MAX` = null).
    fn event_ids(&self, columns: &RecordBatch) -> Result<StringArray, arrow::error::ArrowError> {
        let texts =
            self.identity.iter().map(|index| id_texts(columns.column(*index))).collect::<Result<Vec<_>, _>>()?;
        if !self.hashed {
            return Ok(texts[0].clone());
        }
        let mut buffer = Vec::new();
        let ids = (0..columns.num_rows()).map(|row| {
            buffer.clear();
            for column in &texts {
                if column.is_null(row) {
                    buffer.extend_from_slice(&u32::MAX.to_le_bytes());
                } else {
                    let value = column.value(row);
                    buffer.extend_from_slice(&(value.len() as u32).to_le_bytes());
                    buffer.extend_from_slice(value.as_bytes());
                }
            }
            format!("{:032x}", xxh3_128(&buffer))
        });
        Ok(StringArray::from_iter_values(ids))
    }
}

/// A column's values as the texts that identify events: text as it is, bytes in hex, all else as Arrow prints it.
pub(super) fn id_texts(column: &ArrayRef) -> Result<StringArray, arrow::error::ArrowError> {
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().clone()),
        DataType::Binary => Ok(StringArray::from_iter(column.as_binary::<i32>().iter().map(|b| b.map(hex)))),
        _ => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bug(source: Box<dyn std::error::Error + Send + Sync>) -> PortError {
    PortError::caused(ErrorKind::Bug, "judging records failed", source)
}
