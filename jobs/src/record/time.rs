//! Points in time and days.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, PrimitiveBuilder};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::cast_utils::{Parser, string_to_timestamp_nanos};
use arrow::datatypes::{DataType, Date32Type, TimeUnit, TimestampMillisecondType};
use weir_core::{Error, EventTime, Result, time_text};

use super::Column;
use super::parts::{no_nulls, wrong_type};
use super::primitive::values;

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z: `TIMESTAMP(3)` in SQL.
///
/// ```
/// use std::time::Duration;
/// use weir_jobs::Timestamp;
///
/// let noon: Timestamp = "2024-02-29 12:00:00".parse()?;
/// assert_eq!((noon + Duration::from_secs(90)).to_string(), "2024-02-29 12:01:30.000");
/// # Ok::<(), weir_jobs::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every other.
    pub const MIN: Self = Self(i64::MIN);
    /// Behind every other.
    pub const MAX: Self = Self(i64::MAX);

    /// So many milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// So many seconds since 1970.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time since an earlier one; none if that is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub(crate) fn event_time(self) -> EventTime {
        EventTime(self.0)
    }
}

/// Whole milliseconds of a duration, at most those that there are.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event_time().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event_time().fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let nanos = string_to_timestamp_nanos(text)
            .map_err(|error| Error::user(format!("'{text}' is no time")).with_source(error))?;
        Ok(Self(nanos.div_euclid(1_000_000)))
    }
}

/// A day, in days since 1970-01-01: `DATE` in SQL.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    /// So many days since 1970-01-01.
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    pub const fn days(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        time_text::push_date(&mut text, i64::from(self.0));
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Date32Type::parse(text).map(Self).ok_or_else(|| Error::user(format!("'{text}' is no date")))
    }
}

/// A type that the event time of a row may have: [`Timestamp`], or an `Option` of it.
#[diagnostic::on_unimplemented(message = "`{Self}` is no event time", label = "the event time is a `Timestamp`")]
pub trait EventTimeColumn {
    /// The time, if there is one.
    fn time(&self) -> Option<Timestamp>;
}

impl EventTimeColumn for Timestamp {
    fn time(&self) -> Option<Timestamp> {
        Some(*self)
    }
}

impl EventTimeColumn for Option<Timestamp> {
    fn time(&self) -> Option<Timestamp> {
        *self
    }
}

impl Column for Timestamp {
    type Reader<'a> = &'a [i64];
    type Builder = PrimitiveBuilder<TimestampMillisecondType>;

    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Millisecond, None)
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a [i64]> {
        no_nulls(array, valid)?;
        let times = array.as_primitive_opt::<TimestampMillisecondType>();
        Ok(times.ok_or_else(|| wrong_type(array, "a TIMESTAMP(3)"))?.values())
    }

    #[inline]
    fn read(reader: &&[i64], row: usize) -> Self {
        Self(reader[row])
    }

    #[inline]
    fn equals(&self, reader: &&[i64], row: usize) -> bool {
        reader[row] == self.0
    }

    fn builder(capacity: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(capacity)
    }

    #[inline]
    fn append_to(&self, builder: &mut Self::Builder) {
        builder.append_value(self.0);
    }

    fn push_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}

impl Column for Date {
    type Reader<'a> = &'a [i32];
    type Builder = PrimitiveBuilder<Date32Type>;

    fn data_type() -> DataType {
        DataType::Date32
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a [i32]> {
        values::<Date32Type>(array, valid)
    }

    #[inline]
    fn read(reader: &&[i32], row: usize) -> Self {
        Self(reader[row])
    }

    fn equals(&self, reader: &&[i32], row: usize) -> bool {
        reader[row] == self.0
    }

    fn builder(capacity: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(capacity)
    }

    #[inline]
    fn append_to(&self, builder: &mut Self::Builder) {
        builder.append_value(self.0);
    }

    fn push_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
