//! Ports that misbehave where a script of the memory adapters does not reach: they delegate, and bend what passes.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use watertight_adapters::memory::lake::{LakeCall, MemoryLake};
use watertight_adapters::memory::log::MemoryLog;
use watertight_core::port::{
    Append, CommitOutcome, CommitRequest, DataFile, ErrorKind, EventLog, Fetched, Lake, LakeCommit, LakeTable,
    LogReader, OffsetBounds, PortError, ReadFrom, TableSpec, TableState, TopicInfo,
};
use watertight_core::record::NewRecord;

type Before = dyn Fn(LakeCall, &str) -> Result<(), PortError> + Send + Sync;
type Reading = dyn Fn(&str, RecordBatch) -> RecordBatch + Send + Sync;
type Staging = dyn Fn(&str, &RecordBatch) -> RecordBatch + Send + Sync;
type Fetching = dyn Fn(Fetched) -> Fetched + Send + Sync;
type Ending = dyn Fn(i32) -> Result<Option<i64>, PortError> + Send + Sync;
type Missing = dyn Fn() -> bool + Send + Sync;
type Refusing = dyn Fn(&[ReadFrom]) -> Option<PortError> + Send + Sync;

/// A lake with something that happens before each call, to each batch that is read, and to the rows that are staged.
#[derive(Clone)]
pub(crate) struct BentLake {
    inner: MemoryLake,
    before: Arc<Before>,
    reading: Arc<Reading>,
    staging: Arc<Staging>,
}

impl BentLake {
    fn straight(inner: &MemoryLake) -> Self {
        Self {
            inner: inner.clone(),
            before: Arc::new(|_: LakeCall, _: &str| Ok(())),
            reading: Arc::new(|_: &str, batch: RecordBatch| batch),
            staging: Arc::new(|_: &str, rows: &RecordBatch| rows.clone()),
        }
    }

    /// `before` hears of each call and its table (`silver.notes`); it may refuse, or panic.
    pub(crate) fn before(
        inner: &MemoryLake,
        before: impl Fn(LakeCall, &str) -> Result<(), PortError> + Send + Sync + 'static,
    ) -> Self {
        Self { before: Arc::new(before), ..Self::straight(inner) }
    }

    /// `reading` changes what is read of a table.
    pub(crate) fn reading(
        inner: &MemoryLake,
        reading: impl Fn(&str, RecordBatch) -> RecordBatch + Send + Sync + 'static,
    ) -> Self {
        Self { reading: Arc::new(reading), ..Self::straight(inner) }
    }

    /// `staging` changes the rows that are staged for a table.
    pub(crate) fn staging(
        inner: &MemoryLake,
        staging: impl Fn(&str, &RecordBatch) -> RecordBatch + Send + Sync + 'static,
    ) -> Self {
        Self { staging: Arc::new(staging), ..Self::straight(inner) }
    }

    /// Call number `number` (from 1) to commit to `table` kills the stream: nothing is done, nothing tried again.
    pub(crate) fn dying_at_commit(inner: &MemoryLake, table: &'static str, number: usize) -> Self {
        let calls = AtomicUsize::new(0);
        Self::before(inner, move |call, of| {
            if call == LakeCall::Commit && of == table && calls.fetch_add(1, Ordering::SeqCst) + 1 == number {
                return Err(PortError::new(ErrorKind::Stop, "the planted death"));
            }
            Ok(())
        })
    }

    fn bent(&self, name: String, inner: Box<dyn LakeTable>) -> Box<dyn LakeTable> {
        Box::new(BentTable { inner, name, lake: self.clone() })
    }
}

impl Lake for BentLake {
    fn open(&self, spec: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        let name = format!("{}.{}", spec.schema_name, spec.table);
        (self.before)(LakeCall::Open, &name)?;
        Ok(self.bent(name, self.inner.open(spec)?))
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        let name = format!("{schema_name}.{table}");
        (self.before)(LakeCall::Look, &name)?;
        Ok(self.inner.look(schema_name, table)?.map(|inner| self.bent(name, inner)))
    }
}

struct BentTable {
    inner: Box<dyn LakeTable>,
    name: String,
    lake: BentLake,
}

impl BentTable {
    fn enter(&self, call: LakeCall) -> Result<(), PortError> {
        (self.lake.before)(call, &self.name)
    }
}

impl LakeTable for BentTable {
    fn state(&self) -> &TableState {
        self.inner.state()
    }

