//! Rows as text: a table for people, JSON lines and CSV for programs.
//!
//! Values are exact: decimals keep all digits, 64-bit integers too, floats are the shortest text that reads back as
//! the same number. Timestamps are RFC 3339, UTC (`Z`); those without a zone have no `Z`.

mod cell;
mod csv;
mod json;
mod table;
#[cfg(test)]
mod tests;

pub use cell::type_name;

use crate::QueryError;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::io::Write;
use std::str::FromStr;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Aligned columns and a count. NULL is `NULL`, bytes are hexadecimal, control characters are escaped.
    #[default]
    Table,
    /// One JSON object per line. Bytes are base64, decimals numbers with all their digits, NaN and infinities strings.
    Json,
    /// RFC 4180 with a header. NULL is empty, an empty text is `""`, bytes are base64, lists and structs JSON.
    Csv,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            other => Err(format!("'{other}' is no format; use table, json or csv")),
        }
    }
}

impl Format {
    /// Writes all rows as they come; gives their number. Memory is that of a batch, and for tables of the first
    /// thousand rows, which set the widths.
    ///
    /// # Errors
    /// The query's own, or `Io` from `out` (`BrokenPipe`: the reader has gone, which is no failure of ours).
    pub fn write(
        self,
        schema: &SchemaRef,
        rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
        out: &mut dyn Write,
    ) -> Result<u64, QueryError> {
        let written = match self {
            Self::Table => table::write(schema, rows, out),
            Self::Json => json::write(schema, rows, out),
            Self::Csv => csv::write(schema, rows, out),
        }?;
        out.flush().map_err(refused)?;
        Ok(written)
    }
}

fn refused(error: std::io::Error) -> QueryError {
    QueryError::io("could not write the rows", error)
}
