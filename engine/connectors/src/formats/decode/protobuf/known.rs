//! Messages that everybody has, as values of the type that they stand for.

use arrow::datatypes::{DataType, TimeUnit};

use super::super::column::Column;
use super::read::MISMATCH;
use super::wire::{Cursor, Wire};

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// `google.protobuf.Timestamp`
    Timestamp,
    /// `google.protobuf.Duration`, as seconds.
    Duration,
    /// `google.type.Date`
    Date,
    /// `google.type.TimeOfDay`
    TimeOfDay,
    /// `confluent.type.Decimal`
    Decimal,
}

/// What the fields of such a message are: numbers from 1 to 4, and bytes.
#[derive(Default)]
struct Parts<'a> {
    numbers: [i64; 4],
    bytes: &'a [u8],
}

const A_SECOND: i64 = 1_000_000_000;

impl Known {
    /// That of a name, if columns of this type take its values.
    pub(super) fn of(name: &str, data_type: &DataType) -> Option<Self> {
        match (name, data_type) {
            ("google.protobuf.Timestamp", DataType::Timestamp(..)) => Some(Self::Timestamp),
            ("google.protobuf.Duration", DataType::Decimal128(_, 9..)) => Some(Self::Duration),
            ("google.type.Date", DataType::Date32) => Some(Self::Date),
            ("google.type.TimeOfDay", DataType::Time64(_)) => Some(Self::TimeOfDay),
            ("confluent.type.Decimal", DataType::Decimal128(..)) => Some(Self::Decimal),
            _ => None,
        }
    }

    /// # Errors
    /// If it is no value of its kind, or the column has no room for it.
    pub(super) fn append(self, bytes: &[u8], column: &mut Column) -> Result<(), String> {
        let Parts { numbers: [first, second, third, fourth], bytes } = parts(self, bytes)?;
        match (self, column) {
            (Self::Timestamp, Column::Timestamp { values, unit, .. }) => {
                // The years from 1 to 9999, as its definition says.
                if !(-62_135_596_800..=253_402_300_799).contains(&first) || !(0..A_SECOND).contains(&second) {
                    return Err(format!("{first} seconds and {second} nanoseconds are no time"));
                }
                let a_second = match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => A_SECOND,
                };
                let whole =
                    first.checked_mul(a_second).and_then(|whole| whole.checked_add(second / (A_SECOND / a_second)));
                values.append_value(whole.ok_or_else(|| format!("the time {first}, which is out of range"))?);
            }
            (Self::Duration, Column::Decimal { values, precision, scale }) => {
                let sign_differs = (first > 0 && second < 0) || (first < 0 && second > 0);
                if sign_differs || second.unsigned_abs() >= A_SECOND.unsigned_abs() {
                    return Err(format!("{first} seconds and {second} nanoseconds are no duration"));
                }
                let nanos = i128::from(first) * i128::from(A_SECOND) + i128::from(second);
                values.append_value(fitting(nanos, 9, (*precision, *scale))?);
            }
            (Self::Date, Column::Date(values)) => {
                let text = format!("{first:04}-{second:02}-{third:02}");
                values.append_value(super::super::time::date(&text).ok_or_else(|| format!("{text} is no date"))?);
            }
            (Self::TimeOfDay, Column::Time { values, unit }) => {
                let is_time = (0..24).contains(&first)
                    && (0..60).contains(&second)
                    && (0..60).contains(&third)
                    && (0..A_SECOND).contains(&fourth);
                if !is_time {
                    return Err(format!("{first}:{second}:{third} and {fourth} nanoseconds are no time of day"));
                }
                let nanos = ((first * 60 + second) * 60 + third) * A_SECOND + fourth;
                values.append_value(if *unit == TimeUnit::Microsecond { nanos / 1_000 } else { nanos });
            }
            (Self::Decimal, Column::Decimal { values, precision, scale }) => {
                let value = super::super::avro::whole(bytes).ok_or("a decimal of more than 38 digits")?;
                values.append_value(fitting(value, third, (*precision, *scale))?);
            }
            _ => return Err(MISMATCH.to_owned()),
        }
        Ok(())
    }
}

/// A decimal with so many digits behind the point as one of the column.
fn fitting(value: i128, scale: i64, (precision, wanted): (u8, i8)) -> Result<i128, String> {
    let no_room =
        || format!("a decimal with {scale} digits behind the point does not go into DECIMAL({precision}, {wanted})");
    let more = i64::from(wanted).checked_sub(scale).ok_or_else(no_room)?;
    let power = |digits: u64| u32::try_from(digits).ok().and_then(|digits| 10_i128.checked_pow(digits));
    let value = match power(more.unsigned_abs()) {
        _ if value == 0 => 0,
        Some(factor) if more >= 0 => value.checked_mul(factor).ok_or_else(no_room)?,
        // Digits that are none may go.
        Some(factor) if value % factor == 0 => value / factor,
        _ => return Err(no_room()),
    };
    let has_room = value.unsigned_abs() < 10_u128.pow(u32::from(precision));
    has_room.then_some(value).ok_or_else(no_room)
}

fn parts(known: Known, bytes: &[u8]) -> Result<Parts<'_>, String> {
    let mut parts = Parts::default();
    let mut at = Cursor(bytes);
    while !at.0.is_empty() {
        match at.tag()? {
            (1, Wire::Bytes) if known == Known::Decimal => parts.bytes = at.bytes()?,
            (number @ 1..=4, Wire::Varint) => parts.numbers[number as usize - 1] = at.varint()? as i64,
            (number @ 1..=4, wire) => {
                return Err(format!("its field {number} is written as {wire:?}: it was written by another schema"));
            }
            (number, wire) => at.skip(number, wire)?,
        }
    }
    Ok(parts)
}
