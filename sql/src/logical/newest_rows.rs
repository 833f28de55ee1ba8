//! A view that keeps the newest row of each key is a table of versions: those are the rows that it chooses from.
//!
//! | as planned | the same with versions |
//! |---|---|
//! | `Filter(rn = 1) … Window(ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS rn) … t` | `Filter(rn = 1) … Projection(…, 1 AS rn) … Versions(k, ts) … t` |
//!
//! Of several rows of one time the one that came last is the newest, in such a view as among versions. What stands above the choice stays
//! there: a condition on the row that was chosen says that there is no version, and never chooses another one.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Column, ExprSchema, ScalarValue};
use datafusion_expr::expr::WindowFunctionParams;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, Extension, LogicalPlan, Operator, Projection, Window, WindowFunctionDefinition};

use super::ranking::ROW_NUMBER;
use super::versions::{Versions, VersionsOf};

/// The rows of a plan with versions in them, if it keeps the newest row of each key.
pub(super) fn versions(plan: &LogicalPlan) -> Option<LogicalPlan> {
    let chosen = chosen(plan)?;
    chosen.is_limited.then_some(chosen.plan)
}

/// A plan over versions.
struct Chosen {
    plan: LogicalPlan,
    /// Which of its columns is the row number, if it is still there.
    number: Option<usize>,
    /// Whether that has to be 1.
    is_limited: bool,
}

fn chosen(plan: &LogicalPlan) -> Option<Chosen> {
    match plan {
        LogicalPlan::Window(window) => numbered(window),
        LogicalPlan::SubqueryAlias(alias) => {
            let below = chosen(&alias.input)?;
            Some(Chosen { plan: over(plan, below.plan)?, ..below })
        }
        LogicalPlan::Filter(filter) => {
            let below = chosen(&filter.input)?;
            let is_limit =
                |condition: &&Expr| below.number.is_some_and(|number| is_one(condition, number, &below.plan));
            let is_limited = below.is_limited || split_conjunction(&filter.predicate).iter().any(is_limit);
            Some(Chosen { plan: over(plan, below.plan)?, is_limited, ..below })
        }
        LogicalPlan::Projection(projection) => {
            let below = chosen(&projection.input)?;
            let is_number =
                |expression: &Expr| below.number.is_some() && place(expression, &below.plan) == below.number;
            let number = projection.expr.iter().position(is_number);
            Some(Chosen { plan: over(plan, below.plan)?, number, ..below })
        }
        _ => None,
    }
}

/// A node over another input of the same columns.
fn over(plan: &LogicalPlan, input: LogicalPlan) -> Option<LogicalPlan> {
    plan.with_new_exprs(plan.expressions(), vec![input]).ok()
}

/// Which column of a plan an expression is.
fn place(expression: &Expr, plan: &LogicalPlan) -> Option<usize> {
    match expression {
        Expr::Alias(alias) => place(&alias.expr, plan),
        Expr::Column(column) => plan.schema().index_of_column(column).ok(),
        _ => None,
    }
}

/// Whether a condition is that a column is 1.
fn is_one(condition: &Expr, number: usize, plan: &LogicalPlan) -> bool {
    let Expr::BinaryExpr(binary) = condition else { return false };
    let one = |expression: &Expr| {
        matches!(expression, Expr::Literal(value, _)
            if value.cast_to(&DataType::Int64).is_ok_and(|value| value == ScalarValue::Int64(Some(1))))
    };
    let is_number = |expression: &Expr| place(expression, plan) == Some(number);
    match binary.op {
        Operator::Eq => {
            (is_number(&binary.left) && one(&binary.right)) || (is_number(&binary.right) && one(&binary.left))
        }
        Operator::LtEq => is_number(&binary.left) && one(&binary.right),
        _ => false,
    }
}

/// Versions in the place of row numbers by time, newest first.
fn numbered(window: &Window) -> Option<Chosen> {
    let [call] = window.window_expr.as_slice() else { return None };
    let call = match call {
        Expr::Alias(alias) => &*alias.expr,
        other => other,
    };
    let Expr::WindowFunction(function) = call else { return None };
    let WindowFunctionDefinition::WindowUDF(name) = &function.fun else { return None };
    let WindowFunctionParams { args, partition_by, order_by, filter, distinct, .. } = &function.params;
    let [newest] = order_by.as_slice() else { return None };
    if name.name() != ROW_NUMBER || !args.is_empty() || filter.is_some() || *distinct || newest.asc {
        return None;
    }
    let Expr::Column(time) = &newest.expr else { return None };
    let schema = window.input.schema();
    let is_time =
        schema.field_from_column(time).is_ok_and(|field| matches!(field.data_type(), DataType::Timestamp(..)));
    if !is_time {
        return None;
    }
    // Lowering knows the columns of a key by their names.
    let named_once = |column: &Column| schema.fields().iter().filter(|field| field.name() == &column.name).count() == 1;
    let key = partition_by.iter().map(|key| match key {
        Expr::Column(column) if named_once(column) => Some(column.name.clone()),
        _ => None,
    });
    let key = key.collect::<Option<Vec<String>>>().filter(|key| !key.is_empty())?;
    let of = VersionsOf::Newest { key, time: time.clone() };
    let node = Arc::new(Versions { of, input: window.input.clone() });
    let mut columns: Vec<Expr> = schema.columns().into_iter().map(Expr::Column).collect();
    let (qualifier, field) = window.schema.qualified_field(columns.len());
    let one = ScalarValue::Int64(Some(1)).cast_to(field.data_type()).ok()?;
    columns.push(Expr::Literal(one, None).alias_qualified(qualifier.cloned(), field.name()));
    let number = Some(columns.len() - 1);
    let versions = LogicalPlan::Extension(Extension { node });
    let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(versions)).ok()?);
    Some(Chosen { plan, number, is_limited: false })
}

/// The column of a plan that says since when its versions are there; `None` if it has none, or does not have that.
pub(super) fn time_of(plan: &LogicalPlan) -> Option<Column> {
    let place = time_place(plan)?;
    plan.schema().columns().into_iter().nth(place)
}

fn time_place(plan: &LogicalPlan) -> Option<usize> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let versions: &Versions = extension.node.as_any().downcast_ref()?;
            let VersionsOf::Newest { time, .. } = &versions.of else { return None };
            versions.input.schema().index_of_column(time).ok()
        }
        LogicalPlan::SubqueryAlias(alias) => time_place(&alias.input),
        LogicalPlan::Filter(filter) => time_place(&filter.input),
        LogicalPlan::Projection(projection) => {
            let below = time_place(&projection.input)?;
            projection.expr.iter().position(|expression| place(expression, &projection.input) == Some(below))
        }
        _ => None,
    }
}
