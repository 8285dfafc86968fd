//! Makes the order inside ordered aggregates total.
//!
//! `last_value(price ORDER BY _event_time)` leaves open which of two events of the same microsecond is last, and
//! the answer would then depend on how batches fell. Partition and offset are appended to every such ORDER BY, and before
//! them the topic, where silver has it (docs/adr/0019): the model's answer stays one that its SQL allows, and is the same
//! in every replay.

use super::origin::source_of;
use crate::sql::order_dependent;
use arrow::datatypes::Schema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan};
use std::sync::Arc;
use watertight_core::schema::SILVER_TOPIC;

/// Columns that together identify a row of silver; `event_id` does so alone.
const POSITION: [&str; 3] = [SILVER_TOPIC, "_kafka_partition", "_kafka_offset"];

/// Rewrites the plan over rows of the schema `silver`; appends a reason for every aggregate whose order can't be made
/// total.
pub(super) fn apply(plan: LogicalPlan, silver: &Schema, reasons: &mut Vec<String>) -> Result<LogicalPlan> {
    let has = |name: &&str| silver.field_with_name(name).is_ok();
    let position: Vec<&str> = POSITION.into_iter().filter(has).collect();
    let rewritten = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(aggregate) => {
            let input = Arc::clone(&aggregate.input);
            let mut changed = false;
            let results = aggregate.aggr_expr.into_iter().map(|expr| match ordered(&input, &expr, &position) {
                Order::Total => expr,
                Order::Completed(whole) => {
                    changed = true;
                    // What stands above refers to the result by its old name.
                    Expr::AggregateFunction(*whole).alias(expr.schema_name().to_string())
                }
                Order::Open(reason) => {
                    reasons.push(reason);
                    expr
                }
            });
            let results = results.collect();
            let aggregate = Aggregate::try_new(input, aggregate.group_expr, results)?;
            Ok(Transformed::new_transformed(LogicalPlan::Aggregate(aggregate), changed))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

enum Order {
    /// Nothing to do.
    Total,
    /// With partition and offset appended.
    Completed(Box<AggregateFunction>),
    /// It can't be told which of two rows comes first.
    Open(String),
}

fn ordered(input: &LogicalPlan, expr: &Expr, position: &[&str]) -> Order {
    let Expr::AggregateFunction(call) = expr else { return Order::Total };
    // DISTINCT can only be ordered by the argument itself: equal values are the same value.
    if !order_dependent(call) || call.params.order_by.is_empty() || call.params.distinct {
        return Order::Total;
    }
    let sorted_by: Vec<&str> = call.params.order_by.iter().filter_map(|sort| source_of(input, &sort.expr)).collect();
    if sorted_by.contains(&"event_id") {
        return Order::Total;
    }
    let mut whole = call.clone();
    for name in position.iter().copied().filter(|name| !sorted_by.contains(name)) {
        let column = input
            .schema()
            .columns()
            .into_iter()
            .find(|column| column.name == name && source_of(input, &Expr::Column(column.clone())) == Some(name));
        match column {
            Some(column) => whole.params.order_by.push(Sort::new(Expr::Column(column), true, false)),
            None => {
                return Order::Open(format!(
                    "{}() cannot tell which of two events of the same time comes first, because its sub-select leaves \
                     {name} out; select {} there too",
                    call.func.name(),
                    position.join(" and ")
                ));
            }
        }
    }
    if whole.params.order_by.len() == call.params.order_by.len() {
        Order::Total
    } else {
        Order::Completed(Box::new(whole))
    }
}
