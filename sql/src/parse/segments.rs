//! Tokens, and their division into statements.

use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use weir_core::Result;

use super::dialect::WeirDialect;
use super::scan::is_word;
use crate::diagnostics::{Source, from_parser};
use crate::statement::Span;

/// A piece of text that is carried out at once: a statement, or a statement set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// From its first token to its last.
    pub span: Span,
    /// Whether a semicolon is behind it, and its statement set is closed.
    pub is_complete: bool,
}

/// The units of a text that may have more to come.
///
/// # Errors
/// A user error if it has no tokens, as behind an open quote.
pub fn units(text: &str) -> Result<Vec<Unit>> {
    let source = Source::new(text);
    let segments = split(&source)?;
    let mut units: Vec<Unit> = Vec::new();
    let mut in_set = false;
    for segment in &segments {
        let openings: [&[&str]; 3] =
            [&["EXECUTE", "STATEMENT", "SET"], &["STATEMENT", "SET"], &["BEGIN", "STATEMENT", "SET"]];
        let names_a_set = segment.begins_with(&["CREATE", "JOB"]) && segment.has(&["STATEMENT", "SET"]);
        let opens = !in_set && (names_a_set || openings.iter().any(|words| segment.begins_with(words)));
        match units.last_mut().filter(|_| in_set) {
            Some(unit) => {
                unit.span.end = segment.span.end;
                in_set = !segment.begins_with(&["END"]);
                unit.is_complete = segment.is_ended && !in_set;
            }
            None => {
                in_set = opens;
                units.push(Unit { span: segment.span, is_complete: segment.is_ended && !in_set });
            }
        }
    }
    Ok(units)
}

/// The tokens between two semicolons.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its tokens; spaces and comments are among them.
    pub tokens: Vec<TokenWithSpan>,
    /// From its first token to its last.
    pub span: Span,
    /// A semicolon is behind it.
    is_ended: bool,
}

impl Segment {
    /// Whether these words come first.
    fn begins_with(&self, words: &[&str]) -> bool {
        let mut tokens = self.tokens.iter().filter(|token| is_word_of_the_script(token));
        words.iter().all(|word| tokens.next().is_some_and(|token| is_word(token, word)))
    }

    /// Whether these words come somewhere, one behind the other.
    fn has(&self, words: &[&str]) -> bool {
        let tokens: Vec<&TokenWithSpan> = self.tokens.iter().filter(|token| is_word_of_the_script(token)).collect();
        tokens.windows(words.len()).any(|found| words.iter().zip(found).all(|(word, token)| is_word(token, word)))
    }
}

/// Tokens that say something.
pub(super) fn is_word_of_the_script(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_))
}

/// A comment that is obeyed.
fn is_hint(token: &TokenWithSpan) -> bool {
    matches!(&token.token, Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+'))
}

/// Divides a script at its semicolons. Empty statements are passed over.
pub(super) fn split(source: &Source<'_>) -> Result<Vec<Segment>> {
    let tokens = Tokenizer::new(&WeirDialect::new(0), source.text())
        .tokenize_with_location()
        .map_err(|error| from_parser(source, &[], source.text().len(), ParserError::from(error)))?;
    let mut segments = Vec::new();
    let mut pieces = tokens.split(|token| token.token == Token::SemiColon).peekable();
    while let Some(tokens) = pieces.next() {
        let is_ended = pieces.peek().is_some();
        let says = |token: &&TokenWithSpan| is_word_of_the_script(token) || is_hint(token);
        let mut spans = tokens.iter().filter(says).map(|token| token.span);
        let Some(first) = spans.next() else { continue };
        let last = spans.next_back().unwrap_or(first);
        let start = source.offset(first.start).unwrap_or_default();
        let end = source.offset(last.end).unwrap_or(source.text().len());
        segments.push(Segment { tokens: tokens.to_vec(), span: Span { start, end }, is_ended });
    }
    Ok(segments)
}
