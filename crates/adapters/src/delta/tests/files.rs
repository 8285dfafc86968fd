//! Data files: what is in them, and damage.

use crate::contract::lake::{DeltaBench, LakeBench, all_types, request, some_rows, spec, step};
use parquet::basic::{Compression, Encoding};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;
use std::fs::{self, File};
use watertight_core::port::{DataFile, ErrorKind, LakeTable, Spent};

#[test]
fn files_hold_the_encodings_names_and_statistics_that_readers_want() {
    let bench = DeltaBench::new();
    let (spec, rows) = all_types(2000, 19_000);
    let mut table = bench.lake().open(&spec).unwrap();
    let file = table.stage(19_000, &rows).unwrap();
    let path = bench.delta().table_root("silver", "all_types").join(&file.path);
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = reader.metadata();
    assert!(metadata.file_metadata().key_value_metadata().is_none(), "no Arrow schema");
    assert_eq!(metadata.num_row_groups(), 1);
    let group = metadata.row_group(0);
    let column = |name: &str| {
        let found = group.columns().iter().find(|column| column.column_path().string() == name);
        found.unwrap_or_else(|| panic!("no column {name}"))
    };
    assert!(group.columns().iter().all(|column| !column.column_path().string().contains("_event_date")));
    assert!(group.columns().iter().all(|column| matches!(column.compression(), Compression::ZSTD(_))));
    for name in ["tiny", "int", "long", "small_decimal", "price", "day", "at"] {
        assert!(column(name).encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED), "{name}");
        assert!(column(name).statistics().is_some(), "{name}");
    }
    for name in ["id", "text", "raw", "tags.list.element", "headers.list.element.value"] {
        assert!(column(name).encodings().any(|encoding| encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY), "{name}");
    }
    assert!(column("raw").statistics().is_none() && column("id").statistics().is_some());
    let stats: Value = serde_json::from_str(&file.stats).unwrap();
    assert_eq!(stats["numRecords"], 2000);
    assert_eq!(stats["minValues"]["price"].to_string(), "-99999999999999.9998");
    assert_eq!(stats["nullCount"]["headers"], 0);
    for name in ["raw", "tags", "headers", "place", "flag"] {
        assert!(stats["minValues"].get(name).is_none(), "{name}");
    }
}

#[test]
fn a_damaged_data_file_is_corrupt_and_named() {
    let bench = DeltaBench::new();
    let mut table = bench.lake().open(&spec()).unwrap();
    let file = table.stage(3, &some_rows(0, 500, 3)).unwrap();
    table.commit(&request("a", vec![step(0, None, 500)], vec![file.clone()])).unwrap();
    let path = bench.table_root().join(&file.path);
    let whole = fs::read(&path).unwrap();
    let middle = whole.len() / 3;
    let noise = [&whole[..middle], &[0xff; 64], &whole[middle + 64..]].concat();
    let no_footer = [&whole[..whole.len() - 4], b"nope"].concat();
    // Whoever believes the footer reads all rows of it: only its size tells.
    let footer_len = u32::from_le_bytes(*whole[..whole.len() - 4].last_chunk().unwrap()) as usize;
    let two_footers = [&whole[..], &whole[whole.len() - 8 - footer_len..]].concat();
    let fails = |file: &DataFile, what: &str| {
        let error = match table.read(file, &[]) {
            Err(error) => error,
            Ok(batches) => batches.map(|batch| batch.err()).find_map(|error| error).expect(what),
        };
        assert_eq!(error.kind, ErrorKind::Corrupt, "{what}: {}", error.chain());
        assert!(error.message.contains("part-0000000001-"), "{error}");
    };
    let cut = whole[..middle].to_vec();
    for (what, bytes) in [("noise", &noise), ("cut", &cut), ("footer", &no_footer), ("two footers", &two_footers)] {
        fs::write(&path, bytes).unwrap();
        fails(&file, what);
    }
    fs::write(&path, &whole).unwrap();
    fails(&DataFile { rows: 499, ..file.clone() }, "rows");
    fails(&DataFile { size: file.size + 1, ..file.clone() }, "size");
    fs::remove_file(&path).unwrap();
    fails(&file, "missing");
}

fn stage(table: &mut dyn LakeTable, from: i64) -> DataFile {
    table.stage(3, &some_rows(from, 500, 3)).unwrap()
}

#[test]
fn what_was_spent_on_files_and_on_an_entry_is_told_once() {
    let bench = DeltaBench::new();
    let mut table = bench.lake().open(&spec()).unwrap();
    assert_eq!(table.spent(), Spent::default());
    let files = vec![stage(table.as_mut(), 0), stage(table.as_mut(), 500)];
    let staged = table.spent();
    assert!(staged.write_us > Some(0) && staged.sync_us.is_some() && staged.entry_us.is_none(), "{staged:?}");
    table.commit(&request("a", vec![step(0, None, 1000)], files)).unwrap();
    let third = stage(table.as_mut(), 1000);
    let both = table.spent();
    assert!(both.write_us > Some(0) && both.sync_us.is_some() && both.entry_us > Some(0), "{both:?}");
    assert_eq!(table.spent(), Spent::default());
    // An answer that was lost: nobody saw how long it took.
    bench.lose_next_answer();
    let asked = request("b", vec![step(0, Some(1000), 1500)], vec![third]);
    assert_eq!(table.commit(&asked).unwrap_err().kind, ErrorKind::Unknown);
    table.commit(&asked).unwrap();
    assert_eq!(table.spent(), Spent::default());
    assert_eq!(bench.lake().look("silver", "ticks").unwrap().unwrap().spent(), Spent::default());
}
