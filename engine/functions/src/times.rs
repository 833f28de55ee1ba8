//! Points in time as functions read them, in the unit that their type has: nothing is cut, and no year is out of reach.

use arrow::array::{Array, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;
use weir_core::time_text::resolution;

/// Nanoseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000_000;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// Since 1970-01-01.
    pub days: i64,
    /// Since midnight.
    pub nanos: i64,
}

impl Moment {
    /// Nanoseconds since 1970-01-01.
    pub(super) fn total(self) -> i128 {
        i128::from(self.days) * i128::from(DAY) + i128::from(self.nanos)
    }
}

/// Dates, timestamps or times of day, the same for all rows or not.
pub(super) struct Times<'a> {
    ticks: Ticks<'a>,
    /// How many ticks a day has.
    per_day: i64,
}

enum Ticks<'a> {
    Constant(Option<i64>),
    Wide(&'a [i64], Option<&'a NullBuffer>),
    Narrow(&'a [i32], Option<&'a NullBuffer>),
}

/// Ticks of a day in values of this type; `None` if they are no times.
pub(super) fn ticks_per_day(data_type: &DataType) -> Option<i64> {
    match data_type {
        DataType::Date32 => Some(1),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => {
            Some(86_400 * resolution(*unit).0)
        }
        _ => None,
    }
}

impl<'a> Times<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        let data_type = value.data_type();
        let wrong = || DataFusionError::Internal(format!("expected a date or timestamp, found {data_type}"));
        let ticks = match value {
            ColumnarValue::Scalar(ScalarValue::Null) => return Ok(Self { ticks: Ticks::Constant(None), per_day: 1 }),
            ColumnarValue::Scalar(scalar) => Ticks::Constant(scalar_ticks(scalar).ok_or_else(wrong)?),
            ColumnarValue::Array(array) => array_ticks(array.as_ref()).ok_or_else(wrong)?,
        };
        Ok(Self { ticks, per_day: ticks_per_day(&data_type).ok_or_else(wrong)? })
    }

    /// The value of a row, in the unit of its type.
    pub(super) fn at(&self, row: usize) -> Option<i64> {
        let valid = |nulls: &Option<&NullBuffer>| nulls.is_none_or(|nulls| nulls.is_valid(row));
        match &self.ticks {
            Ticks::Constant(ticks) => *ticks,
            Ticks::Wide(values, nulls) => valid(nulls).then(|| values[row]),
            Ticks::Narrow(values, nulls) => valid(nulls).then(|| i64::from(values[row])),
        }
    }

    /// How many of them a day has.
    pub(super) fn per_day(&self) -> i64 {
        self.per_day
    }

    pub(super) fn moment(&self, row: usize) -> Option<Moment> {
        self.at(row).map(|ticks| moment(ticks, self.per_day))
    }
}

/// The moment of a value of which a day has so many.
pub(super) fn moment(ticks: i64, per_day: i64) -> Moment {
    Moment { days: ticks.div_euclid(per_day), nanos: ticks.rem_euclid(per_day) * (DAY / per_day) }
}

/// The other way round, without what is finer than a tick; `None` out of the range of 64 bits.
pub(super) fn ticks(moment: Moment, per_day: i64) -> Option<i64> {
    moment.days.checked_mul(per_day)?.checked_add(moment.nanos / (DAY / per_day))
}

fn scalar_ticks(scalar: &ScalarValue) -> Option<Option<i64>> {
    match scalar {
        ScalarValue::TimestampSecond(ticks, _)
        | ScalarValue::TimestampMillisecond(ticks, _)
        | ScalarValue::TimestampMicrosecond(ticks, _)
        | ScalarValue::TimestampNanosecond(ticks, _)
        | ScalarValue::Time64Microsecond(ticks)
        | ScalarValue::Time64Nanosecond(ticks) => Some(*ticks),
        ScalarValue::Date32(ticks) | ScalarValue::Time32Second(ticks) | ScalarValue::Time32Millisecond(ticks) => {
            Some(ticks.map(i64::from))
        }
        _ => None,
    }
}

/// Calls `$body` with the values of a temporal array.
macro_rules! values {
    ($array:expr, $type:ty, $variant:ident) => {{
        let array = $array.as_primitive_opt::<$type>()?;
        Some(Ticks::$variant(array.values(), array.nulls()))
    }};
}

fn array_ticks(array: &dyn Array) -> Option<Ticks<'_>> {
    match array.data_type() {
        DataType::Date32 => values!(array, Date32Type, Narrow),
        DataType::Time32(TimeUnit::Second) => values!(array, Time32SecondType, Narrow),
        DataType::Time32(_) => values!(array, Time32MillisecondType, Narrow),
        DataType::Time64(TimeUnit::Microsecond) => values!(array, Time64MicrosecondType, Wide),
        DataType::Time64(_) => values!(array, Time64NanosecondType, Wide),
        DataType::Timestamp(TimeUnit::Second, _) => values!(array, TimestampSecondType, Wide),
        DataType::Timestamp(TimeUnit::Millisecond, _) => values!(array, TimestampMillisecondType, Wide),
        DataType::Timestamp(TimeUnit::Microsecond, _) => values!(array, TimestampMicrosecondType, Wide),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => values!(array, TimestampNanosecondType, Wide),
        _ => None,
    }
}

/// A column of `data_type` from its values.
///
/// # Errors
/// If a value is out of the type's range.
pub(super) fn column(
    values: impl ExactSizeIterator<Item = Result<Option<i64>>>,
    data_type: &DataType,
) -> Result<arrow::array::ArrayRef> {
    use arrow::array::{Array as _, ArrayData, Int32Array, Int64Array, make_array};
    let data: ArrayData = match data_type {
        DataType::Date32 | DataType::Time32(_) => {
            let narrow = values.map(|value| {
                value?
                    .map(i32::try_from)
                    .transpose()
                    .map_err(|_| DataFusionError::Execution("a date is out of the range of its type".to_owned()))
            });
            narrow.collect::<Result<Int32Array>>()?.into_data()
        }
        _ => values.collect::<Result<Int64Array>>()?.into_data(),
    };
    Ok(make_array(data.into_builder().data_type(data_type.clone()).build()?))
}
