//! Subqueries in conditions and in the `SELECT` list, in the words that DataFusion makes joins of.
//!
//! | written | planned as |
//! |---|---|
//! | `x NOT IN (S)` in `WHERE`, where nulls may be | no row of S equals x, and S has no rows, or no null and x is none |
//! | `x IN (S)`, `NOT IN` as a part of something else | is there one, from a `COUNT(*)` of those; if not, from the counts of S whether it is false or null |
//! | `EXISTS (S)` as a part of something else | `COUNT(*) > 0`; in `WHERE`, if S refers to the query around it, the [mark](super::marks) of a join |
//! | one in an aggregate or in a function with `OVER` | a column of a query [below] |
//! | one behind `ON` | a condition above an inner join, or [below] an outer one |
//!
//! `IN` and `EXISTS` that stand alone in `WHERE` become semi and anti joins, and stay as they are. A subquery for a value has to have one
//! row at most, which has to be seen from the query.
//!
//! Where a subquery refers to nothing around it, its result is joined to every row, all of which change with it. There `SUM(0)` takes the
//! place of `COUNT(*)`, and `SUM(CASE WHEN x IS NULL THEN 0 END)` that of the counted nulls. Such a sum is 0, or null over no values: it
//! stays the same for as long as what is asked does, where a count changes with each row. Of a sum no values are kept for the time when
//! rows are taken back, which `MAX(1)` would need.

mod apart;
mod below;

use std::cell::Cell;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ExprSchema, Result, ScalarValue, internal_err};
use datafusion_expr::expr::{AggregateFunction, Exists, InSubquery};
use datafusion_expr::logical_plan::{FetchType, SkipType, Subquery};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Expr, ExprSchemable, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Projection, cast, lit, not, when,
};
use weir_core::Error;
use weir_functions::Functions;

use crate::rewrite;

/// The plan with its subqueries in these words.
///
/// # Errors
/// A user error for a subquery that stands where none is planned.
pub(super) fn reworded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let words = Words::default();
    let plan = plan.transform_up_with_subqueries(|node| words.node(node).map(Transformed::yes)).data()?;
    words.told_apart(plan)
}

/// Gives subqueries names that no other has.
#[derive(Default)]
struct Words(Cell<usize>);

/// Where a subquery stands.
#[derive(Clone, Copy)]
struct Place {
    /// In a condition that rows are kept by.
    in_filter: bool,
    /// Null does there what false does.
    null_is_false: bool,
}

impl Words {
    fn node(&self, node: LogicalPlan) -> Result<LogicalPlan> {
        let mut has_subquery = false;
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                has_subquery |= matches!(part, Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_));
                if let Expr::ScalarSubquery(subquery) = part {
                    check_one_row(subquery)?;
                    check_over_no_rows(subquery)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        match node {
            node if !has_subquery => Ok(node),
            LogicalPlan::Filter(filter) => {
                let schema = filter.input.schema().clone();
                let mut conditions = Vec::new();
                for condition in split_conjunction_owned(filter.predicate) {
                    conditions.extend(self.condition(condition, &schema)?);
                }
                let Some(condition) = conjunction(conditions) else { return internal_err!("a filter of nothing") };
                Ok(LogicalPlan::Filter(Filter::try_new(condition, filter.input)?))
            }
            LogicalPlan::Projection(_) => {
                let place = Place { in_filter: false, null_is_false: false };
                rewrite::expressions_of_node(node, |expression, schema| self.part(expression, schema, place))
            }
            LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => self.computed_below(node),
            LogicalPlan::Join(join) => self.joined(join),
            LogicalPlan::Sort(_) => refused("ORDER BY", "give it a name in the SELECT list, and order by that"),
            other => Ok(other),
        }
    }

