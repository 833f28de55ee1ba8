//! Queries of which DataFusion makes another one than SQL means. They are refused, with another way to say the same.

use datafusion_common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion_common::{DFSchema, JoinType};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::logical_plan::Subquery;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Expr, LogicalPlan};
use weir_core::{Error, Result};

use crate::diagnostics::Source;
use crate::statement::Span;

/// Refuses them in the plan of a statement, which is not optimised yet.
///
/// # Errors
/// A user error at the statement.
pub(super) fn check(source: &Source<'_>, statement: Span, plan: &LogicalPlan) -> Result<()> {
    let mut refused = None;
    // The visitor itself has no errors.
    let _ = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                refused = one_row(part).or_else(|| above_a_reference(part)).or_else(|| further_out(part, &schema));
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })?;
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    let Some((message, help)) = refused else { return Ok(()) };
    let error: Error = source.error(source.first_line(statement), message);
    Err(error.with_help(help))
}

/// An aggregate without `GROUP BY` has a row where there are no rows, too, and a join finds none there.
fn one_row(expression: &Expr) -> Option<(String, String)> {
    let (subquery, what) = match expression {
        Expr::Exists(exists) => (&exists.subquery, "EXISTS"),
        Expr::InSubquery(within) => (&within.subquery, "IN"),
        _ => return None,
    };
    (!subquery.outer_ref_columns.is_empty() && has_one_row(subquery)).then(|| {
        (
            format!("{what} over an aggregate without GROUP BY, which refers to the query around it, is not supported"),
            "compare its value, as in `(SELECT COUNT(*) FROM b WHERE b.k = a.k) > 0`; EXISTS of it is always true"
                .to_owned(),
        )
    })
}

/// A column of a query that is not the next one around a subquery: no join of the two has it.
fn further_out(expression: &Expr, around: &DFSchema) -> Option<(String, String)> {
    let (Expr::Exists(Exists { subquery, .. })
    | Expr::InSubquery(InSubquery { subquery, .. })
    | Expr::ScalarSubquery(subquery)) = expression
    else {
        return None;
    };
    let column = subquery.outer_ref_columns.iter().find_map(|part| match part {
        Expr::OuterReferenceColumn(_, column) if !around.has_column(column) => Some(column),
        _ => None,
    })?;
    Some((
        format!("a subquery refers to `{}` of a query that is not the next one around it", column.flat_name()),
        "join the tables of the two inner queries in one, whose conditions may all refer to the query around it"
            .to_owned(),
    ))
}

/// A condition that refers to the query around it is looked at behind what stands over it: behind a limit or a row number, which are of all
/// rows then, and behind a join that has filled its side with nulls.
fn above_a_reference(expression: &Expr) -> Option<(String, String)> {
    let (subquery, exists) = match expression {
        Expr::Exists(exists) => (&exists.subquery, true),
        Expr::InSubquery(within) => (&within.subquery, false),
        Expr::ScalarSubquery(subquery) => (subquery, false),
        _ => return None,
    };
    if subquery.outer_ref_columns.is_empty() {
        return None;
    }
    held_above(&subquery.subquery, exists).map(|what| {
        (
            format!("{what} over rows that a subquery picks by the query around it is not supported"),
            "join the tables, and keep the first rows with `QUALIFY ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n`"
                .to_owned(),
        )
    })
}

/// What stands over a reference to the query around a subquery and is of all rows. `exists`: only whether there are rows counts.
pub(super) fn held_above(subquery: &LogicalPlan, exists: bool) -> Option<&'static str> {
    let refers = |plan: &LogicalPlan| plan.exists(|node| Ok(node.contains_outer_reference())).unwrap_or(true);
    let mut found = None;
    // The visitor itself has no errors.
    let _ = subquery.apply(|node| {
        found = match node {
            LogicalPlan::Limit(limit) if refers(&limit.input) && !(exists && limit.skip.is_none()) => Some("a LIMIT"),
            LogicalPlan::Window(window) if refers(&window.input) => Some("a function with OVER"),
            LogicalPlan::Join(join)
                if join.join_type != JoinType::Inner && (refers(&join.left) || refers(&join.right)) =>
            {
                Some("an outer join")
            }
            _ => None,
        };
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

fn has_one_row(subquery: &Subquery) -> bool {
    let mut plan = &*subquery.subquery;
    loop {
        plan = match plan {
            LogicalPlan::Aggregate(aggregate) => return aggregate.group_expr.is_empty(),
            LogicalPlan::Projection(projection) => &projection.input,
            LogicalPlan::Filter(filter) => &filter.input,
            LogicalPlan::SubqueryAlias(alias) => &alias.input,
            LogicalPlan::Sort(sort) => &sort.input,
            LogicalPlan::Limit(limit) => &limit.input,
            _ => return false,
        };
    }
}
