//! Comma-separated values: a header row, then records that become JSON objects.
//!
//! Contract: a cell becomes a JSON number or boolean where the declared column wants one and the cell is one as it
//! stands; otherwise it becomes text as it stands, so that what is wrong with it shows as `type:<column>`. An empty
//! cell becomes null. Cells beyond the header are named `column_<n>`; missing ones are left out. A record may
//! span lines (in quotes). The header, seen again (a rotated file), is passed over. A quote that is never closed, and a
//! record that is longer than [`LINE_BYTES_MAX`], are errors that name their line; a followed input passes them over and says
//! so.

use super::csv_records::{Cells, Records, Rest};
use super::extract::Extract;
use super::feed::{Chunk, Feed};
use super::{BYTE_ORDER_MARK, LINE_BYTES_MAX, too_long};
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;
use crate::generate::push_escaped;
use watertight_core::schema::{ColumnType, StreamDef, TimestampForm};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Number,
    Boolean,
    Text,
}

pub(crate) struct Csv {
    feed: Feed,
    follow: bool,
    records: Records,
    extract: Extract,
    next: u64,
    kinds: Vec<(String, Cell)>,
    header: Option<Header>,
    /// Where in its file the record that was read last began.
    begun: u64,
    /// The file has ended: what is left is a record.
    turned: bool,
    ended: bool,
}

struct Header {
    cells: Cells,
    columns: Vec<(Vec<u8>, Cell)>,
}

/// What was read.
enum Read {
    /// A record is in `records`.
    Record,
    PassedOver(String),
    Later,
    End,
}

impl Csv {
    pub(super) fn new(feed: Feed, follow: bool, stream: &StreamDef, extract: Extract, next: u64) -> Self {
        let kinds = stream.columns.iter().filter_map(|column| {
            let [name] = column.path.as_slice() else { return None };
            Some((name.clone(), cell(&column.kind)))
        });
        let (kinds, records) = (kinds.collect(), Records::new());
        Self { feed, follow, records, extract, next, kinds, header: None, begun: 0, turned: false, ended: false }
    }

    /// Reads up to the end of a record.
    fn read(&mut self) -> Result<Read, ProduceError> {
        loop {
            let marked = self.pass_mark();
            if !marked && !self.feed.rest().is_empty() {
                let (taken, ended) = self.records.take(self.feed.rest());
                self.feed.take(taken);
                self.begun = self.feed.offset().saturating_sub(self.records.length() as u64 + u64::from(ended));
                let passing = self.records.is_passing();
                if self.records.length() > LINE_BYTES_MAX && !passing {
                    let what = self.too_long()?;
                    self.records.pass_over();
                    return Ok(Read::PassedOver(what));
                }
                if passing {
                    // Nothing of it is kept, however much still comes.
                    self.records.pass_over();
                }
                if ended && !passing {
                    return Ok(Read::Record);
                }
                if ended {
                    continue;
                }
            }
            if self.turned || self.ended {
                let (passing, rest) = (self.records.is_passing(), self.records.finish());
                if self.turned {
                    self.feed.turn()?;
                    self.turned = false;
                }
                match rest {
                    Rest::Nothing if self.ended => return Ok(Read::End),
                    Rest::Record if !passing => return Ok(Read::Record),
                    Rest::OpenQuote(line) if !passing => return self.open_quote(line).map(Read::PassedOver),
                    _ => {}
                }
            }
            match self.feed.more()? {
                Chunk::More => {}
                Chunk::Later => return Ok(Read::Later),
                Chunk::Turned => self.turned = true,
                Chunk::End => self.ended = true,
            }
        }
    }

    /// Passes over a byte order mark; true where more is needed to know whether there is one.
    fn pass_mark(&mut self) -> bool {
        let rest = self.feed.rest();
        if self.feed.offset() > 0 || self.turned || self.ended {
            return false;
        }
        if rest.starts_with(BYTE_ORDER_MARK) {
            self.feed.take(BYTE_ORDER_MARK.len());
            return false;
        }
        BYTE_ORDER_MARK.starts_with(rest)
    }

    fn open_quote(&self, line: u64) -> Result<String, ProduceError> {
        let what = format!("has a quote in line {line} that is never closed, so what stands behind it is no record");
        if self.follow { Ok(what) } else { Err(ProduceError::input(self.feed.name(), what)) }
    }

    fn too_long(&self) -> Result<String, ProduceError> {
        let which = format!(
            "the record that begins in line {}, at byte {} (is a quote never closed?),",
            self.records.first_line(),
            self.begun
        );
        too_long(&self.feed, self.follow, &which)
    }

    fn begin(&mut self) {
        let cells = self.records.cells().clone();
        let kind = |name: &[u8]| {
            self.kinds.iter().find(|(known, _)| known.as_bytes() == name).map_or(Cell::Text, |(_, kind)| *kind)
        };
        let columns = cells.iter().map(|name| (name.to_vec(), kind(name))).collect();
        self.header = Some(Header { cells, columns });
    }
}

impl ItemSource for Csv {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        loop {
            match self.read()? {
                Read::Later => return Ok(Pull::Later),
                Read::End => return Ok(Pull::End),
                Read::PassedOver(what) => return Ok(Pull::PassedOver(what)),
                Read::Record => {}
            }
            let Some(header) = &self.header else {
                self.begin();
                continue;
            };
            if header.cells == *self.records.cells() {
                continue;
            }
            let value = drawn.item.value.get_or_insert_default();
            value.clear();
            write_object(value, &header.columns, self.records.cells());
            if value.len() > LINE_BYTES_MAX {
                return self.too_long().map(Pull::PassedOver);
            }
            drawn.position = self.feed.place();
            drawn.item.sequence = self.next;
            self.next += 1;
            drawn.time_us = self.extract.describe(&mut drawn.item);
            return Ok(Pull::Item);
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

fn write_object(out: &mut Vec<u8>, columns: &[(Vec<u8>, Cell)], cells: &Cells) {
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
            Cell::Boolean => matches!(value, b"true" | b"false"),
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
