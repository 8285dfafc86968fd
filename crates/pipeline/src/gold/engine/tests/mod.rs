//! The engine against plain SQL over the same rows, run by a session that shares nothing with it.

mod equality;
mod functions;
mod overflow;
mod refusals;
mod state;

use super::{ModelError, ModelPlan};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use watertight_core::schema::{ModelDef, silver_extra_fields, utc_timestamp};

pub(super) const MINUTE: i64 = 60_000_000;
/// In the middle of a window, some of whose rows are before 1970.
pub(super) const BASE: i64 = -3 * MINUTE + 7;

/// SplitMix64: small, seeded, and not the generator of anything under test.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

pub(super) fn silver() -> Schema {
    let mut fields = vec![
        Field::new("event_id", DataType::Utf8, true),
        Field::new("symbol", DataType::Utf8, true),
        Field::new("price", DataType::Decimal128(18, 4), true),
        Field::new("qty", DataType::Int64, true),
        Field::new("mag", DataType::Float64, true),
        Field::new("ok", DataType::Boolean, true),
        Field::new("day", DataType::Date32, true),
    ];
    fields.extend(silver_extra_fields());
    Schema::new(fields)
}

pub(super) fn model(sql: &str) -> ModelDef {
    ModelDef { name: "m".into(), from: "ticks".into(), window_us: MINUTE, sql: sql.into() }
}

