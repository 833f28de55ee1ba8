//! `INTERSECT` and `EXCEPT`. DataFusion plans them as joins in which null equals null, and those of `ALL` as if duplicates did not
//! count. Here they count the rows of both sides, and nulls are one value as in any `GROUP BY`:
//!
//! ```text
//!   count the copies of each row, left and right  ─▶  those that are on both sides, or on the left one alone
//!                                                     with ALL: as many copies as min(left, right), or left - right
//! ```

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TransformedResult};
use datafusion_common::{Column, NullEquality, Result, UnnestOptions, internal_err};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion_expr::{Distinct, Expr, Join, JoinType, LogicalPlan, LogicalPlanBuilder, lit};
use weir_functions::Functions;

use super::duplicates::free_name;

/// The plan with every such operation replaced.
///
/// # Errors
/// If the two sides do not fit.
pub(super) fn counted(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| match plan {
        // The planner itself makes no other join in which null equals null.
        LogicalPlan::Join(join) if join.null_equality == NullEquality::NullEqualsNull => {
            replaced(&join).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn replaced(join: &Join) -> Result<LogicalPlan> {
    let intersects = match join.join_type {
        JoinType::LeftSemi => true,
        JoinType::LeftAnti => false,
        other => return internal_err!("a {other} JOIN in which null equals null"),
    };
    // Of a left side without duplicates there is one copy at most, with ALL or without.
    let (left, all) = match &*join.left {
        LogicalPlan::Distinct(Distinct::All(input)) => (input, false),
        _ => (&join.left, true),
    };
    let mut names: Vec<String> = Vec::new();
    for field in left.schema().fields() {
        let name = free_name(field.name(), |name| names.iter().any(|known| known == name));
        names.push(name);
    }
    let [in_left, in_right, copies] = ["$left", "$right", "$copies"];
    let side = |plan: &Arc<LogicalPlan>, left: i64, right: i64| {
        let columns = plan.schema().columns().into_iter().zip(&names);
        let columns = columns.map(|(column, name)| Expr::Column(column).alias(name));
        let counts = [lit(left).alias(in_left), lit(right).alias(in_right)];
        LogicalPlanBuilder::from(Arc::clone(plan)).project(columns.chain(counts))?.build()
    };
    let column = |name: &str| Expr::Column(Column::new_unqualified(name));
    let keys: Vec<Expr> = names.iter().map(|name| column(name)).collect();
    let total = |name: &str| -> Result<Expr> {
        let Some(sum) = Functions::built_in().aggregate("sum") else { return internal_err!("there is no SUM") };
        let call = AggregateFunction::new_udf(sum, vec![column(name)], false, None, Vec::new(), None);
        Ok(Expr::AggregateFunction(call).alias(name))
    };
    let counted = LogicalPlanBuilder::from(side(left, 1, 0)?)
        .union(side(&join.right, 0, 1)?)?
        .aggregate(keys.clone(), vec![total(in_left)?, total(in_right)?])?;
    let (left, right) = (column(in_left), column(in_right));
    let rows = match (all, intersects) {
        (false, true) => counted.filter(left.gt(lit(0_i64)).and(right.gt(lit(0_i64))))?,
        (false, false) => counted.filter(left.gt(lit(0_i64)).and(right.eq(lit(0_i64))))?,
        (true, _) => {
            let number = if intersects { call("least", vec![left, right])? } else { left - right };
            // A list of so many elements; of none the row goes.
            let list = call("array_repeat", vec![lit(1_i64), number])?.alias(copies);
            let options = UnnestOptions::new().with_preserve_nulls(false);
            let list = counted.project(keys.iter().cloned().chain([list]))?;
            list.unnest_columns_with_options(vec![Column::new_unqualified(copies)], options)?
        }
    };
    let named = keys.into_iter().zip(join.schema.iter());
    let named = named.map(|(key, (qualifier, field))| key.alias_qualified(qualifier.cloned(), field.name()));
    rows.project(named.collect::<Vec<_>>())?.build()
}

fn call(name: &str, args: Vec<Expr>) -> Result<Expr> {
    match Functions::built_in().scalar(name) {
        Some(func) => Ok(Expr::ScalarFunction(ScalarFunction { func, args })),
        None => internal_err!("there is no function {name}"),
    }
}
