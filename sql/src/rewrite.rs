//! Rewrites the expressions of a plan. What they are called stays: names of columns above are made of them.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, GroupingSet, LogicalPlan, Subquery};

/// The plan with all nodes rewritten, those that are read first. A node's subqueries come behind what it reads, whose columns they may refer
/// to, and know what types those have got; then the node itself. `rewrite` returns nodes whose schemas are up to date.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn nodes_of_plan(
    plan: LogicalPlan,
    rewrite: &impl Fn(LogicalPlan) -> Result<LogicalPlan>,
) -> Result<LogicalPlan> {
    let plan = match plan {
        // What is lateral refers to what is on its left.
        LogicalPlan::Join(mut join) => {
            join.left = Arc::new(nodes_of_plan(Arc::unwrap_or_clone(join.left), rewrite)?);
            let right = referring_to(Arc::unwrap_or_clone(join.right), join.left.schema())?;
            join.right = Arc::new(nodes_of_plan(right, rewrite)?);
            LogicalPlan::Join(join)
        }
        other => other.map_children(|input| nodes_of_plan(input, rewrite).map(Transformed::yes)).data()?,
    };
    let around = merge_schema(&plan.inputs());
    let subquery = |plan| nodes_of_plan(referring_to(plan, &around)?, rewrite).map(Transformed::yes);
    rewrite(plan.map_subqueries(subquery).data()?)
}

/// A subquery whose references have the types of the columns around it. They were written down before those were rewritten.
fn referring_to(subquery: LogicalPlan, around: &DFSchema) -> Result<LogicalPlan> {
    let retyped = |expr: Expr| {
        expr.transform(|expr| match &expr {
            Expr::OuterReferenceColumn(known, column) => match around.qualified_field_from_column(column) {
                Ok((_, field)) if field != known => {
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column.clone())))
                }
                _ => Ok(Transformed::no(expr)),
            },
            _ => Ok(Transformed::no(expr)),
        })
    };
    let node = |node: LogicalPlan| match node {
        LogicalPlan::Subquery(Subquery { subquery, outer_ref_columns, spans }) => {
            let columns = outer_ref_columns.into_iter().map(|column| retyped(column).data());
            let outer_ref_columns = columns.collect::<Result<_>>()?;
            Ok(Transformed::yes(LogicalPlan::Subquery(Subquery { subquery, outer_ref_columns, spans })))
        }
        other => other.map_expressions(retyped),
    };
    subquery.transform_down_with_subqueries(node).data()
}

/// The plan, subqueries included, with all expressions rewritten. `rewrite` is given an expression and the columns that it is over.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn expressions_of_plan(
    plan: LogicalPlan,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Expr>,
) -> Result<LogicalPlan> {
    nodes_of_plan(plan, &|node| expressions_of_node(node, &rewrite))
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

/// Whether a subquery is a part of the expression.
pub(crate) fn has_subquery(expr: &Expr) -> bool {
    let subquery = |expr: &Expr| {
        Ok(matches!(expr, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)))
    };
    expr.exists(subquery).unwrap_or(true)
}
