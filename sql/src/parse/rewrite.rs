//! Flink's table arguments, which sqlparser does not know, in words that it does.
//!
//! | as written | as parsed |
//! |---|---|
//! | `TUMBLE(TABLE t, …)` | `TUMBLE(t, …)` |
//! | `TUMBLE(DATA => TABLE t, …)` | `TUMBLE(DATA => t, …)` |
//! | `SESSION(TABLE t PARTITION BY k, …)` | `SESSION(t, "$partition_by" => k, …)` |
//! | `SESSION(TABLE t PARTITION BY j, k, …)` | `SESSION(t, "$partition_by" => j, k, …)` |
//! | `SESSION(TABLE t PARTITION BY (j, k), …)` | `SESSION(t, "$partition_by" => (j, k), …)` |
//!
//! A token that goes becomes a space and one that comes takes the place of another, so that every position in an error
//! is a position in the text.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace, Word};
use weir_core::Result;

use super::scan::is_word;
use super::segments::{Segment, is_word_of_the_script};
use super::window_function::{PARTITION_BY, is_window_function};
use crate::diagnostics::Source;

/// Rewrites the table arguments of a statement.
pub(super) fn table_arguments(source: &Source<'_>, segment: &mut Segment) -> Result<()> {
    let words: Vec<usize> =
        (0..segment.tokens.len()).filter(|index| is_word_of_the_script(&segment.tokens[*index])).collect();
    let mut calls: Vec<Option<String>> = Vec::new();
    let mut replaced: Vec<(usize, Vec<Token>)> = Vec::new();
    let token = |position: usize| words.get(position).map(|index| &segment.tokens[*index]);
    for position in 0..words.len() {
        let Some(current) = token(position) else { continue };
        match &current.token {
            Token::LParen => calls.push(position.checked_sub(1).and_then(token).and_then(unquoted)),
            Token::RParen => {
                calls.pop();
            }
            Token::Word(_) if is_word(current, "TABLE") => {
                let starts_argument = position
                    .checked_sub(1)
                    .and_then(token)
                    .is_some_and(|previous| matches!(previous.token, Token::LParen | Token::Comma | Token::RArrow));
                let names_table = token(position + 1).is_some_and(|next| matches!(next.token, Token::Word(_)));
                let Some(Some(call)) = calls.last() else { continue };
                if !starts_argument || !names_table || is_keyword_before_parenthesis(call) {
                    continue;
                }
                if !is_window_function(call) {
                    let span = source.span(current.span).unwrap_or(segment.span);
                    return Err(source
                        .error(span, format!("`{call}` does not take a table"))
                        .with_help("TUMBLE, HOP, CUMULATE and SESSION do"));
                }
                replaced.push((words[position], Vec::new()));
                let partition =
                    (position + 2..position + 7).find(|at| token(*at).is_some_and(|t| is_word(t, "PARTITION")));
                if let Some(at) = partition
                    && token(at + 1).is_some_and(|next| is_word(next, "BY"))
                    && (position + 1..at).all(|at| token(at).is_some_and(is_part_of_name))
                {
                    replaced.push((words[at], vec![Token::Comma, partition_by()]));
                    replaced.push((words[at + 1], vec![Token::RArrow]));
                }
            }
            _ => {}
        }
    }
    for (index, tokens) in replaced.into_iter().rev() {
        let span = segment.tokens[index].span;
        let tokens = if tokens.is_empty() { vec![Token::Whitespace(Whitespace::Space)] } else { tokens };
        segment.tokens.splice(index..=index, tokens.into_iter().map(|token| TokenWithSpan { token, span }));
    }
    Ok(())
}

fn unquoted(token: &TokenWithSpan) -> Option<String> {
    match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.clone()),
        _ => None,
    }
}

/// `IN (TABLE t)` and the like are no calls.
fn is_keyword_before_parenthesis(word: &str) -> bool {
    ["IN", "FROM", "JOIN", "AS", "EXISTS", "ANY", "ALL", "SOME", "UNION", "LATERAL", "EXPLAIN", "SELECT", "AND", "OR"]
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}

fn is_part_of_name(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Word(_) | Token::Period)
}

fn partition_by() -> Token {
    Token::Word(Word { value: PARTITION_BY.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword })
}
