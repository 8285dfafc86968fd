//! What only the running process knows, left in a small file for `status`: conditions and commit times.
//!
//! A cache of telemetry: replaced as a whole, never fsynced, and believed only while the process that wrote it
//! holds the run lock, except for failures, which stay true until the next run.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use watertight_pipeline::runtime::{Condition, Part};

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HealthFile {
    /// Process that wrote it.
    pub(crate) process: u32,
    /// Streams by name.
    pub(crate) streams: BTreeMap<String, Reading>,
    /// Models by name.
    pub(crate) models: BTreeMap<String, Reading>,
}

/// One part's reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// How it is.
    #[serde(flatten)]
    pub(crate) condition: Condition,
    /// How long its last epoch took, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit_ms: Option<f64>,
}

impl HealthFile {
    /// Reads the file; what cannot be read counts as nothing known.
    #[must_use]
    pub(crate) fn read(state_dir: &Path) -> Self {
        let text = std::fs::read_to_string(path(state_dir)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("health.json")
}

/// Writes the file as conditions change.
#[derive(Debug)]
pub(crate) struct HealthWriter {
    state_dir: PathBuf,
    turn: Mutex<()>,
}

impl HealthWriter {
    /// A writer into the state folder.
    #[must_use]
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { state_dir: state_dir.to_owned(), turn: Mutex::new(()) }
    }

    /// Replaces the file. A failure is not worth stopping for: the next change tries again.
    pub(crate) fn write(
        &self,
        conditions: &BTreeMap<Part, Condition>,
        commit_times: &BTreeMap<Part, std::time::Duration>,
    ) {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = HealthFile { process: std::process::id(), ..HealthFile::default() };
        for (part, condition) in conditions {
            let commit_ms = commit_times.get(part).map(|time| time.as_secs_f64() * 1e3);
            let reading = Reading { condition: condition.clone(), commit_ms };
            match part {
                Part::Stream(name) => file.streams.insert(name.clone(), reading),
                Part::Model(name) => file.models.insert(name.clone(), reading),
                Part::Ops => None,
            };
        }
        let temporary = self.state_dir.join("health.json.tmp");
        let written = serde_json::to_string(&file)
            .map_err(std::io::Error::other)
            .and_then(|text| std::fs::create_dir_all(&self.state_dir).map(|()| text))
            .and_then(|text| std::fs::write(&temporary, text))
            .and_then(|()| std::fs::rename(&temporary, path(&self.state_dir)));
        if let Err(error) = written {
            tracing::debug!(%error, "the health file was not written");
        }
    }
}
