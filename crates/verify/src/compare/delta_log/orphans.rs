//! Files in a table's folder that no version names: left by attempts that died.

use super::Check;
use crate::finding::{Code, Unable};
use crate::lake::tables::is_absent;
use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::io;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Levels of folders below the table's that are looked into; tables of ours have one.
const DEPTH_MAX: usize = 16;
/// The folder of the log.
const LOG_FOLDER: &str = "_delta_log";
/// Beginning of the names of our temporary files in it.
const TEMPORARY: &str = ".wt-";

pub(super) fn check(check: &Check<'_>) {
    let named = named(check);
    let mut open: Vec<(PathBuf, String, usize)> = vec![(check.table.folder.clone(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = open.pop() {
        let found = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => continue,
            Err(error) => {
                let why = format!("a folder can't be read ({error}): whether files in it are named is not known");
                check.findings.unable(Unable { place: check.place().in_file(&prefix), why });
                continue;
            }
        };
        let in_log = prefix == format!("{LOG_FOLDER}/");
        for entry in found {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            // The kind of the entry itself: links are not followed.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                if !in_log && depth < DEPTH_MAX {
                    open.push((entry.path(), format!("{path}/"), depth + 1));
                }
            } else if in_log {
                if name.starts_with(TEMPORARY) {
                    orphan(check, &entry, &path);
                }
            } else if name.ends_with(".parquet") && !named.contains(path.as_str()) {
                orphan(check, &entry, &path);
            }
        }
    }
}

/// Every path that a version read here ever named, live or not.
fn named<'a>(check: &Check<'a>) -> BTreeSet<&'a str> {
    let table = check.table;
    let added = table.commits.iter().flat_map(|commit| &commit.adds).map(|add| add.path.as_str());
    let removed = table.commits.iter().flat_map(|commit| &commit.removes).map(|remove| remove.path.as_str());
    table.live.keys().map(String::as_str).chain(added).chain(removed).collect()
}

fn orphan(check: &Check<'_>, entry: &DirEntry, path: &str) {
    // What vanishes while it is looked at was in use.
    let Ok(about) = entry.metadata() else { return };
    let modified = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified_us = modified.and_then(|since| i64::try_from(since.as_micros()).ok());
    let age = modified_us.map_or_else(
        || "of unknown age".to_owned(),
        |modified_us| format!("{} old", duration(check.request.now_us.saturating_sub(modified_us))),
    );
    let what = format!("no version names this file of {} bytes, {age}", about.len());
    check.findings.add(Code::Orphan, check.place().in_file(path), what);
}

/// A length of time in its two largest units.
fn duration(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_two_largest_units() {
        let told = [(-5, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (7_265, "2 h 1 min"), (180_000, "2 d 2 h")];
        for (seconds, text) in told {
            assert_eq!(duration(seconds * 1_000_000), text);
        }
    }
}
