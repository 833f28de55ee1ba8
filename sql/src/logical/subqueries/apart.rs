//! Columns that conditions about the query around a subquery compare, under names of their own.
//!
//! Such conditions become those of a join with the subquery, and DataFusion finds a column of it by its name alone, without that of its table.
//! In `EXISTS (SELECT x AS k FROM a JOIN b ON … WHERE a.k = c.k AND b.k = c.m)` it would take `a.k`, `b.k` and the result `k` for one. Where
//! a name is of several columns, those that are compared get others. Where such a condition is in a derived table `d`, DataFusion takes `d.k` for
//! what is compared, whatever `d` has under that name: unless it is that very column, it gets another name there too, and `d` has it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::{Exists, InSubquery};
use datafusion_expr::logical_plan::Subquery;
use datafusion_expr::{Expr, Filter, LogicalPlan, Projection, ident};

use weir_core::Error;

use super::{Words, user};
use crate::rewrite;

/// What the other names begin with.
const COMPARED: &str = "$compared";

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
        let mut shared: BTreeSet<Column> = compared.iter().filter(|column| is_shared(column)).cloned().collect();
        hidden(&subquery.subquery, &mut Vec::new(), &mut shared)?;
        if shared.is_empty() {
            return Ok(subquery);
        }
        let plan = Arc::unwrap_or_clone(subquery.subquery);
        Ok(Subquery { subquery: Arc::new(self.rebuilt(plan, &shared, false)?), ..subquery })
    }

    /// The plan with these columns under other names in such conditions, and what is below a derived table's name with them in its results.
    fn rebuilt(&self, plan: LogicalPlan, shared: &BTreeSet<Column>, is_below: bool) -> Result<LogicalPlan> {
        let inside = is_below || matches!(plan, LogicalPlan::SubqueryAlias(_));
        let plan = plan.map_children(|input| self.rebuilt(input, shared, inside).map(Transformed::yes)).data()?;
        match plan {
            LogicalPlan::Filter(filter) if filter.predicate.contains_outer() => self.renamed(filter, shared),
            LogicalPlan::Projection(Projection { mut expr, input, .. }) if is_below => {
                let compared = input.schema().columns().into_iter().filter(|column| column.name.starts_with(COMPARED));
                expr.extend(compared.map(Expr::Column));
                Ok(LogicalPlan::Projection(Projection::try_new(expr, input)?))
            }
            other => other.recompute_schema(),
        }
    }

    /// The filter over rows that have these columns twice, with its condition about the second ones.
    fn renamed(&self, filter: Filter, shared: &BTreeSet<Column>) -> Result<LogicalPlan> {
        let mut columns: Vec<Expr> = filter.input.schema().columns().into_iter().map(Expr::Column).collect();
        let mut names: Vec<(Column, String)> = Vec::new();
        for column in filter.predicate.column_refs() {
            if shared.contains(column) && !names.iter().any(|(known, _)| known == column) {
                self.0.set(self.0.get() + 1);
                let name = format!("{COMPARED}{}", self.0.get());
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

/// Adds the compared columns that the names of derived tables around them hide, or have others under the names of.
///
/// # Errors
/// A user error where another column would be taken for one, and it cannot get to the results.
fn hidden<'a>(plan: &'a LogicalPlan, around: &mut Vec<&'a LogicalPlan>, shared: &mut BTreeSet<Column>) -> Result<()> {
    if let LogicalPlan::Filter(filter) = plan
        && filter.predicate.contains_outer()
    {
        for column in filter.predicate.column_refs() {
            let (is_hidden, is_mistaken) = seen_from(column, around);
            let outermost = around.iter().position(|node| matches!(node, LogicalPlan::SubqueryAlias(_)));
            let within = outermost.map_or(&[][..], |place| &around[place..]);
            let passes = within.iter().all(|node| {
                use LogicalPlan::{Filter, Join, Projection, SubqueryAlias};
                matches!(node, Projection(_) | SubqueryAlias(_) | Filter(_) | Join(_))
            });
            if is_mistaken && !passes {
                let message = format!(
                    "a derived table in a subquery compares `{column}` with the query around the subquery, and another column has that name"
                );
                let help = format!(
                    "select `{column}` in the derived table under a name that no other column has, and compare that in the WHERE around it"
                );
                return Err(user(Error::user(message).with_help(help)));
            }
            if (is_hidden || is_mistaken) && passes {
                shared.insert(column.clone());
            }
        }
    }
    around.push(plan);
    for input in plan.inputs() {
        hidden(input, around, shared)?;
    }
    around.pop();
    Ok(())
}

/// Whether a derived table has not got a column that it reads, and whether another one would be taken for it, by the nodes around.
fn seen_from(column: &Column, around: &[&LogicalPlan]) -> (bool, bool) {
    let (mut is_hidden, mut is_mistaken) = (false, false);
    let mut seen = column.clone();
    let mut is_outside = false;
    for node in around.iter().rev() {
        let read = match node {
            LogicalPlan::SubqueryAlias(alias) => alias.input.schema(),
            node if is_outside => node.schema(),
            _ => continue,
        };
        let named: Vec<Column> = read.columns().into_iter().filter(|other| other.name == column.name).collect();
        is_mistaken |= named.iter().any(|other| *other != seen);
        if let LogicalPlan::SubqueryAlias(alias) = node {
            is_hidden |= named.is_empty();
            seen.relation = Some(alias.alias.clone());
            is_outside = true;
        }
    }
    (is_hidden, is_mistaken)
}
