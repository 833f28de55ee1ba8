//! `LATERAL` subqueries that keep the first rows of those that they pick by the rows beside them, or number them.
//!
//! ```text
//!   c CROSS JOIN LATERAL (SELECT x FROM a WHERE a.k = c.k ORDER BY x LIMIT 2) AS s
//! ```
//!
//! DataFusion moves the condition above the limit, which would be one of all rows then. Here the equality becomes that of a join, and what
//! stood above it is done for each value of the subquery's side of it: a limit is a row number, and functions with `OVER` have one more column in
//! their `PARTITION BY`. Rows that are equal in the order are told apart by their other columns, as with any limit.
//!
//! | over the condition | becomes |
//! |---|---|
//! | columns, a name, an order | the same |
//! | `GROUP BY`, `DISTINCT` | of the value too |
//! | `LIMIT`, `OFFSET` | `ROW_NUMBER() OVER (PARTITION BY value ORDER BY …)`, and a condition on it |
//! | functions with `OVER` | those of each value |
//! | an inner join, and the side of an outer one whose rows all stay | the same |

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_common::{Column, DataFusionError, JoinType, Result};
use datafusion_expr::expr::{Sort as SortKey, WindowFunction};
use datafusion_expr::logical_plan::{FetchType, SkipType, Subquery};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprFunctionExt, ExprSchemable, Filter, GroupingSet, Join, Limit,
    LogicalPlan, LogicalPlanBuilder, Operator, Projection, SubqueryAlias, Window, WindowFunctionDefinition, and, ident,
    lit,
};
use weir_core::Error;

use super::misread::held_above;
use super::ranking::{ROW_NUMBER, window_function};

/// The plan with such subqueries as joins.
///
/// # Errors
/// A user error for one that is picked by other conditions than equalities.
pub(super) fn joined(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut numbers = Numbers(0);
    plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => numbers.join(join),
        other => Ok(Transformed::no(other)),
    })
    .data()
}

/// Gives columns names that no other has.
struct Numbers(usize);

/// Rows that refer to nothing around them, and what was equal: a value around them, and a column of the rows.
struct Rows {
    plan: LogicalPlan,
    equal: Vec<(Expr, Column)>,
}

impl Rows {
    fn keys(&self) -> impl Iterator<Item = Expr> {
        self.equal.iter().map(|(_, column)| Expr::Column(column.clone()))
    }
}

impl Numbers {
    fn join(&mut self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let (alias, subquery) = match &*join.right {
            LogicalPlan::Subquery(subquery) => (None, subquery),
            LogicalPlan::SubqueryAlias(SubqueryAlias { alias, input, .. }) => match &**input {
                LogicalPlan::Subquery(subquery) => (Some(alias), subquery),
                _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
            },
            _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
        };
        let Subquery { subquery, outer_ref_columns, .. } = subquery;
        let Some(held) = (!outer_ref_columns.is_empty()).then(|| held_above(subquery, false)).flatten() else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let beside = join.left.schema();
        let is_beside = |value: &Expr| value.column_refs().iter().all(|column| beside.has_column(column));
        let rows = self.rows(subquery)?.filter(|rows| rows.equal.iter().all(|(value, _)| is_beside(value)));
        let (Some(mut rows), JoinType::Inner | JoinType::Left) = (rows, join.join_type) else {
            return Err(refused(held));
        };
        if let Some(alias) = alias {
            rows = named(rows, alias.clone())?;
        }
        let equal = rows.equal.iter().map(|(value, column)| value.clone().eq(Expr::Column(column.clone())));
        let condition = conjunction(equal.chain(join.filter));
        let columns: Vec<Expr> = join.schema.columns().into_iter().map(Expr::Column).collect();
        let plan = LogicalPlanBuilder::from(Arc::unwrap_or_clone(join.left))
            .join_on(rows.plan, join.join_type, condition)?
            .project(columns)?
            .build()?;
        Ok(Transformed::yes(plan))
    }

    fn name(&mut self, what: &str) -> String {
        self.0 += 1;
        format!("${what}{}", self.0)
    }

