//! Calls of the JSON functions with the clauses that they have in standard SQL, as calls with plain arguments.
//!
//! | as written | as planned |
//! |---|---|
//! | `JSON_VALUE(j, p RETURNING INT)` | `CAST(json_value(j, p) AS INT)` |
//! | `JSON_VALUE(j, p DEFAULT 'x' ON EMPTY)` | `json_value(j, p, 'default', 'x', 'null', NULL)`: on empty, on error |
//! | `JSON_QUERY(j, p WITH WRAPPER EMPTY ARRAY ON EMPTY)` | `json_query(j, p, 'unconditional', 'empty array', 'null')` |
//! | `JSON_EXISTS(j, p TRUE ON ERROR)` | `json_exists(j, p, 'true')` |
//! | `JSON_OBJECT(KEY 'a' VALUE x ABSENT ON NULL)` | `json_object('absent', 'v', 'a', x)` |
//! | `JSON_ARRAY(JSON_ARRAY(x) NULL ON NULL)` | `json_array('null', 'j', json_array('absent', 'v', x))` |
//! | `j IS NOT JSON OBJECT` | `NOT is_json(j, 'object')` |
//!
//! The letters of `json_object` and `json_array` say of each value whether it is one (`v`) or JSON already (`j`).

use datafusion_sql::sqlparser::ast::{CastKind, DataType, Expr, Spanned, UnaryOperator, Value, ValueWithSpan};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Span, Token};

use super::expression::call;

/// The call that comes next, if it is one of a JSON function; no token is taken otherwise.
pub(super) fn parse_call(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let [name, open] = parser.peek_tokens_with_location::<2>();
    let Token::Word(word) = &name.token else { return None };
    if word.quote_style.is_some() || open.token != Token::LParen {
        return None;
    }
    let parse = match word.value.to_lowercase().as_str() {
        "json_value" => json_value,
        "json_query" => json_query,
        "json_exists" => json_exists,
        "json_object" => json_object,
        "json_array" => json_array,
        _ => return None,
    };
    parser.next_token();
    parser.next_token();
    let parsed = parse(parser, name.span);
    Some(parsed.and_then(|call| parser.expect_token(&Token::RParen).map(|_| call)))
}

/// `IS [NOT] JSON [VALUE | SCALAR | ARRAY | OBJECT]` behind `left`, if that comes next.
pub(super) fn parse_test(parser: &mut Parser<'_>, left: &Expr) -> Option<Expr> {
    let negated = parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::JSON]);
    if !negated && !parser.parse_keywords(&[Keyword::IS, Keyword::JSON]) {
        return None;
    }
    let kinds = ["VALUE", "SCALAR", "ARRAY", "OBJECT"];
    let kind = kinds.into_iter().find(|kind| word(parser, kind)).unwrap_or("VALUE");
    let span = left.span();
    let test = call("is_json", vec![left.clone(), text(&kind.to_lowercase(), span)], left);
    Some(match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
        false => test,
    })
}

type Parsed = Result<Expr, ParserError>;

fn json_value(parser: &mut Parser<'_>, span: Span) -> Parsed {
    let mut arguments = document_and_path(parser)?;
    let returned = returning(parser)?;
    let mut behaviours = [("null", null(span)), ("null", null(span))];
    let mut stated = false;
    while let Some((word, value)) = value_behaviour(parser, span)? {
        behaviours[usize::from(!on(parser)?)] = (word, value);
        stated = true;
    }
    if stated {
        for (word, value) in behaviours {
            arguments.push(text(word, span));
            arguments.push(value);
        }
    }
    let value = call("json_value", arguments, &text("", span));
    Ok(match returned {
        Some(data_type) => cast(value, data_type),
        None => value,
    })
}

fn json_query(parser: &mut Parser<'_>, span: Span) -> Parsed {
    let mut arguments = document_and_path(parser)?;
    let returned = returning(parser)?;
    let mut wrapper = "without";
    let mut stated = false;
    let with = parser.parse_keyword(Keyword::WITH);
    if with || parser.parse_keyword(Keyword::WITHOUT) {
        if with {
            wrapper = "unconditional";
            if word(parser, "CONDITIONAL") {
                wrapper = "conditional";
            } else {
                word(parser, "UNCONDITIONAL");
            }
        }
        word(parser, "ARRAY");
        if !word(parser, "WRAPPER") {
            return parser.expected("WRAPPER", parser.peek_token());
        }
        stated = true;
    }
    let mut behaviours = ["null", "null"];
    while let Some(behaviour) = query_behaviour(parser)? {
        behaviours[usize::from(!on(parser)?)] = behaviour;
        stated = true;
    }
    if stated {
        arguments.extend([wrapper, behaviours[0], behaviours[1]].map(|word| text(word, span)));
    }
    let value = call("json_query", arguments, &text("", span));
    Ok(match returned {
        Some(data_type) => cast(value, data_type),
        None => value,
    })
}

fn json_exists(parser: &mut Parser<'_>, span: Span) -> Parsed {
    let mut arguments = document_and_path(parser)?;
    let behaviours = ["TRUE", "FALSE", "UNKNOWN", "ERROR"];
    if let Some(behaviour) = behaviours.into_iter().find(|behaviour| word(parser, behaviour)) {
        parser.expect_keywords(&[Keyword::ON, Keyword::ERROR])?;
        arguments.push(text(&behaviour.to_lowercase(), span));
    }
    Ok(call("json_exists", arguments, &text("", span)))
}

