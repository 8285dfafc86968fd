//! What a file or folder is, by its place and name; and what may be lost, each with its reason.

use std::ffi::OsStr;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// A version of a table: `_delta_log/N.json`.
    Entry,
    /// A checkpoint of a Delta log, or the hint at it.
    LogCheckpoint,
    /// A segment of the event log.
    Segment,
    /// A partition's mark.
    Mark,
    /// A topic's file.
    Topic,
    /// A producer's ledger.
    Ledger,
    /// A whole checkpoint of the duplicate index.
    StateBase,
    /// What was added to it since.
    StateDelta,
    /// Other files of the state: blobs, temporary names.
    StateCache,
    /// Readings for `status`.
    Health,
    /// A folder of the state.
    StateFolder,
    /// A file that is there to be locked.
    Lock,
    /// A data file, a folder, a temporary name, the identity.
    Other,
}

/// Files that get their final name while their bytes may still be lost.
pub(super) const NAMED_BEFORE_DURABLE: [(Role, &str); 3] = [
    (Role::StateCache, "a blob is a cache: its checksum tells a torn one, and it is rebuilt from silver"),
    (Role::Health, "telemetry, believed by nobody but `status`"),
    (Role::LogCheckpoint, "the kernel writes it; a torn one is passed over, and every entry is kept"),
];

/// What may still be lost when a process has ended well.
pub(super) const LOST_AT_EXIT: [(Role, Part, &str); 6] = [
    (Role::Mark, Part::Bytes, "never synced: an old mark costs a scan of the last segment, and none is ever ahead"),
    (Role::Lock, Part::Both, "holds nothing; is made anew by whoever finds none"),
    (Role::Health, Part::Both, "telemetry, believed by nobody but `status`"),
    (Role::StateDelta, Part::Both, "ids since the base: a torn tail is cut and read from silver again"),
    (Role::StateCache, Part::Both, "blobs are rebuilt from silver; what else is here is temporary"),
    (Role::StateFolder, Part::Both, "all below is a cache of the tables"),
];

/// What of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Bytes,
    Both,
}

pub(super) fn role(path: &Path) -> Role {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or_default();
    if folder == "_delta_log" {
        if is_number(name.strip_suffix(".json").unwrap_or_default()) {
            return Role::Entry;
        }
        if name.contains(".checkpoint.") || name.starts_with("_last_checkpoint") {
            return Role::LogCheckpoint;
        }
    }
    if is_state(path) {
        return match name {
            "health.json" | "health.json.tmp" => Role::Health,
            "lock" => Role::Lock,
            _ if name.strip_prefix("base-").is_some_and(is_number) => Role::StateBase,
            _ if name.starts_with("delta-") => Role::StateDelta,
            _ if name.starts_with("base-") || name.starts_with("blob-") => Role::StateCache,
            _ => Role::StateFolder,
        };
    }
    match name {
        "durable" => Role::Mark,
        "topic.json" => Role::Topic,
        "lock" | "lock~" => Role::Lock,
        _ if name.ends_with(".seg") => Role::Segment,
        _ if name.ends_with(".ledger") => Role::Ledger,
        _ => Role::Other,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a path lies in `_watertight/state`, or is it.
fn is_state(path: &Path) -> bool {
    let above = |part: &Path| part.parent().and_then(Path::file_name) == Some(OsStr::new("_watertight"));
    path.ancestors().any(|part| part.file_name() == Some(OsStr::new("state")) && above(part))
}

/// Whether a name is one under which a file waits for its final one.
pub(super) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    [".tmp", ".new", "#1"].iter().any(|end| name.ends_with(end))
}
