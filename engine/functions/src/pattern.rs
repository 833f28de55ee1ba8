//! Patterns of Java's `DateTimeFormatter`, such as `yyyy-MM-dd HH:mm`, by which times are written and read.

mod read;
mod resolve;
mod write;

use datafusion_common::{Result, ScalarValue};

use super::definition::plan_error;

pub(super) use read::Reading;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    /// A letter and how often it is repeated.
    Field(char, usize),
}

impl Pattern {
    /// # Errors
    /// If it has a letter that means nothing here, or an open quote.
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            if character == '\'' {
                // Two quotes are one, inside a quoted text as outside of it.
                if characters.next_if_eq(&'\'').is_some() {
                    literal.push('\'');
                    continue;
                }
                loop {
                    match characters.next() {
                        Some('\'') if characters.next_if_eq(&'\'').is_some() => literal.push('\''),
                        Some('\'') => break,
                        Some(other) => literal.push(other),
                        None => return plan_error(format!("the pattern `{pattern}` has an open quote")),
                    }
                }
            } else if character.is_ascii_alphabetic() {
                let mut width = 1;
                while characters.next_if_eq(&character).is_some() {
                    width += 1;
                }
                if !is_field(character, width) {
                    let field = character.to_string().repeat(width);
                    return plan_error(format!(
                        "the pattern `{pattern}` has an unknown field `{field}`; fields are G, y, u, Q, q, M, L, d, D, E, e, w, \
                         W, F, a, H, h, K, k, m, s, S and A, and text stands in single quotes"
                    ));
                }
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Field(character, width));
            } else {
                literal.push(character);
            }
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }
}

fn is_field(letter: char, width: usize) -> bool {
    match letter {
        'y' | 'u' => width != 3 && width <= 4,
        'M' | 'L' | 'E' | 'Q' | 'q' => width <= 4,
        'd' | 'H' | 'h' | 'm' | 's' | 'k' | 'K' | 'w' => width <= 2,
        'D' | 'G' => width <= 3,
        'S' | 'A' => width <= 9,
        'a' | 'e' | 'F' | 'W' => width == 1,
        _ => false,
    }
}

/// Refuses a constant argument at `index` that is no pattern.
///
/// # Errors
/// If it is none.
pub(super) fn check(arguments: &[Option<&ScalarValue>], index: usize) -> Result<()> {
    match arguments.get(index) {
        Some(Some(value)) => value.try_as_str().flatten().map_or(Ok(()), |pattern| Pattern::new(pattern).map(|_| ())),
        _ => Ok(()),
    }
}

/// The pattern of a row, compiled when it changes: nearly always once a batch.
#[derive(Default)]
pub(super) struct Compiled(Option<(String, Pattern)>);

impl Compiled {
    /// # Errors
    /// If the text is no pattern.
    pub(super) fn of(&mut self, text: &str) -> Result<&Pattern> {
        let known = matches!(&self.0, Some((current, _)) if current == text);
        if !known {
            self.0 = Some((text.to_owned(), Pattern::new(text)?));
        }
        match &self.0 {
            Some((_, pattern)) => Ok(pattern),
            None => plan_error("there is no pattern"),
        }
    }
}

#[cfg(test)]
mod tests;
