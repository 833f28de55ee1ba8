//! The type that numbers share where they meet.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, i256};
use datafusion_common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion_expr::{Expr, ExprSchemable};
use weir_core::Error;
use weir_functions::arithmetic::digits;

use super::super::written::double;
use crate::parse::sql_type_name;

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
    /// A number as it is written.
    Written(Written),
}

/// A number as it is written: `unscaled` divided by 10 to the power of `scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    unscaled: i128,
    precision: u8,
    scale: u8,
    data_type: DataType,
}

impl Part {
    pub(super) fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match expr {
            Expr::Literal(value, _) => {
                Written::of(value).map_or_else(|| Part::Values(value.data_type()), Part::Written)
            }
            // What has no type yet is refused by the coercion that follows.
            _ => Part::Values(expr.get_type(schema).unwrap_or(DataType::Null)),
        }
    }

    /// `expr`, which this part is, in the type that all parts share.
    pub(super) fn converted(&self, expr: Expr, common: &DataType, schema: &DFSchema) -> Result<Expr> {
        let literal = match self {
            Part::Written(written) => written.literal(common),
            Part::Values(DataType::Null) => return Ok(expr),
            Part::Values(data_type) if !data_type.is_numeric() => return Ok(expr),
            Part::Values(_) => None,
        };
        literal.map_or_else(|| expr.cast_to(common, schema), |literal| Ok(Expr::Literal(literal, None)))
    }

    /// Digits before and behind the point; `None` if it is not exact, or no number. A number as it is written has no more than
    /// those in a comparison, and otherwise as many as its type.
    fn digits(&self, meeting: Meeting) -> Option<(i16, i16)> {
        let (precision, scale) = match self {
            Part::Written(written) if meeting != Meeting::Values => {
                (i16::from(written.precision), i16::from(written.scale))
            }
            other => digits(other.data_type()).map(|(precision, scale)| (i16::from(precision), i16::from(scale)))?,
        };
        Some((precision - scale, scale))
    }

    fn data_type(&self) -> &DataType {
        match self {
            Part::Values(data_type) | Part::Written(Written { data_type, .. }) => data_type,
        }
    }
}

impl Written {
    fn of(value: &ScalarValue) -> Option<Self> {
        let (unscaled, least, scale) = match *value {
            ScalarValue::Int32(Some(number)) => (i128::from(number), 1, 0),
            ScalarValue::Int64(Some(number)) => (i128::from(number), 1, 0),
            ScalarValue::Decimal128(Some(number), _, scale) => (number, u8::try_from(scale).ok()?, scale),
            _ => return None,
        };
        let digits = unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1;
        let precision = u8::try_from(digits).unwrap_or(u8::MAX).max(least);
        Some(Self { unscaled, precision, scale: u8::try_from(scale).ok()?, data_type: value.data_type() })
    }

    /// It in `data_type`, if that is a DECIMAL or DOUBLE. There is room for it.
    fn literal(&self, data_type: &DataType) -> Option<ScalarValue> {
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
            DataType::Float64 => {
                let scale = i8::try_from(self.scale).ok()?;
                Some(double(&ScalarValue::Decimal128(Some(self.unscaled), DECIMAL128_MAX_PRECISION, scale)))
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
    let types = || parts.iter().map(Part::data_type);
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
    let digits = || parts.iter().filter_map(|part| part.digits(meeting));
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
    for name in parts.iter().map(|part| sql_type_name(part.data_type())) {
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
