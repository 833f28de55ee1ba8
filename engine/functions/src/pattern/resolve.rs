//! Which time the fields of a pattern say together.

use super::super::calendar::{Day, days_of_month};
use super::super::times::{DAY, Moment};
use super::write;

/// What has been read, each at most once.
#[derive(Debug, Default)]
pub(super) struct Fields {
    read: Vec<(char, i64)>,
}

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

impl Fields {
    /// A field has this value. `None` if it had another one before.
    pub(super) fn say(&mut self, letter: char, value: i64) -> Option<()> {
        let letter = match letter {
            'L' => 'M',
            'q' => 'Q',
            letter => letter,
        };
        match self.get(letter) {
            Some(known) => (known == value).then_some(()),
            None => {
                self.read.push((letter, value));
                Some(())
            }
        }
    }

    fn get(&self, letter: char) -> Option<i64> {
        self.read.iter().find(|(known, _)| *known == letter).map(|(_, value)| *value)
    }

    /// The value, or `usual` where there is none; `None` if it is none of those that the field can have.
    fn within(&self, letter: char, least: i64, most: i64, usual: i64) -> Option<i64> {
        Some(self.get(letter).unwrap_or(usual)).filter(|value| (least..=most).contains(value))
    }

    fn has(&self, letters: &str) -> bool {
        letters.chars().any(|letter| self.get(letter).is_some())
    }

    /// As `java.time` resolves by default, with 1970-01-01 00:00:00 for what is not said.
    pub(super) fn exact(&self) -> Option<Moment> {
        let (next_day, nanos) = self.time_of_day()?;
        let days = self.days()?;
        // A date that is not said as a whole does not move on.
        let dated = self.has("yu") && (self.has("D") || self.has("M") && self.has("d"));
        let days = if next_day && dated { days + 1 } else { days };
        let year = Day::from_days(days).year;
        let moment = (0..=9_999).contains(&year).then_some(Moment { days, nanos })?;
        (!dated || self.agrees_with(days)).then_some(moment)
    }

    /// As `SimpleDateFormat` resolves: half a day is the first one, whole hours count more than halves, and what follows from the date
    /// is not compared.
    pub(super) fn lenient(&self) -> Option<Moment> {
        let clock = self.get('h').map(|hour| if hour == 12 { 0 } else { hour });
        let half = clock.or(self.get('K'));
        let whole = self.get('H').or(self.get('k').map(|hour| hour % 24));
        let afternoon = if self.get('a') == Some(1) { 12 } else { 0 };
        let hour = whole.unwrap_or(half.unwrap_or(0) + afternoon);
        let (minute, second) = (self.within('m', 0, 59, 0)?, self.within('s', 0, 59, 0)?);
        let exists = half.is_none_or(|hour| (0..12).contains(&hour)) && (0..24).contains(&hour);
        let nanos = ((hour * 60 + minute) * 60 + second) * SECOND + self.get('S').unwrap_or(0);
        let days = self.days()?;
        let day = Day::from_days(days);
        let same = self.get('d').is_none_or(|said| said == day.day);
        (exists && same && (0..=9_999).contains(&day.year)).then_some(Moment { days, nanos })
    }

    /// Days since 1970-01-01.
    fn days(&self) -> Option<i64> {
        let year = match (self.get('u'), self.get('y')) {
            (Some(year), _) => year,
            (None, Some(year)) if year < 1 => return None,
            (None, Some(year)) if self.get('G') == Some(0) => 1 - year,
            (None, Some(year)) => year,
            (None, None) => 1970,
        };
        let (month, day) = (self.within('M', 1, 12, 1)?, self.within('d', 1, 31, 1)?);
        let of_year = self.within('D', 1, 366, 1)?;
        if self.get('D').is_some() && !(self.has("Md")) {
            let days = Day { year, month: 1, day: 1 }.days() + of_year - 1;
            return (Day::from_days(days).year == year).then_some(days);
        }
        // The last day of a month may be written as the 31st, where all of a date is said.
        let last = days_of_month(year, month);
        let clamps = self.has("yu") && self.get('M').is_some();
        (day <= last || clamps).then(|| Day { year, month, day: day.min(last) }.days())
    }

    /// Whether it is the next day by then (24:00), and nanoseconds since midnight.
    fn time_of_day(&self) -> Option<(bool, i64)> {
        let (minute, second) = (self.within('m', 0, 59, 0)?, self.within('s', 0, 59, 0)?);
        let behind = self.within('S', 0, SECOND - 1, 0)?;
        let half = match (self.within('h', 0, 12, 0)?, self.within('K', 0, 11, 0)?) {
            (hour, _) if self.get('h').is_some() => Some(hour % 12),
            (_, hour) => self.get('K').map(|_| hour),
        };
        let half_day = self.get('a');
        let mut hour = self.within('H', 0, 24, 0)?;
        if self.get('k').is_some() {
            let clock = self.within('k', 0, 24, 0)? % 24;
            if self.get('H').is_some_and(|hour| hour != clock) {
                return None;
            }
            hour = clock;
        }
        let is_whole = self.has("Hk");
        let next_day = hour == 24;
        if next_day && (minute, second, behind) != (0, 0, 0) {
            return None;
        }
        if is_whole {
            let contradicts = |said: Option<i64>, is: i64| said.is_some_and(|said| said != is);
            if contradicts(half, hour % 12) || contradicts(half_day, hour % 24 / 12) {
                return None;
            }
        } else {
            hour = match (half, half_day) {
                (Some(half), Some(afternoon)) => afternoon * 12 + half,
                // Which half of the day is not said.
                (Some(_), None) => 0,
                (None, Some(afternoon)) if !self.has("msS") => afternoon * 12 + 6,
                (None, _) => 0,
            };
        }
        let nanos = (((hour % 24) * 60 + minute) * 60 + second) * SECOND + behind;
        let Some(millis) = self.get('A') else { return Some((next_day, nanos)) };
        let of_millis = millis * 1_000_000;
        let same = !self.has("HkhKmsS") || nanos / 1_000_000 == millis;
        (of_millis < DAY && same).then_some((next_day, if self.has("S") { nanos } else { of_millis }))
    }

    /// Whether what follows from a date is what was said of it.
    fn agrees_with(&self, days: i64) -> bool {
        self.read.iter().all(|(letter, said)| match letter {
            'D' | 'Q' | 'w' | 'W' | 'F' | 'e' => write::number(*letter, 1, Day::from_days(days), days, 0) == *said,
            'E' => write::weekday_of(days) == *said,
            _ => true,
        })
    }
}
