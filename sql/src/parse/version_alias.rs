//! `b AS r FOR SYSTEM_TIME AS OF a.ts`, as sqlparser reads it: with the alias behind the time, `b FOR SYSTEM_TIME AS OF a.ts AS r`.

use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::scan::is_word;
use super::segments::{Segment, is_word_of_the_script};

/// Moves aliases that stand in front of a version behind it. Every token keeps its place in errors.
pub(super) fn behind_versions(segment: &mut Segment) {
    let words: Vec<usize> =
        (0..segment.tokens.len()).filter(|index| is_word_of_the_script(&segment.tokens[*index])).collect();
    let token = |position: usize| words.get(position).map(|index| &segment.tokens[*index]);
    let is = |position: usize, word: &str| token(position).is_some_and(|token| is_word(token, word));
    let is_name = |position: usize| token(position).is_some_and(|token| matches!(token.token, Token::Word(_)));
    let is_token = |position: usize, wanted: &Token| token(position).is_some_and(|token| token.token == *wanted);
    let mut moves: Vec<(usize, usize, usize)> = Vec::new();
    for position in 2..words.len() {
        let begins = ["FOR", "SYSTEM_TIME", "AS", "OF"].iter().enumerate().all(|(at, word)| is(position + at, word));
        if !begins || !is_name(position - 1) {
            continue;
        }
        let first = if is(position - 2, "AS") { position - 2 } else { position - 1 };
        // In front of an alias stands the name of a table.
        let behind_name = first.checked_sub(1).is_some_and(|before| {
            is_name(before) && !is(before, "JOIN|FROM|LATERAL|AS") || is_token(before, &Token::RParen)
        });
        if let Some(end) = end_of_time(position + 4, &token).filter(|_| behind_name) {
            moves.push((first, position, end));
        }
    }
    for (first, version, end) in moves.into_iter().rev() {
        let (from, until) = (words[first], words[version]);
        let last = words.get(end).copied().unwrap_or(segment.tokens.len());
        let alias: Vec<TokenWithSpan> = segment.tokens.drain(from..until).collect();
        let at = last - (until - from);
        segment.tokens.splice(at..at, alias);
    }
}

/// The first token behind a time: a column, or a call.
fn end_of_time<'a>(first: usize, token: &dyn Fn(usize) -> Option<&'a TokenWithSpan>) -> Option<usize> {
    let is = |position: usize, wanted: &Token| token(position).is_some_and(|token| token.token == *wanted);
    let mut at = first;
    loop {
        token(at).filter(|token| matches!(token.token, Token::Word(_)))?;
        at += 1;
        if !is(at, &Token::Period) {
            break;
        }
        at += 1;
    }
    if is(at, &Token::LParen) {
        at += 1;
        is(at, &Token::RParen).then_some(())?;
        at += 1;
    }
    Some(at)
}
