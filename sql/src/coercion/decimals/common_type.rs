//! The type that numbers share where they meet.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, i256};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable};
use weir_core::Error;

use crate::parse::sql_type_name;

/// Digits that a DOUBLE keeps of any number.
const EXACT_DIGITS: usize = 15;

/// Digits of the decimals that comparisons are made in where 38 are too few. Two sides need no more than this.
const COMPARED_DIGITS: i16 = 76;

/// How numbers meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meeting {
    /// They stand in one column.
    Values,
    /// They are compared.
    Comparison,
    /// They are compared, and the type may become that of a join's key.
    Key,
}

/// What meets others.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// Values of this type.
    Values(DataType),
    /// A number with a point or an exponent, as it is written.
    Floating(f64),
    /// An integer, as it is written.
    Integer(i128),
}

/// A decimal as it is written: `unscaled` divided by 10 to the power of `scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Written {
    unscaled: i128,
    precision: u8,
    scale: u8,
}

impl Part {
    pub(super) fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr {
            Expr::Literal(ScalarValue::Float64(Some(value)), _) => Part::Floating(*value),
            Expr::Literal(ScalarValue::Int64(Some(value)), _) => Part::Integer(i128::from(*value)),
            Expr::Literal(ScalarValue::UInt64(Some(value)), _) => Part::Integer(i128::from(*value)),
            // What has no type yet is refused by the coercion that follows.
            _ => Part::Values(expr.get_type(schema).unwrap_or(DataType::Null)),
        }
    }

    /// `expr`, which this part is, in the type that all parts share.
    pub(super) fn converted(&self, expr: Expr, common: &DataType, schema: &DFSchema) -> Result<Expr> {
        let written = match self {
            Part::Floating(value) => written(*value)?,
            Part::Integer(value) => Some(whole_number(*value)),
            Part::Values(DataType::Null) => return Ok(expr),
            Part::Values(data_type) if !data_type.is_numeric() => return Ok(expr),
            Part::Values(_) => None,
        };
        let literal = written.and_then(|written| written.literal(common));
        literal.map_or_else(|| expr.cast_to(common, schema), |literal| Ok(Expr::Literal(literal, None)))
    }

    /// Digits before and behind the point; `None` if it is not exact, or no number.
    fn digits(&self) -> Option<(i16, i16)> {
        let written = |written: Written| {
            let scale = i16::from(written.scale);
            (i16::from(written.precision) - scale, scale)
        };
        match self {
            Part::Floating(value) => self::written(*value).ok().flatten().map(written),
            Part::Integer(value) => Some(written(whole_number(*value))),
            Part::Values(DataType::Decimal128(precision, scale)) => {
                Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
            }
            Part::Values(DataType::Int8 | DataType::UInt8) => Some((3, 0)),
            Part::Values(DataType::Int16 | DataType::UInt16) => Some((5, 0)),
            Part::Values(DataType::Int32 | DataType::UInt32) => Some((10, 0)),
            Part::Values(DataType::Int64) => Some((19, 0)),
            Part::Values(DataType::UInt64) => Some((20, 0)),
            Part::Values(_) => None,
        }
    }

    /// As it is called in messages.
    fn name(&self) -> String {
        match self {
            Part::Values(data_type) => sql_type_name(data_type),
            Part::Floating(value) => format!("{value:?}"),
            Part::Integer(value) => value.to_string(),
        }
    }
}

impl Written {
    /// It in `data_type`, if that is a DECIMAL. There is room for it.
    fn literal(self, data_type: &DataType) -> Option<ScalarValue> {
        match data_type {
            DataType::Decimal128(precision, scale) => {
                let power = 10_i128.checked_pow(u32::try_from(*scale).ok()?.checked_sub(u32::from(self.scale))?)?;
                Some(ScalarValue::Decimal128(Some(self.unscaled.checked_mul(power)?), *precision, *scale))
            }
            DataType::Decimal256(precision, scale) => {
                let more = u32::try_from(*scale).ok()?.checked_sub(u32::from(self.scale))?;
                let power = i256::from_i128(10).checked_pow(more)?;
                let unscaled = i256::from_i128(self.unscaled).checked_mul(power)?;
                Some(ScalarValue::Decimal256(Some(unscaled), *precision, *scale))
            }
            _ => None,
        }
    }
}

