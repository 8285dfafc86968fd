//! Checks: boolean SQL expressions over one stream's declared columns.
//!
//! A row fails a check whose value is false. NULL passes, as in SQL. A row for which a check can't be evaluated (a
//! cast, a division by zero, an overflow) fails that check: it becomes a dead letter `check:<name>` with its bytes
//! kept, and the stream goes on. No number wraps around: arithmetic is that of models (docs/adr/0011).
//!
//! # One row's outcome depends on that row only
//! A whole batch is evaluated at once. If that fails, the batch is halved until the rows that fail stand alone:
//! `AND`, `OR` and CASE may evaluate for a whole batch what a single row would have skipped, so that the error of a
//! batch says nothing about its rows. A batch that evaluates without error gives each row what it alone would give.
//!
//! Never reads a clock, another row or another table: such expressions are refused when the checks are planned.

mod error;
#[cfg(test)]
mod tests;

pub use error::{CheckError, Refusal};

use crate::sql::{Failure, Place, Planning, guarded, planning_message, session, type_name, unfit};
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, Projection};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use std::sync::Arc;
use watertight_core::schema::{Check, StreamDef};

/// A stream's checks, planned once. Immutable; any thread may evaluate them.
#[derive(Debug)]
pub struct Checks {
    stream: String,
    schema: SchemaRef,
    planned: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    name: Arc<str>,
    expression: Arc<dyn PhysicalExpr>,
}

/// A row that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its position in the batch.
    pub row: usize,
    /// The checks that it fails, in the order of their definition; never empty.
    pub checks: Vec<Arc<str>>,
}

impl Checks {
    /// Plans a stream's checks.
    ///
    /// # Errors
    /// [`CheckError::Refused`] with every check that can't be used and why.
    pub fn new(stream: &StreamDef) -> Result<Self, CheckError> {
        let refused = |reasons| CheckError::Refused { stream: stream.name.clone(), reasons };
        let columns = stream.columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true));
        let schema = Arc::new(Schema::new(columns.collect::<Vec<_>>()));
        let mut planned = Vec::with_capacity(stream.checks.len());
        let mut reasons = Vec::new();
        if !stream.checks.is_empty() {
            let prepared = session(Planning::Batch)
                .and_then(|state| Ok((state, DFSchema::try_from(Arc::clone(&schema))?)))
                .map_err(|error| refused(vec![Refusal { check: None, why: planning_message(&error) }]))?;
            for check in &stream.checks {
                match plan(check, &prepared.0, &prepared.1) {
                    Ok(check) => planned.push(check),
                    Err(why) => {
                        reasons.extend(why.into_iter().map(|why| Refusal { check: Some(check.name.clone()), why }));
                    }
                }
            }
        }
        if !reasons.is_empty() {
            return Err(refused(reasons));
        }
        Ok(Self { stream: stream.name.clone(), schema, planned })
    }

    /// Whether there is nothing to check.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }

    /// The rows of `declared` that fail, in order, with the checks that they fail.
    ///
    /// `declared` has the stream's declared columns, in their order.
    ///
    /// # Errors
    /// [`CheckError::Schema`] if it has others: a defect of the caller.
    pub fn evaluate(&self, declared: &RecordBatch) -> Result<Vec<Failed>, CheckError> {
        let schema = declared.schema();
        let found = schema.fields().iter().map(|field| (field.name(), field.data_type()));
        if !found.eq(self.schema.fields().iter().map(|field| (field.name(), field.data_type()))) {
            return Err(CheckError::Schema { stream: self.stream.clone() });
        }
        let mut failures: Vec<(usize, usize)> = Vec::new();
        for (position, check) in self.planned.iter().enumerate() {
            check.failing(declared, 0, &mut |row| failures.push((row, position)));
        }
        failures.sort_unstable();
        let mut failed: Vec<Failed> = Vec::new();
        for (row, position) in failures {
            let name = Arc::clone(&self.planned[position].name);
            match failed.last_mut() {
                Some(last) if last.row == row => last.checks.push(name),
                _ => failed.push(Failed { row, checks: vec![name] }),
            }
        }
        Ok(failed)
    }
}

