//! JSON as it was written: members in their order with their repeats, numbers by their text.
//!
//! serde_json reads it; a scan of the brackets beforehand finds nesting that is too deep, and bounds the recursion. The
//! text of a number is what serde_json keeps of it under `arbitrary_precision`: its digits as they stand, its exponent
//! as `e+5` or `e-5`.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// serde_json goes no deeper; the feature that would let it is not ours to switch on.
pub(crate) const PARSER_DEPTH_MAX: usize = 127;

/// Stands first in the comparable form of an object with repeated keys.
const REPEATED: &str = "\u{0}members, with repeated keys";

/// A member of an object.
pub(crate) type Member = (String, Json);

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<Member>),
}

/// What a text is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read {
    /// JSON within its limit.
    Value(Json),
    /// Not JSON, up to where it gets too deep.
    Invalid,
    /// JSON up to a bracket that is one level too deep; what follows is not looked at.
    TooDeep,
    /// Nested deeper than [`PARSER_DEPTH_MAX`], and allowed to be: it cannot be told here.
    BeyondParser,
}

/// Reads one text of at most `depth_max` containers inside one another.
///
/// A text with two faults has the one that comes first, as someone who reads it from the left would say.
pub(crate) fn read(text: &str, depth_max: usize) -> Read {
    match first_deeper(text.as_bytes(), depth_max.min(PARSER_DEPTH_MAX)) {
        None => serde_json::from_str(text).map_or(Read::Invalid, Read::Value),
        Some(at) => {
            // Is everything in order up to the bracket, and may a value stand there? Then the text before it, with a value
            // in its place, ends too soon, and has no other fault.
            let before = format!("{}null", text.get(..at).unwrap_or_default());
            match serde_json::from_str::<Json>(&before) {
                Err(error) if !error.is_eof() => Read::Invalid,
                _ if depth_max > PARSER_DEPTH_MAX => Read::BeyondParser,
                _ => Read::TooDeep,
            }
        }
    }
}

/// Where the first bracket stands that opens more than `depth_max` levels. Brackets inside strings do not count. In a
/// text that is not JSON the count may be off behind its first fault, where it no longer matters.
fn first_deeper(bytes: &[u8], depth_max: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' if depth >= depth_max => return Some(at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

impl Json {
    /// In the form that is compared: the order of members does not count, every one of repeated members does.
    pub(crate) fn comparable(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Boolean(value) => serde_json::Value::Bool(*value),
            Self::Number(text) => match text.parse() {
                Ok(number) => serde_json::Value::Number(number),
                Err(_) => serde_json::Value::String(text.clone()),
            },
            Self::Text(text) => serde_json::Value::String(text.clone()),
            Self::List(items) => serde_json::Value::Array(items.iter().map(Self::comparable).collect()),
            Self::Object(members) => object(members),
        }
    }
}

fn object(members: &[Member]) -> serde_json::Value {
    let keys: HashSet<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
    if keys.len() == members.len() {
        return members.iter().map(|(key, value)| (key.clone(), value.comparable())).collect();
    }
    let pairs = members
        .iter()
        .map(|(key, value)| serde_json::Value::Array(vec![serde_json::Value::String(key.clone()), value.comparable()]));
    serde_json::Value::Array([serde_json::Value::String(REPEATED.to_owned())].into_iter().chain(pairs).collect())
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }

    // Integers of 64 bits come as such; JSON has one spelling of each.
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::OfNumber => return map.next_value().map(Json::Number),
                Key::Written(key) => members.push((key, map.next_value()?)),
            }
        }
        Ok(Json::Object(members))
    }
}

