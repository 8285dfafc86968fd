//! Where a column of a plan comes from.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};

/// What a column is, followed down through projections, filters and sub-selects that pass it on unchanged.
#[derive(Debug)]
pub(super) enum Origin<'plan> {
    /// A column of the stream.
    Source(&'plan str),
    /// A column of an aggregation's output: its groups first, then its results.
    Aggregate(usize),
    /// Something computed.
    Computed,
}

/// Follows column `index` of `plan` down.
pub(super) fn origin(plan: &LogicalPlan, index: usize) -> Origin<'_> {
    match plan {
        LogicalPlan::Projection(projection) => match projection.expr.get(index).map(unalias) {
            Some(Expr::Column(column)) => match projection.input.schema().maybe_index_of_column(column) {
                Some(below) => origin(&projection.input, below),
                None => Origin::Computed,
            },
            _ => Origin::Computed,
        },
        LogicalPlan::Filter(filter) => origin(&filter.input, index),
        LogicalPlan::SubqueryAlias(alias) => origin(&alias.input, index),
        LogicalPlan::Aggregate(_) => Origin::Aggregate(index),
        LogicalPlan::TableScan(scan) => match scan.projected_schema.fields().get(index) {
            Some(field) => Origin::Source(field.name()),
            None => Origin::Computed,
        },
        _ => Origin::Computed,
    }
}

/// The column of the stream that column `index` of `plan` is, if it is one.
fn source_column(plan: &LogicalPlan, index: usize) -> Option<&str> {
    match origin(plan, index) {
        Origin::Source(name) => Some(name),
        _ => None,
    }
}

/// All aggregations of a plan.
pub(super) fn aggregates(plan: &LogicalPlan) -> Vec<&Aggregate> {
    let mut found = Vec::new();
    let walked = plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node {
            found.push(aggregate);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    found
}

fn unalias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unalias(&alias.expr),
        other => other,
    }
}

/// The column of the stream that an expression over `plan` is, if it is one.
pub(super) fn source_of<'plan>(plan: &'plan LogicalPlan, expr: &Expr) -> Option<&'plan str> {
    let Expr::Column(column) = unalias(expr) else { return None };
    source_column(plan, plan.schema().maybe_index_of_column(column)?)
}