    /// The conditions that one of a `WHERE` becomes.
    fn condition(&self, condition: Expr, schema: &DFSchema) -> Result<Vec<Expr>> {
        let condition = match condition {
            Expr::Not(inner) => match *inner {
                Expr::InSubquery(within) => Expr::InSubquery(InSubquery { negated: !within.negated, ..within }),
                Expr::Exists(exists) => Expr::Exists(Exists { negated: !exists.negated, ..exists }),
                other => not(other),
            },
            other => other,
        };
        match condition {
            Expr::Exists(_) => Ok(vec![condition]),
            Expr::InSubquery(ref within) if !within.negated || !nulls_count(within, schema)? => Ok(vec![condition]),
            Expr::InSubquery(within) => {
                let set = self.set(&within, schema)?;
                let none = Expr::Exists(Exists { subquery: set.equal()?, negated: true });
                Ok(vec![none, set.is_known(*within.expr)?])
            }
            other => Ok(vec![self.part(other, schema, Place { in_filter: true, null_is_false: true })?]),
        }
    }

    /// An expression with subqueries in it.
    fn part(&self, expression: Expr, schema: &DFSchema, place: Place) -> Result<Expr> {
        let correlated = |subquery: &Subquery| !subquery.outer_ref_columns.is_empty();
        match expression {
            Expr::Exists(exists) if place.in_filter && correlated(&exists.subquery) => Ok(Expr::Exists(exists)),
            Expr::Exists(Exists { subquery, negated }) => {
                let any = count(&subquery, LogicalPlanBuilder::from(subquery.subquery.clone()))?;
                Ok(if negated { not(any) } else { any })
            }
            Expr::InSubquery(within) => self.within(within, schema, place),
            Expr::BinaryExpr(mut binary) if matches!(binary.op, Operator::And | Operator::Or) => {
                binary.left = Box::new(self.part(*binary.left, schema, place)?);
                binary.right = Box::new(self.part(*binary.right, schema, place)?);
                Ok(Expr::BinaryExpr(binary))
            }
            other => {
                let place = Place { null_is_false: false, ..place };
                other.map_children(|part| self.part(part, schema, place).map(Transformed::yes)).data()
            }
        }
    }

    fn within(&self, within: InSubquery, schema: &DFSchema, place: Place) -> Result<Expr> {
        let counts = (within.negated || !place.null_is_false) && nulls_count(&within, schema)?;
        let correlated = !within.subquery.outer_ref_columns.is_empty();
        // What a subquery refers to it may compare in ways that no count can be grouped by; a mark takes them all.
        if place.in_filter && correlated && !counts {
            return Ok(Expr::InSubquery(within));
        }
        let set = self.set(&within, schema)?;
        let equal = set.equal()?;
        let any = if place.in_filter && correlated {
            Expr::Exists(Exists { subquery: equal, negated: false })
        } else {
            count(&equal, LogicalPlanBuilder::from(equal.subquery.clone()))?
        };
        let found = if counts {
            let unknown = lit(ScalarValue::Boolean(None));
            when(any, lit(true)).when(set.is_known(*within.expr)?, lit(false)).otherwise(unknown)?
        } else {
            any
        };
        Ok(if within.negated { not(found) } else { found })
    }

    fn set(&self, within: &InSubquery, schema: &DFSchema) -> Result<Set> {
        let mut outer = within.subquery.outer_ref_columns.clone();
        let value = within.expr.as_ref().clone().transform(|part| match part {
            Expr::Column(column) => {
                let field = schema.field_from_column(&column)?.clone();
                let reference = Expr::OuterReferenceColumn(field, column);
                if !outer.contains(&reference) {
                    outer.push(reference.clone());
                }
                Ok(Transformed::yes(reference))
            }
            Expr::OuterReferenceColumn(..) | Expr::ScalarSubquery(_) => Err(user(
                Error::user(
                    "what IN compares with a subquery refers to a query further out, which is not supported here",
                )
                .with_help("write it as EXISTS with an equality"),
            )),
            other => Ok(Transformed::no(other)),
        });
        let value = value.data()?;
        self.0.set(self.0.get() + 1);
        Ok(Set { subquery: within.subquery.clone(), name: format!("$set{}", self.0.get()), value, outer })
    }
}

/// The rows of an `IN`, and the value that is looked for.
struct Set {
    subquery: Subquery,
    /// A name that the rows can be given.
    name: String,
    /// In terms of the rows.
    value: Expr,
    /// What the rows and the value refer to.
    outer: Vec<Expr>,
}

