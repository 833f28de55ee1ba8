//! The parser's errors, which carry their place as text.

use datafusion_sql::sqlparser::parser::ParserError;
use datafusion_sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan};
use weir_core::Error;

use super::{Source, nearest};
use crate::statement::Span;

/// Words that a slip of the pen may have meant.
const KEYWORDS: [&str; 42] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "CROSS",
    "UNION",
    "VALUES",
    "INSERT",
    "INTO",
    "CREATE",
    "TABLE",
    "VIEW",
    "TEMPORARY",
    "WITH",
    "LIMIT",
    "OFFSET",
    "BETWEEN",
    "DISTINCT",
    "WINDOW",
    "PARTITION",
    "INTERVAL",
    "WATERMARK",
    "PRIMARY",
    "METADATA",
    "VIRTUAL",
    "ENFORCED",
    "COMMENT",
    "PARTITIONED",
    "EXPLAIN",
    "EXECUTE",
    "STATEMENT",
    "BEGIN",
    "RESET",
    "DROP",
];

/// Words that are near a keyword and mean themselves.
const NEVER_A_SLIP: [&str; 11] = ["END", "ON", "AS", "IN", "IS", "BY", "OR", "SET", "AND", "TABLES", "PARTITIONS"];

/// `error`, which the parser met in a statement of these tokens that ends at `end`.
pub(crate) fn from_parser(source: &Source<'_>, tokens: &[TokenWithSpan], end: usize, error: ParserError) -> Error {
    let (message, from_parser) = match error {
        ParserError::ParserError(message) => (message, true),
        ParserError::TokenizerError(message) => (message, false),
        ParserError::RecursionLimitExceeded => {
            let span = Span { start: first_offset(source, tokens).unwrap_or(end), end };
            return source
                .error(span, "this statement is nested too deeply")
                .with_help("split it into views, one for each layer");
        }
    };
    let (message, location) = split_location(&message);
    let Some(offset) = location.and_then(|location| source.offset(location)) else {
        return source.error(Span { start: end, end }, reword(message, "the end of the statement"));
    };
    let found = tokens.iter().position(|token| source.offset(token.span.start) == Some(offset));
    let found = found.map(|index| the_word_itself(&tokens[..=index], message));
    let offset = found.and_then(|index| source.offset(tokens[index].span.start)).unwrap_or(offset);
    let span = found.and_then(|index| source.span(tokens[index].span)).unwrap_or(Span { start: offset, end: offset });
    let text = source.slice(span);
    let error = source.error(span, if from_parser { reword(message, &format!("`{text}`")) } else { lower(message) });
    let found = found.map(|index| &tokens[..=index]);
    if let Some(help) = found.and_then(other_words) {
        return error.with_help(help);
    }
    match found.and_then(misspelt) {
        Some((word, keyword)) => error.with_help(format!("is `{word}` a slip of `{keyword}`?")),
        None => error,
    }
}

/// What to write in the place of words that other engines have.
fn other_words(tokens: &[TokenWithSpan]) -> Option<&'static str> {
    let mut words = tokens.iter().rev().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let (last, before) = (words.next()?.token.to_string().to_uppercase(), words.next()?.token.to_string());
    match (before.to_uppercase().as_str(), last.as_str()) {
        ("ASOF", "LEFT" | "INNER" | "OUTER") => Some(
            "write `ASOF JOIN`: left rows stay, with nulls where there is no version; `WHERE b.k IS NOT NULL` drops them",
        ),
        _ => None,
    }
}

fn first_offset(source: &Source<'_>, tokens: &[TokenWithSpan]) -> Option<usize> {
    tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_)))?;
    tokens
        .iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .find_map(|token| source.offset(token.span.start))
}

/// The parser says `… at Line: 3, Column: 7`.
fn split_location(message: &str) -> (&str, Option<Location>) {
    let Some((head, tail)) = message.rsplit_once(" at Line: ") else { return (message, None) };
    let Some((line, column)) = tail.split_once(", Column: ") else { return (message, None) };
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) => (head, Some(Location { line, column })),
        _ => (message, None),
    }
}

/// The parser says `Expected: x, found: y`.
fn reword(message: &str, found: &str) -> String {
    let expected = message.strip_prefix("Expected: ").or_else(|| message.strip_prefix("Expected "));
    match expected.and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((sign, _)) if !sign.contains(char::is_alphanumeric) && !sign.contains('`') => {
            format!("expected `{sign}`, found {found}")
        }
        Some((expected, _)) => format!("expected {expected}, found {found}"),
        None => lower(message),
    }
}

/// Where a reserved word stands in the place of an expression, the parser names the word and the place behind it.
fn the_word_itself(tokens: &[TokenWithSpan], message: &str) -> usize {
    let last = tokens.len() - 1;
    let Some((_, word)) = message.rsplit_once(", found: ") else { return last };
    if tokens[last].token.to_string() == word {
        return last;
    }
    tokens.iter().rposition(|token| token.token.to_string() == word).unwrap_or(last)
}

fn lower(message: &str) -> String {
    let mut characters = message.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => message.to_owned(),
    }
}

/// Of the word that was found and the one before it, the first that is nearly a keyword: in `SELECT a FORM t` the
/// parser takes `FORM` for an alias and stumbles over `t`.
fn misspelt(tokens: &[TokenWithSpan]) -> Option<(String, &'static str)> {
    let words = tokens.iter().rev().filter(|token| !matches!(token.token, Token::Whitespace(_))).take(2);
    words
        .filter_map(|token| match &token.token {
            Token::Word(word) if word.quote_style.is_none() => Some(word.value.clone()),
            _ => None,
        })
        .find_map(|word| {
            let upper = word.to_uppercase();
            let exact = KEYWORDS.contains(&upper.as_str()) || NEVER_A_SLIP.contains(&upper.as_str());
            if exact || upper.len() < 3 {
                return None;
            }
            nearest(&upper, KEYWORDS).map(|keyword| (word, keyword))
        })
}