pub(super) fn plan(sql: &str) -> Arc<ModelPlan> {
    ModelPlan::new(&model(sql), &silver()).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn nullable<T>(random: &mut Random, value: T) -> Option<T> {
    (random.below(12) != 0).then_some(value)
}

/// Rows over ten windows; many share a microsecond, some values are NULL, ids and positions are unique.
pub(super) fn rows(random: &mut Random, count: usize) -> RecordBatch {
    let schema = silver();
    let mut times = Vec::new();
    let mut partitions = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for _ in 0..count {
        times.push(BASE + random.below(200) as i64 * (10 * MINUTE / 200));
        partitions.push(random.below(3) as i32);
    }
    let mut each = |make: &mut dyn FnMut(&mut Random) -> Option<i128>| -> Vec<Option<i128>> {
        (0..count).map(|_| make(random)).collect()
    };
    let symbols = each(&mut |r| {
        let v = i128::from(r.below(5));
        nullable(r, v)
    });
    let prices = each(&mut |r| {
        let v = i128::from(r.below(2_000_000)) - 500_000;
        nullable(r, v)
    });
    let quantities = each(&mut |r| {
        let v = i128::from(r.below(40)) - 10;
        nullable(r, v)
    });
    let floats = each(&mut |r| {
        let v = i128::from(r.below(1_000_000)) - 300_000;
        nullable(r, v)
    });
    let flags = each(&mut |r| {
        let v = i128::from(r.below(2));
        nullable(r, v)
    });
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Field::new("element", DataType::Utf8, true));
    (0..count).for_each(|_| lists.append(true));

    columns.push(Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("e-{i}")))));
    columns.push(Arc::new(symbols.iter().map(|v| v.map(|v| format!("S{v}"))).collect::<StringArray>()));
    columns.push(Arc::new(Decimal128Array::from(prices).with_precision_and_scale(18, 4).unwrap()));
    columns.push(Arc::new(quantities.iter().map(|v| v.map(|v| v as i64)).collect::<Int64Array>()));
    columns.push(Arc::new(floats.iter().map(|v| v.map(|v| v as f64 / 997.0)).collect::<Float64Array>()));
    columns.push(Arc::new(flags.iter().map(|v| v.map(|v| v == 1)).collect::<BooleanArray>()));
    columns.push(Arc::new(quantities.iter().map(|v| v.map(|v| v as i32)).collect::<Date32Array>()));
    columns.push(Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")));
    columns.push(Arc::new(BooleanArray::from(vec![false; count])));
    columns.push(Arc::new(Float64Array::from(vec![0.5; count])));
    columns.push(Arc::new(lists.finish()));
    columns.push(Arc::new(Int32Array::from(partitions)));
    columns.push(Arc::new(Int64Array::from_iter_values(0..count as i64)));
    columns.push(Arc::new(Int32Array::from(vec![1; count])));
    columns.push(Arc::new(StringArray::from(vec![None::<&str>; count])));
    columns.push(Arc::new(Date32Array::from(vec![0; count])));
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

pub(super) fn times(rows: &RecordBatch) -> Vec<i64> {
    let column = rows.column_by_name("_event_time").unwrap();
    column.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap().values().to_vec()
}

pub(super) fn pick(rows: &RecordBatch, indices: &[u32]) -> RecordBatch {
    take_record_batch(rows, &UInt32Array::from(indices.to_vec())).unwrap()
}

/// Folds all rows in random pieces and a random order, closing what no later row belongs to, and saving and
/// loading the state at random moments.
pub(super) fn streamed(plan: &Arc<ModelPlan>, rows: &RecordBatch, random: &mut Random) -> RecordBatch {
    let times = times(rows);
    let disorder = [1, MINUTE, 20 * MINUTE][random.below(3) as usize] as u64;
    let mut order: Vec<(i64, u32)> =
        times.iter().enumerate().map(|(i, t)| (t + random.below(disorder) as i64, i as u32)).collect();
    order.sort_unstable();
    let order: Vec<u32> = order.into_iter().map(|(_, i)| i).collect();
    let piece_max = [3, 40, 400][random.below(3) as usize];
    let mut state = plan.open();
    let mut out = Vec::new();
    let mut at = 0;
    while at < order.len() {
        let until = (at + 1 + random.below(piece_max) as usize).min(order.len());
        state.fold(&pick(rows, &order[at..until])).unwrap();
        at = until;
        if random.below(3) == 0 {
            let watermark = order[at..].iter().map(|i| times[*i as usize]).min().unwrap_or(i64::MIN);
            let closable = state.has_closable(watermark);
            let closed = state.close(watermark).unwrap();
            assert!(closable || closed.num_rows() == 0);
            out.push(closed);
        }
        if random.below(5) == 0 {
            let saved = state.save().unwrap();
            state = super::WindowState::load(plan, &saved).unwrap();
        }
    }
    out.push(state.close_all().unwrap());
    assert_eq!((state.open_windows(), state.state_rows(), state.state_bytes()), (0, 0, 0));
    concat_batches(&plan.output_schema(), &out).unwrap()
}

/// The same SQL by a default session over a table that holds the window columns as data.
pub(super) fn oracle(plan: &ModelPlan, sql: &str, rows: &RecordBatch) -> RecordBatch {
    let times = times(rows);
    let mut columns = rows.columns().to_vec();
    let mut fields: Vec<Field> = rows.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    for (name, shift) in [("window_start", 0), ("window_end", MINUTE)] {
        // Not the division under test: down to the minute by the remainder, which keeps the sign.
        let starts = times.iter().map(|t| t - ((t % MINUTE) + MINUTE) % MINUTE + shift);
        columns.push(Arc::new(TimestampMicrosecondArray::from_iter_values(starts).with_timezone("UTC")));
        fields.push(Field::new(name, utc_timestamp(), false));
    }
    let schema = Arc::new(Schema::new(fields));
    let table = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(async {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        context.register_table("ticks", Arc::new(MemTable::try_new(schema, vec![vec![table]]).unwrap())).unwrap();
        context.sql(sql).await.unwrap().collect().await.unwrap()
    });
    let output = plan.output_schema();
    let batches: Vec<RecordBatch> = found
        .iter()
        .map(|batch| {
            let cast = |(column, field): (&ArrayRef, &Arc<Field>)| cast(column, field.data_type()).unwrap();
            let columns = batch.columns().iter().zip(output.fields()).map(cast).collect();
            RecordBatch::try_new(Arc::clone(&output), columns).unwrap()
        })
        .collect();
    by_key(plan, &concat_batches(&output, &batches).unwrap())
}

fn by_key(plan: &ModelPlan, rows: &RecordBatch) -> RecordBatch {
    let key: Vec<ArrayRef> =
        plan.key_columns().iter().map(|name| Arc::clone(rows.column_by_name(name).unwrap())).collect();
    let fields = key.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let encoded = RowConverter::new(fields).unwrap().convert_columns(&key).unwrap();
    let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
    order.sort_by_key(|row| encoded.row(*row as usize));
    pick(rows, &order)
}

/// Equal rows in equal order; floats to 1e-9 relative.
pub(super) fn assert_same(left: &RecordBatch, right: &RecordBatch, what: &str) {
    assert_eq!(left.schema(), right.schema(), "{what}");
    assert_eq!(left.num_rows(), right.num_rows(), "{what}");
    for (column, field) in left.schema().fields().iter().enumerate() {
        let (l, r) = (left.column(column), right.column(column));
        for row in 0..left.num_rows() {
            let same = match (l.as_any().downcast_ref::<Float64Array>(), r.as_any().downcast_ref::<Float64Array>()) {
                (Some(a), Some(b)) if a.is_valid(row) && b.is_valid(row) => near(a.value(row), b.value(row)),
                _ => {
                    l.is_valid(row) == r.is_valid(row)
                        && array_value_to_string(l, row).unwrap() == array_value_to_string(r, row).unwrap()
                }
            };
            let text = |a: &ArrayRef| array_value_to_string(a, row).unwrap();
            assert!(same, "{what}: row {row}, {}: {} and {}", field.name(), text(l), text(r));
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
}

/// The reasons why a model is refused.
pub(super) fn reasons(def: &ModelDef) -> Vec<String> {
    match ModelPlan::new(def, &silver()) {
        Err(ModelError::Refused { reasons, .. }) => reasons,
        Err(error) => panic!("{}: {error}", def.sql),
        Ok(_) => panic!("{} is not refused", def.sql),
    }
}
