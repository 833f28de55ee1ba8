//! Arithmetic of DECIMALs, among themselves and with whole numbers, which are DECIMALs of as many digits as their type has.
//!
//! Precision and scale of a result are Flink's, which are those of SQL Server: as many digits as any operands can need. Where that
//! is more than 38, decimals are given up for digits before the point, down to six of them, and the last one is rounded, half away
//! from zero. A result that needs more digits than its type has is an error.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum, Decimal128Array};
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt64Type, i256,
};
use arrow::error::ArrowError;
use datafusion_expr::Operator;

use super::division::{quotient, rounded, rounded_wide};

/// Decimals that are kept where a result has too many digits.
const LEAST_DECIMALS: i16 = 6;

/// Digits of a type of exact numbers, and how many of them stand behind the point.
pub fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    Some(match data_type {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        _ => return None,
    })
}

/// Digits that any result of `left operator right` fits into, and how many of them stand behind the point.
fn needed(operator: Operator, left: (u8, i8), right: (u8, i8)) -> Option<(i16, i16)> {
    let [(left_digits, left_scale), (right_digits, right_scale)] =
        [left, right].map(|(precision, scale)| (i16::from(precision), i16::from(scale)));
    let (left_whole, right_whole) = (left_digits - left_scale, right_digits - right_scale);
    let scale = left_scale.max(right_scale);
    Some(match operator {
        Operator::Plus | Operator::Minus => (left_whole.max(right_whole) + scale + 1, scale),
        Operator::Multiply => (left_digits + right_digits + 1, left_scale + right_scale),
        Operator::Divide => {
            let scale = LEAST_DECIMALS.max(left_scale + right_digits + 1);
            (left_whole + right_scale + scale, scale)
        }
        Operator::Modulo => (left_whole.min(right_whole) + scale, scale),
        _ => return None,
    })
}

/// Whether every result of `left operator right` has its place in the type of the results.
pub fn always_fits(operator: Operator, left: (u8, i8), right: (u8, i8)) -> bool {
    needed(operator, left, right).is_some_and(|(precision, _)| precision <= DECIMAL128_MAX_PRECISION.into())
}

/// The type of `left operator right`.
pub(super) fn result_type(operator: Operator, left: (u8, i8), right: (u8, i8)) -> Option<DataType> {
    let most = i16::from(DECIMAL128_MAX_PRECISION);
    let (precision, scale) = match needed(operator, left, right)? {
        (precision, scale) if precision <= most => (precision, scale),
        (precision, scale) => (most, scale.min((most - (precision - scale)).max(scale.min(LEAST_DECIMALS)))),
    };
    Some(DataType::Decimal128(u8::try_from(precision.max(1)).ok()?, i8::try_from(scale).ok()?))
}

/// `left operator right`, of which one at least is a DECIMAL.
pub(super) fn binary(operator: Operator, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    let (lefts, one_left) = left.get();
    let (rights, one_right) = right.get();
    let unfit = || ArrowError::InvalidArgumentError(format!("{} {operator} {}", lefts.data_type(), rights.data_type()));
    let (of_left, of_right) = digits(lefts.data_type()).zip(digits(rights.data_type())).ok_or_else(unfit)?;
    let Some(DataType::Decimal128(precision, scale)) = result_type(operator, of_left, of_right) else {
        return Err(unfit());
    };
    let operands = (widened(lefts)?, widened(rights)?);
    let shape = (one_left, one_right);
    let common = of_left.1.max(of_right.1);
    let power = |more: i8| 10_i128.pow(u32::try_from(more).unwrap_or_default());
    let (scale_left, scale_right) = (power(common - of_left.1), power(common - of_right.1));
    let exact = Exact { precision, dropped: 0, scale_left, scale_right };
    let fits = always_fits(operator, of_left, of_right);
    let result = match operator {
        // What is behind a null may be anything, and must not fail.
        Operator::Plus if fits => each(&operands, shape, |left, right| {
            Ok(left.wrapping_mul(scale_left).wrapping_add(right.wrapping_mul(scale_right)))
        }),
        Operator::Minus if fits => each(&operands, shape, |left, right| {
            Ok(left.wrapping_mul(scale_left).wrapping_sub(right.wrapping_mul(scale_right)))
        }),
        Operator::Multiply if fits => each(&operands, shape, |left, right| Ok(left.wrapping_mul(right))),
        Operator::Plus | Operator::Minus => {
            let exact = Exact { dropped: drop(common, scale), ..exact };
            let sign = if operator == Operator::Plus { 1 } else { -1 };
            each(&operands, shape, |left, right| exact.sum(left, right, sign))
        }
        Operator::Multiply => {
            let exact = Exact { dropped: drop(of_left.1 + of_right.1, scale), ..exact };
            each(&operands, shape, |left, right| exact.product(left, right))
        }
        Operator::Divide => {
            let shift = drop(scale + of_right.1, of_left.1);
            each(&operands, shape, |left, right| exact.checked(quotient(left, right, shift)?))
        }
        Operator::Modulo => each(&operands, shape, |left, right| exact.remainder(left, right)),
        _ => Err(unfit()),
    };
    Ok(Arc::new(result?.with_precision_and_scale(precision, scale)?))
}

