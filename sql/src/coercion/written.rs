//! Numbers as they are written have the types that Flink gives them:
//!
//! | as written | type |
//! |---|---|
//! | `1`, `2147483648`, `9223372036854775808` | the first of `INT`, `BIGINT` and `DECIMAL` that it fits |
//! | `1.50` | the `DECIMAL` of its digits, here `DECIMAL(3, 2)` |
//! | a number of more than 38 digits | `DOUBLE` |
//!
//! DataFusion's planner makes BIGINTs of all whole numbers. One with an exponent is a DOUBLE, which the parser sees to.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, Decimal128Type, Decimal256Type, DecimalType};
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode as _, TreeNodeRecursion};
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::Expr;

/// The expression with literals of these types.
///
/// # Errors
/// None that an expression can cause.
pub(crate) fn written_numbers(expr: Expr) -> Result<Expr> {
    expr.transform_down(|expr| match expr {
        Expr::Literal(value, metadata) => Ok(Transformed::yes(Expr::Literal(written(value), metadata))),
        Expr::AggregateFunction(mut call) => {
            let counts = call.func.name() == "count";
            let params = &mut call.params;
            for (index, argument) in params.args.iter_mut().enumerate() {
                *argument = match std::mem::take(argument) {
                    // `COUNT(*)` is a count of a constant, which DataFusion knows by its type.
                    kept @ Expr::Literal(..) if counts => kept,
                    // Further arguments are settings, such as the share of a percentile.
                    Expr::Literal(value, metadata) if index > 0 => Expr::Literal(setting(value), metadata),
                    other => written_numbers(other)?,
                };
            }
            params.filter = params.filter.take().map(|filter| written_numbers(*filter).map(Box::new)).transpose()?;
            for sort in &mut params.order_by {
                sort.expr = written_numbers(std::mem::take(&mut sort.expr))?;
            }
            Ok(Transformed::new(Expr::AggregateFunction(call), true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })
    .data()
}

fn written(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Int64(Some(number)) => whole(i128::from(number)),
        ScalarValue::UInt64(Some(number)) => whole(i128::from(number)),
        ScalarValue::Decimal128(Some(number), _, 0) => whole(number),
        // A zero in front of the point is a digit, too.
        ScalarValue::Decimal128(Some(number), precision, scale)
            if i16::from(precision) == i16::from(scale) && precision < DECIMAL128_MAX_PRECISION =>
        {
            ScalarValue::Decimal128(Some(number), precision + 1, scale)
        }
        ScalarValue::Decimal256(..) => setting(value),
        other => other,
    }
}

fn whole(number: i128) -> ScalarValue {
    if let Ok(number) = i32::try_from(number) {
        return ScalarValue::Int32(Some(number));
    }
    if let Ok(number) = i64::try_from(number) {
        return ScalarValue::Int64(Some(number));
    }
    let digits = number.unsigned_abs().checked_ilog10().unwrap_or_default() + 1;
    ScalarValue::Decimal128(Some(number), u8::try_from(digits).unwrap_or(DECIMAL128_MAX_PRECISION), 0)
}

/// The constant of an exact number that is not written as one: `unscaled` with so many decimals.
pub(super) fn exact(unscaled: i128, scale: i8) -> ScalarValue {
    if scale == 0 {
        return whole(unscaled);
    }
    let digits = unscaled.unsigned_abs().checked_ilog10().unwrap_or_default() + 1;
    let precision = digits.max(u32::from(scale.unsigned_abs()) + 1);
    let precision = u8::try_from(precision).unwrap_or(DECIMAL128_MAX_PRECISION).min(DECIMAL128_MAX_PRECISION);
    ScalarValue::Decimal128(Some(unscaled), precision, scale)
}

fn setting(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Decimal128(Some(_), ..) | ScalarValue::Decimal256(Some(_), ..) => double(&value),
        other => other,
    }
}

/// The DOUBLE next to a DECIMAL.
pub(super) fn double(value: &ScalarValue) -> ScalarValue {
    let digits = match value {
        ScalarValue::Decimal128(Some(number), precision, scale) => {
            Decimal128Type::format_decimal(*number, *precision, *scale)
        }
        ScalarValue::Decimal256(Some(number), precision, scale) => {
            Decimal256Type::format_decimal(*number, *precision, *scale)
        }
        _ => return ScalarValue::Float64(None),
    };
    ScalarValue::Float64(digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_type_that_it_fits() {
        let of = |value| written(value).data_type().to_string();
        assert_eq!(of(ScalarValue::Int64(Some(i32::MAX.into()))), "Int32");
        assert_eq!(of(ScalarValue::Int64(Some(i64::from(i32::MIN) - 1))), "Int64");
        assert_eq!(of(ScalarValue::UInt64(Some(9_223_372_036_854_775_808))), "Decimal128(19, 0)");
        // 0.1, 1.0 and 0.000
        assert_eq!(of(ScalarValue::Decimal128(Some(1), 1, 1)), "Decimal128(2, 1)");
        assert_eq!(of(ScalarValue::Decimal128(Some(10), 2, 1)), "Decimal128(2, 1)");
        assert_eq!(of(ScalarValue::Decimal128(Some(0), 3, 3)), "Decimal128(4, 3)");
        let long = ScalarValue::Decimal256(Some(arrow::datatypes::i256::from_i128(15)), 40, 1);
        assert_eq!(written(long), ScalarValue::Float64(Some(1.5)));
    }
}
