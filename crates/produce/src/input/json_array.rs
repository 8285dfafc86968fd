//! A document with an array of records, as public data sets come: `[{…}, …]` or `{"features": [{…}, …], …}`.
//!
//! Contract: elements are given one by one, byte for byte as they stand between the commas; the document is never held
//! as a whole. Only the structure outside of elements is understood; what is inside is for the pipeline to judge.

use super::extract::Extract;
use super::lines::spawn_reader;
use super::name_of;
use crate::batch::{Drawn, ItemSource, Pull};
use crate::error::ProduceError;
use crate::request::InputFrom;
use std::fs::File;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Longer elements are taken for a bracket that is never closed.
const ELEMENT_BYTES_MAX: usize = 256 << 20;

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
    name: String,
    chunks: Receiver<std::io::Result<Vec<u8>>>,
    member: Option<String>,
    extract: Extract,
    next: u64,
    state: State,
    current: Vec<u8>,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

/// One token's extent in the buffer, or what keeps it from being known.
enum Extent {
    End(usize),
    /// More bytes are needed.
    Short,
}

impl JsonArray {
    pub(crate) fn open(
        from: &InputFrom,
        member: Option<String>,
        extract: Extract,
        next: u64,
    ) -> Result<Self, ProduceError> {
        let name = name_of(from);
        let chunks = match from {
            InputFrom::Stdin => spawn_reader(std::io::stdin()),
            InputFrom::Path(path) => {
                let opened = File::open(path);
                spawn_reader(opened.map_err(|error| ProduceError::input(&name, format!("cannot be opened: {error}")))?)
            }
        };
        let (current, buffer) = (Vec::new(), Vec::new());
        Ok(Self { name, chunks, member, extract, next, state: State::Start, current, buffer, at: 0, ended: false })
    }

    fn fail(&self, what: &str) -> ProduceError {
        ProduceError::input(&self.name, what)
    }

    /// The next byte that is no white space and no comma, without taking it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.buffer.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | 0xef | 0xbb | 0xbf) {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Moves on by one token; true where an element is in the buffer at the returned range.
    fn step(&mut self) -> Result<Step, ProduceError> {
        let Some(byte) = self.peek() else { return Ok(Step::Short) };
        match (self.state, byte) {
            (State::Start, b'[') if self.member.is_none() => self.go(State::Elements),
            (State::Start, b'{') => self.go(State::Members),
            (State::Start, _) => return Err(self.fail("is neither a JSON array nor an object that holds one")),
            (State::Members, b'}') => return Err(self.fail("has no member that is an array of objects")),
            (State::Members, b'"') => {
                let Extent::End(end) = extent(&self.buffer[self.at..]) else { return Ok(Step::Short) };
                let behind = self.buffer[self.at + end..].iter().position(|byte| !byte.is_ascii_whitespace());
                let Some(colon) = behind else { return Ok(Step::Short) };
                if self.buffer[self.at + end + colon] != b':' {
                    return Err(self.fail("is no valid JSON: a member's name is not followed by a colon"));
                }
                self.current = self.buffer[self.at + 1..self.at + end - 1].to_vec();
                self.at += end + colon + 1;
                self.state = State::Value;
            }
            (State::Members, _) => return Err(self.fail("is no valid JSON: a member's name was expected")),
            (State::Value, b'[') if self.is_wanted()? != Wanted::No => match self.is_wanted()? {
                Wanted::Unknown => return Ok(Step::Short),
                _ => self.go(State::Elements),
            },
            (State::Value, _) => {
                let Extent::End(end) = extent(&self.buffer[self.at..]) else { return Ok(Step::Short) };
                self.at += end;
                self.state = State::Members;
            }
            (State::Elements, b']') => self.go(State::Done),
            (State::Elements, _) => {
                let Extent::End(end) = extent(&self.buffer[self.at..]) else { return Ok(Step::Short) };
                if end == 0 {
                    return Err(self.fail("is no valid JSON: a bracket is closed that was not opened"));
                }
                let start = self.at;
                self.at += end;
                return Ok(Step::Element(start, self.at));
            }
            (State::Done, _) => return Ok(Step::Done),
        }
        Ok(Step::Moved)
    }

    fn go(&mut self, state: State) {
        self.at += 1;
        self.state = state;
    }

    /// Whether the array at the present place is the one that holds the records.
    fn is_wanted(&self) -> Result<Wanted, ProduceError> {
        if let Some(member) = &self.member {
            return Ok(if self.current == member.as_bytes() { Wanted::Yes } else { Wanted::No });
        }
        let first = self.buffer[self.at + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
        Ok(match first {
            Some(b'{') => Wanted::Yes,
            Some(_) => Wanted::No,
            None => Wanted::Unknown,
        })
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
    Element(usize, usize),
    Short,
    Done,
}

impl ItemSource for JsonArray {
    fn next(&mut self, drawn: &mut Drawn) -> Result<Pull, ProduceError> {
        loop {
            match self.step()? {
                Step::Moved => {}
                Step::Done => return Ok(Pull::End),
                Step::Element(start, end) => {
                    drawn.position = None;
                    drawn.item.sequence = self.next;
                    self.next += 1;
                    let value = drawn.item.value.get_or_insert_default();
                    value.clear();
                    value.extend_from_slice(self.buffer[start..end].trim_ascii_end());
                    drawn.time_us = self.extract.describe(&mut drawn.item);
                    return Ok(Pull::Item);
                }
                Step::Short if self.ended => {
                    if self.state == State::Done {
                        return Ok(Pull::End);
                    }
                    return Err(self.fail("ends in the middle; all whole elements before that were sent"));
                }
                Step::Short => {
                    self.buffer.drain(..self.at);
                    self.at = 0;
                    if self.buffer.len() > ELEMENT_BYTES_MAX {
                        return Err(self.fail("has an element without an end"));
                    }
                    match self.chunks.recv_timeout(Duration::from_millis(10)) {
                        Ok(Ok(chunk)) => self.buffer.extend_from_slice(&chunk),
                        Ok(Err(error)) => return Err(self.fail(&format!("cannot be read: {error}"))),
                        Err(RecvTimeoutError::Timeout) => return Ok(Pull::Later),
                        Err(RecvTimeoutError::Disconnected) => self.ended = true,
                    }
                }
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
