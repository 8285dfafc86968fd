//! Records in, columns and rejections out.
//!
//! Contract: every record ends in exactly one of [`Decoded::rows`] and [`Decoded::rejected`], whatever its bytes are; the
//! outcome depends on the definition and the payload alone. A record is checked completely before the first builder is
//! touched, so columns never need undoing.

use crate::columns::Builder;
use crate::convert::{Cell, Converter, Flaw, Flaws, Row};
use crate::instant::DAY_US;
use crate::plan::{ColumnPlan, DecodeSetupError, Plan};
use crate::remainder::{Left, write_extra};
use crate::scan::{Fault, Scanner};
use crate::walk::{Top, Walk};
use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;
use watertight_core::record::Records;
use watertight_core::schema::{ColumnType, StreamDef};

/// The column after the declared ones: JSON text of what they don't take.
pub const EXTRA_COLUMN: &str = "_extra";

/// Largest [`Records::byte_len`] that one call of [`Decoder::decode`] may be given: Arrow counts the bytes of a text column in 31
/// bits, and `_extra` can be up to twice as long as the payloads it comes from. Fetches are bounded far below this.
pub const DECODE_BYTES_MAX: usize = 1 << 30;

/// Decodes the payloads of one stream; its buffers are reused from call to call.
#[derive(Debug)]
pub struct Decoder {
    plan: Plan,
    schema: SchemaRef,
    walk: Walk,
    row: Row,
    extra: String,
    /// Per column and for `_extra`: bytes of text per byte of records in the last batch, to begin the next one with room. A
    /// share rather than a width per row: however records differ in size, no batch reserves much more than its own bytes.
    shares: Vec<f64>,
}

/// What [`Decoder::decode`] made of the records.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The accepted rows in record order: the declared columns in order, each nullable, then [`EXTRA_COLUMN`] (null where
    /// nothing is left over).
    pub columns: RecordBatch,
    /// Per accepted row: the index of its record.
    pub rows: Vec<u32>,
    /// Per record (not per row): the event time in microseconds since the epoch, or [`Self::NO_TIME`].
    pub event_time_us: Vec<i64>,
    /// The other records, in order.
    pub rejected: Vec<Rejected>,
}

impl Decoded {
    /// Stands where a record has no event time that counts.
    pub const NO_TIME: i64 = i64::MIN;
}

/// A record that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Index of the record.
    pub row: u32,
    /// Every reason, as a stable code; at least one.
    pub reasons: Vec<String>,
}

