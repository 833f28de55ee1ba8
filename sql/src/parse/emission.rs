//! `EMIT …` and `ALLOWED LATENESS …` behind a query: when the results of its aggregation come out. sqlparser knows neither, so they become
//! a hint of their `SELECT`, which no script can write.
//!
//! | as written | what comes out |
//! |---|---|
//! | `EMIT ON WINDOW CLOSE`, `EMIT FINAL` | a window's results, when it closes |
//! | `EMIT ON UPDATE`, `EMIT CHANGES` | results as they change, before their window closes |
//! | `EMIT EVERY INTERVAL '10' SECOND` | the same, once in each ten seconds |
//! | `ALLOWED LATENESS INTERVAL '1' HOUR` | changes by rows that are so late |

use datafusion_sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};
use weir_core::Result;

use super::scan::is_word;
use super::segments::{Segment, is_word_of_the_script};
use crate::diagnostics::Source;
use crate::statement::Span;

/// The hint that the clauses become.
pub(crate) const EMISSION: &str = "EMISSION";
/// Its keys.
pub(crate) const ON_UPDATE: &str = "on-update";
pub(crate) const LATENESS: &str = "lateness";
pub(crate) const EVERY: &str = "every";

/// Words of a clause, and whether results come out as they change.
const CLAUSES: [(&[&str], bool); 4] = [
    (&["EMIT", "ON", "WINDOW", "CLOSE"], false),
    (&["EMIT", "FINAL"], false),
    (&["EMIT", "ON", "UPDATE"], true),
    (&["EMIT", "CHANGES"], true),
];

/// A query that is open where a token stands.
#[derive(Default)]
struct Level {
    /// Its first `SELECT`, a token.
    select: Option<usize>,
    /// Whether it puts several of them together.
    is_set: bool,
    on_update: Option<bool>,
    /// Milliseconds.
    lateness: Option<u64>,
    /// Milliseconds.
    every: Option<u64>,
}

/// Takes the clauses out of a statement, and puts hints in.
///
/// # Errors
/// A user error at a clause that is not about one `SELECT`, or does not say what it should.
pub(super) fn clauses(source: &Source<'_>, segment: &mut Segment) -> Result<()> {
    let words: Vec<usize> =
        (0..segment.tokens.len()).filter(|index| is_word_of_the_script(&segment.tokens[*index])).collect();
    let mut levels = vec![Level::default()];
    let mut finished: Vec<Level> = Vec::new();
    let mut taken: Vec<usize> = Vec::new();
    let mut position = 0;
    while let Some(index) = words.get(position) {
        let rest: Vec<&TokenWithSpan> = words[position..].iter().map(|index| &segment.tokens[*index]).collect();
        let span = source.span(rest[0].span).unwrap_or(segment.span);
        match rest[0].token {
            Token::LParen => levels.push(Level::default()),
            Token::RParen if levels.len() > 1 => finished.extend(levels.pop()),
            _ => {}
        }
        let Some(level) = levels.last_mut() else { break };
        level.select = level.select.or_else(|| is_word(rest[0], "SELECT").then_some(*index));
        level.is_set |= level.select.is_some() && is_word(rest[0], "UNION|INTERSECT|EXCEPT|MINUS");
        let length = clause(source, span, &rest, level)?;
        taken.extend(&words[position..position + length]);
        position += length.max(1);
    }
    finished.extend(levels);
    for index in taken {
        segment.tokens[index].token = Token::Whitespace(Whitespace::Space);
    }
    let mut hints: Vec<(usize, String)> = finished.iter().filter_map(hint).collect();
    hints.sort_by_key(|(select, _)| std::cmp::Reverse(*select));
    for (select, hint) in hints {
        let (token, span) = (Token::Whitespace(Whitespace::MultiLineComment(hint)), segment.tokens[select].span);
        segment.tokens.insert(select + 1, TokenWithSpan { token, span });
    }
    Ok(())
}

