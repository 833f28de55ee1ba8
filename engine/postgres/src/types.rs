//! Which types of Weir's and PostgreSQL's hold the same values. A pair that would round, cut off or pad is refused.

use arrow::datatypes::{DataType, TimeUnit};

/// A type of PostgreSQL's, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PgType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Digits in all and behind the point, if they are bounded.
    Numeric(Option<(i32, i32)>),
    /// `text`, or `varchar` with its length in characters.
    Text(Option<u32>),
    Json,
    Jsonb,
    Uuid,
    /// With its labels.
    Enum(Vec<String>),
    Bytea,
    Date,
    /// Digits of a second.
    Time(u8),
    Timestamp {
        digits: u8,
        zoned: bool,
    },
    Array(Box<PgType>),
    /// Any other.
    Other,
}

impl PgType {
    /// The base type of this name in `pg_type`, with what stands in brackets behind it.
    pub(crate) fn named(name: &str, modifier: i32) -> Self {
        let digits = u8::try_from(modifier).unwrap_or(6);
        match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            // The scale has eleven bits, and a sign since PostgreSQL 15.
            "numeric" => Self::Numeric((modifier >= 4).then(|| {
                let modifier = modifier - 4;
                ((modifier >> 16) & 0xffff, ((modifier & 0x7ff) ^ 1024) - 1024)
            })),
            "text" => Self::Text(None),
            "varchar" => Self::Text(u32::try_from(modifier - 4).ok()),
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "uuid" => Self::Uuid,
            "bytea" => Self::Bytea,
            "date" => Self::Date,
            "time" => Self::Time(digits),
            "timestamp" => Self::Timestamp { digits, zoned: false },
            "timestamptz" => Self::Timestamp { digits, zoned: true },
            _ => Self::Other,
        }
    }

    /// Whether each value of the Weir type is one of this type.
    pub(crate) fn takes(&self, data_type: &DataType) -> bool {
        match (data_type, self) {
            (DataType::Boolean, Self::Bool)
            | (DataType::Int8 | DataType::Int16, Self::Int2 | Self::Int4 | Self::Int8)
            | (DataType::Int32, Self::Int4 | Self::Int8)
            | (DataType::Int64, Self::Int8)
            | (DataType::Float32, Self::Float4 | Self::Float8)
            | (DataType::Float64, Self::Float8)
            | (DataType::Utf8View, Self::Text(_) | Self::Json | Self::Jsonb | Self::Uuid | Self::Enum(_))
            | (DataType::BinaryView, Self::Bytea)
            | (DataType::Date32, Self::Date)
            | (DataType::Time64(_), Self::Time(6)) => true,
            (whole, Self::Numeric(bounds)) => decimal(whole).is_some_and(|(precision, scale)| {
                bounds.is_none_or(|(digits, behind)| behind >= scale && digits - behind >= precision - scale)
            }),
            (DataType::Timestamp(unit, zone), Self::Timestamp { digits, zoned }) => {
                zone.is_some() == *zoned && unit_digits(*unit) <= *digits
            }
            (DataType::List(item), Self::Array(inner)) => inner.takes(item.data_type()),
            _ => false,
        }
    }

    /// Whether values of this type are read as the Weir type. A numeric, a time of day or a `TINYINT` may turn out to have no room.
    pub(crate) fn gives(&self, data_type: &DataType) -> bool {
        match (self, data_type) {
            (Self::Bool, DataType::Boolean)
            // Of the whole numbers without a type of their own a value may turn out to be too large.
            | (Self::Int2, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
            | (Self::Int4, DataType::Int32 | DataType::Int64)
            | (Self::Int8, DataType::Int64)
            | (Self::Float4, DataType::Float32 | DataType::Float64)
            | (Self::Float8, DataType::Float64)
            | (Self::Text(_) | Self::Json | Self::Jsonb | Self::Uuid | Self::Enum(_), DataType::Utf8View)
            | (Self::Bytea, DataType::BinaryView)
            | (Self::Date, DataType::Date32)
            | (Self::Time(_), DataType::Time64(_))
            | (Self::Numeric(None), DataType::Decimal128(_, _) | DataType::Int64) => true,
            (Self::Numeric(Some((_, behind))), DataType::Int64) => *behind <= 0,
            (Self::Numeric(Some((digits, behind))), DataType::Decimal128(precision, scale)) => {
                let (precision, scale) = (i32::from(*precision), i32::from(*scale));
                scale >= *behind && precision - scale >= digits - behind
            }
            (Self::Timestamp { digits, zoned }, DataType::Timestamp(unit, zone)) => {
                zone.is_some() == *zoned && unit_digits(*unit) >= *digits
            }
            (Self::Array(inner), DataType::List(item)) => inner.gives(item.data_type()),
            _ => false,
        }
    }

    /// Whether the database can look for values of this type by an index, and they are equal where Weir's are.
    pub(crate) fn is_key(&self) -> bool {
        !matches!(self, Self::Json | Self::Jsonb | Self::Enum(_) | Self::Array(_) | Self::Other)
    }

    /// Where a value of the Weir type is looked for among those of this one.
    pub(crate) fn key(&self, data_type: &DataType) -> Self {
        match data_type {
            DataType::Int8 | DataType::Int16 => Self::Int2,
            DataType::Int32 => Self::Int4,
            DataType::Int64 => Self::Int8,
            DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            _ => match self {
                Self::Numeric(_) => Self::Numeric(None),
                Self::Text(_) => Self::Text(None),
                // With all digits: what is looked for may have more than the column.
                Self::Time(_) => Self::Time(6),
                Self::Timestamp { zoned, .. } => Self::Timestamp { digits: 6, zoned: *zoned },
                other => other.clone(),
            },
        }
    }

    /// Whether rows may replace each other by values of this type: those that differ in Weir differ in the database. Of a plain `uuid`
    /// [each value](crate::encode::Values::of_key) is looked at.
    pub(crate) fn may_replace_by(&self) -> bool {
        match self {
            Self::Jsonb => false,
            Self::Array(item) => !matches!(**item, Self::Uuid | Self::Jsonb),
            _ => true,
        }
    }

    /// Its name in a cast.
    pub(crate) fn sql(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int2 => "int2",
            Self::Int4 => "int4",
            Self::Int8 => "int8",
            Self::Float4 => "float4",
            Self::Float8 => "float8",
            Self::Numeric(_) => "numeric",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Uuid => "uuid",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::Timestamp { zoned: false, .. } => "timestamp",
            Self::Timestamp { zoned: true, .. } => "timestamptz",
            Self::Text(_) | Self::Enum(_) | Self::Array(_) | Self::Other => "text",
        }
    }

    /// The number of the type, as the header of an array of such values has it. Those of built-in types never change.
    pub(crate) fn oid(&self) -> u32 {
        match self {
            Self::Bool => 16,
            Self::Bytea => 17,
            Self::Int8 => 20,
            Self::Int2 => 21,
            Self::Int4 => 23,
            Self::Json => 114,
            Self::Float4 => 700,
            Self::Float8 => 701,
            Self::Date => 1082,
            Self::Time(_) => 1083,
            Self::Timestamp { zoned: false, .. } => 1114,
            Self::Timestamp { zoned: true, .. } => 1184,
            Self::Numeric(_) => 1700,
            Self::Uuid => 2950,
            Self::Jsonb => 3802,
            Self::Text(Some(_)) => 1043,
            Self::Text(None) | Self::Enum(_) | Self::Array(_) | Self::Other => 25,
        }
    }

    /// The types that hold all values of a Weir type, for advice; empty if there is none.
    pub(crate) fn fitting(data_type: &DataType) -> String {
        match data_type {
            DataType::Boolean => "boolean".into(),
            DataType::Int8 | DataType::Int16 => "smallint".into(),
            DataType::Int32 => "integer".into(),
            DataType::Int64 => "bigint".into(),
            DataType::Float32 => "real".into(),
            DataType::Float64 => "double precision".into(),
            DataType::Decimal128(precision, scale) => format!("numeric({precision}, {scale})"),
            DataType::Utf8View => "text".into(),
            DataType::BinaryView => "bytea".into(),
            DataType::Date32 => "date".into(),
            DataType::Time64(_) => "time".into(),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => String::new(),
            DataType::Timestamp(unit, zone) => {
                format!("timestamp{}({})", if zone.is_some() { "tz" } else { "" }, unit_digits(*unit))
            }
            DataType::List(item) => match Self::fitting(item.data_type()) {
                inner if inner.is_empty() || inner.ends_with(']') => String::new(),
                inner => inner + "[]",
            },
            _ => String::new(),
        }
    }
}

