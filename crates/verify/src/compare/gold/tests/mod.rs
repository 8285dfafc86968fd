//! The model's rows against planted faults, over rows in memory: no file is read here.

mod planned;
mod windows;

use super::eras::Closed;
use super::judge::{Found, Judge};
use super::model::{Failure, Model, Query};
use super::provider::{Batches, Rows, Selection, Which, utc_timestamp};
use super::stretches::Stretch;
use crate::finding::{Code, Findings, Kept};
use crate::request::{Request, Scope};
use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const MINUTE: i64 = 60_000_000;
pub(super) const CANDLES: &str = "SELECT window_start, window_end, symbol,
    first_value(price ORDER BY _event_time) AS open, max(price) AS high, sum(volume) AS volume, count(*) AS trades
    FROM ticks GROUP BY window_start, window_end, symbol";

pub(super) fn silver() -> Schema {
    Schema::new(vec![
        Field::new("symbol", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(18, 4), true),
        Field::new("volume", DataType::Int64, true),
        Field::new("_event_time", utc_timestamp(), false),
        Field::new("_is_late_arriving", DataType::Boolean, false),
        Field::new("_kafka_partition", DataType::Int32, false),
        Field::new("_kafka_offset", DataType::Int64, false),
    ])
}

pub(super) fn gold() -> Schema {
    Schema::new(vec![
        Field::new("window_start", utc_timestamp(), false),
        Field::new("window_end", utc_timestamp(), false),
        Field::new("symbol", DataType::Utf8, true),
        Field::new("open", DataType::Decimal128(18, 4), true),
        Field::new("high", DataType::Decimal128(18, 4), true),
        Field::new("volume", DataType::Int64, true),
        Field::new("trades", DataType::Int64, true),
    ])
}

/// Symbol, price (unscaled), volume, event time, late, partition, offset.
pub(super) type Tick = (&'static str, i128, i64, i64, bool, i32, i64);

pub(super) fn ticks(rows: &[Tick]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(
            Decimal128Array::from_iter_values(rows.iter().map(|row| row.1)).with_precision_and_scale(18, 4).unwrap(),
        ),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.2))),
        times(rows.iter().map(|row| row.3)),
        Arc::new(rows.iter().map(|row| Some(row.4)).collect::<BooleanArray>()),
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.5))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.6))),
    ];
    RecordBatch::try_new(Arc::new(silver()), columns).unwrap()
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// Rows in memory.
#[derive(Debug)]
pub(super) struct InMemory(pub(super) Vec<RecordBatch>);

impl Rows for InMemory {
    fn open(&self, columns: &[String]) -> Batches {
        let project = |batch: &RecordBatch| {
            let schema = batch.schema();
            let indices: Vec<usize> = columns.iter().map(|name| schema.index_of(name).unwrap()).collect();
            Ok(batch.project(&indices).unwrap())
        };
        let batches: Vec<_> = self.0.iter().map(project).collect();
        Box::new(batches.into_iter())
    }
}

pub(super) fn request() -> Request {
    Request {
        lake: std::path::PathBuf::new(),
        scope: Scope::default(),
        ledgers: Vec::new(),
        scratch: std::env::temp_dir(),
        memory_bytes_max: 0,
        threads: 1,
        now_us: 0,
    }
}

pub(super) fn plan(sql: &str) -> Result<Model, String> {
    let query = Query { from: "ticks".to_owned(), window_us: MINUTE, sql: sql.to_owned() };
    Model::plan(&query, &silver(), &gold(), &request())
}

pub(super) const WHOLE: Stretch = Stretch { day: 0, from_us: 0, to_us: 10 * MINUTE };

pub(super) fn run(model: &Model, rows: &[Tick], which: Which) -> Result<RecordBatch, Failure> {
    let selection = Selection { window_us: MINUTE, from_us: WHOLE.from_us, to_us: WHOLE.to_us, which };
    model.run(Arc::new(InMemory(vec![ticks(rows)])), selection).map(|(rows, _)| rows)
}

/// Window (in minutes), symbol, open, high (unscaled), volume, trades.
pub(super) type Candle = (i64, &'static str, i128, i128, i64, i64);

pub(super) fn candles(rows: &[Candle], by: &str, version: i32) -> Found {
    let decimals = |value: fn(&Candle) -> i128| -> ArrayRef {
        let array = Decimal128Array::from_iter_values(rows.iter().map(value));
        Arc::new(array.with_precision_and_scale(18, 4).unwrap())
    };
    let columns: Vec<ArrayRef> = vec![
        times(rows.iter().map(|row| row.0 * MINUTE)),
        times(rows.iter().map(|row| (row.0 + 1) * MINUTE)),
        Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()),
        decimals(|row| row.2),
        decimals(|row| row.3),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.4))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.5))),
    ];
    let fields: Vec<Field> = gold().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    Found {
        rows: RecordBatch::try_new(schema, columns).unwrap(),
        computed_by: rows.iter().map(|_| Some(by)).collect(),
        versions: rows.iter().map(|_| Some(version)).collect(),
        files: vec![(0, "f1".to_owned(), 3)],
    }
}

/// Judges gold against silver, both in memory; windows up to minute 10 closed in version 3 of the table.
pub(super) fn judge(silver: &[Tick], found: &Found, below: &[(i32, i64)]) -> (u64, Kept) {
    let findings = Findings::default();
    let closed = Closed { appends: vec![(10 * MINUTE, 3)], ..Closed::default() };
    let below: BTreeMap<i32, i64> = below.iter().copied().collect();
    let model = plan(CANDLES).unwrap();
    let judge =
        Judge { table: "gold.candles", version: 1, model: &model, closed: &closed, below: &below, findings: &findings };
    let rows: Arc<dyn Rows> = Arc::new(InMemory(vec![ticks(silver)]));
    let compared = judge.stretch(WHOLE, &rows, found).unwrap();
    (compared, findings.into_kept())
}

/// Code, window, column and text of each finding.
pub(super) fn told(kept: &Kept) -> Vec<(Code, String, String, String)> {
    kept.findings
        .iter()
        .map(|finding| {
            let text = |part: &Option<String>| part.clone().unwrap_or_default();
            (finding.code, text(&finding.place.window), text(&finding.place.column), finding.what.clone())
        })
        .collect()
}
