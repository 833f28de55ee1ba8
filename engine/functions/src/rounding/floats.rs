//! Floating-point numbers without some of the digits that they are written with.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use datafusion_common::{Result, internal_err};

/// Rounded half away from zero if `nearest`, and otherwise towards zero.
pub(super) fn rounded(numbers: &ArrayRef, places: Option<&ArrayRef>, nearest: bool) -> Result<ArrayRef> {
    let places = places.map(|places| places.as_primitive::<Int64Type>());
    let places = |row: usize| places.map_or(Some(0), |places| places.is_valid(row).then(|| places.value(row)));
    match numbers.data_type() {
        DataType::Float64 => {
            let numbers = numbers.as_primitive::<Float64Type>().iter().enumerate();
            let rounded = numbers.map(|(row, number)| Some(double(number?, places(row)?, nearest)));
            Ok(Arc::new(rounded.collect::<arrow::array::Float64Array>()))
        }
        DataType::Float32 => {
            let numbers = numbers.as_primitive::<Float32Type>().iter().enumerate();
            let rounded = numbers.map(|(row, number)| {
                let (number, places) = (number?, places(row)?);
                Some(
                    written(&format!("{number:e}"), places, nearest)
                        .map_or(number, |text| text.parse().unwrap_or(number)),
                )
            });
            Ok(Arc::new(rounded.collect::<arrow::array::Float32Array>()))
        }
        other => internal_err!("{other} is no floating-point number"),
    }
}

/// Numbers up to here, multiplied by a power of ten, keep enough bits behind the point to tell halves from what is next to them.
const SAFE: f64 = 68_719_476_736.0;

fn double(number: f64, places: i64, nearest: bool) -> f64 {
    if let Ok(places) = i32::try_from(places)
        && (0..=15).contains(&places)
    {
        let factor = 10_f64.powi(places);
        let scaled = number * factor;
        let clear = |at: f64| (scaled.abs().fract() - at).abs() > 1e-4;
        if scaled.abs() < SAFE && if nearest { clear(0.5) } else { clear(0.0) && clear(1.0) } {
            return (if nearest { scaled.round() } else { scaled.trunc() }) / factor + 0.0;
        }
    }
    written(&format!("{number:e}"), places, nearest).map_or(number, |text| text.parse().unwrap_or(number))
}

/// The number that `text` says, as `1.25e-3`, with so many places; `None` if it has no more of them.
fn written(text: &str, places: i64, nearest: bool) -> Option<String> {
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
    // Digits before the point are one and `exponent`.
    let kept = exponent.checked_add(1)?.checked_add(places)?;
    if kept >= i64::try_from(digits.len()).ok()? {
        return None;
    }
    let Ok(kept) = usize::try_from(kept) else { return Some("0".to_owned()) };
    let up = nearest && digits[kept] >= 5;
    let mut unscaled: u64 = digits[..kept].iter().fold(0, |number, digit| number * 10 + u64::from(*digit));
    unscaled += u64::from(up);
    if unscaled == 0 {
        return Some("0".to_owned());
    }
    let shift = exponent + 1 - i64::try_from(kept).ok()?;
    Some(format!("{sign}{unscaled}e{shift}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_the_digits_that_are_written() {
        for (number, places, expected) in [
            (1.005, 2, 1.01),
            (0.285, 2, 0.29),
            (2.5, 0, 3.0),
            (-2.5, 0, -3.0),
            (1_234_567.891, 2, 1_234_567.89),
            (-1e21, 2, -1e21),
            (1.797e308, 2, 1.797e308),
            (55.0, -1, 60.0),
            (5e-324, 2, 0.0),
            (0.999, 2, 1.0),
        ] {
            assert_eq!(double(number, places, true), expected, "{number} to {places}");
        }
        assert_eq!(double(-42.345, 2, false), -42.34);
        assert_eq!(double(42.345, -1, false), 40.0);
        assert_eq!(double(1.15, 2, false), 1.15, "which a DOUBLE is a little less than");
        assert!(double(-0.5, 0, false).is_sign_positive(), "zero has no sign");
        assert!(double(f64::NAN, 2, true).is_nan());
        assert_eq!(double(f64::INFINITY, 2, true), f64::INFINITY);
    }
}
