//! Table schemas: Arrow ↔ the JSON of Delta's `metaData.schemaString`, and how a table follows its specification.
//!
//! Contract: what is written reads back as the same canonical Arrow schema: strings `Utf8`, timestamps microseconds
//! UTC, list items named `element`, everything nested nullable. A type that Delta's protocol 1/2 cannot hold is
//! refused here, before a table is made.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use watertight_core::port::{ErrorKind, PortError, TableSpec};

fn stop(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Stop, message)
}

/// The type in which a column is kept: the canonical form of `kind`.
pub(crate) fn canonical_type(name: &str, kind: &DataType) -> Result<DataType, PortError> {
    let nested = |field: &FieldRef, called: &str| -> Result<FieldRef, PortError> {
        Ok(Arc::new(Field::new(called, canonical_type(name, field.data_type())?, true)))
    };
    Ok(match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32 => kind.clone(),
        DataType::Decimal128(precision, scale)
            if *scale >= 0 && u8::try_from(*scale).is_ok_and(|scale| scale <= *precision) =>
        {
            kind.clone()
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
        }
        DataType::List(item) | DataType::LargeList(item) => DataType::List(nested(item, "element")?),
        DataType::Struct(fields) => {
            let fields: Result<Vec<_>, _> = fields.iter().map(|field| nested(field, field.name())).collect();
            DataType::Struct(Fields::from(fields?))
        }
        other => {
            return Err(stop(format!(
                "column '{name}' is of type {other}, which a Delta table cannot hold: cast it (timestamps to \
                 microseconds UTC, unsigned integers to bigint)"
            )));
        }
    })
}

/// The canonical form of a schema: names are unique whatever their case.
pub(crate) fn canonical(schema: &Schema) -> Result<SchemaRef, PortError> {
    let mut names = HashSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if !names.insert(field.name().to_lowercase()) {
            return Err(stop(format!("column '{}' is there twice (case does not count): rename one", field.name())));
        }
        fields.push(Field::new(field.name(), canonical_type(field.name(), field.data_type())?, field.is_nullable()));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Checks a specification and gives its columns in canonical form.
pub(crate) fn spec_columns(spec: &TableSpec) -> Result<SchemaRef, PortError> {
    for name in [&spec.schema_name, &spec.table, &spec.partition_column] {
        check_path_name(name)?;
    }
    let columns = canonical(&spec.columns)?;
    match columns.field_with_name(&spec.partition_column) {
        Ok(field) if *field.data_type() == DataType::Date32 => Ok(columns),
        _ => Err(stop(format!(
            "table {}.{}: the partition column '{}' must be one of its columns, of type date",
            spec.schema_name, spec.table, spec.partition_column
        ))),
    }
}

/// Names that become folders: letters, digits and `_`. A path made of them needs no URL encoding.
pub(crate) fn check_path_name(name: &str) -> Result<(), PortError> {
    if !name.is_empty() && name.len() <= 200 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    Err(stop(format!("'{}' can't name a table or a folder: use letters, digits and _ only", name.escape_default())))
}

/// The columns in their order with the partition column moved to the end.
pub(crate) fn partition_last(columns: &Schema, partition: &str) -> SchemaRef {
    let (last, first): (Vec<FieldRef>, Vec<FieldRef>) =
        columns.fields().iter().cloned().partition(|field| field.name() == partition);
    Arc::new(Schema::new([first, last].concat()))
}

/// How a table's columns follow those of a specification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Evolution {
    /// They fit as they are.
    Fits,
    /// The table gets these columns: new nullable ones, in the specification's order; those that the
    /// specification no longer has stay, nullable, before the partition column.
    Becomes(SchemaRef),
}

