//! Times by a pattern.

use std::fmt::Write as _;

use super::super::calendar::{Day, weekday};
use super::super::times::Moment;
use super::{MONTHS, Pattern, Piece, WEEKDAYS};

impl Pattern {
    /// Adds a time to `text`.
    pub(in super::super) fn write(&self, text: &mut String, Moment { days, nanos }: Moment) {
        let day = Day::from_days(days);
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Field(letter, width) => match (*letter, *width) {
                    ('S', digits) => {
                        let all = format!("{:09}", nanos % 1_000_000_000);
                        text.push_str(&all[..digits]);
                    }
                    (letter, width) => match name(letter, width, day, days, nanos) {
                        Some(name) => text.push_str(name),
                        None => {
                            let number = number(letter, width, day, days, nanos);
                            // Writing to a String cannot fail.
                            let _ = write!(text, "{number:0width$}");
                        }
                    },
                },
            }
        }
    }
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
            if nanos < super::super::times::DAY / 2 {
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
