//! Numbers and truth values in text. What does not fit the type is refused, never cut to size; only decimals are
//! rounded to their scale, as SQL does.

use std::str::FromStr;

/// An integer; also one that is written as a number with a fraction of zero (`1.0`, `2e3`).
#[inline]
pub(super) fn integer<T: FromStr + TryFrom<i128>>(text: &str) -> Option<T> {
    match text.parse() {
        Ok(value) => Some(value),
        Err(_) => exact_integer(text).and_then(|value| T::try_from(value).ok()),
    }
}

#[cold]
fn exact_integer(text: &str) -> Option<i128> {
    let scaled = Number::parse(text)?.scaled(0)?;
    scaled.exact.then_some(scaled.value)
}

/// A floating-point number. Infinity is written as a word: digits that are beyond the type are none of its values.
#[inline]
pub(super) fn float<T: FromStr + Into<f64> + Copy>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let is_beyond = value.into().is_infinite() && text.bytes().any(|byte| byte.is_ascii_digit());
    (!is_beyond).then_some(value)
}

/// `true` or `false`, in any case.
#[inline]
pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// The unscaled value of a decimal, rounded half away from zero; `None` if it needs more than `precision` digits.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let scaled = Number::parse(text)?.scaled(i32::from(scale))?;
    (scaled.value.unsigned_abs() < 10u128.checked_pow(u32::from(precision))?).then_some(scaled.value)
}

/// A number as it is written: `digits * 10^exponent`.
struct Number {
    negative: bool,
    digits: u128,
    exponent: i32,
    /// Whether digits other than zero behind the point were left out because they are too many. They can decide
    /// neither about rounding nor about size.
    cut: bool,
}

struct Scaled {
    value: i128,
    exact: bool,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let end = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
        let (mantissa, exponent) = unsigned.split_at(end);
        let mut exponent: i32 = match exponent {
            [] => 0,
            // A longer exponent is beyond every type.
            [_, digits @ ..] if digits.len() <= 6 => std::str::from_utf8(digits).ok()?.parse().ok()?,
            _ => return None,
        };
        let (mut digits, mut any, mut fraction, mut full, mut cut) = (0u128, false, false, false, false);
        for byte in mantissa {
            match byte {
                b'.' if !fraction => fraction = true,
                b'0'..=b'9' => {
                    any = true;
                    let digit = u128::from(byte - b'0');
                    match digits.checked_mul(10).and_then(|tens| tens.checked_add(digit)) {
                        Some(longer) if !full => {
                            digits = longer;
                            exponent -= i32::from(fraction);
                        }
                        _ if fraction => {
                            full = true;
                            cut |= digit != 0;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        any.then_some(Self { negative, digits, exponent, cut })
    }

    /// The value in units of `10^-scale`, rounded half away from zero.
    fn scaled(&self, scale: i32) -> Option<Scaled> {
        let shift = self.exponent.checked_add(scale)?;
        let (value, exact) = if self.digits == 0 {
            (0, true)
        } else if shift >= 0 {
            (self.digits.checked_mul(10u128.checked_pow(shift.unsigned_abs())?)?, true)
        } else {
            match 10u128.checked_pow(shift.unsigned_abs()) {
                None => (0, false),
                Some(divisor) => {
                    let remainder = self.digits % divisor;
                    (self.digits / divisor + u128::from(remainder >= divisor / 2), remainder == 0)
                }
            }
        };
        let value = i128::try_from(value).ok()?;
        Some(Scaled { value: if self.negative { -value } else { value }, exact: exact && !self.cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_room_or_are_refused() {
        for (text, single, double) in [
            ("1.5", Some(1.5), Some(1.5)),
            ("1e39", None, Some(1e39)),
            ("-1e400", None, None),
            ("1e-400", Some(0.0), Some(0.0)),
            ("Infinity", Some(f32::INFINITY), Some(f64::INFINITY)),
            ("-inf", Some(f32::NEG_INFINITY), Some(f64::NEG_INFINITY)),
            ("1x", None, None),
        ] {
            assert_eq!((float::<f32>(text), float::<f64>(text)), (single, double), "{text}");
        }
    }

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(integer::<i8>("-128"), Some(-128));
        assert_eq!(integer::<i8>("128"), None);
        assert_eq!(integer::<i64>("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer::<i64>("9223372036854775808"), None);
        assert_eq!(integer::<i64>("1.0"), Some(1));
        assert_eq!(integer::<i64>("25e-1"), None, "a fraction is not cut off");
        assert_eq!(integer::<i32>("2.5e1"), Some(25));
        assert_eq!(integer::<i32>("1e99999999"), None);
        assert_eq!(integer::<i32>(""), None);
        assert_eq!(integer::<i32>("."), None);
        assert_eq!(integer::<i32>("1 2"), None);
        assert_eq!(integer::<i32>("1.00000000000000000000000000000000000000000000000001"), None);
    }

    #[test]
    fn decimals_round_half_away_from_zero_and_keep_their_precision() {
        assert_eq!(decimal("12.345", 10, 2), Some(1235));
        assert_eq!(decimal("-12.345", 10, 2), Some(-1235));
        assert_eq!(decimal("12.344999", 10, 2), Some(1234));
        assert_eq!(decimal("0.5", 3, 0), Some(1));
        assert_eq!(decimal("99.95", 3, 1), None, "rounds up to four digits");
        assert_eq!(decimal("1e3", 4, 0), Some(1000));
        assert_eq!(decimal("1e-40", 38, 2), Some(0));
        assert_eq!(decimal("99999999999999999999999999999999999999", 38, 0), Some(10i128.pow(38) - 1));
        assert_eq!(decimal("100000000000000000000000000000000000000", 38, 0), None);
        assert_eq!(decimal("abc", 38, 0), None);
    }
}