fn json_object(parser: &mut Parser<'_>, span: Span) -> Parsed {
    let (mut arguments, mut kinds) = (Vec::new(), String::new());
    while parser.peek_token_ref().token != Token::RParen && !null_clause_follows(parser) {
        if !arguments.is_empty() {
            parser.expect_token(&Token::Comma)?;
        }
        if is_word(&parser.peek_token_ref().token, "KEY") && !is_word(&parser.peek_nth_token_ref(1).token, "VALUE") {
            parser.next_token();
        }
        arguments.push(parser.parse_expr()?);
        if !word(parser, "VALUE") {
            return parser.expected("VALUE", parser.peek_token());
        }
        let value = parser.parse_expr()?;
        kinds.push(kind(&value));
        arguments.push(value);
    }
    let nulls = null_clause(parser)?.unwrap_or("null");
    let leading = [nulls, &kinds].map(|leading| text(leading, span));
    Ok(call("json_object", leading.into_iter().chain(arguments).collect(), &text("", span)))
}

fn json_array(parser: &mut Parser<'_>, span: Span) -> Parsed {
    let (mut arguments, mut kinds) = (Vec::new(), String::new());
    while parser.peek_token_ref().token != Token::RParen && !null_clause_follows(parser) {
        if !arguments.is_empty() {
            parser.expect_token(&Token::Comma)?;
        }
        let value = parser.parse_expr()?;
        kinds.push(kind(&value));
        arguments.push(value);
    }
    let nulls = null_clause(parser)?.unwrap_or("absent");
    let leading = [nulls, &kinds].map(|leading| text(leading, span));
    Ok(call("json_array", leading.into_iter().chain(arguments).collect(), &text("", span)))
}

fn document_and_path(parser: &mut Parser<'_>) -> Result<Vec<Expr>, ParserError> {
    let document = parser.parse_expr()?;
    parser.expect_token(&Token::Comma)?;
    Ok(vec![document, parser.parse_expr()?])
}

fn returning(parser: &mut Parser<'_>) -> Result<Option<DataType>, ParserError> {
    parser.parse_keyword(Keyword::RETURNING).then(|| parser.parse_data_type()).transpose()
}

/// What `JSON_VALUE` gives instead of a value, before `ON`.
fn value_behaviour(parser: &mut Parser<'_>, span: Span) -> Result<Option<(&'static str, Expr)>, ParserError> {
    Ok(if parser.parse_keyword(Keyword::NULL) {
        Some(("null", null(span)))
    } else if parser.parse_keyword(Keyword::ERROR) {
        Some(("error", null(span)))
    } else if parser.parse_keyword(Keyword::DEFAULT) {
        Some(("default", cast(parser.parse_expr()?, DataType::String(None))))
    } else {
        None
    })
}

/// What `JSON_QUERY` gives instead of a value, before `ON`.
fn query_behaviour(parser: &mut Parser<'_>) -> Result<Option<&'static str>, ParserError> {
    Ok(if parser.parse_keyword(Keyword::NULL) {
        Some("null")
    } else if parser.parse_keyword(Keyword::ERROR) {
        Some("error")
    } else if parser.parse_keyword(Keyword::EMPTY) {
        if word(parser, "ARRAY") {
            Some("empty array")
        } else if word(parser, "OBJECT") {
            Some("empty object")
        } else {
            return parser.expected("ARRAY or OBJECT", parser.peek_token());
        }
    } else {
        None
    })
}

/// `ON EMPTY` or `ON ERROR`: whether it is the first.
fn on(parser: &mut Parser<'_>) -> Result<bool, ParserError> {
    parser.expect_keyword(Keyword::ON)?;
    match parser.parse_keyword(Keyword::EMPTY) {
        true => Ok(true),
        false => parser.expect_keyword(Keyword::ERROR).map(|_| false),
    }
}

fn null_clause_follows(parser: &Parser<'_>) -> bool {
    let next = &parser.peek_token_ref().token;
    (is_word(next, "NULL") || is_word(next, "ABSENT")) && is_word(&parser.peek_nth_token_ref(1).token, "ON")
}

/// `NULL ON NULL` or `ABSENT ON NULL`.
pub(super) fn null_clause(parser: &mut Parser<'_>) -> Result<Option<&'static str>, ParserError> {
    let nulls = ["null", "absent"].into_iter().find(|nulls| word(parser, nulls));
    if nulls.is_some() {
        parser.expect_keywords(&[Keyword::ON, Keyword::NULL])?;
    }
    Ok(nulls)
}

/// Whether a value is JSON already: `j`, or else `v`.
pub(super) fn kind(value: &Expr) -> char {
    let is_json = match value {
        Expr::Function(function) => matches!(function.name.to_string().as_str(), "json_object" | "json_array"),
        _ => false,
    };
    if is_json { 'j' } else { 'v' }
}

/// Takes the next word if it is that one.
pub(super) fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let found = is_word(&parser.peek_token_ref().token, wanted);
    if found {
        parser.next_token();
    }
    found
}

pub(super) fn is_word(token: &Token, wanted: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

pub(super) fn text(value: &str, span: Span) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(value.to_owned()), span })
}

fn null(span: Span) -> Expr {
    Expr::Value(ValueWithSpan { value: Value::Null, span })
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, data_type, array: false, format: None, expr: Box::new(expr) }
}
