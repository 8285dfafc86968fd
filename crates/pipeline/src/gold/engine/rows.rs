//! The leaf of every plan here: rows that are already in memory.
//!
//! A model is planned once over an empty leaf. Each run gets a copy of the plan with fresh nodes (DataFusion's
//! nodes collect metrics for as long as they live) and a leaf that holds the rows. The leaf tells the planner
//! nothing about the rows, so that the plan fits any.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// Rows in memory, in one partition.
#[derive(Debug, Clone)]
pub(super) struct RowsExec {
    batches: Vec<RecordBatch>,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl RowsExec {
    /// A leaf without rows; `projection` picks columns of `schema`.
    pub(super) fn empty(schema: &SchemaRef, projection: Option<Vec<usize>>) -> Result<Self> {
        let output = match &projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(output),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Self { batches: Vec::new(), projection, properties: Arc::new(properties) })
    }

    /// The same leaf over `batches`, which have the schema before projection.
    pub(super) fn over(&self, batches: Vec<RecordBatch>) -> Self {
        Self { batches, projection: self.projection.clone(), properties: Arc::clone(&self.properties) }
    }
}

impl DisplayAs for RowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowsExec: batches={}", self.batches.len())
    }
}

impl ExecutionPlan for RowsExec {
    fn name(&self) -> &'static str {
        "RowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let projection = self.projection.clone();
        let rows = self.batches.clone().into_iter().map(move |batch| match &projection {
            Some(columns) => Ok(batch.project(columns)?),
            None => Ok(batch),
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::iter(rows))))
    }
}

/// The table that a model's SQL reads while it is planned.
#[derive(Debug)]
pub(super) struct RowsTable(pub(super) SchemaRef);

impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    // The trait's `async fn`, written out.
    fn scan<'table, 'session, 'projection, 'filters, 'scan>(
        &'table self,
        _: &'session dyn Session,
        projection: Option<&'projection Vec<usize>>,
        _: &'filters [Expr],
        _: Option<usize>,
    ) -> Pin<Box<dyn Future<Output = Result<Arc<dyn ExecutionPlan>>> + Send + 'scan>>
    where
        'table: 'scan,
        'session: 'scan,
        'projection: 'scan,
        'filters: 'scan,
        Self: 'scan,
    {
        let leaf = RowsExec::empty(&self.0, projection.cloned());
        Box::pin(std::future::ready(leaf.map(|leaf| Arc::new(leaf) as Arc<dyn ExecutionPlan>)))
    }
}

/// A copy of `plan` with fresh nodes, reading `batches` at its leaf.
pub(super) fn over(plan: &Arc<dyn ExecutionPlan>, batches: Vec<RecordBatch>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(leaf) = plan.downcast_ref::<RowsExec>() {
        return Ok(Arc::new(leaf.over(batches)));
    }
    let mut children = Vec::new();
    // Plans with two leaves are refused before, so that the rows are needed once.
    for child in plan.children() {
        children.push(over(child, batches.clone())?);
    }
    // The new leaf has the old one's properties, therefore so does everything above it.
    let replaced =
        Arc::clone(plan).replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep))?;
    replaced.reset_state()
}

/// How many [`RowsExec`] a plan reads from, and whether it reads from anything else.
pub(super) fn leaves(plan: &Arc<dyn ExecutionPlan>) -> (usize, bool) {
    if plan.downcast_ref::<RowsExec>().is_some() {
        return (1, false);
    }
    let children = plan.children();
    if children.is_empty() {
        return (0, true);
    }
    children.into_iter().map(leaves).fold((0, false), |(rows, other), (r, o)| (rows + r, other || o))
}
