//! What only the running process knows, left in a small file for `status`: conditions, commit times, rebuilding.
//!
//! A cache of telemetry (`telemetry` has its format), believed only while the process that wrote it holds the run lock,
//! except for failures, which stay true until the next run.

use super::telemetry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use watertight_pipeline::runtime::{Condition, Part, Rebuilding};

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HealthFile {
    /// Process that wrote it.
    pub(crate) process: u32,
    /// Streams by name.
    pub(crate) streams: BTreeMap<String, Reading>,
    /// Why partitions stopped that did so by themselves, by stream and number.
    pub(crate) stopped: BTreeMap<String, BTreeMap<i32, String>>,
    /// The same of streams of several topics: by stream, topic and number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) stopped_of_topics: BTreeMap<String, BTreeMap<String, BTreeMap<i32, String>>>,
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
    /// How far it is with rebuilding its state, while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rebuilding: Option<Rebuilding>,
}

impl HealthFile {
    /// Reads what may be believed while `run_by` holds the run lock: all that it wrote itself; when nobody does, how
    /// each part ended. What cannot be read counts as nothing known.
    #[must_use]
    pub(crate) fn read(state_dir: &Path, run_by: Option<&str>) -> Self {
        let Some(mut file) = telemetry::read::<Self>(&path(state_dir)) else { return Self::default() };
        let its_own = run_by == Some(format!("process {}", file.process).as_str());
        let lasting = |reading: &Reading| matches!(reading.condition, Condition::Failed { .. } | Condition::Done);
        let believed = |reading: &Reading| its_own || (run_by.is_none() && lasting(reading));
        file.streams.retain(|_, reading| believed(reading));
        file.models.retain(|_, reading| believed(reading));
        if !its_own && run_by.is_some() {
            file.stopped.clear();
            file.stopped_of_topics.clear();
        }
        file
    }

    /// Why a partition stopped by itself; `topic` where its stream reads several.
    pub(crate) fn stopped(&self, stream: &str, topic: Option<&str>, partition: i32) -> Option<&String> {
        match topic {
            None => self.stopped.get(stream)?.get(&partition),
            Some(topic) => self.stopped_of_topics.get(stream)?.get(topic)?.get(&partition),
        }
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

    /// Overwrites the file. A failure is not worth stopping for: the next change tries again.
    pub(crate) fn write(
        &self,
        conditions: &BTreeMap<Part, Condition>,
        commit_times: &BTreeMap<Part, Duration>,
        rebuilding: &BTreeMap<Part, Rebuilding>,
    ) {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = HealthFile { process: std::process::id(), ..HealthFile::default() };
        let mut conditions = conditions.clone();
        for part in rebuilding.keys() {
            conditions.entry(part.clone()).or_insert(Condition::Running);
        }
        for (part, condition) in &conditions {
            if let (Part::Partition(stream, partition), Condition::Failed { error }) = (part, condition) {
                file.stopped.entry(stream.clone()).or_default().insert(*partition, error.clone());
            }
            if let (Part::TopicPartition(stream, topic, partition), Condition::Failed { error }) = (part, condition) {
                let of_stream = file.stopped_of_topics.entry(stream.clone()).or_default();
                of_stream.entry(topic.clone()).or_default().insert(*partition, error.clone());
            }
            let reading = Reading {
                condition: condition.clone(),
                commit_ms: commit_times.get(part).map(|time| time.as_secs_f64() * 1e3),
                rebuilding: rebuilding.get(part).copied(),
            };
            match part {
                Part::Stream(name) => file.streams.insert(name.clone(), reading),
                Part::Model(name) => file.models.insert(name.clone(), reading),
                Part::Partition(..) | Part::TopicPartition(..) | Part::Ops => None,
            };
        }
        if let Err(error) = self.overwrite(&file) {
            tracing::debug!(%error, "the health file was not written");
        }
    }

    fn overwrite(&self, file: &HealthFile) -> io::Result<()> {
        std::fs::create_dir_all(&self.state_dir)?;
        telemetry::overwrite(&path(&self.state_dir), file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, condition: Condition) {
        let conditions = BTreeMap::from([
            (Part::Stream("s".to_owned()), condition),
            (Part::Model("m".to_owned()), Condition::Failed { error: "no".to_owned() }),
            (Part::Partition("s".to_owned(), 3), Condition::Failed { error: "gone".to_owned() }),
        ]);
        HealthWriter::new(dir).write(&conditions, &BTreeMap::new(), &BTreeMap::new());
    }

    fn waiting() -> Condition {
        Condition::Waiting { error: "no space".to_owned() }
    }

    #[test]
    fn waiting_is_believed_of_the_process_that_runs_and_a_failure_until_another_does() {
        let dir = tempfile::tempdir().expect("scratch");
        write(dir.path(), waiting());
        let me = format!("process {}", std::process::id());
        let known = |run_by: Option<&str>| {
            let file = HealthFile::read(dir.path(), run_by);
            (file.streams.len(), file.models.len(), file.stopped.get("s").and_then(|stopped| stopped.get(&3)).cloned())
        };
        let gone = Some("gone".to_owned());
        assert_eq!(known(Some(me.as_str())), (1, 1, gone.clone()));
        assert_eq!(known(None), (0, 1, gone));
        assert_eq!(known(Some("process 1")), (0, 0, None));
    }

    #[test]
    fn each_write_takes_the_same_space_and_replaces_what_was_there() {
        let dir = tempfile::tempdir().expect("scratch");
        for condition in [waiting(), Condition::Waiting { error: "x".repeat(5000) }, Condition::Running] {
            write(dir.path(), condition.clone());
            let file = telemetry::read::<HealthFile>(&path(dir.path())).expect("whole");
            assert_eq!(file.streams["s"].condition, condition);
            assert_eq!(std::fs::metadata(path(dir.path())).expect("there").len(), telemetry::RESERVED_BYTES as u64);
        }
    }

    #[test]
    fn a_torn_file_and_one_with_a_flipped_bit_are_nothing_known() {
        let dir = tempfile::tempdir().expect("scratch");
        write(dir.path(), waiting());
        let whole = std::fs::read(path(dir.path())).expect("read");
        for at in [0, 20, 100] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(telemetry::decode::<HealthFile>(&bytes), None, "byte {at}");
        }
        assert_eq!(telemetry::decode::<HealthFile>(&whole[..50]), None);
        assert_eq!(telemetry::decode::<HealthFile>(b""), None);
        assert!(telemetry::decode::<HealthFile>(&whole).is_some());
    }
}
