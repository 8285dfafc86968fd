//! What the tests run against: an event log with scripted faults, a lake in memory, streams as the examples declare
//! them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::generate::GeneratorKind;
use crate::truth::standard_sql;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use watertight_core::port::{
    Append, Clock, CommitOutcome, CommitRequest, DataFile, ErrorKind, EventLog, Fetched, Gap, GapCause, Lake,
    LakeCommit, LakeTable, LogReader, OffsetBounds, PortError, ReadFrom, TableSpec, TableState, TopicInfo,
};
use watertight_core::record::{NewRecord, Records, encode_headers};
use watertight_core::schema::{
    Check, Column, ColumnType, DuplicateKeys, EventIdRule, EventTimeRule, ModelDef, PayloadLimits, StartAt, StreamDef,
    TimestampForm,
};

/// What happens at a step: every append counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Refused; nothing is appended.
    Refuse,
    /// Refused for good.
    Stop,
    /// The answer is lost before anything was appended.
    LoseBefore,
    /// A beginning of the batch is appended, and the answer is lost.
    LosePart,
    /// Appended, and the answer is lost.
    LoseAfter,
    /// The process dies before the append.
    KillBefore,
    /// The process dies behind the append.
    KillAfter,
}

/// Who wrote at an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The producer under test.
    Ours,
    /// Another one.
    Other,
    /// Nobody: there is no record, as at the end of a transaction.
    Nobody,
}

/// One record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) writer: Writer,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    headers: Vec<u8>,
}

impl Stored {
    fn new(writer: Writer, record: &NewRecord<'_>) -> Self {
        let mut headers = Vec::new();
        encode_headers(record.headers, &mut headers);
        Self { writer, key: record.key.map(<[u8]>::to_vec), value: record.value.map(<[u8]>::to_vec), headers }
    }
}

#[derive(Default)]
pub(crate) struct LogState {
    pub(crate) partitions: Vec<Vec<Stored>>,
    pub(crate) incarnation: String,
    pub(crate) faults: HashMap<u64, Fault>,
    /// Fetches that fail before one answers.
    pub(crate) failing_fetches: u32,
    pub(crate) steps: u64,
    /// Behind every so many records of a batch another producer's comes to lie, and an offset without one; 0: never.
    pub(crate) others_every: usize,
    /// So many times the last record cannot be read yet, for it is behind the beginning of an open transaction.
    pub(crate) covered: u32,
}

/// A log in memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct FakeLog(Arc<Mutex<LogState>>);

impl FakeLog {
    pub(crate) fn state(&self) -> MutexGuard<'_, LogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with_faults(faults: impl IntoIterator<Item = (u64, Fault)>) -> Self {
        let log = Self::default();
        log.state().faults = faults.into_iter().collect();
        log
    }

    fn info(&self, topic: &str) -> Option<TopicInfo> {
        let state = self.state();
        let partitions = state.partitions.len() as i32;
        let incarnation = format!("first{}", state.incarnation);
        (partitions > 0).then(|| TopicInfo { name: topic.to_owned(), incarnation, partitions })
    }
}

/// Ends the "process" without the noise of a panic.
fn die() -> ! {
    std::panic::resume_unwind(Box::new("killed"))
}

impl EventLog for FakeLog {
    fn topic(&self, topic: &str) -> Result<Option<TopicInfo>, PortError> {
        Ok(self.info(topic))
    }

    fn topics(&self) -> Result<Vec<String>, PortError> {
        Err(PortError::new(ErrorKind::Bug, "nobody lists its topics"))
    }

    fn create_topic(&self, topic: &str, partitions: i32) -> Result<TopicInfo, PortError> {
        let mut state = self.state();
        let grown = state.partitions.len().max(partitions as usize);
        state.partitions.resize_with(grown, Vec::new);
        drop(state);
        Ok(self.info(topic).expect("just made"))
    }

