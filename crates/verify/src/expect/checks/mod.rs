//! Checks, evaluated anew: boolean SQL expressions over the declared columns.
//!
//! NULL passes. A row for which a check cannot be evaluated (a cast, a division by zero, a number that does not fit its
//! type) fails that check alone. What a row gives does not depend on its neighbours: where a batch cannot be evaluated
//! it is taken apart until single rows are left.
//!
//! Expressions are planned and evaluated by DataFusion, in a session of our own, with arithmetic made strict in
//! [`exact`]. What DataFusion itself computes wrongly is wrong here and in the pipeline alike: that, and nothing else
//! about checks, `verify` cannot see. An expression of `ops.definitions` is trusted as far as its cost goes: the pipeline
//! evaluated it too.

mod exact;
#[cfg(test)]
mod tests;

use super::arrays::{array, arrow_type};
use super::definition::{ColumnType, StreamDefinition};
use super::{NULL, Value};
use crate::guard::guarded;
use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::prelude::{SessionConfig, SessionContext};
use exact::exact;
use std::collections::HashSet;
use std::sync::Arc;

/// A batch that cannot be evaluated is cut into so many parts, and those again.
const PARTS: usize = 16;

/// A stream's checks.
#[derive(Debug)]
pub(crate) struct Checks {
    schema: SchemaRef,
    kinds: Vec<ColumnType>,
    /// Columns that a check looks at; the others need not be there.
    used: HashSet<usize>,
    checks: Vec<Check>,
}

#[derive(Debug)]
struct Check {
    reason: String,
    expression: Arc<dyn PhysicalExpr>,
}

impl Checks {
    /// Plans the checks of a definition.
    ///
    /// # Errors
    /// Which check cannot be planned, and why: the pipeline refuses such a definition, so it was never in force, or it was
    /// written by a version that knew other functions.
    pub(crate) fn new(definition: &StreamDefinition) -> Result<Self, String> {
        let kinds: Vec<ColumnType> = definition.columns.iter().map(|column| column.kind.clone()).collect();
        let fields = definition.columns.iter().map(|column| Field::new(&column.name, arrow_type(&column.kind), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut planned = Self { schema, kinds, used: HashSet::new(), checks: Vec::new() };
        if definition.checks.is_empty() {
            return Ok(planned);
        }
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        let session = SessionContext::new_with_config(config);
        for check in &definition.checks {
            let of_check = |why: String| format!("check '{}' cannot be planned: {why}", check.name);
            let plan = || planned.plan(&check.sql, &session);
            let expression = match guarded(plan) {
                Some(Ok(expression)) => expression,
                Some(Err(error)) => return Err(of_check(first_line(&error))),
                None => return Err(of_check("DataFusion panics over it".to_owned())),
            };
            planned.used.extend(collect_columns(&expression).iter().map(|column| column.index()));
            planned.checks.push(Check { reason: format!("check:{}", check.name), expression });
        }
        Ok(planned)
    }

    fn plan(&self, sql: &str, session: &SessionContext) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        let logical = session.parse_sql_expr(sql, &schema)?;
        let expression = exact(session.create_physical_expr(logical, &schema)?, &self.schema)?;
        match expression.data_type(&self.schema)? {
            DataType::Boolean => Ok(expression),
            other => Err(DataFusionError::Plan(format!("it is {other}, not true or false"))),
        }
    }

    /// Per row the reasons `check:<name>` of the checks it fails, in the order of the definition.
    ///
    /// # Errors
    /// Where the rows cannot be brought into Arrow's form.
    pub(crate) fn failing(&self, rows: &[&[Value]]) -> Result<Vec<Vec<String>>, String> {
        let mut reasons = vec![Vec::new(); rows.len()];
        if self.checks.is_empty() || rows.is_empty() {
            return Ok(reasons);
        }
        let batch = self.batch(rows)?;
        for check in &self.checks {
            for (of_row, fails) in reasons.iter_mut().zip(failing(&check.expression, &batch)) {
                if fails {
                    of_row.push(check.reason.clone());
                }
            }
        }
        Ok(reasons)
    }

    fn batch(&self, rows: &[&[Value]]) -> Result<RecordBatch, String> {
        let mut columns = Vec::with_capacity(self.kinds.len());
        for (index, kind) in self.kinds.iter().enumerate() {
            if self.used.contains(&index) {
                let values: Vec<&Value> = rows.iter().map(|row| row.get(index).unwrap_or(&NULL)).collect();
                columns.push(array(kind, &values)?);
            } else {
                columns.push(new_null_array(&arrow_type(kind), rows.len()));
            }
        }
        let count = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &count).map_err(|error| error.to_string())
    }
}

/// Whether each row of the batch fails.
fn failing(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Vec<bool> {
    let count = batch.num_rows();
    if let Some(passes) = passes(expression, batch) {
        return (0..count).map(|row| passes.is_valid(row) && !passes.value(row)).collect();
    }
    if count <= 1 {
        return vec![true; count];
    }
    let part = count.div_ceil(PARTS);
    let parts = (0..count).step_by(part).map(|from| batch.slice(from, part.min(count - from)));
    parts.flat_map(|part| failing(expression, &part)).collect()
}

/// What the expression gives for each row; `None` where it cannot be evaluated for all of them at once.
fn passes(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Option<BooleanArray> {
    let evaluate = || expression.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    let value = guarded(evaluate)?.ok()?;
    value.as_boolean_opt().filter(|passes| passes.len() == batch.num_rows()).cloned()
}

/// DataFusion's messages go on with hints over many lines.
fn first_line(error: &DataFusionError) -> String {
    error.to_string().lines().next().unwrap_or_default().chars().take(200).collect()
}
