//! A column's values as text, made ready once per batch: types are told apart here, quotes and brackets are put by the
//! notation that uses it (JSON, CSV, `print`).

use std::io::Write;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, PrimitiveArray, StringViewArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_core::time_text::{push_date, push_short_time, push_timestamp};
use weir_core::{Error, Result};

use crate::formats::decode::sql_name;

/// Writes the value of a row, which is not null.
type Writer = Box<dyn Fn(usize, &mut Vec<u8>) + Send + Sync>;

/// A column, ready to be written row by row.
pub(crate) struct Column {
    nulls: Option<NullBuffer>,
    pub cells: Cells,
}

/// Values by what a notation has to do with them.
pub(crate) enum Cells {
    /// Numbers and booleans.
    Bare(Writer),
    /// Floating point numbers, which may be none.
    Float { value: Box<dyn Fn(usize) -> f64 + Send + Sync>, write: Writer },
    /// Dates, times and base64: text without anything that would have to be escaped.
    Plain(Writer),
    /// Text.
    Text(StringViewArray),
    /// Lists: which rows of `values` a row has.
    List { range: Box<dyn Fn(usize) -> Range<usize> + Send + Sync>, values: Box<Column> },
    /// Maps, alike.
    Map { range: Box<dyn Fn(usize) -> Range<usize> + Send + Sync>, keys: Box<Column>, values: Box<Column> },
    /// Named fields.
    Row(Vec<(String, Column)>),
}

impl Column {
    /// The values of `array`; between date and time stands `separator`.
    pub(crate) fn new(array: &ArrayRef, separator: u8) -> Result<Self> {
        Ok(Self { nulls: array.logical_nulls(), cells: Cells::new(array, separator)? })
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// What is written of floating-point numbers that are none.
pub(crate) fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("Infinity"),
        f64::NEG_INFINITY => Some("-Infinity"),
        _ => None,
    }
}

/// Whether columns of this type can be written; nested ones are no matter for notations that are `flat`.
pub(crate) fn is_writable(data_type: &DataType, flat: bool) -> bool {
    match Cells::new(&arrow::array::new_empty_array(data_type), b' ') {
        Ok(Cells::List { .. } | Cells::Map { .. } | Cells::Row(_)) => !flat,
        Ok(_) => true,
        Err(_) => false,
    }
}