impl Planned {
    /// Reports every failing row of `rows`, which begin at row `offset` of the batch.
    fn failing(&self, rows: &RecordBatch, offset: usize, report: &mut dyn FnMut(usize)) {
        if rows.num_rows() == 0 {
            return;
        }
        match guarded(|| self.passes(rows)) {
            Ok(passes) => {
                if passes.has_false() {
                    let nulls = passes.nulls();
                    let clear = passes.values().iter().enumerate().filter(|(_, set)| !set);
                    clear
                        .map(|(row, _)| row)
                        .filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row)))
                        .for_each(|row| report(offset + row));
                }
            }
            Err(_) if rows.num_rows() == 1 => report(offset),
            Err(_) => {
                let half = rows.num_rows() / 2;
                self.failing(&rows.slice(0, half), offset, report);
                self.failing(&rows.slice(half, rows.num_rows() - half), offset + half, report);
            }
        }
    }

    fn passes(&self, rows: &RecordBatch) -> Result<BooleanArray, DataFusionError> {
        let value: ArrayRef = self.expression.evaluate(rows)?.into_array(rows.num_rows())?;
        match value.as_any().downcast_ref::<BooleanArray>() {
            Some(passes) => Ok(passes.clone()),
            None => internal_err!("a check gave {}", value.data_type()),
        }
    }
}

fn plan(check: &Check, state: &SessionState, schema: &DFSchema) -> Result<Planned, Vec<String>> {
    let planned = guarded(|| {
        let mut reasons = Vec::new();
        let expression = state.create_logical_expr(&check.sql, schema)?;
        unfit(&expression, Place::Check, &mut reasons);
        if !reasons.is_empty() {
            return Ok(Err(reasons));
        }
        let physical = state.create_physical_expr(analyzed(expression, state, schema)?, schema)?;
        if let Some(error) = constants(&physical) {
            let why = planning_message(&error);
            return Ok(Err(vec![format!("a constant in it cannot be used, so that every row would fail: {why}")]));
        }
        let kind = physical.data_type(schema.as_arrow())?;
        if kind != DataType::Boolean {
            return Ok(Err(vec![format!("it is {}, not true or false; compare it with something", type_name(&kind))]));
        }
        Ok(Ok(Planned { name: Arc::from(check.name.as_str()), expression: physical }))
    });
    match planned {
        Ok(planned) => planned,
        Err(Failure::Error(error)) => Err(vec![planning_message(&error)]),
        Err(Failure::Panic) => Err(vec!["DataFusion panics over it; write it differently".to_owned()]),
    }
}

/// The expression as the session's analyzer leaves it in a plan: with coerced types and arithmetic that fails where it
/// would wrap around. An expression that is planned alone never meets the analyzer.
fn analyzed(expression: Expr, state: &SessionState, schema: &DFSchema) -> Result<Expr, DataFusionError> {
    let rows = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: Arc::new(schema.clone()) });
    let plan = LogicalPlan::Projection(Projection::try_new(vec![expression], Arc::new(rows))?);
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    match &plan {
        LogicalPlan::Projection(projection) if projection.expr.len() == 1 => Ok(projection.expr[0].clone()),
        other => internal_err!("a check became {}", other.display()),
    }
}

/// The error of the first constant part that can't be evaluated, such as the `'abc'` of `price > 'abc'`.
fn constants(expression: &Arc<dyn PhysicalExpr>) -> Option<DataFusionError> {
    let children = expression.children();
    if let Some(error) = children.iter().find_map(|child| constants(child)) {
        return Some(error);
    }
    let one_row = RecordBatchOptions::new().with_row_count(Some(1));
    let nothing = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &one_row);
    let constant = !children.is_empty() && collect_columns(expression).is_empty();
    if constant { nothing.map_err(Into::into).and_then(|row| expression.evaluate(&row)).err() } else { None }
}
