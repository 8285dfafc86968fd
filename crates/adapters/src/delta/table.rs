//! One Delta table: its state, staging, committing, and reading.
//!
//! A commit is written against the version after the newest one read; where that is taken, the entries since are read
//! (every one, for positions that moved) and the decision is made anew by [`watertight_core::commit::decide`].

use super::checkpoint::read_adds;
use super::checkpointer::Checkpointer;
use super::data_file::{self, conform, projection};
use super::entry::{Add, NewEntry, Txn};
use super::log::{LogDir, Put};
use super::read::{Batches, locate, rows_in_footer};
use super::seen::{RecentCommits, Seen, Verdict, damage_error, judge};
use super::{schema, stats};
use crate::folders::{DurableDirs, sync_dir};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use watertight_core::books::CommitKind;
use watertight_core::commit::{Decision, Facts, LastAttempt, OVERTAKEN, decide, follows_newest};
use watertight_core::port::{
    CommitOutcome, CommitRequest, DataFile, ErrorKind, Ids, LakeCommit, LakeTable, PortError, Spent, TableState,
};
use watertight_core::steps::{DELTA_DATA_NAMES, Steps};

/// Versions lost to others in one call before the caller is asked to back off: each was somebody's progress.
const ROUNDS_MAX: usize = 1000;

/// One Delta table.
pub struct DeltaTable {
    root: PathBuf,
    log: LogDir,
    seen: Seen,
    columns: SchemaRef,
    writer: Option<Writer>,
}

/// What a table opened for writing has beside what it knows.
pub(super) struct Writer {
    pub pipeline: String,
    pub dirs: DurableDirs,
    pub ids: Arc<dyn Ids>,
    pub steps: Steps,
    /// The commit whose last attempt was not answered.
    pub in_doubt: Option<String>,
    /// Entries were read whose names may not be durable yet.
    pub unsynced: bool,
    /// Older commits' ids were read from the log.
    pub recalled: bool,
    pub checkpointer: Checkpointer,
    /// Since it was last asked for.
    pub spent: Spent,
}

impl Writer {
    /// Enters a staged file: how long all of it took, and what of that was fsync.
    fn staged(&mut self, all: Duration, sync: Duration) {
        *self.spent.write_us.get_or_insert(0) += micros(all.saturating_sub(sync));
        *self.spent.sync_us.get_or_insert(0) += micros(sync);
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn bug(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Bug, message)
}

impl DeltaTable {
    pub(super) fn new(root: PathBuf, log: LogDir, seen: Seen, writer: Option<Writer>) -> Self {
        let columns = schema::partition_last(&seen.columns, &seen.partition);
        Self { root, log, seen, columns, writer }
    }

    /// The table's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn writer(&mut self) -> Result<&mut Writer, PortError> {
        let table = self.log.table();
        self.writer.as_mut().ok_or_else(|| bug(format!("table {table} was opened for reading only")))
    }

    /// Reads and folds what came since; of a table that is ours, nothing past a damaging entry.
    fn read_on(&mut self) -> Result<(), PortError> {
        while let Some(entry) = self.log.read(self.seen.state.version + 1)? {
            if let Some(writer) = &mut self.writer {
                writer.unsynced = true;
                if let Verdict::Damage(what) = judge(&entry, &writer.pipeline) {
                    return Err(damage_error(self.log.table(), entry.version, &what));
                }
            }
            self.seen.fold(&entry)?;
            if entry.metadata.is_some() {
                self.columns = schema::partition_last(&self.seen.columns, &self.seen.partition);
            }
        }
        if let Some(writer) = &mut self.writer
            && writer.unsynced
        {
            self.log.sync()?;
            writer.unsynced = false;
        }
        Ok(())
    }

    /// Learns the ids of older commits, once: a commit may have been made by a process that was killed before it
    /// could tell anyone.
    fn recall(&mut self) -> Result<(), PortError> {
        let pipeline = {
            let writer = self.writer()?;
            if std::mem::replace(&mut writer.recalled, true) {
                return Ok(());
            }
            writer.pipeline.clone()
        };
        let newest = self.seen.state.version;
        let oldest = newest.saturating_sub(RecentCommits::MAX as u64);
        for version in (oldest..=newest).rev() {
            let Some(entry) = self.log.read(version)? else { break };
            if let Some(books) = entry.books_of(&pipeline) {
                self.seen.recent.push_older(version, &books.commit_id);
            }
        }
        Ok(())
    }

