//! Values as fields have them: behind a length, if their type has one.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use protox::prost_reflect::Kind;
use weir_core::{Error, Result};

use super::known;
use super::number::whole;
use super::record::Record;
use super::wire::{bytes, sized, varint};
use crate::formats::encode::cells::{Cells, Column};
use crate::formats::sql_name;

/// Writes the value of a row, which is not null, or says what has no place there.
pub(super) type Write = Box<dyn Fn(usize, &mut Vec<u8>) -> std::result::Result<(), String> + Send + Sync>;

pub(super) fn wrong(array: &ArrayRef, what: &str) -> Error {
    Error::user(format!("{} cannot be written as {what}", sql_name(array.data_type())))
}

/// What writes the values of an array as this type.
///
/// # Errors
/// A user error if they are none.
pub(super) fn value(array: &ArrayRef, kind: &Kind) -> Result<Write> {
    if let Some(write) = whole(array, kind)? {
        return Ok(write);
    }
    Ok(match (kind, array.data_type()) {
        (Kind::Bool, DataType::Boolean) => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| {
                out.push(values.value(row).into());
                Ok(())
            })
        }
        (Kind::Float, DataType::Float32) => {
            let values = array.as_primitive::<Float32Type>().clone();
            Box::new(move |row, out| {
                out.extend_from_slice(&values.value(row).to_le_bytes());
                Ok(())
            })
        }
        (Kind::Double, DataType::Float32 | DataType::Float64) => {
            let values = arrow::compute::cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone();
            Box::new(move |row, out| {
                out.extend_from_slice(&values.value(row).to_le_bytes());
                Ok(())
            })
        }
        (Kind::String | Kind::Bytes, DataType::Utf8View) => {
            let values = array.as_string_view().clone();
            Box::new(move |row, out| {
                bytes(out, values.value(row).as_bytes());
                Ok(())
            })
        }
        (Kind::Bytes, DataType::BinaryView) => {
            let values = array.as_binary_view().clone();
            Box::new(move |row, out| {
                bytes(out, values.value(row));
                Ok(())
            })
        }
        (Kind::String, DataType::Decimal128(..) | DataType::Date32 | DataType::Time64(_)) => text(array)?,
        (Kind::Enum(of), DataType::Utf8View) => {
            let values = array.as_string_view().clone();
            let numbers: BTreeMap<String, i32> =
                of.values().map(|value| (value.name().to_owned(), value.number())).collect();
            let name = of.full_name().to_owned();
            Box::new(move |row, out| {
                let symbol = values.value(row);
                // Digits are what a number without a name is read as.
                let number = numbers.get(symbol).copied().or_else(|| symbol.parse().ok());
                let number = number.ok_or_else(|| format!("'{symbol}' is no value of the enum '{name}'"))?;
                varint(out, i64::from(number) as u64);
                Ok(())
            })
        }
        (Kind::Message(of), DataType::Struct(fields)) => {
            let record = Record::of(fields, array.as_struct().columns(), of)?;
            Box::new(move |row, out| sized(out, |out| record.append(row, out)))
        }
        (Kind::Message(of), _) => match known::value(array, of)? {
            Some(write) => write,
            None => return Err(wrong(array, &format!("a message '{}'", of.full_name()))),
        },
        (kind, _) => return Err(wrong(array, &format!("{kind:?}").to_lowercase())),
    })
}

/// As SQL writes them.
fn text(array: &ArrayRef) -> Result<Write> {
    match Column::new(array, b' ')?.cells {
        Cells::Bare(write) | Cells::Plain(write) => Ok(Box::new(move |row, out| {
            sized(out, |out| {
                write(row, out);
                Ok(())
            })
        })),
        _ => Err(wrong(array, "a string")),
    }
}
