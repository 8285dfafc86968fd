//! JSON: one object per line, keys in the order of the columns. A key that repeats gets a number (`x`, `x_2`).

use super::cell::{bytes, items, plain, scalar, text};
use super::refused;
use crate::QueryError;
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashSet;
use std::io::Write;

pub(super) fn write(
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
    out: &mut dyn Write,
) -> Result<u64, QueryError> {
    let keys = keys(schema);
    let mut written = 0;
    let mut line = String::new();
    for batch in rows {
        let batch = batch?;
        let columns: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
        line.clear();
        for row in 0..batch.num_rows() {
            line.push('{');
            for (at, (key, column)) in keys.iter().zip(&columns).enumerate() {
                if at > 0 {
                    line.push(',');
                }
                line.push_str(key);
                line.push(':');
                push_value(&mut line, column, row);
            }
            line.push_str("}\n");
            if line.len() > 1 << 16 {
                out.write_all(line.as_bytes()).map_err(refused)?;
                line.clear();
            }
        }
        out.write_all(line.as_bytes()).map_err(refused)?;
        written += batch.num_rows() as u64;
    }
    Ok(written)
}

/// The keys, quoted and made unique.
fn keys(schema: &SchemaRef) -> Vec<String> {
    let mut taken = HashSet::new();
    let mut keys = Vec::new();
    for field in schema.fields() {
        let mut name = field.name().clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{}_{number}", field.name());
            number += 1;
        }
        let mut key = String::new();
        push_text(&mut key, &name);
        keys.push(key);
    }
    keys
}

/// Appends a value, nested ones included.
pub(super) fn push_value(out: &mut String, array: &ArrayRef, row: usize) {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.push_str("null");
    } else if let Some(text) = text(array, row) {
        push_text(out, text);
    } else if let Some(bytes) = bytes(array, row) {
        out.push('"');
        STANDARD.encode_string(bytes, out);
        out.push('"');
    } else if let Some(items) = items(array, row) {
        push_items(out, &plain(&items));
    } else {
        match array.data_type() {
            DataType::Struct(_) => push_struct(out, array, row),
            DataType::Map(..) => push_map(out, array, row),
            DataType::Dictionary(..) => push_value(out, &plain(&array.slice(row, 1)), 0),
            _ => push_scalar(out, array, row),
        }
    }
}

fn push_items(out: &mut String, items: &ArrayRef) {
    out.push('[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(',');
        }
        push_value(out, items, item);
    }
    out.push(']');
}

fn push_struct(out: &mut String, array: &ArrayRef, row: usize) {
    let fields = array.as_struct();
    out.push('{');
    for (at, (name, column)) in fields.column_names().into_iter().zip(fields.columns()).enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_text(out, name);
        out.push(':');
        push_value(out, column, row);
    }
    out.push('}');
}

fn push_map(out: &mut String, array: &ArrayRef, row: usize) {
    let entries = array.as_map().value(row);
    out.push('{');
    for entry in 0..entries.len() {
        if entry > 0 {
            out.push(',');
        }
        let mut key = String::new();
        push_value(&mut key, entries.column(0), entry);
        if key.starts_with('"') {
            out.push_str(&key);
        } else {
            push_text(out, &key);
        }
        out.push(':');
        push_value(out, entries.column(1), entry);
    }
    out.push('}');
}

fn push_scalar(out: &mut String, array: &ArrayRef, row: usize) {
    let text = scalar(array, row);
    let kind = array.data_type();
    let finite = !text.ends_with("NaN") && !text.ends_with("inf");
    let bare = kind.is_integer()
        || (kind.is_floating() && finite)
        || matches!(kind, DataType::Boolean)
        || matches!(
            kind,
            DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..)
        );
    if bare { out.push_str(&text) } else { push_text(out, &text) }
}

/// Appends text as a JSON string.
fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", control as u32)),
            letter => out.push(letter),
        }
    }
    out.push('"');
}
