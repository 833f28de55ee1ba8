//! Casts to types with a length, which values here have not:
//!
//! | as written | as planned |
//! |---|---|
//! | `CAST(x AS VARCHAR(3))` | `left(CAST(x AS STRING), 3)` |
//! | `CAST(x AS CHAR(3))` | `rpad(CAST(x AS STRING), 3)` |
//! | `CAST(x AS TIME(3))` | `date_trunc('millisecond', CAST(x AS TIME))` |
//!
//! `TIME` is `TIME(0)`, as in Flink.

use datafusion_sql::sqlparser::ast::{CharacterLength, DataType, Expr, Spanned, TimezoneInfo, Value, ValueWithSpan};

use super::expression::{call, string_literal};

/// The cast without a length, and what brings its value to that; `None` if the type has none.
pub(super) fn rewritten(cast: &Expr) -> Option<Expr> {
    let Expr::Cast { data_type, expr, .. } = cast else { return None };
    let beside = (**expr).clone();
    let with = |plain: DataType| {
        let mut cast = cast.clone();
        if let Expr::Cast { data_type, .. } = &mut cast {
            *data_type = plain;
        }
        cast
    };
    let length = |length: u64| {
        Expr::Value(ValueWithSpan { value: Value::Number(length.to_string(), false), span: beside.span() })
    };
    match data_type {
        DataType::Varchar(Some(CharacterLength::IntegerLength { length: characters, .. }))
        | DataType::CharacterVarying(Some(CharacterLength::IntegerLength { length: characters, .. })) => {
            Some(call("left", vec![with(DataType::String(None)), length(*characters)], &beside))
        }
        DataType::Char(Some(CharacterLength::IntegerLength { length: characters, .. }))
        | DataType::Character(Some(CharacterLength::IntegerLength { length: characters, .. })) => {
            Some(call("rpad", vec![with(DataType::String(None)), length(*characters)], &beside))
        }
        DataType::Time(digits, zone @ (TimezoneInfo::None | TimezoneInfo::WithoutTimeZone)) => {
            let plain = with(DataType::Time(None, *zone));
            let unit = match digits.unwrap_or(0) {
                0 => "second",
                1..=3 => "millisecond",
                4..=6 => "microsecond",
                _ => return Some(plain),
            };
            Some(call("date_trunc", vec![string_literal(unit.to_owned(), &beside), plain], &beside))
        }
        _ => None,
    }
}
