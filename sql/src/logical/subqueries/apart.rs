//! Columns that conditions about the query around a subquery compare, under names of their own.
//!
//! Such conditions become those of a join with the subquery, and DataFusion finds a column of it by its name alone, without that of its table.
//! In `EXISTS (SELECT x AS k FROM a JOIN b ON … WHERE a.k = c.k AND b.k = c.m)` it would take `a.k`, `b.k` and the result `k` for one. Where
//! a name is of several columns, those that are compared get others.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::logical_plan::Subquery;
use datafusion_expr::{Expr, Filter, LogicalPlan, Projection, ident};

use super::Words;
use crate::rewrite;

impl Words {
    /// The plan with such names in its subqueries.
    pub(super) fn told_apart(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        rewrite::nodes_of_plan(plan, &|node| match node {
            LogicalPlan::Subquery(subquery) => Ok(LogicalPlan::Subquery(self.apart(subquery)?)),
            node => node.map_expressions(|expression| expression.transform(|part| self.part_apart(part))).data(),
        })
    }

    fn part_apart(&self, part: Expr) -> Result<Transformed<Expr>> {
        Ok(match part {
            Expr::Exists(Exists { subquery, negated }) => {
                Transformed::yes(Expr::Exists(Exists { subquery: self.apart(subquery)?, negated }))
            }
            Expr::InSubquery(within) => {
                Transformed::yes(Expr::InSubquery(InSubquery { subquery: self.apart(within.subquery)?, ..within }))
            }
            Expr::ScalarSubquery(subquery) => Transformed::yes(Expr::ScalarSubquery(self.apart(subquery)?)),
            other => Transformed::no(other),
        })
    }

    fn apart(&self, subquery: Subquery) -> Result<Subquery> {
        if subquery.outer_ref_columns.is_empty() {
            return Ok(subquery);
        }
        let mut compared: BTreeSet<Column> = BTreeSet::new();
        subquery.subquery.apply(|node| {
            if let LogicalPlan::Filter(filter) = node
                && filter.predicate.contains_outer()
            {
                compared.extend(filter.predicate.column_refs().into_iter().cloned());
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        let results: BTreeSet<Column> = subquery.subquery.schema().columns().into_iter().collect();
        let is_shared = |column: &Column| {
            compared.union(&results).any(|other| other.name == column.name && other.relation != column.relation)
        };
        let shared: BTreeSet<Column> = compared.iter().filter(|column| is_shared(column)).cloned().collect();
        if shared.is_empty() {
            return Ok(subquery);
        }
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        let plan = plan.transform_up(|node| match node {
            LogicalPlan::Filter(filter) if filter.predicate.contains_outer() => {
                self.renamed(filter, &shared).map(Transformed::yes)
            }
            other => other.recompute_schema().map(Transformed::yes),
        });
        Ok(Subquery { subquery: Arc::new(plan.data()?), ..subquery })
    }

    /// The filter over rows that have these columns twice, with its condition about the second ones.
    fn renamed(&self, filter: Filter, shared: &BTreeSet<Column>) -> Result<LogicalPlan> {
        let mut columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
        let mut names: Vec<(Column, String)> = Vec::new();
        for column in filter.predicate.column_refs() {
            if shared.contains(column) && !names.iter().any(|(known, _)| known == column) {
                self.0.set(self.0.get() + 1);
                let name = format!("$compared{}", self.0.get());
                columns.push(Expr::Column(column.clone()).alias(&name));
                names.push((column.clone(), name));
            }
        }
        let condition = filter.predicate.transform(|part| match &part {
            Expr::Column(column) => match names.iter().find(|(known, _)| known == column) {
                Some((_, name)) => Ok(Transformed::yes(ident(name))),
                None => Ok(Transformed::no(part)),
            },
            _ => Ok(Transformed::no(part)),
        });
        let input = LogicalPlan::Projection(Projection::try_new(columns, filter.input)?);
        Ok(LogicalPlan::Filter(Filter::try_new(condition.data()?, Arc::new(input))?))
    }
}
