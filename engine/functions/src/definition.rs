//! Functions of Weir's own that take certain arguments, and these arguments.

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, Float64Array, Int64Array, StringViewArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion_common::{DataFusionError, Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::wrapped::OwnFunction;

/// What an argument is converted to before the function sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// `STRING`.
    Text,
    /// `BYTES`; of text its UTF-8.
    Bytes,
    /// `BIGINT`.
    Integer,
    /// A whole number, as `BIGINT`, or text.
    IntegerOrText,
    /// `DOUBLE`.
    Double,
    /// `INTERVAL`.
    Interval,
    /// A date or timestamp, in its own unit.
    Time,
    /// The same, or text.
    TimeOrText,
    /// A date, timestamp or time of day, in its own unit.
    Clock,
}

/// A function.
#[derive(Debug, Clone, Copy)]
pub(super) struct Definition {
    /// Its name, in lower case.
    pub name: &'static str,
    /// How it is called, for errors.
    pub usage: &'static str,
    /// Its arguments.
    pub parameters: &'static [Parameter],
    /// How many of them must be given.
    pub required: usize,
    /// Type of the result, given the arguments' types, and those arguments that are constant.
    pub returns: fn(&[DataType], &[Option<&ScalarValue>]) -> DataType,
    /// Refuses what can never work, when the query is planned: the arguments' types, and those arguments that are constant.
    pub check: fn(&[DataType], &[Option<&ScalarValue>]) -> Result<()>,
    /// Computes `rows` results.
    pub compute: fn(&[ColumnarValue], usize) -> Result<ArrayRef>,
}

/// Nothing to be checked.
pub(super) fn unchecked(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<()> {
    Ok(())
}

impl OwnFunction for Definition {
    fn name(&self) -> &'static str {
        self.name
    }

    fn coerced(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let Definition { usage, parameters, required, .. } = *self;
        if types.len() < required || types.len() > parameters.len() {
            return plan_error(format!("expected `{usage}`, found {} arguments", types.len()));
        }
        // Arguments of one call that may be numbers or text are either.
        let either = || types.iter().zip(parameters).filter(|(_, parameter)| **parameter == Parameter::IntegerOrText);
        let of_text = either().any(|(given, _)| given.is_string());
        let coerced = types.iter().zip(parameters).map(|(given, parameter)| match parameter {
            Parameter::IntegerOrText => coerce(given, if of_text { Parameter::Text } else { Parameter::Integer }),
            other => coerce(given, *other),
        });
        coerced
            .collect::<Option<Vec<DataType>>>()
            .map_or_else(|| plan_error(format!("expected `{usage}`, found other types of arguments")), Ok)
    }

    fn check(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<()> {
        (self.check)(types, constants)
    }

    fn returns(&self, types: &[DataType], constants: &[Option<&ScalarValue>]) -> DataType {
        (self.returns)(types, constants)
    }

    fn compute(&self, arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
        (self.compute)(arguments, rows)
    }
}

fn coerce(given: &DataType, parameter: Parameter) -> Option<DataType> {
    let is_text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match parameter {
        Parameter::Text if is_text || given.is_null() => Some(DataType::Utf8View),
        Parameter::Bytes if is_text || given.is_binary() || given.is_null() => Some(DataType::BinaryView),
        Parameter::TimeOrText if is_text => Some(DataType::Utf8View),
        Parameter::Integer if given.is_integer() || given.is_null() => Some(DataType::Int64),
        Parameter::Interval if matches!(given, DataType::Interval(_)) => {
            Some(DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano))
        }
        Parameter::Double if given.is_numeric() || given.is_null() => Some(DataType::Float64),
        Parameter::Time | Parameter::TimeOrText | Parameter::Clock => match given {
            DataType::Timestamp(..) | DataType::Date32 => Some(given.clone()),
            DataType::Time32(_) | DataType::Time64(_) if parameter == Parameter::Clock => Some(given.clone()),
            DataType::Date64 => Some(DataType::Date32),
            DataType::Null => Some(DataType::Timestamp(TimeUnit::Millisecond, None)),
            _ if is_text => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
            _ => None,
        },
        _ => None,
    }
}

