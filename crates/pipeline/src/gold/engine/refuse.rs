//! What a streamed model may not contain, found in its plan before it is optimised.
//!
//! A list of what is allowed, not of what is forbidden: a new kind of plan node is refused until someone has
//! shown that it streams.

use crate::sql::{Place, unfit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast;

/// The reason why a statement is not one SELECT, if it isn't.
pub(super) fn statement(statement: &Statement) -> Option<String> {
    const ONLY: &str = "a model is one SELECT";
    match statement {
        Statement::Statement(inner) => match inner.as_ref() {
            ast::Statement::Query(query) => match query.body.as_ref() {
                ast::SetExpr::Select(_) | ast::SetExpr::Query(_) => None,
                ast::SetExpr::SetOperation { op, .. } => {
                    Some(format!("{op} joins two results; {ONLY}: use CASE or FILTER, or declare two models"))
                }
                _ => Some(format!("this is no SELECT; {ONLY}")),
            },
            _ => Some(format!("this is no SELECT; {ONLY}")),
        },
        _ => Some(format!("this is no SELECT; {ONLY}")),
    }
}

/// Every reason why a plan can't be streamed. Aggregations are counted here and looked at after optimisation.
pub(super) fn plan(plan: &LogicalPlan) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut aggregations = 0;
    let walked = plan.apply(|node| {
        if let Some(reason) = self::node(node, &mut aggregations)
            && !reasons.contains(&reason)
        {
            reasons.push(reason);
        }
        node.apply_expressions(|expr: &Expr| {
            unfit(expr, Place::Model, &mut reasons);
            Ok(TreeNodeRecursion::Continue)
        })
    });
    if let Err(error) = walked {
        reasons.push(crate::sql::planning_message(&error));
    }
    match aggregations {
        0 => reasons.push(
            "it doesn't aggregate; add GROUP BY window_start and aggregates (silver already holds single rows)"
                .to_owned(),
        ),
        1 => {}
        _ => reasons.push(
            "it aggregates an aggregate, and the inner one would be taken before the window is complete; declare the \
             inner one as a model and aggregate it where gold is read"
                .to_owned(),
        ),
    }
    reasons
}

fn node(node: &LogicalPlan, aggregations: &mut usize) -> Option<String> {
    let reason = match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::TableScan(_) => return None,
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(Distinct::All(_)) => {
            *aggregations += 1;
            return None;
        }
        LogicalPlan::Distinct(Distinct::On(_)) => {
            "DISTINCT ON takes one of several rows; use first_value(… ORDER BY …) with GROUP BY"
        }
        LogicalPlan::Sort(_) => {
            "ORDER BY has no meaning for rows that are appended window by window; leave it out, and order where gold \
             is read"
        }
        LogicalPlan::Limit(_) => {
            "LIMIT would count over all windows, which are never all there; leave it out, and limit where gold is read"
        }
        LogicalPlan::Join(_) => {
            "it joins, but a fold sees each row once, and alone; join where gold is read, or bring the columns with \
             the event"
        }
        LogicalPlan::Union(_) => "UNION joins two results; use CASE or FILTER, or declare two models",
        LogicalPlan::Window(_) => "OVER reads neighbouring rows; use an aggregate with GROUP BY",
        LogicalPlan::Unnest(_) => "UNNEST makes several rows of one; use array functions",
        LogicalPlan::RecursiveQuery(_) => "a recursive query never ends on a stream",
        LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => "it reads constants; a model reads its stream",
        LogicalPlan::Subquery(_) => "a sub-query inside an expression reads rows of its own",
        _ => "it is more than a SELECT with GROUP BY",
    };
    Some(reason.to_owned())
}
