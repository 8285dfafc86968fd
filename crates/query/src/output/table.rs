//! Aligned columns for people. The first thousand rows set the widths; a wider cell further down widens its own line.

use super::cell::{bytes, plain, scalar, text};
use super::json::push_value;
use super::refused;
use crate::QueryError;
use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use std::fmt::Write as _;
use std::io::Write;

/// Rows looked at before the first is printed.
const ROWS_MEASURED: usize = 1_000;
/// Longer cells are cut, with `…`: a payload of a megabyte is not for reading in a terminal.
const CELL_CHARS_MAX: usize = 400;

struct Column {
    name: String,
    width: usize,
    numeric: bool,
}

pub(super) fn write(
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
    out: &mut dyn Write,
) -> Result<u64, QueryError> {
    let mut columns: Vec<Column> =
        schema.fields().iter().map(|field| column(field.name(), field.data_type())).collect();
    let mut measured: Vec<Vec<String>> = Vec::new();
    let mut begun = false;
    let mut written = 0;
    for batch in rows {
        let batch = batch?;
        let arrays: Vec<ArrayRef> = batch.columns().iter().map(plain).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = arrays.iter().map(|array| cell(array, row)).collect();
            if begun {
                out.write_all(line(&columns, &cells).as_bytes()).map_err(refused)?;
            } else {
                measured.push(cells);
                if measured.len() == ROWS_MEASURED {
                    begin(&mut columns, &mut measured, out)?;
                    begun = true;
                }
            }
        }
        written += batch.num_rows() as u64;
    }
    if !begun {
        begin(&mut columns, &mut measured, out)?;
    }
    let count = if written == 1 { "(1 row)\n".to_owned() } else { format!("({written} rows)\n") };
    out.write_all(count.as_bytes()).map_err(refused)?;
    Ok(written)
}

fn column(name: &str, kind: &DataType) -> Column {
    let name = printable(name);
    Column { width: name.chars().count(), name, numeric: kind.is_numeric() }
}

fn begin(columns: &mut [Column], measured: &mut Vec<Vec<String>>, out: &mut dyn Write) -> Result<(), QueryError> {
    for cells in measured.iter() {
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.width = column.width.max(cell.chars().count());
        }
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let rule: Vec<String> = columns.iter().map(|column| "-".repeat(column.width + 2)).collect();
    let mut text = line(columns, &names);
    text.push_str(&rule.join("+"));
    text.push('\n');
    for cells in measured.drain(..) {
        text.push_str(&line(columns, &cells));
    }
    out.write_all(text.as_bytes()).map_err(refused)
}

fn line(columns: &[Column], cells: &[String]) -> String {
    let mut text = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        text.push_str(if at == 0 { " " } else { " | " });
        let gap = " ".repeat(column.width.saturating_sub(cell.chars().count()));
        if column.numeric {
            text.push_str(&gap);
            text.push_str(cell);
        } else {
            text.push_str(cell);
            text.push_str(&gap);
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn cell(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "NULL".to_owned();
    }
    if let Some(text) = text(array, row) {
        return printable(text);
    }
    if let Some(bytes) = bytes(array, row) {
        let mut hex = String::new();
        for byte in bytes.iter().take(CELL_CHARS_MAX / 2) {
            let _ = write!(hex, "{byte:02x}");
        }
        if bytes.len() > CELL_CHARS_MAX / 2 {
            hex.push('…');
        }
        return hex;
    }
    if array.data_type().is_nested() {
        let mut nested = String::new();
        push_value(&mut nested, array, row);
        return printable(&nested);
    }
    scalar(array, row)
}

/// Without what would move the cursor or recolour the terminal; cut where it is very long.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(CELL_CHARS_MAX));
    for (at, letter) in text.chars().enumerate() {
        if at == CELL_CHARS_MAX {
            shown.push('…');
            break;
        }
        match letter {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            letter if letter.is_control() => shown.extend(letter.escape_unicode()),
            letter => shown.push(letter),
        }
    }
    shown
}