/// Digits in all and behind the point of whole numbers and decimals.
fn decimal(data_type: &DataType) -> Option<(i32, i32)> {
    match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(precision, scale) => Some((i32::from(*precision), i32::from(*scale))),
        _ => None,
    }
}

fn unit_digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_would_round_or_overflow_are_refused() {
        let numeric = |digits, behind| PgType::Numeric(Some((digits, behind)));
        let money = DataType::Decimal128(10, 2);
        assert!(numeric(10, 2).takes(&money) && numeric(12, 3).takes(&money) && PgType::Numeric(None).takes(&money));
        assert!(!numeric(10, 3).takes(&money) && !numeric(12, 1).takes(&money));
        assert!(numeric(19, 0).takes(&DataType::Int64) && !numeric(18, 0).takes(&DataType::Int64));
        assert!(numeric(10, 2).gives(&money) && !numeric(10, 3).gives(&money) && !numeric(11, 2).gives(&money));
        let time = |unit| DataType::Timestamp(unit, None);
        let timestamp = |digits| PgType::Timestamp { digits, zoned: false };
        assert!(timestamp(3).takes(&time(TimeUnit::Millisecond)) && !timestamp(2).takes(&time(TimeUnit::Millisecond)));
        assert!(!timestamp(6).takes(&time(TimeUnit::Nanosecond)) && !timestamp(6).gives(&time(TimeUnit::Millisecond)));
        assert!(!timestamp(6).takes(&DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))));
        assert!(PgType::Int4.gives(&DataType::Int64) && !PgType::Int8.gives(&DataType::Int32));
        assert!(!PgType::Int2.takes(&DataType::Int32) && PgType::Int8.takes(&DataType::Int8));
    }

    #[test]
    fn modifiers_are_read_as_the_catalog_has_them() {
        // `SELECT atttypmod` of numeric(10, 2), numeric(5, -2), varchar(7), timestamp(3).
        assert_eq!(PgType::named("numeric", 655_366), PgType::Numeric(Some((10, 2))));
        assert_eq!(PgType::named("numeric", 329_730), PgType::Numeric(Some((5, -2))));
        assert_eq!(PgType::named("numeric", -1), PgType::Numeric(None));
        assert_eq!(PgType::named("varchar", 11), PgType::Text(Some(7)));
        assert_eq!(PgType::named("varchar", -1), PgType::Text(None));
        assert_eq!(PgType::named("timestamp", 3), PgType::Timestamp { digits: 3, zoned: false });
        assert_eq!(PgType::named("timestamptz", -1), PgType::Timestamp { digits: 6, zoned: true });
        assert_eq!(PgType::named("mood", -1), PgType::Other);
    }
}
