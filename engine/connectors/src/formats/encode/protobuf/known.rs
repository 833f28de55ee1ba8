//! Messages that everybody has, from values of the type that they stand for.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, Time64NanosecondType, TimeUnit};
use protox::prost_reflect::MessageDescriptor;
use weir_core::Result;

use super::value::{Write, value as inner};
use super::wire::{sized, tag, varint};
use crate::formats::decode::{ProtobufWire as Wire, protobuf_wire_of as wire_of};

const A_SECOND: i64 = 1_000_000_000;

/// What writes such a message; `None` if it is none, or not of these values.
pub(super) fn value(array: &ArrayRef, of: &MessageDescriptor) -> Result<Option<Write>> {
    Ok(match (of.full_name(), array.data_type()) {
        ("google.protobuf.Timestamp", DataType::Timestamp(unit, _)) => Some(timestamp(array, *unit)?),
        ("google.protobuf.Duration", DataType::Decimal128(_, scale @ 0..=9)) => {
            let values = array.as_primitive::<Decimal128Type>().clone();
            let factor = 10_i128.pow(u32::from((9 - scale).unsigned_abs()));
            Some(Box::new(move |row, out| {
                let nanos = values.value(row).checked_mul(factor).ok_or("it is too long")?;
                let (seconds, nanos) = (nanos / i128::from(A_SECOND), nanos % i128::from(A_SECOND));
                // Some ten thousand years, as its definition says.
                let seconds = i64::try_from(seconds).ok().filter(|seconds| seconds.abs() <= 315_576_000_000);
                numbers(out, &[seconds.ok_or("it is too long")?, nanos as i64])
            }))
        }
        ("google.type.Date", DataType::Date32) => {
            let values = array.as_primitive::<Date32Type>().clone();
            Some(Box::new(move |row, out| {
                let mut text = Vec::with_capacity(10);
                weir_core::time_text::push_date(&mut text, values.value(row).into());
                let text = String::from_utf8_lossy(&text).into_owned();
                // Other years than those of four digits have a sign.
                let parts: Vec<i64> = text.split('-').filter_map(|part| part.parse().ok()).collect();
                match parts[..] {
                    [1..=9999, _, _] if text.len() == 10 => numbers(out, &parts),
                    _ => Err(format!("the date {text}, which is not in the years from 1 to 9999")),
                }
            }))
        }
        ("google.type.TimeOfDay", DataType::Time64(_)) => {
            let values =
                cast(array, &DataType::Time64(TimeUnit::Nanosecond))?.as_primitive::<Time64NanosecondType>().clone();
            Some(Box::new(move |row, out| {
                let nanos = values.value(row);
                let seconds = nanos / A_SECOND;
                numbers(out, &[seconds / 3600, seconds / 60 % 60, seconds % 60, nanos % A_SECOND])
            }))
        }
        ("confluent.type.Decimal", DataType::Decimal128(precision, scale)) => {
            let values = array.as_primitive::<Decimal128Type>().clone();
            let (precision, scale) = (*precision, *scale);
            Some(Box::new(move |row, out| {
                sized(out, |out| {
                    out.push(0x0a);
                    super::wire::bytes(out, crate::formats::encode::avro::shortest(&values.value(row).to_be_bytes()));
                    out.extend_from_slice(&[0x10, precision, 0x18]);
                    varint(out, i64::from(scale) as u64);
                    Ok(())
                })
            }))
        }
        (name, _) if name.starts_with("google.protobuf.") && name.ends_with("Value") => wrapped(array, of)?,
        _ => None,
    })
}

fn timestamp(array: &ArrayRef, unit: TimeUnit) -> Result<Write> {
    let a_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => A_SECOND,
    };
    let values = cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone();
    Ok(Box::new(move |row, out| {
        let (seconds, rest) = (values.value(row).div_euclid(a_second), values.value(row).rem_euclid(a_second));
        if !(-62_135_596_800..=253_402_300_799).contains(&seconds) {
            return Err("a time that is not in the years from 1 to 9999".to_owned());
        }
        numbers(out, &[seconds, rest * (A_SECOND / a_second)])
    }))
}

/// A message of one value.
fn wrapped(array: &ArrayRef, of: &MessageDescriptor) -> Result<Option<Write>> {
    const AROUND: [&str; 9] = ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"];
    let name = of.name().strip_suffix("Value").unwrap_or_default();
    let Some(field) = of.get_field(1).filter(|_| AROUND.contains(&name)) else { return Ok(None) };
    let (front, write) = (tag(1, wire_of(&field.kind())), inner(array, &field.kind())?);
    Ok(Some(Box::new(move |row, out| {
        sized(out, |out| {
            let start = out.len();
            out.extend_from_slice(&front);
            write(row, out)?;
            if out[start + front.len()..].iter().all(|byte| *byte == 0) {
                out.truncate(start);
            }
            Ok(())
        })
    })))
}

/// A message whose fields are these numbers, from the first on.
fn numbers(out: &mut Vec<u8>, values: &[i64]) -> std::result::Result<(), String> {
    sized(out, |out| {
        for (number, value) in (1..).zip(values).filter(|(_, value)| **value != 0) {
            out.extend_from_slice(&tag(number, Wire::Varint));
            varint(out, *value as u64);
        }
        Ok(())
    })
}
