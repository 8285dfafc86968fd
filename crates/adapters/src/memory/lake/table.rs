//! One table of the lake in memory: commits decided as those on disk are, rows staged and read back.

use super::faults::{LakeCall, lock};
use super::{ForeignCommit, MemoryLake, Stored, Version, bug, judge};
use crate::delta::data_file::{conform, projection};
use crate::delta::schema::partition_last;
use arrow::array::{ArrayRef, Date32Array, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;
use watertight_core::books::CommitKind;
use watertight_core::commit::{Decision, Facts, LastAttempt, OVERTAKEN, decide, follows_newest};
use watertight_core::port::{
    CommitOutcome, CommitRequest, DataFile, ErrorKind, LakeCommit, LakeTable, PortError, TableState,
};

/// One table in memory.
#[derive(Debug)]
pub(super) struct MemoryTable {
    pub(super) lake: MemoryLake,
    pub(super) name: String,
    pub(super) partition: String,
    pub(super) seen: Seen,
    /// The pipeline, where opened for writing.
    pub(super) writer: Option<String>,
    pub(super) in_doubt: Option<String>,
}

/// How far its log was read, and what the table is by that.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) state: TableState,
    pub(super) columns: SchemaRef,
    /// The first version not read.
    pub(super) next: u64,
}

impl MemoryTable {
    pub(super) fn fold(&mut self, stored: &Stored, at: u64) {
        let version = &stored.log[at as usize];
        let state = &mut self.seen.state;
        state.version = at;
        state.positions.extend(version.positions.iter().cloned());
        if let Some(columns) = &version.change.columns {
            self.seen.columns = Arc::clone(columns);
        }
        if let Some(books) = version.books.as_ref().filter(|books| books.kind == CommitKind::Append) {
            state.last_append = Some(books.clone());
            state.last_append_version = Some(at);
        }
        self.seen.next = at + 1;
    }

    fn with_stored<T>(&self, work: impl FnOnce(&mut Stored) -> Result<T, PortError>) -> Result<T, PortError> {
        let shared = Arc::clone(&self.lake.0);
        let mut tables = lock(&shared.tables);
        work(tables.get_mut(&self.name).ok_or_else(|| bug(format!("no table {}", self.name)))?)
    }

    fn read_on(&mut self, stored: &Stored) -> Result<(), PortError> {
        while self.seen.next < stored.log.len() as u64 {
            if self.writer.is_some() {
                judge(&self.name, self.seen.next, &stored.log[self.seen.next as usize])?;
            }
            self.fold(stored, self.seen.next);
        }
        Ok(())
    }

    fn check_request(&self, request: &CommitRequest) -> Result<(), PortError> {
        let pipeline = self.writer.as_ref().ok_or_else(|| bug("the table was opened for reading only"))?;
        let mut keys = std::collections::BTreeSet::new();
        let foreign = request.steps.iter().any(|step| &step.key.pipeline != pipeline || !keys.insert(&step.key));
        if &request.books.pipeline != pipeline || foreign || request.books.commit_id.is_empty() {
            return Err(bug(
                "a commit's books and steps must be of the table's pipeline, each position once, with an id",
            ));
        }
        Ok(())
    }

    fn attempt(&mut self, stored: &mut Stored, request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        let id = &request.books.commit_id;
        let mut last_attempt =
            if self.in_doubt.as_ref() == Some(id) { LastAttempt::Unknown } else { LastAttempt::None };
        let (mut read_since, mut damage) = (false, None);
        loop {
            let read = &stored.log[..self.seen.next as usize];
            let found = read.iter().position(|version| version.books.as_ref().is_some_and(|b| &b.commit_id == id));
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
                Decision::Commit if self.seen.next == stored.log.len() as u64 => {
                    let positions = request.steps.iter().map(|step| (step.key.clone(), step.to)).collect();
                    let data_change = request.books.kind != CommitKind::Compact;
                    let change = ForeignCommit { adds: request.files.clone(), data_change, ..ForeignCommit::default() };
                    stored.log.push(Version { books: Some(request.books.clone()), positions, change });
                    self.fold(stored, self.seen.next);
                    self.in_doubt = None;
                    return Ok(CommitOutcome::Committed(self.seen.state.version));
                }
                Decision::Commit => (last_attempt, read_since) = (LastAttempt::Unknown, false),
                Decision::ReadFirst => {
                    damage = self.read_on(stored).err();
                    read_since = true;
                }
                Decision::AlreadyCommitted => {
                    self.in_doubt = None;
                    return Ok(CommitOutcome::AlreadyCommitted(found.unwrap_or_default() as u64));
                }
                Decision::Stale(step) => {
                    let message = format!("table {}: {step}; the work is discarded and read again", self.name);
                    return Err(PortError::caused(ErrorKind::Fenced, message, step));
                }
                Decision::Overtaken => {
                    let message = format!("table {}: {OVERTAKEN}", self.name);
                    return Err(PortError::new(ErrorKind::Fenced, message));
                }
                Decision::Halt => return Err(damage.unwrap_or_else(|| bug("a commit would take a position back"))),
            }
        }
    }
}

