//! Makes a plan's arithmetic exact: a number that doesn't fit in its type is an error, never another number.
//!
//! Sums are added up in a decimal so wide that it cannot overflow, and are brought back to their own type above the
//! aggregation. So whether a window fails follows from its rows alone, not from the order in which they were added
//! or merged: the same in every fold, in every replay and in batch. All of that is DataFusion's own aggregates and
//! casts; partial, merged and saved states are those of decimal sums.
//!
//! ```text
//! sum(n) bigint           →  narrow(sum(cast(n as decimal(20, 0))) as bigint)
//! sum(d) decimal(38, s)   →  narrow(sum(cast(d as decimal(66, s))) as decimal(38, s))
//! ```
//!
//! Left as they are: sums of decimals of up to 27 digits, whose type has ten digits more, and avg of decimals, which
//! DataFusion adds up with nine digits to spare and checks at the end (it would take 10⁹ rows of the largest value in
//! one window to pass either); avg of integers and all of floats, which do not wrap.
//!
//! An analyzer rule, after the coercion of types and before any optimisation, so that constants are folded exactly
//! too, and both ways of planning a model do the same.

use super::checked::{checked, narrowed};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, LogicalPlan, Projection, cast};
use datafusion::optimizer::AnalyzerRule;
use std::sync::Arc;

/// Digits of any 64-bit integer: its sum has 30 digits, and 128 bits hold the sum of 2⁶⁴ of them.
const INTEGER_DIGITS: u8 = 20;
/// Digits of a decimal whose sum is not cut at 38.
const NARROW_DIGITS_MAX: u8 = 27;
/// Digits of a decimal whose sum is not cut at 76.
const WIDE_DIGITS_MAX: u8 = 66;
/// Digits of a decimal whose average is added up with room to spare.
const AVERAGED_DIGITS_MAX: u8 = 63;

/// The rule.
#[derive(Debug)]
pub(super) struct Exact;

impl AnalyzerRule for Exact {
    fn name(&self) -> &str {
        "exact_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up(|node| {
            with_checked_expressions(node)?.transform_data(|node| match node {
                LogicalPlan::Aggregate(aggregate) => with_wide_sums(aggregate),
                other => Ok(Transformed::no(other)),
            })
        })?;
        Ok(rewritten.data)
    }
}

/// Columns keep their names, types and nullability, so that what stands above need not change.
fn with_checked_expressions(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let rewritten = node.map_expressions(|expr| {
        let name = names.save(&expr);
        let sets = matches!(expr, Expr::GroupingSet(_));
        let expr = checked(expr, &schema)?;
        if sets && expr.transformed {
            return plan_err!(
                "it computes inside GROUPING SETS, ROLLUP or CUBE; compute the column in a sub-select, and group by it"
            );
        }
        Ok(expr.update_data(|expr| name.restore(expr)))
    })?;
    if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
}

fn with_wide_sums(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let mut results = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut own_types = Vec::with_capacity(aggregate.aggr_expr.len());
    for expr in &aggregate.aggr_expr {
        let (result, own_type) = match widened(expr, aggregate.input.schema())? {
            Some((wide, own_type)) => (wide, Some(own_type)),
            None => (expr.clone(), None),
        };
        results.push(result);
        own_types.push(own_type);
    }
    if own_types.iter().all(Option::is_none) {
        return Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    }
    let wide = Aggregate::try_new(Arc::clone(&aggregate.input), aggregate.group_expr.clone(), results)?;
    let groups = aggregate.schema.fields().len() - own_types.len();
    let own_types = std::iter::repeat_n(None, groups).chain(own_types);
    let columns = aggregate.schema.iter().zip(own_types).map(|((qualifier, field), own_type)| {
        let column = Expr::Column(Column::from((qualifier, field)));
        match own_type {
            Some(kind) => narrowed(column, kind).alias_qualified(qualifier.cloned(), field.name()),
            None => column,
        }
    });
    let projection = Projection::try_new(columns.collect(), Arc::new(LogicalPlan::Aggregate(wide)))?;
    Ok(Transformed::yes(LogicalPlan::Projection(projection)))
}

/// The aggregate over a wider argument, under its old name, and the type that its result had.
fn widened(expr: &Expr, input: &DFSchema) -> Result<Option<(Expr, DataType)>> {
    let Expr::AggregateFunction(call) = unaliased(expr) else { return Ok(None) };
    let [argument] = call.params.args.as_slice() else { return Ok(None) };
    let function = call.func.name();
    if !matches!(function, "sum" | "avg") {
        return Ok(None);
    }
    let kind = argument.get_type(input)?;
    let argument = match (function, &kind) {
        ("sum", DataType::Int64 | DataType::UInt64) => cast(argument.clone(), DataType::Decimal128(INTEGER_DIGITS, 0)),
        ("sum", DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale)) => {
            cast(argument.clone(), DataType::Decimal128(NARROW_DIGITS_MAX, *scale))
        }
        ("sum", DataType::Decimal128(digits, scale)) if *digits > NARROW_DIGITS_MAX => {
            cast(argument.clone(), DataType::Decimal256(WIDE_DIGITS_MAX, *scale))
        }
        (_, DataType::Duration(_)) => {
            let count = cast(argument.clone(), DataType::Int64);
            cast(count, DataType::Decimal128(INTEGER_DIGITS, 0))
        }
        ("sum", DataType::Decimal256(digits, _)) if *digits > WIDE_DIGITS_MAX => return too_wide(function, &kind),
        ("avg", DataType::Decimal256(digits, _)) if *digits > AVERAGED_DIGITS_MAX => return too_wide(function, &kind),
        ("sum", DataType::Interval(_)) => {
            return plan_err!("sum() over intervals may overflow unseen; sum seconds: date_part('epoch', …)");
        }
        _ => return Ok(None),
    };
    let (qualifier, name) = expr.qualified_name();
    let own_type = expr.get_type(input)?;
    let mut wide = call.clone();
    wide.params.args = vec![argument];
    Ok(Some((Expr::AggregateFunction(wide).alias_qualified(qualifier, name), own_type)))
}

fn too_wide<T>(function: &str, kind: &DataType) -> Result<T> {
    plan_err!("{function}() over {kind} may overflow unseen; cast its argument to decimal(38, s) or double")
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}
