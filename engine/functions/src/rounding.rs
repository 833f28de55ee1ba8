//! `FLOOR`, `CEIL`, `ROUND` and `TRUNCATE`, which stay within the kind of their argument: whole numbers are whole numbers of the same
//! type, and DECIMALs computed as such. DataFusion's go through DOUBLE, which has no room for 9007199254740993. `ROUND` and `TRUNCATE`
//! of floating-point numbers go by the digits that they are written with, as in Flink: `ROUND(1.005e0, 2)` is 1.01.

mod floats;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, DecimalType, Field, FieldRef, Int64Type};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::definition::plan_error;

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Down,
    Up,
    TowardsZero,
    /// Halves away from zero.
    Nearest,
}

impl Direction {
    /// The multiple of `step` next to `value` in this direction. It fits into 128 bits where `value` has no more digits
    /// than a DECIMAL, as all have but those behind a null.
    fn round(self, value: i128, step: i128) -> i128 {
        let beyond = value % step;
        let inner = value - beyond;
        match self {
            Direction::Down if beyond < 0 => inner.wrapping_sub(step),
            Direction::Up if beyond > 0 => inner.wrapping_add(step),
            Direction::Nearest if beyond.unsigned_abs() >= step.unsigned_abs() - beyond.unsigned_abs() => {
                inner.wrapping_add(step.wrapping_mul(beyond.signum()))
            }
            _ => inner,
        }
    }

    /// Whether it takes the number of decimals that are kept.
    fn takes_places(self) -> bool {
        matches!(self, Direction::TowardsZero | Direction::Nearest)
    }
}

#[derive(Debug)]
struct Rounding {
    name: &'static str,
    direction: Direction,
    signature: Signature,
    /// What computes floating-point numbers, where no places are taken.
    of_floats: Option<Arc<ScalarUDF>>,
}

/// In place of DataFusion's functions of the same names.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let functions = [
        ("floor", Direction::Down, Some(datafusion_functions::math::floor())),
        ("ceil", Direction::Up, Some(datafusion_functions::math::ceil())),
        ("trunc", Direction::TowardsZero, None),
        ("round", Direction::Nearest, None),
    ];
    let function = |(name, direction, of_floats)| {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Rounding { name, direction, signature, of_floats }))
    };
    functions.into_iter().map(function).collect()
}

