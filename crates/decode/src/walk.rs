//! The first pass over a payload: where the value of each declared path lies, and what else is in the objects on the way.
//!
//! Contract: after [`Walk::read`] has succeeded the payload is one JSON object within its limits, every slot holds the
//! value that counts under the stream's rule for repeated keys, and every member that no path names is listed.
//! Values are positions only. Keys are expected in the order of the definition, which makes the usual payload one
//! comparison per key; any other order is found by search.

use crate::plan::{Member, Plan, Target};
use crate::remainder::{Repeats, Unknown, UnknownKey, settle};
use crate::scan::{Fault, Open, Scanner, Shape, Value, unescape};
use watertight_core::schema::DuplicateKeys;

/// What the top level of a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    /// An object.
    Object,
    /// Well-formed, but no object.
    Other,
}

/// The places found in one payload; reused for the next.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// Per slot: the value that counts.
    pub(crate) slots: Vec<Value>,
    /// Per node: which object it was read from, 0 where the payload has none.
    pub(crate) instances: Vec<u32>,
    /// Members that no path names, in order.
    pub(crate) unknown: Vec<Unknown>,
    /// Text of keys that were written with escapes.
    pub(crate) keys: String,
    /// Keys that were repeated against the rule.
    pub(crate) repeats: Repeats,
    /// Reused stack of the scanner.
    pub(crate) open: Open,
    objects: u32,
}

impl Walk {
    /// Reads one payload.
    ///
    /// # Errors
    /// [`Fault`] when it is not JSON within limits; what was found until then means nothing.
    pub(crate) fn read(&mut self, plan: &Plan, scanner: &Scanner<'_>) -> Result<Top, Fault> {
        self.slots.clear();
        self.slots.resize(plan.slots, Value::ABSENT);
        self.instances.clear();
        self.instances.resize(plan.nodes.len(), 0);
        self.unknown.clear();
        self.keys.clear();
        self.repeats.clear();
        self.objects = 0;
        let at = scanner.white(0);
        if scanner.byte(at) != b'{' {
            let (_, end) = scanner.value(at, 0, &mut self.open)?;
            return scanner.end(end).map(|()| Top::Other);
        }
        let end = self.object(plan, scanner, 0, at, 0)?;
        scanner.end(end)?;
        settle(&mut self.unknown, plan.limits.duplicate_keys, scanner.text, &self.keys, &mut self.repeats);
        Ok(Top::Object)
    }

    /// Reads the object of `node`, which opens at `at` inside `depth` containers; the position after it.
    fn object(
        &mut self,
        plan: &Plan,
        scanner: &Scanner<'_>,
        node: usize,
        at: usize,
        depth: usize,
    ) -> Result<usize, Fault> {
        if depth >= usize::from(plan.limits.depth_max) {
            return Err(Fault::TooDeep);
        }
        self.objects += 1;
        let instance = self.objects;
        self.instances[node] = instance;
        let members = plan.nodes[node].members.as_slice();
        let mut expected = 0;
        let mut at = scanner.white(at + 1);
        if scanner.byte(at) == b'}' {
            return Ok(at + 1);
        }
        loop {
            if scanner.byte(at) != b'"' {
                return Err(Fault::Invalid);
            }
            let end = match next_member(scanner, members, expected, at + 1) {
                Some((member, after)) => {
                    expected += 1;
                    self.declared(plan, scanner, member, scanner.colon(after)?, depth + 1)?
                }
                None => {
                    let key = scanner.string(at + 1)?;
                    let value_at = scanner.colon(key.end as usize + 1)?;
                    let key = self.key(scanner, key);
                    match find(members, expected, key.text(scanner.text, &self.keys)) {
                        Some(index) => {
                            expected = index + 1;
                            self.declared(plan, scanner, &members[index], value_at, depth + 1)?
                        }
                        None => {
                            let (value, end) = scanner.value(value_at, depth + 1, &mut self.open)?;
                            self.unknown.push(Unknown::new(instance, key, value));
                            end
                        }
                    }
                }
            };
            at = scanner.white(end);
            match scanner.byte(at) {
                b',' => at = scanner.white(at + 1),
                b'}' => return Ok(at + 1),
                _ => return Err(Fault::Invalid),
            }
        }
    }

    /// Reads the value of a declared key at `at`; the position after it.
    #[inline]
    fn declared(
        &mut self,
        plan: &Plan,
        scanner: &Scanner<'_>,
        member: &Member,
        at: usize,
        depth: usize,
    ) -> Result<usize, Fault> {
        let slot = member.slots.start;
        if self.slots[slot].shape != Shape::Absent {
            match plan.limits.duplicate_keys {
                DuplicateKeys::Last => self.forget(member),
                rule => {
                    if rule == DuplicateKeys::Reject {
                        self.repeats.add(&member.key);
                    }
                    return scanner.value(at, depth, &mut self.open).map(|(_, end)| end);
                }
            }
        }
        match member.target {
            Target::Branch(node) if scanner.byte(at) == b'{' => {
                let end = self.object(plan, scanner, node, at, depth)?;
                self.slots[slot].shape = Shape::Object;
                Ok(end)
            }
            Target::Branch(_) => {
                let (value, end) = scanner.value(at, depth, &mut self.open)?;
                if value.shape != Shape::Null {
                    self.slots[member.slots.clone()].fill(Value::MISPLACED);
                }
                self.slots[slot] = value;
                Ok(end)
            }
            Target::Leaf => {
                let (value, end) = scanner.value(at, depth, &mut self.open)?;
                self.slots[slot] = value;
                Ok(end)
            }
        }
    }

    /// Forgets what was read of a key and of everything below it.
    fn forget(&mut self, member: &Member) {
        self.slots[member.slots.clone()].fill(Value::ABSENT);
        self.instances[member.nodes.clone()].fill(0);
    }

    /// A key as text: in the payload, or resolved into `keys` where it has escapes.
    fn key(&mut self, scanner: &Scanner<'_>, key: Value) -> UnknownKey {
        UnknownKey::new(key, scanner.text, &mut self.keys)
    }
}

/// The member that is expected next, if its key stands at `at`, with the position after its closing quote.
#[inline]
fn next_member<'m>(
    scanner: &Scanner<'_>,
    members: &'m [Member],
    expected: usize,
    at: usize,
) -> Option<(&'m Member, usize)> {
    let member = members.get(expected)?;
    if !member.matches(scanner.word(at)?) {
        return None;
    }
    match member.tail() {
        Some(tail) if !scanner.stands_at(at + 16, tail) => None,
        _ => Some((member, at + member.key_json.len() - 1)),
    }
}

/// The declared member of this key, searched from the expected one on.
fn find(members: &[Member], expected: usize, key: &str) -> Option<usize> {
    let expected = expected.min(members.len());
    let matches = |index: &usize| *members[*index].key == *key;
    (expected..members.len()).find(matches).or_else(|| (0..expected).find(matches))
}

/// Reads the escaped text of `value` into `out` where it has escapes.
pub(crate) fn resolve(value: Value, text: &str, out: &mut String) -> std::ops::Range<usize> {
    let start = out.len();
    unescape(&text[value.range()], out);
    start..out.len()
}
