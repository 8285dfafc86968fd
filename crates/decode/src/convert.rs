//! From a value's place in the payload to the cell of its column, checked completely before anything is kept.
//!
//! Contract: a cell holds its value or a span into the payload or the row's own buffers; a list or struct is a run on
//! the row's tape. A value that doesn't suit its column leaves a flaw, never an error, so that all flaws of a
//! record are found. Recursion follows the declared type, never the payload.

use crate::instant;
use crate::number;
use crate::plan::key_json;
use crate::remainder::{Left, NestedLeft, ObjectText, Unknown, UnknownKey, settle};
use crate::scan::{Fault, Scanner, Shape, Value};
use crate::walk::{Walk, resolve};
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use watertight_core::schema::{ColumnType, DuplicateKeys, TimestampForm};

/// The standard alphabet; padding may be there or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why a value doesn't suit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Another JSON type, or text that is no such value.
    Type,
    /// Beyond what the type can hold.
    Range,
    /// Digits would be lost.
    Precision,
}

/// The kinds of flaws found in one column; a list can have several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flaws(u8);

impl Flaws {
    pub(crate) fn add(&mut self, flaw: Flaw) {
        self.0 |= 1 << flaw as u8;
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn contains(self, flaw: Flaw) -> bool {
        self.0 & (1 << flaw as u8) != 0
    }
}

/// A converted value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell {
    /// No value.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer, a date in days, a timestamp in microseconds.
    Long(i64),
    /// A float; a 32-bit one has been rounded to 32 bits.
    Double(f64),
    /// A decimal's unscaled value.
    Decimal(i128),
    /// Text in the payload.
    Payload(u32, u32),
    /// Text in [`Row::resolved`].
    Resolved(u32, u32),
    /// Bytes in [`Row::bytes`].
    Bytes(u32, u32),
    /// A list or struct that begins at this place of the tape.
    Nested(usize),
    /// On the tape: a list of so many items, which follow.
    Items(usize),
    /// On the tape: a struct, whose fields follow in the order of the type.
    Fields,
}

/// One record's cells and what they point into; reused for the next.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// Per column.
    pub(crate) cells: Vec<Cell>,
    /// Cells of lists and structs.
    pub(crate) tape: Vec<Cell>,
    /// Text that had escapes.
    pub(crate) resolved: String,
    /// Bytes that were in base64.
    pub(crate) bytes: Vec<u8>,
    /// JSON text of what lists and structs left over.
    pub(crate) leftovers: String,
    /// Which part of it belongs to which slot.
    pub(crate) nested: Vec<NestedLeft>,
    spans: Vec<Value>,
    unknown: Vec<Unknown>,
}

impl Row {
    pub(crate) fn clear(&mut self) {
        self.cells.clear();
        self.tape.clear();
        self.resolved.clear();
        self.bytes.clear();
        self.leftovers.clear();
        self.nested.clear();
        self.spans.clear();
        self.unknown.clear();
    }
}

/// Converts the values of one record.
pub(crate) struct Converter<'a, 'p> {
    pub(crate) scanner: Scanner<'p>,
    pub(crate) rule: DuplicateKeys,
    pub(crate) row: &'a mut Row,
    pub(crate) walk: &'a mut Walk,
}

