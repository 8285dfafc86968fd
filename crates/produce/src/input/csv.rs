//! Comma-separated values: a header row, then records that become JSON objects.
//!
//! Contract: a cell becomes a JSON number or boolean where the declared column wants one and the cell is one as it
//! stands; otherwise it becomes text as it stands, so that what is wrong with it shows as `type:<column>`. An empty
//! cell becomes null. Cells beyond the header are named `column_<n>`; missing ones are left out. A record may
//! span lines (a quote that is not closed). The header, seen again (a rotated file), is passed over.

use super::extract::Extract;
use super::lines::{Lines, Next};
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;
use crate::generate::push_escaped;
use watertight_core::schema::{ColumnType, StreamDef, TimestampForm};

/// A record longer than this has a quote that is never closed.
const RECORD_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Number,
    Boolean,
    Text,
}

pub(crate) struct Csv {
    lines: Lines,
    extract: Extract,
    next: u64,
    line: Vec<u8>,
    record: Vec<u8>,
    quotes: usize,
    kinds: Vec<(String, Cell)>,
    header: Option<(Vec<u8>, Vec<(Vec<u8>, Cell)>)>,
}

impl Csv {
    pub(crate) fn new(lines: Lines, stream: &StreamDef, extract: Extract, next: u64) -> Self {
        let kinds = stream.columns.iter().filter_map(|column| {
            let [name] = column.path.as_slice() else { return None };
            Some((name.clone(), cell(&column.kind)))
        });
        let kinds = kinds.collect();
        let (line, record) = (Vec::new(), Vec::new());
        Self { lines, extract, next, line, record, quotes: 0, kinds, header: None }
    }

    /// Gathers lines until every quote is closed.
    fn gather(&mut self) -> Result<Gathered, ProduceError> {
        loop {
            match self.lines.next(&mut self.line)? {
                Next::Later => return Ok(Gathered::Later),
                Next::End if self.record.is_empty() => return Ok(Gathered::End),
                Next::End => {
                    self.quotes = 0;
                    return Ok(Gathered::Record(None));
                }
                Next::Line { place } => {
                    if self.quotes % 2 == 1 {
                        self.record.push(b'\n');
                    }
                    self.record.extend_from_slice(&self.line);
                    self.quotes += self.line.iter().filter(|&&byte| byte == b'"').count();
                    if self.record.len() > RECORD_BYTES_MAX {
                        return Err(ProduceError::input("csv", "a quote is never closed"));
                    }
                    if self.quotes.is_multiple_of(2) && !self.record.is_empty() {
                        self.quotes = 0;
                        return Ok(Gathered::Record(place));
                    }
                }
            }
        }
    }

    fn parse(record: &[u8]) -> Vec<Vec<u8>> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(record.len().max(64))
            .from_reader(record);
        let mut cells = csv::ByteRecord::new();
        match reader.read_byte_record(&mut cells) {
            Ok(true) => cells.iter().map(<[u8]>::to_vec).collect(),
            Ok(false) | Err(_) => Vec::new(),
        }
    }

    fn begin(&mut self) {
        let cells = Self::parse(self.record.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.record));
        let kind = |name: &[u8]| {
            self.kinds.iter().find(|(known, _)| known.as_bytes() == name).map_or(Cell::Text, |(_, kind)| *kind)
        };
        let columns = cells.into_iter().map(|name| (kind(&name), name)).map(|(kind, name)| (name, kind)).collect();
        self.header = Some((self.record.clone(), columns));
    }
}

enum Gathered {
    Record(Option<(u64, u64)>),
    Later,
    End,
}

impl ItemSource for Csv {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        loop {
            match self.gather()? {
                Gathered::Later => return Ok(Pull::Later),
                Gathered::End => return Ok(Pull::End),
                Gathered::Record(_) if self.header.is_none() => self.begin(),
                Gathered::Record(_) if self.header.as_ref().is_some_and(|(text, _)| *text == self.record) => {}
                Gathered::Record(place) => {
                    drawn.position = place;
                    drawn.item.sequence = self.next;
                    self.next += 1;
                    let value = drawn.item.value.get_or_insert_default();
                    value.clear();
                    let columns = self.header.as_ref().map_or(&[][..], |(_, columns)| columns);
                    write_object(value, columns, &Self::parse(&self.record));
                    drawn.time_us = self.extract.describe(&mut drawn.item);
                    self.record.clear();
                    return Ok(Pull::Item);
                }
            }
            self.record.clear();
        }
    }
}

fn cell(kind: &ColumnType) -> Cell {
    match kind {
        ColumnType::Int | ColumnType::Long | ColumnType::Float | ColumnType::Double | ColumnType::Decimal { .. } => {
            Cell::Number
        }
        ColumnType::Timestamp(form) if *form != TimestampForm::Rfc3339 => Cell::Number,
        ColumnType::Boolean => Cell::Boolean,
        _ => Cell::Text,
    }
}

fn write_object(out: &mut Vec<u8>, columns: &[(Vec<u8>, Cell)], cells: &[Vec<u8>]) {
    out.push(b'{');
    for (index, value) in cells.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        let kind = match columns.get(index) {
            Some((name, kind)) => {
                push_escaped(out, name);
                *kind
            }
            None => {
                out.extend_from_slice(format!("column_{}", index + 1).as_bytes());
                Cell::Text
            }
        };
        out.extend_from_slice(b"\":");
        let bare = match kind {
            _ if value.is_empty() => {
                out.extend_from_slice(b"null");
                continue;
            }
            Cell::Number => is_json_number(value),
            Cell::Boolean => matches!(value.as_slice(), b"true" | b"false"),
            Cell::Text => false,
        };
        if bare {
            out.extend_from_slice(value);
        } else {
            out.push(b'"');
            push_escaped(out, value);
            out.push(b'"');
        }
    }
    out.push(b'}');
}

/// Whether the text is a number in JSON's grammar.
fn is_json_number(text: &[u8]) -> bool {
    fn digits(text: &[u8]) -> Option<&[u8]> {
        let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        (length > 0).then(|| &text[length..])
    }
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let Some(mut rest) = digits(text) else { return false };
    if text[0] == b'0' && text.len() - rest.len() > 1 {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let Some(behind) = digits(fraction) else { return false };
        rest = behind;
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"+").or_else(|| exponent.strip_prefix(b"-")).unwrap_or(exponent);
        let Some(behind) = digits(exponent) else { return false };
        rest = behind;
    }
    rest.is_empty()
}
