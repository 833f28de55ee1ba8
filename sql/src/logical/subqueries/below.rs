//! Subqueries where none is planned, put where one is.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, JoinType, Result, internal_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan, Projection, ident};

use super::{Words, refused};
use crate::rewrite::each_key;

impl Words {
    /// An aggregation, or functions with `OVER`, with the subqueries in their arguments as columns of what they read.
    pub(super) fn computed_below(&self, node: LogicalPlan) -> Result<LogicalPlan> {
        let mut columns = Vec::new();
        let mut named = |expression: Expr| {
            expression
                .transform_down(|part| match part {
                    Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                        self.0.set(self.0.get() + 1);
                        let name = format!("$subquery{}", self.0.get());
                        columns.push(part.alias(&name));
                        Ok(Transformed::new(ident(name), true, TreeNodeRecursion::Jump))
                    }
                    other => Ok(Transformed::no(other)),
                })
                .data()
        };
        let names = NamePreserver::new(&node);
        let mut expressions = Vec::new();
        for expression in node.expressions() {
            let name = names.save(&expression);
            let keys = std::cell::RefCell::new(&mut named);
            expressions.push(name.restore(each_key(expression, &|key| (keys.borrow_mut())(key))?));
        }
        let [input] = node.inputs()[..] else { return internal_err!("an aggregation reads one relation") };
        let all = input.schema().columns().into_iter().map(Expr::Column).chain(columns).collect();
        let input = self.node(LogicalPlan::Projection(Projection::try_new(all, Arc::new(input.clone()))?))?;
        node.with_new_exprs(expressions, vec![input])
    }

    /// A join with the subqueries of its condition in conditions above it, or below it on the side that an outer join fills with nulls.
    pub(super) fn joined(&self, mut join: Join) -> Result<LogicalPlan> {
        let Some(condition) = join.filter.take() else { return Ok(LogicalPlan::Join(join)) };
        let (asks, plain): (Vec<_>, Vec<_>) = split_conjunction_owned(condition).into_iter().partition(has_subquery);
        join.filter = conjunction(plain);
        let Some(asks) = conjunction(asks) else { return Ok(LogicalPlan::Join(join)) };
        match join.join_type {
            JoinType::Inner => {
                self.node(LogicalPlan::Filter(Filter::try_new(asks, Arc::new(LogicalPlan::Join(join)))?))
            }
            JoinType::Left if is_about(&asks, join.right.schema()) => {
                join.right = Arc::new(self.node(LogicalPlan::Filter(Filter::try_new(asks, join.right)?))?);
                Ok(LogicalPlan::Join(join))
            }
            JoinType::Right if is_about(&asks, join.left.schema()) => {
                join.left = Arc::new(self.node(LogicalPlan::Filter(Filter::try_new(asks, join.left)?))?);
                Ok(LogicalPlan::Join(join))
            }
            _ => refused(
                "the condition of an outer join",
                "make it a condition of a query for one of the two sides, as in `a LEFT JOIN (SELECT * FROM b WHERE …) \
                 AS b ON …`",
            ),
        }
    }
}

fn has_subquery(expression: &Expr) -> bool {
    let is_one = |part: &Expr| Ok(matches!(part, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_)));
    expression.exists(is_one).unwrap_or(true)
}

/// Whether a condition, and what its subqueries refer to, is about these columns alone.
fn is_about(condition: &Expr, columns: &DFSchema) -> bool {
    let is_other = |part: &Expr| {
        let outer = match part {
            Expr::Exists(exists) => &exists.subquery.outer_ref_columns,
            Expr::InSubquery(within) => &within.subquery.outer_ref_columns,
            Expr::ScalarSubquery(subquery) => &subquery.outer_ref_columns,
            Expr::Column(column) => return Ok(!columns.has_column(column)),
            _ => return Ok(false),
        };
        let is_here = |part: &Expr| match part {
            Expr::OuterReferenceColumn(_, column) => columns.has_column(column),
            _ => false,
        };
        Ok(!outer.iter().all(is_here))
    };
    !condition.exists(is_other).unwrap_or(true)
}