impl PartialEq for Rounding {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Rounding {}

impl Hash for Rounding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let number = match types {
            [number] => number,
            [number, places] if self.direction.takes_places() && (places.is_integer() || places.is_null()) => number,
            _ if self.direction.takes_places() => {
                return plan_error(format!("expected `{}(number[, places])`", self.name.to_uppercase()));
            }
            _ => return plan_error(format!("expected `{}(number)`", self.name.to_uppercase())),
        };
        let number = match number {
            kept if kept.is_integer() || kept.is_floating() || matches!(kept, DataType::Decimal128(..)) => kept.clone(),
            other if other.is_numeric() || other.is_null() => DataType::Float64,
            other => return plan_error(format!("`{}` takes a number, not {other}", self.name.to_uppercase())),
        };
        Ok(std::iter::once(number).chain(types.iter().skip(1).map(|_| DataType::Int64)).collect())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.result_type(types, None)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let places = match args.scalar_arguments.get(1) {
            Some(Some(places)) => match places.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(places) => places,
                _ => None,
            },
            _ => None,
        };
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, self.result_type(&types, places)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else { return plan_error(format!("`{}` has no argument", self.name)) };
        let exact = crate::arithmetic::is_exact(&first.data_type());
        if let (false, Some(of_floats)) = (exact, &self.of_floats) {
            return of_floats.invoke_with_args(args);
        }
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let numbers = first.to_array(rows)?;
        let places = args.args.get(1).map(|places| places.to_array(rows)).transpose()?;
        let result = match numbers.data_type() {
            DataType::Decimal128(..) => self.decimals(&numbers, places.as_ref(), args.return_type())?,
            _ if exact => self.integers(&numbers, places.as_ref())?,
            _ => floats::rounded(&numbers, places.as_ref(), self.direction == Direction::Nearest)?,
        };
        if constant {
            return ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl Rounding {
    /// `places` are those of a constant.
    fn result_type(&self, types: &[DataType], places: Option<i64>) -> Result<DataType> {
        let places = if types.len() > 1 { places } else { Some(0) };
        Ok(match types {
            // The next whole number may have a digit more before the point, and none behind it.
            [DataType::Decimal128(precision, scale)] if *scale > 0 && !self.direction.takes_places() => {
                DataType::Decimal128(*precision, 0)
            }
            [DataType::Decimal128(precision, scale), ..] if self.direction.takes_places() => {
                let kept =
                    places.map_or(*scale, |places| i8::try_from(places.clamp(-1, i64::from(*scale))).unwrap_or(*scale));
                let whole = i16::from(*precision) - i16::from(*scale) + 1;
                match kept {
                    kept if kept >= *scale => DataType::Decimal128(*precision, *scale),
                    kept => {
                        let digits = (whole + i16::from(kept.max(0))).min(DECIMAL128_MAX_PRECISION.into());
                        DataType::Decimal128(u8::try_from(digits).unwrap_or(DECIMAL128_MAX_PRECISION), kept.max(0))
                    }
                }
            }
            [number, ..] if number.is_null() => DataType::Float64,
            [number, ..] => number.clone(),
            [] => return plan_error(format!("`{}` has no argument", self.name)),
        })
    }

    fn integers(&self, numbers: &ArrayRef, places: Option<&ArrayRef>) -> Result<ArrayRef> {
        let Some(places) = places else { return Ok(Arc::clone(numbers)) };
        // All whole numbers have room in a decimal.
        let decimals = cast(numbers, &DataType::Decimal128(38, 0))?;
        let rounded = self.by_places(decimals.as_primitive(), places.as_primitive(), 0);
        let rounded: ArrayRef = Arc::new(rounded.with_precision_and_scale(38, 0)?);
        Ok(arrow::compute::cast_with_options(
            &rounded,
            numbers.data_type(),
            &arrow::compute::CastOptions { safe: false, ..Default::default() },
        )?)
    }

    fn decimals(&self, numbers: &ArrayRef, places: Option<&ArrayRef>, result: &DataType) -> Result<ArrayRef> {
        let decimals = numbers.as_primitive::<Decimal128Type>();
        let DataType::Decimal128(precision, scale) = *result else { return self.wrong(result) };
        let unit = power_of_ten((decimals.scale() - scale).into());
        let rounded = match places {
            Some(places) => {
                let rounded = self.by_places(decimals, places.as_primitive(), decimals.scale());
                rounded.unary::<_, Decimal128Type>(|value| value / unit)
            }
            None => {
                let step = power_of_ten(decimals.scale().into());
                decimals.unary(|value| self.direction.round(value, step) / unit)
            }
        };
        let rounded = rounded.with_precision_and_scale(precision, scale)?;
        rounded.validate_decimal_precision(precision)?;
        Ok(Arc::new(rounded))
    }

    /// Numbers without the digits behind so many places; before the point if it is negative.
    fn by_places(
        &self,
        numbers: &PrimitiveArray<Decimal128Type>,
        places: &PrimitiveArray<Int64Type>,
        scale: i8,
    ) -> PrimitiveArray<Decimal128Type> {
        let rounded = numbers.iter().zip(places).map(|(number, places)| {
            let dropped = i64::from(scale).saturating_sub(places?);
            // Half of more digits than there are is more than any number.
            if dropped > MOST_DIGITS {
                return number.map(|_| 0);
            }
            Some(self.direction.round(number?, power_of_ten(dropped)))
        });
        rounded.collect()
    }

    fn wrong<T>(&self, found: &DataType) -> Result<T> {
        Err(DataFusionError::Internal(format!("`{}` of {found}", self.name)))
    }
}

/// Digits of a DECIMAL.
const MOST_DIGITS: i64 = <Decimal128Type as DecimalType>::MAX_PRECISION as i64;

/// 10 to the power of so many, and no more than there are digits in a DECIMAL.
fn power_of_ten(digits: i64) -> i128 {
    10_i128.pow(u32::try_from(digits.clamp(0, MOST_DIGITS)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
