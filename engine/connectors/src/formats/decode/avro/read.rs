//! From the bytes of a datum into columns.

use super::super::column::Column;
use super::cursor::Cursor;
use super::plan::{Datum, Read, Root, Row, Step};
use super::skip::{no_branch, skip};
use crate::formats::avro::AvroSchema;

/// Adds the row of a datum.
///
/// # Errors
/// What is wrong with it. Columns are uneven then.
pub(in crate::formats::decode) fn decode(root: &Root, bytes: &[u8], columns: &mut [Column]) -> Result<(), String> {
    let mut at = Cursor(bytes);
    datum(&mut at, &root.datum, &root.schema, columns)?;
    match at.0.len() {
        0 => Ok(()),
        rest => Err(format!("there are {rest} bytes behind the datum: it was written by another schema")),
    }
}

fn datum(at: &mut Cursor<'_>, of: &Datum, schema: &AvroSchema, columns: &mut [Column]) -> Result<(), String> {
    match of {
        Datum::Record(row) => read_row(at, row, schema, columns),
        Datum::Value(nullable, read) => {
            let column = columns.first_mut().ok_or("there is no column for it")?;
            value(at, read, *nullable, schema, column)
        }
        Datum::Union(branches) => {
            let chosen = branch(at.long()?, branches)?;
            datum(at, chosen, schema, columns)
        }
    }
}

fn branch<T>(branch: i64, branches: &[Result<T, String>]) -> Result<&T, String> {
    let chosen = usize::try_from(branch).ok().and_then(|branch| branches.get(branch));
    chosen.ok_or_else(|| no_branch(branch, branches.len()))?.as_ref().map_err(Clone::clone)
}

fn read_row(at: &mut Cursor<'_>, row: &Row, schema: &AvroSchema, columns: &mut [Column]) -> Result<(), String> {
    for step in &row.fields {
        match step {
            Step::Read(place, nullable, read) => value(at, read, *nullable, schema, &mut columns[*place])?,
            Step::Skip(of) => skip(at, of, schema, 0)?,
        }
    }
    row.missing.iter().for_each(|place| columns[*place].append_null());
    Ok(())
}

