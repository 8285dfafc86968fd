//! What no column takes, as JSON: the expected `_extra`.
//!
//! An object of the undeclared members of the payload; under the keys that paths lead through and of struct columns the
//! undeclared members of those; for a list of structs an array of its length, null for an item that leaves nothing. What
//! leaves nothing is not there.

use super::paths::{Paths, Place, pick};
use crate::expect::definition::{Column, ColumnType, DuplicateKeys};
use crate::expect::json::{Json, Member};
use serde_json::{Map, Value};

/// What the payload leaves over.
pub(crate) fn leftover(columns: &[Column], paths: &Paths, members: &[Member], rule: DuplicateKeys) -> Option<Value> {
    let mut left = undeclared(members, rule, |key| paths.get(key).is_some());
    for (key, place) in paths.iter() {
        let below = match (place, pick(members, key, rule)) {
            (Place::Object(paths), Some(Json::Object(inner))) => leftover(columns, paths, inner, rule),
            (Place::Value(of), Some(json)) => {
                let mut kinds = of.iter().filter_map(|index| columns.get(*index));
                kinds.find_map(|column| of_value(&column.kind, json, rule))
            }
            _ => None,
        };
        left.extend(below.map(|value| (key.to_owned(), value)));
    }
    something(left)
}

fn of_value(kind: &ColumnType, json: &Json, rule: DuplicateKeys) -> Option<Value> {
    match (kind, json) {
        (ColumnType::List(item), Json::List(items)) => {
            let left: Vec<Option<Value>> = items.iter().map(|json| of_value(item, json, rule)).collect();
            let any = left.iter().any(Option::is_some);
            any.then(|| left.into_iter().map(Option::unwrap_or_default).collect())
        }
        (ColumnType::Struct(fields), Json::Object(members)) => {
            let mut left = undeclared(members, rule, |key| fields.iter().any(|(field, _)| field == key));
            for (field, kind) in fields {
                let below = pick(members, field, rule).and_then(|json| of_value(kind, json, rule));
                left.extend(below.map(|value| (field.clone(), value)));
            }
            something(left)
        }
        _ => None,
    }
}

/// The undeclared members that count.
fn undeclared(members: &[Member], rule: DuplicateKeys, declared: impl Fn(&str) -> bool) -> Map<String, Value> {
    let mut kept = Map::new();
    for (key, value) in members.iter().filter(|(key, _)| !declared(key)) {
        if rule == DuplicateKeys::Last || !kept.contains_key(key) {
            kept.insert(key.clone(), value.comparable());
        }
    }
    kept
}

fn something(left: Map<String, Value>) -> Option<Value> {
    (!left.is_empty()).then_some(Value::Object(left))
}
