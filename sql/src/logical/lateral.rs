//! `CROSS JOIN UNNEST(t.items)`: a relation that reads the rows beside it. DataFusion plans it as a join with a subquery
//! that refers to the other side; here it becomes what it means, a repetition of the rows of the other side.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Result, TableReference, not_impl_err};
use datafusion_expr::{EmptyRelation, Subquery, SubqueryAlias};
use datafusion_expr::{Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, Unnest};

/// The plan with every such join replaced.
pub(super) fn unnests(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => replace(join),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// The pieces of `SELECT UNNEST(outer.items) AS item` as a lateral subquery.
struct Lateral<'a> {
    alias: Option<&'a TableReference>,
    /// Expressions over the output, where the elements are taken apart.
    fields: Option<&'a Projection>,
    /// Expressions over the unnested columns.
    output: &'a Projection,
    unnest: &'a Unnest,
    /// Expressions over the other side.
    lists: &'a Projection,
}

fn lateral(plan: &LogicalPlan) -> Option<Lateral<'_>> {
    let (alias, plan) = match plan {
        LogicalPlan::SubqueryAlias(SubqueryAlias { alias, input, .. }) => (Some(alias), &**input),
        other => (None, other),
    };
    // Column names in the alias make one more projection.
    let LogicalPlan::Subquery(Subquery { subquery, .. }) = plan else { return None };
    let LogicalPlan::Projection(output) = &**subquery else { return None };
    let (fields, output) = match &*output.input {
        LogicalPlan::Projection(inner) => (Some(output), inner),
        _ => (None, output),
    };
    let LogicalPlan::Unnest(unnest) = &*output.input else { return None };
    let LogicalPlan::Projection(lists) = &*unnest.input else { return None };
    let LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) = &*lists.input else { return None };
    Some(Lateral { alias, fields, output, unnest, lists })
}

fn replace(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(lateral) = lateral(&join.right) else { return Ok(Transformed::no(LogicalPlan::Join(join))) };
    let always = match &join.filter {
        None => true,
        Some(Expr::Literal(value, _)) => *value == datafusion_common::ScalarValue::Boolean(Some(true)),
        Some(_) => false,
    };
    if !always || !join.on.is_empty() {
        return not_impl_err!("UNNEST with a join condition; put the condition into WHERE");
    }
    let keep_empty = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left => true,
        other => return not_impl_err!("{other} JOIN with UNNEST; CROSS JOIN and LEFT JOIN are supported"),
    };
    let inner = |expr: &Expr| {
        expr.clone()
            .transform(|expr| {
                Ok(match expr {
                    Expr::OuterReferenceColumn(_, column) => Transformed::yes(Expr::Column(column)),
                    other => Transformed::no(other),
                })
            })
            .data()
    };
    let kept: Vec<Expr> = join.left.schema().columns().into_iter().map(Expr::Column).collect();
    let lists = lateral.lists.expr.iter().map(inner).collect::<Result<Vec<_>>>()?;
    let input = Projection::try_new(kept.iter().cloned().chain(lists).collect(), Arc::clone(&join.left))?;
    let options = lateral.unnest.options.clone().with_preserve_nulls(keep_empty);
    let unnest = LogicalPlanBuilder::from(LogicalPlan::Projection(input))
        .unnest_columns_with_options(lateral.unnest.exec_columns.clone(), options)?
        .build()?;
    let output = lateral.fields.unwrap_or(lateral.output);
    let named = output.expr.iter().zip(output.schema.iter()).map(|(expr, (qualifier, field))| {
        let qualifier = lateral.alias.or(qualifier).cloned();
        let expr = unnamed(expr);
        let expr = if lateral.fields.is_some() { over(expr, lateral.output)? } else { expr };
        Ok(expr.alias_qualified(qualifier, field.name()))
    });
    let named = named.collect::<Result<Vec<_>>>()?;
    let output = Projection::try_new(kept.into_iter().chain(named).collect(), Arc::new(unnest))?;
    Ok(Transformed::yes(LogicalPlan::Projection(output)))
}

fn unnamed(expr: &Expr) -> Expr {
    match expr {
        Expr::Alias(alias) => (*alias.expr).clone(),
        other => other.clone(),
    }
}

/// `expr` over what `projection` reads instead of over what it makes.
fn over(expr: Expr, projection: &Projection) -> Result<Expr> {
    expr.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) => {
                Transformed::yes(unnamed(&projection.expr[projection.schema.index_of_column(&column)?]))
            }
            other => Transformed::no(other),
        })
    })
    .data()
}
