//! What an expression may not contain if its value must follow from the rows alone.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, Volatility};

/// Where an expression stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a model: aggregates are its purpose.
    Model,
    /// In a check: it sees one row.
    Check,
}

/// Aggregates whose result depends on the order in which they meet their rows.
///
/// By name: what DataFusion declares (`order_sensitivity`) says "sensitive" for every function that doesn't care
/// to answer, `avg` among them. A test holds this list against all functions that there are.
const ORDER_DEPENDENT: [&str; 6] = ["any_value", "array_agg", "first_value", "last_value", "nth_value", "string_agg"];

/// Whether an aggregate's result depends on the order in which it meets its rows.
pub(crate) fn order_dependent(function: &AggregateFunction) -> bool {
    ORDER_DEPENDENT.contains(&function.func.name())
}

/// Appends a reason for everything in `expr` that makes it unfit.
pub(crate) fn unfit(expr: &Expr, place: Place, reasons: &mut Vec<String>) {
    let walked = expr.apply(|node| {
        if let Some(reason) = reason(node, place)
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    if let Err(error) = walked {
        reasons.push(super::planning_message(&error));
    }
}

fn reason(node: &Expr, place: Place) -> Option<String> {
    match node {
        Expr::ScalarFunction(call) => volatile(call.func.name(), call.func.signature().volatility),
        Expr::AggregateFunction(call) if place == Place::Check => {
            Some(format!("{}() aggregates rows, and a check sees one row; use a model for it", call.func.name()))
        }
        Expr::AggregateFunction(call) => aggregate(call),
        Expr::WindowFunction(call) => {
            Some(format!("{}() OVER reads neighbouring rows; use an aggregate with GROUP BY", call.fun.name()))
        }
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
            Some("a sub-query inside an expression reads rows of its own; only the present rows may be used".to_owned())
        }
        Expr::OuterReferenceColumn(..) => Some("a correlated sub-query reads rows of its own".to_owned()),
        Expr::Placeholder(placeholder) => {
            Some(format!("the placeholder {} has no value here; write the value", placeholder.id))
        }
        Expr::ScalarVariable(_, names) => {
            Some(format!("the variable {} has no value here; write the value", names.join(".")))
        }
        Expr::Unnest(_) => Some("UNNEST makes several rows of one; use array functions".to_owned()),
        _ => None,
    }
}

fn volatile(name: &str, volatility: Volatility) -> Option<String> {
    match volatility {
        Volatility::Immutable => None,
        Volatility::Stable => Some(format!(
            "{name}() depends on when it runs, so that a replay would give other rows; use a column of the event"
        )),
        Volatility::Volatile => {
            Some(format!("{name}() differs at every call, so that a replay would give other rows; leave it out"))
        }
    }
}

fn aggregate(call: &AggregateFunction) -> Option<String> {
    let name = call.func.name();
    if call.func.signature().volatility != Volatility::Immutable {
        return volatile(name, call.func.signature().volatility);
    }
    if name == "bit_xor" && call.params.distinct {
        return Some("bit_xor(DISTINCT …) cannot be continued from a saved state; leave DISTINCT out".to_owned());
    }
    if order_dependent(call) && call.params.order_by.is_empty() {
        return Some(match name {
            "any_value" => "any_value() takes whichever row comes first; use min(), max() or \
                            first_value(… ORDER BY _event_time)"
                .to_owned(),
            _ => format!(
                "{name}() depends on the order of rows; give it one: \
                 {name}(… ORDER BY _event_time, _kafka_partition, _kafka_offset)"
            ),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Planning, session};

    /// Aggregates that give the same for any order of rows (approximate ones and float sums: nearly the same).
    const ORDER_FREE: [&str; 34] = [
        "approx_distinct",
        "approx_median",
        "approx_percentile_cont",
        "approx_percentile_cont_with_weight",
        "avg",
        "bit_and",
        "bit_or",
        "bit_xor",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "covar_pop",
        "covar_samp",
        "grouping",
        "max",
        "median",
        "min",
        "percentile_cont",
        "regr_avgx",
        "regr_avgy",
        "regr_count",
        "regr_intercept",
        "regr_r2",
        "regr_slope",
        "regr_sxx",
        "regr_sxy",
        "regr_syy",
        "stddev",
        "stddev_pop",
        "sum",
        "var",
        "var_pop",
        "var_samp",
    ];

    #[test]
    fn every_aggregate_function_is_known_to_depend_on_order_or_not() {
        let state = session(Planning::Batch).unwrap();
        let mut unknown: Vec<_> = state
            .aggregate_functions()
            .values()
            .map(|function| function.name().to_owned())
            .filter(|name| !ORDER_DEPENDENT.contains(&name.as_str()) && !ORDER_FREE.contains(&name.as_str()))
            .collect();
        unknown.sort();
        unknown.dedup();
        assert_eq!(unknown, Vec::<String>::new());
    }
}
