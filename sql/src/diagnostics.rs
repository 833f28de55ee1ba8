//! Errors that point into the script: line, column, the line itself with the place underlined, and a suggestion.
//!
//! ```text
//! line 2, column 8: there is no column `prize`
//!   |
//! 2 | SELECT prize FROM bid
//!   |        ^^^^^
//!   help: did you mean `price`?
//! ```

mod datafusion;
mod nearest;
mod parser;
mod rewording;
mod secrets;

use datafusion_sql::sqlparser::tokenizer::{Location, Span as ParserSpan};
use weir_core::{Error, ErrorKind};

use crate::statement::Span;

pub use datafusion::from_datafusion;
pub use nearest::{did_you_mean, nearest, one_of};
pub(crate) use parser::from_parser;

/// Characters of a source line that an error shows.
const LINE_WIDTH: usize = 140;

/// A script's text, with the beginnings of its lines.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    /// Of this text.
    pub fn new(text: &'a str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(index, _)| index + 1);
        Self { text, lines: std::iter::once(0).chain(starts).collect() }
    }

    /// The text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The first line of a statement: an error that knows no better place stands there.
    pub fn first_line(&self, statement: Span) -> Span {
        let text = self.slice(statement);
        let length = text.find('\n').unwrap_or(text.len());
        Span { start: statement.start, end: statement.start + length }
    }

    /// What stands at `span`.
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The parser's line and column, both from 1 and in characters, as an offset in bytes. Line 0 is the parser's word
    /// for "unknown" and gives none.
    pub fn offset(&self, location: Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let start = *self.lines.get(line)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let rest = &self.text[start..];
        Some(start + rest.char_indices().nth(column).map_or(rest.len(), |(index, _)| index))
    }

    /// The parser's span in bytes, if it is known.
    pub fn span(&self, span: ParserSpan) -> Option<Span> {
        let start = self.offset(span.start)?;
        Some(Span { start, end: self.offset(span.end).unwrap_or(start).max(start) })
    }

    /// Where a word first stands in a part of the text, whatever its capitals.
    pub fn find_word(&self, within: Span, word: &str) -> Option<Span> {
        let part = self.slice(within).as_bytes();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
        let at = part.windows(word.len().max(1)).enumerate().position(|(at, candidate)| {
            candidate.eq_ignore_ascii_case(word.as_bytes())
                && !at.checked_sub(1).is_some_and(|before| is_part(&part[before]))
                && !part.get(at + word.len()).is_some_and(is_part)
        })?;
        Some(Span { start: within.start + at, end: within.start + at + word.len() })
    }

    /// Line and column of an offset, both from 1 and in characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset).saturating_sub(1);
        let start = self.lines.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }

    /// A user error about what stands at `span`.
    pub fn error(&self, span: Span, message: impl AsRef<str>) -> Error {
        let (line, column) = self.line_and_column(span.start);
        let head = format!("line {line}, column {column}: {}", message.as_ref());
        Error::user(format!("{head}\n{}", self.excerpt(span, line, column)))
    }

    fn excerpt(&self, span: Span, line: usize, column: usize) -> String {
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let shown = secrets::masked(self.text[start..end].trim_end_matches('\r'));
        let marked = self.slice(Span { start: span.start, end: span.end.min(end).max(span.start) }).trim_end();
        let width = marked.chars().count().max(1);
        let skipped = if column > LINE_WIDTH / 2 && shown.len() > LINE_WIDTH { column - LINE_WIDTH / 2 } else { 0 };
        let cut: String = shown
            .iter()
            .skip(skipped)
            .take(LINE_WIDTH)
            .map(|character| if character.is_whitespace() { ' ' } else { *character })
            .collect();
        let indent = column - 1 - skipped;
        let carets = width.min(LINE_WIDTH.saturating_sub(indent)).max(1);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        format!("{margin} |\n{number} | {}\n{margin} | {}{}", cut.trim_end(), " ".repeat(indent), "^".repeat(carets))
    }
}

/// A user error about what stands at `span` of `text`.
pub fn error_at(text: &str, span: Span, message: impl AsRef<str>) -> Error {
    Source::new(text).error(span, message)
}

/// Text of a script in which values of options with sensitive names are masked.
pub fn without_secrets(text: &str) -> String {
    secrets::masked(text).into_iter().collect()
}

/// The error about a script that has had so many lines in front which its reader does not see.
pub fn behind_lines(error: Error, lines: usize) -> Error {
    if lines == 0 || error.kind() != ErrorKind::User || std::error::Error::source(&error).is_some() {
        return error;
    }
    let own = Error::user(without_lines(&error.to_string(), lines));
    match error.help() {
        Some(help) => own.with_help(help),
        None => own,
    }
}

fn without_lines(report: &str, lines: usize) -> String {
    let number = |text: &str| text.parse::<usize>().ok().filter(|number| *number > lines).map(|number| number - lines);
    let moved = |line: &str| -> Option<String> {
        if let Some(rest) = line.strip_prefix("line ") {
            let (own, behind) = rest.split_once(',')?;
            return Some(format!("line {},{behind}", number(own)?));
        }
        let (own, behind) = line.split_once(" | ")?;
        Some(format!("{:>width$} | {behind}", number(own)?, width = own.len()))
    };
    let lines: Vec<String> = report.lines().map(|line| moved(line).unwrap_or_else(|| line.to_owned())).collect();
    lines.join("\n")
}

/// The parser's span as bytes of `text`, if it is known.
pub fn span_in(text: &str, span: ParserSpan) -> Option<Span> {
    Source::new(text).span(span)
}

#[cfg(test)]
mod tests;
