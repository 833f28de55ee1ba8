//! What Flink writes in front of brackets and quotes: `MAP['a', 1, 'b', 2]` is `map_of('a', 1, 'b', 2)`, and `_UTF8'text'` is `'text'`.

use datafusion_sql::sqlparser::ast::{Expr, Value, ValueWithSpan};
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

use super::expression::call;

/// The literal that comes next, if it is one of these; no token is taken otherwise.
pub(super) fn parse_literal(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let [first, second] = parser.peek_tokens_with_location::<2>();
    let Token::Word(word) = &first.token else { return None };
    if word.quote_style.is_some() {
        return None;
    }
    match &second.token {
        Token::LBracket if word.value.eq_ignore_ascii_case("MAP") => {
            parser.next_token();
            parser.next_token();
            let entries = match parser.peek_token_ref().token {
                Token::RBracket => Ok(Vec::new()),
                _ => parser.parse_comma_separated(Parser::parse_expr),
            };
            let beside = Expr::Value(ValueWithSpan { value: Value::Null, span: first.span });
            let map = entries.map(|entries| call("map_of", entries, &beside));
            Some(map.and_then(|map| parser.expect_token(&Token::RBracket).map(|_| map)))
        }
        Token::SingleQuotedString(text) if word.value.eq_ignore_ascii_case("_UTF8") => {
            parser.next_token();
            parser.next_token();
            let value = Value::SingleQuotedString(text.clone());
            Some(Ok(Expr::Value(ValueWithSpan { value, span: second.span })))
        }
        _ => None,
    }
}
