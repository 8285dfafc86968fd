//! The JSON Schema of the pipeline file, printed from the table of keys.
//!
//! Editors use it for completion and checks while one types. It is a little wider than the reader: a value with a
//! variable (`${…}`) passes where the reader sees what the variable holds.

use crate::keys::{Key, Need, PIPELINE, SecretForm, Section, Shape};
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12), indented, with a final newline.
#[must_use]
pub fn json_schema() -> String {
    let mut definitions = Map::new();
    let root = section(&PIPELINE, &mut definitions);
    definitions.remove(PIPELINE.id);
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Watertight pipeline file",
    });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("$defs".into(), Value::Object(definitions));
    }
    format!("{schema:#}\n")
}

fn section(section: &'static Section, definitions: &mut Map<String, Value>) -> Value {
    // Sections refer to themselves (a list of lists): the name is taken before the content is made.
    definitions.insert(section.id.into(), Value::Null);
    let mut properties = Map::new();
    for key in section.keys {
        let mut value = shape(&key.shape, definitions);
        if let Value::Object(value) = &mut value {
            value.insert("description".into(), key.doc.replace('`', "").into());
            if let Need::Default(default) = key.need {
                value.insert("default".into(), default.into());
            }
        }
        for (form, name) in key.other_names() {
            let description = match form {
                SecretForm::Text => continue,
                SecretForm::File => format!("The path of a file that holds {}.", key.name),
                SecretForm::Env => format!("The name of an environment variable that holds {}.", key.name),
            };
            properties.insert(name, json!({"type": "string", "minLength": 1, "description": description}));
        }
        properties.insert(key.name.into(), value);
    }
    let required = |key: &&Key| key.need == Need::Required;
    let one_of =
        |names: Vec<String>| json!({"oneOf": names.iter().map(|name| json!({"required": [name]})).collect::<Vec<_>>()});
    let has_others = |key: &&Key| key.other_names().next().is_some();
    let mut either: Vec<Value> = (section.keys.iter().filter(required).filter(has_others))
        .map(|key| one_of(key.all_names().collect()))
        .collect();
    let these: Vec<String> =
        (section.keys.iter().filter(|key| key.need == Need::OneOfThese)).map(|key| key.name.to_owned()).collect();
    if !these.is_empty() {
        either.push(one_of(these));
    }
    let required: Vec<&str> =
        (section.keys.iter().filter(required)).filter(|key| !has_others(key)).map(|key| key.name).collect();
    let mut object = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !either.is_empty() {
        object["allOf"] = either.into();
    }
    if !required.is_empty() {
        object["required"] = required.into();
    }
    definitions.insert(section.id.into(), object.clone());
    object
}

fn shape(what: &'static Shape, definitions: &mut Map<String, Value>) -> Value {
    match what {
        Shape::Text { .. } | Shape::Secret { .. } => json!({"type": "string", "minLength": 1}),
        Shape::Name => text(r"[A-Za-z][A-Za-z0-9_]{0,127}"),
        Shape::Bool => json!({"anyOf": [{"type": "boolean"}, variable()]}),
        Shape::Whole { min, max } => json!({
            "anyOf": [{"type": "integer", "minimum": min, "maximum": max}, text("[0-9]+(_[0-9]+)*")],
        }),
        Shape::Duration { .. } => text("(0|[0-9]+(_[0-9]+)* *(us|ms|s|min|h|days?|weeks?))"),
        Shape::Size { .. } => text("(0|[0-9]+(_[0-9]+)* *([KMGT]i?)?B)"),
        Shape::Instant => text("[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?"),
        Shape::Start => text("(earliest|latest|[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].*)?)"),
        Shape::Offsets => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[0-9]+$"},
            "additionalProperties": {"anyOf": [{"type": "integer", "minimum": 0}, text("[0-9]+(_[0-9]+)*")]},
        }),
        Shape::Properties | Shape::Secrets => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z0-9._-]+$"},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        }),
        Shape::OneOf(words) => json!({"anyOf": [{"enum": words}, variable()]}),
        Shape::Type => text(
            r"\s*(string|boolean|int|long|float|double|date|timestamp|binary|decimal\s*\(.*\)|list(\s*<.*>)?|struct(\s*<.*>)?)\s*",
        ),
        Shape::List(item) => json!({"type": "array", "minItems": 1, "items": shape(item, definitions)}),
        Shape::Named(item) => json!({
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9_]{0,127}$"},
            "additionalProperties": shape(item, definitions),
        }),
        Shape::Keys(inner) => {
            if !definitions.contains_key(inner.id) {
                section(inner, definitions);
            }
            json!({"$ref": format!("#/$defs/{}", inner.id)})
        }
        Shape::Either(one, other) => json!({"anyOf": [shape(one, definitions), shape(other, definitions)]}),
    }
}

/// Text of this form, or with a variable in it.
fn text(form: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{form}$|\\$\\{{")})
}

fn variable() -> Value {
    json!({"type": "string", "pattern": "\\$\\{"})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::FORMATS;

    #[test]
    fn the_schema_is_closed_and_names_every_key_of_the_table() {
        let schema: Value = serde_json::from_str(&json_schema()).expect("json");
        assert_eq!(schema["additionalProperties"], false);
        for (id, definition) in schema["$defs"].as_object().expect("definitions") {
            assert_eq!(definition["additionalProperties"], false, "{id}");
        }
        assert!(FORMATS.iter().all(|format| schema["$defs"]["column"].to_string().contains(format)));
    }
}
