//! Text as numbers, as Flink's casts read it: blanks around it count for nothing, whole numbers lose what stands behind a point, and
//! DECIMALs are rounded half away from zero.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow::error::ArrowError;

use crate::type_of::sql_type_name;

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
            None if !safe => Err(ArrowError::CastError(format!("'{text}' cannot be read as {}", sql_type_name(to)))),
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
    let Digits { negative, whole, behind, exponent } = Digits::of(text)?;
    let written = i64::try_from(whole.len()).ok()?;
    // So many digits are kept, and the next one says which way they are rounded.
    let kept = written.checked_add(i64::from(exponent))?.checked_add(i64::from(scale))?;
    let limit = 10_i128.checked_pow(precision.into())?;
    let (mut unscaled, mut up, mut seen) = (0_i128, false, 0_i64);
    for byte in whole.bytes().chain(behind.bytes()) {
        let digit = i128::from(byte - b'0');
        if seen < kept {
            unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
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

/// A number as it is written: digits before and behind a point, and the power of ten that they are multiplied by.
struct Digits<'a> {
    negative: bool,
    whole: &'a str,
    behind: &'a str,
    exponent: i32,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Option<Self> {
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
        let are_digits = whole.bytes().chain(behind.bytes()).all(|byte| byte.is_ascii_digit());
        (are_digits && whole.len() + behind.len() > 0).then_some(Self { negative, whole, behind, exponent })
    }
}

/// The exact number that a text says: `unscaled` divided by 10 to the power of `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The digits as a whole number.
    pub unscaled: i128,
    /// How many of them are decimals: from 0 to 38.
    pub scale: i8,
}

impl Written {
    /// `None` if the text is no number, or one that a DECIMAL has no room for.
    pub fn of(text: &str) -> Option<Self> {
        let Digits { negative, whole, behind, exponent } = Digits::of(text)?;
        let written = [whole, behind].concat();
        let written = written.trim_start_matches('0');
        let digits = written.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { unscaled: 0, scale: 0 });
        }
        let zeros = i64::try_from(written.len() - digits.len()).ok()?;
        let scale = i64::try_from(behind.len()).ok()? - i64::from(exponent) - zeros;
        let scale = i32::try_from(scale).ok()?;
        let missing = 10_i128.checked_pow(scale.min(0).unsigned_abs())?;
        let unscaled = digits.parse::<i128>().ok()?.checked_mul(missing)?;
        let fits = unscaled < 10_i128.pow(38) && scale <= 38;
        let scale = i8::try_from(scale.max(0)).ok()?;
        fits.then_some(Self { unscaled: if negative { -unscaled } else { unscaled }, scale })
    }
}

/// DOUBLE and FLOAT as DECIMAL, by the shortest digits that say which DOUBLE it is, rounded half away from zero: `1.005e0` has
/// three decimals, though the nearest DOUBLE is a little less. A FLOAT is the DOUBLE of its value, as in Flink.
pub(super) fn of_floats(values: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    let DataType::Decimal128(precision, scale) = *to else { return cast(values, to) };
    let values = cast(values, &DataType::Float64)?;
    let mut digits = String::new();
    let mut read = |value: f64| {
        digits.clear();
        // The digits of an infinity or a NaN are none.
        let _ = write!(digits, "{value:e}");
        match decimal(&digits, precision, scale) {
            None if !safe => {
                Err(ArrowError::CastError(format!("{digits} is out of the range of {}", sql_type_name(to))))
            }
            number => Ok(number),
        }
    };
    let values = values.as_primitive::<Float64Type>();
    let decimals = values.iter().map(|value| value.map_or(Ok(None), &mut read));
    let decimals = decimals.collect::<Result<Decimal128Array, _>>()?;
    Ok(Arc::new(decimals.with_precision_and_scale(precision, scale)?))
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
    use arrow::array::Float64Array;

    use super::*;

    #[test]
    fn text_says_an_exact_number() {
        for (text, expected) in [
            ("0.0000000000000000001", Some((1, 19))),
            (" -1.50 ", Some((-15, 1))),
            ("1e3", Some((1000, 0))),
            ("12.5e-3", Some((125, 4))),
            ("0e99", Some((0, 0))),
            ("00100.00", Some((100, 0))),
            ("1e38", None),
            ("1e-39", None),
            ("abc", None),
            ("1.2.3", None),
            ("", None),
        ] {
            let expected = expected.map(|(unscaled, scale)| Written { unscaled, scale });
            assert_eq!(Written::of(text), expected, "{text}");
        }
        let long = format!("{}.{}", "9".repeat(20), "9".repeat(18));
        assert_eq!(Written::of(&long), Some(Written { unscaled: 10_i128.pow(38) - 1, scale: 18 }));
        assert_eq!(Written::of(&format!("{long}9")), None);
    }

    #[test]
    fn floats_have_the_digits_that_they_are_written_with() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.005, 8.575, -1.005, 1.1, 1e7, f64::NAN, 1e300]));
        let of = |precision, scale| {
            let decimals = of_floats(&values, &DataType::Decimal128(precision, scale), true).unwrap();
            let decimals = decimals.as_primitive::<Decimal128Type>();
            decimals.iter().collect::<Vec<_>>()
        };
        assert_eq!(of(10, 2), [Some(101), Some(858), Some(-101), Some(110), Some(1_000_000_000), None, None]);
        assert_eq!(of(38, 30)[3], Some(11 * 10_i128.pow(29)));
        let error = of_floats(&values, &DataType::Decimal128(10, 2), false).unwrap_err();
        assert!(error.to_string().contains("NaN is out of the range of DECIMAL(10, 2)"), "{error}");
        let single: ArrayRef = Arc::new(arrow::array::Float32Array::from(vec![0.1_f32]));
        let single = of_floats(&single, &DataType::Decimal128(20, 15), false).unwrap();
        assert_eq!(single.as_primitive::<Decimal128Type>().value(0), 100_000_001_490_116);
    }

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