    /// `None` if the plan refers to what is around it in another way.
    fn rows(&mut self, plan: &LogicalPlan) -> Result<Option<Rows>> {
        if !refers(plan) {
            return Ok(Some(Rows { plan: plan.clone(), equal: Vec::new() }));
        }
        match plan {
            LogicalPlan::Filter(filter) => self.filtered(filter),
            other if other.expressions().iter().any(Expr::contains_outer) => Ok(None),
            LogicalPlan::Projection(projection) => {
                let Some(mut rows) = self.rows(&projection.input)? else { return Ok(None) };
                let columns = projection.expr.iter().cloned().chain(rows.keys()).collect();
                rows.plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(rows.plan))?);
                Ok(Some(rows))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                self.rows(&alias.input)?.map(|rows| named(rows, alias.alias.clone())).transpose()
            }
            LogicalPlan::Sort(sort) => self.above(plan, &sort.input),
            LogicalPlan::Distinct(Distinct::All(input)) => self.above(plan, input),
            LogicalPlan::Limit(limit) => self.limited(limit),
            LogicalPlan::Aggregate(aggregate) => self.aggregated(aggregate),
            LogicalPlan::Window(window) => self.computed(window),
            LogicalPlan::Join(join) => self.beside(join),
            _ => Ok(None),
        }
    }

    /// The same node over the rows.
    fn above(&mut self, node: &LogicalPlan, input: &LogicalPlan) -> Result<Option<Rows>> {
        let Some(mut rows) = self.rows(input)? else { return Ok(None) };
        rows.plan = node.with_new_exprs(node.expressions(), vec![rows.plan])?;
        Ok(Some(rows))
    }

    fn filtered(&mut self, filter: &Filter) -> Result<Option<Rows>> {
        let Some(Rows { plan, mut equal }) = self.rows(&filter.input)? else { return Ok(None) };
        let mut columns: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let mut rest = Vec::new();
        for condition in split_conjunction_owned(filter.predicate.clone()) {
            if !condition.contains_outer() {
                rest.push(condition);
                continue;
            }
            let Some((around, own)) = equality(condition)? else { return Ok(None) };
            let name = self.name("equal");
            columns.push(own.alias(&name));
            equal.push((around, Column::from_name(name)));
        }
        // What can fail is computed of the rows alone that other conditions leave.
        let rows = LogicalPlanBuilder::from(plan);
        let rows = match conjunction(rest) {
            Some(rest) => rows.filter(rest)?,
            None => rows,
        };
        Ok(Some(Rows { plan: rows.project(columns)?.build()?, equal }))
    }

    fn limited(&mut self, limit: &Limit) -> Result<Option<Rows>> {
        let (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(fetch))) =
            (limit.get_skip_type(), limit.get_fetch_type())
        else {
            return Ok(None);
        };
        let Some(rows) = self.rows(&limit.input)? else { return Ok(None) };
        let (keys, columns): (Vec<Expr>, Vec<Column>) = (rows.keys().collect(), rows.plan.schema().columns());
        // An order by what is not in the result stands below it.
        let (order, results, input) = match rows.plan {
            LogicalPlan::Sort(sort) => (sort.expr, None, Arc::unwrap_or_clone(sort.input)),
            LogicalPlan::Projection(Projection { expr, input, schema, .. }) => match Arc::unwrap_or_clone(input) {
                LogicalPlan::Sort(sort) => (sort.expr, Some(expr), Arc::unwrap_or_clone(sort.input)),
                input => {
                    let projection = Projection::try_new_with_schema(expr, Arc::new(input), schema)?;
                    (Vec::new(), None, LogicalPlan::Projection(projection))
                }
            },
            other => (Vec::new(), None, other),
        };
        let results = results.unwrap_or_else(|| columns.into_iter().map(Expr::Column).collect());
        let mut order: Vec<SortKey> = order;
        for result in &results {
            let value = result.clone().unalias();
            let is_new = !keys.contains(&value) && !order.iter().any(|key| key.expr == value);
            if is_new && !value.get_type(input.schema())?.is_nested() {
                order.push(value.sort(true, true));
            }
        }
        let Some(function) = window_function(ROW_NUMBER) else { return Ok(None) };
        let number = Expr::from(WindowFunction::new(WindowFunctionDefinition::WindowUDF(function), Vec::new()));
        let number = number.partition_by(keys).order_by(order).build()?;
        let name = self.name("number");
        let bound = |rows: usize| lit(i64::try_from(rows).unwrap_or(i64::MAX));
        let below = fetch.map(|fetch| ident(&name).lt_eq(bound(skip.saturating_add(fetch))));
        let above = (skip > 0).then(|| ident(&name).gt(bound(skip)));
        let numbered = LogicalPlanBuilder::from(input).window(vec![number.alias(&name)])?;
        let kept = match below.into_iter().chain(above).reduce(and) {
            Some(condition) => numbered.filter(condition)?,
            None => numbered,
        };
        Ok(Some(Rows { plan: kept.project(results)?.build()?, equal: rows.equal }))
    }

    fn aggregated(&mut self, aggregate: &Aggregate) -> Result<Option<Rows>> {
        // Without keys there is a row where there are none, which no join finds.
        let is_set = |key: &Expr| {
            matches!(
                key,
                Expr::GroupingSet(GroupingSet::Rollup(_) | GroupingSet::Cube(_) | GroupingSet::GroupingSets(_))
            )
        };
        if aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(is_set) {
            return Ok(None);
        }
        let Some(mut rows) = self.rows(&aggregate.input)? else { return Ok(None) };
        let keys = aggregate.group_expr.iter().cloned().chain(rows.keys()).collect();
        let grouped = Aggregate::try_new(Arc::new(rows.plan), keys, aggregate.aggr_expr.clone())?;
        rows.plan = LogicalPlan::Aggregate(grouped);
        Ok(Some(rows))
    }

    fn computed(&mut self, window: &Window) -> Result<Option<Rows>> {
        let Some(mut rows) = self.rows(&window.input)? else { return Ok(None) };
        let keys: Vec<Expr> = rows.keys().collect();
        let of_each = |call: &Expr| {
            let name = call.schema_name().to_string();
            let call = call.clone().transform(|part| match part {
                Expr::WindowFunction(mut call) => {
                    call.params.partition_by.extend(keys.iter().cloned());
                    Ok(Transformed::yes(Expr::WindowFunction(call)))
                }
                other => Ok(Transformed::no(other)),
            });
            Ok(call.data()?.unalias().alias(name))
        };
        let calls = window.window_expr.iter().map(of_each).collect::<Result<Vec<_>>>()?;
        rows.plan = LogicalPlan::Window(Window::try_new(calls, Arc::new(rows.plan))?);
        Ok(Some(rows))
    }

    fn beside(&mut self, join: &Join) -> Result<Option<Rows>> {
        let stays = match join.join_type {
            JoinType::Inner => [true, true],
            JoinType::Left => [true, false],
            JoinType::Right => [false, true],
            _ => [false, false],
        };
        let mut equal = Vec::new();
        let mut sides = Vec::new();
        for (side, stays) in [&join.left, &join.right].into_iter().zip(stays) {
            if refers(side) && !stays {
                return Ok(None);
            }
            let Some(rows) = self.rows(side)? else { return Ok(None) };
            equal.extend(rows.equal);
            sides.push(rows.plan);
        }
        let node = LogicalPlan::Join(join.clone());
        Ok(Some(Rows { plan: node.with_new_exprs(node.expressions(), sides)?, equal }))
    }
}

