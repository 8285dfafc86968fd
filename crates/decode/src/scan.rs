//! The grammar of JSON (RFC 8259) over one payload: where a value begins and ends, and what shape it has.
//!
//! Contract: a forward scanner over text that is known to be UTF-8. It allocates nothing (the stack of open
//! containers is the caller's and is reused), never recurses, and reads each byte once. What it accepts is exactly
//! RFC 8259 with two readings made strict: a `\u` surrogate must come as a pair, and nothing may follow the value.
//! It never interprets a value: numbers stay text, strings stay escaped.

/// Why a payload is not a JSON text within limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON.
    Invalid,
    /// More containers inside one another than allowed.
    TooDeep,
}

/// What a value looks like, as far as its first pass tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The payload holds no such member.
    Absent,
    /// A member on the way to the value is no object, so the value can't be there.
    Misplaced,
    /// `null`.
    Null,
    /// `false`.
    False,
    /// `true`.
    True,
    /// A number without fraction and exponent.
    Integer,
    /// Any other number.
    Number,
    /// A string without escapes.
    Text,
    /// A string with at least one escape.
    Escaped,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// A value's shape and extent in bytes. A string's extent is what stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    /// Its shape.
    pub(crate) shape: Shape,
    /// First byte.
    pub(crate) start: u32,
    /// One past the last byte.
    pub(crate) end: u32,
}

impl Value {
    /// No value.
    pub(crate) const ABSENT: Self = Self { shape: Shape::Absent, start: 0, end: 0 };
    /// A value that can't be where it was declared to be.
    pub(crate) const MISPLACED: Self = Self { shape: Shape::Misplaced, start: 0, end: 0 };

    fn new(shape: Shape, start: usize, end: usize) -> Self {
        Self { shape, start: start as u32, end: end as u32 }
    }

    /// Its extent.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its extent with the quotes of a string.
    pub(crate) fn raw_range(self) -> std::ops::Range<usize> {
        match self.shape {
            Shape::Text | Shape::Escaped => self.start as usize - 1..self.end as usize + 1,
            _ => self.range(),
        }
    }
}

/// The containers that are open while an unread value is passed over.
pub(crate) type Open = Vec<Container>;

/// Kind of an open container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// `{`
    Object,
    /// `[`
    Array,
}

/// A payload being read. Positions are byte offsets into it; one past the end reads as 0, which no rule accepts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scanner<'p> {
    /// The payload.
    pub(crate) text: &'p str,
    bytes: &'p [u8],
    depth_max: usize,
}

impl<'p> Scanner<'p> {
    /// A scanner over `text` (shorter than 4 GiB) that opens at most `depth_max` containers inside one another.
    pub(crate) fn new(text: &'p str, depth_max: u16) -> Self {
        Self { text, bytes: text.as_bytes(), depth_max: usize::from(depth_max) }
    }

