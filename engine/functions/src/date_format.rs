//! `DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')`, with the letters of Java's `DateTimeFormatter`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue};
use datafusion_expr::ColumnarValue;

use super::calendar::{self, Day};
use super::definition::{Definition, Parameter, Text, plan_error};
use super::times::{Moment, Times};

pub(super) const DATE_FORMAT: Definition = Definition {
    name: "date_format",
    usage: "DATE_FORMAT(timestamp, 'yyyy-MM-dd HH:mm:ss')",
    parameters: &[Parameter::Time, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: check_format,
    compute: date_format,
};

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

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Literal(String),
    /// A letter and how often it is repeated.
    Field(char, usize),
}

fn parse(pattern: &str) -> Result<Vec<Piece>> {
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
            let known = match character {
                'y' | 'u' => width != 3 && width <= 4,
                'M' | 'E' => width <= 4,
                'd' | 'H' | 'h' | 'm' | 's' | 'k' | 'K' => width <= 2,
                'D' => width <= 3,
                'S' => width <= 9,
                'a' => width == 1,
                _ => false,
            };
            if !known {
                let field = character.to_string().repeat(width);
                return plan_error(format!(
                    "the pattern `{pattern}` has an unknown field `{field}`; fields are y, M, d, D, E, a, H, h, m, s and \
                     S, and text stands in single quotes"
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
    Ok(pieces)
}

fn check_format(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1) {
        Some(Some(value)) => value.try_as_str().flatten().map_or(Ok(()), |pattern| parse(pattern).map(|_| ())),
        _ => Ok(()),
    }
}

fn date_format(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (times, patterns) = (Times::of(&arguments[0])?, Text::of(&arguments[1])?);
    let mut builder = StringViewBuilder::with_capacity(rows);
    let mut compiled: Option<(&str, Vec<Piece>)> = None;
    let mut text = String::new();
    for row in 0..rows {
        let (Some(moment), Some(pattern)) = (times.moment(row), patterns.at(row)) else {
            builder.append_null();
            continue;
        };
        let (_, pieces) = match &mut compiled {
            Some(current) if current.0 == pattern => current,
            slot => slot.insert((pattern, parse(pattern)?)),
        };
        text.clear();
        write(&mut text, pieces, moment);
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

fn write(text: &mut String, pieces: &[Piece], Moment { days, nanos }: Moment) {
    let day = Day::from_days(days);
    let seconds = nanos / 1_000_000_000;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let name = |names: &[&'static str], index: usize, width: usize| {
        let name = names.get(index).copied().unwrap_or_default();
        if width == 4 { name } else { &name[..3] }
    };
    for piece in pieces {
        let (letter, width) = match piece {
            Piece::Literal(literal) => {
                text.push_str(literal);
                continue;
            }
            Piece::Field(letter, width) => (*letter, *width),
        };
        let number = match letter {
            'y' | 'u' if width == 2 => day.year.rem_euclid(100),
            'y' | 'u' => day.year,
            'M' if width > 2 => {
                text.push_str(name(&MONTHS, usize::try_from(day.month - 1).unwrap_or_default(), width));
                continue;
            }
            'E' => {
                text.push_str(name(&WEEKDAYS, calendar::weekday(days), width));
                continue;
            }
            'a' => {
                text.push_str(if hour < 12 { "AM" } else { "PM" });
                continue;
            }
            'S' => {
                let digits = format!("{:09}", nanos % 1_000_000_000);
                text.push_str(&digits[..width]);
                continue;
            }
            'M' => day.month,
            'd' => day.day,
            'D' => day.day_of_year(),
            'H' => hour,
            'k' => (hour + 23) % 24 + 1,
            'K' => hour % 12,
            'h' => (hour + 11) % 12 + 1,
            'm' => minute,
            _ => second,
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "{number:0width$}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::times::moment;
    use super::*;

    fn format(millis: i64, pattern: &str) -> String {
        let mut text = String::new();
        super::write(&mut text, &parse(pattern).unwrap(), moment(millis, 86_400_000));
        text
    }

    #[test]
    fn javas_letters() {
        // 2013-02-28T17:05:09.042Z, a Thursday
        let time = 1_362_071_109_042;
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2013-02-28 17:05:09.042"),
            ("yy/M/d H:m:s", "13/2/28 17:5:9"),
            ("hh:mm a", "05:05 PM"),
            ("EEE, dd MMM yyyy", "Thu, 28 Feb 2013"),
            ("EEEE 'the' d 'of' MMMM", "Thursday the 28 of February"),
            ("yyyy''DDD", "2013'059"),
            ("yyyyMMdd'T'HHmmss'Z'", "20130228T170509Z"),
            ("SSSSSS", "042000"),
            ("kk KK", "17 05"),
        ] {
            assert_eq!(format(time, pattern), expected, "{pattern}");
        }
        assert_eq!(format(-1, "yyyy-MM-dd HH:mm:ss.SSS"), "1969-12-31 23:59:59.999");
        assert_eq!(format(0, "hh a kk"), "12 AM 24");
    }

    #[test]
    fn an_unknown_letter_is_refused() {
        assert!(parse("YYYY-MM-dd").unwrap_err().to_string().contains("unknown field `YYYY`"));
        assert!(parse("'open").unwrap_err().to_string().contains("open quote"));
    }
}
