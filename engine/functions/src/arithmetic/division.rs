//! Division of the unscaled values of DECIMALs, rounded half away from zero. Arrow's kernel cuts off, and fails where the
//! dividend with more decimals does not fit although the result does.

use arrow::datatypes::i256;
use arrow::error::ArrowError;

/// `dividend * 10^shift / divisor`.
pub(super) fn quotient(dividend: i128, divisor: i128, shift: u32) -> Result<i128, ArrowError> {
    if divisor == 0 {
        return Err(ArrowError::DivideByZero);
    }
    if let Some(shifted) = 10_i128.checked_pow(shift).and_then(|factor| dividend.checked_mul(factor)) {
        return Ok(divided(shifted, divisor));
    }
    let overflow = || ArrowError::ArithmeticOverflow(format!("{dividend} / {divisor} has more digits than a DECIMAL"));
    let factor = i256::from_i128(10).checked_pow(shift).ok_or_else(overflow)?;
    let shifted = i256::from_i128(dividend).checked_mul(factor).ok_or_else(overflow)?;
    divided_wide(shifted, i256::from_i128(divisor)).and_then(i256::to_i128).ok_or_else(overflow)
}

/// `value / 10^digits`.
pub(super) fn rounded(value: i128, digits: u32) -> Option<i128> {
    match digits {
        0 => Some(value),
        _ => 10_i128.checked_pow(digits).map(|step| divided(value, step)),
    }
}

/// As [`rounded`], of what 128 bits have no room for.
pub(super) fn rounded_wide(value: i256, digits: u32) -> Option<i256> {
    divided_wide(value, i256::from_i128(10).checked_pow(digits)?)
}

fn divided(dividend: i128, divisor: i128) -> i128 {
    let (whole, rest) = (dividend / divisor, (dividend % divisor).unsigned_abs());
    let up = rest >= divisor.unsigned_abs() - rest;
    let sign = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
    if up { whole + sign } else { whole }
}

fn divided_wide(dividend: i256, divisor: i256) -> Option<i256> {
    let whole = dividend.checked_div(divisor)?;
    let rest = dividend.checked_rem(divisor)?.wrapping_abs();
    let up = rest >= divisor.wrapping_abs().wrapping_sub(rest);
    let sign = if dividend.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    Some(if up { whole.wrapping_add(sign) } else { whole })
}
