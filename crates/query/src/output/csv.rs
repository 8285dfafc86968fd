//! CSV after RFC 4180, lines ended by `\n`.

use super::cell::{bytes, plain, scalar, text};
use super::json::push_value;
use super::refused;
use crate::QueryError;
use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;

pub(super) fn write(
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
    out: &mut dyn Write,
) -> Result<u64, QueryError> {
    let mut written = 0;
    let mut lines = String::new();
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            lines.push(',');
        }
        push_field(&mut lines, field.name());
    }
    lines.push('\n');
    out.write_all(lines.as_bytes()).map_err(refused)?;
    for batch in rows {
        let batch = batch?;
        let columns: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
        for row in 0..batch.num_rows() {
            lines.clear();
            for (at, column) in columns.iter().enumerate() {
                if at > 0 {
                    lines.push(',');
                }
                push_cell(&mut lines, column, row);
            }
            lines.push('\n');
            out.write_all(lines.as_bytes()).map_err(refused)?;
        }
        written += batch.num_rows() as u64;
    }
    Ok(written)
}

fn push_cell(out: &mut String, column: &ArrayRef, row: usize) {
    if column.is_null(row) {
        return;
    }
    if let Some(text) = text(column, row) {
        push_field(out, text);
    } else if let Some(bytes) = bytes(column, row) {
        push_field(out, &STANDARD.encode(bytes));
    } else if column.data_type().is_nested() {
        let mut nested = String::new();
        push_value(&mut nested, column, row);
        push_field(out, &nested);
    } else {
        push_field(out, &scalar(column, row));
    }
}

/// An empty text is quoted, to tell it from NULL.
fn push_field(out: &mut String, text: &str) {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(text);
    }
}
