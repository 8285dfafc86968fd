//! Paths of data files as entries give them: percent-decoded, and never out of the table's folder.
//!
//! Contract: a path that [`Paths::accept`] gives is relative, made of plain names, and does not lead out of the folder
//! through symbolic links that are there now. Everything else is refused with the reason; nothing is opened here.

use super::Commit;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of a table, and which of its folders were seen to lie within it.
#[derive(Debug)]
pub(super) struct Paths {
    root: PathBuf,
    parents: HashMap<PathBuf, bool>,
}

impl Paths {
    /// For the table in `folder`.
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { root: fs::canonicalize(folder)?, parents: HashMap::new() })
    }

    /// The path that an action names, relative to the folder; or why it is refused.
    pub(super) fn accept(&mut self, text: &str) -> Result<String, &'static str> {
        let path = resolve(text)?;
        if self.stays(&path) { Ok(path) } else { Err("leads out of the table's folder through a symbolic link") }
    }

    /// Whether every path of a commit, each accepted before, still stays within the folder.
    pub(super) fn hold(&mut self, commit: &Commit) -> bool {
        let removed = commit.removes.iter().map(|remove| &remove.path);
        commit.adds.iter().map(|add| &add.path).chain(removed).all(|path| self.stays(path))
    }

    fn stays(&mut self, path: &str) -> bool {
        let full = self.root.join(path);
        let parent = full.parent().unwrap_or(&self.root).to_path_buf();
        let known = self.parents.get(&parent).copied();
        let inside = known.unwrap_or_else(|| leads_within(&self.root, &parent));
        self.parents.insert(parent, inside);
        inside
            && match fs::symlink_metadata(&full) {
                Ok(about) if about.file_type().is_symlink() => leads_within(&self.root, &full),
                _ => true,
            }
    }
}

/// Whether what `path` resolves to lies in `root`; of a path that is not there, its nearest folder that is.
fn leads_within(root: &Path, path: &Path) -> bool {
    let mut at = path;
    loop {
        if let Ok(real) = fs::canonicalize(at) {
            return real.starts_with(root);
        }
        match at.parent() {
            Some(parent) if parent.starts_with(root) => at = parent,
            _ => return true,
        }
    }
}

/// Percent-decodes a path and checks its words alone, without looking at the disk. `.` and empty names are left out,
/// so that one file has one path.
pub(super) fn resolve(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decoded(text).ok_or("is not text once percent-decoded")?;
    if scheme(text).is_some() || scheme(&decoded).is_some_and(|after| after.starts_with('/')) {
        return Err("has a scheme");
    }
    if decoded.contains('\0') {
        return Err("holds a NUL");
    }
    if decoded.starts_with('/') {
        return Err("is absolute");
    }
    let mut names = Vec::new();
    for name in decoded.split('/') {
        match name {
            "" | "." => {}
            ".." => return Err("goes up with `..`"),
            name => names.push(name),
        }
    }
    if names.is_empty() { Err("names no file") } else { Ok(names.join("/")) }
}

/// What follows the colon of a URL's scheme, where there is one.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, after) = text.split_once(':')?;
    let letter = scheme.bytes().next()?.is_ascii_alphabetic();
    let rest = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (letter && rest).then_some(after)
}

/// Percent-decoded; a `%` without two hex digits stays. `None` where the bytes are not UTF-8.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        if *byte == b'%'
            && let [high, low, after @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push((high << 4) | low);
            rest = after;
            continue;
        }
        bytes.push(*byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_path_is_decoded_once() {
        assert_eq!(resolve("_event_date=2026-11-25/part-1.parquet").unwrap(), "_event_date=2026-11-25/part-1.parquet");
        assert_eq!(resolve("a%20b/c%253A.parquet").unwrap(), "a b/c%3A.parquet");
        assert_eq!(resolve("ts=2026-01-01%2000%3A00%3A00/a.parquet").unwrap(), "ts=2026-01-01 00:00:00/a.parquet");
        assert_eq!(resolve("100%/a%zz").unwrap(), "100%/a%zz");
        assert_eq!(resolve("./a//b").unwrap(), "a/b");
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        let hostile = [
            "../a",
            "a/../../b",
            "%2e%2e/a",
            "a/%2E%2e/%2e./b",
            "/etc/passwd",
            "%2fetc/passwd",
            "file:///etc/passwd",
            "file%3A///etc/passwd",
            "s3://bucket/a",
            "a\0b",
            "a%00b",
            "",
            ".",
            "%ff",
        ];
        for path in hostile {
            assert!(resolve(path).is_err(), "{path:?} was accepted");
        }
    }

    #[test]
    fn a_symbolic_link_may_stay_within_the_folder_only() {
        let scratch = tempfile::tempdir().unwrap();
        let (table, outside) = (scratch.path().join("table"), scratch.path().join("outside"));
        for folder in [&table, &outside, &table.join("day=1")] {
            fs::create_dir(folder).unwrap();
        }
        fs::write(outside.join("a.parquet"), b"secret").unwrap();
        fs::write(table.join("day=1/a.parquet"), b"own").unwrap();
        std::os::unix::fs::symlink(&outside, table.join("day=2")).unwrap();
        std::os::unix::fs::symlink(outside.join("a.parquet"), table.join("day=1/b.parquet")).unwrap();
        std::os::unix::fs::symlink(table.join("day=1"), table.join("day=3")).unwrap();
        let mut paths = Paths::new(&table).unwrap();
        assert!(paths.accept("day=1/a.parquet").is_ok());
        assert!(paths.accept("day=3/a.parquet").is_ok());
        assert!(paths.accept("day=9/not-there.parquet").is_ok());
        for escape in ["day=2/a.parquet", "day=2/not-there.parquet", "day=1/b.parquet"] {
            assert!(paths.accept(escape).is_err(), "{escape} was accepted");
        }
    }
}
