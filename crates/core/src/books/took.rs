//! How long the making of a commit took, by step, as far as it is known before its entry is written.
//!
//! Contract: microseconds by a clock that does not go back; `None` where the commit had no such step or nobody measured
//! it. Measured only: nothing is decided by it, and no row depends on it. What comes after the books are written (the
//! entry itself) cannot stand in them and stands in those of the next append (docs/adr/0015).

use serde::{Deserialize, Serialize};

/// Microseconds of each step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// Bronze: from asking the log for the first record to having the last one, waiting included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_us: Option<u64>,
    /// Silver: decoding and checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_us: Option<u64>,
    /// Silver: time and duplicates, record by record. Gold: rows into windows since the commit before, and closing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold_us: Option<u64>,
    /// Building rows; bronze: checksums too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_us: Option<u64>,
    /// Encoding and writing the files, and their statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_us: Option<u64>,
    /// Fsync of the files and of their folders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_us: Option<u64>,
    /// Of the append that this one follows: writing, fsyncing and naming its log entry. `None` in the first append of a
    /// process, and where the answer to that one was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_us_before: Option<u64>,
}

impl Took {
    /// Whether nothing was measured.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
