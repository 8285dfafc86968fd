//! The lake in memory, with scripted faults: for tests and simulation.
//!
//! Contract: [`watertight_core::port::Lake`], held to the same suite as the Delta adapter. Clones share the tables, so
//! a clone stands for a restarted process. Nothing is durable, nothing is ever cleaned up.

mod faults;
mod table;

pub use faults::{Gate, LakeCall, LakeFault, Strike, When};

use crate::delta::PIPELINE_KEY;
use crate::delta::schema::{Evolution, evolve, spec_columns};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use faults::{Script, lock};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use table::{MemoryTable, Seen};
use watertight_core::books::{Books, CommitKind};
use watertight_core::port::{DataFile, ErrorKind, Lake, LakeTable, PortError, TableSpec, TableState};
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
