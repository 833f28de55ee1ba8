//! Text as numbers, as Flink's casts read it: blanks around it count for nothing, whole numbers lose what stands behind a point, and
//! DECIMALs are rounded half away from zero.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::error::ArrowError;

/// Whether text is read as this type here.
pub(super) fn is_read(data_type: &DataType) -> bool {
    use DataType::{Decimal128, Int8, Int16, Int32, Int64};
    matches!(data_type, Int8 | Int16 | Int32 | Int64 | Decimal128(..))
}

pub(super) fn convert(texts: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    match to {
        DataType::Int8 => integers::<Int8Type>(texts, safe),
        DataType::Int16 => integers::<Int16Type>(texts, safe),
        DataType::Int32 => integers::<Int32Type>(texts, safe),
        DataType::Int64 => integers::<Int64Type>(texts, safe),
        DataType::Decimal128(precision, scale) => {
            let read = |text: &str| decimal(text, *precision, *scale);
            let decimals: Decimal128Array = each::<Decimal128Type>(texts, to, safe, read)?;
            Ok(Arc::new(decimals.with_precision_and_scale(*precision, *scale)?))
        }
        _ => cast(texts, to),
    }
}

fn integers<T: ArrowPrimitiveType>(texts: &ArrayRef, safe: bool) -> Result<ArrayRef, ArrowError>
where
    T::Native: TryFrom<i64>,
{
    let read = |text: &str| integer(text).and_then(|number| T::Native::try_from(number).ok());
    Ok(Arc::new(each::<T>(texts, &T::DATA_TYPE, safe, read)?))
}

fn each<T: ArrowPrimitiveType>(
    texts: &ArrayRef,
    to: &DataType,
    safe: bool,
    read: impl Fn(&str) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>, ArrowError> {
    let texts = cast(texts, &DataType::Utf8View)?;
    let numbers = texts.as_string_view().iter().map(|text| match text {
        None => Ok(None),
        Some(text) => match read(text) {
            None if !safe => Err(ArrowError::CastError(format!("Cannot cast string '{text}' to value of {to} type"))),
            number => Ok(number),
        },
    });
    numbers.collect()
}

/// A sign, digits, and more of them behind a point.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    let (whole, behind) = text.split_once('.').unwrap_or((text, ""));
    if !behind.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    whole.parse().ok()
}

/// The unscaled value of what is written with or without point and exponent, if the type has room for it.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let text = text.trim();
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, behind) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + behind.len() == 0 {
        return None;
    }
    let written = i64::try_from(whole.len()).ok()?;
    // So many digits are kept, and the next one says which way they are rounded.
    let kept = written.checked_add(i64::from(exponent))?.checked_add(i64::from(scale))?;
    let limit = 10_i128.checked_pow(precision.into())?;
    let (mut unscaled, mut up, mut seen) = (0_i128, false, 0_i64);
    for byte in whole.bytes().chain(behind.bytes()) {
        let digit = char::from(byte).to_digit(10)?;
        if seen < kept {
            unscaled = unscaled.checked_mul(10)?.checked_add(digit.into())?;
            if unscaled >= limit {
                return None;
            }
        } else if seen == kept {
            up = digit >= 5;
        }
        seen += 1;
    }
    if unscaled != 0 {
        let missing = u32::try_from((kept - seen).max(0)).ok()?;
        unscaled = unscaled.checked_mul(10_i128.checked_pow(missing)?)?;
    }
    unscaled += i128::from(up);
    (unscaled < limit).then_some(if negative { -unscaled } else { unscaled })
}

/// Decimals that are not zero are true.
pub(super) fn is_not_zero(decimals: &ArrayRef) -> ArrayRef {
    let decimals = decimals.as_primitive::<Decimal128Type>();
    Arc::new(arrow::array::BooleanArray::from_unary(decimals, |value| value != 0))
}

/// True is one.
pub(super) fn of_booleans(values: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    let numbers = cast(values, &DataType::Int8)?;
    let options = arrow::compute::CastOptions { safe, ..Default::default() };
    arrow::compute::cast_with_options(&numbers, to, &options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        for (text, expected) in [
            (" 15 ", Some(15)),
            ("1.9", Some(1)),
            ("-1.5", Some(-1)),
            ("+5", Some(5)),
            ("12.", Some(12)),
            ("", None),
            ("1e3", None),
            ("0x1F", None),
            ("1_000", None),
            ("1.2.3", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn decimals() {
        for (text, expected) in [
            ("1e3", Some(100_000)),
            ("1.005", Some(101)),
            ("-1.005", Some(-101)),
            (" .5 ", Some(50)),
            ("5.", Some(500)),
            ("125e-3", Some(13)),
            ("9e-9", Some(0)),
            ("4e-3", Some(0)),
            ("6e-3", Some(1)),
            ("99999999.994", Some(9_999_999_999)),
            ("99999999.995", None),
            ("12345678901.5", None),
            ("1e30", None),
            ("0e30", Some(0)),
            ("abc", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(decimal(text, 10, 2), expected, "{text}");
        }
        // More digits than 128 bits have room for.
        for text in ["9".repeat(39), "9".repeat(400), format!("-{}.5", "9".repeat(39))] {
            assert_eq!(decimal(&text, 38, 0), None, "{text}");
        }
        assert_eq!(decimal(&"9".repeat(36), 38, 3), None);
        assert_eq!(decimal(&"9".repeat(38), 38, 0), Some(10_i128.pow(38) - 1));
    }
}
