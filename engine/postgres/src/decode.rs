//! Values in PostgreSQL's binary formats, straight into columns.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryViewBuilder, BooleanBuilder, ListArray, PrimitiveArray, PrimitiveBuilder,
    StringViewBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::*;
use weir_core::{Error, Result};

use crate::encode::{EPOCH_DAYS, EPOCH_MICROS};
use crate::numeric;
use crate::types::PgType;

/// A column under construction.
pub(crate) trait Builder: Send {
    /// Appends a value; `None` is null. Behind an error the column is of no use.
    ///
    /// # Errors
    /// What is wrong with it.
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String>;

    /// The values so far.
    ///
    /// # Errors
    /// If they do not fit together, which would be Weir's defect.
    fn finish(&mut self) -> Result<ArrayRef>;
}

/// A column of values of a type that [gives](PgType::gives) those of the Weir type.
///
/// # Errors
/// If it does not.
pub(crate) fn builder(pg: &PgType, data_type: &DataType) -> Result<Box<dyn Builder>> {
    let wrong = || Error::internal(format!("{pg:?} does not become {data_type}"));
    if !pg.gives(data_type) {
        return Err(wrong());
    }
    Ok(match (pg, data_type) {
        (PgType::Bool, _) => Box::new(Booleans(BooleanBuilder::new())),
        (PgType::Int2, DataType::Int8) => numbers::<Int8Type>(data_type, integer),
        (PgType::Int2 | PgType::Int4 | PgType::Int8, DataType::Int16) => numbers::<Int16Type>(data_type, integer),
        (PgType::Int2 | PgType::Int4 | PgType::Int8, DataType::Int32) => numbers::<Int32Type>(data_type, integer),
        (PgType::Int2 | PgType::Int4 | PgType::Int8, _) => numbers::<Int64Type>(data_type, integer),
        (PgType::Float4, DataType::Float32) => {
            numbers::<Float32Type>(data_type, |bytes| Ok(f32::from_be_bytes(exactly(bytes)?)))
        }
        (PgType::Float4, _) => {
            numbers::<Float64Type>(data_type, |bytes| Ok(f32::from_be_bytes(exactly(bytes)?).into()))
        }
        (PgType::Float8, _) => numbers::<Float64Type>(data_type, |bytes| Ok(f64::from_be_bytes(exactly(bytes)?))),
        (PgType::Numeric(_), DataType::Decimal128(precision, scale)) => {
            let (precision, scale) = (*precision, u32::try_from(*scale).map_err(|_| wrong())?);
            numbers::<Decimal128Type>(data_type, move |bytes| numeric::read(bytes, precision, scale))
        }
        (PgType::Numeric(_), _) => numbers::<Int64Type>(data_type, |bytes| {
            let value = numeric::read(bytes, 38, 0)?;
            i64::try_from(value).map_err(|_| format!("{value}, which is out of range"))
        }),
        (PgType::Uuid, _) => Box::new(Texts(StringViewBuilder::new(), uuid)),
        (PgType::Jsonb, _) => Box::new(Texts(StringViewBuilder::new(), |bytes| match bytes {
            [1, text @ ..] => utf8(text),
            _ => Err("jsonb of an unknown version".to_owned()),
        })),
        (PgType::Text(_) | PgType::Json | PgType::Enum(_), _) => Box::new(Texts(StringViewBuilder::new(), utf8)),
        (PgType::Bytea, _) => Box::new(Bytes(BinaryViewBuilder::new())),
        (PgType::Date, _) => numbers::<Date32Type>(data_type, |bytes| match i32::from_be_bytes(exactly(bytes)?) {
            i32::MIN | i32::MAX => Err("an infinite date".to_owned()),
            days => i32::try_from(i64::from(days) + EPOCH_DAYS).map_err(|_| "a date out of range".to_owned()),
        }),
        (PgType::Time(_), DataType::Time64(TimeUnit::Microsecond)) => {
            numbers::<Time64MicrosecondType>(data_type, |bytes| time_of_day(bytes, 1))
        }
        (PgType::Time(_), _) => numbers::<Time64NanosecondType>(data_type, |bytes| time_of_day(bytes, 1000)),
        (PgType::Timestamp { .. }, DataType::Timestamp(unit, _)) => match unit {
            TimeUnit::Second => {
                numbers::<TimestampSecondType>(data_type, |bytes| Ok(micros(bytes)?.div_euclid(1_000_000)))
            }
            TimeUnit::Millisecond => {
                numbers::<TimestampMillisecondType>(data_type, |bytes| Ok(micros(bytes)?.div_euclid(1000)))
            }
            TimeUnit::Microsecond => numbers::<TimestampMicrosecondType>(data_type, micros),
            TimeUnit::Nanosecond => numbers::<TimestampNanosecondType>(data_type, |bytes| {
                micros(bytes)?.checked_mul(1000).ok_or_else(|| "a time outside of 1677 to 2262".to_owned())
            }),
        },
        (PgType::Array(inner), DataType::List(field)) => Box::new(Lists {
            offsets: vec![0],
            valid: Vec::new(),
            items: builder(inner, field.data_type())?,
            field: field.clone(),
        }),
        _ => return Err(wrong()),
    })
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    bytes.try_into().map_err(|_| format!("{} bytes instead of {N}", bytes.len()))
}

