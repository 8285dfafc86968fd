//! A table's columns: the JSON of `metaData.schemaString` as Arrow types.
//!
//! Contract: the order of the columns is kept; only what Delta's protocol 1/2 has is known. Depth is bounded by
//! serde_json's limit on nesting, which parsed the text.

use super::text::clean;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Why a schema can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SchemaProblem {
    /// Not a schema.
    Damaged(String),
    /// A column of a type that tables of protocol 1/2 do not have.
    Unknown {
        /// Column.
        column: String,
        /// Its type's name.
        kind: String,
    },
}

/// Reads `schemaString`.
pub(super) fn columns(text: &str) -> Result<SchemaRef, SchemaProblem> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| SchemaProblem::Damaged(format!("schemaString is no JSON at byte {}", error.column())))?;
    Ok(Arc::new(Schema::new(fields(&value)?)))
}

fn damaged(what: &str) -> SchemaProblem {
    SchemaProblem::Damaged(what.to_owned())
}

fn fields(of: &Value) -> Result<Fields, SchemaProblem> {
    let list = of.get("fields").and_then(Value::as_array);
    let list = list.ok_or_else(|| damaged("schemaString has a struct without fields"))?;
    let mut fields = Vec::with_capacity(list.len());
    for field in list {
        let name = field.get("name").and_then(Value::as_str);
        let name = name.ok_or_else(|| damaged("schemaString has a column without a name"))?;
        let kind = field.get("type").ok_or_else(|| damaged("schemaString has a column without a type"))?;
        let nullable = field.get("nullable").and_then(Value::as_bool).unwrap_or(true);
        fields.push(Field::new(name, kind_of(name, kind)?, nullable));
    }
    Ok(Fields::from(fields))
}

fn kind_of(column: &str, kind: &Value) -> Result<DataType, SchemaProblem> {
    match kind {
        Value::Object(nested) => nested_kind(column, kind, nested),
        Value::String(name) => {
            plain_kind(name).ok_or_else(|| SchemaProblem::Unknown { column: clean(column), kind: clean(name) })
        }
        _ => Err(damaged("schemaString has a type that is neither text nor an object")),
    }
}

fn plain_kind(name: &str) -> Option<DataType> {
    Some(match name {
        "string" => DataType::Utf8,
        "long" => DataType::Int64,
        "integer" => DataType::Int32,
        "short" => DataType::Int16,
        "byte" => DataType::Int8,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        "decimal" => DataType::Decimal128(10, 0),
        _ => return decimal(name),
    })
}

fn decimal(name: &str) -> Option<DataType> {
    let (precision, scale) = name.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale): (u8, u8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then_some(DataType::Decimal128(precision, i8::try_from(scale).ok()?))
}

fn nested_kind(column: &str, whole: &Value, nested: &Map<String, Value>) -> Result<DataType, SchemaProblem> {
    let part = |key: &str| {
        let kind = nested.get(key).ok_or_else(|| damaged("schemaString has a nested type without its parts"))?;
        kind_of(column, kind)
    };
    let may_be_null = |key: &str| nested.get(key).and_then(Value::as_bool).unwrap_or(true);
    match nested.get("type").and_then(Value::as_str) {
        Some("struct") => Ok(DataType::Struct(fields(whole)?)),
        Some("array") => {
            Ok(DataType::List(Arc::new(Field::new("element", part("elementType")?, may_be_null("containsNull")))))
        }
        Some("map") => {
            let key = Field::new("key", part("keyType")?, false);
            let value = Field::new("value", part("valueType")?, may_be_null("valueContainsNull"));
            let pair = Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
            Ok(DataType::Map(Arc::new(pair), false))
        }
        Some(other) => Err(SchemaProblem::Unknown { column: clean(column), kind: clean(other) }),
        None => Err(damaged("schemaString has a nested type without its name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(kind: &Value) -> Result<DataType, SchemaProblem> {
        let field = json!({"name": "c", "type": kind, "nullable": false, "metadata": {}});
        let text = json!({"type": "struct", "fields": [field]});
        columns(&text.to_string()).map(|schema| schema.field(0).data_type().clone())
    }

    #[test]
    fn each_type_of_delta_has_its_arrow_type() {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        let plain = [
            ("string", DataType::Utf8),
            ("long", DataType::Int64),
            ("integer", DataType::Int32),
            ("short", DataType::Int16),
            ("byte", DataType::Int8),
            ("float", DataType::Float32),
            ("double", DataType::Float64),
            ("boolean", DataType::Boolean),
            ("binary", DataType::Binary),
            ("date", DataType::Date32),
            ("timestamp", utc),
            ("decimal(18,4)", DataType::Decimal128(18, 4)),
        ];
        for (name, kind) in plain {
            assert_eq!(one(&json!(name)).unwrap(), kind, "{name}");
        }
        let array = json!({"type": "array", "elementType": "string", "containsNull": true});
        assert_eq!(one(&array).unwrap(), DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))));
        let map = json!({"type": "map", "keyType": "string", "valueType": "long", "valueContainsNull": false});
        assert!(matches!(one(&map).unwrap(), DataType::Map(_, false)));
    }

    #[test]
    fn order_and_nullability_are_kept() {
        let text = r#"{"fields":[{"name":"b","type":"long","nullable":false},{"name":"a","type":"date"}]}"#;
        let schema = columns(text).unwrap();
        let seen: Vec<_> = schema.fields().iter().map(|field| (field.name().as_str(), field.is_nullable())).collect();
        assert_eq!(seen, [("b", false), ("a", true)]);
    }

    #[test]
    fn an_unknown_type_is_told_apart_from_damage() {
        for kind in ["timestamp_ntz", "variant", "decimal(39,2)", "decimal(4,5)", "decimal(a,b)"] {
            assert!(matches!(one(&json!(kind)), Err(SchemaProblem::Unknown { .. })), "{kind}");
        }
        for text in ["", "{", "[]", r#"{"fields":[{}]}"#, r#"{"fields":[{"name":"a","type":7}]}"#] {
            assert!(matches!(columns(text), Err(SchemaProblem::Damaged(_))), "{text}");
        }
        let deep = format!("{}{}", r#"{"fields":"#.repeat(100_000), "}".repeat(100_000));
        assert!(matches!(columns(&deep), Err(SchemaProblem::Damaged(_))));
    }
}
