//! Checkpoints of the Delta log, made by the Delta kernel in the background.
//!
//! Contract: a commit never waits for one, and never fails because of one; at most one runs per table handle, and
//! dropping the handle waits for it. What the kernel writes is fsynced afterwards; entries are kept, so a checkpoint
//! that a power cut tore costs time only. It is due every [`EVERY`] versions.

use crate::folders::sync_dir;
use buoyant_kernel::Snapshot;
use buoyant_kernel_engine::DefaultEngineBuilder;
use buoyant_kernel_engine::executor::tokio::TokioMultiThreadExecutor;
use object_store::local::LocalFileSystem;
use std::error::Error;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use url::Url;
use watertight_core::steps::{DELTA_CHECKPOINT_SYNC, DELTA_CHECKPOINT_WRITE, Steps};

/// Versions between checkpoints: a reader of the table reads at most about this many entries beside one.
pub(super) const EVERY: u64 = 100;

/// Makes the checkpoints of one table.
#[derive(Debug)]
pub(super) struct Checkpointer {
    table_root: PathBuf,
    /// Version of the newest checkpoint there is or was tried; one that fails is tried again [`EVERY`] versions later.
    newest: u64,
    running: Option<JoinHandle<()>>,
    steps: Steps,
}

impl Checkpointer {
    /// `newest` is the version of the newest readable checkpoint, 0 where there is none.
    pub(super) fn new(table_root: PathBuf, newest: u64, steps: Steps) -> Self {
        Self { table_root, newest, running: None, steps }
    }

    /// Told of each version committed; starts a checkpoint where one is due and none is running.
    pub(super) fn committed(&mut self, version: u64) {
        if version < self.newest + EVERY || self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return;
        }
        self.join();
        self.newest = version;
        let (root, steps) = (self.table_root.clone(), self.steps.clone());
        let thread = Builder::new().name("delta-checkpoint".to_owned()).spawn(move || {
            match catch_unwind(AssertUnwindSafe(|| write(&root, version, &steps))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(table = %root.display(), version, %error, "a checkpoint of the Delta log could not be written; it is tried again later");
                }
                Err(_) => {
                    tracing::warn!(table = %root.display(), version, "thread delta-checkpoint panicked; a checkpoint is tried again later, commits go on");
                }
            }
        });
        match thread {
            Ok(thread) => self.running = Some(thread),
            Err(error) => {
                tracing::warn!(%error, "a thread for a checkpoint could not be started; it is tried again later");
            }
        }
    }

    fn join(&mut self) {
        if let Some(thread) = self.running.take()
            && thread.join().is_err()
        {
            tracing::warn!(table = %self.table_root.display(), "a checkpoint of the Delta log panicked; it is tried again later");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.join();
    }
}

type Failure = Box<dyn Error + Send + Sync>;

fn write(table_root: &Path, version: u64, steps: &Steps) -> Result<(), Failure> {
    let root = table_root.canonicalize()?;
    let url = Url::from_directory_path(&root).map_err(|()| "the table's path is not absolute")?;
    let executor = TokioMultiThreadExecutor::new_owned_runtime(Some(1), Some(2))?;
    let engine =
        DefaultEngineBuilder::new(Arc::new(LocalFileSystem::new())).with_task_executor(Arc::new(executor)).build();
    let snapshot = Snapshot::builder_for(url.as_str()).at_version(version).build(&engine)?;
    steps.take::<Failure>(DELTA_CHECKPOINT_WRITE, || {
        snapshot.checkpoint(&engine, None)?;
        Ok(())
    })?;
    let log = root.join("_delta_log");
    steps.take::<Failure>(DELTA_CHECKPOINT_SYNC, || {
        File::open(log.join(format!("{version:020}.checkpoint.parquet")))?.sync_all()?;
        File::open(log.join("_last_checkpoint"))?.sync_all()?;
        Ok(sync_dir(&log)?)
    })
}
