//! Malformed events: which damage a stream's definition makes a dead letter of, and the reasons that must be given.

use super::PlanSpec;
use super::fields::{Checks, FieldSpec, field_of};
use super::text::FieldFault;
use watertight_core::schema::{Column, ColumnType};

/// What is done to an event to make it a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Damage {
    /// The payload is null.
    Tombstone,
    /// The payload has no bytes.
    Empty,
    /// Valid JSON, but no object.
    NotAnObject,
    /// Cut somewhere inside.
    Truncated,
    /// A byte inside a text that is no UTF-8.
    NotUtf8,
    /// One field is absent or has another value.
    Field(FieldFault),
}

/// A kind of malformed event with the reasons that must be given for it.
#[derive(Debug, Clone)]
pub(super) struct Malformed {
    pub(super) damage: Damage,
    pub(super) reasons: Vec<String>,
}

/// The kinds that this stream's definition rejects, and the sums of their weights.
pub(super) fn malformed_kinds(spec: &PlanSpec, fields: &[FieldSpec], checks: &Checks) -> (Vec<Malformed>, Vec<u64>) {
    let whole = |damage, weight, reason: &str| (weight, Malformed { damage, reasons: vec![reason.to_owned()] });
    let mut kinds = vec![
        whole(Damage::Truncated, 30, "invalid_json"),
        whole(Damage::NotUtf8, 10, "not_utf8"),
        whole(Damage::NotAnObject, 5, "not_an_object"),
        whole(Damage::Empty, 5, "empty"),
        whole(Damage::Tombstone, 5, "tombstone"),
    ];
    let field = |fault, weight, reasons| (weight, Malformed { damage: Damage::Field(fault), reasons });
    let omitted = |name: &str, reason: &str| field(FieldFault::Omit(name.to_owned()), 5, vec![reason.to_owned()]);
    kinds.push(omitted("event_id", "missing_event_id"));
    kinds.push(omitted("ts", "missing_event_time"));
    for known in fields.iter().filter(|known| known.name != "event_id" && known.name != "ts") {
        let reads = |column: &&Column| field_of(fields, column).is_some_and(|field| field.name == known.name);
        let readers: Vec<&Column> = spec.columns.iter().filter(reads).collect();
        let replaced = |json: &str| FieldFault::Replace(known.name.to_owned(), json.to_owned());
        if readers.iter().any(|column| column.required) {
            let reasons = readers.iter().filter(|column| column.required).map(|c| format!("missing:{}", c.name));
            kinds.push(field(FieldFault::Omit(known.name.to_owned()), 10, reasons.collect()));
        }
        if known.is_number() && !readers.is_empty() {
            let reasons = readers.iter().map(|column| format!("type:{}", column.name));
            kinds.push(field(replaced("\"n/a\""), 10, reasons.collect()));
        }
        if let [column] = readers.as_slice() {
            match &column.kind {
                ColumnType::Int | ColumnType::Long => {
                    kinds.push(field(replaced("99999999999999999999"), 5, vec![format!("range:{}", column.name)]));
                }
                ColumnType::Decimal { scale, .. } => {
                    let json = format!("0.{:0width$}1", 0, width = usize::from(*scale));
                    kinds.push(field(replaced(&json), 5, vec![format!("precision:{}", column.name)]));
                }
                _ => {}
            }
        }
    }
    for (name, value, reasons) in &checks.plantable {
        let fault = FieldFault::Replace(name.clone(), value.to_string());
        kinds.push(field(fault, 20, reasons.clone()));
    }
    let mut total = 0;
    let weights = kinds.iter().map(|(weight, _)| {
        total += weight;
        total
    });
    let weights = weights.collect();
    (kinds.into_iter().map(|(_, kind)| kind).collect(), weights)
}
