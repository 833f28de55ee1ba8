//! Aggregates that make JSON, as functions of an array of the values:
//!
//! | as written | as planned |
//! |---|---|
//! | `JSON_ARRAYAGG(x)` | `json_of_array('v', array_agg(x) FILTER (WHERE x IS NOT NULL))` |
//! | `JSON_ARRAYAGG(x NULL ON NULL)` | `json_of_array('v', array_agg(x))` |
//! | `JSON_OBJECTAGG(KEY k VALUE x)` | `json_of_members('null', 'v', array_agg(row(k, x)))` |

use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Span, Token};

use super::expression::call;
use super::json::{is_word, kind, null_clause, text, word};

/// The call that comes next, if it is one of these; no token is taken otherwise.
pub(super) fn parse_call(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let [name, open] = parser.peek_tokens_with_location::<2>();
    if open.token != Token::LParen {
        return None;
    }
    let parse = match &name.token {
        token if is_word(token, "JSON_ARRAYAGG") => of_array,
        token if is_word(token, "JSON_OBJECTAGG") => of_members,
        _ => return None,
    };
    parser.next_token();
    parser.next_token();
    Some(parse(parser, name.span))
}

fn of_array(parser: &mut Parser<'_>, span: Span) -> Result<Expr, ParserError> {
    let value = parser.parse_expr()?;
    let nulls = null_clause(parser)?.unwrap_or("absent");
    let mut filter = end(parser)?;
    if nulls == "absent" {
        let present = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(value.clone()))));
        filter = Some(match filter {
            None => present,
            Some(filter) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(filter))),
                op: BinaryOperator::And,
                right: Box::new(present),
            },
        });
    }
    let kind = text(&kind(&value).to_string(), span);
    Ok(call("json_of_array", vec![kind, array_agg(value, filter, span)], &text("", span)))
}

fn of_members(parser: &mut Parser<'_>, span: Span) -> Result<Expr, ParserError> {
    if is_word(&parser.peek_token_ref().token, "KEY") && !is_word(&parser.peek_nth_token_ref(1).token, "VALUE") {
        parser.next_token();
    }
    let key = parser.parse_expr()?;
    if !word(parser, "VALUE") {
        return parser.expected("VALUE", parser.peek_token());
    }
    let value = parser.parse_expr()?;
    let nulls = null_clause(parser)?.unwrap_or("null");
    let filter = end(parser)?;
    let leading = [nulls, &kind(&value).to_string()].map(|leading| text(leading, span));
    let members = array_agg(call("row", vec![key, value], &text("", span)), filter, span);
    Ok(call("json_of_members", leading.into_iter().chain([members]).collect(), &text("", span)))
}

/// The parenthesis, and the filter behind it.
fn end(parser: &mut Parser<'_>) -> Result<Option<Expr>, ParserError> {
    parser.expect_token(&Token::RParen)?;
    if !parser.parse_keyword(Keyword::FILTER) {
        return Ok(None);
    }
    parser.expect_token(&Token::LParen)?;
    parser.expect_keyword(Keyword::WHERE)?;
    let filter = parser.parse_expr()?;
    parser.expect_token(&Token::RParen)?;
    Ok(Some(filter))
}

fn array_agg(value: Expr, condition: Option<Expr>, span: Span) -> Expr {
    let mut values = call("array_agg", vec![value], &text("", span));
    if let Expr::Function(call) = &mut values {
        call.filter = condition.map(Box::new);
    }
    values
}
