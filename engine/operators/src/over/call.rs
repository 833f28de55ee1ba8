//! What a call reads of the rows, and the column that becomes of its outcomes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, UInt64Array, types::*};
use arrow::buffer::NullBuffer;
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Schema};
use weir_core::{Error, OverCall, OverFrame, OverFunction, Result};

use super::tally::{Argument, Frame, Outcome, Tally, Value, ValueBytes};
use crate::aggregate::{mean, overflow};
use crate::top_n::{Columns, Encoded};

/// A call, fixed by the plan.
pub(super) struct Call {
    pub(super) function: OverFunction,
    pub(super) frame: Frame,
    by_range: bool,
    column: Option<usize>,
    default: Option<usize>,
    argument: Argument,
    name: String,
    data_type: DataType,
    /// Values as bytes, and back, where the call hands them on.
    bytes: Option<Bytes>,
}

struct Bytes {
    columns: Columns,
    null: ValueBytes,
}

/// The argument of a call in some rows.
pub(super) enum Values {
    All,
    Presence(Option<NullBuffer>),
    Whole(Vec<i128>, Option<NullBuffer>),
    Double(Float64Array),
    Bytes(Encoded, Option<NullBuffer>),
}

impl Values {
    pub(super) fn value(&self, row: usize) -> Value {
        let is_null = |nulls: &Option<NullBuffer>| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        match self {
            Values::All => Value::Present,
            Values::Presence(nulls) | Values::Whole(_, nulls) | Values::Bytes(_, nulls) if is_null(nulls) => {
                Value::Null
            }
            Values::Presence(_) => Value::Present,
            Values::Whole(values, _) => Value::Whole(values[row]),
            Values::Double(values) if values.is_null(row) => Value::Null,
            Values::Double(values) => Value::Double(values.value(row)),
            Values::Bytes(values, _) => Value::Bytes(values.row(row).into()),
        }
    }
}

impl Call {
    pub(super) fn new(call: &OverCall, input: &Schema) -> Result<Self> {
        let OverCall { function, frame, argument: column, default, name, data_type } = call;
        let column_type = || {
            let column = column.ok_or_else(|| Error::internal(format!("{name:?} lacks its argument")))?;
            Ok::<_, Error>(input.field(column).data_type().clone())
        };
        let argument = match function {
            OverFunction::Count if column.is_some() => Argument::Presence,
            OverFunction::Count | OverFunction::RowNumber | OverFunction::Rank | OverFunction::DenseRank => {
                Argument::None
            }
            OverFunction::Sum | OverFunction::Avg if column_type()?.is_floating() => Argument::Double,
            OverFunction::Sum | OverFunction::Avg => Argument::Whole,
            OverFunction::FirstValue { respect_nulls: true }
            | OverFunction::LastValue { respect_nulls: true }
            | OverFunction::Lag(_)
            | OverFunction::Lead(_) => Argument::BytesOrNull,
            OverFunction::Min
            | OverFunction::Max
            | OverFunction::FirstValue { .. }
            | OverFunction::LastValue { .. }
            | OverFunction::LastBefore => Argument::Bytes,
        };
        let bytes = match (argument, column) {
            (Argument::Bytes | Argument::BytesOrNull, Some(column)) => {
                let is_compared = matches!(function, OverFunction::Min | OverFunction::Max);
                Some(Bytes::new(*column, is_compared, input)?)
            }
            (Argument::Bytes | Argument::BytesOrNull, None) => {
                return Err(Error::internal(format!("{name:?} lacks its argument")));
            }
            _ => None,
        };
        Ok(Self {
            function: *function,
            frame: Frame::of(*function, *frame),
            by_range: matches!(frame, OverFrame::Range(_)),
            column: *column,
            default: *default,
            argument,
            name: name.clone(),
            data_type: data_type.clone(),
            bytes,
        })
    }

    pub(super) fn tally(&self) -> Tally {
        Tally::new(self.function, self.frame, self.argument)
    }

    /// Whether it is the same for all rows of one time, so that all have to be there before it is known for one.
    pub(super) fn goes_by_time(&self) -> bool {
        match self.function {
            OverFunction::Rank | OverFunction::DenseRank => true,
            OverFunction::RowNumber | OverFunction::Lag(_) | OverFunction::Lead(_) | OverFunction::LastBefore => false,
            _ => self.by_range,
        }
    }

