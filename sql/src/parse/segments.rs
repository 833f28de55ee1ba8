//! Tokens, and their division into statements.

use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use weir_core::Result;

use super::dialect::WeirDialect;
use crate::diagnostics::{Source, from_parser};
use crate::statement::Span;

/// The tokens between two semicolons.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its tokens; spaces and comments are among them.
    pub tokens: Vec<TokenWithSpan>,
    /// From its first token to its last.
    pub span: Span,
}

/// Tokens that say something.
pub(super) fn is_word_of_the_script(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// Divides a script at its semicolons. Empty statements are passed over.
pub(super) fn split(source: &Source<'_>) -> Result<Vec<Segment>> {
    let tokens = Tokenizer::new(&WeirDialect::new(0), source.text())
        .tokenize_with_location()
        .map_err(|error| from_parser(source, &[], source.text().len(), ParserError::from(error)))?;
    let mut segments = Vec::new();
    for tokens in tokens.split(|token| token.token == Token::SemiColon) {
        let mut spans = tokens.iter().filter(|token| is_word_of_the_script(token)).map(|token| token.span);
        let Some(first) = spans.next() else { continue };
        let last = spans.next_back().unwrap_or(first);
        let start = source.offset(first.start).unwrap_or_default();
        let end = source.offset(last.end).unwrap_or(source.text().len());
        segments.push(Segment { tokens: tokens.to_vec(), span: Span { start, end } });
    }
    Ok(segments)
}