/// Compares a table's columns (`old`) with those of `spec` (`new`, canonical).
///
/// # Errors
/// `Stop` where a type changed, or a new column may not be null.
pub(crate) fn evolve(table: &str, old: &Schema, new: &Schema, partition: &str) -> Result<Evolution, PortError> {
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in new.fields() {
        match old.field_with_name(field.name()) {
            Ok(had) if canonical_type(field.name(), had.data_type())? != *field.data_type() => {
                return Err(stop(format!(
                    "table {table}: column '{}' is stored as {} but declared as {}: declare it under a new name, or \
                     begin a new table",
                    field.name(),
                    had.data_type(),
                    field.data_type()
                )));
            }
            Ok(had) => fields.push(Arc::new(
                had.clone().with_nullable(field.name() != partition && (had.is_nullable() || field.is_nullable())),
            )),
            Err(_) if field.is_nullable() => fields.push(Arc::clone(field)),
            Err(_) => {
                return Err(stop(format!(
                    "table {table} has no column '{}', and its old rows can't have a value for it: declare it as \
                     nullable, or begin a new table",
                    field.name()
                )));
            }
        }
    }
    let at = fields.iter().position(|field| field.name() == partition).unwrap_or(fields.len());
    let gone = old.fields().iter().filter(|field| new.field_with_name(field.name()).is_err());
    let gone: Vec<FieldRef> = gone.map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    fields.splice(at..at, gone);
    let becomes = Schema::new(fields);
    let same = becomes.fields().len() == old.fields().len()
        && becomes
            .fields()
            .iter()
            .all(|field| old.field_with_name(field.name()).is_ok_and(|had| had == field.as_ref()));
    // Another order of the same columns is not worth a commit: columns are found by name.
    Ok(if same { Evolution::Fits } else { Evolution::Becomes(canonical(&becomes)?) })
}

/// The text of `metaData.schemaString`.
pub(crate) fn to_delta(schema: &Schema) -> Result<String, PortError> {
    Ok(struct_json(schema.fields())?.to_string())
}

fn struct_json(fields: &Fields) -> Result<Value, PortError> {
    let fields: Result<Vec<Value>, PortError> = fields
        .iter()
        .map(|field| {
            let kind = type_json(field.name(), field.data_type())?;
            Ok(json!({"name": field.name(), "type": kind, "nullable": field.is_nullable(), "metadata": {}}))
        })
        .collect();
    Ok(json!({"type": "struct", "fields": fields?}))
}

fn type_json(name: &str, kind: &DataType) -> Result<Value, PortError> {
    Ok(match kind {
        DataType::Utf8 => json!("string"),
        DataType::Binary => json!("binary"),
        DataType::Boolean => json!("boolean"),
        DataType::Int8 => json!("byte"),
        DataType::Int16 => json!("short"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => json!("timestamp"),
        DataType::Decimal128(precision, scale) => json!(format!("decimal({precision},{scale})")),
        DataType::List(item) => {
            let element = type_json(name, item.data_type())?;
            json!({"type": "array", "elementType": element, "containsNull": item.is_nullable()})
        }
        DataType::Struct(fields) => struct_json(fields)?,
        other => return Err(stop(format!("column '{name}' is of type {other}, which a Delta table cannot hold"))),
    })
}

/// Reads `metaData.schemaString`.
///
/// # Errors
/// `Stop` where it is not a schema, or holds a type that is not known here.
pub(crate) fn from_delta(text: &str) -> Result<SchemaRef, PortError> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| PortError::caused(ErrorKind::Corrupt, "a table's schemaString is not JSON", error))?;
    Ok(Arc::new(Schema::new(fields_of(&value)?)))
}

fn fields_of(value: &Value) -> Result<Fields, PortError> {
    let fields = value.get("fields").and_then(Value::as_array);
    let fields = fields.ok_or_else(|| stop("a table's schema has a struct without fields"))?;
    let read = |field: &Value| -> Result<Field, PortError> {
        let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
        let kind = type_of(name, field.get("type").unwrap_or(&Value::Null))?;
        Ok(Field::new(name, kind, field.get("nullable").and_then(Value::as_bool).unwrap_or(true)))
    };
    Ok(fields.iter().map(read).collect::<Result<Vec<_>, _>>()?.into())
}

fn type_of(name: &str, kind: &Value) -> Result<DataType, PortError> {
    let unknown = || stop(format!("column '{name}' has a type this version can't read: {kind}"));
    if let Some(object) = kind.as_object() {
        return nested_type(name, object, &unknown);
    }
    Ok(match kind.as_str().ok_or_else(unknown)? {
        "string" => DataType::Utf8,
        "binary" => DataType::Binary,
        "boolean" => DataType::Boolean,
        "byte" => DataType::Int8,
        "short" => DataType::Int16,
        "integer" => DataType::Int32,
        "long" => DataType::Int64,
        "float" => DataType::Float32,
        "double" => DataType::Float64,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        text => {
            let inner = text.strip_prefix("decimal(").and_then(|rest| rest.strip_suffix(')')).ok_or_else(unknown)?;
            let (precision, scale) = inner.split_once(',').ok_or_else(unknown)?;
            let precision: u8 = precision.trim().parse().map_err(|_| unknown())?;
            let scale: i8 = scale.trim().parse().map_err(|_| unknown())?;
            if !(1..=38).contains(&precision) || !(0..=38).contains(&scale) || scale.unsigned_abs() > precision {
                return Err(unknown());
            }
            DataType::Decimal128(precision, scale)
        }
    })
}