impl Cells {
    fn new(array: &ArrayRef, separator: u8) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Cells::Bare(Box::new(|_, _| {})),
            DataType::Boolean => {
                let values = array.as_boolean().clone();
                Cells::Bare(Box::new(move |row, out| {
                    out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
                }))
            }
            DataType::Int8 => integers::<Int8Type>(array),
            DataType::Int16 => integers::<Int16Type>(array),
            DataType::Int32 => integers::<Int32Type>(array),
            DataType::Int64 => integers::<Int64Type>(array),
            DataType::UInt8 => integers::<UInt8Type>(array),
            DataType::UInt16 => integers::<UInt16Type>(array),
            DataType::UInt32 => integers::<UInt32Type>(array),
            DataType::UInt64 => integers::<UInt64Type>(array),
            DataType::Float32 => floats::<Float32Type>(array),
            DataType::Float64 => floats::<Float64Type>(array),
            DataType::Decimal128(_, _) => {
                let values = array.as_primitive::<Decimal128Type>().clone();
                Cells::Bare(Box::new(move |row, out| out.extend_from_slice(values.value_as_string(row).as_bytes())))
            }
            DataType::Decimal256(_, _) => {
                let values = array.as_primitive::<Decimal256Type>().clone();
                Cells::Bare(Box::new(move |row, out| out.extend_from_slice(values.value_as_string(row).as_bytes())))
            }
            DataType::Utf8View => Cells::Text(array.as_string_view().clone()),
            DataType::Utf8 | DataType::LargeUtf8 => {
                Cells::Text(cast(array, &DataType::Utf8View)?.as_string_view().clone())
            }
            DataType::BinaryView => binary(array.as_binary_view().clone()),
            DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
                binary(cast(array, &DataType::BinaryView)?.as_binary_view().clone())
            }
            DataType::Date32 => plain::<Date32Type>(array, |days, out| push_date(out, i64::from(days))),
            DataType::Date64 => plain::<Date64Type>(array, |millis, out| push_date(out, millis.div_euclid(86_400_000))),
            DataType::Time32(_) | DataType::Time64(TimeUnit::Microsecond) => {
                return Cells::new(&cast(array, &DataType::Time64(TimeUnit::Nanosecond))?, separator);
            }
            DataType::Time64(_) => plain::<Time64NanosecondType>(array, |nanos, out| push_short_time(out, nanos)),
            DataType::Timestamp(TimeUnit::Second, _) => timestamps::<TimestampSecondType>(array, separator),
            DataType::Timestamp(TimeUnit::Millisecond, _) => timestamps::<TimestampMillisecondType>(array, separator),
            DataType::Timestamp(TimeUnit::Microsecond, _) => timestamps::<TimestampMicrosecondType>(array, separator),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => timestamps::<TimestampNanosecondType>(array, separator),
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let (offsets, values) = (list.offsets().clone(), Column::new(list.values(), separator)?);
                let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
                Cells::List { range: Box::new(range), values: Box::new(values) }
            }
            DataType::FixedSizeList(field, _) => {
                return Cells::new(&cast(array, &DataType::List(field.clone()))?, separator);
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let (offsets, values) = (list.offsets().clone(), Column::new(list.values(), separator)?);
                let range = move |row: usize| offsets[row] as usize..offsets[row + 1] as usize;
                Cells::List { range: Box::new(range), values: Box::new(values) }
            }
            DataType::Map(_, _) => {
                let map = array.as_map();
                let offsets = map.offsets().clone();
                Cells::Map {
                    range: Box::new(move |row: usize| offsets[row] as usize..offsets[row + 1] as usize),
                    keys: Box::new(Column::new(map.keys(), separator)?),
                    values: Box::new(Column::new(map.values(), separator)?),
                }
            }
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let named = fields
                    .iter()
                    .zip(columns)
                    .map(|(field, column)| Ok((field.name().clone(), Column::new(column, separator)?)));
                Cells::Row(named.collect::<Result<_>>()?)
            }
            DataType::Dictionary(_, values) => return Cells::new(&cast(array, values)?, separator),
            other => return Err(Error::user(format!("values of type {} cannot be written as text", sql_name(other)))),
        })
    }
}

fn integers<T>(array: &ArrayRef) -> Cells
where
    T: ArrowPrimitiveType,
    T::Native: std::fmt::Display,
{
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Cells::Bare(Box::new(move |row, out| display(out, values.value(row))))
}

fn floats<T>(array: &ArrayRef) -> Cells
where
    T: ArrowPrimitiveType,
    T::Native: std::fmt::Debug + Into<f64>,
{
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    let texts = values.clone();
    Cells::Float {
        value: Box::new(move |row| values.value(row).into()),
        // `Debug` is the shortest text that reads back as the same number, with an exponent where that is shorter.
        write: Box::new(move |row, out| display(out, format_args!("{:?}", texts.value(row)))),
    }
}

fn plain<T: ArrowPrimitiveType>(array: &ArrayRef, push: fn(T::Native, &mut Vec<u8>)) -> Cells {
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Cells::Plain(Box::new(move |row, out| push(values.value(row), out)))
}

fn timestamps<T: ArrowTimestampType>(array: &ArrayRef, separator: u8) -> Cells {
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    let zoned = values.timezone().is_some();
    Cells::Plain(Box::new(move |row, out| {
        push_timestamp(out, values.value(row), T::UNIT, separator);
        // Times with a zone are kept in UTC.
        if zoned {
            out.push(b'Z');
        }
    }))
}

fn binary(values: BinaryViewArray) -> Cells {
    Cells::Plain(Box::new(move |row, out| out.extend_from_slice(STANDARD.encode(values.value(row)).as_bytes())))
}

pub(crate) fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("memory takes every byte");
}
