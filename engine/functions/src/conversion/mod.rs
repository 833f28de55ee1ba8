//! Casts to text as Flink writes it and from text as it reads it, between times without a detour over nanoseconds, and part by part for
//! arrays, maps and rows. All others are Arrow's.
//!
//! The planner puts a [`Conversion`] in the place of such a cast before DataFusion optimises, and the operators compute it with
//! [`convert`]: so what is constant in a query and what is computed row by row comes out alike, and no rule of the optimiser
//! takes a cast apart that it knows for the years of nanoseconds only.

mod number;
pub(crate) mod parts;
mod table;
mod text;
mod time;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use datafusion_common::{Result, ScalarValue, internal_err};
use datafusion_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub use number::Written;
pub use table::is_castable;

/// Whether a cast from one type to the other is made by [`convert`], and not by Arrow.
pub fn converts(from: &DataType, to: &DataType) -> bool {
    if from == to {
        return false;
    }
    match (from, to) {
        (from, to) if is_text(to) => {
            is_time(from)
                || parts::has_parts(from)
                || from.is_floating()
                || is_interval(from)
                || *from == DataType::Boolean
        }
        (from, to) if is_text(from) && number::is_read(to) => true,
        (from, DataType::Date32 | DataType::Time64(TimeUnit::Nanosecond)) if is_text(from) => true,
        (DataType::Time64(TimeUnit::Nanosecond), DataType::Timestamp(_, zone)) => time::is_utc(zone),
        (from, DataType::Decimal128(..)) if from.is_floating() => true,
        (DataType::Boolean, DataType::Decimal128(..)) | (DataType::Decimal128(..), DataType::Boolean) => true,
        (DataType::Timestamp(_, zone), DataType::Timestamp(_, to_zone)) => time::is_utc(zone) && time::is_utc(to_zone),
        (DataType::Timestamp(_, zone), DataType::Date32) => time::is_utc(zone),
        (DataType::Date32, DataType::Timestamp(_, zone)) => time::is_utc(zone),
        (from, DataType::Timestamp(_, zone)) if is_text(from) => time::is_utc(zone),
        (from, to) => parts::of_same_kind(from, to).is_some(),
    }
}

/// The values of `array` as `to`. What has no counterpart is null if `safe`.
///
/// # Errors
/// If a value has no counterpart, or the types have nothing in common.
pub fn convert(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    let from = array.data_type();
    if from == to {
        return Ok(array.clone());
    }
    let arrow = |array: &ArrayRef| {
        cast_with_options(array, to, &CastOptions { safe, format_options: FormatOptions::default() })
    };
    if !converts(from, to) {
        return arrow(array);
    }
    match (from, to) {
        (_, to) if is_text(to) => {
            let texts = text::texts(array)?;
            if texts.data_type() == to { Ok(texts) } else { arrow(&texts) }
        }
        (from, to) if is_text(from) && number::is_read(to) => number::convert(array, to, safe),
        (from, DataType::Decimal128(..)) if from.is_floating() => number::of_floats(array, to, safe),
        (DataType::Boolean, to) => number::of_booleans(array, to, safe),
        (_, DataType::Boolean) => Ok(number::is_not_zero(array)),
        (_, DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_)) => time::convert(array, to, safe),
        _ => parts::convert(array, to, safe),
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(IntervalUnit::MonthDayNano))
}

fn is_time(data_type: &DataType) -> bool {
    use DataType::{Date32, Date64, Time32, Time64, Timestamp};
    matches!(data_type, Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..))
}

/// A cast in a logical plan that DataFusion takes for a function and lets alone.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Conversion {
    /// The type of the result.
    pub to: DataType,
    /// `TRY_CAST`.
    pub safe: bool,
    signature: Signature,
}

impl Conversion {
    /// The function of such a cast.
    pub fn function(to: DataType, safe: bool) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::from(Self { to, safe, signature: Signature::user_defined(Volatility::Immutable) }))
    }

    /// The cast that `function` stands for, if it is one.
    pub fn of(function: &ScalarUDF) -> Option<&Self> {
        function.inner().downcast_ref::<Self>()
    }
}

impl ScalarUDFImpl for Conversion {
    fn name(&self) -> &str {
        if self.safe { "try_cast" } else { "cast" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = self.safe || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.to.clone(), nullable)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Scalar(value)] => {
                let value = convert(&value.to_array()?, &self.to, self.safe)?;
                ScalarValue::try_from_array(&value, 0).map(ColumnarValue::Scalar)
            }
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(convert(values, &self.to, self.safe)?)),
            _ => internal_err!("a cast has one operand"),
        }
    }
}

#[cfg(test)]
mod tests;
