//! Findings: what is wrong, where exactly, and what it means.
//!
//! A [`Finding`] has a stable [`Code`], a [`Place`] and a sentence with both sides ("the books say 7, the files hold 6").
//! What could not be read is no finding and not fine: it is [`Unable`], and told apart to the end (exit code 2).
//! The collector is bounded: of each code it keeps the first [`KEPT_PER_CODE`] whole and counts the rest.

mod catalogue;

pub use catalogue::{Code, Meaning, Severity};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Findings of one code that are kept whole; a damaged file of a million rows is one fact, not a million lines.
pub const KEPT_PER_CODE: usize = 100;

/// Where a finding is. Everything that is known is given; offsets are `from..to`, `to` exclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// `schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Version of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// File, relative to the table's folder (or the path of a ledger).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Partition of the topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Offsets, `from..to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<(i64, i64)>,
    /// The event's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Gold: window and group, as text such as `2026-11-25T02:55:00Z, AAPL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
}

impl Place {
    /// In a table.
    #[must_use]
    pub fn table(table: &str) -> Self {
        Self { table: Some(table.to_owned()), ..Self::default() }
    }

    /// At a version of it.
    #[must_use]
    pub fn at_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// In a file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    /// In a partition of the topic.
    #[must_use]
    pub fn of_partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// At offsets `from..to`.
    #[must_use]
    pub fn offsets(mut self, from: i64, to: i64) -> Self {
        self.offsets = Some((from, to));
        self
    }

    /// Of an event.
    #[must_use]
    pub fn event(mut self, id: &str) -> Self {
        self.event_id = Some(id.to_owned());
        self
    }

    /// In a column.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column = Some(column.to_owned());
        self
    }

    /// In a window (and group) of gold.
    #[must_use]
    pub fn in_window(mut self, window: &str) -> Self {
        self.window = Some(window.to_owned());
        self
    }
}

/// One thing that is wrong (or, by its severity, only worth knowing).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code.
    pub code: Code,
    /// Where.
    pub place: Place,
    /// What was found, with both sides; never a payload.
    pub what: String,
}

/// Something that could not be checked: neither fine nor lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Unable {
    /// Where.
    pub place: Place,
    /// Why it could not be checked, and what to do.
    pub why: String,
}

/// All findings of a run.
#[derive(Debug, Default)]
pub struct Findings(Mutex<Kept>);

/// What a collector holds in the end.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The first of each code, in the order of [`Code`].
    pub findings: Vec<Finding>,
    /// How many there were of each code.
    pub counts: BTreeMap<Code, u64>,
    /// What could not be checked.
    pub unable: Vec<Unable>,
}

impl Findings {
    /// Enters a finding.
    pub fn add(&self, code: Code, place: Place, what: impl Into<String>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = kept.counts.entry(code).or_default();
        *count += 1;
        if *count <= KEPT_PER_CODE as u64 {
            kept.findings.push(Finding { code, place, what: what.into() });
        }
    }

    /// Enters what could not be checked.
    pub fn unable(&self, unable: Unable) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.unable.len() < KEPT_PER_CODE {
            kept.unable.push(unable);
        }
    }

    /// How many of a code there are so far.
    #[must_use]
    pub fn count(&self, code: Code) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.get(&code).copied().unwrap_or(0)
    }

    /// How many findings there are so far, notes among them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counts.values().sum()
    }

    /// Everything, the worst first, then by code and place.
    #[must_use]
    pub fn into_kept(self) -> Kept {
        let mut kept = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        kept.findings.sort_by_key(|finding| {
            let place = &finding.place;
            (finding.code.severity(), finding.code, place.table.clone(), place.version, place.partition, place.offsets)
        });
        kept
    }
}
