//! Text by a pattern: first what its fields say, then ([`resolve`](super::resolve)) which time that is.

use super::super::times::Moment;
use super::resolve::Fields;
use super::{MONTHS, Pattern, Piece, WEEKDAYS};

/// How closely text has to follow a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Reading {
    /// As `java.time` reads: numbers with the digits of the pattern, and nothing behind; fields that contradict each other are no time.
    Exact,
    /// As `SimpleDateFormat` reads: numbers with as many digits as there are, names in any case, and whatever behind. A day that there
    /// is not is no time here, where Java counts on.
    Prefix,
}

impl Pattern {
    /// The time that `text` says; `None` if it does not follow the pattern, or there is no such time.
    pub(in super::super) fn read(&self, text: &str, reading: Reading) -> Option<Moment> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, piece) in self.0.iter().enumerate() {
            rest = match piece {
                Piece::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Piece::Field(letter, width) => {
                    let adjacent =
                        matches!(self.0.get(index + 1), Some(Piece::Field(next, width)) if is_number(*next, *width));
                    let (value, rest) = take(*letter, *width, adjacent, reading, rest)?;
                    fields.say(*letter, value)?;
                    rest
                }
            };
        }
        if reading == Reading::Exact && !rest.is_empty() {
            return None;
        }
        match reading {
            Reading::Exact => fields.exact(),
            Reading::Prefix => fields.lenient(),
        }
    }
}

fn is_number(letter: char, width: usize) -> bool {
    !matches!((letter, width), ('M' | 'L', 3..) | ('E' | 'a' | 'G', _) | ('Q' | 'q', 3..))
}

/// The number or the name (its place among all, from 0 or for months from 1) that `text` begins with, and what is behind it.
fn take(letter: char, width: usize, adjacent: bool, reading: Reading, text: &str) -> Option<(i64, &str)> {
    let names = |names: &[&str]| name(names, width == 4, reading, text);
    match letter {
        'M' | 'L' if width > 2 => names(&MONTHS).map(|(index, rest)| (index + 1, rest)),
        'E' => names(&WEEKDAYS),
        'a' => name(&["AM", "PM"], true, reading, text),
        'G' => name(&["BC", "AD"], true, reading, text),
        'Q' | 'q' if width == 3 => {
            name(&["Q1", "Q2", "Q3", "Q4"], true, reading, text).map(|(index, rest)| (index + 1, rest))
        }
        'Q' | 'q' if width == 4 => {
            let quarters = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
            name(&quarters, true, reading, text).map(|(index, rest)| (index + 1, rest))
        }
        'S' => {
            let (_, rest) = digits(text, if reading == Reading::Exact { width } else { 1 }, width)?;
            let written = &text[..text.len() - rest.len()];
            let missing = 9 - u32::try_from(written.len()).ok()?;
            Some((written.parse::<i64>().ok()? * 10_i64.pow(missing), rest))
        }
        'y' | 'u' => year(letter, width, adjacent, reading, text),
        _ => number(width, adjacent, reading, text),
    }
}

fn number(width: usize, adjacent: bool, reading: Reading, text: &str) -> Option<(i64, &str)> {
    match reading {
        _ if adjacent => digits(text, width, width),
        Reading::Exact if width > 1 => digits(text, width, width),
        _ => digits(text, 1, 9),
    }
}

fn year(letter: char, width: usize, adjacent: bool, reading: Reading, text: &str) -> Option<(i64, &str)> {
    let (year, rest) = match (reading, width) {
        // More than four digits have a sign in front.
        (Reading::Exact, 4) if !adjacent => match text.strip_prefix('+') {
            Some(text) => digits(text, 5, 9)?,
            None if letter == 'u' && text.starts_with('-') => {
                let (year, rest) = digits(&text[1..], 4, 9)?;
                (-year, rest)
            }
            None => digits(text, 4, 9).filter(|(_, rest)| text.len() - rest.len() == 4)?,
        },
        _ => number(width, adjacent, reading, text)?,
    };
    let of_century = width == 2 && text.len() - rest.len() == 2;
    Some((if of_century { year + century(year, reading) } else { year }, rest))
}

/// What is added to a year of two digits. `SimpleDateFormat` takes the hundred years of which twenty are to come; what a query means
/// must not change with the day on which it runs.
fn century(year: i64, reading: Reading) -> i64 {
    if reading == Reading::Prefix && year >= 50 { 1_900 } else { 2_000 }
}

/// A number of digits at the start of `text`, and what is behind it.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    let (number, rest) = text.split_at(length);
    Some((number.parse().ok()?, rest))
}

/// Which of `names` the text starts with, and what is behind it. All but whole ones have three letters.
fn name<'a>(names: &[&str], whole: bool, reading: Reading, text: &'a str) -> Option<(i64, &'a str)> {
    let behind = |name: &str| {
        let start = text.get(..name.len())?;
        let same = if reading == Reading::Exact { start == name } else { start.eq_ignore_ascii_case(name) };
        same.then(|| &text[name.len()..])
    };
    let found = |short: bool| {
        let name = move |name: &&str| behind(if short { &name[..name.len().min(3)] } else { name });
        names.iter().enumerate().find_map(|(index, text)| Some((i64::try_from(index).ok()?, name(text)?)))
    };
    match reading {
        Reading::Exact => found(!whole),
        Reading::Prefix => found(false).or_else(|| found(true)),
    }
}