fn integer<T: TryFrom<i64>>(bytes: &[u8]) -> Result<T, String> {
    let value = match bytes.len() {
        2 => i16::from_be_bytes(exactly(bytes)?).into(),
        4 => i32::from_be_bytes(exactly(bytes)?).into(),
        _ => i64::from_be_bytes(exactly(bytes)?),
    };
    T::try_from(value).map_err(|_| format!("{value}, which is out of range"))
}

fn micros(bytes: &[u8]) -> Result<i64, String> {
    match i64::from_be_bytes(exactly(bytes)?) {
        i64::MIN | i64::MAX => Err("an infinite time".to_owned()),
        micros => micros.checked_add(EPOCH_MICROS).ok_or_else(|| "a time out of range".to_owned()),
    }
}

fn time_of_day(bytes: &[u8], factor: i64) -> Result<i64, String> {
    let micros = i64::from_be_bytes(exactly(bytes)?);
    if (0..86_400_000_000).contains(&micros) { Ok(micros * factor) } else { Err("the time of day 24:00".to_owned()) }
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "text that is not UTF-8".to_owned())
}

fn uuid(bytes: &[u8]) -> Result<String, String> {
    let hex = format!("{:032x}", u128::from_be_bytes(exactly(bytes)?));
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

struct Numbers<T: ArrowPrimitiveType, F>(PrimitiveBuilder<T>, F);

fn numbers<T: ArrowPrimitiveType>(
    data_type: &DataType,
    read: impl Fn(&[u8]) -> Result<T::Native, String> + Send + 'static,
) -> Box<dyn Builder> {
    Box::new(Numbers::<T, _>(PrimitiveBuilder::new().with_data_type(data_type.clone()), read))
}

impl<T: ArrowPrimitiveType, F: Fn(&[u8]) -> Result<T::Native, String> + Send> Builder for Numbers<T, F> {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        self.0.append_option(value.map(&self.1).transpose()?);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let array: PrimitiveArray<T> = self.0.finish();
        Ok(Arc::new(array))
    }
}

struct Booleans(BooleanBuilder);

impl Builder for Booleans {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        let value = value.map(exactly::<1>).transpose()?;
        self.0.append_option(value.map(|[byte]| byte != 0));
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(self.0.finish()))
    }
}

struct Texts(StringViewBuilder, fn(&[u8]) -> Result<String, String>);

impl Builder for Texts {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        self.0.append_option(value.map(self.1).transpose()?);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(std::mem::take(&mut self.0).finish()))
    }
}

struct Bytes(BinaryViewBuilder);

impl Builder for Bytes {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        self.0.append_option(value);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        Ok(Arc::new(std::mem::take(&mut self.0).finish()))
    }
}

struct Lists {
    offsets: Vec<i32>,
    valid: Vec<bool>,
    items: Box<dyn Builder>,
    field: FieldRef,
}

impl Builder for Lists {
    fn append(&mut self, value: Option<&[u8]>) -> Result<(), String> {
        let mut length = *self.offsets.last().unwrap_or(&0);
        self.valid.push(value.is_some());
        if let Some(mut bytes) = value {
            let mut word = || -> Result<i32, String> {
                let (word, rest) =
                    bytes.split_first_chunk::<4>().ok_or_else(|| "an array that is cut off".to_owned())?;
                bytes = rest;
                Ok(i32::from_be_bytes(*word))
            };
            let (dimensions, _, _) = (word()?, word()?, word()?);
            let count = match dimensions {
                0 => 0,
                1 => word().and_then(|count| word().map(|_| count))?,
                _ => return Err(format!("an array of {dimensions} dimensions")),
            };
            for _ in 0..count {
                let (size, rest) =
                    bytes.split_first_chunk::<4>().ok_or_else(|| "an array that is cut off".to_owned())?;
                bytes = rest;
                let item = match usize::try_from(i32::from_be_bytes(*size)) {
                    Err(_) => None,
                    Ok(size) => {
                        let (item, rest) =
                            bytes.split_at_checked(size).ok_or_else(|| "an array that is cut off".to_owned())?;
                        bytes = rest;
                        Some(item)
                    }
                };
                if item.is_none() && !self.field.is_nullable() {
                    return Err("an array with a null in it".to_owned());
                }
                self.items.append(item)?;
            }
            length = length.checked_add(count).ok_or_else(|| "too many items".to_owned())?;
        }
        self.offsets.push(length);
        Ok(())
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, vec![0])));
        let nulls = NullBuffer::from(std::mem::take(&mut self.valid));
        Ok(Arc::new(ListArray::try_new(self.field.clone(), offsets, self.items.finish()?, Some(nulls))?))
    }
}
