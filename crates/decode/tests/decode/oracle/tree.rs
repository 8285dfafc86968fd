//! A JSON tree that keeps repeated keys and the text of numbers; read by serde_json, written in random styles.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// Reads one JSON text.
pub(crate) fn parse(bytes: &[u8]) -> Option<Tree> {
    serde_json::from_slice(bytes).ok()
}

impl Tree {
    /// Containers inside one another.
    pub(crate) fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Members in the order of their keys, repeated ones in their own order.
    pub(crate) fn sorted(self) -> Self {
        match self {
            Self::List(items) => Self::List(items.into_iter().map(Self::sorted).collect()),
            Self::Object(members) => {
                let mut members: Vec<_> = members.into_iter().map(|(key, value)| (key, value.sorted())).collect();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                Self::Object(members)
            }
            other => other,
        }
    }

    /// JSON text; `style` decides on white space and escapes.
    pub(crate) fn write(&self, style: u64) -> String {
        let mut writer = Writer { out: String::new(), state: style };
        writer.space();
        writer.value(self);
        writer.space();
        writer.out
    }
}

struct Writer {
    out: String,
    state: u64,
}

impl Writer {
    fn one_in(&mut self, chances: u64) -> bool {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33).is_multiple_of(chances)
    }

    fn space(&mut self) {
        for white in [' ', '\n', '\t', '\r'] {
            if self.one_in(12) {
                self.out.push(white);
            }
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            if (c as u32) < 0x20 || self.one_in(25) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            } else if matches!(c, '"' | '\\') {
                self.out.push('\\');
                self.out.push(c);
            } else {
                self.out.push(c);
            }
        }
        self.out.push('"');
    }

    fn value(&mut self, tree: &Tree) {
        match tree {
            Tree::Null => self.out.push_str("null"),
            Tree::Boolean(value) => self.out.push_str(&value.to_string()),
            Tree::Number(text) => self.out.push_str(text),
            Tree::Text(text) => self.string(text),
            Tree::List(items) => {
                self.out.push('[');
                self.space();
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                        self.space();
                    }
                    self.value(item);
                    self.space();
                }
                self.out.push(']');
            }
            Tree::Object(members) => {
                self.out.push('{');
                self.space();
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                        self.space();
                    }
                    self.string(key);
                    self.space();
                    self.out.push(':');
                    self.space();
                    self.value(value);
                    self.space();
                }
                self.out.push('}');
            }
        }
    }
}

/// The key under which serde_json hands out a number's text when it keeps it (its feature `arbitrary_precision`).
const NUMBER: &str = "$serde_json::private::Number";

struct TreeVisitor;

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Boolean(value))
    }

    // Integers of 64 bits are handed out as such, all others by their text; JSON has one spelling of an integer.
    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == NUMBER {
                return map.next_value().map(Tree::Number);
            }
            members.push((key, map.next_value()?));
        }
        Ok(Tree::Object(members))
    }
}