fn nested_type(
    name: &str,
    object: &Map<String, Value>,
    unknown: &dyn Fn() -> PortError,
) -> Result<DataType, PortError> {
    let part = |key: &str| type_of(name, object.get(key).unwrap_or(&Value::Null));
    let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(true);
    match object.get("type").and_then(Value::as_str) {
        Some("struct") => Ok(DataType::Struct(fields_of(&Value::Object(object.clone()))?)),
        Some("array") => {
            Ok(DataType::List(Arc::new(Field::new("element", part("elementType")?, flag("containsNull")))))
        }
        Some("map") => {
            let key = Field::new("key", part("keyType")?, false);
            let value = Field::new("value", part("valueType")?, flag("valueContainsNull"));
            let entry = Field::new("key_value", DataType::Struct(Fields::from(vec![key, value])), false);
            Ok(DataType::Map(Arc::new(entry), false))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &[(&str, DataType, bool)]) -> Schema {
        Schema::new(fields.iter().map(|(name, kind, null)| Field::new(*name, kind.clone(), *null)).collect::<Vec<_>>())
    }

    #[test]
    fn every_type_reads_back_from_deltas_json() {
        let header =
            Fields::from(vec![Field::new("key", DataType::Utf8, true), Field::new("v", DataType::Binary, true)]);
        let kinds = [
            DataType::Utf8,
            DataType::Binary,
            DataType::Boolean,
            DataType::Int8,
            DataType::Int16,
            DataType::Int32,
            DataType::Int64,
            DataType::Float32,
            DataType::Float64,
            DataType::Date32,
            DataType::Decimal128(38, 10),
            DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            DataType::List(Arc::new(Field::new("element", DataType::Struct(header), true))),
        ];
        let fields: Vec<Field> =
            kinds.iter().enumerate().map(|(i, kind)| Field::new(format!("c{i}"), kind.clone(), i % 2 == 0)).collect();
        let schema = Schema::new(fields);
        assert_eq!(*from_delta(&to_delta(&schema).unwrap()).unwrap(), schema);
        assert_eq!(*canonical(&schema).unwrap(), schema);
    }

    #[test]
    fn types_that_delta_has_not_are_refused_with_advice() {
        for kind in [
            DataType::UInt64,
            DataType::Null,
            DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from("UTC"))),
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Decimal128(10, -2),
        ] {
            assert_eq!(canonical(&schema(&[("a", kind, true)])).unwrap_err().kind, ErrorKind::Stop);
        }
        let twice = schema(&[("a", DataType::Utf8, true), ("A", DataType::Utf8, true)]);
        assert_eq!(canonical(&twice).unwrap_err().kind, ErrorKind::Stop);
    }

    #[test]
    fn new_nullable_columns_are_added_in_order_and_removed_ones_stay_nullable() {
        let old = schema(&[("a", DataType::Utf8, true), ("b", DataType::Int32, false), ("d", DataType::Date32, false)]);
        let new = schema(&[("n", DataType::Int64, true), ("a", DataType::Utf8, true), ("d", DataType::Date32, false)]);
        let Evolution::Becomes(becomes) = evolve("t", &old, &new, "d").unwrap() else { panic!("changed") };
        let names: Vec<_> = becomes.fields().iter().map(|field| (field.name().as_str(), field.is_nullable())).collect();
        assert_eq!(names, [("n", true), ("a", true), ("b", true), ("d", false)]);
        assert_eq!(evolve("t", &becomes, &new, "d").unwrap(), Evolution::Fits);
        let typed = schema(&[("a", DataType::Int64, true), ("d", DataType::Date32, false)]);
        assert_eq!(evolve("t", &old, &typed, "d").unwrap_err().kind, ErrorKind::Stop);
        let required = schema(&[("z", DataType::Int64, false), ("d", DataType::Date32, false)]);
        assert_eq!(evolve("t", &old, &required, "d").unwrap_err().kind, ErrorKind::Stop);
    }
}
