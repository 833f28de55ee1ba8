//! Hints: comments that begin with a plus, behind `SELECT` or behind the name of a table that is read.
//!
//! | hint | where | what becomes of it |
//! |---|---|---|
//! | `STATE_TTL('a' = '1 d', …)` | behind SELECT | stays with the `SELECT`, for [`logical`](crate::logical) to give to its relations |
//! | `BROADCAST(a, …)` | behind SELECT | the same |
//! | `OPTIONS('k' = 'v', …)` | behind a table | goes into the name of the table, where the catalog [finds](with_options) it |
//!
//! All others are refused: a hint is obeyed, or it is an error.

use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};
use weir_core::Result;

use super::dialect::WeirDialect;
use super::scan::is_word;
use super::segments::{Segment, is_word_of_the_script};
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::Span;

/// The hint with how long state is kept.
pub(crate) const STATE_TTL: &str = "STATE_TTL";
/// The hint with relations that are to be in every subtask.
pub(crate) const BROADCAST: &str = "BROADCAST";
const OPTIONS: &str = "OPTIONS";

/// Hints of Flink's that choose a way to run a join, or what a lookup does.
const WAYS: [&str; 5] = ["SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "LOOKUP", "MULTI_JOIN"];

/// Between the name of a table and its options, and between those: no one writes it.
const SEPARATOR: char = '\u{1}';
const EQUALS: char = '\u{2}';

/// A hint with its pairs of keys and values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Its name, in capitals.
    pub name: String,
    /// What stands in its parentheses.
    pub pairs: Vec<(String, String)>,
}

/// The hints in a comment; `None` if it is no list of such.
pub(crate) fn hints(text: &str) -> Option<Vec<Hint>> {
    let tokens = Tokenizer::new(&WeirDialect::new(0), text).tokenize().ok()?;
    let mut tokens = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).peekable();
    let mut hints = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Word(word) = token else { return None };
        let mut pairs = Vec::new();
        if tokens.next_if_eq(&Token::LParen).is_some() {
            loop {
                let mut text = || match tokens.next()? {
                    Token::SingleQuotedString(text) => Some(text),
                    Token::Word(word) => Some(word.value),
                    _ => None,
                };
                let key = text()?;
                let value = match tokens.next_if_eq(&Token::Eq) {
                    None => String::new(),
                    Some(_) => match tokens.next()? {
                        Token::SingleQuotedString(text) => text,
                        _ => return None,
                    },
                };
                pairs.push((key, value));
                match tokens.next()? {
                    Token::Comma => {}
                    Token::RParen => break,
                    _ => return None,
                }
            }
        }
        hints.push(Hint { name: word.value.to_uppercase(), pairs });
        let _ = tokens.next_if_eq(&Token::Comma);
    }
    Some(hints)
}

/// Refuses hints that are not obeyed, and puts those of tables into the tables' names.
///
/// # Errors
/// A user error at the hint.
pub(super) fn obey(source: &Source<'_>, segment: &mut Segment) -> Result<()> {
    for place in 0..segment.tokens.len() {
        let Token::Whitespace(Whitespace::MultiLineComment(comment)) = &segment.tokens[place].token else { continue };
        let Some(text) = comment.strip_prefix('+') else { continue };
        let span = source.span(segment.tokens[place].span).unwrap_or(segment.span);
        let Some(hints) = hints(text) else {
            return Err(source.error(span, "this is no hint").with_help(
                "write `/*+ STATE_TTL('a' = '1 d') */` behind SELECT, `/*+ OPTIONS('key' = 'value') */` behind the name of a table; a mere \
                 comment begins with `/* `",
            ));
        };
        let mut before: Vec<usize> =
            (0..place).rev().filter(|place| is_word_of_the_script(&segment.tokens[*place])).take(6).collect();
        // What stands in front of a table's name may stand in front of its database's.
        while before.len() > 2 && segment.tokens[before[1]].token == Token::Period {
            before.drain(1..3);
        }
        let is =
            |place: Option<&usize>, words: &str| place.is_some_and(|place| is_word(&segment.tokens[*place], words));
        let behind_select = is(before.first(), "SELECT");
        let begins_table = is(before.get(1), "FROM|JOIN|TABLE")
            || before.get(1).is_some_and(|place| segment.tokens[*place].token == Token::Comma);
        for hint in &hints {
            check(source, span, hint, behind_select, begins_table)?;
        }
        if let (false, Some(named)) = (behind_select, before.first().copied()) {
            let pairs = hints.into_iter().flat_map(|hint| hint.pairs);
            put_into_name(&mut segment.tokens[named], pairs);
        }
    }
    Ok(())
}

