//! One entry of the Delta log: JSON lines, read leniently and within bounds.
//!
//! Contract: a line that cannot be used is counted and passed over, the others are used; unknown actions and keys are
//! passed over too. Messages name the line and the byte, never what stands there. Nothing is opened but the entry.

use super::Origin;
use super::text::clean;
use crate::books::Books;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// The largest entry that is read; ours have some hundred bytes per file and partition.
pub(super) const ENTRY_BYTES_MAX: u64 = 64 << 20;
/// The longest line: books that declare some hundred thousand gaps.
const LINE_BYTES_MAX: usize = 32 << 20;
/// JSON values in a line: each takes some 70 bytes once it is parsed, however short it is.
const VALUES_MAX: usize = 4 << 20;
/// The key of our books.
const BOOKS_KEY: &str = "watertight";
/// The format of books that is read here.
const BOOKS_FORMAT: u32 = 1;
/// What books may say of themselves.
const KINDS: [&str; 6] = ["create", "append", "compact", "replace", "rewind", "maintain"];

/// `add`, its path as it stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawAdd {
    pub(super) path: String,
    #[serde(default)]
    pub(super) partition_values: BTreeMap<String, Option<String>>,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) modification_time: i64,
    #[serde(default = "yes")]
    pub(super) data_change: bool,
    pub(super) stats: Option<String>,
    pub(super) deletion_vector: Option<IgnoredAny>,
}

/// `remove`, its path as it stands.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRemove {
    pub(super) path: String,
    #[serde(default = "yes")]
    pub(super) data_change: bool,
}

/// `metaData`, its schema as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawMetadata {
    #[serde(default)]
    pub(super) id: String,
    pub(super) schema_string: String,
    #[serde(default)]
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: BTreeMap<String, Option<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawProtocol {
    min_reader_version: i64,
    min_writer_version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTxn {
    app_id: String,
    version: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    add: Option<RawAdd>,
    remove: Option<RawRemove>,
    txn: Option<RawTxn>,
    meta_data: Option<RawMetadata>,
    protocol: Option<RawProtocol>,
    commit_info: Option<Value>,
}

fn yes() -> bool {
    true
}

/// Why the bytes of a file of the log could not be had.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is not there.
    Missing,
    /// It is not a file that could be right.
    Damaged(String),
    /// The system refused.
    Refused(io::Error),
}

/// Opens a file of the log: a regular one, links not followed, of at most `bytes_max`; gives its length too.
pub(super) fn open(path: &Path, bytes_max: u64) -> Result<(File, u64), Unread> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        _ => Unread::Refused(error),
    };
    let about = fs::symlink_metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(Unread::Damaged("is no regular file".to_owned()));
    }
    if about.len() > bytes_max {
        return Err(Unread::Damaged(format!("has {} bytes, and more than {bytes_max} are not read", about.len())));
    }
    Ok((File::open(path).map_err(failed)?, about.len()))
}

/// Reads a file of the log whole.
pub(super) fn load(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Unread> {
    let (file, length) = open(path, bytes_max)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(bytes_max).read_to_end(&mut bytes).map_err(Unread::Refused)?;
    Ok(bytes)
}

/// What an entry's lines say.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) adds: Vec<RawAdd>,
    pub(super) removes: Vec<RawRemove>,
    pub(super) txns: Vec<(String, i64)>,
    pub(super) metadata: Option<RawMetadata>,
    pub(super) protocol: Option<(i64, i64)>,
    /// Lines, damaged ones among them: one action each, `commitInfo` among them.
    pub(super) lines: u64,
    /// Lines that can't be used.
    pub(super) damaged: u64,
    /// What is wrong with the first of them.
    pub(super) damage: Option<String>,
    info: Option<Value>,
}

impl Entry {
    /// Reads an entry's bytes.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut entry = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
            entry.lines += 1;
            match parse_line(line) {
                Ok(line) => entry.take(line),
                Err(what) => entry.note_damage(&what),
            }
        }
        if entry.lines == 0 {
            entry.damage = Some("is empty".to_owned());
        }
        entry
    }

    /// An entry of which nothing can be used.
    pub(super) fn lost(damage: String) -> Self {
        Self { damage: Some(damage), ..Self::default() }
    }

    fn note_damage(&mut self, what: &str) {
        self.damaged += 1;
        let at = self.lines;
        self.damage.get_or_insert_with(|| format!("has a line, number {at}, that {what}"));
    }

    fn take(&mut self, line: Line) {
        self.adds.extend(line.add);
        self.removes.extend(line.remove);
        self.txns.extend(line.txn.map(|txn| (txn.app_id, txn.version)));
        self.metadata = line.meta_data.or(self.metadata.take());
        self.protocol = line.protocol.map(|asks| (asks.min_reader_version, asks.min_writer_version)).or(self.protocol);
        self.info = line.commit_info.or(self.info.take());
    }

    /// `commitInfo.timestamp` in microseconds, or 0.
    pub(super) fn timestamp_us(&self) -> i64 {
        let timestamp = self.info.as_ref().and_then(|info| info.get("timestamp")).and_then(Value::as_i64);
        timestamp.unwrap_or(0).saturating_mul(1000)
    }

    /// The number of actions that the entry was written with, `commitInfo` among them, where it says.
    pub(super) fn lines_written(&self) -> Option<u64> {
        self.info.as_ref()?.get(BOOKS_KEY)?.get("log_actions")?.as_u64()
    }

    /// Whose the entry is.
    pub(super) fn origin(&self) -> Origin {
        let Some(info) = &self.info else {
            return if self.damage.is_some() {
                Origin::Unreadable("its commitInfo is damaged".to_owned())
            } else if self.txns.iter().any(|(id, _)| id.starts_with("watertight/")) {
                Origin::Unreadable("it moves positions of ours and has no commitInfo".to_owned())
            } else {
                Origin::Foreign("a program that gives no commitInfo".to_owned())
            };
        };
        let said = |key: &str| info.get(key).and_then(Value::as_str);
        match (info.get(BOOKS_KEY), said("engineInfo")) {
            (Some(ours), _) => books(ours),
            (None, Some(engine)) if engine.starts_with("watertight/") => {
                Origin::Unreadable(format!("it was written by {}, and has no books", clean(engine)))
            }
            (None, engine) => {
                let operation = clean(said("operation").unwrap_or("a commit"));
                Origin::Foreign(format!("{operation} by {}", clean(engine.unwrap_or("a program that gives no name"))))
            }
        }
    }
}

