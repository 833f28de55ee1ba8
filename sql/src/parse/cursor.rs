//! A place in a statement, and the small steps by which the statements of Weir's own are read.

use datafusion_sql::sqlparser::ast;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use weir_core::{Error, Result};

use super::dialect::WeirDialect;
use super::expression;
use super::query;
use super::scan::is_word;
use super::segments::Segment;
use crate::diagnostics::{Source, from_parser};
use crate::statement::{Span, Spanned};

/// Reads one statement.
pub(super) struct Cursor<'a> {
    /// The script.
    pub source: &'a Source<'a>,
    parser: Parser<'a>,
    segment: &'a Segment,
}

impl<'a> Cursor<'a> {
    /// At the beginning of a statement.
    pub(super) fn new(source: &'a Source<'a>, segment: &'a Segment, dialect: &'a WeirDialect) -> Self {
        let parser = Parser::new(dialect).with_tokens_with_locations(segment.tokens.clone());
        Self { source, parser, segment }
    }

    /// The parser, for steps that are not among these.
    pub(super) fn parser(&mut self) -> &mut Parser<'a> {
        &mut self.parser
    }

    /// Where the next token stands; behind the statement at its end.
    pub(super) fn here(&self) -> Span {
        let end = Span { start: self.segment.span.end, end: self.segment.span.end };
        match self.parser.peek_token_ref() {
            TokenWithSpan { token: Token::EOF, .. } => end,
            token => self.source.span(token.span).unwrap_or(end),
        }
    }

    /// `expected …, found …` at the next token.
    pub(super) fn unexpected(&self, expected: &str) -> Error {
        let error = ParserError::ParserError(match self.parser.peek_token_ref() {
            TokenWithSpan { token: Token::EOF, .. } => format!("Expected: {expected}, found: EOF"),
            found => format!("Expected: {expected}, found: {found}{}", found.span.start),
        });
        self.convert(error)
    }

    /// An error at the next token.
    pub(super) fn error_here(&self, message: impl AsRef<str>) -> Error {
        self.source.error(self.here(), message)
    }

    pub(super) fn convert(&self, error: ParserError) -> Error {
        from_parser(self.source, &self.segment.tokens, self.segment.span.end, error)
    }

    /// Whether nothing is left.
    pub(super) fn at_end(&self) -> bool {
        self.parser.peek_token_ref().token == Token::EOF
    }

    /// Whether these words come next, unquoted. `|` separates alternatives, `(` stands for itself.
    pub(super) fn sees(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| is_word(self.parser.peek_nth_token_ref(index), word))
    }

    /// Whether this token comes next.
    pub(super) fn sees_token(&self, token: &Token) -> bool {
        self.parser.peek_token_ref().token == *token
    }

    /// Takes these words if all of them come next.
    pub(super) fn take(&mut self, words: &[&str]) -> bool {
        let found = self.sees(words);
        if found {
            words.iter().for_each(|_| self.parser.advance_token());
        }
        found
    }

    /// Takes these words.
    pub(super) fn expect(&mut self, words: &[&str]) -> Result<()> {
        if self.take(words) { Ok(()) } else { Err(self.unexpected(&words.join(" "))) }
    }

    /// Takes this token if it comes next.
    pub(super) fn take_token(&mut self, token: &Token) -> bool {
        self.parser.consume_token(token)
    }

    /// Takes this token.
    pub(super) fn expect_token(&mut self, token: &Token) -> Result<()> {
        if self.take_token(token) { Ok(()) } else { Err(self.unexpected(&format!("`{token}`"))) }
    }

    /// Takes the next token and tells where it stands.
    pub(super) fn next(&mut self) -> (Token, Span) {
        let span = self.here();
        (self.parser.next_token().token, span)
    }

    /// An identifier.
    pub(super) fn identifier(&mut self, what: &str) -> Result<Spanned<String>> {
        match &self.parser.peek_token_ref().token {
            Token::Word(word) => {
                let value = word.value.clone();
                if value.is_empty() {
                    return Err(self.unexpected(what));
                }
                let (_, span) = self.next();
                Ok(Spanned { value, span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// The name of a table or view, which may stand behind that of its database, and that behind the catalog's.
    pub(super) fn table_name(&mut self) -> Result<Spanned<String>> {
        let mut name = self.identifier("a name")?;
        let mut parts = 1;
        while self.take_token(&Token::Period) {
            let part = self.identifier("a name")?;
            name.value.push('.');
            name.value.push_str(&part.value);
            name.span.end = part.span.end;
            parts += 1;
        }
        if parts > 3 {
            return Err(self
                .source
                .error(name.span, "this name has too many parts")
                .with_help("write `table`, `database.table` or `catalog.database.table`"));
        }
        Ok(name)
    }

    /// Names in parentheses.
    pub(super) fn names(&mut self, what: &str) -> Result<Vec<Spanned<String>>> {
        self.expect_token(&Token::LParen)?;
        let mut names = vec![self.identifier(what)?];
        while self.take_token(&Token::Comma) {
            names.push(self.identifier(what)?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(names)
    }

    /// Text in single quotes.
    pub(super) fn string(&mut self, what: &str) -> Result<Spanned<String>> {
        match &self.parser.peek_token_ref().token {
            Token::SingleQuotedString(value) => {
                let value = value.clone();
                let (_, span) = self.next();
                Ok(Spanned { value, span })
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// A whole number in parentheses, or two.
    pub(super) fn lengths(&mut self) -> Result<Vec<Spanned<u64>>> {
        let mut lengths = Vec::new();
        if self.take_token(&Token::LParen) {
            loop {
                let number = match &self.parser.peek_token_ref().token {
                    Token::Number(number, false) => number.parse().ok(),
                    _ => None,
                };
                let Some(value) = number else { return Err(self.unexpected("a whole number")) };
                let (_, span) = self.next();
                lengths.push(Spanned { value, span });
                if !self.take_token(&Token::Comma) {
                    break;
                }
            }
            self.expect_token(&Token::RParen)?;
        }
        Ok(lengths)
    }

    /// An expression, checked.
    pub(super) fn expression(&mut self) -> Result<ast::Expr> {
        let span = self.here();
        let expression = self.parser.parse_expr().map_err(|error| self.convert(error))?;
        expression::check(self.source, span, expression)
    }

    /// A query, checked.
    pub(super) fn query(&mut self) -> Result<Box<ast::Query>> {
        let parsed = self.parser.parse_query().map_err(|error| self.convert(error))?;
        query::check(self.source, self.segment, parsed)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.unexpected("the end of the statement")) }
    }
}
