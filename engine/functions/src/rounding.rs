//! `FLOOR`, `CEIL` and `TRUNCATE` that stay within the type of their argument: whole numbers are left as they are, and
//! DECIMALs computed as such. DataFusion's go through DOUBLE, which has no room for 9007199254740993. Floating-point
//! numbers are left to DataFusion.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Int64Type};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::definition::plan_error;

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Down,
    Up,
    TowardsZero,
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
            _ => inner,
        }
    }
}

#[derive(Debug)]
struct Rounding {
    name: &'static str,
    direction: Direction,
    signature: Signature,
    /// What computes floating-point numbers.
    of_floats: Arc<ScalarUDF>,
}

/// In place of DataFusion's functions of the same names.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let functions = [
        ("floor", Direction::Down, datafusion_functions::math::floor()),
        ("ceil", Direction::Up, datafusion_functions::math::ceil()),
        ("trunc", Direction::TowardsZero, datafusion_functions::math::trunc()),
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
        let digits = self.direction == Direction::TowardsZero;
        let number = match types {
            [number] => number,
            [number, places] if digits && (places.is_integer() || places.is_null()) => number,
            _ if digits => return plan_error("expected `TRUNCATE(number[, places])`"),
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
        Ok(match types {
            // The next whole number may have a digit more before the point, and none behind it.
            [DataType::Decimal128(precision, scale)] if *scale > 0 => DataType::Decimal128(*precision, 0),
            [number, ..] if number.is_null() => DataType::Float64,
            [number, ..] => number.clone(),
            [] => return plan_error(format!("`{}` has no argument", self.name)),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_exact = |value: &ColumnarValue| crate::arithmetic::is_exact(&value.data_type());
        if !args.args.first().is_some_and(is_exact) {
            return self.of_floats.invoke_with_args(args);
        }
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let numbers = args.args[0].to_array(rows)?;
        let places = args.args.get(1).map(|places| places.to_array(rows)).transpose()?;
        let result = match numbers.data_type() {
            DataType::Decimal128(..) => self.decimals(&numbers, places.as_ref(), args.return_type())?,
            _ => self.integers(&numbers, places.as_ref())?,
        };
        if constant {
            return ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl Rounding {
    fn integers(&self, numbers: &ArrayRef, places: Option<&ArrayRef>) -> Result<ArrayRef> {
        let Some(places) = places else { return Ok(Arc::clone(numbers)) };
        // All whole numbers have room in a decimal.
        let decimals = cast(numbers, &DataType::Decimal128(38, 0))?;
        let rounded = self.by_places(decimals.as_primitive(), places.as_primitive(), 0);
        Ok(cast(&(Arc::new(rounded.with_precision_and_scale(38, 0)?) as ArrayRef), numbers.data_type())?)
    }

    fn decimals(&self, numbers: &ArrayRef, places: Option<&ArrayRef>, result: &DataType) -> Result<ArrayRef> {
        let decimals = numbers.as_primitive::<Decimal128Type>();
        let DataType::Decimal128(precision, scale) = *result else { return self.wrong(result) };
        let rounded = match places {
            Some(places) => self.by_places(decimals, places.as_primitive(), decimals.scale()),
            None => {
                let step = power_of_ten(decimals.scale().into());
                let unit = if scale == decimals.scale() { 1 } else { step };
                decimals.unary(|value| self.direction.round(value, step) / unit)
            }
        };
        Ok(Arc::new(rounded.with_precision_and_scale(precision, scale)?))
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
            Some(self.direction.round(number?, power_of_ten(dropped)))
        });
        rounded.collect()
    }

    fn wrong<T>(&self, found: &DataType) -> Result<T> {
        Err(DataFusionError::Internal(format!("`{}` of {found}", self.name)))
    }
}

/// 10 to the power of so many, and no more than there are digits in a DECIMAL.
fn power_of_ten(digits: i64) -> i128 {
    const MOST: i64 = <Decimal128Type as DecimalType>::MAX_PRECISION as i64;
    10_i128.pow(u32::try_from(digits.clamp(0, MOST)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
