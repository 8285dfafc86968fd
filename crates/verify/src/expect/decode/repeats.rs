//! The reasons `duplicate_key:<key>`, in their order.
//!
//! Looked at are the payload's own object, the objects that paths lead through and the structs of columns; nothing else is
//! taken apart. First come declared keys of the objects on paths, in the order in which their repeats stand in the
//! payload; then the undeclared keys of all those objects, in the same order; then, column by column, the keys of
//! structs: declared ones, undeclared ones, then what is nested in them. At most 16 keys are named, each once and by at most
//! 64 characters.

use super::paths::{Found, Paths, Place, find, is_nested, pick};
use crate::expect::definition::{Column, ColumnType, DuplicateKeys};
use crate::expect::json::{Json, Member};
use std::collections::HashSet;

const NAMES_MAX: usize = 16;
const NAME_CHARS_MAX: usize = 64;

/// The names of the keys that are repeated where none may be.
pub(crate) fn repeated_keys(columns: &[Column], paths: &Paths, members: &[Member]) -> Vec<String> {
    let mut repeats = Repeats::default();
    let mut undeclared = Vec::new();
    let mut objects = 0;
    repeats.on_paths(paths, members, &mut objects, &mut undeclared);
    repeats.add_repeated(&undeclared);
    for column in columns.iter().filter(|column| is_nested(&column.kind)) {
        if let Found::Value(json) = find(members, &column.path, DuplicateKeys::Reject) {
            repeats.in_value(&column.kind, json);
        }
    }
    repeats.0
}

#[derive(Default)]
struct Repeats(Vec<String>);

impl Repeats {
    fn add(&mut self, key: &str) {
        let name: String = key.chars().take(NAME_CHARS_MAX).collect();
        if self.0.len() < NAMES_MAX && !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Names what is there a second time.
    fn add_repeated(&mut self, keys: &[(usize, &str)]) {
        let mut seen = HashSet::with_capacity(keys.len());
        for key in keys {
            if !seen.insert(key) {
                self.add(key.1);
            }
        }
    }

    /// Names declared keys, and collects the others with the number of their object.
    fn on_paths<'j>(
        &mut self,
        paths: &Paths,
        members: &'j [Member],
        objects: &mut usize,
        undeclared: &mut Vec<(usize, &'j str)>,
    ) {
        *objects += 1;
        let object = *objects;
        let mut seen = HashSet::new();
        for (key, value) in members {
            match (paths.get(key), value) {
                (None, _) => undeclared.push((object, key.as_str())),
                (Some(_), _) if !seen.insert(key) => self.add(key),
                (Some(Place::Object(paths)), Json::Object(members)) => {
                    self.on_paths(paths, members, objects, undeclared);
                }
                (Some(_), _) => {}
            }
        }
    }

    /// Names the keys of structs in a column's value.
    fn in_value(&mut self, kind: &ColumnType, json: &Json) {
        match (kind, json) {
            (ColumnType::List(item), Json::List(items)) if is_nested(item) => {
                items.iter().for_each(|json| self.in_value(item, json));
            }
            (ColumnType::Struct(fields), Json::Object(members)) => {
                let mut seen = HashSet::new();
                let mut undeclared = Vec::new();
                for (key, _) in members {
                    if !fields.iter().any(|(field, _)| field == key) {
                        undeclared.push((0, key.as_str()));
                    } else if !seen.insert(key) {
                        self.add(key);
                    }
                }
                self.add_repeated(&undeclared);
                for (field, kind) in fields.iter().filter(|(_, kind)| is_nested(kind)) {
                    if let Some(json) = pick(members, field, DuplicateKeys::Reject) {
                        self.in_value(kind, json);
                    }
                }
            }
            _ => {}
        }
    }
}
