//! Columns as PostgreSQL's binary formats, made ready once per batch.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::*;
use weir_core::{Error, Result};

use crate::json;
use crate::numeric;
use crate::types::PgType;

/// From 1970 to 2000, where PostgreSQL's calendar begins.
pub(crate) const EPOCH_DAYS: i64 = 10_957;
pub(crate) const EPOCH_MICROS: i64 = EPOCH_DAYS * 86_400_000_000;

/// Bytes of a value. PostgreSQL has no more than a GiB for one.
const LONGEST: i32 = 1_000_000_000;

/// Writes the value of a row, which is not null.
type Write = Box<dyn Fn(usize, &mut Vec<u8>) -> Result<(), String> + Send + Sync>;

/// A column that is ready to be written row by row.
pub(crate) struct Values {
    nulls: Option<NullBuffer>,
    write: Write,
}

impl Values {
    /// The values of a column, as values of a type that [takes](PgType::takes) them.
    ///
    /// # Errors
    /// If it does not take them.
    pub(crate) fn new(array: &ArrayRef, pg: &PgType) -> Result<Self> {
        Ok(Self { nulls: array.logical_nulls(), write: writer(array, pg)? })
    }

    /// Those of a column of a key by which rows replace each other: no two values of Weir's are one of the database's.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn of_key(array: &ArrayRef, pg: &PgType) -> Result<Self> {
        let values = Self::new(array, pg)?;
        let (PgType::Uuid, Some(texts)) = (pg, array.as_string_view_opt().cloned()) else { return Ok(values) };
        let write: Write = Box::new(move |row, out| {
            let text = texts.value(row);
            if text.len() == 32 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Err(format!("'{text}', and the uuid of a key is written with dashes and in lower case"));
            }
            (values.write)(row, out)
        });
        Ok(Self { nulls: values.nulls, write })
    }

    /// Those that are looked for, as values of a type that [a key has](PgType::key). Appending one that is no value of it fails.
    ///
    /// # Errors
    /// If they are of another type.
    pub(crate) fn sought(array: &ArrayRef, pg: &PgType) -> Result<Self> {
        let write = match (array.data_type(), pg) {
            (DataType::Timestamp(TimeUnit::Nanosecond, zone), PgType::Timestamp { zoned, .. })
                if zone.is_some() == *zoned =>
            {
                primitive::<TimestampNanosecondType>(array, |nanos, out| match nanos % 1000 {
                    0 => push_micros(Some(nanos / 1000), out),
                    _ => Err("a time with more than six digits of a second".to_owned()),
                })
            }
            _ => return Self::new(array, pg),
        };
        Ok(Self { nulls: array.logical_nulls(), write })
    }

    /// Whether the row has no value.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Appends the value of a row, behind its length.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub(crate) fn append(&self, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if self.is_null(row) {
            out.extend_from_slice(&(-1_i32).to_be_bytes());
            return Ok(());
        }
        let place = out.len();
        out.extend_from_slice(&[0; 4]);
        (self.write)(row, out)?;
        let length = out.len() - place - 4;
        let length = i32::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length = length.ok_or_else(|| "a value of more than 1 GB".to_owned())?;
        out[place..place + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// An array of those values that are not null, for a query. A value that PostgreSQL has none for is left out: there is no such row.
///
/// # Errors
/// If they are too many.
pub(crate) fn array(values: &Values, rows: impl Iterator<Item = usize>, pg: &PgType) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    push_header(&mut out, pg, 0);
    let mut count = 0_i32;
    for row in rows {
        values.append(row, &mut out).map_err(Error::data)?;
        count = count.checked_add(1).ok_or_else(|| Error::internal("too many keys at once"))?;
    }
    if count == 0 {
        // An empty array has no dimension.
        out.truncate(12);
        out[..4].copy_from_slice(&[0; 4]);
    } else {
        out[12..16].copy_from_slice(&count.to_be_bytes());
    }
    Ok(out)
}

