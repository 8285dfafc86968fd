//! A little table for tests: a Delta log written by hand, and files of a given length beside it.

use super::{Logs, Table, TableName};
use crate::finding::{Code, Findings, Kept, Unable};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The day's folder.
pub(crate) const DAY: &str = "_event_date=2026-11-25";
/// Id of the position that [`append`] moves.
pub(crate) const POSITION: &str = "watertight/p/t/i/0";
/// Its schema.
pub(crate) const SCHEMA: &str = concat!(
    r#"{"type":"struct","fields":["#,
    r#"{"name":"event_id","type":"string","nullable":true,"metadata":{}},"#,
    r#"{"name":"price","type":"decimal(18,4)","nullable":true,"metadata":{}},"#,
    r#"{"name":"_event_date","type":"date","nullable":false,"metadata":{}}]}"#,
);

/// `silver.ticks` in a lake of its own.
pub(crate) struct LittleLog {
    lake: TempDir,
}

impl LittleLog {
    /// With a log that has no entry yet.
    pub(crate) fn empty() -> Self {
        let little = Self { lake: tempfile::tempdir().unwrap() };
        fs::create_dir_all(little.log()).unwrap();
        little
    }

    /// Created, and three commits of a file each: versions 0 to 3.
    pub(crate) fn plain() -> Self {
        let little = Self::empty();
        little.entry(0, &create());
        for version in 1..=3 {
            little.file(&part(version), 10 * version);
            little.entry(version, &append(version, &[add(&part(version), 10 * version)]));
        }
        little
    }

    pub(crate) fn lake(&self) -> &Path {
        self.lake.path()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.lake().join("silver/ticks")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder().join("_delta_log")
    }

    pub(crate) fn entry_path(&self, version: u64) -> PathBuf {
        self.log().join(format!("{version:020}.json"))
    }

    pub(crate) fn entry(&self, version: u64, lines: &[Value]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.entry_path(version), text).unwrap();
    }

    pub(crate) fn file(&self, path: &str, bytes: u64) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![7; usize::try_from(bytes).unwrap()]).unwrap();
    }

    pub(crate) fn observe(&self) -> (Result<Table, Unable>, Kept) {
        self.observe_with(&mut Logs::default())
    }

    /// As [`LittleLog::observe`], with what was read before.
    pub(crate) fn observe_with(&self, logs: &mut Logs) -> (Result<Table, Unable>, Kept) {
        let findings = Findings::default();
        let name = TableName { schema: "silver".to_owned(), name: "ticks".to_owned() };
        let table = logs.observe(self.lake(), &name, &findings);
        (table, findings.into_kept())
    }
}

/// The file that version `version` of [`LittleLog::plain`] adds.
pub(crate) fn part(version: u64) -> String {
    format!("{DAY}/part-{version}.zstd.parquet")
}

/// An entry of ours: its `commitInfo`, and these actions.
pub(crate) fn ours(version: u64, kind: &str, actions: &[Value]) -> Vec<Value> {
    let count = actions.len() + 1;
    let id = format!("c{version}");
    let books = json!({"format": 1, "kind": kind, "commit_id": id, "pipeline": "p", "log_actions": count});
    let info = json!({
        "timestamp": 1000 * version, "operation": "WRITE", "engineInfo": "watertight/0.1.0", "watertight": books,
    });
    entry_of(info, actions)
}

/// An entry of another program.
pub(crate) fn foreign(actions: &[Value]) -> Vec<Value> {
    let info = json!({"timestamp": 9, "operation": "OPTIMIZE", "engineInfo": "delta-rs:py-1.6.6"});
    entry_of(info, actions)
}

fn entry_of(info: Value, actions: &[Value]) -> Vec<Value> {
    let mut lines = vec![json!({"commitInfo": info})];
    lines.extend_from_slice(actions);
    lines
}

pub(crate) fn metadata(schema: &str) -> Value {
    json!({"metaData": {
        "id": "table-1", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
        "partitionColumns": ["_event_date"],
        "configuration": {"delta.enableExpiredLogCleanup": "false", "watertight.pipeline": "p"},
    }})
}

pub(crate) fn create() -> Vec<Value> {
    ours(0, "create", &[json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}), metadata(SCHEMA)])
}

/// An append that moves the position to ten times its version.
pub(crate) fn append(version: u64, adds: &[Value]) -> Vec<Value> {
    let mut actions = vec![json!({"txn": {"appId": POSITION, "version": 10 * version}})];
    actions.extend_from_slice(adds);
    ours(version, "append", &actions)
}

pub(crate) fn add(path: &str, size: u64) -> Value {
    let stats = json!({"numRecords": size, "minValues": {"price": 1.5}}).to_string();
    json!({"add": {
        "path": path, "partitionValues": {"_event_date": "2026-11-25"}, "size": size, "modificationTime": 5,
        "dataChange": true, "stats": stats,
    }})
}

/// Codes, versions and files of what was found.
pub(crate) fn found(kept: &Kept) -> Vec<(Code, Option<u64>, Option<&str>)> {
    let one = kept.findings.iter();
    one.map(|finding| (finding.code, finding.place.version, finding.place.file.as_deref())).collect()
}
