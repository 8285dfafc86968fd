//! What a generator writes, field by field, held against what a stream declares.
//!
//! Contract: a stream for which the generated events would not be valid is refused with all reasons at once, so
//! that "planted as malformed" and "malformed" stay the same thing. Checks are understood only in the form
//! `column op number`; others make the truth unknowable, which [`Checks::unknown`] says.

use watertight_core::schema::{Check, Column, ColumnType, TimestampForm};

/// Kind of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Text,
    Integer,
    /// A number with up to this many digits behind the point.
    Decimal(u8),
    /// RFC 3339 text.
    Time,
    Object,
}

/// One field of a generator's events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldSpec {
    pub(crate) name: &'static str,
    pub(crate) kind: FieldKind,
    /// Bounds of a number, in units of its last digit.
    min: i64,
    max: i64,
}

impl FieldSpec {
    pub(crate) const fn text(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Text, min: 0, max: 0 }
    }
    pub(crate) const fn time(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Time, min: 0, max: 0 }
    }
    pub(crate) const fn object(name: &'static str) -> Self {
        Self { name, kind: FieldKind::Object, min: 0, max: 0 }
    }
    pub(crate) const fn number(name: &'static str, kind: FieldKind, min: i64, max: i64) -> Self {
        Self { name, kind, min, max }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.kind, FieldKind::Integer | FieldKind::Decimal(_))
    }

    fn scale(&self) -> u8 {
        if let FieldKind::Decimal(scale) = self.kind { scale } else { 0 }
    }

    fn fits(&self, kind: &ColumnType) -> bool {
        match self.kind {
            FieldKind::Text => *kind == ColumnType::String,
            FieldKind::Integer => match kind {
                ColumnType::Int | ColumnType::Long | ColumnType::Float | ColumnType::Double => true,
                ColumnType::Decimal { precision, scale } => precision - scale >= 9,
                _ => false,
            },
            FieldKind::Decimal(digits) => match kind {
                ColumnType::Float | ColumnType::Double => true,
                ColumnType::Decimal { precision, scale } => *scale >= digits && precision - scale >= 9,
                _ => false,
            },
            FieldKind::Time => matches!(kind, ColumnType::Timestamp(TimestampForm::Rfc3339) | ColumnType::String),
            FieldKind::Object => matches!(kind, ColumnType::Struct(_)),
        }
    }
}

/// The field a declared column reads, if the generator writes it.
pub(crate) fn field_of<'a>(fields: &'a [FieldSpec], column: &Column) -> Option<&'a FieldSpec> {
    let [name] = column.path.as_slice() else { return None };
    fields.iter().find(|field| field.name == name)
}

/// Holds the declared columns against the generator's fields; one sentence per misfit.
pub(crate) fn misfits(fields: &[FieldSpec], columns: &[Column]) -> Vec<String> {
    let mut found = Vec::new();
    for column in columns {
        let name = &column.name;
        match field_of(fields, column) {
            Some(field) if !field.fits(&column.kind) => {
                found.push(format!(
                    "column '{name}' is declared with a type that the generated '{}' is not of",
                    field.name
                ));
            }
            None if column.required => {
                found.push(format!("column '{name}' is required, but generated events do not have it"));
            }
            _ => {}
        }
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A check of the form `column op integer`.
#[derive(Debug, Clone)]
struct Understood {
    name: String,
    column: String,
    comparison: Comparison,
    bound: i64,
}

impl Understood {
    fn parse(check: &Check) -> Option<Self> {
        let at = check.sql.find(['<', '>'])?;
        let (column, rest) = (check.sql[..at].trim().trim_matches('"'), &check.sql[at..]);
        let (comparison, number) = if let Some(number) = rest.strip_prefix(">=") {
            (Comparison::GreaterOrEqual, number)
        } else if let Some(number) = rest.strip_prefix("<=") {
            (Comparison::LessOrEqual, number)
        } else if let Some(number) = rest.strip_prefix('>') {
            (Comparison::Greater, number)
        } else {
            (Comparison::Less, &rest[1..])
        };
        let number = number.trim();
        let bound = number
            .split_once('.')
            .map_or(Some(number), |(whole, part)| part.bytes().all(|digit| digit == b'0').then_some(whole))?;
        let bound = bound.parse().ok().filter(|bound: &i64| bound.abs() < 1_000_000_000)?;
        let plain = !column.is_empty() && column.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        plain.then(|| Self { name: check.name.clone(), column: column.to_owned(), comparison, bound })
    }

    /// Whether `value / 10^scale` passes.
    fn passes(&self, value: i64, scale: u8) -> bool {
        let bound = self.bound * 10_i64.pow(u32::from(scale));
        match self.comparison {
            Comparison::Less => value < bound,
            Comparison::LessOrEqual => value <= bound,
            Comparison::Greater => value > bound,
            Comparison::GreaterOrEqual => value >= bound,
        }
    }

    /// A whole number that does not pass.
    fn failing(&self) -> i64 {
        match self.comparison {
            Comparison::Less | Comparison::LessOrEqual => self.bound + 1,
            Comparison::Greater | Comparison::GreaterOrEqual => self.bound - 1,
        }
    }
}

/// What is understood of a stream's checks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    /// Values that fail: (field, whole number, all reasons in the order of the checks).
    pub(crate) plantable: Vec<(String, i64, Vec<String>)>,
    /// Checks whose outcome cannot be told; no truth can be computed with them.
    pub(crate) unknown: Vec<String>,
}

impl Checks {
    /// Reads the checks; those that generated values pass by their bounds can be planted to fail.
    pub(crate) fn read(fields: &[FieldSpec], columns: &[Column], checks: &[Check]) -> Self {
        let mut read = Self::default();
        let mut understood = Vec::new();
        for check in checks {
            let known = Understood::parse(check).and_then(|parsed| {
                let column = columns.iter().find(|column| column.name == parsed.column)?;
                let field = field_of(fields, column).filter(|field| field.is_number())?;
                let passes = parsed.passes(field.min, field.scale()) && parsed.passes(field.max, field.scale());
                passes.then_some((parsed, *field))
            });
            match known {
                Some(known) => understood.push(known),
                None => read.unknown.push(check.name.clone()),
            }
        }
        for (check, field) in &understood {
            let value = check.failing();
            let reasons = understood
                .iter()
                .filter(|(other, _)| {
                    other.column == check.column
                        && !other.passes(value * 10_i64.pow(u32::from(field.scale())), field.scale())
                })
                .map(|(other, _)| format!("check:{}", other.name));
            read.plantable.push((field.name.to_owned(), value, reasons.collect()));
        }
        read
    }
}