    fn append(&self, _: &str, partition: i32, records: &[NewRecord<'_>]) -> Result<Append, PortError> {
        let mut state = self.state();
        let step = state.steps;
        state.steps += 1;
        let fault = state.faults.get(&step).copied();
        let error = |kind| Err(PortError::new(kind, "scripted"));
        match fault {
            Some(Fault::Refuse) => return error(ErrorKind::Retry),
            Some(Fault::Stop) => return error(ErrorKind::Stop),
            Some(Fault::LoseBefore) => return error(ErrorKind::Unknown),
            Some(Fault::KillBefore) => die(),
            _ => {}
        }
        let kept = if fault == Some(Fault::LosePart) { records.len() / 2 } else { records.len() };
        let others_every = state.others_every;
        let stored = &mut state.partitions[partition as usize];
        let mut offsets = Vec::new();
        for (row, record) in records[..kept].iter().enumerate() {
            offsets.push(stored.len() as i64);
            stored.push(Stored::new(Writer::Ours, record));
            if others_every > 0 && (row + 1) % others_every == 0 {
                let another = NewRecord { value: Some(b"another's"), headers: &[], ..*record };
                stored.push(Stored::new(Writer::Other, &another));
                stored.push(Stored::new(Writer::Nobody, &NewRecord::default()));
            }
        }
        match fault {
            Some(Fault::LoseAfter | Fault::LosePart) => error(ErrorKind::Unknown),
            Some(Fault::KillAfter) => die(),
            _ => Ok(Append::at(offsets).unwrap_or_else(|| Append::dense(stored.len() as i64))),
        }
    }

    fn bounds(&self, _: &str, partition: i32) -> Result<OffsetBounds, PortError> {
        let mut state = self.state();
        let mut next = state.partitions[partition as usize].len() as i64;
        if next > 0 && state.covered > 0 {
            state.covered -= 1;
            next -= 1;
        }
        Ok(OffsetBounds { earliest: 0, next })
    }

    fn end(&self, _: &str, partition: i32) -> Result<i64, PortError> {
        Ok(self.state().partitions[partition as usize].len() as i64)
    }

    fn reader(&self, _: &str, from: &[ReadFrom]) -> Result<Box<dyn LogReader>, PortError> {
        Ok(Box::new(FakeReader {
            log: self.clone(),
            at: from.iter().map(|from| (from.partition, from.offset)).collect(),
        }))
    }
}

struct FakeReader {
    log: FakeLog,
    at: Vec<(i32, i64)>,
}

impl LogReader for FakeReader {
    fn fetch(&mut self, _: usize, _: Duration) -> Result<Vec<Fetched>, PortError> {
        let mut state = self.log.state();
        if state.failing_fetches > 0 {
            state.failing_fetches -= 1;
            return Err(PortError::new(ErrorKind::Retry, "scripted"));
        }
        let mut fetched = Vec::new();
        for (partition, at) in &mut self.at {
            let stored = &state.partitions[*partition as usize];
            let from = *at;
            let (mut records, mut gaps) = (Records::default(), Vec::new());
            // Few at a time, so that reading back takes several fetches.
            for record in stored.iter().skip(from as usize).take(5) {
                match record.writer {
                    Writer::Nobody => gaps.push(Gap { from: *at, to: *at + 1, cause: GapCause::NoRecord }),
                    Writer::Ours | Writer::Other => {
                        records.push(*at, 0, -1, record.key.as_deref(), record.value.as_deref(), Some(&record.headers));
                    }
                }
                *at += 1;
            }
            if *at > from {
                let log_end = stored.len() as i64;
                fetched.push(Fetched { partition: *partition, from, to: *at, records, gaps, log_end });
            }
        }
        Ok(fetched)
    }

    fn seek(&mut self, partition: i32, offset: i64) -> Result<(), PortError> {
        self.at.iter_mut().filter(|(p, _)| *p == partition).for_each(|(_, at)| *at = offset);
        Ok(())
    }
}

/// A clock that stands still: 2026-11-21T00:00:00Z.
pub(crate) struct FixedClock;

pub(crate) const NOW_US: i64 = 1_795_219_200_000_000;

impl Clock for FixedClock {
    fn now_us(&self) -> i64 {
        NOW_US
    }
}

/// Tables by `schema.table`, a file per batch.
#[derive(Clone, Default)]
pub(crate) struct FakeLake(pub(crate) HashMap<String, Vec<RecordBatch>>);

struct FakeTable(Vec<RecordBatch>, TableState);

impl Lake for FakeLake {
    fn open(&self, _: &TableSpec) -> Result<Box<dyn LakeTable>, PortError> {
        Err(PortError::new(ErrorKind::Bug, "a comparison writes nothing"))
    }

    fn look(&self, schema_name: &str, table: &str) -> Result<Option<Box<dyn LakeTable>>, PortError> {
        let batches = self.0.get(&format!("{schema_name}.{table}")).cloned();
        Ok(batches.map(|batches| Box::new(FakeTable(batches, TableState::default())) as Box<dyn LakeTable>))
    }
}

impl LakeTable for FakeTable {
    fn state(&self) -> &TableState {
        &self.1
    }

    fn columns(&self) -> SchemaRef {
        self.0[0].schema()
    }

    fn refresh(&mut self) -> Result<&TableState, PortError> {
        Ok(&self.1)
    }

