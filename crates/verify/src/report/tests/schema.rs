//! The published schema and what is written: neither has a key that the other lacks.

use super::super::Report;
use super::full;
use crate::finding::Code;
use serde_json::Value;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../../schema/verify.schema.json")).expect("the schema is JSON")
}

/// Holds a value against a schema, as far as our schema goes: `$ref`, `type`, `properties`, `required`, `enum`, `items`,
/// `additionalProperties`. Every problem with its path.
fn problems(root: &Value, schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#'));
        let target = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
        return problems(root, target, value, path, found);
    }
    if let Some(kinds) = schema.get("type") {
        let kinds: Vec<&str> = match kinds {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            kind => kind.as_str().into_iter().collect(),
        };
        if !kinds.iter().any(|kind| is_a(value, kind)) {
            found.push(format!("{path} is no {kinds:?}: {value}"));
        }
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array)
        && !values.contains(value)
    {
        found.push(format!("{path} is {value}, which is not listed"));
    }
    match value {
        Value::Object(members) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !members.contains_key(name.as_str().expect("a name")) {
                    found.push(format!("{path} lacks {name}"));
                }
            }
            for (name, member) in members {
                let path = format!("{path}.{name}");
                match (properties.and_then(|known| known.get(name)), schema.get("additionalProperties")) {
                    (Some(known), _) => problems(root, known, member, &path, found),
                    (None, Some(Value::Object(any))) => {
                        problems(root, &Value::Object(any.clone()), member, &path, found);
                    }
                    (None, _) => found.push(format!("{path} is not in the schema")),
                }
            }
        }
        Value::Array(items) => {
            if let Some(of) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    problems(root, of, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        _ => {}
    }
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("type {other}"),
    }
}

fn held(value: &Value) -> Vec<String> {
    let schema = schema();
    let mut found = Vec::new();
    problems(&schema, &schema, value, "$", &mut found);
    found
}

/// Every path to a property of the schema, `[]` for items.
fn paths(root: &Value, schema: &Value, path: &str, depth: usize, found: &mut Vec<String>) {
    assert!(depth < 20, "the schema refers to itself");
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(reference.trim_start_matches('#')).expect("a definition");
        return paths(root, target, path, depth + 1, found);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("{path}/{name}");
        found.push(path.clone());
        paths(root, property, &path, depth + 1, found);
    }
    if let Some(items) = schema.get("items") {
        paths(root, items, &format!("{path}/[]"), depth + 1, found);
    }
}

fn is_there(value: &Value, path: &str) -> bool {
    let mut reached = vec![value];
    for step in path.split('/').skip(1) {
        reached = reached
            .into_iter()
            .flat_map(|value| match step {
                "[]" => value.as_array().map(|items| items.iter().collect::<Vec<_>>()).unwrap_or_default(),
                name => value.get(name).into_iter().collect(),
            })
            .collect();
    }
    !reached.is_empty()
}

fn written() -> Value {
    serde_json::from_str(&full().to_json().expect("JSON")).expect("what was written is JSON")
}

#[test]
fn a_full_report_is_as_the_schema_says() {
    assert_eq!(held(&written()), Vec::<String>::new());
}

#[test]
fn every_property_of_the_schema_is_in_a_full_report() {
    let (schema, written) = (schema(), written());
    let mut known = Vec::new();
    paths(&schema, &schema, "", 0, &mut known);
    let missing: Vec<&String> = known.iter().filter(|path| !is_there(&written, path)).collect();
    assert!(known.len() > 60 && missing.is_empty(), "{} known, missing: {missing:?}", known.len());
}

#[test]
fn a_key_too_many_one_too_few_and_another_type_are_seen() {
    let mut more = written();
    more["tables"][0]["colour"] = Value::from("red");
    assert_eq!(held(&more), ["$.tables[0].colour is not in the schema"]);
    let mut fewer = written();
    fewer["findings"][0].as_object_mut().expect("an object").remove("advice");
    assert_eq!(held(&fewer), ["$.findings[0] lacks \"advice\""]);
    let mut other = written();
    other["verdict"] = Value::from("fine");
    assert_eq!(held(&other), ["$.verdict is \"fine\", which is not listed"]);
}

#[test]
fn the_schema_lists_every_code() {
    let schema = schema();
    let listed = schema.pointer("/$defs/code/enum").and_then(Value::as_array).expect("a list of codes");
    let listed: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
    let known: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(listed, known);
}

#[test]
fn what_was_written_is_read_back() {
    let report = full();
    let read: Report = serde_json::from_str(&report.to_json().expect("JSON")).expect("a report");
    assert_eq!(read, report);
}