fn hint(level: &Level) -> Option<(usize, String)> {
    let (on_update, lateness) = (level.on_update.unwrap_or_default(), level.lateness.unwrap_or_default());
    let is_said = level.on_update.is_some() || level.lateness.is_some();
    let every = level.every.map_or_else(|| "-".to_owned(), |every| every.to_string());
    let text =
        format!("+{EMISSION}('{ON_UPDATE}' = '{on_update}', '{LATENESS}' = '{lateness}', '{EVERY}' = '{every}')");
    level.select.filter(|_| is_said).map(|select| (select, text))
}

/// How many tokens of `rest` are a clause, which the level is told of.
fn clause(source: &Source<'_>, span: Span, rest: &[&TokenWithSpan], level: &mut Level) -> Result<usize> {
    let begins =
        |words: &[&str]| rest.len() >= words.len() && words.iter().zip(rest).all(|(word, token)| is_word(token, word));
    let refused = |what: &str, help: &str| Err(source.error(span, what).with_help(help));
    if begins(&["EMIT", "AFTER|WITH|WITHOUT|STREAM"]) {
        return refused(
            "EMIT ON UPDATE, EMIT CHANGES, EMIT EVERY, EMIT ON WINDOW CLOSE and EMIT FINAL are the clauses that there are",
            "write `EMIT ON UPDATE`: results that have changed are shown a few times a second",
        );
    }
    let emit = CLAUSES.iter().find(|(words, _)| begins(words));
    let is_every = begins(&["EMIT", "EVERY"]);
    if emit.is_none() && !is_every && !begins(&["ALLOWED", "LATENESS"]) {
        return Ok(0);
    }
    if level.is_set {
        return refused(
            "EMIT and ALLOWED LATENESS are about one SELECT, and this query puts several together",
            "write each SELECT with its own clause in parentheses, or as a view",
        );
    }
    if level.select.is_none() {
        return refused(
            "EMIT and ALLOWED LATENESS stand behind the SELECT that they are about",
            "write `SELECT … GROUP BY … EMIT ON UPDATE`, inside of the parentheses",
        );
    }
    let twice = || refused("this is said twice", "leave one of the clauses out");
    if let Some((words, on_update)) = emit {
        return match level.on_update.replace(*on_update) {
            None => Ok(words.len()),
            Some(_) => twice(),
        };
    }
    let what = if is_every { "EMIT EVERY" } else { "ALLOWED LATENESS" };
    let (length, tokens) =
        milliseconds(&rest[2..]).filter(|(length, _)| !is_every || *length > 0).ok_or_else(|| {
            source
                .error(span, format!("{what} has a length of time, in days or shorter units"))
                .with_help(format!("write it as in `{what} INTERVAL '1' HOUR`"))
        })?;
    let said_before = match is_every {
        true => level.on_update.replace(true).is_some() | level.every.replace(length).is_some(),
        false => level.lateness.replace(length).is_some(),
    };
    if said_before { twice() } else { Ok(2 + tokens) }
}

/// The length of `INTERVAL '1' HOUR` at the beginning of `rest`, and how many tokens that are.
fn milliseconds(rest: &[&TokenWithSpan]) -> Option<(u64, usize)> {
    let [interval, number, unit, ..] = rest else { return None };
    if !is_word(interval, "INTERVAL") {
        return None;
    }
    let Token::SingleQuotedString(text) = &number.token else { return None };
    let of_one = [("DAY", 86_400_000), ("HOUR", 3_600_000), ("MINUTE", 60_000), ("SECOND", 1_000)];
    let (_, of_one) = of_one.into_iter().find(|(name, _)| is_word(unit, name) || is_word(unit, &format!("{name}S")))?;
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let parts = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let of_fraction = fraction.parse::<u64>().ok()?.checked_mul(of_one)?;
    // What is shorter than a millisecond has no place.
    if of_fraction % parts != 0 {
        return None;
    }
    Some((whole.parse::<u64>().ok()?.checked_mul(of_one)?.checked_add(of_fraction / parts)?, 3))
}
