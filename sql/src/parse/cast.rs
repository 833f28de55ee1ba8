//! Casts to types with a length, which values here have not:
//!
//! | as written | as planned |
//! |---|---|
//! | `CAST(x AS VARCHAR(3))` | `left(CAST(x AS STRING), 3)` |
//! | `CAST(x AS CHAR(3))` | `rpad(CAST(x AS STRING), 3)` |
//! | `CAST(x AS VARBINARY(3))` | `left_bytes(CAST(x AS BYTES), 3)` |
//! | `CAST(x AS BINARY(3))` | `rpad_bytes(CAST(x AS BYTES), 3)` |
//! | `CAST(x AS TIME(3))` | `date_trunc('millisecond', CAST(x AS TIME))` |
//!
//! `TIME` is `TIME(0)`, as in Flink. Types of several parts, which sqlparser does not know as Flink writes them, go through it as a name.

use datafusion_sql::sqlparser::ast::{
    BinaryLength, CastKind, CharacterLength, DataType, Expr, Ident, ObjectName, Spanned, TimezoneInfo, Value,
    ValueWithSpan,
};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

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
        DataType::Varbinary(Some(BinaryLength::IntegerLength { length: bytes })) => {
            Some(call("left_bytes", vec![with(DataType::Bytes(None)), length(*bytes)], &beside))
        }
        DataType::Binary(Some(bytes)) => {
            Some(call("rpad_bytes", vec![with(DataType::Bytes(None)), length(*bytes)], &beside))
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

/// The cast that comes next, if it is one; no token is taken otherwise.
pub(super) fn parse_call(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let [name, open] = parser.peek_tokens_with_location::<2>();
    let Token::Word(word) = &name.token else { return None };
    let kind = match word.keyword {
        Keyword::CAST => CastKind::Cast,
        Keyword::TRY_CAST => CastKind::TryCast,
        _ => return None,
    };
    if word.quote_style.is_some() || open.token != Token::LParen {
        return None;
    }
    parser.next_token();
    parser.next_token();
    Some(parse(parser, kind))
}

fn parse(parser: &mut Parser<'_>, kind: CastKind) -> Result<Expr, ParserError> {
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword(Keyword::AS)?;
    let has_parts = match &parser.peek_token_ref().token {
        Token::Word(word) => word.quote_style.is_none() && PARTED.contains(&word.value.to_uppercase().as_str()),
        _ => false,
    };
    let data_type = if has_parts { parted(parser)? } else { parser.parse_data_type()? };
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Cast { kind, data_type, array: false, format: None, expr })
}

/// Types that are made of others.
const PARTED: [&str; 4] = ["ARRAY", "MAP", "MULTISET", "ROW"];

/// All up to the end of the cast, as a name.
fn parted(parser: &mut Parser<'_>) -> Result<DataType, ParserError> {
    let (mut text, mut depth) = (String::new(), 0_usize);
    loop {
        match &parser.peek_token_ref().token {
            Token::EOF => return parser.expected("the end of a type", parser.peek_token()),
            Token::RParen if depth == 0 => break,
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&parser.next_token().token.to_string());
    }
    Ok(DataType::Custom(ObjectName::from(vec![Ident::new(text)]), Vec::new()))
}
