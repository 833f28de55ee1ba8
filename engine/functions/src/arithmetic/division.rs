//! Division of DECIMALs. The result has four decimals more than the dividend, and the last one is rounded, half away from zero.
//! Arrow's kernel cuts it off, and fails where the dividend with more decimals does not fit although the result does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::compute::kernels::arity::try_binary;
use arrow::compute::kernels::numeric::div;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DataType, Decimal128Type, i256};
use arrow::error::ArrowError;

/// Decimals that the result has more than the dividend.
const MORE_DECIMALS: i8 = 4;

/// `left / right`; of other types than DECIMAL it is left to Arrow.
pub(super) fn divide(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let (dividends, one_dividend) = left.get();
    let (divisors, one_divisor) = right.get();
    let (DataType::Decimal128(digits, scale), DataType::Decimal128(_, by_scale)) =
        (dividends.data_type(), divisors.data_type())
    else {
        return div(left, right);
    };
    let result_scale = scale.saturating_add(MORE_DECIMALS).min(DECIMAL128_MAX_SCALE);
    let Ok(shift) = u32::try_from(result_scale - scale + by_scale) else { return div(left, right) };
    let precision = u32::from(*digits).saturating_add(shift).min(DECIMAL128_MAX_PRECISION.into()) as u8;
    let (dividends, divisors) = (dividends.as_primitive::<Decimal128Type>(), divisors.as_primitive::<Decimal128Type>());
    let one = |dividend: i128, divisor: i128| quotient(dividend, divisor, shift);
    let constant = |array: &Decimal128Array| array.is_valid(0).then(|| array.value(0));
    let result: Decimal128Array = match (one_dividend, one_divisor) {
        (false, true) => match constant(divisors) {
            Some(divisor) => dividends.try_unary(|dividend| one(dividend, divisor))?,
            None => Decimal128Array::new_null(dividends.len()),
        },
        (true, false) => match constant(dividends) {
            Some(dividend) => divisors.try_unary(|divisor| one(dividend, divisor))?,
            None => Decimal128Array::new_null(divisors.len()),
        },
        _ => try_binary(dividends, divisors, one)?,
    };
    Ok(Arc::new(result.with_precision_and_scale(precision, result_scale)?))
}

/// `dividend * 10^shift / divisor`.
fn quotient(dividend: i128, divisor: i128, shift: u32) -> Result<i128, ArrowError> {
    if divisor == 0 {
        return Err(ArrowError::DivideByZero);
    }
    if let Some(shifted) = 10_i128.checked_pow(shift).and_then(|factor| dividend.checked_mul(factor)) {
        let (whole, rest) = (shifted / divisor, (shifted % divisor).unsigned_abs());
        let up = rest >= divisor.unsigned_abs() - rest;
        let sign = if (shifted < 0) == (divisor < 0) { 1 } else { -1 };
        return Ok(if up { whole + sign } else { whole });
    }
    let overflow = || ArrowError::ArithmeticOverflow(format!("{dividend} / {divisor} has more digits than a DECIMAL"));
    let factor = i256::from_i128(10).checked_pow(shift).ok_or_else(overflow)?;
    let shifted = i256::from_i128(dividend).checked_mul(factor).ok_or_else(overflow)?;
    let wide = i256::from_i128(divisor);
    let whole = shifted.checked_div(wide).ok_or_else(overflow)?;
    let rest = shifted.checked_rem(wide).ok_or_else(overflow)?.wrapping_abs();
    let up = rest >= wide.wrapping_abs().wrapping_sub(rest);
    let sign = if (dividend < 0) == (divisor < 0) { i256::ONE } else { i256::MINUS_ONE };
    let rounded = if up { whole.wrapping_add(sign) } else { whole };
    rounded.to_i128().ok_or_else(overflow)
}
