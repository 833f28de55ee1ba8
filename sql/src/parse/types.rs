//! Flink's data types, in declarations of columns and in casts.

mod casts;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion_sql::sqlparser::tokenizer::Token;
use weir_core::{Error, Result};

use super::cursor::Cursor;
use super::dialect::WeirDialect;
use super::segments;
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::{Span, Spanned};

pub use casts::FlinkTypes;

/// Types that a declaration may name.
const NAMES: [&str; 26] = [
    "ARRAY",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "BYTES",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "INTEGER",
    "MAP",
    "NUMERIC",
    "REAL",
    "ROW",
    "SMALLINT",
    "STRING",
    "TEXT",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TINYINT",
    "VARBINARY",
    "VARCHAR",
    "BOOL",
];

/// Types that Flink or others have and Weir has not, and what works instead.
const REFUSED: [(&str, &str); 12] = [
    ("MULTISET", "write ARRAY<…>"),
    ("RAW", "write BYTES"),
    ("JSON", "write STRING, and read it with JSON_VALUE"),
    ("JSONB", "write STRING, and read it with JSON_VALUE"),
    ("VARIANT", "write STRING, and read it with JSON_VALUE"),
    ("UUID", "write STRING"),
    ("INTERVAL", "write BIGINT and say the unit in the column's name"),
    ("TIMESTAMP_TZ", "write TIMESTAMP_LTZ(3): an instant, without the zone that it was written in"),
    ("TIMESTAMPTZ", "write TIMESTAMP_LTZ(3): an instant, without the zone that it was written in"),
    ("DATETIME", "write TIMESTAMP(3)"),
    ("STRUCT", "write ROW<…>"),
    ("LIST", "write ARRAY<…>"),
];

/// A type in the declaration of a column.
pub(super) fn data_type(cursor: &mut Cursor<'_>) -> Result<DataType> {
    let mut open = Brackets { owed: false, of_cast: false };
    let data_type = open.data_type(cursor, 0)?;
    if open.owed {
        return Err(cursor.error_here("there is one `>` too many before this"));
    }
    Ok(data_type)
}

/// The type of a cast, which is all of a text.
fn read(text: &str) -> Result<DataType> {
    let source = Source::new(text);
    let segments = segments::split(&source)?;
    let Some(segment) = segments.first() else { return Err(Error::user("there is no type here")) };
    let dialect = WeirDialect::new(segment.tokens.len());
    let mut cursor = Cursor::new(&source, segment, &dialect);
    let read = Brackets { owed: false, of_cast: true }.data_type(&mut cursor, 0)?;
    cursor.end().map(|()| read)
}

/// The tokenizer takes the end of `ARRAY<ARRAY<INT>>` for a shift to the right.
struct Brackets {
    /// Half of a `>>` has been used.
    owed: bool,
    /// Lengths count here: values would have to be cut.
    of_cast: bool,
}

impl Brackets {
    fn close(&mut self, cursor: &mut Cursor<'_>) -> Result<()> {
        if self.owed {
            self.owed = false;
            return Ok(());
        }
        if cursor.take_token(&Token::ShiftRight) {
            self.owed = true;
            return Ok(());
        }
        cursor.expect_token(&Token::Gt)
    }

