//! Rewrites the expressions of a plan. What they are called stays: names of columns above are made of them.

use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, GroupingSet, LogicalPlan};

/// The plan, subqueries included, with all expressions rewritten. `rewrite` is given an expression and the columns that it is over.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn expressions_of_plan(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Expr>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|node| expressions_of_node(node, &rewrite).map(Transformed::yes)).data()
}

/// As [`expressions_of_plan`], of one node.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn expressions_of_node(
    node: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Expr>,
) -> Result<LogicalPlan> {
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    let named = |expr| {
        let name = names.save(&expr);
        Ok(name.restore(rewrite(expr, &schema)?))
    };
    node.map_expressions(|expr| each_key(expr, &named).map(Transformed::yes))?.data.recompute_schema()
}

/// Calls `rewrite` with an expression, or with each key of a grouping set: that has no name of its own, and cannot get one.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn each_key(expr: Expr, rewrite: &impl Fn(Expr) -> Result<Expr>) -> Result<Expr> {
    let all = |keys: Vec<Expr>| keys.into_iter().map(rewrite).collect::<Result<Vec<_>>>();
    Ok(match expr {
        Expr::GroupingSet(set) => Expr::GroupingSet(match set {
            GroupingSet::Rollup(keys) => GroupingSet::Rollup(all(keys)?),
            GroupingSet::Cube(keys) => GroupingSet::Cube(all(keys)?),
            GroupingSet::GroupingSets(sets) => {
                GroupingSet::GroupingSets(sets.into_iter().map(all).collect::<Result<_>>()?)
            }
        }),
        other => rewrite(other)?,
    })
}
