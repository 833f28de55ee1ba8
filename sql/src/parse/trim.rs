//! `TRIM(LEADING FROM x)`, which takes blanks away: sqlparser takes `FROM` for what is to be taken away.

use datafusion_sql::sqlparser::ast::{Expr, TrimWhereField};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

/// The call that comes next, if it is one; no token is taken otherwise.
pub(super) fn parse_call(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let [name, open, side, from] = parser.peek_tokens_with_location::<4>().map(|token| token.token);
    let keyword = |token: &Token| match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    };
    let trim_where = match keyword(&side)? {
        Keyword::BOTH => TrimWhereField::Both,
        Keyword::LEADING => TrimWhereField::Leading,
        Keyword::TRAILING => TrimWhereField::Trailing,
        _ => return None,
    };
    if keyword(&name) != Some(Keyword::TRIM) || open != Token::LParen || keyword(&from) != Some(Keyword::FROM) {
        return None;
    }
    for _ in 0..4 {
        parser.next_token();
    }
    Some(parser.parse_expr().and_then(|expr| {
        parser.expect_token(&Token::RParen)?;
        let expr = Box::new(expr);
        Ok(Expr::Trim { trim_where: Some(trim_where), trim_what: None, expr, trim_characters: None })
    }))
}
