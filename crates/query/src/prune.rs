//! Which files a filter rules out, by partition value and by the statistics in the Delta log.
//!
//! Statistics are bounds, not facts: a file stays unless it certainly holds no row. Two kinds are not trusted: floats
//! (a NaN is in no bound, yet above every number for DataFusion) and timestamps to the last digit (some writers cut
//! both bounds to milliseconds, so the upper one is widened by one).

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;
use watertight_core::port::DataFile;

const MILLISECOND_US: i64 = 1_000;

/// What is known of a file without opening it.
#[derive(Debug)]
pub(crate) struct Prunable {
    partition_column: String,
    partition_days: i32,
    rows: u64,
    stats: String,
}

impl Prunable {
    pub(crate) fn new(file: &DataFile, partition_column: &str) -> Self {
        Self {
            partition_column: partition_column.to_owned(),
            partition_days: file.partition_days,
            rows: file.rows,
            stats: file.stats.clone(),
        }
    }
}

/// The files that may hold rows for which all filters are true.
pub(crate) fn prune(
    state: &dyn Session,
    schema: &SchemaRef,
    files: &[(PartitionedFile, Prunable)],
    filters: &[Expr],
) -> Vec<PartitionedFile> {
    let verdicts = verdicts(state, schema, files, filters).unwrap_or_else(|| vec![true; files.len()]);
    files.iter().zip(verdicts).filter(|(_, keep)| *keep).map(|((file, _), _)| file.clone()).collect()
}

/// `None` where the filters say nothing that can be decided from bounds.
fn verdicts(
    state: &dyn Session,
    schema: &SchemaRef,
    files: &[(PartitionedFile, Prunable)],
    filters: &[Expr],
) -> Option<Vec<bool>> {
    let filter = conjunction(filters.iter().cloned())?;
    let columns = DFSchema::try_from(Arc::clone(schema)).ok()?;
    let expression = state.create_physical_expr(filter, &columns).ok()?;
    let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(expression)?;
    let parsed = files.iter().map(|(_, file)| (file, serde_json::from_str(&file.stats).unwrap_or(Value::Null)));
    predicate.prune(&FileBounds { schema: Arc::clone(schema), files: parsed.collect() }).ok()
}

struct FileBounds<'a> {
    schema: SchemaRef,
    files: Vec<(&'a Prunable, Value)>,
}

impl FileBounds<'_> {
    fn bounds(&self, column: &Column, which: &str, widen_us: i64) -> Option<ArrayRef> {
        let kind = self.schema.field_with_name(&column.name).ok()?.data_type();
        let null = ScalarValue::try_from(kind).ok()?;
        let of = |(file, stats): &(&Prunable, Value)| {
            if file.partition_column == column.name {
                return ScalarValue::Date32(Some(file.partition_days));
            }
            let bound = stats.get(which).and_then(|bounds| bounds.get(&column.name));
            bound.and_then(|bound| scalar(bound, kind, widen_us)).unwrap_or_else(|| null.clone())
        };
        ScalarValue::iter_to_array(self.files.iter().map(of)).ok()
    }
}

/// A bound in the column's type; `None` where it is not trusted or not understood.
fn scalar(bound: &Value, kind: &DataType, widen_us: i64) -> Option<ScalarValue> {
    let text = match bound {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    match kind {
        DataType::Utf8 => Some(ScalarValue::Utf8(Some(text))),
        DataType::Int32 | DataType::Int64 | DataType::Date32 => ScalarValue::try_from_string(text, kind).ok(),
        // More digits than the scale has would be rounded, perhaps inwards.
        DataType::Decimal128(_, scale) => {
            let fraction = text.split_once('.').map_or(0, |(_, digits)| digits.len());
            let exact = !text.contains(['e', 'E']) && fraction <= usize::try_from(*scale).unwrap_or(0);
            exact.then(|| ScalarValue::try_from_string(text, kind).ok()).flatten()
        }
        DataType::Timestamp(..) => match ScalarValue::try_from_string(text, kind).ok()? {
            ScalarValue::TimestampMicrosecond(Some(at), zone) => {
                Some(ScalarValue::TimestampMicrosecond(Some(at.checked_add(widen_us)?), zone))
            }
            _ => None,
        },
        _ => None,
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, "minValues", 0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, "maxValues", MILLISECOND_US)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let of = |(file, stats): &(&Prunable, Value)| {
            if file.partition_column == column.name {
                return Some(0);
            }
            stats.get("nullCount")?.get(&column.name)?.as_u64()
        };
        Some(Arc::new(UInt64Array::from_iter(self.files.iter().map(of))))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.files.iter().map(|(file, _)| file.rows))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