impl Decoder {
    /// A decoder for `def`.
    ///
    /// # Errors
    /// [`DecodeSetupError`] when the definition contradicts itself; it says what to change.
    pub fn new(def: &StreamDef) -> Result<Self, DecodeSetupError> {
        let plan = Plan::new(def)?;
        let mut fields: Vec<Field> =
            def.columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true)).collect();
        fields.push(Field::new(EXTRA_COLUMN, DataType::Utf8, true));
        Ok(Self {
            shares: vec![0.0; fields.len()],
            schema: Arc::new(Schema::new(fields)),
            plan,
            walk: Walk::default(),
            row: Row::default(),
            extra: String::new(),
        })
    }

    /// The schema of [`Decoded::columns`].
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Decodes `records` (at most [`DECODE_BYTES_MAX`] bytes in all).
    pub fn decode(&mut self, records: &Records) -> Decoded {
        let count = records.len();
        let room = |share: &f64| (records.byte_len() as f64 * share) as usize;
        let (extra_share, shares) = self.shares.split_last().expect("there is always a column for what is left over");
        let mut builders: Vec<Builder> = std::iter::zip(&self.plan.columns, shares)
            .map(|(column, share)| Builder::new(&column.kind, count, room(share)))
            .collect();
        let mut extra = StringBuilder::with_capacity(count, room(extra_share));
        let mut rows = Vec::with_capacity(count);
        let mut rejected = Vec::new();
        let mut event_time_us = Vec::with_capacity(count);
        for index in 0..count {
            let row = index as u32;
            let payload = match self.payload(records.value(index)) {
                Ok(payload) => payload,
                Err(code) => {
                    rejected.push(Rejected { row, reasons: vec![code.to_owned()] });
                    event_time_us.push(Decoded::NO_TIME);
                    continue;
                }
            };
            let (time, reasons) = self.record(payload);
            event_time_us.push(time);
            if !reasons.is_empty() {
                rejected.push(Rejected { row, reasons });
                continue;
            }
            for (builder, cell) in std::iter::zip(&mut builders, &self.row.cells) {
                builder.append(*cell, payload, &self.row);
            }
            self.extra.clear();
            let nested = (self.row.nested.as_slice(), self.row.leftovers.as_str());
            match write_extra(&self.plan, &self.walk, payload, nested, &mut self.extra) {
                Left::Something => extra.append_value(&self.extra),
                Left::Nothing => extra.append_null(),
            }
            rows.push(row);
        }
        let columns = self.finish(builders, extra, records.byte_len());
        Decoded { columns, rows, event_time_us, rejected }
    }

    /// The payload as text within its limits, or the reason why it is none.
    #[inline]
    fn payload<'r>(&self, value: Option<&'r [u8]>) -> Result<&'r str, &'static str> {
        let bytes = value.ok_or("tombstone")?;
        if bytes.len() > self.plan.limits.bytes_max as usize {
            return Err("oversize");
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "not_utf8")?;
        match bytes.first() {
            Some(b'{') => Ok(text),
            _ if bytes.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) => Err("empty"),
            _ => Ok(text),
        }
    }

    /// Reads one payload into the row: its event time and the reasons against it.
    fn record(&mut self, payload: &str) -> (i64, Vec<String>) {
        let scanner = Scanner::new(payload, self.plan.limits.depth_max);
        let code = match self.walk.read(&self.plan, &scanner) {
            Ok(Top::Object) => return self.convert(scanner),
            Ok(Top::Other) => "not_an_object",
            Err(Fault::Invalid) => "invalid_json",
            Err(Fault::TooDeep) => "too_deep",
        };
        (Decoded::NO_TIME, vec![code.to_owned()])
    }

    fn convert(&mut self, scanner: Scanner<'_>) -> (i64, Vec<String>) {
        self.row.clear();
        let mut reasons = Vec::new();
        let mut time = Decoded::NO_TIME;
        let mut hashed_values = 0_usize;
        let rule = self.plan.limits.duplicate_keys;
        let mut converter = Converter { scanner, rule, row: &mut self.row, walk: &mut self.walk };
        for column in &self.plan.columns {
            let mut flaws = Flaws::default();
            let cell = converter.column(&column.kind, column.slot, &mut flaws);
            if !flaws.is_empty() {
                name_flaws(column, flaws, &mut reasons);
                hashed_values += usize::from(column.is_hashed);
                continue;
            }
            hashed_values += usize::from(column.is_hashed && cell != Cell::Null);
            match cell {
                Cell::Null => reasons.extend_from_slice(&column.missing),
                Cell::Nested(place) if converter.row.tape.get(place) == Some(&Cell::Null) => {
                    reasons.extend_from_slice(&column.missing);
                }
                Cell::Payload(start, end) | Cell::Resolved(start, end) if start == end => {
                    reasons.extend(column.empty.clone());
                }
                Cell::Long(stored) if column.is_event_time => {
                    // A date stands for its midnight, UTC.
                    let unit_us = if column.kind == ColumnType::Date { DAY_US } else { 1 };
                    let us = stored.saturating_mul(unit_us);
                    if (self.plan.not_before_us..self.plan.not_after_us).contains(&us) {
                        time = us;
                    } else {
                        reasons.push("event_time_out_of_bounds".to_owned());
                    }
                }
                _ => {}
            }
            converter.row.cells.push(cell);
        }
        if self.plan.hashes_id && hashed_values == 0 {
            reasons.push("missing_event_id".to_owned());
        }
        if !self.walk.repeats.is_empty() {
            time = Decoded::NO_TIME;
            let repeated = self.walk.repeats.names().iter().map(|name| format!("duplicate_key:{name}"));
            reasons.splice(0..0, repeated);
        }
        (time, reasons)
    }

    fn finish(&mut self, builders: Vec<Builder>, mut extra: StringBuilder, record_bytes: usize) -> RecordBatch {
        let bytes = builders.iter().map(Builder::byte_len).chain([extra.values_slice().len()]);
        for (share, bytes) in std::iter::zip(&mut self.shares, bytes) {
            // A tenth more than in this batch, so that the next one seldom grows.
            *share = 1.1 * bytes as f64 / record_bytes.max(1) as f64;
        }
        let mut arrays: Vec<ArrayRef> = builders.into_iter().map(Builder::finish).collect();
        arrays.push(Arc::new(extra.finish()));
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("every column was built with its declared type and one value per row")
    }
}

fn name_flaws(column: &ColumnPlan, flaws: Flaws, reasons: &mut Vec<String>) {
    for (flaw, reason) in [
        (Flaw::Type, &column.wrong_type),
        (Flaw::Range, &column.wrong_range),
        (Flaw::Precision, &column.wrong_precision),
    ] {
        if flaws.contains(flaw) {
            reasons.push(reason.clone());
        }
    }
}