fn value(
    at: &mut Cursor<'_>,
    read: &Read,
    nullable: bool,
    schema: &AvroSchema,
    column: &mut Column,
) -> Result<(), String> {
    const MISMATCH: &str = "a column of another type than was planned";
    match (read, &mut *column) {
        (Read::Null, column) if nullable => column.append_null(),
        (Read::Null, _) => return Err("a null in what is NOT NULL".to_owned()),
        (Read::Boolean, Column::Boolean(values)) => match at.array()? {
            [0] => values.append_value(false),
            [1] => values.append_value(true),
            [other] => return Err(format!("the boolean {other}")),
        },
        (Read::Integer, column) => {
            let value = at.long()?;
            let out_of_range = || format!("{value}, which is out of range");
            match column {
                Column::Int64(values) => values.append_value(value),
                Column::Int32(values) => values.append_value(value.try_into().map_err(|_| out_of_range())?),
                Column::Int16(values) => values.append_value(value.try_into().map_err(|_| out_of_range())?),
                Column::Int8(values) => values.append_value(value.try_into().map_err(|_| out_of_range())?),
                Column::Float64(values) => values.append_value(value as f64),
                Column::Float32(values) => values.append_value(value as f32),
                _ => return Err(MISMATCH.to_owned()),
            }
        }
        (Read::Float, Column::Float32(values)) => values.append_value(f32::from_le_bytes(at.array()?)),
        (Read::Float, Column::Float64(values)) => values.append_value(f32::from_le_bytes(at.array()?).into()),
        (Read::Double, Column::Float64(values)) => values.append_value(f64::from_le_bytes(at.array()?)),
        (Read::Bytes(size), column) => {
            let bytes = sized(at, *size)?;
            match column {
                Column::Text(values) => values.append_value(utf8(bytes)?),
                Column::Bytes(values) => values.append_value(bytes),
                _ => return Err(MISMATCH.to_owned()),
            }
        }
        (Read::Uuid, Column::Text(values)) => {
            let hex = format!("{:032x}", u128::from_be_bytes(at.array()?));
            values.append_value([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"));
        }
        (Read::Enum(symbols), Column::Text(values)) => {
            let symbol = at.int()?;
            let name = usize::try_from(symbol).ok().and_then(|symbol| symbols.get(symbol));
            values.append_value(name.ok_or_else(|| format!("the symbol {symbol} of {}", symbols.len()))?);
        }
        (Read::Decimal(size, factor, digits), Column::Decimal { values, .. }) => {
            let bytes = sized(at, *size)?;
            let value = whole(bytes).and_then(|value| value.checked_mul(*factor));
            let has_room = |value: &i128| value.unsigned_abs() < 10_u128.pow(u32::from(*digits));
            let no_room = || format!("a decimal of more than {digits} digits");
            values.append_value(value.filter(has_room).ok_or_else(no_room)?);
        }
        (Read::Time(factor), column) => {
            let value = at.long()?;
            let out_of_range = || format!("the time {value}, which is out of range");
            match column {
                Column::Date(values) => values.append_value(value.try_into().map_err(|_| out_of_range())?),
                Column::Time { values, unit } => {
                    let a_day = match unit {
                        arrow::datatypes::TimeUnit::Microsecond => 86_400_000_000,
                        _ => 86_400_000_000_000,
                    };
                    let value = value.checked_mul(*factor).filter(|value| (0..a_day).contains(value));
                    values.append_value(value.ok_or_else(out_of_range)?);
                }
                Column::Timestamp { values, .. } => {
                    values.append_value(value.checked_mul(*factor).ok_or_else(out_of_range)?);
                }
                _ => return Err(MISMATCH.to_owned()),
            }
        }
        (Read::List(read, nullable), Column::List { item, .. }) => {
            while let Some((count, _)) = at.block()? {
                for _ in 0..count {
                    value(at, read, *nullable, schema, item)?;
                }
            }
            column.close(true);
        }
        (Read::Map(read, nullable), Column::Map { key, value: item, .. }) => {
            while let Some((count, _)) = at.block()? {
                for _ in 0..count {
                    let name = at.bytes()?;
                    match &mut **key {
                        Column::Text(names) => names.append_value(utf8(name)?),
                        Column::Bytes(names) => names.append_value(name),
                        _ => return Err(MISMATCH.to_owned()),
                    }
                    value(at, read, *nullable, schema, item)?;
                }
            }
            column.close(true);
        }
        (Read::Row(row), Column::Row { children, .. }) => {
            read_row(at, row, schema, children)?;
            column.close(true);
        }
        (Read::Union(branches), _) => {
            let chosen = branch(at.long()?, branches)?;
            value(at, chosen, nullable, schema, column)?;
        }
        _ => return Err(MISMATCH.to_owned()),
    }
    Ok(())
}

/// So many bytes, or as many as stands in front of them.
fn sized<'a>(at: &mut Cursor<'a>, size: Option<usize>) -> Result<&'a [u8], String> {
    match size {
        Some(size) => at.take(size),
        None => at.bytes(),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("invalid UTF-8 at byte {} of a string", error.valid_up_to() + 1))
}

/// A number of any length, two's complement, the highest byte first; `None` if it has more than 128 bits.
pub(in crate::formats::decode) fn whole(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    let (spare, digits) = bytes.split_at(bytes.len().saturating_sub(16));
    let has_room = spare.iter().all(|byte| *byte == sign)
        && (spare.is_empty() || digits.first().is_some_and(|first| first & 0x80 == sign & 0x80));
    let mut all = [sign; 16];
    all[16 - digits.len()..].copy_from_slice(digits);
    has_room.then(|| i128::from_be_bytes(all))
}