/// A set without rows.
const EMPTY: i64 = 0;
/// One with rows, none of them null.
const NO_NULL: i64 = 1;
/// One with a null.
const HAS_NULL: i64 = 2;

impl Set {
    /// The rows that equal the value.
    fn equal(&self) -> Result<Subquery> {
        let (rows, element) = self.rows()?;
        let found = element.clone().eq(self.value.clone());
        // Of two filters, one over the other, DataFusion would lose what one of them refers to.
        let rows = match rows.build()? {
            LogicalPlan::Filter(filter) => {
                LogicalPlanBuilder::from(filter.input).filter(filter.predicate.and(found))?
            }
            rows => LogicalPlanBuilder::from(rows).filter(found)?,
        };
        let rows = rows.project(vec![element.alias("element")])?;
        Ok(Subquery {
            subquery: Arc::new(rows.build()?),
            outer_ref_columns: self.outer.clone(),
            spans: self.subquery.spans.clone(),
        })
    }

    /// The rows, and what the value is looked for in.
    fn rows(&self) -> Result<(LogicalPlanBuilder, Expr)> {
        if self.subquery.outer_ref_columns.is_empty() {
            let rows = LogicalPlanBuilder::from(self.subquery.subquery.clone()).alias(&self.name)?;
            let Some(element) = rows.schema().columns().into_iter().next() else {
                return internal_err!("IN of nothing");
            };
            return Ok((rows, Expr::Column(element)));
        }
        // A reference to the query around it is looked for below, and not behind a name that the rows are given here.
        match &*self.subquery.subquery {
            LogicalPlan::Projection(Projection { expr, input, .. }) if self.is_apart_from(input) => {
                match expr.as_slice() {
                    [element] => Ok((LogicalPlanBuilder::from(input.clone()), element.clone().unalias())),
                    _ => internal_err!("IN of several columns"),
                }
            }
            _ => Err(user(
                Error::user("this IN (SELECT …) refers to the query around it in a way that is not supported here")
                    .with_help("write it as EXISTS with an equality, as in `EXISTS (SELECT 1 FROM b WHERE b.x = a.x)`"),
            )),
        }
    }

    /// Whether the value reads relations of other names than these rows do.
    fn is_apart_from(&self, rows: &LogicalPlan) -> bool {
        let names: Vec<_> = rows.schema().iter().map(|(relation, _)| relation.cloned()).collect();
        self.outer.iter().all(|part| match part {
            Expr::OuterReferenceColumn(_, column) => !names.contains(&column.relation),
            _ => false,
        })
    }

    /// Whether the value is known not to be among the rows if none equals it: there are none, or neither it nor any of them is null.
    fn is_known(&self, value: Expr) -> Result<Expr> {
        let (rows, element) = self.rows()?;
        let calls = if self.subquery.outer_ref_columns.is_empty() {
            let zero = zero();
            vec![aggregate("sum", zero.clone())?, aggregate("sum", when(element.is_null(), zero).end()?)?]
        } else {
            vec![aggregate("count", lit(1_i64))?, aggregate("count", element)?]
        };
        let facts = rows.aggregate(Vec::<Expr>::new(), calls)?;
        let columns: Vec<Expr> = facts.schema().columns().into_iter().map(Expr::Column).collect();
        let [rows, values] = columns.as_slice() else { return internal_err!("two aggregates are not two columns") };
        let (rows, values) = (rows.clone(), values.clone());
        let (is_empty, has_null) = if self.subquery.outer_ref_columns.is_empty() {
            (rows.is_null(), values.is_not_null())
        } else {
            (rows.clone().eq(lit(0_i64)), rows.gt(values))
        };
        let nulls = when(is_empty, lit(EMPTY)).when(has_null, lit(HAS_NULL)).otherwise(lit(NO_NULL))?;
        let nulls = scalar(&self.subquery, facts.project(vec![nulls.alias("nulls")])?)?;
        Ok(nulls.lt(when(value.is_null(), lit(NO_NULL)).otherwise(lit(HAS_NULL))?))
    }
}