/// The rows under a name.
fn named(Rows { plan, equal }: Rows, alias: datafusion_common::TableReference) -> Result<Rows> {
    let column = |column: Column| Column::new(Some(alias.clone()), column.name);
    let equal = equal.into_iter().map(|(value, own)| (value, column(own))).collect();
    let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(plan), alias.clone())?);
    Ok(Rows { plan, equal })
}

fn refers(plan: &LogicalPlan) -> bool {
    plan.exists(|node| Ok(node.contains_outer_reference())).unwrap_or(true)
}

/// The value around the rows, and that of the rows, which a condition says to be equal.
fn equality(condition: Expr) -> Result<Option<(Expr, Expr)>> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return Ok(None) };
    let is_around = |value: &Expr| value.contains_outer() && value.column_refs().is_empty();
    let (around, own) = match (is_around(&left), is_around(&right)) {
        (true, false) => (*left, *right),
        (false, true) => (*right, *left),
        _ => return Ok(None),
    };
    if own.contains_outer() || own.column_refs().is_empty() {
        return Ok(None);
    }
    let around = around.transform(|part| match part {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    });
    Ok(Some((around.data()?, own)))
}

fn refused(what: &str) -> DataFusionError {
    let error = Error::user(format!(
        "{what} over rows that a LATERAL subquery picks by the rows beside it is not supported here"
    ))
    .with_help(
        "pick them by equalities alone, as in `WHERE b.k = a.k`; or join the tables, and keep the first rows with \
                    `QUALIFY ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) <= n`",
    );
    DataFusionError::External(Box::new(error))
}
