//! Lines of an input.
//!
//! Contract: every line is given once, in order, without its line end (`\n` or `\r\n`) and without a byte order mark before the
//! first. A last line without an end counts at the end of an input; in a followed file it is waited for, until the
//! file is rotated away. A line that is longer than [`LINE_BYTES_MAX`] is never held: it is an error, in a followed input it is
//! passed over, and told once.

use super::feed::{Chunk, Feed};
use super::{BYTE_ORDER_MARK, LINE_BYTES_MAX, too_long};
use crate::error::ProduceError;
use crate::ledger::Place;
use crate::request::InputFrom;

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// A line is in the buffer; `place` is behind it, for files.
    Line { place: Option<Place> },
    /// A line was too long: what to say of it.
    PassedOver(String),
    /// Nothing now.
    Later,
    /// Nothing any more.
    End,
}

/// See the module.
pub(super) struct Lines {
    feed: Feed,
    follow: bool,
    /// Up to where the rest is known to hold no line end.
    searched: usize,
    /// Number of the next line in its file, from 1; unknown where reading did not begin there.
    number: Option<u64>,
    /// The beginning of a line that is too long was passed over, and its end is looked for.
    passing: bool,
    /// The file has ended: what is left is a line.
    turned: bool,
    ended: bool,
}

impl Lines {
    pub(super) fn open(from: &InputFrom, follow: bool, resume: Option<&Place>) -> Result<Self, ProduceError> {
        let feed = Feed::open(from, follow, resume)?;
        let number = resume.is_none().then_some(1);
        Ok(Self { feed, follow, searched: 0, number, passing: false, turned: false, ended: false })
    }

    /// Writes the next line into `line`.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<Next, ProduceError> {
        loop {
            let rest = self.feed.rest();
            if let Some(found) = rest[self.searched..].iter().position(|&byte| byte == b'\n') {
                let end = self.searched + found;
                match self.give(line, end, end + 1)? {
                    Some(next) => return Ok(next),
                    None => continue,
                }
            }
            self.searched = rest.len();
            if self.turned || self.ended {
                let end = self.searched;
                if end > 0
                    && let Some(next) = self.give(line, end, end)?
                {
                    return Ok(next);
                }
                if self.ended {
                    return Ok(Next::End);
                }
                self.feed.turn()?;
                (self.searched, self.number, self.passing, self.turned) = (0, Some(1), false, false);
            }
            if self.searched > LINE_BYTES_MAX {
                let what = (!self.passing).then(|| self.too_long()).transpose()?;
                self.feed.take(self.searched);
                (self.searched, self.passing) = (0, true);
                if let Some(what) = what {
                    return Ok(Next::PassedOver(what));
                }
            }
            match self.feed.more()? {
                Chunk::More => {}
                Chunk::Later => return Ok(Next::Later),
                Chunk::Turned => self.turned = true,
                Chunk::End => self.ended = true,
            }
        }
    }

    /// Gives the line that ends at `end`, or passes it over.
    fn give(&mut self, line: &mut Vec<u8>, end: usize, next: usize) -> Result<Option<Next>, ProduceError> {
        let given = if self.passing {
            None
        } else if end > LINE_BYTES_MAX {
            Some(Next::PassedOver(self.too_long()?))
        } else {
            let bytes = &self.feed.rest()[..end];
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            let marked = (self.feed.offset() == 0).then(|| bytes.strip_prefix(BYTE_ORDER_MARK)).flatten();
            line.clear();
            line.extend_from_slice(marked.unwrap_or(bytes));
            Some(Next::Line { place: None })
        };
        self.feed.take(next);
        self.searched = 0;
        self.passing = false;
        self.number = self.number.map(|number| number + 1);
        Ok(match given {
            Some(Next::Line { .. }) => Some(Next::Line { place: self.feed.place() }),
            other => other,
        })
    }

    /// What to say of the line at the present place.
    fn too_long(&self) -> Result<String, ProduceError> {
        let at = self.feed.offset();
        let which = match self.number {
            Some(number) => format!("line {number}, at byte {at},"),
            None => format!("the line at byte {at}"),
        };
        too_long(&self.feed, self.follow, &which)
    }
}
