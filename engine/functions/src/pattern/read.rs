//! Text by a pattern.

use super::super::read_time::{day_of, time_of};
use super::super::times::Moment;
use super::{MONTHS, Pattern, Piece, WEEKDAYS};

/// How closely text has to follow a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Reading {
    /// As `java.time` reads: numbers with the digits of the pattern, and nothing behind.
    Exact,
    /// As `SimpleDateFormat` reads: numbers with as many digits as there are, and whatever behind.
    Prefix,
}

/// What has been read; 1970-01-01 00:00:00 where the pattern has no field.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    /// Of a pattern with `h` or `K`.
    half_hour: Option<i64>,
    afternoon: bool,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Pattern {
    /// The time that `text` says; `None` if it does not follow the pattern, or there is no such time.
    pub(in super::super) fn read(&self, text: &str, reading: Reading) -> Option<Moment> {
        let mut fields = Fields {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half_hour: None,
            afternoon: false,
            minute: 0,
            second: 0,
            nanos: 0,
        };
        let mut rest = text;
        for (index, piece) in self.0.iter().enumerate() {
            rest = match piece {
                Piece::Literal(literal) => rest.strip_prefix(literal.as_str())?,
                Piece::Field(letter, width) => {
                    let adjacent =
                        matches!(self.0.get(index + 1), Some(Piece::Field(next, width)) if is_number(*next, *width));
                    fields.take(*letter, *width, adjacent, reading, rest)?
                }
            };
        }
        if reading == Reading::Exact && !rest.is_empty() {
            return None;
        }
        fields.moment()
    }
}

fn is_number(letter: char, width: usize) -> bool {
    !matches!((letter, width), ('M' | 'L', 3..) | ('E' | 'a' | 'G', _) | ('Q' | 'q', 3..))
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

/// Which of `names` the text starts with, and what is behind it.
fn one_of<'a>(names: &[&str], whole: bool, text: &'a str) -> Option<(i64, &'a str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if whole { name } else { &name[..3] };
        Some((i64::try_from(index).ok()?, text.strip_prefix(name)?))
    })
}

impl Fields {
    /// Reads a field off the start of `text`, and returns what is behind it.
    fn take<'a>(
        &mut self,
        letter: char,
        width: usize,
        adjacent: bool,
        reading: Reading,
        text: &'a str,
    ) -> Option<&'a str> {
        let (least, most) = match (reading, letter) {
            _ if adjacent => (width, width),
            (Reading::Exact, 'y' | 'u') if width == 4 => (4, 9),
            (Reading::Exact, _) if width > 1 => (width, width),
            _ => (1, 9),
        };
        let number = || digits(text, least, most);
        let (value, rest) = match letter {
            'M' | 'L' if width > 2 => one_of(&MONTHS, width == 4, text).map(|(index, rest)| (index + 1, rest))?,
            'E' => one_of(&WEEKDAYS, width == 4, text)?,
            'a' => one_of(&["AM ", "PM "].map(str::trim_end), true, text)?,
            'G' => one_of(&["AD"], true, text)?,
            'S' => {
                let (_, rest) = digits(text, if reading == Reading::Exact { width } else { 1 }, width)?;
                let written = &text[..text.len() - rest.len()];
                let missing = 9 - u32::try_from(written.len()).ok()?;
                (written.parse::<i64>().ok()? * 10_i64.pow(missing), rest)
            }
            _ => number()?,
        };
        match letter {
            'y' | 'u' if width == 2 => self.year = 2_000 + value,
            'y' | 'u' => self.year = value,
            'M' | 'L' => self.month = value,
            'd' => self.day = value,
            'D' => self.day_of_year = Some(value),
            'H' => self.hour = value,
            'k' => self.hour = value % 24,
            'h' | 'K' => self.half_hour = Some(value % 12),
            'a' => self.afternoon = value == 1,
            'm' => self.minute = value,
            's' => self.second = value,
            'S' => self.nanos = value,
            // The others follow from these.
            _ => {}
        }
        Some(rest)
    }

    fn moment(self) -> Option<Moment> {
        let days = match self.day_of_year {
            Some(day) if (1..=366).contains(&day) => day_of(self.year, 1, 1)? + day - 1,
            Some(_) => return None,
            None => day_of(self.year, self.month, self.day)?,
        };
        let hour = self.half_hour.map_or(self.hour, |hour| hour + if self.afternoon { 12 } else { 0 });
        Some(Moment { days, nanos: time_of(hour, self.minute, self.second, self.nanos)? })
    }
}