fn drop(scale: i8, kept: i8) -> u32 {
    u32::try_from(scale - kept).unwrap_or_default()
}

/// Whole numbers as DECIMALs of their digits.
fn widened(array: &dyn Array) -> Result<Decimal128Array, ArrowError> {
    Ok(match array.data_type() {
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().clone(),
        DataType::Int8 => array.as_primitive::<Int8Type>().unary(i128::from),
        DataType::Int16 => array.as_primitive::<Int16Type>().unary(i128::from),
        DataType::Int32 => array.as_primitive::<Int32Type>().unary(i128::from),
        DataType::Int64 => array.as_primitive::<Int64Type>().unary(i128::from),
        DataType::UInt64 => array.as_primitive::<UInt64Type>().unary(i128::from),
        other => return Err(ArrowError::InvalidArgumentError(format!("{other} is no DECIMAL"))),
    })
}

/// `compute` of each row; of the operands, the first value alone counts where they are constant.
fn each(
    (left, right): &(Decimal128Array, Decimal128Array),
    (one_left, one_right): (bool, bool),
    compute: impl Fn(i128, i128) -> Result<i128, ArrowError>,
) -> Result<Decimal128Array, ArrowError> {
    let constant = |array: &Decimal128Array| array.is_valid(0).then(|| array.value(0));
    match (one_left, one_right) {
        (false, true) => match constant(right) {
            Some(right) => left.try_unary(|left| compute(left, right)),
            None => Ok(Decimal128Array::new_null(left.len())),
        },
        (true, false) => match constant(left) {
            Some(left) => right.try_unary(|right| compute(left, right)),
            None => Ok(Decimal128Array::new_null(right.len())),
        },
        _ => try_binary(left, right, compute),
    }
}

/// Arithmetic whose results may have more digits than their type.
#[derive(Clone, Copy)]
struct Exact {
    /// Digits of a result.
    precision: u8,
    /// Decimals that a result has less than it would need.
    dropped: u32,
    /// What brings the operands to as many decimals.
    scale_left: i128,
    scale_right: i128,
}

impl Exact {
    fn checked(&self, value: i128) -> Result<i128, ArrowError> {
        match 10_u128.checked_pow(self.precision.into()) {
            Some(limit) if value.unsigned_abs() < limit => Ok(value),
            _ => Err(overflow(self.precision)),
        }
    }

    /// The value without the decimals that the result lacks.
    fn cut(&self, value: Option<i128>, wide: impl Fn() -> Option<i256>) -> Result<i128, ArrowError> {
        let value = match value {
            Some(value) => rounded(value, self.dropped),
            None => wide().and_then(|value| rounded_wide(value, self.dropped)?.to_i128()),
        };
        self.checked(value.ok_or_else(|| overflow(self.precision))?)
    }

    fn sum(&self, left: i128, right: i128, sign: i128) -> Result<i128, ArrowError> {
        let narrow = || left.checked_mul(self.scale_left)?.checked_add(right.checked_mul(self.scale_right)? * sign);
        self.cut(narrow(), || {
            let left = i256::from_i128(left).checked_mul(i256::from_i128(self.scale_left))?;
            let right = i256::from_i128(right).checked_mul(i256::from_i128(self.scale_right * sign))?;
            left.checked_add(right)
        })
    }

    fn product(&self, left: i128, right: i128) -> Result<i128, ArrowError> {
        self.cut(left.checked_mul(right), || i256::from_i128(left).checked_mul(i256::from_i128(right)))
    }

    fn remainder(&self, left: i128, right: i128) -> Result<i128, ArrowError> {
        if right == 0 {
            return Err(ArrowError::DivideByZero);
        }
        if let (Some(left), Some(right)) = (left.checked_mul(self.scale_left), right.checked_mul(self.scale_right)) {
            return self.checked(left % right);
        }
        let left = i256::from_i128(left).checked_mul(i256::from_i128(self.scale_left));
        let right = i256::from_i128(right).checked_mul(i256::from_i128(self.scale_right));
        let rest = left.zip(right).and_then(|(left, right)| left.checked_rem(right)?.to_i128());
        self.checked(rest.ok_or_else(|| overflow(self.precision))?)
    }
}

fn overflow(precision: u8) -> ArrowError {
    ArrowError::ArithmeticOverflow(format!(
        "a result has more than the {precision} digits that its DECIMAL has room for"
    ))
}
