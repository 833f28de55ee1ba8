//! What can be told of a statement from its tokens: constructs that sqlparser passes over in silence, takes for an
//! alias, or stumbles over far from where they begin.

use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use weir_core::Result;

use super::segments::{Segment, is_word_of_the_script};
use crate::diagnostics::Source;

/// Tokens on one level of parentheses without a comma. Long chains of operators become deep trees, and what goes
/// through a tree does so recursively: this many are safe on the stack that planning has, in a debug build too.
const LONGEST_CHAIN: usize = 1500;

/// Depth of parentheses that begin with another one, where a table is expected. sqlparser tries each as a query and then
/// as a join, with all that is inside.
const DEEPEST_TABLES: usize = 8;

/// A construct: how it begins, what it is, and what works instead.
struct Construct {
    words: &'static [&'static str],
    what: &'static str,
    instead: &'static str,
}

const PER_WINDOW: &str = "aggregate per window instead, as in `FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' \
     MINUTE) GROUP BY window_start, window_end`: its rows come out once, when the watermark passes the window's end";

const CONSTRUCTS: [Construct; 10] = [
    Construct {
        words: &["MATCH_RECOGNIZE", "("],
        what: "MATCH_RECOGNIZE is not supported yet",
        instead: "simple patterns can be written as a window join or an interval join of the table with itself",
    },
    Construct {
        words: &["LATERAL", "TABLE"],
        what: "table functions are not supported yet",
        instead: "an array becomes rows with `CROSS JOIN UNNEST(array)`",
    },
    Construct {
        words: &["LATERAL", "VIEW"],
        what: "LATERAL VIEW is not supported",
        instead: "an array becomes rows with `CROSS JOIN UNNEST(array)`",
    },
    Construct {
        words: &["TABLESAMPLE", "(|BERNOULLI|SYSTEM"],
        what: "TABLESAMPLE is not supported: it is random, and a row that is computed again after a restart would differ",
        instead: "take a share of the keys, as in `WHERE id % 100 = 0`",
    },
    Construct {
        words: &["PIVOT", "("],
        what: "PIVOT is not supported",
        instead: "write `SUM(x) FILTER (WHERE …)` for each column",
    },
    Construct {
        words: &["UNPIVOT", "("],
        what: "UNPIVOT is not supported",
        instead: "write one SELECT for each column, with UNION ALL between them",
    },
    Construct {
        words: &["CONNECT", "BY"],
        what: "CONNECT BY is not supported: a stream has no end that a recursion could reach",
        instead: "join the table with itself once for each level",
    },
    Construct { words: &["GROUP", "BY", "ALL"], what: "GROUP BY ALL is not supported", instead: "name the columns" },
    Construct { words: &["DISTRIBUTE", "BY"], what: "DISTRIBUTE BY is not supported", instead: PER_WINDOW },
    Construct {
        words: &["WITH", "RECURSIVE"],
        what: "recursive queries are not supported: a stream has no end that a recursion could reach",
        instead: "join the table with itself once for each level",
    },
];

/// Refuses what the tokens show to be wrong.
pub(super) fn scan(source: &Source<'_>, segment: &Segment) -> Result<()> {
    let tokens: Vec<&TokenWithSpan> = segment.tokens.iter().filter(|token| is_word_of_the_script(token)).collect();
    refuse_long_chains(source, &tokens)?;
    refuse_deep_tables(source, &tokens)?;
    for (index, token) in tokens.iter().enumerate() {
        let span = source.span(token.span).unwrap_or(segment.span);
        if let Token::Placeholder(name) = &token.token {
            return Err(source
                .error(span, format!("`{name}` stands for a parameter, and a script has none"))
                .with_help("write the value itself"));
        }
        // sqlparser consumes a FILTER without its condition and forgets it.
        if is_word(token, "FILTER")
            && index > 0
            && tokens[index - 1].token == Token::RParen
            && tokens.get(index + 1).is_none_or(|next| next.token != Token::LParen)
        {
            return Err(source
                .error(span, "expected a condition after FILTER")
                .with_help("write `FILTER (WHERE condition)`, or a name with AS and in backticks"));
        }
        for construct in &CONSTRUCTS {
            if matches(&tokens[index..], construct.words) {
                return Err(source.error(span, construct.what).with_help(construct.instead));
            }
        }
    }
    Ok(())
}

fn refuse_long_chains(source: &Source<'_>, tokens: &[&TokenWithSpan]) -> Result<()> {
    let mut lengths = vec![0_usize];
    for token in tokens {
        match token.token {
            Token::LParen | Token::LBracket => lengths.push(0),
            Token::RParen | Token::RBracket if lengths.len() > 1 => {
                lengths.pop();
            }
            Token::Comma => {
                if let Some(length) = lengths.last_mut() {
                    *length = 0;
                }
            }
            _ => {}
        }
        if let Some(length) = lengths.last_mut() {
            *length += 1;
            if *length > LONGEST_CHAIN {
                let span = source.span(token.span).unwrap_or_default();
                return Err(source
                    .error(span, "this expression is too long")
                    .with_help("write `x IN (…)` for a chain of ORs, or divide the statement into views"));
            }
        }
    }
    Ok(())
}

fn refuse_deep_tables(source: &Source<'_>, tokens: &[&TokenWithSpan]) -> Result<()> {
    // For each open parenthesis: whether a table is expected inside of it, and whether it begins with another one.
    let mut open: Vec<(bool, bool)> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen => {
                let expects_table = match index.checked_sub(1).map(|before| tokens[before]) {
                    Some(before) if before.token == Token::LParen => open.last().is_some_and(|(table, _)| *table),
                    Some(before) => before.token == Token::Comma || is_word(before, "FROM|JOIN|LATERAL"),
                    None => false,
                };
                let begins_with_another = tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
                open.push((expects_table, expects_table && begins_with_another));
                if open.iter().filter(|(_, deep)| *deep).count() > DEEPEST_TABLES {
                    let span = source.span(token.span).unwrap_or_default();
                    return Err(source
                        .error(span, "this statement is nested too deeply")
                        .with_help("split it into views, one for each layer"));
                }
            }
            Token::RParen => {
                open.pop();
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether `token` is this word, unquoted. `|` separates alternatives; `(` stands for itself.
pub(super) fn is_word(token: &TokenWithSpan, words: &str) -> bool {
    words.split('|').any(|wanted| match &token.token {
        Token::LParen => wanted == "(",
        Token::Word(word) => word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted),
        _ => false,
    })
}

fn matches(tokens: &[&TokenWithSpan], words: &[&str]) -> bool {
    tokens.len() >= words.len() && words.iter().zip(tokens).all(|(word, token)| is_word(token, word))
}
