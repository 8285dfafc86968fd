//! Checkpoints: equal to their entries, lying, damaged, or all there is.

use crate::finding::{Code, Kept};
use crate::lake::Logs;
use crate::lake::little_log::{LittleLog, POSITION, SCHEMA, append, found, part};
use arrow::array::{
    ArrayRef, Int32Array, Int64Array, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

/// What a checkpoint of [`LittleLog::plain`] says; to be altered.
#[derive(Clone)]
struct Told {
    adds: Vec<(String, i64, String, String)>,
    removes: Vec<String>,
    txns: Vec<(String, i64)>,
    id: String,
    schema: String,
    partition: String,
    cleanup: String,
    reader: i32,
}

impl Told {
    fn at(version: u64) -> Self {
        let stats = |size: u64| format!("{{\"minValues\":{{\"price\":1.50}},\"numRecords\":{size}}}");
        let file = |at: u64| (part(at), i64::try_from(10 * at).unwrap(), "2026-11-25".to_owned(), stats(10 * at));
        Self {
            adds: (1..=version).map(file).collect(),
            removes: vec!["gone.parquet".to_owned()],
            txns: vec![(POSITION.to_owned(), i64::try_from(10 * version).unwrap())],
            id: "table-1".to_owned(),
            schema: SCHEMA.to_owned(),
            partition: "_event_date".to_owned(),
            cleanup: "false".to_owned(),
            reader: 1,
        }
    }

    fn write(&self, little: &LittleLog, version: u64) -> PathBuf {
        let path = little.log().join(format!("{version:020}.checkpoint.parquet"));
        let (adds, removes, txns) = (self.adds.len(), self.removes.len(), self.txns.len());
        let rows = adds + removes + txns + 2;
        let (definition, protocol) = (rows - 2, rows - 1);
        let add = |row: usize| self.adds.get(row);
        let remove = |row: usize| row.checked_sub(adds).and_then(|at| self.removes.get(at));
        let txn = |row: usize| row.checked_sub(adds + removes).and_then(|at| self.txns.get(at));
        let texts =
            |of: &dyn Fn(usize) -> Option<String>| -> ArrayRef { Arc::new((0..rows).map(of).collect::<StringArray>()) };
        let longs =
            |of: &dyn Fn(usize) -> Option<i64>| -> ArrayRef { Arc::new((0..rows).map(of).collect::<Int64Array>()) };
        let ints =
            |of: &dyn Fn(usize) -> Option<i32>| -> ArrayRef { Arc::new((0..rows).map(of).collect::<Int32Array>()) };
        let columns = vec![
            (
                "txn",
                struct_of(
                    rows,
                    &|row| txn(row).is_some(),
                    vec![
                        ("appId", texts(&|row| txn(row).map(|txn| txn.0.clone()))),
                        ("version", longs(&|row| txn(row).map(|txn| txn.1))),
                    ],
                ),
            ),
            (
                "add",
                struct_of(
                    rows,
                    &|row| add(row).is_some(),
                    vec![
                        ("path", texts(&|row| add(row).map(|add| add.0.clone()))),
                        ("partitionValues", maps(rows, &|row| add(row).map(|add| ("_event_date", add.2.as_str())))),
                        ("size", longs(&|row| add(row).map(|add| add.1))),
                        ("stats", texts(&|row| add(row).map(|add| add.3.clone()))),
                    ],
                ),
            ),
            (
                "remove",
                struct_of(rows, &|row| remove(row).is_some(), vec![("path", texts(&|row| remove(row).cloned()))]),
            ),
            (
                "metaData",
                struct_of(
                    rows,
                    &|row| row == definition,
                    vec![
                        ("id", texts(&|row| (row == definition).then(|| self.id.clone()))),
                        ("schemaString", texts(&|row| (row == definition).then(|| self.schema.clone()))),
                        (
                            "partitionColumns",
                            lists(rows, &|row| (row == definition).then_some(self.partition.as_str())),
                        ),
                        ("configuration", self.configuration(rows, definition)),
                    ],
                ),
            ),
            (
                "protocol",
                struct_of(
                    rows,
                    &|row| row == protocol,
                    vec![
                        ("minReaderVersion", ints(&|row| (row == protocol).then_some(self.reader))),
                        ("minWriterVersion", ints(&|row| (row == protocol).then_some(2))),
                    ],
                ),
            ),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    fn configuration(&self, rows: usize, definition: usize) -> ArrayRef {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in 0..rows {
            if row == definition {
                for (key, value) in
                    [("delta.enableExpiredLogCleanup", self.cleanup.as_str()), ("watertight.pipeline", "p")]
                {
                    builder.keys().append_value(key);
                    builder.values().append_value(value);
                }
            }
            builder.append(row == definition).unwrap();
        }
        Arc::new(builder.finish())
    }
}

fn struct_of(rows: usize, valid: &dyn Fn(usize) -> bool, columns: Vec<(&str, ArrayRef)>) -> ArrayRef {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let valid: Vec<bool> = (0..rows).map(valid).collect();
    Arc::new(StructArray::try_new(Fields::from(fields), arrays, Some(NullBuffer::from(valid))).unwrap())
}

fn maps<'a>(rows: usize, of: &dyn Fn(usize) -> Option<(&'a str, &'a str)>) -> ArrayRef {
    let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in 0..rows {
        let pair = of(row);
        if let Some((key, value)) = pair {
            builder.keys().append_value(key);
            builder.values().append_value(value);
        }
        builder.append(pair.is_some()).unwrap();
    }
    Arc::new(builder.finish())
}

fn lists<'a>(rows: usize, of: &dyn Fn(usize) -> Option<&'a str>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        let item = of(row);
        if let Some(item) = item {
            builder.values().append_value(item);
        }
        builder.append(item.is_some());
    }
    Arc::new(builder.finish())
}

