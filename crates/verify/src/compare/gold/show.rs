//! Values in findings: numbers and times as they are, text by its length. A group's text is part of the place: without
//! it nobody finds the row.

use super::provider::{WINDOW_END, WINDOW_START};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use jiff::Timestamp;

/// Longest text of a group that is shown.
const GROUP_CHARS_MAX: usize = 64;

/// `2026-11-25T02:55:00Z`, or the number where the calendar ends.
pub(super) fn time(us: i64) -> String {
    Timestamp::from_microsecond(us).map_or_else(|_| format!("{us} µs"), |time| time.to_string())
}

/// `2026-11-25T02:55:00Z, AAPL`: a row's window and groups.
pub(super) fn window_and_group(rows: &RecordBatch, row: usize, keys: &[String]) -> String {
    let shown = |name: &String| {
        let column = rows.column_by_name(name)?;
        Some(match text_of(column, row) {
            Some(text) => text.chars().take(GROUP_CHARS_MAX).flat_map(char::escape_debug).collect(),
            None => value(column, row),
        })
    };
    let start = std::iter::once(WINDOW_START.to_owned());
    let groups = keys.iter().filter(|name| *name != WINDOW_START && *name != WINDOW_END).cloned();
    start.chain(groups).filter_map(|name| shown(&name)).collect::<Vec<_>>().join(", ")
}

/// A value without its text.
pub(super) fn value(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "null".to_owned();
    }
    match column.data_type() {
        DataType::Timestamp(..) => match column.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(times) => time(times.value(row)),
            None => "a time".to_owned(),
        },
        DataType::Utf8 => format!("text of {} bytes", column.as_string::<i32>().value(row).len()),
        DataType::Binary => format!("{} bytes", column.as_binary::<i32>().value(row).len()),
        DataType::List(_) => format!("list of {}", column.as_list::<i32>().value(row).len()),
        kind if kind.is_nested() => "a struct".to_owned(),
        kind if kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Date32) => {
            array_value_to_string(column, row).unwrap_or_else(|_| "a value".to_owned())
        }
        _ => "a value".to_owned(),
    }
}

fn text_of(column: &ArrayRef, row: usize) -> Option<&str> {
    let texts = column.as_string_opt::<i32>()?;
    texts.is_valid(row).then(|| texts.value(row))
}

/// What a number grew by, as text: `98` → `101` is `+3`. Exact for integers and decimals of one scale.
pub(super) fn growth(before: &str, after: &str) -> Option<String> {
    let scale = |text: &str| text.split_once('.').map(|(_, digits)| digits.len());
    let unscaled = |text: &str| text.replacen('.', "", 1).parse::<i128>().ok();
    if scale(before) == scale(after)
        && let (Some(b), Some(a)) = (unscaled(before), unscaled(after))
    {
        let grown = a.checked_sub(b)?;
        let digits = scale(after).unwrap_or(0);
        let text = format!("{:0>width$}", grown.unsigned_abs(), width = digits + 1);
        let (whole, part) = text.split_at(text.len() - digits);
        let sign = if grown < 0 { '-' } else { '+' };
        return Some(if digits == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") });
    }
    let grown = after.parse::<f64>().ok()? - before.parse::<f64>().ok()?;
    grown.is_finite().then(|| format!("{grown:+}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use std::sync::Arc;

    #[test]
    fn growth_is_exact_for_integers_and_decimals() {
        assert_eq!(growth("98", "101").as_deref(), Some("+3"));
        assert_eq!(growth("1.0500", "0.9999").as_deref(), Some("-0.0501"));
        assert_eq!(growth("-0.01", "0.01").as_deref(), Some("+0.02"));
        assert_eq!(growth("0.5", "0.75").as_deref(), Some("+0.25"), "floats have any number of digits");
        assert_eq!(growth("null", "3"), None);
        assert_eq!(growth("text of 3 bytes", "text of 4 bytes"), None);
    }

    #[test]
    fn a_group_is_shown_and_other_text_is_not() {
        let start = TimestampMicrosecondArray::from(vec![60_000_000]).with_timezone("UTC");
        let price = Decimal128Array::from(vec![15]).with_precision_and_scale(5, 1).unwrap();
        let rows = RecordBatch::try_from_iter([
            ("symbol", Arc::new(StringArray::from(vec!["A\nB"])) as ArrayRef),
            ("venue", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            (WINDOW_START, Arc::new(start) as ArrayRef),
            ("price", Arc::new(price) as ArrayRef),
        ])
        .unwrap();
        let keys = ["window_start", "symbol", "venue"].map(str::to_owned);
        assert_eq!(window_and_group(&rows, 0, &keys), "1970-01-01T00:01:00Z, A\\nB, 7");
        assert_eq!(value(rows.column(0), 0), "text of 3 bytes");
        assert_eq!(value(rows.column(3), 0), "1.5");
    }
}