impl<'p> Converter<'_, 'p> {
    /// The cell of a column; flaws are added to `flaws`, and the cell is then meaningless.
    #[inline]
    pub(crate) fn column(&mut self, kind: &ColumnType, slot: usize, flaws: &mut Flaws) -> Cell {
        let value = self.walk.slots[slot];
        match kind {
            ColumnType::List(_) | ColumnType::Struct(_) => {
                let start = self.row.tape.len();
                let mut left = std::mem::take(&mut self.row.leftovers);
                let left_start = left.len();
                if self.item(kind, value, &mut left, flaws) == Left::Something {
                    self.row.nested.push((slot, left_start..left.len()));
                }
                self.row.leftovers = left;
                Cell::Nested(start)
            }
            _ => self.plain(kind, value).unwrap_or_else(|flaw| {
                flaws.add(flaw);
                Cell::Null
            }),
        }
    }

    fn bytes(&self, value: Value) -> &'p [u8] {
        self.scanner.text[value.range()].as_bytes()
    }

    /// A string's text, with escapes resolved.
    fn text(&mut self, value: Value) -> &str {
        if value.shape == Shape::Escaped {
            let range = resolve(value, self.scanner.text, &mut self.row.resolved);
            &self.row.resolved[range]
        } else {
            &self.scanner.text[value.range()]
        }
    }

    #[inline]
    fn plain(&mut self, kind: &ColumnType, value: Value) -> Result<Cell, Flaw> {
        use Shape::{Absent, Escaped, False, Integer, Null, Number, Text, True};
        Ok(match (kind, value.shape) {
            (_, Absent | Null) => Cell::Null,
            (ColumnType::String, Text) => Cell::Payload(value.start, value.end),
            (ColumnType::String, Escaped) => {
                let range = resolve(value, self.scanner.text, &mut self.row.resolved);
                Cell::Resolved(range.start as u32, range.end as u32)
            }
            (ColumnType::Boolean, True) => Cell::Boolean(true),
            (ColumnType::Boolean, False) => Cell::Boolean(false),
            (ColumnType::Int, Integer | Number) => Cell::Long(number::int(self.bytes(value))?),
            (ColumnType::Long, Integer | Number) => Cell::Long(number::long(self.bytes(value))?),
            (ColumnType::Float, Integer | Number) => {
                let float: f32 = self.scanner.text[value.range()].parse().map_err(|_| Flaw::Type)?;
                Cell::Double(finite(f64::from(float))?)
            }
            (ColumnType::Double, Integer | Number) => {
                Cell::Double(finite(self.scanner.text[value.range()].parse().map_err(|_| Flaw::Type)?)?)
            }
            (ColumnType::Decimal { precision, scale }, Integer | Number) => {
                Cell::Decimal(number::decimal(self.bytes(value), *precision, *scale)?)
            }
            (ColumnType::Decimal { precision, scale }, Text | Escaped) => {
                let text = self.text(value);
                if !number::is_number(text) {
                    return Err(Flaw::Type);
                }
                Cell::Decimal(number::decimal(text.as_bytes(), *precision, *scale)?)
            }
            (ColumnType::Date, Text | Escaped) => Cell::Long(instant::date(self.text(value).as_bytes())?.into()),
            (ColumnType::Timestamp(TimestampForm::Rfc3339), Text | Escaped) => {
                Cell::Long(instant::rfc3339(self.text(value).as_bytes())?)
            }
            (ColumnType::Timestamp(form), Integer | Number) => {
                let scale = match form {
                    TimestampForm::Rfc3339 => return Err(Flaw::Type),
                    TimestampForm::EpochSeconds => 6,
                    TimestampForm::EpochMillis => 3,
                    TimestampForm::EpochMicros => 0,
                    TimestampForm::EpochNanos => -3,
                };
                Cell::Long(instant::in_years(number::epoch_micros(self.bytes(value), scale)?)?)
            }
            (ColumnType::Binary, Text | Escaped) => self.base64(value)?,
            _ => return Err(Flaw::Type),
        })
    }

    fn base64(&mut self, value: Value) -> Result<Cell, Flaw> {
        let start = self.row.bytes.len();
        let mut bytes = std::mem::take(&mut self.row.bytes);
        let text = self.text(value);
        // The engine takes one `=` where two are due; here padding is whole or absent.
        let padding = if text.ends_with('=') && !text.len().is_multiple_of(4) { Err(Flaw::Type) } else { Ok(()) };
        let decoded = BASE64.decode_vec(text, &mut bytes);
        self.row.bytes = bytes;
        match padding.and(decoded.map_err(|_| Flaw::Type)) {
            Ok(()) => Ok(Cell::Bytes(start as u32, self.row.bytes.len() as u32)),
            Err(flaw) => {
                self.row.bytes.truncate(start);
                Err(flaw)
            }
        }
    }

    /// Puts a value on the tape, and what it leaves over into `left`.
    fn item(&mut self, kind: &ColumnType, value: Value, left: &mut String, flaws: &mut Flaws) -> Left {
        let result = match (kind, value.shape) {
            (_, Shape::Absent | Shape::Null) => {
                self.row.tape.push(Cell::Null);
                return Left::Nothing;
            }
            (ColumnType::List(item), Shape::Array) => self.list(item, value, left, flaws),
            (ColumnType::Struct(fields), Shape::Object) => self.fields(fields, value, left, flaws),
            (ColumnType::List(_) | ColumnType::Struct(_), _) => Err(Flaw::Type),
            _ => self.plain(kind, value).map(|cell| {
                self.row.tape.push(cell);
                Left::Nothing
            }),
        };
        // After a flaw the record is rejected as a whole, so its tape is never read.
        result.unwrap_or_else(|flaw| {
            flaws.add(flaw);
            Left::Nothing
        })
    }

    fn list(&mut self, kind: &ColumnType, value: Value, left: &mut String, flaws: &mut Flaws) -> Result<Left, Flaw> {
        let head = self.row.tape.len();
        self.row.tape.push(Cell::Items(0));
        let (mut count, mut leaves) = (0, Left::Nothing);
        let begin = left.len();
        let mut at = self.scanner.white(value.start as usize + 1);
        while self.scanner.byte(at) != b']' {
            let (item, end) = self.scanner.value(at, 0, &mut self.walk.open).map_err(unsound)?;
            left.push(if count == 0 { '[' } else { ',' });
            match self.item(kind, item, left, flaws) {
                Left::Something => leaves = Left::Something,
                Left::Nothing => left.push_str("null"),
            }
            count += 1;
            at = self.scanner.white(end);
            if self.scanner.byte(at) == b',' {
                at = self.scanner.white(at + 1);
            }
        }
        self.row.tape[head] = Cell::Items(count);
        match leaves {
            Left::Something => left.push(']'),
            Left::Nothing => left.truncate(begin),
        }
        Ok(leaves)
    }

    fn fields(
        &mut self,
        fields: &[(String, ColumnType)],
        value: Value,
        left: &mut String,
        flaws: &mut Flaws,
    ) -> Result<Left, Flaw> {
        let (spans, unknown) = (self.row.spans.len(), self.row.unknown.len());
        self.members(fields, value)?;
        settle(&mut self.row.unknown[unknown..], self.rule, self.scanner.text, &self.walk.keys, &mut self.walk.repeats);
        self.row.tape.push(Cell::Fields);
        let mut object = ObjectText::begin(left);
        object.unknown(&self.row.unknown[unknown..], 0, self.scanner.text);
        self.row.unknown.truncate(unknown);
        for (index, (name, kind)) in fields.iter().enumerate() {
            let value = self.row.spans[spans + index];
            if matches!(kind, ColumnType::List(_) | ColumnType::Struct(_)) {
                object.member(&key_json(name), |left| self.item(kind, value, left, flaws));
            } else {
                match self.plain(kind, value) {
                    Ok(cell) => self.row.tape.push(cell),
                    Err(flaw) => flaws.add(flaw),
                }
            }
        }
        self.row.spans.truncate(spans);
        Ok(object.end())
    }

    /// Finds the values of a struct's fields (pushed on the spans, in order) and its other members.
    fn members(&mut self, fields: &[(String, ColumnType)], value: Value) -> Result<(), Flaw> {
        let spans = self.row.spans.len();
        self.row.spans.resize(spans + fields.len(), Value::ABSENT);
        let mut at = self.scanner.white(value.start as usize + 1);
        while self.scanner.byte(at) != b'}' {
            let key = self.scanner.string(at + 1).map_err(unsound)?;
            let value_at = self.scanner.colon(key.end as usize + 1).map_err(unsound)?;
            let (value, end) = self.scanner.value(value_at, 0, &mut self.walk.open).map_err(unsound)?;
            let key = UnknownKey::new(key, self.scanner.text, &mut self.walk.keys);
            let name = key.text(self.scanner.text, &self.walk.keys);
            match fields.iter().position(|(field, _)| field == name) {
                None => self.row.unknown.push(Unknown::new(0, key, value)),
                Some(index) => {
                    let span = &mut self.row.spans[spans + index];
                    match (span.shape, self.rule) {
                        (Shape::Absent, _) | (_, DuplicateKeys::Last) => *span = value,
                        (_, DuplicateKeys::First) => {}
                        (_, DuplicateKeys::Reject) => self.walk.repeats.add(name),
                    }
                }
            }
            at = self.scanner.white(end);
            if self.scanner.byte(at) == b',' {
                at = self.scanner.white(at + 1);
            }
        }
        Ok(())
    }
}

/// The first pass has read every value already; a fault in the second would be a value of the wrong type.
fn unsound(_: Fault) -> Flaw {
    Flaw::Type
}

fn finite(value: f64) -> Result<f64, Flaw> {
    if value.is_finite() { Ok(value) } else { Err(Flaw::Range) }
}
