//! The types of docs/sql.md.

use std::fmt;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `BOOLEAN`.
    Boolean,
    /// `TINYINT` to `BIGINT`, by their bits.
    Integer(u8),
    /// `FLOAT`.
    Float,
    /// `DOUBLE`.
    Double,
    /// `DECIMAL(p, s)`.
    Decimal(u8, u8),
    /// `STRING`.
    String,
    /// `BYTES`.
    Bytes,
    /// `DATE`.
    Date,
    /// `TIME`.
    Time,
    /// `TIMESTAMP(p)`, or `TIMESTAMP_LTZ(p)` if `local`.
    Timestamp {
        /// Digits behind the second: 0, 3, 6 or 9, since others are read as the next of these.
        digits: u8,
        /// An instant.
        local: bool,
    },
    /// `ARRAY<t>`.
    Array(Box<Type>),
    /// `MAP<k, v>`.
    Map(Box<Type>, Box<Type>),
    /// `ROW<f0 t, f1 t, …>`.
    Row(Vec<Type>),
}

impl Type {
    /// The type of what is counted.
    pub const BIGINT: Type = Type::Integer(64);
    /// The type of time attributes and window bounds.
    pub const TIME_ATTRIBUTE: Type = Type::Timestamp { digits: 3, local: false };

    /// The type of a whole number as it is written.
    pub fn of_written(number: i64) -> Self {
        if i32::try_from(number).is_ok() { Type::Integer(32) } else { Type::BIGINT }
    }

    /// Whether values have an order: of all types that are not nested.
    pub fn is_scalar(&self) -> bool {
        !matches!(self, Type::Array(_) | Type::Map(..) | Type::Row(_))
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Type::Integer(_) | Type::Float | Type::Double | Type::Decimal(..))
    }

    /// Greatest magnitude of a value, in units of its last digit; `None` where that says nothing.
    pub fn limit(&self) -> Option<i128> {
        match self {
            Type::Integer(bits) => Some((1_i128 << (bits - 1)) - 1),
            Type::Decimal(precision, _) => Some(10_i128.pow(u32::from(*precision)) - 1),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Boolean => formatter.write_str("BOOLEAN"),
            Type::Integer(8) => formatter.write_str("TINYINT"),
            Type::Integer(16) => formatter.write_str("SMALLINT"),
            Type::Integer(32) => formatter.write_str("INT"),
            Type::Integer(_) => formatter.write_str("BIGINT"),
            Type::Float => formatter.write_str("FLOAT"),
            Type::Double => formatter.write_str("DOUBLE"),
            Type::Decimal(precision, scale) => write!(formatter, "DECIMAL({precision}, {scale})"),
            Type::String => formatter.write_str("STRING"),
            Type::Bytes => formatter.write_str("BYTES"),
            Type::Date => formatter.write_str("DATE"),
            Type::Time => formatter.write_str("TIME"),
            Type::Timestamp { digits, local: false } => write!(formatter, "TIMESTAMP({digits})"),
            Type::Timestamp { digits, local: true } => write!(formatter, "TIMESTAMP_LTZ({digits})"),
            Type::Array(element) => write!(formatter, "ARRAY<{element}>"),
            Type::Map(key, value) => write!(formatter, "MAP<{key}, {value}>"),
            Type::Row(fields) => {
                formatter.write_str("ROW<")?;
                for (index, field) in fields.iter().enumerate() {
                    write!(formatter, "{}f{index} {field}", if index > 0 { ", " } else { "" })?;
                }
                formatter.write_str(">")
            }
        }
    }
}
