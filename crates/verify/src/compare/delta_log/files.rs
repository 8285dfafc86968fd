//! Live files: there, as long as their entries say, and in the partition that their entries say.

use super::Check;
use crate::finding::{Code, Place, Unable};
use crate::lake::LiveFile;
use crate::lake::path::percent_decoded;
use crate::lake::tables::is_absent;
use crate::lake::text::clean;
use std::fs;

/// What Hive's folders say for null.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

pub(super) fn check(check: &Check<'_>) {
    for file in check.table.live.values() {
        let committed_at_us = check.table.committed_at_us(file.version);
        let scope = &check.request.scope;
        if !scope.bounds(file.version, committed_at_us) {
            continue;
        }
        let place = check.place().at_version(file.version).in_file(&file.add.path);
        // A file that was verified before may have gone since.
        on_disk(check, file, &place);
        if scope.has_version(&check.table.name, file.version, committed_at_us) {
            partition(check, file, &place);
        }
    }
}

fn on_disk(check: &Check<'_>, file: &LiveFile, place: &Place) {
    let missing = |what: String| check.findings.add(Code::FileMissing, place.clone(), what);
    match fs::metadata(check.table.folder.join(&file.add.path)) {
        Ok(about) if !about.is_file() => missing("the entry names a file, and no regular file is there".to_owned()),
        Ok(about) if about.len() != file.add.size => {
            let what = format!("the entry says {} bytes, the file has {}", file.add.size, about.len());
            check.findings.add(Code::FileSize, place.clone(), what);
        }
        Ok(_) => {}
        Err(error) if is_absent(&error) => {
            missing(format!("the entry names a file of {} bytes, and there is none", file.add.size));
        }
        Err(error) => {
            let why = format!("a data file can't be looked at ({error}): run verify as a user who may");
            check.findings.unable(Unable { place: place.clone(), why });
        }
    }
}

fn partition(check: &Check<'_>, file: &LiveFile, place: &Place) {
    for column in &check.table.metadata.partition_columns {
        let place = || place.clone().in_column(column);
        let Some(value) = file.add.partition_values.get(column) else {
            let what = format!("the entry gives no value for the partition column {}", clean(column));
            check.findings.add(Code::FilePartition, place(), what);
            continue;
        };
        let value = value.as_deref().filter(|value| !value.is_empty());
        for folder in folders_of(&file.add.path, column) {
            if !agrees(folder, value) {
                let value = value.map_or_else(|| "null".to_owned(), clean);
                let what = format!("the entry says {value}, the folder {}", clean(folder));
                check.findings.add(Code::FilePartition, place(), what);
            }
        }
    }
}

/// What the Hive folders of a path say about a column.
fn folders_of<'a>(path: &'a str, column: &'a str) -> impl Iterator<Item = &'a str> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').filter_map(move |folder| folder.strip_prefix(column)?.strip_prefix('='))
}

/// Folders may be percent-encoded once more than the path in the log is.
fn agrees(folder: &str, value: Option<&str>) -> bool {
    match value {
        None => folder.is_empty() || folder == HIVE_NULL,
        Some(value) => folder == value || percent_decoded(folder).is_some_and(|folder| folder == value),
    }
}