    fn stage(&mut self, _: i32, _: &RecordBatch) -> Result<DataFile, PortError> {
        Err(PortError::new(ErrorKind::Bug, "a comparison writes nothing"))
    }

    fn commit(&mut self, _: &CommitRequest) -> Result<CommitOutcome, PortError> {
        Err(PortError::new(ErrorKind::Bug, "a comparison writes nothing"))
    }

    fn commits_after(&self, _: Option<u64>) -> Result<Vec<LakeCommit>, PortError> {
        Ok(Vec::new())
    }

    fn live_files(&self) -> Result<Vec<DataFile>, PortError> {
        let file = |index: usize| DataFile {
            path: index.to_string(),
            partition_days: 0,
            size: 0,
            rows: self.0[index].num_rows() as u64,
            stats: String::new(),
        };
        Ok((0..self.0.len()).map(file).collect())
    }

    fn read(
        &self,
        file: &DataFile,
        columns: &[&str],
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, PortError>> + Send>, PortError> {
        let batch = &self.0[file.path.parse::<usize>().expect("ours")];
        let wanted = columns.iter().map(|name| batch.schema().index_of(name).expect("a column of the table"));
        let indices: Vec<usize> =
            if columns.is_empty() { (0..batch.num_columns()).collect() } else { wanted.collect() };
        let read = batch.project(&indices).expect("indices of the batch");
        Ok(Box::new(std::iter::once(Ok(read))))
    }
}

pub(crate) fn column(name: &str, kind: ColumnType, required: bool) -> Column {
    Column { name: name.to_owned(), kind, required, path: vec![name.to_owned()] }
}

/// A stream with these columns and checks; `event_id` and `ts` are declared already.
pub(crate) fn stream(name: &str, columns: Vec<Column>, checks: &[(&str, &str)], watermark_delay_us: i64) -> StreamDef {
    let mut all = vec![column("event_id", ColumnType::String, true)];
    all.extend(columns);
    all.push(column("ts", ColumnType::Timestamp(TimestampForm::Rfc3339), true));
    let checks = checks.iter().map(|(name, sql)| Check { name: (*name).to_owned(), sql: (*sql).to_owned() });
    StreamDef {
        name: name.to_owned(),
        topic: name.replace('_', "-"),
        topics: None,
        partitions: 4,
        event_id: EventIdRule::Column("event_id".to_owned()),
        event_time: EventTimeRule {
            column: "ts".to_owned(),
            watermark_delay_us,
            future_tolerance_us: 600_000_000,
            idle_after_us: i64::MAX,
            not_before_us: 0,
            not_after_us: i64::MAX,
        },
        columns: all,
        checks: checks.collect(),
        payload: PayloadLimits { bytes_max: 1 << 20, depth_max: 64, duplicate_keys: DuplicateKeys::Reject },
        start: StartAt::Earliest,
        fail_on_data_loss: true,
    }
}

pub(crate) fn stocks_stream(watermark_delay_us: i64) -> StreamDef {
    let columns = vec![
        column("symbol", ColumnType::String, true),
        column("price", ColumnType::Decimal { precision: 18, scale: 4 }, true),
        column("volume", ColumnType::Long, false),
    ];
    stream("stock_ticks", columns, &[("positive_price", "price > 0"), ("traded", "volume >= 1")], watermark_delay_us)
}

pub(crate) fn usage_stream(watermark_delay_us: i64) -> StreamDef {
    let columns = vec![
        column("customer_id", ColumnType::String, true),
        column("endpoint", ColumnType::String, false),
        column("status", ColumnType::Int, true),
        column("bytes", ColumnType::Long, true),
        column("latency_ms", ColumnType::Double, false),
    ];
    stream("api_usage", columns, &[("sane_status", "status <= 999")], watermark_delay_us)
}

pub(crate) fn bench_stream(watermark_delay_us: i64) -> StreamDef {
    let columns = vec![
        column("type", ColumnType::String, true),
        column("user_id", ColumnType::String, true),
        column("country", ColumnType::String, true),
        column("amount", ColumnType::Decimal { precision: 18, scale: 2 }, true),
        column("product", ColumnType::String, false),
        column("props", ColumnType::Struct(vec![("page".to_owned(), ColumnType::String)]), false),
    ];
    stream("events", columns, &[("amount_known", "amount > 0")], watermark_delay_us)
}

/// The standard model over a stream of this kind.
pub(crate) fn model(stream: &StreamDef, kind: GeneratorKind, name: &str, window_us: i64) -> ModelDef {
    let sql = standard_sql(kind, &stream.name);
    ModelDef { name: name.to_owned(), from: stream.name.clone(), window_us, sql }
}