fn parse_line(line: &[u8]) -> Result<Line, String> {
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("has {} bytes, and more than {LINE_BYTES_MAX} are not read", line.len()));
    }
    if line.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > VALUES_MAX {
        return Err(format!("holds more than {VALUES_MAX} values"));
    }
    if line.first() != Some(&b'{') {
        return Err("is no JSON object".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => format!("ends too early, after {} bytes", line.len()),
        serde_json::error::Category::Data => format!("is no action of Delta, at byte {}", error.column()),
        _ => format!("is no JSON, at byte {}", error.column()),
    })
}

fn books(ours: &Value) -> Origin {
    match Books::deserialize(ours) {
        Err(error) => Origin::Unreadable(format!("they do not read: {}", clean(&error.to_string()))),
        Ok(books) if books.format != BOOKS_FORMAT => Origin::Unreadable(format!(
            "they are of format {}, and {BOOKS_FORMAT} is what this version reads",
            books.format
        )),
        Ok(books) if !KINDS.contains(&books.kind.as_str()) => {
            Origin::Unreadable(format!("their kind is '{}', which nothing of ours is", clean(&books.kind)))
        }
        Ok(books) if books.commit_id.is_empty() || books.pipeline.is_empty() => {
            Origin::Unreadable("they lack the commit's id or the pipeline's".to_owned())
        }
        Ok(books) => Origin::Ours(Box::new(books)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKS: &str = concat!(
        r#"{"format":1,"kind":"append","commit_id":"c","pipeline":"p","log_actions":2,"#,
        r#""decisions":[{"what":"lifted","partition":0,"at":7,"watermark_us":-5}],"#,
        r#""watermarks":{"stream_us":1,"partitions":{"3":{"watermark_us":2,"idle":true}}}}"#,
    );

    fn parse(text: &str) -> Entry {
        Entry::parse(text.as_bytes())
    }

    #[test]
    fn books_are_read_with_their_decisions_and_watermarks() {
        let info = format!("{{\"commitInfo\":{{\"timestamp\":5,\"watertight\":{BOOKS}}}}}");
        let entry = parse(&format!("{info}\n{{\"unknown\":{{}}}}\n"));
        assert_eq!((entry.lines, entry.damaged, entry.lines_written(), entry.timestamp_us()), (2, 0, Some(2), 5000));
        let Origin::Ours(books) = entry.origin() else { panic!("not ours: {:?}", entry.origin()) };
        assert_eq!((books.decisions.len(), books.watermarks.unwrap().partitions[&3].idle), (1, true));
    }

    #[test]
    fn a_torn_line_is_passed_over_and_the_others_are_used() {
        let entry = parse("{\"add\":{\"path\":\"a\",\"size\":1,\"dataChange\":true}}\n{\"add\":{\"path\":\"b\",\"si");
        assert_eq!((entry.lines, entry.damaged, entry.adds.len()), (2, 1, 1));
        assert!(entry.damage.as_deref().unwrap().contains("number 2"));
        assert!(matches!(entry.origin(), Origin::Unreadable(_)));
        assert_eq!(parse("").damage.as_deref(), Some("is empty"));
    }

    #[test]
    fn hostile_lines_are_damage() {
        let deep = format!("{{\"commitInfo\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let many = format!("{{\"commitInfo\":[{}0]}}", "0,".repeat(VALUES_MAX + 1));
        let negative = "{\"add\":{\"path\":\"a\",\"size\":-1,\"dataChange\":true}}";
        let twice = "{\"add\":{\"path\":\"a\",\"size\":1},\"add\":{\"path\":\"b\",\"size\":1}}";
        for line in [deep.as_str(), many.as_str(), negative, twice, "[]", "7", "null", "\u{0}\u{0}"] {
            let entry = parse(line);
            assert_eq!((entry.damaged, entry.adds.len()), (1, 0), "{:.40}", line);
        }
    }

    #[test]
    fn whose_a_commit_is() {
        let foreign = parse(r#"{"commitInfo":{"operation":"OPTIMIZE","engineInfo":"delta-rs:py-1.6.6"}}"#);
        assert_eq!(foreign.origin(), Origin::Foreign("OPTIMIZE by delta-rs:py-1.6.6".to_owned()));
        let unreadable = [
            r#"{"commitInfo":{"engineInfo":"watertight/0.1.0"}}"#,
            r#"{"commitInfo":{"watertight":{}}}"#,
            r#"{"commitInfo":{"watertight":7}}"#,
            r#"{"commitInfo":{"watertight":{"format":2,"kind":"append","commit_id":"c","pipeline":"p"}}}"#,
            r#"{"commitInfo":{"watertight":{"format":1,"kind":"apend","commit_id":"c","pipeline":"p"}}}"#,
            r#"{"txn":{"appId":"watertight/p/t/i/0","version":1}}"#,
        ];
        for line in unreadable {
            assert!(matches!(parse(line).origin(), Origin::Unreadable(_)), "{line}");
        }
    }
}
