//! Times by a pattern.

use super::super::calendar::{Day, weekday};
use super::super::times::{DAY, Moment};
use super::{MONTHS, Pattern, Piece, WEEKDAYS};

impl Pattern {
    /// Adds a time to `text`.
    pub(in super::super) fn write(&self, text: &mut String, Moment { days, nanos }: Moment) {
        let day = Day::from_days(days);
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Field(letter, width) => match (*letter, *width) {
                    ('S', digits) => push(text, nanos % 1_000_000_000 / fraction(digits), digits),
                    (letter, width) => match name(letter, width, day, days, nanos) {
                        Some(name) => text.push_str(name),
                        None => push(text, number(letter, width, day, days, nanos), width),
                    },
                },
            }
        }
    }

    /// Times of one day are written the same if so many nanoseconds go as often into both. It divides a day.
    pub(in super::super) fn step(&self) -> i64 {
        let step = |piece: &Piece| match piece {
            Piece::Field('a', _) => DAY / 2,
            Piece::Field('H' | 'k' | 'K' | 'h', _) => 3_600_000_000_000,
            Piece::Field('m', _) => 60_000_000_000,
            Piece::Field('s', _) => 1_000_000_000,
            Piece::Field('A', _) => 1_000_000,
            Piece::Field('S', digits) => fraction(*digits),
            // Of the day, or nothing of the time.
            Piece::Field(..) | Piece::Literal(_) => DAY,
        };
        // Each of them divides all that are larger.
        self.0.iter().map(step).min().unwrap_or(DAY)
    }
}

/// Nanoseconds of the last of so many digits of a second.
fn fraction(digits: usize) -> i64 {
    (digits..9).fold(1, |nanos, _| nanos * 10)
}

/// Adds a number, with zeros in front up to a width.
fn push(text: &mut String, number: i64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut first = digits.len();
    let mut rest = number.unsigned_abs();
    while rest > 0 {
        first -= 1;
        digits[first] = b"0123456789"[(rest % 10) as usize];
        rest /= 10;
    }
    let sign = usize::from(number < 0);
    if number < 0 {
        text.push('-');
    }
    first = first.min(digits.len() - usize::max(width - sign, 1));
    text.extend(digits[first..].iter().map(|digit| char::from(*digit)));
}

fn name(letter: char, width: usize, day: Day, days: i64, nanos: i64) -> Option<&'static str> {
    let named = |names: &[&'static str], index: i64| {
        let name = usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default();
        if width == 4 { name } else { &name[..3] }
    };
    let quarter = (day.month + 2) / 3;
    Some(match letter {
        'M' | 'L' if width > 2 => named(&MONTHS, day.month - 1),
        'E' => named(&WEEKDAYS, weekday_of(days)),
        'a' => {
            if nanos < DAY / 2 {
                "AM"
            } else {
                "PM"
            }
        }
        'G' => {
            if day.year > 0 {
                "AD"
            } else {
                "BC"
            }
        }
        'Q' | 'q' if width == 3 => ["Q1", "Q2", "Q3", "Q4"].get(usize::try_from(quarter - 1).ok()?)?,
        'Q' | 'q' if width == 4 => {
            ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"].get(usize::try_from(quarter - 1).ok()?)?
        }
        _ => return None,
    })
}

pub(super) fn number(letter: char, width: usize, day: Day, days: i64, nanos: i64) -> i64 {
    let seconds = nanos / 1_000_000_000;
    let hour = seconds / 3_600;
    // Years of an era are counted from 1.
    let year_of_era = if day.year > 0 { day.year } else { 1 - day.year };
    match letter {
        'y' if width == 2 => year_of_era.rem_euclid(100),
        'u' if width == 2 => day.year.rem_euclid(100),
        'y' => year_of_era,
        'u' => day.year,
        'Q' | 'q' => (day.month + 2) / 3,
        'M' | 'L' => day.month,
        'd' => day.day,
        'D' => day.day_of_year(),
        'w' => week_of_year(day, days),
        'W' => (day.day - 1 + from_sunday(days - day.day + 1)) / 7 + 1,
        'F' => (day.day - 1) % 7 + 1,
        'e' => from_sunday(days) + 1,
        'H' => hour,
        'k' => (hour + 23) % 24 + 1,
        'K' => hour % 12,
        'h' => (hour + 11) % 12 + 1,
        'm' => seconds / 60 % 60,
        'A' => nanos / 1_000_000,
        _ => seconds % 60,
    }
}

/// Which of the weekdays a day is, from 0.
pub(super) fn weekday_of(days: i64) -> i64 {
    i64::try_from(weekday(days)).unwrap_or_default()
}

/// Days since the last Sunday.
fn from_sunday(days: i64) -> i64 {
    (days + 4).rem_euclid(7)
}

/// Weeks begin on Sunday, and the first one has the 1st of January: Java's `w` in the United States.
fn week_of_year(day: Day, days: i64) -> i64 {
    let sunday = days - from_sunday(days);
    let next = Day { year: day.year + 1, month: 1, day: 1 }.days();
    if sunday + 6 >= next {
        return 1;
    }
    let first = Day { year: day.year, month: 1, day: 1 }.days();
    (sunday - (first - from_sunday(first))) / 7 + 1
}
