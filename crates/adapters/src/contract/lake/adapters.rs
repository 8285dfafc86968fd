//! What the suite needs of an adapter beside the port: a second life, another program, a lost answer.

use crate::delta::DeltaLake;
use crate::memory::lake::{ForeignCommit, LakeCall, LakeFault, MemoryLake};
use crate::system::{SystemClock, SystemIds};
use arrow::datatypes::{DataType, Field, Schema};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use watertight_core::port::{DataFile, Lake};
use watertight_core::steps::{Course, DELTA_ENTRY_NAMES, Moment, Steps};

/// What another program does to a table.
pub(crate) enum Foreign<'a> {
    /// Rewrites a file under the name `rewritten` without changing a row.
    Rewrites(&'a DataFile),
    /// Adds a file of rows.
    Adds(&'a DataFile),
    /// Removes a file with its rows.
    Removes(&'a DataFile),
    /// Sets another schema.
    SetsSchema,
}

/// An adapter under test.
pub(crate) trait LakeBench {
    /// The lake as a newly started process sees it.
    fn lake(&self) -> Box<dyn Lake>;
    /// Another program writes the next version of `silver.ticks`.
    fn foreign(&self, what: &Foreign<'_>);
    /// The next commit is made, and its answer is lost.
    fn lose_next_answer(&self);
    /// Somebody removes `silver.ticks`.
    fn remove(&self);
}

/// The lake in memory.
pub(crate) struct MemoryBench(MemoryLake);

impl MemoryBench {
    pub(crate) fn new() -> Self {
        Self(MemoryLake::default())
    }
}

impl LakeBench for MemoryBench {
    fn lake(&self) -> Box<dyn Lake> {
        Box::new(self.0.clone())
    }

    fn foreign(&self, what: &Foreign<'_>) {
        let named = |file: &DataFile| DataFile { path: "_event_date=x/rewritten".to_owned(), ..file.clone() };
        let empty = ForeignCommit::default();
        let change = match what {
            Foreign::Rewrites(file) => {
                ForeignCommit { adds: vec![named(file)], removes: vec![file.path.clone()], ..empty }
            }
            Foreign::Adds(file) => ForeignCommit { adds: vec![named(file)], data_change: true, ..empty },
            Foreign::Removes(file) => ForeignCommit { removes: vec![file.path.clone()], data_change: true, ..empty },
            Foreign::SetsSchema => {
                let columns = Schema::new(vec![Field::new("_event_date", DataType::Date32, false)]);
                ForeignCommit { columns: Some(Arc::new(columns)), ..empty }
            }
        };
        self.0.plant("silver.ticks", change).unwrap();
    }

    fn lose_next_answer(&self) {
        self.0.script(LakeFault::lose_answer(LakeCall::Commit));
    }

    fn remove(&self) {
        assert!(self.0.remove("silver.ticks"));
    }
}

/// Delta tables below a scratch folder.
pub(crate) struct DeltaBench {
    root: TempDir,
    lose: Arc<AtomicBool>,
    /// The point at which the next pass fails.
    pub(crate) fail_at: Arc<Mutex<Option<((&'static str, Moment), i32)>>>,
}

impl DeltaBench {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), lose: Arc::default(), fail_at: Arc::default() }
    }

    /// The folder of `silver.ticks`.
    pub(crate) fn table_root(&self) -> PathBuf {
        self.delta().table_root("silver", "ticks")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.table_root().join("_delta_log")
    }

    pub(crate) fn entry(&self, version: u64) -> PathBuf {
        self.log().join(format!("{version:020}.json"))
    }

    pub(crate) fn newest(&self) -> u64 {
        (0..).find(|version| !self.entry(*version).exists()).unwrap() - 1
    }

    pub(crate) fn delta(&self) -> DeltaLake {
        let (lose, fail_at) = (Arc::clone(&self.lose), Arc::clone(&self.fail_at));
        let steps = Steps::new(move |step, moment| {
            if (step, moment) == (DELTA_ENTRY_NAMES, Moment::Before) && lose.swap(false, Ordering::SeqCst) {
                return Err(io::Error::from_raw_os_error(5)); // EIO: the folder's fsync failed
            }
            let mut fail_at = fail_at.lock().unwrap();
            match *fail_at {
                Some((at, code)) if at == (step, moment) => {
                    *fail_at = None;
                    Err(io::Error::from_raw_os_error(code))
                }
                _ => Ok(Course::Take),
            }
        });
        DeltaLake::open(&self.root.path().join("lake"), Arc::new(SystemClock), Arc::new(SystemIds)).with_steps(steps)
    }

    /// Writes the next version as another program would.
    pub(crate) fn write_entry(&self, actions: &[Value]) {
        let text: String = actions.iter().map(|action| format!("{action}\n")).collect();
        std::fs::write(self.entry(self.newest() + 1), text).unwrap();
    }
}

impl LakeBench for DeltaBench {
    fn lake(&self) -> Box<dyn Lake> {
        Box::new(self.delta())
    }

    fn foreign(&self, what: &Foreign<'_>) {
        let info = json!({"commitInfo": {"timestamp": 1_700_000_000_000_i64, "operation": "OPTIMIZE"}});
        let add = |file: &DataFile, change: bool| {
            let (dir, _) = file.path.split_once('/').unwrap();
            let path = format!("{dir}/rewritten.parquet");
            std::fs::copy(self.table_root().join(&file.path), self.table_root().join(&path)).unwrap();
            let (_, date) = dir.split_once('=').unwrap();
            json!({"add": {"path": path, "partitionValues": {"_event_date": date}, "size": file.size,
                "modificationTime": 0, "dataChange": change}})
        };
        let remove = |file: &DataFile, change: bool| json!({"remove": {"path": file.path, "dataChange": change}});
        match what {
            Foreign::Rewrites(file) => self.write_entry(&[info, remove(file, false), add(file, false)]),
            Foreign::Adds(file) => self.write_entry(&[info, add(file, true)]),
            Foreign::Removes(file) => self.write_entry(&[info, remove(file, true)]),
            Foreign::SetsSchema => {
                let text = std::fs::read_to_string(self.entry(0)).unwrap();
                let metadata = text.lines().find(|line| line.starts_with("{\"metaData\"")).unwrap();
                self.write_entry(&[info, serde_json::from_str(metadata).unwrap()]);
            }
        }
    }

    fn lose_next_answer(&self) {
        self.lose.store(true, Ordering::SeqCst);
    }

    fn remove(&self) {
        std::fs::remove_dir_all(self.table_root()).unwrap();
    }
}
