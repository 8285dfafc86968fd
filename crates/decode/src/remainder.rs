//! What no column takes: the members that the definition doesn't name, which of them count, and their text for `_extra`.
//!
//! Contract: `_extra` is one JSON object. At the top it holds the unnamed members of the payload with their keys and
//! values as they were written; for an object that paths lead through, and for a struct, the unnamed members under
//! the same key; for a list of structs an array of the same length, `null` where an item leaves nothing. Objects that leave
//! nothing are left out, and so is `_extra` as a whole. Nothing is re-formatted.

use crate::plan::{Plan, Target};
use crate::scan::{Shape, Value};
use crate::walk::{Walk, resolve};
use std::ops::Range;
use watertight_core::schema::DuplicateKeys;

/// At most so many repeated keys are named per record: the first ones say enough, and a payload can hold thousands.
const REPEATS_MAX: usize = 16;
/// A repeated key is named by at most so many characters, so that a payload can't swell its own reasons.
const REPEAT_CHARS_MAX: usize = 64;
/// Up to so many unknown members are compared pairwise; more are sorted, so that no payload costs quadratic time.
const PAIRWISE_MAX: usize = 12;

/// Names of the keys that were repeated in one payload, each once.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Vec<String>);

impl Repeats {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn add(&mut self, key: &str) {
        let name: String = key.chars().take(REPEAT_CHARS_MAX).collect();
        if self.0.len() < REPEATS_MAX && !self.0.contains(&name) {
            self.0.push(name);
        }
    }
}

/// The key of a member, where it can be read without escapes.
#[derive(Debug, Clone)]
pub(crate) struct UnknownKey {
    written: Value,
    resolved: Option<Range<usize>>,
}

impl UnknownKey {
    /// The key that was scanned as `key`; escapes are resolved into `keys`.
    pub(crate) fn new(key: Value, text: &str, keys: &mut String) -> Self {
        let resolved = (key.shape == Shape::Escaped).then(|| resolve(key, text, keys));
        Self { written: key, resolved }
    }

    /// Its text.
    pub(crate) fn text<'a>(&self, text: &'a str, keys: &'a str) -> &'a str {
        match &self.resolved {
            Some(range) => &keys[range.clone()],
            None => &text[self.written.range()],
        }
    }
}

/// A member that no path names.
#[derive(Debug, Clone)]
pub(crate) struct Unknown {
    instance: u32,
    key: UnknownKey,
    value: Value,
    standing: Standing,
}

/// Whether an unknown member counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Counts,
    Repeated,
}

impl Unknown {
    /// A member of the object numbered `instance`.
    pub(crate) fn new(instance: u32, key: UnknownKey, value: Value) -> Self {
        Self { instance, key, value, standing: Standing::Counts }
    }

    /// Appends `"key":value` as written.
    fn write(&self, text: &str, out: &mut String) {
        out.push_str(&text[self.key.written.raw_range()]);
        out.push(':');
        out.push_str(&text[self.value.raw_range()]);
    }
}

/// Decides which of several members of one key counts, or names the key where none may be repeated.
pub(crate) fn settle(unknown: &mut [Unknown], rule: DuplicateKeys, text: &str, keys: &str, repeats: &mut Repeats) {
    let mut lose = |unknown: &mut [Unknown], earlier: usize, later: usize| match rule {
        DuplicateKeys::Reject => {
            unknown[later].standing = Standing::Repeated;
            repeats.add(unknown[later].key.text(text, keys));
        }
        DuplicateKeys::First => unknown[later].standing = Standing::Repeated,
        DuplicateKeys::Last => unknown[earlier].standing = Standing::Repeated,
    };
    if unknown.len() <= PAIRWISE_MAX {
        for later in 1..unknown.len() {
            for earlier in 0..later {
                let (a, b) = (&unknown[earlier], &unknown[later]);
                if a.instance == b.instance && a.key.text(text, keys) == b.key.text(text, keys) {
                    lose(unknown, earlier, later);
                }
            }
        }
        return;
    }
    let mut order: Vec<usize> = (0..unknown.len()).collect();
    order.sort_by_key(|index| (unknown[*index].instance, unknown[*index].key.text(text, keys)));
    let mut repeated: Vec<(usize, usize)> = Vec::new();
    for pair in order.windows(2) {
        let (a, b) = (&unknown[pair[0]], &unknown[pair[1]]);
        if a.instance == b.instance && a.key.text(text, keys) == b.key.text(text, keys) {
            repeated.push((pair[1], pair[0]));
        }
    }
    repeated.sort_unstable();
    for (later, earlier) in repeated {
        lose(unknown, earlier, later);
    }
}

/// What is left over of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing; nothing was written.
    Nothing,
    /// Something; its JSON text was written.
    Something,
}

/// Writes one JSON object member by member, and takes it back when it stays empty.
pub(crate) struct ObjectText<'o> {
    out: &'o mut String,
    begin: usize,
}

impl<'o> ObjectText<'o> {
    pub(crate) fn begin(out: &'o mut String) -> Self {
        let begin = out.len();
        out.push('{');
        Self { out, begin }
    }

    fn comma(&mut self) {
        if self.out.len() > self.begin + 1 {
            self.out.push(',');
        }
    }

    /// Adds those of `unknown` that count and belong to `instance`.
    pub(crate) fn unknown(&mut self, unknown: &[Unknown], instance: u32, text: &str) {
        for member in unknown {
            if member.instance == instance && member.standing == Standing::Counts {
                self.comma();
                member.write(text, self.out);
            }
        }
    }

    /// Adds a member whose value `write` writes, unless it leaves nothing.
    pub(crate) fn member(&mut self, key_json: &str, write: impl FnOnce(&mut String) -> Left) {
        let mark = self.out.len();
        self.comma();
        self.out.push_str(key_json);
        self.out.push(':');
        if write(self.out) == Left::Nothing {
            self.out.truncate(mark);
        }
    }

    pub(crate) fn end(self) -> Left {
        if self.out.len() == self.begin + 1 {
            self.out.truncate(self.begin);
            return Left::Nothing;
        }
        self.out.push('}');
        Left::Something
    }
}

/// What a list or struct column left over: its slot, and where its text lies in the leftovers.
pub(crate) type NestedLeft = (usize, Range<usize>);

/// Writes the `_extra` of the payload that `walk` read.
pub(crate) fn write_extra(
    plan: &Plan,
    walk: &Walk,
    text: &str,
    nested: (&[NestedLeft], &str),
    out: &mut String,
) -> Left {
    if walk.unknown.is_empty() && nested.0.is_empty() {
        return Left::Nothing;
    }
    write_node(plan, walk, 0, text, nested, out)
}

fn write_node(
    plan: &Plan,
    walk: &Walk,
    node: usize,
    text: &str,
    nested: (&[NestedLeft], &str),
    out: &mut String,
) -> Left {
    if walk.instances[node] == 0 {
        return Left::Nothing;
    }
    let mut object = ObjectText::begin(out);
    object.unknown(&walk.unknown, walk.instances[node], text);
    for member in &plan.nodes[node].members {
        match member.target {
            Target::Branch(below) if walk.instances[below] != 0 => {
                object.member(&member.key_json, |out| write_node(plan, walk, below, text, nested, out));
            }
            Target::Branch(_) => {}
            Target::Leaf => {
                if let Some((_, range)) = nested.0.iter().find(|(slot, _)| *slot == member.slots.start) {
                    object.member(&member.key_json, |out| {
                        out.push_str(&nested.1[range.clone()]);
                        Left::Something
                    });
                }
            }
        }
    }
    object.end()
}
