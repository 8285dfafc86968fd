//! A model's logical plan, looked at before anything is optimised: whether windows can be computed a stretch at a time,
//! which columns tell rows apart, and the order inside aggregates.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::{AggregateFunction, Sort};
use datafusion::logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Volatility};
use std::sync::Arc;

/// Aggregates whose answer depends on the order in which they meet their rows.
const ORDERED: [&str; 6] = ["any_value", "array_agg", "first_value", "last_value", "nth_value", "string_agg"];
/// What together tells rows of silver apart.
const POSITION: [&str; 3] = ["_kafka_topic", "_kafka_partition", "_kafka_offset"];

/// What a column of a result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What the SQL groups by.
    Group,
    /// An aggregate, or computed from groups and aggregates.
    Value,
    /// Computed from an approximate aggregate.
    Approximate,
}

/// Whether a plan's answer for a window depends on that window's rows of the stream alone.
///
/// # Errors
/// Why not.
pub(super) fn fits(plan: &LogicalPlan, stream: &str) -> Result<(), String> {
    let mut reason = None;
    let mut aggregations = 0_usize;
    let walked = plan.apply(|node| {
        let unfit = match node {
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => None,
            LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
                aggregations += 1;
                None
            }
            LogicalPlan::TableScan(scan) if scan.table_name.table() == stream => None,
            LogicalPlan::TableScan(_) => Some("it reads something else than its stream"),
            _ => Some("it is more than a SELECT … FROM its stream … GROUP BY window_start"),
        };
        reason = reason.take().or(unfit.map(str::to_owned));
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                reason = reason.take().or_else(|| unfit_part(part));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    if let Some(reason) = reason {
        return Err(reason);
    }
    if walked.is_err() {
        return Err("its plan could not be walked through".to_owned());
    }
    if aggregations == 1 { Ok(()) } else { Err(format!("it aggregates {aggregations} times, and not once")) }
}

fn unfit_part(part: &Expr) -> Option<String> {
    let volatile = |name: &str, volatility: Volatility| {
        (volatility != Volatility::Immutable).then(|| format!("{name}() gives something else at another time"))
    };
    match part {
        Expr::ScalarFunction(call) => volatile(call.func.name(), call.func.signature().volatility),
        Expr::AggregateFunction(call) if depends_on_order(call) && call.params.order_by.is_empty() => {
            Some(format!("{}() has no ORDER BY, so that its answer is not determined", call.func.name()))
        }
        Expr::AggregateFunction(call) => volatile(call.func.name(), call.func.signature().volatility),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
            Some("a sub-query reads rows of its own".to_owned())
        }
        Expr::WindowFunction(_) => Some("OVER reads rows of other windows".to_owned()),
        _ => None,
    }
}

fn depends_on_order(call: &AggregateFunction) -> bool {
    ORDERED.contains(&call.func.name())
}

/// What each column of a plan is; `None` for a plan that [`fits`] refuses.
pub(super) fn kinds(plan: &LogicalPlan) -> Option<Vec<Kind>> {
    match plan {
        LogicalPlan::Filter(filter) => kinds(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => kinds(&alias.input),
        LogicalPlan::TableScan(scan) => Some(vec![Kind::Value; scan.projected_schema.fields().len()]),
        LogicalPlan::Distinct(Distinct::All(input)) => Some(vec![Kind::Group; input.schema().fields().len()]),
        LogicalPlan::Aggregate(aggregate) => {
            // The groups come first, then the aggregates.
            let groups = aggregate.schema.fields().len().checked_sub(aggregate.aggr_expr.len())?;
            let mut kinds = vec![Kind::Group; groups];
            kinds.extend(aggregate.aggr_expr.iter().map(|expr| match bare(expr) {
                Expr::AggregateFunction(call) if call.func.name().starts_with("approx_") => Kind::Approximate,
                _ => Kind::Value,
            }));
            Some(kinds)
        }
        LogicalPlan::Projection(projection) => {
            let below = kinds(&projection.input)?;
            let schema = projection.input.schema();
            let kind_of = |expr: &Expr| match bare(expr) {
                Expr::Column(column) => {
                    let index = schema.maybe_index_of_column(column);
                    index.and_then(|index| below.get(index)).copied().unwrap_or(Kind::Value)
                }
                computed => {
                    let mut used = computed.column_refs().into_iter();
                    let approximate = used.any(|column| {
                        let index = schema.maybe_index_of_column(column);
                        index.and_then(|index| below.get(index)) == Some(&Kind::Approximate)
                    });
                    if approximate { Kind::Approximate } else { Kind::Value }
                }
            };
            Some(projection.expr.iter().map(kind_of).collect())
        }
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    let mut expr = expr;
    while let Expr::Alias(alias) = expr {
        expr = &alias.expr;
    }
    expr
}

/// The plan with partition and offset behind every ORDER BY inside an aggregate, where its input has them.
pub(super) fn with_total_order(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let ordered = plan.transform_up(|node| match node {
        LogicalPlan::Aggregate(aggregate) => {
            let results = aggregate.aggr_expr.into_iter().map(|expr| completed(expr, &aggregate.input)).collect();
            let whole = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr, results)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(whole)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(ordered.data)
}

/// The aggregate with its order completed, under its old name: what stands above refers to it by that.
fn completed(expr: Expr, input: &LogicalPlan) -> Expr {
    let Expr::AggregateFunction(call) = &expr else { return expr };
    // DISTINCT is ordered by the argument itself: equal values are the same value.
    if !depends_on_order(call) || call.params.order_by.is_empty() || call.params.distinct {
        return expr;
    }
    let mut whole = call.clone();
    for name in POSITION {
        let there = |sort: &Sort| matches!(&sort.expr, Expr::Column(column) if column.name == name);
        if whole.params.order_by.iter().any(there) {
            continue;
        }
        if let Some(column) = input.schema().columns().into_iter().find(|column| column.name == name) {
            whole.params.order_by.push(Sort::new(Expr::Column(column), true, false));
        }
    }
    if whole.params.order_by.len() == call.params.order_by.len() {
        return expr;
    }
    let name = expr.schema_name().to_string();
    Expr::AggregateFunction(whole).alias(name)
}
