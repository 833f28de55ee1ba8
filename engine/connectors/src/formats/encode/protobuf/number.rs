//! Whole numbers as fields of the types that there are.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use protox::prost_reflect::Kind;
use weir_core::Result;

use super::value::Write;
use super::wire::varint;

/// Appends a number, if the type has room for it.
type Push = fn(&mut Vec<u8>, i128) -> Option<()>;

/// What writes whole numbers; `None` if there is nothing for these types.
pub(super) fn whole(array: &ArrayRef, kind: &Kind) -> Result<Option<Write>> {
    let push: Push = match kind {
        Kind::Int32 | Kind::Enum(_) => {
            |out, value| i32::try_from(value).ok().map(|value| varint(out, i64::from(value) as u64))
        }
        Kind::Int64 => |out, value| i64::try_from(value).ok().map(|value| varint(out, value as u64)),
        Kind::Uint32 => |out, value| u32::try_from(value).ok().map(|value| varint(out, value.into())),
        Kind::Uint64 => |out, value| u64::try_from(value).ok().map(|value| varint(out, value)),
        Kind::Sint32 => |out, value| i32::try_from(value).ok().map(|value| varint(out, zigzag(value.into()))),
        Kind::Sint64 => |out, value| i64::try_from(value).ok().map(|value| varint(out, zigzag(value))),
        Kind::Fixed32 => {
            |out, value| u32::try_from(value).ok().map(|value| out.extend_from_slice(&value.to_le_bytes()))
        }
        Kind::Fixed64 => {
            |out, value| u64::try_from(value).ok().map(|value| out.extend_from_slice(&value.to_le_bytes()))
        }
        Kind::Sfixed32 => {
            |out, value| i32::try_from(value).ok().map(|value| out.extend_from_slice(&value.to_le_bytes()))
        }
        Kind::Sfixed64 => {
            |out, value| i64::try_from(value).ok().map(|value| out.extend_from_slice(&value.to_le_bytes()))
        }
        _ => return Ok(None),
    };
    let no_room = |value: i128| format!("{value}, which its type has no room for");
    Ok(match array.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            let values = cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Some(Box::new(move |row, out| {
                let value = values.value(row).into();
                push(out, value).ok_or_else(|| no_room(value))
            }))
        }
        DataType::Decimal128(_, 0) => {
            let values = array.as_primitive::<Decimal128Type>().clone();
            Some(Box::new(move |row, out| push(out, values.value(row)).ok_or_else(|| no_room(values.value(row)))))
        }
        _ => None,
    })
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
