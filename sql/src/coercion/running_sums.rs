//! Types of sums and averages with `OVER`: those of [`super::sums`].

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion_common::{Column, Result, internal_err};
use datafusion_expr::expr::{ScalarFunction, WindowFunction};
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, Operator, Projection, Window, WindowFunctionDefinition, cast};
use weir_functions::Functions;
use weir_functions::arithmetic::Arithmetic;

/// What a column of the query is made of.
enum Outcome {
    Call(usize),
    Narrow(usize, DataType),
    Quotient(usize, usize),
}

/// The calls, and the conversions behind them.
///
/// # Errors
/// If an argument has no type.
pub(super) fn typed(window: Window) -> Result<LogicalPlan> {
    let mut calls: Vec<Expr> = Vec::new();
    let mut results = Vec::with_capacity(window.window_expr.len());
    let mut changed = false;
    for expr in &window.window_expr {
        let result = one(expr, &window, &mut calls)?;
        changed |= !matches!(result, Outcome::Call(index) if calls[index] == *expr);
        results.push(result);
    }
    if !changed {
        return Ok(LogicalPlan::Window(window));
    }
    let Window { input, schema: wanted, .. } = window;
    let width = wanted.fields().len() - results.len();
    let inner = Window::try_new(calls, input)?;
    let column = |index: usize| {
        let (qualifier, field) = inner.schema.qualified_field(index);
        Expr::Column(Column::new(qualifier.cloned(), field.name()))
    };
    let mut columns: Vec<Expr> = (0..width).map(column).collect();
    for (index, result) in results.into_iter().enumerate() {
        let (qualifier, field) = wanted.qualified_field(width + index);
        let value = match result {
            Outcome::Call(call) => column(width + call),
            Outcome::Narrow(call, data_type) => cast(column(width + call), data_type),
            Outcome::Quotient(sum, count) => {
                let Some(func) = Arithmetic::Binary(Operator::Divide).function() else {
                    return internal_err!("nothing divides DECIMALs");
                };
                let args = vec![column(width + sum), column(width + count)];
                Expr::ScalarFunction(ScalarFunction { func, args })
            }
        };
        columns.push(value.alias_qualified(qualifier.cloned(), field.name()));
    }
    Projection::try_new(columns, LogicalPlan::Window(inner).into()).map(LogicalPlan::Projection)
}

fn one(expr: &Expr, window: &Window, calls: &mut Vec<Expr>) -> Result<Outcome> {
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
    let Expr::WindowFunction(call) = inner else { return Ok(Outcome::Call(place(expr.clone()))) };
    // What has no type yet is refused by the coercion that follows.
    let argument = call.params.args.first().map(|argument| argument.get_type(window.input.schema()));
    Ok(match (call.fun.name(), argument) {
        ("sum", Some(Ok(narrow @ (DataType::Int8 | DataType::Int16 | DataType::Int32)))) => {
            Outcome::Narrow(place(expr.clone()), narrow)
        }
        ("sum", Some(Ok(DataType::Decimal128(precision, scale)))) if precision < DECIMAL128_MAX_PRECISION => {
            Outcome::Call(place(wide_sum(call, scale)?))
        }
        ("avg", Some(Ok(DataType::Decimal128(_, scale)))) => {
            let sum = place(wide_sum(call, scale)?);
            let count = with_function(call, "count")?;
            Outcome::Quotient(sum, place(Expr::WindowFunction(Box::new(count))))
        }
        _ => Outcome::Call(place(expr.clone())),
    })
}

fn wide_sum(call: &WindowFunction, scale: i8) -> Result<Expr> {
    let mut sum = with_function(call, "sum")?;
    for argument in &mut sum.params.args {
        *argument = cast(std::mem::take(argument), DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale));
    }
    Ok(Expr::WindowFunction(Box::new(sum)))
}

fn with_function(call: &WindowFunction, name: &str) -> Result<WindowFunction> {
    let Some(function) = Functions::built_in().aggregate(name) else { return internal_err!("there is no `{name}`") };
    Ok(WindowFunction { fun: WindowFunctionDefinition::AggregateUDF(Arc::clone(&function)), ..call.clone() })
}
