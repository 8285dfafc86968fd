//! Books, altered in a table's entries and, where a careful adversary is played, in their copies in `ops.commits` too.

use super::{Lake, Table, rows};
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::Xxh3;

/// Whether `ops.commits` is altered along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copies {
    /// Yes: both say the same afterwards.
    Along,
    /// No: the two differ afterwards.
    Left,
}

/// Columns of `ops.commits` that repeat a number of a partition's outcome.
const OUTCOME: [&str; 10] = [
    "records",
    "no_record",
    "lost",
    "silver",
    "duplicates",
    "dead_letters",
    "withheld",
    "late",
    "future",
    "unknown_fields",
];

/// Lets `change` alter the books of each append from version `from` on.
///
/// # Errors
/// When something cannot be written.
pub fn edit(
    lake: &Lake,
    table: &mut Table,
    from: u64,
    copies: Copies,
    mut change: impl FnMut(u64, &mut Value),
) -> Result<()> {
    let mut changed = BTreeMap::new();
    for entry in table.entries.iter_mut().filter(|entry| entry.version >= from && entry.is_append()) {
        let (version, before) = (entry.version, entry.books().cloned());
        if let Some(books) = entry.books_mut() {
            change(version, books);
        }
        let after = entry.books().cloned();
        if before != after {
            entry.save()?;
            changed.extend(after.map(|books| (version, books)));
        }
    }
    match copies {
        Copies::Along => copy(lake, &table.name, &changed),
        Copies::Left => Ok(()),
    }
}

/// Lets `ops.commits` say what the books of these versions of a table say.
fn copy(lake: &Lake, table: &str, changed: &BTreeMap<u64, Value>) -> Result<()> {
    let mut commits = lake.table("ops.commits")?;
    for live in commits.live() {
        let before = commits.rows(&live)?;
        let mut after = before.clone();
        for row in 0..before.num_rows() {
            let version = rows::whole(&before, "version", row).and_then(|version| u64::try_from(version).ok());
            let books = version.and_then(|version| changed.get(&version));
            let (Some(books), true) = (books, rows::text(&before, "table_name", row).as_deref() == Some(table)) else {
                continue;
            };
            after = copy_row(&after, row, books)?;
        }
        if after != before {
            commits.rewrite(&live, &after, &["*"])?;
        }
    }
    Ok(())
}

fn copy_row(batch: &arrow::array::RecordBatch, row: usize, books: &Value) -> Result<arrow::array::RecordBatch> {
    use rows::Cell;
    let mut text = books.clone();
    if let Some(keys) = text.as_object_mut() {
        // Not `remove`: that may put the last key in its place.
        keys.shift_remove("log_actions");
    }
    let mut batch = rows::set(batch, "books", row, &Cell::Text(serde_json::to_string(&text)?))?;
    batch = rows::set(&batch, "commit_id", row, &Cell::Text(books["commit_id"].as_str().unwrap_or_default().into()))?;
    for (column, value) in [("rows_added", &books["rows"]), ("bytes", &books["bytes"])] {
        if let Some(value) = value.as_i64() {
            batch = rows::set(&batch, column, row, &Cell::Whole(value.into()))?;
        }
    }
    let partition = rows::whole(&batch, "kafka_partition", row);
    let entries = books["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(entry) = entries.iter().find(|entry| partition.is_some() && entry["partition"].as_i64() == partition)
    else {
        return Ok(batch);
    };
    for (column, value) in [("from_offset", &entry["from"]), ("to_offset", &entry["to"])] {
        if let Some(value) = value.as_i64() {
            batch = rows::set(&batch, column, row, &Cell::Whole(value.into()))?;
        }
    }
    for column in OUTCOME {
        if let Some(value) = entry["outcome"][column].as_i64() {
            batch = rows::set(&batch, column, row, &Cell::Whole(value.into()))?;
        }
    }
    let checksum = entry["checksum"].as_str().unwrap_or_default();
    rows::set(&batch, "checksum", row, &Cell::Text(checksum.to_owned()))
}

/// The entry of a partition in books, if its range holds the offset.
pub fn covering(books: &mut Value, (partition, offset): (i32, i64)) -> Option<&mut Value> {
    let entries = books.get_mut("entries")?.as_array_mut()?;
    entries.iter_mut().find(|entry| {
        entry["partition"].as_i64() == Some(partition.into())
            && entry["from"].as_i64().is_some_and(|from| from <= offset)
            && entry["to"].as_i64().is_some_and(|to| offset < to)
    })
}

/// The version of a table whose books cover a position.
#[must_use]
pub fn version_of(table: &Table, position: (i32, i64)) -> Option<u64> {
    table.entries.iter().filter(|entry| entry.is_append()).find_map(|entry| {
        let mut books = entry.books()?.clone();
        covering(&mut books, position).map(|_| entry.version)
    })
}

/// Adds to a number; a key that is not there counts as 0.
pub fn add(value: &mut Value, key: &str, by: i64) {
    let old = value.get(key).and_then(Value::as_i64).unwrap_or(0);
    value[key] = json!(old + by);
}

/// Takes one record's checksum out of an entry's, and puts another one in.
pub fn exchange_checksum(entry: &mut Value, out: u128, into: u128) {
    let old = entry["checksum"].as_str().and_then(|text| u128::from_str_radix(text, 16).ok()).unwrap_or(0);
    entry["checksum"] = json!(format!("{:032x}", old.wrapping_sub(out).wrapping_add(into)));
}

/// The checksum of a record as docs/adr/0006 has it: xxh3-128 over partition (i32 LE), offset (i64 LE), lengths of key
/// and value (u32 LE, `u32::MAX` is null), key, value.
#[must_use]
pub fn checksum((partition, offset): (i32, i64), key: Option<&[u8]>, value: Option<&[u8]>) -> u128 {
    let mut hasher = Xxh3::new();
    hasher.update(&partition.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    for part in [key, value] {
        let length = part.map_or(u32::MAX, |bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX - 1));
        hasher.update(&length.to_le_bytes());
    }
    for part in [key, value] {
        hasher.update(part.unwrap_or_default());
    }
    hasher.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_exchanged_in_the_sum() {
        let one = checksum((0, 1), Some(b"k"), Some(b"v"));
        let two = checksum((0, 1), Some(b"k"), Some(b"w"));
        let mut entry = json!({ "checksum": format!("{:032x}", one.wrapping_add(5)) });
        exchange_checksum(&mut entry, one, two);
        assert_eq!(entry["checksum"], format!("{:032x}", two.wrapping_add(5)));
        assert_ne!(one, checksum((0, 1), None, Some(b"kv")));
    }

    #[test]
    fn the_entry_that_covers_an_offset_is_found_by_its_range() {
        let mut books = json!({ "entries": [{ "partition": 1, "from": 5, "to": 9 }] });
        assert!(covering(&mut books, (1, 8)).is_some());
        assert!(covering(&mut books, (1, 9)).is_none() && covering(&mut books, (0, 8)).is_none());
    }
}
