//! A single expression in the form that [`super`] describes.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, Result, ScalarValue};
use datafusion_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion_expr::{BinaryExpr, Case, Expr, ExprSchemable, Operator, lit, or};
use weir_functions::arithmetic::{Arithmetic, is_exact};

use super::failure::can_fail;
use super::lists::{Position, apart, plain};
use super::lossy::hidden;
use super::marker::{Marker, mark, marked};
use crate::coercion::{is_arithmetic, literal_of};

/// The expression over columns of `schema`, with types as they will be evaluated.
///
/// # Errors
/// None that a user can cause.
pub(crate) fn guarded(expr: Expr, position: Position, schema: &DFSchema, marker: &Marker) -> Result<Expr> {
    let expr = expr.transform_up(|expr| one(expr, schema, marker).map(Transformed::yes)).data()?;
    apart(expr, position, schema, marker)
}

fn one(expr: Expr, schema: &DFSchema, marker: &Marker) -> Result<Expr> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(op) => {
            match checked(Arithmetic::Binary(op), &[&left, &right], schema)? {
                Some(checked) => checked,
                None => Expr::BinaryExpr(BinaryExpr { left, op, right }),
            }
        }
        Expr::Negative(operand) => match checked(Arithmetic::Negative, &[&operand], schema)? {
            Some(checked) => checked,
            None => Expr::Negative(operand),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right })
            if marked(&right).is_none() && can_fail(&right, schema) =>
        {
            Expr::BinaryExpr(BinaryExpr { left, op, right: Box::new(mark(*right, marker)) })
        }
        // Without the mark `a ^ a` is 0, and `a ^ b ^ a` is `b`, where `a` is null too.
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::BitwiseXor, right }) if marked(&right).is_none() => {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::BitwiseXor, right: Box::new(mark(*right, marker)) })
        }
        // It would become `text IS NOT NULL`, which is false of a null.
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::RegexMatch | Operator::RegexIMatch, right })
            if is_anything(&right) =>
        {
            or(left.is_not_null(), lit(ScalarValue::Boolean(None)))
        }
        Expr::InList(list) => plain(list, schema, marker),
        expr @ (Expr::Cast(_) | Expr::TryCast(_)) => hidden(expr, schema)?,
        Expr::Case(case) => one_in_the_other(case, schema)?,
        Expr::AggregateFunction(call) => Expr::AggregateFunction(filtered_first(call, schema)),
        other => other,
    })
}

/// Whether this is the pattern that every text matches.
fn is_anything(pattern: &Expr) -> bool {
    let text = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten() == Some(".*"),
        _ => false,
    };
    text(pattern) || literal_of(pattern).as_ref().is_some_and(text)
}

/// The arithmetic as a function, if it is of exact numbers.
fn checked(arithmetic: Arithmetic, operands: &[&Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    for operand in operands {
        if !is_exact(&operand.get_type(schema)?) {
            return Ok(None);
        }
    }
    let args = operands.iter().map(|operand| (*operand).clone()).collect();
    Ok(arithmetic.function().map(|func| Expr::ScalarFunction(ScalarFunction { func, args })))
}

/// A `CASE` of conditions whose later `WHEN`s can fail, as one `CASE` in the `ELSE` of the other.
fn one_in_the_other(case: Case, schema: &DFSchema) -> Result<Expr> {
    let Case { expr: operand, mut when_then_expr, else_expr } = case;
    let later_can_fail = when_then_expr.iter().skip(1).any(|(when, _)| can_fail(when, schema));
    let nested = operand.is_none() && later_can_fail && {
        let result =
            Expr::Case(Case { expr: None, when_then_expr: when_then_expr.clone(), else_expr: else_expr.clone() });
        result.get_type(schema)? == DataType::Boolean
    };
    if !nested {
        return Ok(Expr::Case(Case { expr: operand, when_then_expr, else_expr }));
    }
    let later = when_then_expr.split_off(1);
    let otherwise = later.into_iter().rev().fold(else_expr, |else_expr, branch| {
        Some(Box::new(Expr::Case(Case { expr: None, when_then_expr: vec![branch], else_expr })))
    });
    Ok(Expr::Case(Case { expr: None, when_then_expr, else_expr: otherwise }))
}

/// The aggregate, with arguments that are computed only for rows that its filter lets through.
fn filtered_first(mut call: AggregateFunction, schema: &DFSchema) -> AggregateFunction {
    let Some(filter) = call.params.filter.clone() else { return call };
    let behind = |value: &mut Expr| {
        if can_fail(value, schema) {
            let then = Box::new(std::mem::take(value));
            let when_then_expr = vec![(filter.clone(), then)];
            *value = Expr::Case(Case { expr: None, when_then_expr, else_expr: None });
        }
    };
    call.params.args.iter_mut().for_each(behind);
    call.params.order_by.iter_mut().map(|sort| &mut sort.expr).for_each(behind);
    call
}