    fn data_type(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType> {
        const DEEPEST: usize = 30;
        if depth > DEEPEST {
            return Err(cursor.error_here("this type is nested too deeply"));
        }
        if !matches!(&cursor.parser().peek_token_ref().token, Token::Word(word) if word.quote_style.is_none()) {
            return Err(cursor.unexpected("a type"));
        }
        let name = cursor.identifier("a type")?;
        let upper = name.value.to_uppercase();
        let data_type = match upper.as_str() {
            "ARRAY" => {
                self.open(cursor)?;
                let (element, nullable) = self.element(cursor, depth)?;
                self.close(cursor)?;
                DataType::List(Arc::new(Field::new_list_field(element, nullable)))
            }
            "MAP" => {
                self.open(cursor)?;
                let (key, _) = self.element(cursor, depth)?;
                cursor.expect_token(&Token::Comma)?;
                let (value, nullable) = self.element(cursor, depth)?;
                self.close(cursor)?;
                map_type(key, value, nullable)
            }
            "ROW" => self.row(cursor, depth)?,
            "TIMESTAMP" | "TIME" => {
                let lengths = cursor.lengths()?;
                let local = cursor.take(&["WITH", "LOCAL", "TIME", "ZONE"]);
                cursor.take(&["WITHOUT", "TIME", "ZONE"]);
                if cursor.sees(&["WITH", "TIME", "ZONE"]) {
                    return Err(refused(cursor, &name, "TIMESTAMP_TZ"));
                }
                let upper = if local && upper == "TIMESTAMP" { "TIMESTAMP_LTZ" } else { &upper };
                self.simple(cursor, &name, upper, &lengths)?
            }
            "DOUBLE" => {
                cursor.take(&["PRECISION"]);
                self.simple(cursor, &name, &upper, &[])?
            }
            "CHAR" | "CHARACTER" => {
                cursor.take(&["VARYING"]);
                let lengths = cursor.lengths()?;
                self.simple(cursor, &name, "CHAR", &lengths)?
            }
            _ => {
                let lengths = cursor.lengths()?;
                self.simple(cursor, &name, &upper, &lengths)?
            }
        };
        Ok(data_type)
    }

    fn open(&self, cursor: &mut Cursor<'_>) -> Result<()> {
        if self.owed {
            return Err(cursor.error_here("there is one `>` too many before this"));
        }
        cursor.expect_token(&Token::Lt)
    }

    fn element(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<(DataType, bool)> {
        let data_type = self.data_type(cursor, depth + 1)?;
        if self.owed {
            return Ok((data_type, true));
        }
        let nullable = !cursor.take(&["NOT", "NULL"]);
        cursor.take(&["NULL"]);
        Ok((data_type, nullable))
    }

    /// `ROW<name type, …>` or `ROW(name type, …)`.
    fn row(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<DataType> {
        let parentheses = cursor.take_token(&Token::LParen);
        if !parentheses {
            self.open(cursor)?;
        }
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let name = cursor.identifier("the name of a field")?;
            if fields.iter().any(|field| *field.name() == name.value) {
                return Err(cursor.source.error(name.span, format!("field `{}` is named twice", name.value)));
            }
            let (data_type, nullable) = self.element(cursor, depth)?;
            if !self.owed && cursor.take(&["COMMENT"]) {
                cursor.string("a comment in single quotes")?;
            }
            fields.push(Field::new(name.value, data_type, nullable));
            if self.owed || !cursor.take_token(&Token::Comma) {
                break;
            }
        }
        if parentheses {
            cursor.expect_token(&Token::RParen)?;
        } else {
            self.close(cursor)?;
        }
        Ok(DataType::Struct(Fields::from(fields)))
    }

    fn simple(
        &self,
        cursor: &Cursor<'_>,
        name: &Spanned<String>,
        upper: &str,
        lengths: &[Spanned<u64>],
    ) -> Result<DataType> {
        let values: Vec<u64> = lengths.iter().map(|length| length.value).collect();
        let without_length = match upper {
            "CHAR" | "VARCHAR" => "STRING",
            "BINARY" | "VARBINARY" => "BYTES",
            _ => "",
        };
        if self.of_cast && !values.is_empty() && !without_length.is_empty() {
            let message = format!("values within others are not cut to the length of {upper} in a cast");
            return Err(cursor.source.error(name.span, message).with_help(format!("write {without_length}")));
        }
        match simple_type(upper, &values) {
            Ok(data_type) => Ok(data_type),
            Err(Problem::Unknown) => Err(refused(cursor, name, upper)),
            Err(Problem::Lengths(message)) => {
                let end = lengths.last().map_or(name.span.end, |length| length.span.end);
                Err(cursor.source.error(Span { start: name.span.start, end }, message))
            }
        }
    }
}

fn refused(cursor: &Cursor<'_>, name: &Spanned<String>, upper: &str) -> Error {
    match REFUSED.iter().find(|(refused, _)| *refused == upper) {
        Some((_, instead)) => {
            cursor.source.error(name.span, format!("type {upper} is not supported")).with_help(*instead)
        }
        None => cursor.source.error(name.span, format!("there is no type `{}`", name.value)).with_help(did_you_mean(
            &name.value,
            &NAMES,
            "types are",
        )),
    }
}

enum Problem {
    Unknown,
    Lengths(String),
}

/// A type without parts, by its name in capitals.
fn simple_type(name: &str, lengths: &[u64]) -> Result<DataType, Problem> {
    let data_type = match name {
        "STRING" | "TEXT" => return no_lengths(name, lengths, DataType::Utf8View),
        "BYTES" => return no_lengths(name, lengths, DataType::BinaryView),
        // Lengths are not enforced, as in Flink by default: data that is longer than declared is kept.
        "CHAR" | "VARCHAR" => return at_most_one(name, lengths, DataType::Utf8View),
        "BINARY" | "VARBINARY" => return at_most_one(name, lengths, DataType::BinaryView),
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" | "INTEGER" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" | "REAL" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DATE" => DataType::Date32,
        "DECIMAL" | "NUMERIC" | "DEC" => return decimal(lengths),
        "TIME" => {
            precision(name, lengths)?;
            return Ok(DataType::Time64(TimeUnit::Nanosecond));
        }
        "TIMESTAMP" => return Ok(DataType::Timestamp(precision(name, lengths)?, None)),
        "TIMESTAMP_LTZ" => return Ok(DataType::Timestamp(precision(name, lengths)?, Some("UTC".into()))),
        _ => return Err(Problem::Unknown),
    };
    no_lengths(name, lengths, data_type)
}

fn no_lengths(name: &str, lengths: &[u64], data_type: DataType) -> Result<DataType, Problem> {
    if lengths.is_empty() { Ok(data_type) } else { Err(Problem::Lengths(format!("{name} has no length"))) }
}

fn at_most_one(name: &str, lengths: &[u64], data_type: DataType) -> Result<DataType, Problem> {
    match lengths {
        [] => Ok(data_type),
        [length] if *length > 0 => Ok(data_type),
        _ => Err(Problem::Lengths(format!("{name} has one length, of at least 1"))),
    }
}

fn decimal(lengths: &[u64]) -> Result<DataType, Problem> {
    // Flink's default: DECIMAL is DECIMAL(10, 0).
    let (precision, scale) = match lengths {
        [] => (10, 0),
        [precision] => (*precision, 0),
        [precision, scale] => (*precision, *scale),
        _ => return Err(Problem::Lengths("DECIMAL has a precision and a scale".to_owned())),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(digits @ 1..=38), Ok(scale)) if u64::from(digits) >= scale.unsigned_abs().into() => {
            Ok(DataType::Decimal128(digits, scale))
        }
        _ => {
            Err(Problem::Lengths("DECIMAL(p, s) has 1 to 38 digits, of which 0 to p stand behind the point".to_owned()))
        }
    }
}

/// Digits behind the second. Flink's default is 6; Arrow knows four units, and the next finer one holds them all.
fn precision(name: &str, lengths: &[u64]) -> Result<TimeUnit, Problem> {
    match lengths {
        [0] => Ok(TimeUnit::Second),
        [1..=3] => Ok(TimeUnit::Millisecond),
        [] | [4..=6] => Ok(TimeUnit::Microsecond),
        [7..=9] => Ok(TimeUnit::Nanosecond),
        _ => Err(Problem::Lengths(format!("{name}(p) has 0 to 9 digits behind the second"))),
    }
}

fn map_type(key: DataType, value: DataType, nullable: bool) -> DataType {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, nullable)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}
