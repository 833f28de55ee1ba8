//! Exact decimal numbers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Builder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use weir_core::{Error, Result};

use super::Column;
use super::parts::{no_nulls, wrong_type};

/// A number of at most `PRECISION` digits, `SCALE` of them behind the point: `DECIMAL(p, s)` in SQL.
///
/// ```
/// use weir_jobs::Decimal;
///
/// let price: Decimal<10, 2> = "12.50".parse()?;
/// assert_eq!(price.units(), 1250);
/// assert_eq!(price.checked_add(price).map(|sum| sum.to_string()), Some("25.00".to_owned()));
/// # Ok::<(), weir_jobs::Error>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const PRECISION: u8, const SCALE: u8>(i128);

impl<const P: u8, const S: u8> Decimal<P, S> {
    /// Zero.
    pub const ZERO: Self = Self(0);

    const IS_TYPE: () =
        assert!(P >= 1 && P <= 38 && S <= P, "a DECIMAL has 1 to 38 digits, and no more of them behind the point");

    /// So many of the smallest unit: `new(1250)` is 12.50 with a scale of 2. `None` if those are too many digits.
    pub const fn new(units: i128) -> Option<Self> {
        let () = Self::IS_TYPE;
        if units.unsigned_abs() < 10_u128.pow(P as u32) { Some(Self(units)) } else { None }
    }

    /// How many of the smallest unit it is.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The sum, unless it has too many digits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    /// The difference, unless it has too many digits.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::new)
    }
}

impl<const P: u8, const S: u8> fmt::Display for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10_u128.pow(u32::from(S));
        let (whole, rest) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let sign = if self.0 < 0 { "-" } else { "" };
        match S {
            0 => write!(f, "{sign}{whole}"),
            _ => write!(f, "{sign}{whole}.{rest:0width$}", width = usize::from(S)),
        }
    }
}

impl<const P: u8, const S: u8> fmt::Debug for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const P: u8, const S: u8> FromStr for Decimal<P, S> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::user(format!("'{text}' is no number with {S} of at most {P} digits behind the point"));
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if behind.len() > usize::from(S)
            || (whole.is_empty() && behind.is_empty())
            || !all_digits(whole)
            || !all_digits(behind)
        {
            return Err(wrong());
        }
        let units: i128 = format!("{whole}{behind:0<width$}", width = usize::from(S)).parse().map_err(|_| wrong())?;
        Self::new(sign * units).ok_or_else(wrong)
    }
}

impl<const P: u8, const S: u8> Column for Decimal<P, S> {
    type Reader<'a> = &'a [i128];
    type Builder = Decimal128Builder;

    fn data_type() -> DataType {
        DataType::Decimal128(P, S as i8)
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a [i128]> {
        no_nulls(array, valid)?;
        let numbers = array.as_primitive_opt::<Decimal128Type>().filter(|_| *array.data_type() == Self::data_type());
        Ok(numbers.ok_or_else(|| wrong_type(array, &format!("DECIMAL({P}, {S})")))?.values())
    }

    #[inline]
    fn read(reader: &&[i128], row: usize) -> Self {
        Self(reader[row])
    }

    fn equals(&self, reader: &&[i128], row: usize) -> bool {
        reader[row] == self.0
    }

    fn builder(capacity: usize) -> Decimal128Builder {
        Decimal128Builder::with_capacity(capacity).with_data_type(Self::data_type())
    }

    #[inline]
    fn append_to(&self, builder: &mut Decimal128Builder) {
        builder.append_value(self.0);
    }

    fn push_null(builder: &mut Decimal128Builder) {
        builder.append_null();
    }

    fn finish(builder: &mut Decimal128Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
