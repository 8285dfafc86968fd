//! A physical plan taken apart at its one pair of partial and final aggregation.
//!
//! ```text
//! silver rows ─▶ filter, projection ─▶ Partial ─▶ state ─▶ PartialReduce ─▶ state ─▶ Final ─▶ projection, HAVING
//! ```
//!
//! A state batch has the groups' columns first, then the aggregates' state columns. All state batches bear the
//! schema that Partial gives: DataFusion reads them by position, and names its rebuilt nodes' columns differently.

use super::rows::{RowsExec, leaves, over};
use crate::sql::collect;
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Result, plan_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use std::sync::Arc;

/// The parts of a model's plan, each over an empty leaf.
#[derive(Debug)]
pub(super) struct Stages {
    /// Rows of silver → state.
    partial: Arc<dyn ExecutionPlan>,
    /// State → state, one row per group.
    reduce: Arc<dyn ExecutionPlan>,
    /// State → results.
    last: Arc<dyn ExecutionPlan>,
    /// Results → rows of the model; `None` if the aggregation's results are the rows.
    above: Option<Arc<dyn ExecutionPlan>>,
    state: SchemaRef,
    results: SchemaRef,
    context: Arc<TaskContext>,
}

impl Stages {
    /// Takes a plan apart. `window` is the position of `window_start` among the groups.
    ///
    /// # Errors
    /// The plan isn't one pair over one leaf, or a grouping set leaves the window out.
    pub(super) fn new(plan: &Arc<dyn ExecutionPlan>, window: usize, context: Arc<TaskContext>) -> Result<Self> {
        if leaves(plan) != (1, false) || plan.output_partitioning().partition_count() != 1 {
            return plan_err!("it reads more than its stream, once");
        }
        let mut found = Vec::new();
        collect_aggregates(plan, &mut found);
        let [upper, lower] = found.as_slice() else {
            return plan_err!("it needs {} steps of aggregation, not one partial and one final", found.len());
        };
        let (Some(planned), Some(partial)) =
            (upper.downcast_ref::<AggregateExec>(), lower.downcast_ref::<AggregateExec>())
        else {
            return plan_err!("its aggregation is not planned as expected");
        };
        if *planned.mode() != AggregateMode::Final
            || *partial.mode() != AggregateMode::Partial
            || !Arc::ptr_eq(planned.input(), lower)
        {
            return plan_err!("its aggregation is not planned as one partial and one final step");
        }
        if partial.group_expr().groups().iter().any(|nulls| nulls.get(window).copied().unwrap_or(true)) {
            return plan_err!("a grouping set without window_start adds up windows that are never all there");
        }
        let state = partial.schema();
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(RowsExec::empty(&state, None)?);
        let continued = |mode| {
            let filters = vec![None; partial.aggr_expr().len()];
            let groups = partial.group_expr().as_final();
            let results = partial.aggr_expr().to_vec();
            AggregateExec::try_new(mode, groups, results, filters, Arc::clone(&leaf), partial.input_schema())
        };
        let reduce: Arc<dyn ExecutionPlan> = Arc::new(continued(AggregateMode::PartialReduce)?);
        let last: Arc<dyn ExecutionPlan> = Arc::new(continued(AggregateMode::Final)?);
        let results = planned.schema();
        same_types(&state, &reduce.schema())?;
        same_types(&results, &last.schema())?;
        let above = if Arc::ptr_eq(plan, upper) { None } else { Some(cut(plan, upper)?) };
        Ok(Self { partial: Arc::clone(lower), reduce, last, above, state, results, context })
    }

    /// The schema of state batches.
    pub(super) fn state_schema(&self) -> &SchemaRef {
        &self.state
    }

    /// Rows of silver with their window → state, possibly several rows per group.
    pub(super) fn partial(&self, rows: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let state = collect(&over(&self.partial, rows)?, &self.context)?;
        renamed(state, &self.state)
    }

    /// State → state with one row per group.
    pub(super) fn reduce(&self, state: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let reduced = collect(&over(&self.reduce, state)?, &self.context)?;
        renamed(reduced, &self.state)
    }

    /// State → the model's rows.
    pub(super) fn finish(&self, state: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let results = renamed(collect(&over(&self.last, state)?, &self.context)?, &self.results)?;
        match &self.above {
            None => Ok(results),
            Some(above) => collect(&over(above, results)?, &self.context),
        }
    }
}

fn collect_aggregates(plan: &Arc<dyn ExecutionPlan>, found: &mut Vec<Arc<dyn ExecutionPlan>>) {
    if plan.downcast_ref::<AggregateExec>().is_some() {
        found.push(Arc::clone(plan));
    }
    for child in plan.children() {
        collect_aggregates(child, found);
    }
}

/// `plan` with a leaf in place of `node`.
fn cut(plan: &Arc<dyn ExecutionPlan>, node: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if Arc::ptr_eq(plan, node) {
        return Ok(Arc::new(RowsExec::empty(&node.schema(), None)?));
    }
    let children = plan.children().into_iter().map(|child| cut(child, node)).collect::<Result<Vec<_>>>()?;
    datafusion::physical_plan::replace_children_if_necessary(Arc::clone(plan), children)
}

fn same_types(expected: &Schema, found: &Schema) -> Result<()> {
    let types = |schema: &Schema| schema.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
    if types(expected) == types(found) {
        Ok(())
    } else {
        plan_err!("one of its aggregates cannot be continued from a saved state")
    }
}

fn renamed(batches: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    batches.into_iter().map(|batch| Ok(RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())?)).collect()
}
