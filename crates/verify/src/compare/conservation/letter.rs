//! One dead letter against its record and the reasons that it gives.
//!
//! Contract: bytes are compared as bytes, reasons in their order; no byte of a payload is shown. Reasons are stable
//! codes with names of columns, keys or checks, and are shown.

use super::At;
use super::columns::LetterRows;
use crate::finding::{Code, Findings, Place};
use arrow::array::{Array, BinaryArray};

/// Characters of a reason that are shown: a repeated key's name comes from a payload, and can be long.
const REASON_SHOWN_MAX: usize = 80;

/// Compares all columns of a dead letter.
pub(super) fn compare(at: &At<'_>, reasons: &[String], letters: &LetterRows, row: usize, findings: &Findings) {
    let place = |column: &str| -> Place { at.place(at.letters, &letters.file).in_column(column) };
    let bronze = at.bronze;
    for (column, held, wanted) in [("_raw_value", &letters.value, &bronze.value), ("_key", &letters.key, &bronze.key)] {
        let (held, wanted) = (bytes(held, row), bytes(wanted, at.row));
        if held != wanted {
            let what = format!("the dead letter has {}, bronze has {}", size(held), size(wanted));
            findings.add(Code::DeadLetterBytes, place(column), what);
        }
    }
    if !letters.reasons.are(row, reasons.iter().map(String::as_str)) {
        let held = match letters.reasons.texts(row) {
            Some(texts) => listed(texts),
            None => "null".to_owned(),
        };
        let what =
            format!("the dead letter has {held}, the record gives {}", listed(reasons.iter().map(String::as_str)));
        findings.add(Code::DeadLetterReasons, place("_quality_flags"), what);
    }
    let definitions = &letters.definition;
    if definitions.is_null(row) || definitions.value(row) != at.definition {
        let what = format!("the dead letter does not name definition {}, which was in force", at.definition);
        findings.add(Code::RowDerived, place("_schema_version"), what);
    }
    for (column, held, wanted) in [
        ("_kafka_timestamp", &letters.timestamp, &bronze.timestamp),
        ("_ingested_at", &letters.ingested_at, &bronze.ingested_at),
    ] {
        let told =
            |times: &arrow::array::TimestampMicrosecondArray, row: usize| times.is_valid(row).then(|| times.value(row));
        let (held, wanted) = (told(held, row), told(wanted, at.row));
        if held != wanted {
            let text = |time: Option<i64>| time.map_or("null".to_owned(), |us| format!("{us} µs"));
            let what = format!("the dead letter has {}, bronze has {}", text(held), text(wanted));
            findings.add(Code::RowDerived, place(column), what);
        }
    }
    let topic =
        |texts: &arrow::array::StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
    if topic(&letters.topic, row) != topic(&bronze.topic, at.row) {
        findings.add(Code::RowDerived, place("_kafka_topic"), "the dead letter names another topic than bronze");
    }
}

/// Reasons for people.
pub(super) fn listed<'a>(reasons: impl Iterator<Item = &'a str>) -> String {
    let short = |reason: &str| -> String {
        let cut = reason.chars().count() > REASON_SHOWN_MAX;
        let text: String = reason.chars().take(REASON_SHOWN_MAX).flat_map(char::escape_default).collect();
        if cut { format!("{text}…") } else { text }
    };
    let listed = reasons.map(short).collect::<Vec<_>>().join(", ");
    if listed.is_empty() { "no reason".to_owned() } else { listed }
}

fn bytes(column: &BinaryArray, row: usize) -> Option<&[u8]> {
    column.is_valid(row).then(|| column.value(row))
}

fn size(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| format!("{} bytes", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_listed_in_order_and_a_long_key_is_cut() {
        assert_eq!(listed(["type:id", "check:positive"].into_iter()), "type:id, check:positive");
        assert_eq!(listed(std::iter::empty()), "no reason");
        let long = format!("duplicate_key:{}", "é\n".repeat(200));
        let shown = listed([long.as_str()].into_iter());
        assert!(shown.starts_with("duplicate_key:") && shown.ends_with('…') && !shown.contains('\n'));
    }
}