/// A key. serde_json hands out a number that is no 64-bit integer as a map of one member with a name of its own; a payload
/// may hold an object with that very name. The two are told apart by how they answer a request for an optional key: a
/// written one is there, the number's is a plain string.
enum Key {
    Written(String),
    OfNumber,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        String::deserialize(deserializer).map(Key::Written)
    }

    fn visit_str<E>(self, _: &str) -> Result<Key, E> {
        Ok(Key::OfNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Json {
        Json::Number(text.to_owned())
    }

    #[test]
    fn members_keep_their_order_and_repeats_and_numbers_their_digits() {
        let text = r#"{"b":1.50,"a":[-0,1E5,18446744073709551616,7,-7],"b":null,"\u0061":"\ud83d\ude00"}"#;
        let list = ["-0", "1e+5", "18446744073709551616", "7", "-7"].map(number).to_vec();
        let members = [
            ("b", number("1.50")),
            ("a", Json::List(list)),
            ("b", Json::Null),
            ("a", Json::Text("\u{1f600}".to_owned())),
        ];
        let members = members.map(|(key, value)| (key.to_owned(), value)).to_vec();
        assert_eq!(read(text, 2), Read::Value(Json::Object(members)));
    }

    #[test]
    fn an_object_that_looks_like_the_parsers_own_number_is_an_object() {
        for key in ["$serde_json::private::Number", "\\u0024serde_json::private::Number"] {
            let text = format!(r#"{{"{key}":"12"}}"#);
            let Read::Value(Json::Object(members)) = read(&text, 2) else { panic!("{text} is an object") };
            assert_eq!(members[0].1, Json::Text("12".to_owned()));
        }
    }

    #[test]
    fn of_two_faults_the_first_one_counts() {
        for (text, depth_max, expected) in [
            ("[[1]]", 1, Read::TooDeep),
            (r#"{"a":{"#, 1, Read::TooDeep),
            (r#"{"a":[1,[{"#, 3, Read::TooDeep),
            ("[[", 2, Read::Invalid),
            ("[1 [", 1, Read::Invalid),
            ("[1[", 1, Read::Invalid),
            ("[-[", 1, Read::Invalid),
            ("[tru[", 1, Read::Invalid),
            (r#"["x"["#, 1, Read::Invalid),
            (r#"{"a"["#, 1, Read::Invalid),
            (r#"{"a" {"#, 1, Read::Invalid),
            ("{{", 1, Read::Invalid),
            ("{[", 1, Read::Invalid),
            (r#"{"\ud800":[["#, 2, Read::Invalid),
            ("[1,[1,]", 1, Read::TooDeep),
            ("[1,]", 1, Read::Invalid),
            ("", 1, Read::Invalid),
        ] {
            assert_eq!(read(text, depth_max), expected, "{text}");
        }
        let quoted = r#"{"[[[[\"[[":"]]{{"}"#;
        assert!(matches!(read(quoted, 1), Read::Value(Json::Object(_))), "brackets in strings are text");
    }

    #[test]
    fn nesting_beyond_the_parser_is_said_to_be_beyond_it() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(matches!(read(&nested(127), 127), Read::Value(_)));
        assert_eq!(read(&nested(128), 127), Read::TooDeep);
        assert!(matches!(read(&nested(127), 512), Read::Value(_)));
        assert_eq!(read(&nested(128), 512), Read::BeyondParser);
        assert_eq!(read(&format!("[x{}", nested(128)), 512), Read::Invalid);
        assert_eq!(read(&nested(100_000), 64), Read::TooDeep);
    }

    #[test]
    fn every_repeated_member_counts_in_a_comparison_and_their_order_with_others_does_not() {
        let of = |text: &str| match read(text, 9) {
            Read::Value(json) => json.comparable(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(of(r#"{"a":1.50,"b":{"c":[]}}"#), of(r#"{ "b" : {"c":[ ]}, "\u0061":1.50}"#));
        assert_ne!(of(r#"{"a":1.5}"#), of(r#"{"a":1.50}"#));
        assert_ne!(of(r#"{"a":1,"a":2}"#), of(r#"{"a":3,"a":2}"#));
        assert_ne!(of(r#"{"a":1,"a":2}"#), of(r#"{"a":2}"#));
    }
}