fn file(version: u64) -> String {
    format!("_delta_log/{version:020}.checkpoint.parquet")
}

fn whats(kept: &Kept) -> Vec<&str> {
    kept.findings.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn a_checkpoint_that_is_true_gives_nothing() {
    let little = LittleLog::plain();
    Told::at(2).write(&little, 2);
    Told::at(3).write(&little, 3);
    let (table, kept) = little.observe();
    assert_eq!(whats(&kept), Vec::<&str>::new());
    assert_eq!((table.unwrap().checkpoint, kept.unable.len()), (None, 0));
}

#[test]
fn a_checkpoint_that_agreed_is_read_again_once_it_or_an_entry_below_it_is_another() {
    let (little, mut logs) = (LittleLog::plain(), Logs::default());
    let mut look = |little: &LittleLog| {
        let before = logs.files_read();
        let (table, kept) = little.observe_with(&mut logs);
        logs.keep(table);
        (found(&kept).len(), logs.files_read() - before)
    };
    Told::at(2).write(&little, 2);
    assert_eq!((look(&little), look(&little)), ((0, 5), (0, 0)));
    // Made in the background, behind the version that was looked at.
    little.entry(4, &append(4, &[]));
    Told::at(3).write(&little, 3);
    assert_eq!((look(&little), look(&little)), ((0, 2), (0, 0)));
    let mut told = Told::at(2);
    told.adds.pop();
    told.write(&little, 2);
    assert_eq!((look(&little), look(&little)), ((1, 1), (1, 1)), "a lie is told by every look");
    Told::at(2).write(&little, 2);
    little.entry(1, &append(1, &[]));
    let (found, read) = look(&little);
    assert!(found > 0 && read == 3, "{found} found, {read} read");
}

#[test]
fn each_lie_of_a_checkpoint_is_named() {
    let lies: [(&str, fn(&mut Told)); 15] = [
        ("lacks live files", |told| drop(told.adds.pop())),
        ("holds files that the entries do not", |told| told.adds[0].0 = part(9)),
        ("holds files twice", |told| told.adds.push(told.adds[0].clone())),
        ("gives files another size", |told| told.adds[1].1 += 1),
        ("puts files into another partition", |told| told.adds[1].2 = "2026-11-26".to_owned()),
        ("gives files other statistics", |told| told.adds[1].3 = "{\"numRecords\":19}".to_owned()),
        ("says of live files that they were removed", |told| told.removes.push(part(1))),
        ("gives positions another offset", |told| told.txns[0].1 += 1),
        ("lacks positions", |told| told.txns.clear()),
        ("holds positions that the entries do not", |told| told.txns.push(("x".to_owned(), 1))),
        ("gives the table another id", |told| told.id.push('x')),
        ("gives the table another schema", |told| told.schema = told.schema.replace("18,4", "18,3")),
        ("partitions the table otherwise", |told| told.partition = "price".to_owned()),
        ("gives the table other settings", |told| told.cleanup = "true".to_owned()),
        ("asks for another protocol", |told| told.reader = 3),
    ];
    for (what, lie) in lies {
        let little = LittleLog::plain();
        let mut told = Told::at(2);
        lie(&mut told);
        told.write(&little, 2);
        let (_, kept) = little.observe();
        let there = found(&kept);
        assert!(
            there.iter().all(|one| *one == (Code::CheckpointDiffers, Some(2), Some(file(2).as_str()))),
            "{there:?}"
        );
        assert!(whats(&kept).iter().any(|found| found.contains(what)), "{what}: {:?}", whats(&kept));
    }
}

#[test]
fn a_checkpoint_that_names_a_file_outside_the_folder_is_named() {
    let little = LittleLog::plain();
    let mut told = Told::at(2);
    told.adds.push(("../../x.parquet".to_owned(), 1, "2026-11-25".to_owned(), "{}".to_owned()));
    told.write(&little, 2);
    assert_eq!(found(&little.observe().1), [(Code::PathEscapes, Some(2), Some(file(2).as_str()))]);
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_entries_are_used() {
    let damages: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes.truncate(bytes.len() / 2),
        Vec::clear,
        |bytes| {
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        },
        |bytes| {
            let at = bytes.len() - 8;
            bytes[at..at + 4].copy_from_slice(&0_u32.to_le_bytes());
        },
        |bytes| {
            let (from, to) = (4, bytes.len() / 3);
            bytes[from..to].fill(0xff);
        },
        |bytes| {
            let at = bytes.len() - 8;
            let claimed = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let from = at - usize::try_from(claimed).unwrap();
            bytes[from..at].fill(0xff);
        },
    ];
    for (at, damage) in damages.into_iter().enumerate() {
        let little = LittleLog::plain();
        let path = Told::at(2).write(&little, 2);
        let mut bytes = fs::read(&path).unwrap();
        damage(&mut bytes);
        fs::write(&path, bytes).unwrap();
        let (table, kept) = little.observe();
        assert_eq!(found(&kept), [(Code::CheckpointUnreadable, Some(2), Some(file(2).as_str()))], "damage {at}");
        assert_eq!(table.unwrap().live.len(), 3);
    }
}

#[test]
fn where_the_first_entries_are_gone_the_checkpoint_is_the_beginning() {
    let little = LittleLog::plain();
    Told::at(2).write(&little, 2);
    for version in 0..=2 {
        fs::remove_file(little.entry_path(version)).unwrap();
    }
    let (table, kept) = little.observe();
    assert_eq!(whats(&kept), Vec::<&str>::new());
    let table = table.unwrap();
    assert_eq!((table.checkpoint, table.version, table.commits.len(), table.live.len()), (Some(2), 3, 1, 3));
    assert_eq!((table.live[&part(1)].version, table.live[&part(3)].version, table.txns[POSITION]), (2, 3, 30));
}

#[test]
fn a_later_checkpoint_is_held_against_what_began_at_an_older_one() {
    let little = LittleLog::plain();
    Told::at(2).write(&little, 2);
    let mut told = Told::at(3);
    told.adds[2].1 += 1;
    told.write(&little, 3);
    fs::remove_file(little.entry_path(0)).unwrap();
    fs::remove_file(little.entry_path(1)).unwrap();
    assert_eq!(found(&little.observe().1), [(Code::CheckpointDiffers, Some(3), Some(file(3).as_str()))]);
}

#[test]
fn entries_between_a_checkpoint_and_the_first_entry_are_missing() {
    let little = LittleLog::plain();
    Told::at(1).write(&little, 1);
    for version in 0..=2 {
        fs::remove_file(little.entry_path(version)).unwrap();
    }
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(2), None)]);
    let table = table.unwrap();
    assert_eq!((table.checkpoint, table.live.len(), table.version), (Some(1), 2, 3));
}

#[test]
fn behind_a_missing_version_the_next_checkpoint_is_believed() {
    let little = LittleLog::plain();
    Told::at(3).write(&little, 3);
    fs::remove_file(little.entry_path(2)).unwrap();
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(2), None)]);
    assert_eq!(table.unwrap().live.len(), 3);
}

#[test]
fn a_newest_entry_that_only_its_checkpoint_remembers_is_missing() {
    let little = LittleLog::plain();
    Told::at(3).write(&little, 3);
    fs::remove_file(little.entry_path(3)).unwrap();
    let (table, kept) = little.observe();
    assert_eq!(found(&kept), [(Code::VersionMissing, Some(3), None)]);
    let table = table.unwrap();
    assert_eq!((table.version, table.live.len()), (3, 3));
}
