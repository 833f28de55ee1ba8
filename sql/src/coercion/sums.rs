//! Types of sums and averages as in Flink, where DataFusion's are others:
//!
//! | as written | as planned |
//! |---|---|
//! | `SUM` of an `INT` | `CAST(SUM(x) AS INT)`: added up as BIGINT, and an error if it has no place in an INT in the end |
//! | `SUM` of a `DECIMAL(p, s)` | `SUM(CAST(x AS DECIMAL(38, s)))` |
//! | `STDDEV`, `VAR` of a `FLOAT` | `CAST(STDDEV(x) AS FLOAT)` |
//! | `AVG` of a `DECIMAL(p, s)` | `SUM(CAST(x AS DECIMAL(38, s))) / COUNT(x)` |

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion_common::{Column, Result, internal_err};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion_expr::{Aggregate, AggregateUDF, Expr, ExprSchemable, LogicalPlan, Operator, Projection, cast};
use weir_functions::Functions;
use weir_functions::arithmetic::Arithmetic;

/// What a column of the query is made of.
enum Outcome {
    Aggregate(usize),
    Narrow(usize, DataType),
    Quotient(usize, usize),
}

/// The aggregation, and the conversions behind it.
///
/// # Errors
/// If an argument has no type.
pub(super) fn typed(aggregate: Aggregate) -> Result<LogicalPlan> {
    let mut calls: Vec<Expr> = Vec::new();
    let mut results = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut changed = false;
    for expr in &aggregate.aggr_expr {
        let result = one(expr, &aggregate, &mut calls)?;
        changed |= !matches!(result, Outcome::Aggregate(index) if calls[index] == *expr);
        results.push(result);
    }
    if !changed {
        return Ok(LogicalPlan::Aggregate(aggregate));
    }
    let Aggregate { input, group_expr, schema: wanted, .. } = aggregate;
    let inner = Aggregate::try_new(input, group_expr, calls)?;
    let keys = wanted.fields().len() - results.len();
    let column = |index: usize| {
        let (qualifier, field) = inner.schema.qualified_field(index);
        Expr::Column(Column::new(qualifier.cloned(), field.name()))
    };
    let mut columns: Vec<Expr> = (0..keys).map(column).collect();
    for (index, result) in results.into_iter().enumerate() {
        let (qualifier, field) = wanted.qualified_field(keys + index);
        let value = match result {
            Outcome::Aggregate(call) => column(keys + call),
            Outcome::Narrow(call, data_type) => cast(column(keys + call), data_type),
            Outcome::Quotient(sum, count) => {
                let operands = vec![column(keys + sum), column(keys + count)];
                let Some(func) = Arithmetic::Binary(Operator::Divide).function() else {
                    return internal_err!("nothing divides DECIMALs");
                };
                Expr::ScalarFunction(ScalarFunction { func, args: operands })
            }
        };
        columns.push(value.alias_qualified(qualifier.cloned(), field.name()));
    }
    Projection::try_new(columns, LogicalPlan::Aggregate(inner).into()).map(LogicalPlan::Projection)
}

fn one(expr: &Expr, aggregate: &Aggregate, calls: &mut Vec<Expr>) -> Result<Outcome> {
    let mut place = |call: Expr| match calls.iter().position(|known| *known == call) {
        Some(index) => index,
        None => {
            calls.push(call);
            calls.len() - 1
        }
    };
    let inner = match expr {
        Expr::Alias(alias) => &*alias.expr,
        other => other,
    };
    let Expr::AggregateFunction(call) = inner else { return Ok(Outcome::Aggregate(place(expr.clone()))) };
    // What has no type yet is refused by the coercion that follows.
    let argument = call.params.args.first().map(|argument| argument.get_type(aggregate.input.schema()));
    Ok(match (call.func.name(), argument) {
        ("sum", Some(Ok(narrow @ (DataType::Int8 | DataType::Int16 | DataType::Int32)))) => {
            Outcome::Narrow(place(expr.clone()), narrow)
        }
        ("stddev" | "stddev_pop" | "var" | "var_pop", Some(Ok(single @ DataType::Float32))) => {
            Outcome::Narrow(place(expr.clone()), single)
        }
        ("sum", Some(Ok(DataType::Decimal128(precision, scale)))) => {
            Outcome::Aggregate(place(wide_sum(call, precision, scale)?))
        }
        ("avg", Some(Ok(DataType::Decimal128(precision, scale)))) => {
            let sum = place(wide_sum(call, precision, scale)?);
            let mut count = call.clone();
            count.func = function("count")?;
            Outcome::Quotient(sum, place(Expr::AggregateFunction(count)))
        }
        _ => Outcome::Aggregate(place(expr.clone())),
    })
}

/// The sum with all digits. Of what has them there is no cast: it would be another sum under the same name.
fn wide_sum(call: &AggregateFunction, precision: u8, scale: i8) -> Result<Expr> {
    let mut sum = call.clone();
    sum.func = function("sum")?;
    let narrow = precision < DECIMAL128_MAX_PRECISION;
    for argument in sum.params.args.iter_mut().filter(|_| narrow) {
        *argument = cast(std::mem::take(argument), DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale));
    }
    Ok(Expr::AggregateFunction(sum))
}

fn function(name: &str) -> Result<Arc<AggregateUDF>> {
    Functions::built_in().aggregate(name).map_or_else(|| internal_err!("there is no `{name}`"), Ok)
}