    /// The byte at `at`, 0 past the end.
    #[inline]
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// The first 16 bytes from `at`, little-endian, where there are as many.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> Option<u128> {
        self.bytes.get(at..)?.first_chunk().map(|chunk| u128::from_le_bytes(*chunk))
    }

    /// Whether `expected` stands at `at`.
    pub(crate) fn stands_at(&self, at: usize, expected: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(expected))
    }

    /// The first position from `at` on that is no white space.
    #[inline]
    pub(crate) fn white(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\n' | b'\r' | b'\t') {
            at += 1;
        }
        at
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&self, at: usize) -> Result<(), Fault> {
        if self.white(at) == self.bytes.len() { Ok(()) } else { Err(Fault::Invalid) }
    }

    /// The string whose opening quote is just before `start`; its end is the position of the closing quote.
    #[inline]
    pub(crate) fn string(&self, start: usize) -> Result<Value, Fault> {
        let mut at = start;
        let mut shape = Shape::Text;
        loop {
            at = next_special(self.bytes, at);
            match self.byte(at) {
                b'"' => return Ok(Value::new(shape, start, at)),
                b'\\' => {
                    at = self.escape(at + 1)?;
                    shape = Shape::Escaped;
                }
                _ => return Err(Fault::Invalid),
            }
        }
    }

    /// The position after the escape whose letter is at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.byte(at) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(at + 1),
            b'u' => match self.hex(at + 1)? {
                0xd800..=0xdbff if self.stands_at(at + 5, b"\\u") => match self.hex(at + 7)? {
                    0xdc00..=0xdfff => Ok(at + 11),
                    _ => Err(Fault::Invalid),
                },
                0xd800..=0xdfff => Err(Fault::Invalid),
                _ => Ok(at + 5),
            },
            _ => Err(Fault::Invalid),
        }
    }

    fn hex(&self, at: usize) -> Result<u32, Fault> {
        let mut code = 0;
        for place in at..at + 4 {
            let digit = char::from(self.byte(place)).to_digit(16).ok_or(Fault::Invalid)?;
            code = code << 4 | digit;
        }
        Ok(code)
    }

    /// After the closing quote of a key at `at`: the position of its value.
    #[inline]
    pub(crate) fn colon(&self, at: usize) -> Result<usize, Fault> {
        let at = self.white(at);
        if self.byte(at) == b':' { Ok(self.white(at + 1)) } else { Err(Fault::Invalid) }
    }

    #[inline]
    fn number(&self, start: usize) -> Result<Value, Fault> {
        let mut at = start + usize::from(self.byte(start) == b'-');
        at = match self.byte(at) {
            b'0' => at + 1,
            _ => self.digits(at)?,
        };
        let mut shape = Shape::Integer;
        if self.byte(at) == b'.' {
            shape = Shape::Number;
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            shape = Shape::Number;
            let signed = matches!(self.byte(at + 1), b'+' | b'-');
            at = self.digits(at + 1 + usize::from(signed))?;
        }
        Ok(Value::new(shape, start, at))
    }

    #[inline]
    fn digits(&self, start: usize) -> Result<usize, Fault> {
        let mut at = start;
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        if at == start { Err(Fault::Invalid) } else { Ok(at) }
    }

    fn literal(&self, at: usize, word: &[u8], shape: Shape) -> Result<Value, Fault> {
        if self.stands_at(at, word) { Ok(Value::new(shape, at, at + word.len())) } else { Err(Fault::Invalid) }
    }

    /// The value at `at`, inside `depth` open containers, with the position after it.
    #[inline]
    pub(crate) fn value(&self, at: usize, depth: usize, open: &mut Open) -> Result<(Value, usize), Fault> {
        match self.byte(at) {
            b'"' => self.string(at + 1).map(|value| (value, value.end as usize + 1)),
            b'{' => self.pass(at, depth, open).map(|end| (Value::new(Shape::Object, at, end), end)),
            b'[' => self.pass(at, depth, open).map(|end| (Value::new(Shape::Array, at, end), end)),
            _ => self.plain(at).map(|value| (value, value.end as usize)),
        }
    }

    #[inline]
    fn plain(&self, at: usize) -> Result<Value, Fault> {
        match self.byte(at) {
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.literal(at, b"true", Shape::True),
            b'f' => self.literal(at, b"false", Shape::False),
            b'n' => self.literal(at, b"null", Shape::Null),
            _ => Err(Fault::Invalid),
        }
    }

    /// Passes over the container that opens at `at`, checking all that is in it; the position after it.
    fn pass(&self, mut at: usize, depth: usize, open: &mut Open) -> Result<usize, Fault> {
        open.clear();
        loop {
            let byte = self.byte(at);
            match byte {
                b'"' => at = self.string(at + 1)?.end as usize + 1,
                b'{' | b'[' => {
                    if depth + open.len() >= self.depth_max {
                        return Err(Fault::TooDeep);
                    }
                    let (kind, close) = if byte == b'{' { (Container::Object, b'}') } else { (Container::Array, b']') };
                    at = self.white(at + 1);
                    if self.byte(at) != close {
                        open.push(kind);
                        at = self.member(kind, at)?;
                        continue;
                    }
                    at += 1;
                }
                _ => at = self.plain(at)?.end as usize,
            }
            // A value has just ended: close what ends with it, or go on to the next one.
            loop {
                let Some(kind) = open.last().copied() else { return Ok(at) };
                at = self.white(at);
                match (kind, self.byte(at)) {
                    (_, b',') => {
                        let next = self.white(at + 1);
                        at = self.member(kind, next)?;
                        break;
                    }
                    (Container::Object, b'}') | (Container::Array, b']') => {
                        open.pop();
                        at += 1;
                    }
                    _ => return Err(Fault::Invalid),
                }
            }
        }
    }

    /// The position of the value of the member at `at`: past the key in an object, here in an array.
    #[inline]
    fn member(&self, kind: Container, at: usize) -> Result<usize, Fault> {
        match kind {
            Container::Array => Ok(at),
            Container::Object if self.byte(at) == b'"' => {
                let key = self.string(at + 1)?;
                self.colon(key.end as usize + 1)
            }
            Container::Object => Err(Fault::Invalid),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first position from `at` on that holds a quote, a backslash or a control character; the end if there is none.
///
/// Eight bytes at a time: subtracting 1 from a zero byte borrows into its high bit (Mycroft's test for a zero byte). Bytes
/// above the first hit may be flagged wrongly by the borrow; only the lowest flag is used.
#[inline]
fn next_special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * 0x22);
        let backslash = word ^ (ONES * 0x5c);
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// Appends the string whose escaped text is `raw` (checked by [`Scanner::string`]) to `out`, with its escapes resolved.
pub(crate) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(slash) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..slash]);
        let letter = rest.as_bytes().get(slash + 1).copied().unwrap_or(0);
        let mut used = slash + 2;
        out.push(match letter {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = hex_at(rest, used);
                used += 4;
                let code = if (0xd800..0xdc00).contains(&high) {
                    let low = hex_at(rest, used + 2);
                    used += 6;
                    0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff)
                } else {
                    high
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            other => char::from(other),
        });
        rest = rest.get(used..).unwrap_or("");
    }
    out.push_str(rest);
}

fn hex_at(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_wise_search_finds_what_the_byte_wise_one_finds() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for length in 0..40 {
                for place in 0..length {
                    for filler in [b'a', 0x21, 0x20, 0x23, 0x5d, 0x7f, 0x80, 0xff] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = special;
                        assert_eq!(next_special(&bytes, 0), place, "{special} at {place} of {length} × {filler}");
                    }
                }
                assert_eq!(next_special(&vec![b'x'; length], 0), length);
            }
        }
    }

    #[test]
    fn every_escape_resolves_to_its_character() {
        let mut out = String::from("<");
        unescape(r#"a\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00z\u0000"#, &mut out);
        assert_eq!(out, "<a\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{20ac}\u{1f600}z\0");
    }
}
