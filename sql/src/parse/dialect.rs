//! The dialect: Flink's where sqlparser knows it. Several switches are on only so that a construct is recognised and
//! refused by name, rather than by a word that the parser stumbles over.

use std::any::TypeId;
use std::cell::Cell;

use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion_sql::sqlparser::dialect::{Dialect, GenericDialect, Precedence};
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::Token;

use super::{cast, json, json_aggregate, literals, trim};

/// Weir's dialect of SQL, for one statement.
///
/// sqlparser tries a reserved word twice, as a keyword and as a name, with all that follows: an error inside of thirty
/// nested CASEs would keep it busy for 2^30 tries. So the attempts are counted.
#[derive(Debug)]
pub(super) struct WeirDialect {
    attempts_left: Cell<usize>,
}

impl WeirDialect {
    /// For a statement of so many tokens. Sound statements need a handful of attempts for each.
    pub(super) fn new(tokens: usize) -> Self {
        Self { attempts_left: Cell::new(50_000 + 100 * tokens) }
    }
}

impl WeirDialect {
    /// What follows `x BETWEEN SYMMETRIC`: the bounds in either order.
    fn symmetric(&self, parser: &mut Parser<'_>, left: &Expr, negated: bool) -> Result<Expr, ParserError> {
        let bound = |parser: &mut Parser<'_>| parser.parse_subexpr(self.prec_value(Precedence::Between));
        let low = bound(parser)?;
        parser.expect_keyword(Keyword::AND)?;
        let high = bound(parser)?;
        let between = |low: &Expr, high: &Expr| Expr::Between {
            expr: Box::new(left.clone()),
            negated,
            low: Box::new(low.clone()),
            high: Box::new(high.clone()),
        };
        let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
        let (left, right) = (Box::new(between(&low, &high)), Box::new(between(&high, &low)));
        Ok(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })))
    }
}

impl Dialect for WeirDialect {
    /// sqlparser asks for its own dialects by type in a few places; the generic one is the one that parses `UNNEST`.
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        match self.attempts_left.get().checked_sub(1) {
            Some(left) => {
                self.attempts_left.set(left);
                json::parse_call(parser)
                    .or_else(|| json_aggregate::parse_call(parser))
                    .or_else(|| cast::parse_call(parser))
                    .or_else(|| trim::parse_call(parser))
                    .or_else(|| literals::parse_literal(parser))
            }
            None => Some(Err(ParserError::RecursionLimitExceeded)),
        }
    }

    /// sqlparser takes all that follows `IS DISTINCT FROM` for its right side, `b AND c` in `a IS DISTINCT FROM b AND c`, and does not
    /// know `BETWEEN SYMMETRIC`.
    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        if let Some(test) = json::parse_test(parser, left) {
            return Some(Ok(test));
        }
        // `SYMMETRIC` is no keyword of sqlparser.
        let is_symmetric = |parser: &Parser<'_>, behind: usize| {
            matches!(&parser.peek_nth_token(behind).token, Token::Word(word)
                if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("SYMMETRIC"))
        };
        let negated = parser.peek_keyword(Keyword::NOT);
        if is_symmetric(parser, if negated { 2 } else { 1 }) {
            let keywords: &[Keyword] = if negated { &[Keyword::NOT, Keyword::BETWEEN] } else { &[Keyword::BETWEEN] };
            if parser.parse_keywords(keywords) {
                parser.next_token();
                return Some(self.symmetric(parser, left, negated));
            }
        }
        let negated = [Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM];
        let plain = [Keyword::IS, Keyword::DISTINCT, Keyword::FROM];
        let same = parser.parse_keywords(&negated);
        if !same && !parser.parse_keywords(&plain) {
            return None;
        }
        let right = parser.parse_subexpr(self.prec_value(Precedence::Eq));
        let build = if same { Expr::IsNotDistinctFrom } else { Expr::IsDistinctFrom };
        Some(right.map(|right| build(Box::new(left.clone()), Box::new(right))))
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        character == '`' || character == '"'
    }

    fn is_identifier_start(&self, character: char) -> bool {
        character.is_alphabetic() || character == '_'
    }

    fn is_identifier_part(&self, character: char) -> bool {
        character.is_alphanumeric() || character == '_' || character == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    fn supports_window_function_null_treatment_arg(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_select_wildcard_replace(&self) -> bool {
        true
    }

    fn supports_parens_around_table_factor(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    fn supports_comment_optimizer_hint(&self) -> bool {
        true
    }

    fn supports_limit_comma(&self) -> bool {
        true
    }
}