fn check(source: &Source<'_>, span: Span, hint: &Hint, behind_select: bool, begins_table: bool) -> Result<()> {
    let name = hint.name.as_str();
    let refused = |what: String, help: &str| Err(source.error(span, what).with_help(help));
    let example = match name {
        STATE_TTL => "write it behind SELECT, as in `SELECT /*+ STATE_TTL('a' = '1 d', 'b' = '12 h') */ …`",
        BROADCAST => "write it behind SELECT, as in `SELECT /*+ BROADCAST(small) */ … FROM large JOIN small ON …`",
        OPTIONS => {
            "write it behind the name of a table that is read, as in `FROM t /*+ OPTIONS('key' = 'value') */ AS a`"
        }
        _ if WAYS.contains(&name) => {
            return refused(
                format!("the hint {name} is not supported"),
                "leave it out: rows of a join are spread by its keys, and a small table can be looked up in: `FOR SYSTEM_TIME AS OF`",
            );
        }
        _ => {
            let help = did_you_mean(name, &[STATE_TTL, BROADCAST, OPTIONS], "the hints are");
            return Err(source.error(span, format!("there is no hint {name}")).with_help(help));
        }
    };
    if (name != OPTIONS) != behind_select || !(behind_select || begins_table) {
        return refused(format!("{name} cannot stand here"), example);
    }
    if name == BROADCAST {
        return match hint.pairs.is_empty() || hint.pairs.iter().any(|(key, value)| key.is_empty() || !value.is_empty())
        {
            true => refused(format!("{name} has names of relations"), example),
            false => Ok(()),
        };
    }
    if hint.pairs.is_empty() || hint.pairs.iter().any(|(key, value)| key.is_empty() || value.is_empty()) {
        return refused(format!("{name} has pairs of texts, each with a sign of equality between"), example);
    }
    Ok(())
}

fn put_into_name(token: &mut TokenWithSpan, pairs: impl Iterator<Item = (String, String)>) {
    if let Token::Word(word) = &mut token.token {
        for (key, value) in pairs {
            word.value.push_str(&format!("{SEPARATOR}{key}{EQUALS}{value}"));
        }
        word.quote_style = Some('`');
        word.keyword = Keyword::NoKeyword;
    }
}

/// The name of a table as it was written, and the options that a hint gives it.
pub(crate) fn with_options(name: &str) -> (&str, Vec<(&str, &str)>) {
    let mut parts = name.split(SEPARATOR);
    let name = parts.next().unwrap_or_default();
    (name, parts.filter_map(|pair| pair.split_once(EQUALS)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_as_hints_or_not_at_all() {
        let pairs =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let read = hints(" state_ttl('a' = '1 d', b = '2 h'), BROADCAST(c) nest_loop ").unwrap();
        let expected = [
            Hint { name: "STATE_TTL".into(), pairs: pairs(&[("a", "1 d"), ("b", "2 h")]) },
            Hint { name: "BROADCAST".into(), pairs: pairs(&[("c", "")]) },
            Hint { name: "NEST_LOOP".into(), pairs: Vec::new() },
        ];
        assert_eq!(read, expected);
        for wrong in ["STATE_TTL('a' = 1)", "STATE_TTL('a'", "(a)", "x 'y'", "f()"] {
            assert_eq!(hints(wrong), None, "{wrong}");
        }
        assert_eq!(with_options("t\u{1}a\u{2}b=c\u{1}d\u{2}e"), ("t", vec![("a", "b=c"), ("d", "e")]));
        assert_eq!(with_options("t"), ("t", Vec::new()));
    }
}