    /// How many rows before the current one it reads, besides those of its frame.
    pub(super) fn rows_behind(&self) -> usize {
        match self.function {
            OverFunction::Lag(distance) => usize::try_from(distance).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// How many rows behind the current one it reads.
    pub(super) fn rows_ahead(&self) -> usize {
        match self.function {
            OverFunction::Lead(distance) => usize::try_from(distance).unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// Whether something of it is stored beside the rows.
    pub(super) fn is_unbounded(&self) -> bool {
        self.frame == Frame::Unbounded
    }

    /// Type of the value that is stored beside the number of values.
    pub(super) fn stored_type(&self, input: &Schema) -> Option<DataType> {
        match (self.argument, self.column) {
            (Argument::Whole | Argument::Double, _) => Some(DataType::Binary),
            (Argument::Bytes | Argument::BytesOrNull, Some(column)) => Some(input.field(column).data_type().clone()),
            _ => None,
        }
    }

    /// What makes bytes of values that are handed on, and a null.
    pub(super) fn converter(&self) -> Option<(&Columns, &ValueBytes)> {
        self.bytes.as_ref().map(|bytes| (&bytes.columns, &bytes.null))
    }

    /// The arguments of these rows.
    pub(super) fn values(&self, records: &RecordBatch) -> Result<Values> {
        let Some(column) = self.column.map(|column| records.column(column)) else { return Ok(Values::All) };
        let nulls = column.logical_nulls();
        Ok(match self.argument {
            Argument::None => Values::All,
            Argument::Presence => Values::Presence(nulls),
            Argument::Whole => Values::Whole(whole(column)?, nulls),
            Argument::Double => Values::Double(cast(column, &DataType::Float64)?.as_primitive().clone()),
            Argument::Bytes => Values::Bytes(self.encoded(records)?, nulls),
            Argument::BytesOrNull => Values::Bytes(self.encoded(records)?, None),
        })
    }

    fn encoded(&self, records: &RecordBatch) -> Result<Encoded> {
        let bytes = self.bytes.as_ref().ok_or_else(|| Error::internal("an argument is no value"))?;
        bytes.columns.encode(records)
    }

    /// The outcomes, one for each of the first rows of `records`, as a column.
    pub(super) fn column(&self, outcomes: Vec<Outcome>, records: &RecordBatch) -> Result<ArrayRef> {
        let column: ArrayRef = match (self.function, self.argument) {
            (OverFunction::Sum, Argument::Whole) => self.whole_sums(&outcomes)?,
            (OverFunction::Avg, Argument::Whole) => {
                let mean = |outcome: &Outcome| match outcome {
                    Outcome::Whole(sum, count) => mean(sum.to_i128()?, *count),
                    _ => None,
                };
                Arc::new(outcomes.iter().map(mean).collect::<Float64Array>())
            }
            (function, Argument::Double) => {
                let value = |outcome: &Outcome| match (outcome, function) {
                    (Outcome::Double(sum, count), OverFunction::Avg) => Some(sum / *count as f64),
                    (Outcome::Double(sum, _), _) => Some(*sum),
                    _ => None,
                };
                Arc::new(outcomes.iter().map(value).collect::<Float64Array>())
            }
            (_, Argument::Bytes | Argument::BytesOrNull) => self.handed_on(&outcomes, records)?,
            _ => {
                let number = |outcome: &Outcome| match outcome {
                    Outcome::Number(number) => Some(*number),
                    _ => None,
                };
                Arc::new(outcomes.iter().map(number).collect::<Int64Array>())
            }
        };
        if *column.data_type() == self.data_type { Ok(column) } else { Ok(cast(&column, &self.data_type)?) }
    }

    fn whole_sums(&self, outcomes: &[Outcome]) -> Result<ArrayRef> {
        let too_much = || overflow(&self.name, &self.data_type);
        let sums = outcomes.iter().map(|outcome| match outcome {
            Outcome::Whole(sum, _) => sum.to_i128().map(Some).ok_or_else(too_much),
            _ => Ok(None),
        });
        let sums: Vec<Option<i128>> = sums.collect::<Result<_>>()?;
        match &self.data_type {
            DataType::UInt64 => {
                let sums = sums.into_iter().map(|sum| sum.map(u64::try_from).transpose().map_err(|_| too_much()));
                Ok(Arc::new(sums.collect::<Result<UInt64Array>>()?))
            }
            DataType::Decimal128(precision, _) => {
                let sums: arrow::array::Decimal128Array = sums.into_iter().collect();
                sums.validate_decimal_precision(*precision).map_err(|_| too_much())?;
                Ok(Arc::new(sums.with_data_type(self.data_type.clone())))
            }
            _ => {
                let sums = sums.into_iter().map(|sum| sum.map(i64::try_from).transpose().map_err(|_| too_much()));
                Ok(Arc::new(sums.collect::<Result<Int64Array>>()?))
            }
        }
    }

    fn handed_on(&self, outcomes: &[Outcome], records: &RecordBatch) -> Result<ArrayRef> {
        let bytes = self.bytes.as_ref().ok_or_else(|| Error::internal("an argument is no value"))?;
        let defaults = match self.default {
            Some(default) => {
                let column = Arc::clone(records.column(default));
                Some(bytes.columns.encode_columns(&[column])?)
            }
            None => None,
        };
        let value = |(row, outcome): (usize, &'_ Outcome)| match outcome {
            Outcome::Bytes(value) => value.clone(),
            _ => defaults.as_ref().map_or_else(|| bytes.null.clone(), |defaults| defaults.row(row).into()),
        };
        let column = bytes.columns.decode(outcomes.iter().enumerate().map(value))?.pop();
        column.ok_or_else(|| Error::internal("values are lost on their way through bytes"))
    }
}

impl Bytes {
    fn new(column: usize, is_compared: bool, input: &Schema) -> Result<Self> {
        let columns = Columns::new(vec![column], vec![SortOptions::default()], input, is_compared)?;
        let null = arrow::array::new_null_array(input.field(column).data_type(), 1);
        let null = columns.encode_columns(&[null])?.row(0).into();
        Ok(Self { columns, null })
    }
}

/// Whole numbers, and decimals without their point.
fn whole(column: &ArrayRef) -> Result<Vec<i128>> {
    Ok(match column.data_type() {
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().values().to_vec(),
        DataType::UInt64 => {
            column.as_primitive::<UInt64Type>().values().iter().map(|value| i128::from(*value)).collect()
        }
        data_type if data_type.is_integer() => {
            let numbers = cast(column, &DataType::Int64)?;
            numbers.as_primitive::<Int64Type>().values().iter().map(|value| i128::from(*value)).collect()
        }
        other => return Err(Error::internal(format!("{other} cannot be added up"))),
    })
}
