//! The lake in memory, with scripted faults: for tests and simulation.
//!
//! Contract: [`watertight_core::port::Lake`], held to the same suite as the Delta adapter. Clones share the tables, so
//! a clone stands for a restarted process. Nothing is durable, nothing is ever cleaned up.

mod faults;

pub use faults::{Gate, LakeCall, LakeFault, Strike, When};

use crate::delta::PIPELINE_KEY;
use crate::delta::data_file::{conform, projection};
use crate::delta::schema::{Evolution, evolve, partition_last, spec_columns};
use arrow::array::{ArrayRef, Date32Array, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use faults::{Script, lock};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use watertight_core::books::{Books, CommitKind};
use watertight_core::commit::{Decision, Facts, LastAttempt, OVERTAKEN, decide, follows_newest};
use watertight_core::port::{
    CommitOutcome, CommitRequest, DataFile, ErrorKind, Lake, LakeCommit, LakeTable, PortError, TableSpec, TableState,
};
use watertight_core::position::PositionKey;

/// Tables in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryLake(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    tables: Mutex<BTreeMap<String, Stored>>,
    /// Tables made so far.
    made: AtomicU64,
    script: Script,
}

#[derive(Debug)]
struct Stored {
    id: String,
    columns: SchemaRef,
    partition: String,
    configuration: BTreeMap<String, String>,
    log: Vec<Version>,
    files: HashMap<String, RecordBatch>,
}

#[derive(Debug, Clone, Default)]
struct Version {
    books: Option<Books>,
    positions: Vec<(PositionKey, i64)>,
    change: ForeignCommit,
}

/// What another program's commit does to a table.
#[derive(Debug, Clone, Default)]
pub struct ForeignCommit {
    /// Files it adds.
    pub adds: Vec<DataFile>,
    /// Paths it removes.
    pub removes: Vec<String>,
    /// Whether rows change by it; compaction changes none.
    pub data_change: bool,
    /// The columns it sets.
    pub columns: Option<SchemaRef>,
}

fn bug(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Bug, message)
}

fn stop(message: impl Into<String>) -> PortError {
    PortError::new(ErrorKind::Stop, message)
}

impl MemoryLake {
    /// Adds a fault.
    pub fn script(&self, fault: LakeFault) {
        self.0.script.add(fault);
    }

    /// Faults that have not struck yet.
    #[must_use]
    pub fn faults_left(&self) -> usize {
        self.0.script.len()
    }

    /// Adds a version that another program wrote.
    ///
    /// # Errors
    /// `Bug` where there is no such table.
    pub fn plant(&self, table: &str, change: ForeignCommit) -> Result<(), PortError> {
        let mut tables = lock(&self.0.tables);
        let stored = tables.get_mut(table).ok_or_else(|| bug(format!("no table {table}")))?;
        stored.log.push(Version { change, ..Version::default() });
        Ok(())
    }

    /// Removes a table, as somebody does who moves its folder away; whether it was there.
    pub fn remove(&self, table: &str) -> bool {
        lock(&self.0.tables).remove(table).is_some()
    }

    fn faulty<T>(
        &self,
        call: LakeCall,
        table: &str,
        work: impl FnOnce() -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.0.script.strike(call, table, When::Before)?;
        let answer = work();
        self.0.script.strike(call, table, When::After)?;
        answer
    }

    fn open_table(&self, spec: &TableSpec, name: &str) -> Result<MemoryTable, PortError> {
        let columns = spec_columns(spec)?;
        let mut tables = lock(&self.0.tables);
        let stored = tables.entry(name.to_owned()).or_insert_with(|| Stored {
            id: format!("table-{}", self.0.made.fetch_add(1, Ordering::SeqCst)),
            columns: Arc::clone(&columns),
            partition: spec.partition_column.clone(),
            configuration: BTreeMap::from([(PIPELINE_KEY.to_owned(), spec.pipeline.clone())]),
            log: vec![own_version(CommitKind::Create, &spec.pipeline, None)],
            files: HashMap::new(),
        });
        if stored.configuration.get(PIPELINE_KEY) != Some(&spec.pipeline) {
            return Err(stop(format!("table {name} belongs to another pipeline: use another lake")));
        }
        if stored.partition != spec.partition_column {
            return Err(stop(format!("table {name} is partitioned by another column: begin a new table")));
        }
        let above_ours = stored.log.iter().enumerate().rev().take_while(|(_, version)| version.books.is_none());
        for (at, version) in above_ours {
            judge(name, at as u64, version)?;
        }
        if let Evolution::Becomes(becomes) = evolve(name, &stored.columns, &columns, &stored.partition)? {
            stored.log.push(own_version(CommitKind::Maintain, &spec.pipeline, Some(Arc::clone(&becomes))));
            stored.columns = becomes;
        }
        let mut table = self.table_of(name, stored, Some(spec.pipeline.clone()));
        (0..stored.log.len() as u64).for_each(|at| table.fold(stored, at));
        Ok(table)
    }

    fn table_of(&self, name: &str, stored: &Stored, writer: Option<String>) -> MemoryTable {
        let (id, configuration) = (stored.id.clone(), stored.configuration.clone());
        let state = TableState { id, configuration, ..TableState::default() };
        let columns = Arc::clone(&stored.columns);
        let partition = stored.partition.clone();
        let seen = Seen { state, columns, next: 0 };
        MemoryTable { lake: self.clone(), name: name.to_owned(), partition, seen, writer, in_doubt: None }
    }
}

fn own_version(kind: CommitKind, pipeline: &str, columns: Option<SchemaRef>) -> Version {
    let books = Books { kind, ..Books::append(pipeline, format!("{kind:?}")) };
    Version { books: Some(books), change: ForeignCommit { columns, ..ForeignCommit::default() }, ..Version::default() }
}

fn judge(table: &str, at: u64, version: &Version) -> Result<(), PortError> {
    let change = &version.change;
    let rows_change = change.data_change && !(change.adds.is_empty() && change.removes.is_empty());
    if version.books.is_some() || !(rows_change || change.columns.is_some()) {
        return Ok(());
    }
    Err(stop(format!("version {at} of {table}, another program's, changes rows or columns: look at what it did")))
}

impl Lake for MemoryLake {
    fn open(&self, spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        let name = format!("{}.{}", spec.schema_name, spec.table);
        let table = self.faulty(LakeCall::Open, &name, || self.open_table(spec, &name))?;
        Ok(Box::new(table))
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        let name = format!("{schema_name}.{table}");
        self.faulty(LakeCall::Look, &name, || {
            let tables = lock(&self.0.tables);
            let Some(stored) = tables.get(&name) else { return Ok(None) };
            let mut table = self.table_of(&name, stored, None);
            (0..stored.log.len() as u64).for_each(|at| table.fold(stored, at));
            Ok(Some(Box::new(table) as Box<dyn LakeTable>))
        })
    }
}

/// One table in memory.
#[derive(Debug)]
struct MemoryTable {
    lake: MemoryLake,
    name: String,
    partition: String,
    seen: Seen,
    /// The pipeline, where opened for writing.
    writer: Option<String>,
    in_doubt: Option<String>,
}

#[derive(Debug, Clone)]
struct Seen {
    state: TableState,
    columns: SchemaRef,
    /// The first version not read.
    next: u64,
}

impl MemoryTable {
    fn fold(&mut self, stored: &Stored, at: u64) {
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
