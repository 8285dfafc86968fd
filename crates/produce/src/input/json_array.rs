//! A document with an array of records, as public data sets come: `[{…}, …]` or `{"features": [{…}, …], …}`.
//!
//! Contract: elements are given one by one, byte for byte as they stand between the commas; the document is never held
//! as a whole, and an element of more than [`LINE_BYTES_MAX`] is an error. Only the structure outside of elements is
//! understood; what is inside is for the pipeline to judge.

use super::extract::Extract;
use super::feed::{Chunk, Feed};
use super::{LINE_BYTES_MAX, too_long};
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;
use crate::request::InputFrom;

/// What to do where the input holds lines.
const LINES: &str = "; if each of its lines is an event, say --input-format json";

/// Where in the document the scan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte that counts.
    Start,
    /// In the top-level object: before a name, or behind a member.
    Members,
    /// Behind a member's name and colon.
    Value,
    /// In the array of records, between elements.
    Elements,
    /// Behind the array.
    Done,
}

pub(crate) struct JsonArray {
    feed: Feed,
    member: Option<String>,
    extract: Extract,
    next: u64,
    state: State,
    current: Vec<u8>,
    ended: bool,
}

/// One token's extent in the buffer, or what keeps it from being known.
enum Extent {
    End(usize),
    /// More bytes are needed.
    Short,
}

impl JsonArray {
    pub(super) fn open(
        from: &InputFrom,
        member: Option<String>,
        extract: Extract,
        next: u64,
    ) -> Result<Self, ProduceError> {
        let feed = Feed::open(from, false, None)?;
        Ok(Self { feed, member, extract, next, state: State::Start, current: Vec::new(), ended: false })
    }

    fn fail(&self, what: &str) -> ProduceError {
        ProduceError::input(self.feed.name(), what)
    }

    /// The next byte that is no white space and no comma, without taking it.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.feed.rest().iter();
        let blanks = rest.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf));
        let blanks = blanks.count();
        self.feed.take(blanks);
        self.feed.rest().first().copied()
    }

    /// Moves on by one token, or finds an element at the present place.
    fn step(&mut self) -> Result<Step, ProduceError> {
        let Some(byte) = self.peek() else { return Ok(Step::Short) };
        match (self.state, byte) {
            (State::Start, b'[') if self.member.is_none() => self.go(State::Elements),
            (State::Start, b'{') => self.go(State::Members),
            (State::Start, _) => {
                return Err(self.fail(&format!("is neither a JSON array nor an object that holds one{LINES}")));
            }
            (State::Members, b'}') => {
                return Err(self.fail(&format!("has no member that is an array of objects{LINES}")));
            }
            (State::Members, b'"') => return self.member_name(),
            (State::Members, _) => return Err(self.fail("is no valid JSON: a member's name was expected")),
            (State::Value, b'[') if self.is_wanted() != Wanted::No => match self.is_wanted() {
                Wanted::Unknown => return Ok(Step::Short),
                _ => self.go(State::Elements),
            },
            (State::Value, _) => {
                let Extent::End(end) = extent(self.feed.rest()) else { return Ok(Step::Short) };
                self.feed.take(end);
                self.state = State::Members;
            }
            (State::Elements, b']') => self.go(State::Done),
            (State::Elements, _) => {
                return match extent(self.feed.rest()) {
                    Extent::Short => Ok(Step::Short),
                    Extent::End(0) => Err(self.fail("is no valid JSON: a bracket is closed that was not opened")),
                    Extent::End(end) => Ok(Step::Element(end)),
                };
            }
            (State::Done, _) => return Ok(Step::Done),
        }
        Ok(Step::Moved)
    }

    fn member_name(&mut self) -> Result<Step, ProduceError> {
        let rest = self.feed.rest();
        let Extent::End(end) = extent(rest) else { return Ok(Step::Short) };
        let colon = rest[end..].iter().position(|byte| !byte.is_ascii_whitespace());
        let Some(colon) = colon else { return Ok(Step::Short) };
        if rest[end + colon] != b':' {
            return Err(self.fail("is no valid JSON: a member's name is not followed by a colon"));
        }
        self.current = rest[1..end - 1].to_vec();
        self.feed.take(end + colon + 1);
        self.state = State::Value;
        Ok(Step::Moved)
    }

    fn go(&mut self, state: State) {
        self.feed.take(1);
        self.state = state;
    }

    /// Whether the array at the present place is the one that holds the records.
    fn is_wanted(&self) -> Wanted {
        if let Some(member) = &self.member {
            return if self.current == member.as_bytes() { Wanted::Yes } else { Wanted::No };
        }
        let first = self.feed.rest()[1..].iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(b'{') => Wanted::Yes,
            Some(_) => Wanted::No,
            None => Wanted::Unknown,
        }
    }

    /// What to say of the value at the present place.
    fn too_long(&self) -> ProduceError {
        let which = format!("the value at byte {} (is a bracket or a quote never closed?)", self.feed.offset());
        match too_long(&self.feed, false, &which) {
            Err(error) => error,
            Ok(what) => self.fail(&what),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
    Unknown,
}

enum Step {
    Moved,
    /// So many bytes at the present place.
    Element(usize),
    Short,
    Done,
}

impl ItemSource for JsonArray {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        loop {
            match self.step()? {
                Step::Moved => {}
                Step::Done => return Ok(Pull::End),
                Step::Element(length) if length > LINE_BYTES_MAX => return Err(self.too_long()),
                Step::Element(length) => {
                    let value = drawn.item.value.get_or_insert_default();
                    value.clear();
                    value.extend_from_slice(self.feed.rest()[..length].trim_ascii_end());
                    self.feed.take(length);
                    drawn.position = self.feed.place();
                    drawn.item.sequence = self.next;
                    self.next += 1;
                    drawn.time_us = self.extract.describe(&mut drawn.item);
                    return Ok(Pull::Item);
                }
                Step::Short if self.ended => {
                    if self.state == State::Done {
                        return Ok(Pull::End);
                    }
                    return Err(self.fail("ends in the middle; all whole elements before that were sent"));
                }
                Step::Short if self.feed.rest().len() > LINE_BYTES_MAX => return Err(self.too_long()),
                Step::Short => match self.feed.more()? {
                    Chunk::More | Chunk::Turned => {}
                    Chunk::Later => return Ok(Pull::Later),
                    Chunk::End => self.ended = true,
                },
            }
        }
    }
}

/// How far the JSON value at the beginning of `bytes` reaches; nothing is checked but strings and brackets.
fn extent(bytes: &[u8]) -> Extent {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for (index, &byte) in bytes.iter().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            if !in_string && depth == 0 {
                return Extent::End(index + 1);
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            // A bare value (a number, `true`) ends where its surroundings go on.
            b'}' | b']' | b',' if depth == 0 => return Extent::End(index),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Extent::End(index + 1);
                }
            }
            _ => {}
        }
    }
    Extent::Short
}
