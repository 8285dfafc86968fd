//! An event's id as text: that of one column, or a hash of several.
//!
//! The text of a value is: text as it is, bytes as lower-case hexadecimal digits, everything else as Arrow casts it to
//! text. A hashed id is xxh3-128 (seed 0) in 32 lower-case hexadecimal digits, over the columns of the rule in its order:
//! of each the length of its text in bytes (32 bits, little-endian) and the text; a null is the length 0xFFFFFFFF and no
//! text.

use super::arrays::array;
use super::definition::{ColumnType, EventId, StreamDefinition};
use super::{NULL, Value};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::xxh3_128;

const NULL_LENGTH: u32 = u32::MAX;

/// How a stream's events are told apart.
#[derive(Debug)]
pub(crate) struct Identity {
    columns: Vec<(usize, ColumnType)>,
    hashed: bool,
}

impl Identity {
    /// Of a definition.
    ///
    /// # Errors
    /// Where it names a column that is not there.
    pub(crate) fn new(definition: &StreamDefinition) -> Result<Self, String> {
        let (names, hashed) = match &definition.event_id {
            EventId::Column(name) => (std::slice::from_ref(name), false),
            EventId::Hash(names) => (names.as_slice(), true),
        };
        let column = |name: &String| {
            let mut columns = definition.columns.iter().enumerate();
            let found = columns.find(|(_, column)| column.name == *name);
            let found = found.map(|(index, column)| (index, column.kind.clone()));
            found.ok_or_else(|| format!("the event id's column '{name}' is not declared"))
        };
        Ok(Self { columns: names.iter().map(column).collect::<Result<Vec<_>, String>>()?, hashed })
    }

    /// The ids of rows.
    ///
    /// # Errors
    /// Where Arrow cannot write a value as text, or a row has no id: a defect of this program.
    pub(crate) fn ids(&self, rows: &[&[Value]]) -> Result<Vec<String>, String> {
        let columns = self.columns.iter().map(|(index, kind)| texts(*index, kind, rows));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        if self.hashed {
            let texts_of = |row: usize| columns.iter().map(move |texts| texts.get(row).cloned().flatten());
            return Ok((0..rows.len()).map(|row| hash(texts_of(row))).collect());
        }
        let ids = columns.into_iter().next().unwrap_or_default();
        ids.into_iter().map(|id| id.ok_or_else(|| "a row has no event id".to_owned())).collect()
    }
}

fn hash(texts: impl Iterator<Item = Option<String>>) -> String {
    let mut bytes = Vec::new();
    for text in texts {
        // Payloads are shorter than 4 GiB, and so are their texts.
        let length = text.as_ref().map_or(NULL_LENGTH, |text| u32::try_from(text.len()).unwrap_or(NULL_LENGTH));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    format!("{:032x}", xxh3_128(&bytes))
}

fn texts(index: usize, kind: &ColumnType, rows: &[&[Value]]) -> Result<Vec<Option<String>>, String> {
    let values: Vec<&Value> = rows.iter().map(|row| row.get(index).unwrap_or(&NULL)).collect();
    if matches!(kind, ColumnType::String | ColumnType::Binary) {
        let text = |value: &&Value| match value {
            Value::Text(text) => Some(text.clone()),
            Value::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            _ => None,
        };
        return Ok(values.iter().map(text).collect());
    }
    let cast = arrow::compute::cast(&array(kind, &values)?, &DataType::Utf8).map_err(|error| error.to_string())?;
    let cast = cast.as_string_opt::<i32>().ok_or("a cast to text gave another type")?;
    Ok((0..cast.len()).map(|row| cast.is_valid(row).then(|| cast.value(row).to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(kinds: &[ColumnType], hashed: bool) -> Identity {
        Identity { columns: kinds.iter().cloned().enumerate().collect(), hashed }
    }

    #[test]
    fn an_id_is_the_text_of_its_column() {
        for (kind, value, id) in [
            (ColumnType::String, Value::Text("a b".to_owned()), "a b"),
            (ColumnType::Binary, Value::Bytes(vec![0, 255]), "00ff"),
            (ColumnType::Long, Value::Integer(-7), "-7"),
            (ColumnType::Int, Value::Integer(7), "7"),
            (ColumnType::Boolean, Value::Boolean(true), "true"),
            (ColumnType::Decimal { precision: 6, scale: 2 }, Value::Decimal(1230), "12.30"),
            (ColumnType::Date, Value::Date(1), "1970-01-02"),
        ] {
            let row = [value];
            assert_eq!(identity(&[kind], false).ids(&[&row]), Ok(vec![id.to_owned()]));
        }
    }

    #[test]
    fn a_hash_takes_lengths_texts_and_nulls_in_order() {
        let kinds = [ColumnType::String, ColumnType::Long];
        let id = |values: [Value; 2]| identity(&kinds, true).ids(&[&values]).unwrap().remove(0);
        let bytes = [&b"\x01\0\0\0"[..], &b"a"[..], &b"\x02\0\0\0"[..], &b"12"[..]].concat();
        assert_eq!(id([Value::Text("a".into()), Value::Integer(12)]), format!("{:032x}", xxh3_128(&bytes)));
        let bytes = [&b"\0\0\0\0"[..], &b"\xff\xff\xff\xff"[..]].concat();
        assert_eq!(id([Value::Text(String::new()), Value::Null]), format!("{:032x}", xxh3_128(&bytes)));
        assert_ne!(
            id([Value::Text("a1".into()), Value::Integer(2)]),
            id([Value::Text("a".into()), Value::Integer(12)])
        );
    }
}