/// One dimension that begins at 1, perhaps with nulls.
fn push_header(out: &mut Vec<u8>, item: &PgType, length: i32) {
    for word in [1, 1, item.oid() as i32, length, 1] {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn writer(array: &ArrayRef, pg: &PgType) -> Result<Write> {
    if !pg.takes(array.data_type()) {
        return Err(Error::internal(format!("{} does not become {pg:?}", array.data_type())));
    }
    Ok(match (array.data_type(), pg) {
        (DataType::Boolean, _) => {
            let values = array.as_boolean().clone();
            Box::new(move |row, out| {
                out.push(values.value(row).into());
                Ok(())
            })
        }
        (DataType::Decimal128(_, scale), _) => {
            let scale = u32::try_from(*scale).map_err(|_| Error::internal("a decimal with a negative scale"))?;
            primitive::<Decimal128Type>(array, move |value, out| {
                numeric::write(value, scale, out);
                Ok(())
            })
        }
        (_, PgType::Numeric(_)) => primitive::<Int64Type>(&cast(array, &DataType::Int64)?, |value, out| {
            numeric::write(value.into(), 0, out);
            Ok(())
        }),
        (_, PgType::Int2) => fixed::<Int16Type, 2>(&cast(array, &DataType::Int16)?, i16::to_be_bytes),
        (_, PgType::Int4) => fixed::<Int32Type, 4>(&cast(array, &DataType::Int32)?, i32::to_be_bytes),
        (_, PgType::Int8) => fixed::<Int64Type, 8>(&cast(array, &DataType::Int64)?, i64::to_be_bytes),
        (_, PgType::Float4) => fixed::<Float32Type, 4>(&cast(array, &DataType::Float32)?, f32::to_be_bytes),
        (_, PgType::Float8) => fixed::<Float64Type, 8>(&cast(array, &DataType::Float64)?, f64::to_be_bytes),
        (DataType::Utf8View, pg) => text(array, pg),
        (DataType::BinaryView, _) => {
            let values = array.as_binary_view().clone();
            Box::new(move |row, out| {
                out.extend_from_slice(values.value(row));
                Ok(())
            })
        }
        (DataType::Date32, _) => primitive::<Date32Type>(array, |days, out| {
            let days = i64::from(days) - EPOCH_DAYS;
            // From 4714 BC to 5874897.
            if !(-2_451_545..2_145_031_949).contains(&days) {
                return Err("a date that PostgreSQL's calendar does not have".to_owned());
            }
            out.extend_from_slice(&(days as i32).to_be_bytes());
            Ok(())
        }),
        (DataType::Time64(_), _) => {
            let nanos = cast(array, &DataType::Time64(TimeUnit::Nanosecond))?;
            primitive::<Time64NanosecondType>(&nanos, |nanos, out| {
                if nanos % 1000 != 0 {
                    return Err("a time of day with more than six digits of a second".to_owned());
                }
                out.extend_from_slice(&(nanos / 1000).to_be_bytes());
                Ok(())
            })
        }
        (DataType::Timestamp(unit, _), _) => timestamp(array, *unit),
        (DataType::List(_), PgType::Array(item)) => list(array, item)?,
        _ => return Err(Error::internal(format!("{} does not become {pg:?}", array.data_type()))),
    })
}

fn primitive<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    write: impl Fn(T::Native, &mut Vec<u8>) -> Result<(), String> + Send + Sync + 'static,
) -> Write {
    let values: PrimitiveArray<T> = array.as_primitive::<T>().clone();
    Box::new(move |row, out| write(values.value(row), out))
}

fn fixed<T: ArrowPrimitiveType, const N: usize>(array: &ArrayRef, bytes: fn(T::Native) -> [u8; N]) -> Write {
    primitive::<T>(array, move |value, out| {
        out.extend_from_slice(&bytes(value));
        Ok(())
    })
}

fn text(array: &ArrayRef, pg: &PgType) -> Write {
    let values = array.as_string_view().clone();
    let pg = pg.clone();
    Box::new(move |row, out| {
        let value = values.value(row);
        match &pg {
            PgType::Uuid => out.extend_from_slice(&uuid(value).ok_or_else(|| format!("'{value}' is no uuid"))?),
            PgType::Json | PgType::Jsonb => {
                serde_json::from_str::<serde::de::IgnoredAny>(value)
                    .map_err(|error| format!("text that is no JSON: {error}"))?;
                json::check(value, pg == PgType::Jsonb)?;
                if pg == PgType::Jsonb {
                    out.push(1);
                }
                out.extend_from_slice(value.as_bytes());
            }
            PgType::Text(Some(longest)) if value.chars().count() > *longest as usize => {
                return Err(format!("text of more than {longest} characters"));
            }
            _ if value.contains('\0') => {
                return Err("text with a character of code 0, which PostgreSQL does not have".into());
            }
            PgType::Enum(labels) if !labels.iter().any(|label| label == value) => {
                return Err(format!("'{value}', which is no label of its enumeration"));
            }
            _ => out.extend_from_slice(value.as_bytes()),
        }
        Ok(())
    })
}

/// The bytes of a uuid with or without dashes, in upper or lower case.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.chars().filter(|digit| *digit != '-').map(|digit| digit.to_digit(16));
    let mut bytes = [0; 16];
    for byte in &mut bytes {
        *byte = (digits.next()?? * 16 + digits.next()??) as u8;
    }
    let is_dashed = || text.len() == 36 && [8, 13, 18, 23].iter().all(|place| text.as_bytes()[*place] == b'-');
    (digits.next().is_none() && (text.len() == 32 || is_dashed())).then_some(bytes)
}

fn timestamp(array: &ArrayRef, unit: TimeUnit) -> Write {
    fn of<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef, factor: i64) -> Write {
        primitive::<T>(array, move |value, out| push_micros(value.checked_mul(factor), out))
    }
    match unit {
        TimeUnit::Second => of::<TimestampSecondType>(array, 1_000_000),
        TimeUnit::Millisecond => of::<TimestampMillisecondType>(array, 1000),
        TimeUnit::Microsecond | TimeUnit::Nanosecond => of::<TimestampMicrosecondType>(array, 1),
    }
}

/// Appends microseconds since 1970, if there are not too many.
fn push_micros(micros: Option<i64>, out: &mut Vec<u8>) -> Result<(), String> {
    let micros = micros.and_then(|micros| micros.checked_sub(EPOCH_MICROS));
    // From 4714 BC to the end of 294276.
    let micros = micros.filter(|micros| (-211_813_488_000_000_000..9_223_371_331_200_000_000).contains(micros));
    let micros = micros.ok_or_else(|| "a time that PostgreSQL's calendar does not have".to_owned())?;
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

fn list(array: &ArrayRef, item: &PgType) -> Result<Write> {
    let list = array.as_list::<i32>();
    let (offsets, values, item) = (list.offsets().clone(), Values::new(list.values(), item)?, item.clone());
    Ok(Box::new(move |row, out| {
        let (begin, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        if begin == end {
            for word in [0, 0, item.oid() as i32] {
                out.extend_from_slice(&word.to_be_bytes());
            }
            return Ok(());
        }
        push_header(out, &item, offsets[row + 1] - offsets[row]);
        (begin..end).try_for_each(|entry| values.append(entry, out))
    }))
}