impl LakeTable for MemoryTable {
    fn state(&self) -> &TableState {
        &self.seen.state
    }

    fn columns(&self) -> SchemaRef {
        partition_last(&self.seen.columns, &self.partition)
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        let (lake, name) = (self.lake.clone(), self.name.clone());
        lake.faulty(LakeCall::Refresh, &name, || {
            let mut tables = lock(&lake.0.tables);
            let stored = tables.get_mut(&name).ok_or_else(|| bug(format!("no table {name}")))?;
            self.read_on(stored)
        })?;
        Ok(&self.seen.state)
    }

    fn stage(&mut self, partition_days: i32, rows: &RecordBatch) -> Result<DataFile, PortError> {
        let (lake, name) = (self.lake.clone(), self.name.clone());
        lake.faulty(LakeCall::Stage, &name, || {
            if self.writer.is_none() {
                return Err(bug("the table was opened for reading only"));
            }
            let rows = conform(rows, &self.seen.columns, &self.partition, partition_days)?;
            let count = rows.num_rows() as u64;
            self.with_stored(|stored| {
                let path = format!("{}={partition_days:06}/part-{:010}", self.partition, stored.files.len());
                let size = rows.get_array_memory_size() as u64;
                stored.files.insert(path.clone(), rows);
                Ok(DataFile { path, partition_days, size, rows: count, stats: String::new() })
            })
        })
    }

    fn commit(&mut self, request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        let (lake, name, before) = (self.lake.clone(), self.name.clone(), self.seen.clone());
        let answer = lake.faulty(LakeCall::Commit, &name, || {
            self.check_request(request)?;
            let mut tables = lock(&lake.0.tables);
            let stored = tables.get_mut(&name).ok_or_else(|| bug(format!("no table {name}")))?;
            self.attempt(stored, request)
        });
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Unknown) {
            self.seen = before; // whoever has no answer knows nothing new
            self.in_doubt = Some(request.books.commit_id.clone());
        }
        answer
    }

    fn commits_after(&self, after: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        self.lake.faulty(LakeCall::CommitsAfter, &self.name, || {
            self.with_stored(|stored| {
                let from = after.map_or(0, |after| after + 1);
                let commit = |at: u64| {
                    let version = &stored.log[at as usize];
                    let files = if version.change.data_change { version.change.adds.clone() } else { Vec::new() };
                    LakeCommit { version: at, books: version.books.clone(), files }
                };
                Ok((from..self.seen.next).map(commit).collect())
            })
        })
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        self.lake.faulty(LakeCall::LiveFiles, &self.name, || {
            self.with_stored(|stored| {
                let mut live = BTreeMap::new();
                for version in &stored.log[..self.seen.next as usize] {
                    version.change.removes.iter().for_each(|path| drop(live.remove(path)));
                    live.extend(version.change.adds.iter().map(|file| (file.path.clone(), file.clone())));
                }
                Ok(live.into_values().collect())
            })
        })
    }

    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        let wanted = projection(&self.columns(), columns)?;
        let batch = self.lake.faulty(LakeCall::Read, &self.name, || {
            let missing = || PortError::new(ErrorKind::Corrupt, format!("data file {} is missing", file.path));
            let rows = self.with_stored(|stored| stored.files.get(&file.path).cloned().ok_or_else(missing))?;
            let column = |name: &String| -> ArrayRef {
                match rows.column_by_name(name) {
                    Some(column) => Arc::clone(column),
                    None if *name == self.partition => {
                        Arc::new(Date32Array::from_value(file.partition_days, rows.num_rows()))
                    }
                    None => new_null_array(
                        wanted
                            .field_with_name(name)
                            .map_or(&arrow::datatypes::DataType::Null, |field| field.data_type()),
                        rows.num_rows(),
                    ),
                }
            };
            let arrays = wanted.fields().iter().map(|field| column(field.name())).collect();
            RecordBatch::try_new(Arc::clone(&wanted), arrays).map_err(|error| bug(format!("rows don't fit: {error}")))
        })?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}
