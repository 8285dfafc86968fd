//! A lake for tests: Parquet files on disk, the list of live files in memory.

use crate::Session;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use watertight_core::port::{
    CommitOutcome, CommitRequest, DataFile, ErrorKind, Lake, LakeCommit, LakeTable, PortError, TableSpec, TableState,
};

type Hook = Box<dyn Fn() + Send + Sync>;

#[derive(Clone)]
struct Table {
    columns: SchemaRef,
    files: Vec<DataFile>,
}

/// The lake; `looks` counts how often tables were opened.
pub(crate) struct TestLake {
    dir: tempfile::TempDir,
    tables: Mutex<BTreeMap<(String, String), Table>>,
    pub(crate) looks: Mutex<usize>,
    pub(crate) on_look: Mutex<Option<Hook>>,
    pub(crate) unreadable: Mutex<Option<&'static str>>,
}

impl TestLake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            dir: tempfile::tempdir().unwrap(),
            tables: Mutex::default(),
            looks: Mutex::default(),
            on_look: Mutex::default(),
            unreadable: Mutex::default(),
        })
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn session(self: &Arc<Self>) -> Session {
        Session::new(Arc::clone(self) as Arc<dyn Lake>, self.root()).unwrap()
    }

    /// Makes a table, or gives it other columns; the partition column `day` is added.
    pub(crate) fn table(&self, schema: &str, table: &str, mut columns: Vec<Field>) {
        columns.push(Field::new("day", DataType::Date32, false));
        let columns = Arc::new(Schema::new(columns));
        std::fs::create_dir_all(self.root().join(schema).join(table).join("_delta_log")).unwrap();
        let mut tables = self.tables.lock().unwrap();
        let entry = tables.entry((schema.to_owned(), table.to_owned()));
        entry.and_modify(|held| held.columns = Arc::clone(&columns)).or_insert(Table { columns, files: Vec::new() });
    }

    /// Writes a file of the given columns (not `day`) and makes it live.
    pub(crate) fn add(&self, (schema, table): (&str, &str), day: i32, columns: Vec<(&str, ArrayRef)>, stats: &str) {
        let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        let number = self.tables.lock().unwrap()[&(schema.to_owned(), table.to_owned())].files.len();
        let path = format!("day={day}/part-{number}.parquet");
        let full = self.root().join(schema).join(table).join(&path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let file = std::fs::File::create(&full).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, rows.schema(), options).unwrap();
        writer.write(&rows).unwrap();
        writer.close().unwrap();
        let size = std::fs::metadata(&full).unwrap().len();
        let (partition_days, count) = (day, rows.num_rows() as u64);
        self.add_file((schema, table), DataFile { path, partition_days, size, rows: count, stats: stats.to_owned() });
    }

    /// Makes a file live that may not even exist.
    pub(crate) fn add_file(&self, (schema, table): (&str, &str), file: DataFile) {
        let mut tables = self.tables.lock().unwrap();
        tables.get_mut(&(schema.to_owned(), table.to_owned())).unwrap().files.push(file);
    }
}

struct Opened {
    table: Table,
    state: TableState,
}

fn unasked<T>() -> Result<T, PortError> {
    Err(PortError::new(ErrorKind::Bug, "a shell does not do this"))
}

impl Lake for TestLake {
    fn open(&self, _spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        unasked()
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        *self.looks.lock().unwrap() += 1;
        if let Some(hook) = self.on_look.lock().unwrap().as_ref() {
            hook();
        }
        if *self.unreadable.lock().unwrap() == Some(table) {
            return Err(PortError::new(ErrorKind::Corrupt, "log entry 3 is torn"));
        }
        let found = self.tables.lock().unwrap().get(&(schema_name.to_owned(), table.to_owned())).cloned();
        Ok(found.map(|table| Box::new(Opened { table, state: TableState::default() }) as Box<dyn LakeTable>))
    }
}

impl LakeTable for Opened {
    fn state(&self) -> &TableState {
        &self.state
    }

    fn columns(&self) -> SchemaRef {
        Arc::clone(&self.table.columns)
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        Ok(&self.state)
    }

    fn stage(&mut self, _partition_days: i32, _rows: &RecordBatch) -> Result<DataFile, PortError> {
        unasked()
    }

    fn commit(&mut self, _request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        unasked()
    }

    fn commits_after(&self, _after: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        unasked()
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        Ok(self.table.files.clone())
    }

    fn read(
        &self,
        _file: &DataFile,
        _columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        unasked()
    }
}