/// An error of the user's, found while planning or in a constant.
pub(super) fn plan_error<T>(message: impl Into<String>) -> Result<T> {
    Err(DataFusionError::Plan(message.into()))
}

fn wrong_type<T>(expected: &str, found: &DataType) -> Result<T> {
    Err(DataFusionError::Internal(format!("expected {expected}, found {found}")))
}

/// Text, the same for all rows or not.
pub(super) enum Text<'a> {
    Constant(Option<&'a str>),
    Column(&'a StringViewArray),
}

impl<'a> Text<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Text::Constant(None)),
            ColumnarValue::Scalar(scalar) => match scalar.try_as_str() {
                Some(text) => Ok(Text::Constant(text)),
                None => wrong_type("text", &scalar.data_type()),
            },
            ColumnarValue::Array(array) => match array.as_string_view_opt() {
                Some(array) => Ok(Text::Column(array)),
                None => wrong_type("text", array.data_type()),
            },
        }
    }

    pub(super) fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Text::Constant(text) => *text,
            Text::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// DOUBLEs, the same for all rows or not.
pub(super) enum Doubles<'a> {
    Constant(Option<f64>),
    Column(&'a Float64Array),
}

impl<'a> Doubles<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Float64(number)) => Ok(Doubles::Constant(*number)),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Doubles::Constant(None)),
            ColumnarValue::Scalar(scalar) => wrong_type("DOUBLE", &scalar.data_type()),
            ColumnarValue::Array(array) => match array.as_primitive_opt::<Float64Type>() {
                Some(array) => Ok(Doubles::Column(array)),
                None => wrong_type("DOUBLE", array.data_type()),
            },
        }
    }

    pub(super) fn at(&self, row: usize) -> Option<f64> {
        match self {
            Doubles::Constant(number) => *number,
            Doubles::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// Bytes, the same for all rows or not.
pub(super) enum Bytes<'a> {
    Constant(Option<&'a [u8]>),
    Column(&'a BinaryViewArray),
}

impl<'a> Bytes<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::BinaryView(bytes)) => Ok(Bytes::Constant(bytes.as_deref())),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Bytes::Constant(None)),
            ColumnarValue::Scalar(scalar) => wrong_type("bytes", &scalar.data_type()),
            ColumnarValue::Array(array) => match array.as_binary_view_opt() {
                Some(array) => Ok(Bytes::Column(array)),
                None => wrong_type("bytes", array.data_type()),
            },
        }
    }

    pub(super) fn at(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            Bytes::Constant(bytes) => *bytes,
            Bytes::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// Whole numbers, the same for all rows or not.
pub(super) enum Integers<'a> {
    Constant(Option<i64>),
    Column(&'a Int64Array),
}

impl<'a> Integers<'a> {
    pub(super) fn of(value: &'a ColumnarValue) -> Result<Self> {
        match value {
            ColumnarValue::Scalar(ScalarValue::Int64(number)) => Ok(Integers::Constant(*number)),
            ColumnarValue::Scalar(ScalarValue::Null) => Ok(Integers::Constant(None)),
            ColumnarValue::Scalar(scalar) => wrong_type("BIGINT", &scalar.data_type()),
            ColumnarValue::Array(array) => match array.as_primitive_opt::<Int64Type>() {
                Some(array) => Ok(Integers::Column(array)),
                None => wrong_type("BIGINT", array.data_type()),
            },
        }
    }

    /// The argument at `index`; `default` if the call has none there.
    pub(super) fn or(values: &'a [ColumnarValue], index: usize, default: i64) -> Result<Self> {
        values.get(index).map_or(Ok(Integers::Constant(Some(default))), Self::of)
    }

    pub(super) fn at(&self, row: usize) -> Option<i64> {
        match self {
            Integers::Constant(number) => *number,
            Integers::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}
