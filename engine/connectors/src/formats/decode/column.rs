//! Columns under construction: each turns the text of a value into a value of its declared type, or refuses it.
//!
//! A record that turns out to be bad half-way leaves its columns uneven. [`Column::settle`] fills the gap, and the batch
//! drops those rows before anyone sees them; so the usual case pays nothing for being able to go back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewBuilder, BooleanBuilder, Int64Array, ListArray, MapArray, PrimitiveBuilder, StringViewBuilder,
    StructArray, types::*,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_core::{Error, Result};

use super::{number, time};

/// A column of one type that grows value by value.
pub(super) enum Column {
    Boolean(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal {
        values: PrimitiveBuilder<Decimal128Type>,
        precision: u8,
        scale: i8,
    },
    Date(PrimitiveBuilder<Date32Type>),
    /// Time of day, in the unit of the type.
    Time {
        values: PrimitiveBuilder<Int64Type>,
        unit: TimeUnit,
    },
    /// Time since 1970, in the unit of the type.
    Timestamp {
        values: PrimitiveBuilder<Int64Type>,
        unit: TimeUnit,
        zone: Option<Arc<str>>,
    },
    Text(StringViewBuilder),
    Bytes(BinaryViewBuilder),
    List {
        offsets: Vec<i32>,
        valid: Vec<bool>,
        item: Box<Column>,
        field: FieldRef,
    },
    Map {
        offsets: Vec<i32>,
        valid: Vec<bool>,
        key: Box<Column>,
        value: Box<Column>,
        entries: FieldRef,
    },
    Row {
        valid: Vec<bool>,
        children: Vec<Column>,
        fields: Fields,
    },
}

/// Whether parts were appended behind the last entry.
fn has_open(offsets: &[i32], parts: usize) -> bool {
    offsets.last().is_some_and(|last| usize::try_from(*last).is_ok_and(|last| last < parts))
}

impl Column {
    /// An empty column of this type.
    ///
    /// # Errors
    /// A user error if text cannot be read as this type.
    pub(super) fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Column::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Column::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => Column::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Column::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Column::Int64(PrimitiveBuilder::new()),
            DataType::Float32 => Column::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => Column::Float64(PrimitiveBuilder::new()),
            DataType::Decimal128(precision, scale) => Column::Decimal {
                values: PrimitiveBuilder::new().with_data_type(data_type.clone()),
                precision: *precision,
                scale: *scale,
            },
            DataType::Date32 => Column::Date(PrimitiveBuilder::new()),
            DataType::Time64(unit) => Column::Time { values: PrimitiveBuilder::new(), unit: *unit },
            DataType::Timestamp(unit, zone) => {
                Column::Timestamp { values: PrimitiveBuilder::new(), unit: *unit, zone: zone.clone() }
            }
            DataType::Utf8View => Column::Text(StringViewBuilder::new()),
            DataType::BinaryView => Column::Bytes(BinaryViewBuilder::new()),
            DataType::List(field) => Column::List {
                offsets: vec![0],
                valid: Vec::new(),
                item: Box::new(Column::new(field.data_type())?),
                field: field.clone(),
            },
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => Column::Map {
                    offsets: vec![0],
                    valid: Vec::new(),
                    key: Box::new(Column::new(fields[0].data_type())?),
                    value: Box::new(Column::new(fields[1].data_type())?),
                    entries: entries.clone(),
                },
                _ => return Err(Error::internal("a map whose entries are not pairs")),
            },
            DataType::Struct(fields) => Column::Row {
                valid: Vec::new(),
                children: fields.iter().map(|field| Column::new(field.data_type())).collect::<Result<_>>()?,
                fields: fields.clone(),
            },
            other => return Err(Error::user(format!("type {} cannot be read from text", sql_name(other)))),
        })
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        use arrow::array::ArrayBuilder;
        match self {
            Column::Boolean(values) => values.len(),
            Column::Int8(values) => values.len(),
            Column::Int16(values) => values.len(),
            Column::Int32(values) => values.len(),
            Column::Int64(values) | Column::Time { values, .. } | Column::Timestamp { values, .. } => values.len(),
            Column::Float32(values) => values.len(),
            Column::Float64(values) => values.len(),
            Column::Decimal { values, .. } => values.len(),
            Column::Date(values) => values.len(),
            Column::Text(values) => values.len(),
            Column::Bytes(values) => values.len(),
            Column::List { valid, .. } | Column::Map { valid, .. } | Column::Row { valid, .. } => valid.len(),
        }
    }

    pub(super) fn append_null(&mut self) {
        match self {
            Column::Boolean(values) => values.append_null(),
            Column::Int8(values) => values.append_null(),
            Column::Int16(values) => values.append_null(),
            Column::Int32(values) => values.append_null(),
            Column::Int64(values) | Column::Time { values, .. } | Column::Timestamp { values, .. } => {
                values.append_null();
            }
            Column::Float32(values) => values.append_null(),
            Column::Float64(values) => values.append_null(),
            Column::Decimal { values, .. } => values.append_null(),
            Column::Date(values) => values.append_null(),
            Column::Text(values) => values.append_null(),
            Column::Bytes(values) => values.append_null(),
            Column::List { .. } | Column::Map { .. } => self.close(false),
            Column::Row { valid, children, .. } => {
                children.iter_mut().for_each(Column::append_null);
                valid.push(false);
            }
        }
    }

    /// Ends the entry of a list, map or row whose parts have been appended.
    pub(super) fn close(&mut self, is_valid: bool) {
        match self {
            Column::List { offsets, valid, item: part, .. } | Column::Map { offsets, valid, key: part, .. } => {
                // A batch is bounded by rows and a record by bytes, far below 2^31 items.
                offsets.push(i32::try_from(part.len()).unwrap_or(i32::MAX));
                valid.push(is_valid);
            }
            Column::Row { valid, .. } => valid.push(is_valid),
            _ => {}
        }
    }

    /// Makes the column `rows` long, after a record that broke off. What a list or map that is part of another value was given before that is
    /// its last entry, so that it is none of the next record's.
    pub(super) fn settle(&mut self, rows: usize) {
        match self {
            Column::List { item, offsets, .. } => {
                item.settle(0);
                if rows == 0 && has_open(offsets, item.len()) {
                    self.close(true);
                }
            }
            Column::Map { key, value, offsets, .. } => {
                key.settle(0);
                key.settle(value.len());
                value.settle(key.len());
                if rows == 0 && has_open(offsets, key.len()) {
                    self.close(true);
                }
            }
            Column::Row { children, valid, .. } => {
                children.iter_mut().for_each(|child| child.settle(0));
                let longest = children.iter().map(Column::len).max().unwrap_or(0).max(valid.len());
                children.iter_mut().for_each(|child| child.settle(longest));
                valid.resize(longest, true);
            }
            _ => {}
        }
        while self.len() < rows {
            self.append_filler();
        }
    }

    /// A value that is dropped later; not null, because the type may not allow that.
    pub(super) fn append_filler(&mut self) {
        match self {
            Column::Boolean(values) => values.append_value(false),
            Column::Int8(values) => values.append_value(0),
            Column::Int16(values) => values.append_value(0),
            Column::Int32(values) => values.append_value(0),
            Column::Int64(values) | Column::Time { values, .. } | Column::Timestamp { values, .. } => {
                values.append_value(0);
            }
            Column::Float32(values) => values.append_value(0.0),
            Column::Float64(values) => values.append_value(0.0),
            Column::Decimal { values, .. } => values.append_value(0),
            Column::Date(values) => values.append_value(0),
            Column::Text(values) => values.append_value(""),
            Column::Bytes(values) => values.append_value(b""),
            Column::List { .. } | Column::Map { .. } => self.close(true),
            Column::Row { valid, children, .. } => {
                children.iter_mut().for_each(Column::append_filler);
                valid.push(true);
            }
        }
    }

    /// Appends what `text` says; `false` if it says nothing of this type, and nothing is appended.
    #[inline]
    pub(super) fn append_text(&mut self, text: &str) -> bool {
        macro_rules! append {
            ($values:expr, $value:expr) => {
                match $value {
                    Some(value) => $values.append_value(value),
                    None => return false,
                }
            };
        }
        match self {
            Column::Text(values) => values.append_value(text),
            Column::Int64(values) => append!(values, number::integer::<i64>(text)),
            Column::Int32(values) => append!(values, number::integer::<i32>(text)),
            Column::Float64(values) => append!(values, number::float::<f64>(text)),
            Column::Timestamp { values, unit, zone } => append!(values, time::timestamp(text, *unit, zone.is_some())),
            Column::Boolean(values) => append!(values, number::boolean(text)),
            Column::Int8(values) => append!(values, number::integer::<i8>(text)),
            Column::Int16(values) => append!(values, number::integer::<i16>(text)),
            Column::Float32(values) => append!(values, number::float::<f32>(text)),
            Column::Decimal { values, precision, scale } => append!(values, number::decimal(text, *precision, *scale)),
            Column::Date(values) => append!(values, time::date(text)),
            Column::Time { values, unit } => append!(values, time::of_day(text, *unit)),
            Column::Bytes(values) => append!(values, STANDARD.decode(text).ok()),
            Column::List { .. } | Column::Map { .. } | Column::Row { .. } => return false,
        }
        true
    }

    /// The values so far; the column is empty afterwards.
    ///
    /// # Errors
    /// If the parts do not fit together, which would be Weir's defect.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Column::Boolean(values) => Arc::new(values.finish()),
            Column::Int8(values) => Arc::new(values.finish()),
            Column::Int16(values) => Arc::new(values.finish()),
            Column::Int32(values) => Arc::new(values.finish()),
            Column::Int64(values) => Arc::new(values.finish()),
            Column::Float32(values) => Arc::new(values.finish()),
            Column::Float64(values) => Arc::new(values.finish()),
            Column::Decimal { values, .. } => Arc::new(values.finish()),
            Column::Date(values) => Arc::new(values.finish()),
            Column::Time { values, unit: TimeUnit::Microsecond } => {
                Arc::new(values.finish().reinterpret_cast::<Time64MicrosecondType>())
            }
            Column::Time { values, .. } => Arc::new(values.finish().reinterpret_cast::<Time64NanosecondType>()),
            Column::Timestamp { values, unit, zone } => timestamps(values.finish(), *unit, zone.clone()),
            // One that goes on would make room for a large batch each time, however small the batches are.
            Column::Text(values) => Arc::new(std::mem::take(values).finish()),
            Column::Bytes(values) => Arc::new(std::mem::take(values).finish()),
            Column::List { offsets, valid, item, field } => {
                let offsets = take_offsets(offsets);
                Arc::new(ListArray::try_new(field.clone(), offsets, item.finish()?, take_nulls(valid))?)
            }
            Column::Map { offsets, valid, key, value, entries } => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(Error::internal("a map whose entries are not pairs"));
                };
                let pairs = StructArray::try_new(fields.clone(), vec![key.finish()?, value.finish()?], None)?;
                let offsets = take_offsets(offsets);
                Arc::new(MapArray::try_new(entries.clone(), offsets, pairs, take_nulls(valid), false)?)
            }
            Column::Row { valid, children, fields } => {
                let rows = valid.len();
                let children = children.iter_mut().map(Column::finish).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), children, take_nulls(valid), rows)?)
            }
        })
    }
}

