//! Comparisons of DECIMAL with DOUBLE. DataFusion would make a DECIMAL(30, 15) of a DOUBLE, which moves its digits, so
//! that `m = 99428.65` finds nothing. A number as written is compared as the decimal that it says; every other DOUBLE
//! is compared as DOUBLE.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::expr::InList;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::merge_schema;
use datafusion_expr::{Between, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion_optimizer::AnalyzerRule;
use weir_core::Error;

/// Digits that a DOUBLE keeps of any number.
const EXACT_DIGITS: usize = 15;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ExactDecimals;

impl AnalyzerRule for ExactDecimals {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = expr.transform_up(|expr| comparison(expr, &schema))?;
                Ok(expr.update_data(|expr| name.restore(expr)))
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "exact_decimals"
    }
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn comparison(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { mut left, op, mut right }) if is_comparison(op) => {
            align(&mut [&mut left, &mut right], schema)?;
            Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            align(&mut [&mut expr, &mut low, &mut high], schema)?;
            Ok(Transformed::yes(Expr::Between(Between { expr, negated, low, high })))
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut parts: Vec<&mut Expr> = vec![&mut *expr];
            parts.extend(&mut list);
            align(&mut parts, schema)?;
            Ok(Transformed::yes(Expr::InList(InList { expr, list, negated })))
        }
        Expr::Case(Case { expr: Some(mut operand), mut when_then_expr, else_expr }) => {
            let mut parts: Vec<&mut Expr> = vec![&mut *operand];
            parts.extend(when_then_expr.iter_mut().map(|(when, _)| &mut **when));
            align(&mut parts, schema)?;
            Ok(Transformed::yes(Expr::Case(Case { expr: Some(operand), when_then_expr, else_expr })))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Gives expressions that are compared with each other types that compare exactly.
fn align(parts: &mut [&mut Expr], schema: &DFSchema) -> Result<()> {
    // What has no type yet is refused by the coercion that follows.
    let types: Vec<DataType> = parts.iter().map(|part| part.get_type(schema).unwrap_or(DataType::Null)).collect();
    let decimals: Vec<(u8, i8)> = types
        .iter()
        .filter_map(|data_type| match data_type {
            DataType::Decimal128(precision, scale) => Some((*precision, *scale)),
            _ => None,
        })
        .collect();
    if decimals.is_empty() || !types.iter().any(DataType::is_floating) {
        return Ok(());
    }
    match written(parts, &types, &decimals)? {
        Some(literals) => {
            for (at, literal) in literals {
                *parts[at] = Expr::Literal(literal, None);
            }
        }
        None => {
            for (part, data_type) in parts.iter_mut().zip(&types) {
                if matches!(data_type, DataType::Decimal128(..)) {
                    **part = cast(std::mem::take(*part), DataType::Float64);
                }
            }
        }
    }
    Ok(())
}

/// The floating parts as decimals, if each is a number as written and all fit into one type with `decimals`.
fn written(
    parts: &[&mut Expr],
    types: &[DataType],
    decimals: &[(u8, i8)],
) -> Result<Option<Vec<(usize, ScalarValue)>>> {
    let mut literals = Vec::new();
    let mut all = decimals.to_vec();
    for (at, part) in parts.iter().enumerate().filter(|(at, _)| types[*at].is_floating()) {
        let Expr::Literal(ScalarValue::Float64(Some(value)), _) = &**part else { return Ok(None) };
        let Some((unscaled, precision, scale)) = decimal(*value)? else { return Ok(None) };
        all.push((precision, scale));
        literals.push((at, ScalarValue::Decimal128(Some(unscaled), precision, scale)));
    }
    let whole = all.iter().map(|(precision, scale)| i16::from(*precision) - i16::from(*scale)).max();
    let scale = all.iter().map(|(_, scale)| i16::from(*scale)).max();
    let width = whole.unwrap_or(0) + scale.unwrap_or(0);
    Ok((width <= i16::from(DECIMAL128_MAX_PRECISION)).then_some(literals))
}

/// The decimal that was written for `value`: its unscaled value, precision and scale.
fn decimal(value: f64) -> Result<Option<(i128, u8, i8)>> {
    let text = format!("{value:e}");
    let parsed = text.split_once('e').and_then(|(mantissa, exponent)| {
        let unscaled: i128 = mantissa.replace('.', "").parse().ok()?;
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
        Some((unscaled, digits, exponent.parse::<i32>().ok()?))
    });
    let Some((unscaled, digits, exponent)) = parsed else { return Ok(None) };
    if digits > EXACT_DIGITS {
        return Err(DataFusionError::External(Box::new(
            Error::user(format!(
                "a DECIMAL is compared with the number {value}, which has more digits than a DOUBLE keeps"
            ))
            .with_help("write the number as `CAST('…' AS DECIMAL(p, s))`"),
        )));
    }
    let scale = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    let fit = || {
        let whole = u32::try_from(-scale).unwrap_or(0);
        let unscaled = unscaled.checked_mul(10_i128.checked_pow(whole)?)?;
        let scale = scale.max(0);
        let precision = i32::try_from(unscaled.unsigned_abs().checked_ilog10().unwrap_or(0)).ok()? + 1;
        let precision = u8::try_from(precision.max(scale)).ok()?;
        (precision <= DECIMAL128_MAX_PRECISION).then_some((unscaled, precision, i8::try_from(scale).ok()?))
    };
    Ok(fit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::decimal;

    #[test]
    fn numbers_are_the_decimals_that_were_written() {
        assert_eq!(decimal(99428.65).unwrap(), Some((9_942_865, 7, 2)));
        assert_eq!(decimal(-0.05).unwrap(), Some((-5, 2, 2)));
        assert_eq!(decimal(1e3).unwrap(), Some((1000, 4, 0)));
        assert_eq!(decimal(0.0).unwrap(), Some((0, 1, 0)));
        assert_eq!(decimal(1e-60).unwrap(), None);
        assert_eq!(decimal(1e60).unwrap(), None);
        assert!(decimal(1.0 / 3.0).is_err());
    }
}