/// The type that `parts` share; `None` if that is not for decimals to say.
///
/// # Errors
/// A user error if no type has room for all of them.
pub(super) fn common_type(parts: &[Part], meeting: Meeting) -> Result<Option<DataType>> {
    let types = || {
        parts.iter().filter_map(|part| match part {
            Part::Values(data_type) => Some(data_type),
            _ => None,
        })
    };
    let is_other = |data_type: &DataType| !data_type.is_numeric() && *data_type != DataType::Null;
    // Numbers beside text become text, each by itself.
    if !types().any(|data_type| matches!(data_type, DataType::Decimal128(..)))
        || (meeting == Meeting::Values && types().any(is_other))
    {
        return Ok(None);
    }
    if types().any(DataType::is_floating) {
        return Ok(Some(DataType::Float64));
    }
    let mut far = 0;
    for part in parts {
        if let Part::Floating(value) = part
            && written(*value)?.is_none()
        {
            far += 1;
        }
    }
    if far > 0 {
        // One DECIMAL compares exactly with numbers so great or so small, because none of its values rounds to them:
        // but to 1e38 does the greatest.
        let rounded_to = parts.iter().any(|part| matches!(part, Part::Floating(value) if value.abs() == 1e38));
        if meeting == Meeting::Values || (far + 1 == parts.len() && !rounded_to) {
            return Ok(Some(DataType::Float64));
        }
        return Err(too_long(parts, "at most 38 digits, and a number here has more"));
    }
    let digits = || parts.iter().filter_map(Part::digits);
    let whole = digits().map(|(whole, _)| whole).max().unwrap_or(0);
    let scale = digits().map(|(_, scale)| scale).max().unwrap_or(0);
    let limit = if meeting == Meeting::Comparison { COMPARED_DIGITS } else { i16::from(DECIMAL128_MAX_PRECISION) };
    let total = (whole + scale).max(1);
    let (Ok(precision), Ok(scale)) = (u8::try_from(total), i8::try_from(scale)) else { return Ok(None) };
    match total {
        _ if total > limit => Err(too_long(parts, &format!("at most 38 digits, and together they need {total}"))),
        _ if precision <= DECIMAL128_MAX_PRECISION => Ok(Some(DataType::Decimal128(precision, scale))),
        _ => Ok(Some(DataType::Decimal256(precision, scale))),
    }
}

fn too_long(parts: &[Part], why: &str) -> DataFusionError {
    let mut names: Vec<String> = Vec::new();
    for name in parts.iter().map(Part::name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    user_error(
        format!("{} have no type in common: a DECIMAL has {why}", names.join(" and ")),
        "say which digits count, as in `CAST(… AS DECIMAL(38, 10))`, or take `CAST(… AS DOUBLE)`",
    )
}

fn user_error(message: String, help: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Error::user(message).with_help(help)))
}

fn whole_number(value: i128) -> Written {
    let digits = value.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
    Written { unscaled: value, precision: u8::try_from(digits).unwrap_or(u8::MAX), scale: 0 }
}

/// The decimal that was written for `value`; `None` if it takes more than 38 digits.
fn written(value: f64) -> Result<Option<Written>> {
    let text = format!("{value:e}");
    let parsed = text.split_once('e').and_then(|(mantissa, exponent)| {
        let unscaled: i128 = mantissa.replace('.', "").parse().ok()?;
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
        Some((unscaled, digits, exponent.parse::<i32>().ok()?))
    });
    let Some((unscaled, digits, exponent)) = parsed else { return Ok(None) };
    if digits > EXACT_DIGITS {
        return Err(user_error(
            format!("a DECIMAL meets the number {value:?}, which has more digits than a DOUBLE keeps"),
            "write the number as `CAST('…' AS DECIMAL(p, s))`",
        ));
    }
    let scale = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
    let fit = || {
        let whole = u32::try_from(-scale).unwrap_or(0);
        let unscaled = unscaled.checked_mul(10_i128.checked_pow(whole)?)?;
        let scale = u8::try_from(scale.max(0)).ok()?;
        let precision = whole_number(unscaled).precision.max(scale);
        (precision <= DECIMAL128_MAX_PRECISION).then_some(Written { unscaled, precision, scale })
    };
    Ok(fit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    fn number(value: f64) -> Option<(i128, u8, u8)> {
        written(value).unwrap().map(|written| (written.unscaled, written.precision, written.scale))
    }

    #[test]
    fn numbers_are_the_decimals_that_were_written() {
        assert_eq!(number(99428.65), Some((9_942_865, 7, 2)));
        assert_eq!(number(-0.05), Some((-5, 2, 2)));
        assert_eq!(number(1e3), Some((1000, 4, 0)));
        assert_eq!(number(0.0), Some((0, 1, 0)));
        assert_eq!(number(1e-20), Some((1, 20, 20)));
        assert_eq!(number(1e-60), None);
        assert_eq!(number(1e60), None);
        assert!(written(1.0 / 3.0).is_err());
    }
}