/// Times since 1970 in units of `unit`.
pub(super) fn timestamps(values: Int64Array, unit: TimeUnit, zone: Option<Arc<str>>) -> ArrayRef {
    match unit {
        TimeUnit::Second => Arc::new(values.reinterpret_cast::<TimestampSecondType>().with_timezone_opt(zone)),
        TimeUnit::Millisecond => {
            Arc::new(values.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>().with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => Arc::new(values.reinterpret_cast::<TimestampNanosecondType>().with_timezone_opt(zone)),
    }
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(offsets, vec![0])))
}

fn take_nulls(valid: &mut Vec<bool>) -> Option<NullBuffer> {
    let nulls = NullBuffer::from(std::mem::take(valid));
    (nulls.null_count() > 0).then_some(nulls)
}

/// The type as SQL writes it, for messages.
pub fn sql_name(data_type: &DataType) -> String {
    let precision = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    };
    let field = |field: &Field| format!("{} {}", field.name(), sql_name(field.data_type()));
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".into(),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", precision(unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", precision(unit)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".into(),
        DataType::List(item) | DataType::LargeList(item) => format!("ARRAY<{}>", sql_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                format!("MAP<{}, {}>", sql_name(pair[0].data_type()), sql_name(pair[1].data_type()))
            }
            _ => "MAP".into(),
        },
        DataType::Struct(fields) => {
            format!("ROW<{}>", fields.iter().map(|child| field(child)).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
