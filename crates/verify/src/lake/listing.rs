//! What lies in a `_delta_log` folder, by name.

use super::entry;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Digits of a version in a name.
const DIGITS: usize = 20;
/// The largest `_last_checkpoint` that is read: others may put a schema into it.
const HINT_BYTES_MAX: u64 = 4 << 20;
/// The hint's name.
pub(super) const HINT: &str = "_last_checkpoint";

/// A complete checkpoint: one file, or all its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    /// Names of its files, in order; at least one.
    pub(super) names: Vec<String>,
}

impl Checkpoint {
    /// For a place: its file, or the first of them, relative to the table's folder.
    pub(super) fn file(&self) -> String {
        format!("_delta_log/{}", self.names.first().map_or("", String::as_str))
    }
}

/// The names in a log's folder that mean something.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Versions with an entry.
    pub(super) entries: BTreeSet<u64>,
    /// Checkpoints by version.
    pub(super) checkpoints: BTreeMap<u64, Vec<Checkpoint>>,
    /// Versions with a checkpoint in a form that is not read here.
    pub(super) others: BTreeSet<u64>,
    /// The version that the hint names.
    pub(super) hint: Option<u64>,
}

#[derive(Deserialize)]
struct Hint {
    version: u64,
}

/// The name of a version's entry.
pub(super) fn entry_name(version: u64) -> String {
    format!("{version:020}.json")
}

impl Listing {
    /// Lists a log's folder. The hint is read first: a checkpoint is there before the hint names it.
    pub(super) fn of(log: &Path) -> io::Result<Self> {
        let hint = entry::load(&log.join(HINT), HINT_BYTES_MAX).ok();
        let hint = hint.and_then(|bytes| serde_json::from_slice::<Hint>(&bytes).ok()).map(|hint| hint.version);
        let mut listing = Self { hint, ..Self::default() };
        let mut parts: BTreeMap<(u64, u32), Vec<String>> = BTreeMap::new();
        for found in fs::read_dir(log)? {
            let name = found?.file_name();
            match name.to_str().and_then(LogName::parse) {
                Some(LogName::Entry(version)) => {
                    listing.entries.insert(version);
                }
                Some(LogName::Part { version, count }) => {
                    parts.entry((version, count)).or_default().push(name.to_string_lossy().into_owned());
                }
                Some(LogName::Other(version)) => {
                    listing.others.insert(version);
                }
                None => {}
            }
        }
        for ((version, count), mut names) in parts {
            names.sort();
            names.dedup();
            if u32::try_from(names.len()) == Ok(count.max(1)) {
                listing.checkpoints.entry(version).or_default().push(Checkpoint { version, names });
            }
        }
        Ok(listing)
    }

    /// Whether it holds neither an entry nor a checkpoint.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.checkpoints.is_empty()
    }
}

impl Checkpoint {
    /// Paths of its files.
    pub(super) fn paths(&self, log: &Path) -> Vec<PathBuf> {
        self.names.iter().map(|name| log.join(name)).collect()
    }
}

#[derive(Debug, PartialEq, Eq)]
enum LogName {
    Entry(u64),
    /// A checkpoint's file; `count` is 0 where it is the only one.
    Part {
        version: u64,
        count: u32,
    },
    Other(u64),
}

impl LogName {
    fn parse(name: &str) -> Option<Self> {
        let (version, rest) = name.split_at_checked(DIGITS)?;
        if !version.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let version = version.parse().ok()?;
        match rest {
            ".json" => return Some(Self::Entry(version)),
            ".checkpoint.parquet" => return Some(Self::Part { version, count: 0 }),
            _ => {}
        }
        let form = rest.strip_prefix(".checkpoint.")?;
        let numbers = form.strip_suffix(".parquet").and_then(|form| form.split_once('.'));
        let numbers = numbers.and_then(|(part, count)| Some((part.parse::<u32>().ok()?, count.parse::<u32>().ok()?)));
        match numbers {
            Some((part, count)) => (1..=count).contains(&part).then_some(Self::Part { version, count }),
            None => (form.ends_with(".parquet") || form.ends_with(".json")).then_some(Self::Other(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_protocol_mean_something() {
        let zeros = "000000000000000000";
        assert_eq!(LogName::parse(&format!("{zeros}12.json")), Some(LogName::Entry(12)));
        assert_eq!(
            LogName::parse(&format!("{zeros}12.checkpoint.parquet")),
            Some(LogName::Part { version: 12, count: 0 })
        );
        assert_eq!(
            LogName::parse(&format!("{zeros}12.checkpoint.0000000002.0000000003.parquet")),
            Some(LogName::Part { version: 12, count: 3 })
        );
        assert_eq!(
            LogName::parse(&format!("{zeros}12.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json")),
            Some(LogName::Other(12))
        );
        for name in [
            "12.json",
            "99999999999999999999.json",
            "0000000000000000001é.json",
            ".wt-1.tmp",
            "_last_checkpoint",
            "00000000000000000012.json.tmp",
            "00000000000000000012.checkpoint.4.3.parquet",
        ] {
            assert_eq!(LogName::parse(name), None, "{name}");
        }
    }
}
