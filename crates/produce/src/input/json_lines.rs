//! JSON lines: each line is a record, as it is.

use super::extract::Extract;
use super::lines::{Lines, Next};
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;

pub(crate) struct JsonLines {
    lines: Lines,
    extract: Extract,
    next: u64,
    line: Vec<u8>,
}

impl JsonLines {
    pub(super) fn new(lines: Lines, extract: Extract, next: u64) -> Self {
        Self { lines, extract, next, line: Vec::new() }
    }
}

impl ItemSource for JsonLines {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        loop {
            match self.lines.next(&mut self.line)? {
                Next::Later => return Ok(Pull::Later),
                Next::End => return Ok(Pull::End),
                Next::PassedOver(what) => return Ok(Pull::PassedOver(what)),
                Next::Line { .. } if self.line.is_empty() => {}
                Next::Line { place } => {
                    drawn.position = place;
                    drawn.item.sequence = self.next;
                    self.next += 1;
                    let value = drawn.item.value.get_or_insert_default();
                    value.clear();
                    value.extend_from_slice(&self.line);
                    drawn.time_us = self.extract.describe(&mut drawn.item);
                    return Ok(Pull::Item);
                }
            }
        }
    }
}