    fn check_request(&mut self, request: &CommitRequest) -> Result<(), PortError> {
        let pipeline = &self.writer()?.pipeline;
        let mut keys = BTreeSet::new();
        let foreign = request.steps.iter().any(|step| &step.key.pipeline != pipeline || !keys.insert(&step.key));
        if &request.books.pipeline != pipeline || foreign {
            return Err(bug("a commit's books and steps must be of the table's pipeline, each position once"));
        }
        if request.books.commit_id.is_empty() {
            return Err(bug("a commit needs an id"));
        }
        Ok(())
    }

    /// Writes the next version. `Taken`: nothing was changed.
    fn put(&mut self, request: &CommitRequest) -> Result<Put, PortError> {
        let began = Instant::now();
        let version = self.seen.state.version + 1;
        let data_change = request.books.kind != CommitKind::Compact;
        let adds: Result<Vec<Add>, PortError> = request
            .files
            .iter()
            .map(|file| Add::of(file, &self.seen.partition, request.timestamp_us, data_change))
            .collect();
        let last_updated = Some(request.timestamp_us.div_euclid(1000));
        let txn = |app_id, version| Txn { app_id, version, last_updated };
        let entry = NewEntry {
            books: &request.books,
            timestamp_us: request.timestamp_us,
            protocol: None,
            metadata: None,
            txns: request.steps.iter().map(|step| txn(step.key.app_id(), step.to)).collect(),
            adds: adds?,
            partition_column: &self.seen.partition,
        };
        let bytes = entry.render()?;
        let id = self.writer()?.ids.fresh();
        let put = self.log.put(version, &bytes, &id);
        let writer = self.writer()?;
        match &put {
            Ok(Put::Written) => {
                writer.spent.entry_us = Some(micros(began.elapsed()));
                writer.in_doubt = None;
                writer.unsynced = false;
                writer.checkpointer.committed(version);
                self.seen.state.version = version;
                self.seen.state.positions.extend(request.steps.iter().map(|step| (step.key.clone(), step.to)));
                self.seen.note_books(version, &request.books);
            }
            Err(error) if error.kind == ErrorKind::Unknown => writer.in_doubt = Some(request.books.commit_id.clone()),
            _ => {}
        }
        put
    }

    /// The commit was found in the log: it counts once its name is durable.
    fn resolve(&mut self, request: &CommitRequest, version: u64) -> Result<CommitOutcome, PortError> {
        if self.writer()?.in_doubt.as_ref() == Some(&request.books.commit_id) {
            self.log.sync().map_err(|error| {
                let message = format!("version {version} of {} can't be made durable: try again", self.log.table());
                PortError::caused(ErrorKind::Unknown, message, error)
            })?;
            self.writer()?.in_doubt = None;
        }
        Ok(CommitOutcome::AlreadyCommitted(version))
    }

    fn newest_adds(&self) -> Result<(u64, BTreeMap<String, Add>), PortError> {
        let listing = self.log.list()?.unwrap_or_default();
        for checkpoint in listing.checkpoints.iter().filter(|found| found.version <= self.seen.state.version) {
            match read_adds(checkpoint) {
                Ok(adds) => {
                    let adds = adds.into_iter().map(|add| (add.path.clone(), add)).collect();
                    return Ok((checkpoint.version + 1, adds));
                }
                Err(error) => {
                    tracing::warn!(table = self.log.table(), version = checkpoint.version, error = %error.chain(), "a checkpoint can't be read, an older one or the entries are taken");
                }
            }
        }
        Ok((0, BTreeMap::new()))
    }

    fn file_of(&self, add: &Add) -> Result<DataFile, PortError> {
        let mut file = add.file(&self.seen.partition)?;
        if file.rows == 0 {
            file.rows = rows_in_footer(&locate(&self.root, &file.path)?)?;
        }
        Ok(file)
    }
}

impl LakeTable for DeltaTable {
    fn state(&self) -> &TableState {
        &self.seen.state
    }

    fn columns(&self) -> SchemaRef {
        Arc::clone(&self.columns)
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        self.read_on()?;
        Ok(&self.seen.state)
    }