/// Whether a subquery has any rows, as a value. See the module's documentation for the two ways to say it.
fn count(subquery: &Subquery, rows: LogicalPlanBuilder) -> Result<Expr> {
    let correlated = !subquery.outer_ref_columns.is_empty();
    let call = if correlated { aggregate("count", lit(1_i64))? } else { aggregate("sum", zero())? };
    let rows = rows.aggregate(Vec::<Expr>::new(), vec![call])?;
    let Some(found) = rows.schema().columns().into_iter().next().map(Expr::Column) else {
        return internal_err!("an aggregate is no column");
    };
    let any = if correlated { found.gt(lit(0_i64)) } else { found.is_not_null() };
    scalar(subquery, rows.project(vec![any.alias("any")])?)
}

/// What is summed up: of the type that sums have, so that none is narrowed afterwards.
fn zero() -> Expr {
    cast(lit(0_i64), DataType::Int64)
}

fn aggregate(name: &str, argument: Expr) -> Result<Expr> {
    let Some(function) = Functions::built_in().aggregate(name) else { return internal_err!("there is no {name}") };
    let call = AggregateFunction::new_udf(function, vec![argument], false, None, Vec::new(), None);
    Ok(Expr::AggregateFunction(call))
}

/// A subquery for a value, which refers to what another one does.
fn scalar(like: &Subquery, rows: LogicalPlanBuilder) -> Result<Expr> {
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(rows.build()?), ..like.clone() }))
}

/// Whether a value may be null, or one that it is compared with.
fn nulls_count(within: &InSubquery, schema: &DFSchema) -> Result<bool> {
    let set = within.subquery.subquery.schema();
    Ok(within.expr.nullable(schema)? || set.fields().iter().any(|field| field.is_nullable()))
}

/// Refuses a subquery for a value that may have several rows. One that refers to the query around it is checked by DataFusion.
fn check_one_row(subquery: &Subquery) -> Result<()> {
    if !subquery.outer_ref_columns.is_empty() || has_one_row(&subquery.subquery) {
        return Ok(());
    }
    Err(user(
        Error::user("a subquery for a value may have several rows")
            .with_help("make one row of them with an aggregate, as in `(SELECT MAX(x) FROM t)`, or with `LIMIT 1`"),
    ))
}

/// Refuses a subquery that refers to the query around it and has the value of a plugin's aggregate. It is joined to that query, and where it has no rows the value
/// would be null: what the aggregate makes of no rows only the plugin knows.
fn check_over_no_rows(subquery: &Subquery) -> Result<()> {
    let correlated = !subquery.outer_ref_columns.is_empty();
    let mut of_plugin = None;
    subquery.subquery.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && correlated
            && aggregate.group_expr.is_empty()
        {
            for call in &aggregate.aggr_expr {
                call.apply(|part| {
                    if let Expr::AggregateFunction(call) = part
                        && Functions::is_of_plugin(&call.func)
                    {
                        of_plugin = Some(call.func.name().to_owned());
                    }
                    Ok(TreeNodeRecursion::Continue)
                })?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let Some(name) = of_plugin else { return Ok(()) };
    let message = format!(
        "`{name}(…)` of a subquery that refers to the query around it is not supported: the function is of a plugin"
    );
    Err(user(Error::user(message).with_help(
        "join the subquery, grouped by what it compares: LEFT JOIN has null where there are no rows, and JOIN leaves the row out",
    )))
}

/// Whether a query has one row at most, whatever the data.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::Filter(filter) => has_one_row(&filter.input),
        LogicalPlan::SubqueryAlias(alias) => has_one_row(&alias.input),
        LogicalPlan::Sort(sort) => has_one_row(&sort.input),
        LogicalPlan::Distinct(distinct) => has_one_row(distinct.input()),
        LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::Values(values) => values.values.len() <= 1,
        LogicalPlan::Limit(limit) => {
            let any_skip = matches!(limit.get_skip_type(), Ok(SkipType::Literal(_)));
            let one = matches!(limit.get_fetch_type(), Ok(FetchType::Literal(Some(0 | 1))));
            one && any_skip || has_one_row(&limit.input)
        }
        _ => false,
    }
}

fn refused(place: &str, help: &str) -> Result<LogicalPlan> {
    Err(user(Error::user(format!("a subquery in {place} is not supported yet")).with_help(help)))
}

fn user(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
