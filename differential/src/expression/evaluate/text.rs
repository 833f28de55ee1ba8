//! Texts.

use super::{Result, Undefined};
use crate::expression::Operator;
use crate::value::Value;

/// What an operator makes of texts.
pub fn text(operator: &Operator, values: &[Value]) -> Result<Value> {
    let string = |index: usize| match values.get(index) {
        Some(Value::String(text)) => Ok(text.as_str()),
        _ => Err(Undefined("no text")),
    };
    let number = |index: usize| match values.get(index) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(Undefined("no number")),
    };
    let length = |characters: usize| Value::Integer(i64::try_from(characters).expect("texts are short"));
    Ok(match operator {
        Operator::Upper => Value::String(string(0)?.to_uppercase()),
        Operator::Lower => Value::String(string(0)?.to_lowercase()),
        Operator::Trim => Value::String(string(0)?.trim_matches(' ').to_owned()),
        Operator::Reverse => Value::String(string(0)?.chars().rev().collect()),
        Operator::Length => length(string(0)?.chars().count()),
        Operator::Concatenate => Value::String((0..values.len()).map(string).collect::<Result<Vec<_>>>()?.concat()),
        Operator::Replace => Value::String(string(0)?.replace(string(1)?, string(2)?)),
        Operator::Substring => {
            let (from, length) = (number(1)?, number(2)?);
            let wanted = |place: i64| place >= from && place < from + length;
            let characters = string(0)?.chars().zip(1..).filter(|(_, place)| wanted(*place));
            Value::String(characters.map(|(character, _)| character).collect())
        }
        Operator::StartsWith => Value::Boolean(string(0)?.starts_with(string(1)?)),
        Operator::Position => {
            let (text, part) = (string(0)?, string(1)?);
            text.find(part).map_or(Value::Integer(0), |at| length(text[..at].chars().count() + 1))
        }
        Operator::Like { negated, escape } => {
            let text: Vec<char> = string(0)?.chars().collect();
            Value::Boolean(like(&text, &pattern(string(1)?, *escape)?) != *negated)
        }
        other => panic!("{other:?} is not known for {values:?}"),
    })
}

/// A step of a pattern.
enum Step {
    Exactly(char),
    Any,
    Many,
}

/// Without `ESCAPE` nothing escapes.
fn pattern(text: &str, escape: Option<char>) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        steps.push(match character {
            _ if Some(character) == escape => match characters.next() {
                Some(next) if next == '%' || next == '_' || Some(next) == escape => Step::Exactly(next),
                _ => return Err(Undefined("a pattern that escapes nothing")),
            },
            '%' => Step::Many,
            '_' => Step::Any,
            other => Step::Exactly(other),
        });
    }
    Ok(steps)
}

fn like(text: &[char], steps: &[Step]) -> bool {
    match (steps, text) {
        ([], _) => text.is_empty(),
        ([Step::Many, rest @ ..], _) => (0..=text.len()).any(|from| like(&text[from..], rest)),
        ([Step::Any, rest @ ..], [_, behind @ ..]) => like(behind, rest),
        ([Step::Exactly(wanted), rest @ ..], [first, behind @ ..]) => first == wanted && like(behind, rest),
        (_, []) => false,
    }
}