    fn stage(&mut self, partition_days: i32, rows: &RecordBatch) -> Result<DataFile, PortError> {
        let began = Instant::now();
        let partition = self.seen.partition.clone();
        let rows = conform(rows, &self.seen.columns, &partition, partition_days)?;
        let date = stats::date_text(partition_days)
            .ok_or_else(|| bug(format!("{partition_days} days since the epoch is no date of the years 1 to 9999")))?;
        let hint = self.seen.state.version + 1;
        let root = self.root.clone();
        let writer = self.writer()?;
        let path = format!("{partition}={date}/part-{hint:010}-{}.zstd.parquet", writer.ids.fresh());
        let (dir, full) = (root.join(format!("{partition}={date}")), root.join(&path));
        let made = |error| PortError::io(format!("making the folder {}", dir.display()), error);
        if !dir.is_dir() {
            writer.dirs.forget(&dir);
        }
        let folders = Instant::now();
        writer.dirs.ensure(&dir).map_err(made)?;
        let mut sync = folders.elapsed();
        let written = data_file::write(&full, &rows, &writer.steps)?;
        let names = Instant::now();
        let durable = writer.steps.take(DELTA_DATA_NAMES, || sync_dir(&dir));
        sync += written.sync + names.elapsed();
        if let Err(error) = durable {
            std::fs::remove_file(&full).ok();
            return Err(PortError::io(format!("syncing the folder {}", dir.display()), error));
        }
        let (size, rows_written, stats) = (written.size, rows.num_rows() as u64, stats::of(&rows));
        writer.staged(began.elapsed(), sync);
        Ok(DataFile { path, partition_days, size, rows: rows_written, stats })
    }

    fn spent(&mut self) -> Spent {
        self.writer.as_mut().map_or_else(Spent::default, |writer| std::mem::take(&mut writer.spent))
    }

    fn commit(&mut self, request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        self.check_request(request)?;
        let id = request.books.commit_id.as_str();
        let in_doubt = self.writer()?.in_doubt.as_deref() == Some(id);
        let mut last_attempt = if in_doubt { LastAttempt::Unknown } else { LastAttempt::None };
        let (mut read_since, mut damage) = (false, None);
        if request.steps.is_empty() {
            self.recall()?; // no position would tell that it was made before
        }
        for _ in 0..ROUNDS_MAX {
            let found = self.seen.recent.version_of(id);
            let decision = decide(&Facts {
                stored: &self.seen.state.positions,
                steps: &request.steps,
                last_attempt,
                read_since,
                own_id_found: found.is_some(),
                foreign_damage: damage.is_some(),
                follows_newest: follows_newest(
                    request.books.follows.as_deref(),
                    self.seen.state.last_append.as_ref().map(|books| books.commit_id.as_str()),
                ),
            });
            match decision {
                Decision::Commit => match self.put(request)? {
                    Put::Written => return Ok(CommitOutcome::Committed(self.seen.state.version)),
                    Put::Taken => (last_attempt, read_since) = (LastAttempt::Unknown, false),
                },
                Decision::ReadFirst => {
                    match self.read_on() {
                        Err(error) if error.kind == ErrorKind::Stop => damage = Some(error),
                        read => read?,
                    }
                    read_since = true;
                }
                Decision::AlreadyCommitted => return self.resolve(request, found.unwrap_or_default()),
                Decision::Stale(_) | Decision::Overtaken if !self.writer()?.recalled => self.recall()?,
                Decision::Stale(step) => {
                    let message = format!("table {}: {step}; the work is discarded and read again", self.log.table());
                    return Err(PortError::caused(ErrorKind::Fenced, message, step));
                }
                Decision::Overtaken => {
                    let message = format!("table {}: {OVERTAKEN}", self.log.table());
                    return Err(PortError::new(ErrorKind::Fenced, message));
                }
                Decision::Halt => {
                    return Err(damage.unwrap_or_else(|| bug("a commit would take a position back")));
                }
            }
        }
        let message = format!("{ROUNDS_MAX} versions of {} were taken by others: try again", self.log.table());
        Err(PortError::new(ErrorKind::Retry, message))
    }

    fn commits_after(&self, after: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        self.first_commits_after(after, usize::MAX)
    }

    fn first_commits_after(&self, after: Option<u64>, count_max: usize) -> Result<Vec<LakeCommit>, PortError> {
        let pipeline = self.seen.pipeline().unwrap_or_default();
        let from = after.map_or(0, |after| after + 1);
        let mut commits = Vec::new();
        for version in (from..=self.seen.state.version).take(count_max) {
            let entry = self.log.read_kept(version)?;
            let adds = entry.adds.iter().filter(|add| add.data_change);
            let files = adds.map(|add| self.file_of(add)).collect::<Result<Vec<_>, _>>()?;
            commits.push(LakeCommit { version, books: entry.books_of(pipeline).cloned(), files });
        }
        Ok(commits)
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        let (from, mut live) = self.newest_adds()?;
        for version in from..=self.seen.state.version {
            let entry = self.log.read_kept(version)?;
            for remove in &entry.removes {
                live.remove(&remove.path);
            }
            live.extend(entry.adds.into_iter().map(|add| (add.path.clone(), add)));
        }
        // Paths begin with the day, then the version they were staged for.
        live.values().map(|add| self.file_of(add)).collect()
    }

    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        let wanted = projection(&self.columns, columns)?;
        Ok(Box::new(Batches::open(&self.root, file, wanted, &self.seen.partition)?))
    }
}