    fn columns(&self) -> SchemaRef {
        self.inner.columns()
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        self.enter(LakeCall::Refresh)?;
        self.inner.refresh()
    }

    fn stage(&mut self, partition_days: i32, rows: &RecordBatch) -> Result<DataFile, PortError> {
        self.enter(LakeCall::Stage)?;
        self.inner.stage(partition_days, &(self.lake.staging)(&self.name, rows))
    }

    fn commit(&mut self, request: &CommitRequest) -> Result<CommitOutcome, PortError> {
        self.enter(LakeCall::Commit)?;
        self.inner.commit(request)
    }

    fn commits_after(&self, after: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        self.enter(LakeCall::CommitsAfter)?;
        self.inner.commits_after(after)
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        self.enter(LakeCall::LiveFiles)?;
        self.inner.live_files()
    }

    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        self.enter(LakeCall::Read)?;
        let (reading, name) = (self.lake.reading.clone(), self.name.clone());
        let batches = self.inner.read(file, columns)?;
        Ok(Box::new(batches.map(move |batch| batch.map(|batch| reading(&name, batch)))))
    }
}

/// A log whose readers pass what they fetched through a function, and may refuse to fetch. It notes where they began.
pub(crate) struct BentLog {
    inner: MemoryLog,
    fetching: Arc<Fetching>,
    refusing: Arc<Refusing>,
    ending: Arc<Ending>,
    missing: Arc<Missing>,
    opened: Mutex<Vec<Vec<ReadFrom>>>,
}

impl BentLog {
    pub(crate) fn new(inner: &MemoryLog, fetching: impl Fn(Fetched) -> Fetched + Send + Sync + 'static) -> Self {
        let refusing = Arc::new(|_: &[ReadFrom]| None);
        let ending = Arc::new(|_: i32| Ok(None));
        let missing = Arc::new(|| false);
        let (inner, fetching) = (inner.clone(), Arc::new(fetching));
        Self { inner, fetching, refusing, ending, missing, opened: Mutex::default() }
    }

    /// `refusing` hears before each fetch from where its reader began, and says with which error it fails.
    pub(crate) fn refusing(
        inner: &MemoryLog,
        refusing: impl Fn(&[ReadFrom]) -> Option<PortError> + Send + Sync + 'static,
    ) -> Self {
        Self { refusing: Arc::new(refusing), ..Self::new(inner, |fetched| fetched) }
    }

    /// `ending` says where a partition ends, or that nobody knows; `None` leaves it where it is.
    pub(crate) fn ending(
        inner: &MemoryLog,
        ending: impl Fn(i32) -> Result<Option<i64>, PortError> + Send + Sync + 'static,
    ) -> Self {
        Self { ending: Arc::new(ending), ..Self::new(inner, |fetched| fetched) }
    }

    /// `missing` says whether the answer to a question for a topic is that there is none.
    pub(crate) fn missing(inner: &MemoryLog, missing: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { missing: Arc::new(missing), ..Self::new(inner, |fetched| fetched) }
    }

    /// From where each reader began.
    pub(crate) fn opened(&self) -> Vec<Vec<ReadFrom>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl EventLog for BentLog {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        if (self.missing)() { Ok(None) } else { self.inner.topic(topic) }
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        self.inner.topics()
    }

    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        self.inner.create_topic(topic, partitions)
    }

    fn append(&self, topic: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        self.inner.append(topic, partition, records)
    }

    fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        self.inner.bounds(topic, partition)
    }

    fn end(&self, topic: &str, partition: i32) -> Result<i64, PortError> {
        (self.ending)(partition)?.map_or_else(|| self.inner.end(topic, partition), Ok)
    }

    fn reader(&self, topic: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        let inner = self.inner.reader(topic, from)?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(from.to_vec());
        let (fetching, refusing) = (self.fetching.clone(), self.refusing.clone());
        Ok(Box::new(BentReader { inner, fetching, refusing, from: from.to_vec() }))
    }
}

struct BentReader {
    inner: Box<dyn LogReader>,
    fetching: Arc<Fetching>,
    refusing: Arc<Refusing>,
    from: Vec<ReadFrom>,
}

impl LogReader for BentReader {
    fn fetch(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Fetched>, PortError> {
        if let Some(error) = (self.refusing)(&self.from) {
            return Err(error);
        }
        let fetched = self.inner.fetch(bytes_max, wait)?;
        Ok(fetched.into_iter().map(|one| (self.fetching)(one)).collect())
    }

    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        self.inner.seek(partition, offset)
    }
}
