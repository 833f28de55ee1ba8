//! Numbers: from the bits on the wire into columns.

use arrow::datatypes::DataType;
use protox::prost_reflect::Kind;

use super::super::column::Column;
use super::wire::Wire;

/// What the bits of a number mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
}

impl Number {
    /// That of a type, if it is a number.
    pub(super) fn of(kind: &Kind) -> Option<Self> {
        Some(match kind {
            Kind::Bool => Self::Bool,
            // What numbers an enum has may change.
            Kind::Int32 | Kind::Enum(_) => Self::Int32,
            Kind::Int64 => Self::Int64,
            // Those of fixed length are told apart by their wire type alone.
            Kind::Uint32 | Kind::Fixed32 => Self::Uint32,
            Kind::Uint64 | Kind::Fixed64 => Self::Uint64,
            Kind::Sint32 => Self::Sint32,
            Kind::Sint64 => Self::Sint64,
            Kind::Sfixed32 => Self::Sfixed32,
            Kind::Sfixed64 => Self::Sfixed64,
            Kind::Float => Self::Float,
            Kind::Double => Self::Double,
            Kind::String | Kind::Bytes | Kind::Message(_) => return None,
        })
    }

    /// Whether columns of this type take its values, if each has room for those that come.
    pub(super) fn goes_into(self, data_type: &DataType) -> bool {
        match (self, data_type) {
            (Self::Bool, DataType::Boolean) => true,
            (Self::Float, DataType::Float32 | DataType::Float64) | (Self::Double, DataType::Float64) => true,
            (Self::Bool | Self::Float | Self::Double, _) => false,
            (
                Self::Int32 | Self::Sint32 | Self::Sfixed32 | Self::Uint32,
                DataType::Int8 | DataType::Int16 | DataType::Int32,
            ) => true,
            (_, DataType::Int64) => true,
            (_, DataType::Decimal128(precision, scale)) => {
                let digits = match self {
                    Self::Int64 | Self::Sint64 | Self::Sfixed64 => 19,
                    Self::Uint64 => 20,
                    _ => 10,
                };
                i16::from(*precision) - i16::from(*scale) >= digits
            }
            _ => false,
        }
    }
}

/// Wire type of a number's type.
pub(crate) fn wire_of(kind: &Kind) -> Wire {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => Wire::Fixed64,
        Kind::Fixed32 | Kind::Sfixed32 | Kind::Float => Wire::Fixed32,
        Kind::String | Kind::Bytes | Kind::Message(_) => Wire::Bytes,
        _ => Wire::Varint,
    }
}

/// Appends what the bits mean.
///
/// # Errors
/// If its type, or the column's, has no room for it.
#[inline]
pub(super) fn append(number: Number, bits: u64, column: &mut Column) -> Result<(), String> {
    match (number, column) {
        (Number::Int64 | Number::Sfixed64, column) => signed(bits as i64, column),
        (Number::Sint64, column) => signed(zigzag(bits), column),
        (Number::Int32, column) => signed(narrow(bits as i64)?, column),
        (Number::Sint32, column) => match u32::try_from(bits) {
            Ok(_) => signed(zigzag(bits), column),
            Err(_) => Err(out_of_range(zigzag(bits))),
        },
        (Number::Sfixed32, column) => signed((bits as u32 as i32).into(), column),
        (Number::Uint32, column) => match u32::try_from(bits) {
            Ok(value) => signed(value.into(), column),
            Err(_) => Err(out_of_range(bits)),
        },
        (Number::Uint64, column) => match (i64::try_from(bits), column) {
            (Ok(value), column) => signed(value, column),
            (Err(_), Column::Decimal { values, scale, .. }) => {
                values.append_value(i128::from(bits) * power(*scale));
                Ok(())
            }
            (Err(_), _) => Err(out_of_range(bits)),
        },
        (Number::Bool, Column::Boolean(values)) => {
            values.append_value(bits != 0);
            Ok(())
        }
        (Number::Float, Column::Float32(values)) => {
            values.append_value(f32::from_bits(bits as u32));
            Ok(())
        }
        (Number::Float, Column::Float64(values)) => {
            values.append_value(f32::from_bits(bits as u32).into());
            Ok(())
        }
        (Number::Double, Column::Float64(values)) => {
            values.append_value(f64::from_bits(bits));
            Ok(())
        }
        _ => Err(super::read::MISMATCH.to_owned()),
    }
}

/// # Errors
/// If it has more than 32 bits.
pub(super) fn narrow(value: i64) -> Result<i64, String> {
    if i32::try_from(value).is_ok() { Ok(value) } else { Err(out_of_range(value)) }
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1) as i64 ^ -((bits & 1) as i64)
}

/// A scale that the plan has found room for.
fn power(scale: i8) -> i128 {
    10_i128.pow(u32::try_from(scale).unwrap_or_default())
}

fn out_of_range(value: impl std::fmt::Display) -> String {
    format!("{value}, which is out of range")
}

#[inline]
fn signed(value: i64, column: &mut Column) -> Result<(), String> {
    let no_room = |_| out_of_range(value);
    match column {
        Column::Int64(values) => values.append_value(value),
        Column::Int32(values) => values.append_value(value.try_into().map_err(no_room)?),
        Column::Int16(values) => values.append_value(value.try_into().map_err(no_room)?),
        Column::Int8(values) => values.append_value(value.try_into().map_err(no_room)?),
        Column::Decimal { values, scale, .. } => values.append_value(i128::from(value) * power(*scale)),
        _ => return Err(super::read::MISMATCH.to_owned()),
    }
    Ok(())
}
