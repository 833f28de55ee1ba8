//! Units and parts of times.

use crate::calendar::{Civil, DAY, SECOND, days_of};

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// A part of a date or time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The year.
    Year,
    /// From 1 to 4.
    Quarter,
    /// From 1 to 12.
    Month,
    /// From 1 to 31.
    Day,
    /// From 1 to 366.
    DayOfYear,
    /// From 0 to 23.
    Hour,
    /// From 0 to 59.
    Minute,
    /// From 0 to 59.
    Second,
}

impl Unit {
    /// All of them, from the shortest.
    pub const ALL: [Unit; 6] = [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Month, Unit::Year];

    /// In SQL.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Second => "SECOND",
            Unit::Minute => "MINUTE",
            Unit::Hour => "HOUR",
            Unit::Day => "DAY",
            Unit::Month => "MONTH",
            Unit::Year => "YEAR",
        }
    }

    /// Its nanoseconds, if they are always the same.
    pub fn nanos(self) -> Option<i128> {
        match self {
            Unit::Second => Some(SECOND),
            Unit::Minute => Some(60 * SECOND),
            Unit::Hour => Some(3600 * SECOND),
            Unit::Day => Some(DAY),
            Unit::Month | Unit::Year => None,
        }
    }

    fn months(self) -> i64 {
        if self == Unit::Year { 12 } else { 1 }
    }

    /// So many of them later. A day that the month does not have becomes its last one.
    pub fn add(self, instant: i128, count: i64) -> i128 {
        if let Some(nanos) = self.nanos() {
            return instant + nanos * i128::from(count);
        }
        let civil = Civil::of(instant);
        let months = civil.year * 12 + civil.month - 1 + count * self.months();
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let next = if month == 12 { days_of(year + 1, 1, 1) } else { days_of(year, month + 1, 1) };
        let day = civil.day.min(next - days_of(year, month, 1));
        Civil { year, month, day, nanos: civil.nanos }.instant()
    }

    /// Whole units from one instant to another. Those from one instant back to an earlier one are as many as days say, whatever the
    /// hours; a day that the month does not have is its last one.
    pub fn difference(self, from: i128, to: i128) -> i64 {
        if let Some(nanos) = self.nanos() {
            return i64::try_from((to - from) / nanos).expect("timestamps stay within i64 milliseconds");
        }
        let (start, end) = (from.div_euclid(DAY) * DAY, to.div_euclid(DAY) * DAY);
        let (first, last) = if start <= end { (start, end) } else { (end, start) };
        let later = |months| Unit::Month.add(first, months);
        // No month has more than 31 days.
        let mut months = i64::try_from((last - first) / (31 * DAY)).expect("timestamps stay within i64 milliseconds");
        while later(months + 1) <= last {
            months += 1;
        }
        if start > end {
            months = -months;
        }
        if Unit::Month.add(start, months) == end && to - end < from - start {
            months -= 1;
        }
        months / self.months()
    }

    /// The beginning of the unit that holds the instant.
    pub fn floor(self, instant: i128) -> i128 {
        if let Some(nanos) = self.nanos() {
            return instant.div_euclid(nanos) * nanos;
        }
        let Civil { year, month, .. } = Civil::of(instant);
        Civil { year, month: if self == Unit::Year { 1 } else { month }, day: 1, nanos: 0 }.instant()
    }
}

impl Part {
    /// All of them; those of a date come first.
    pub const ALL: [Part; 8] =
        [Part::Year, Part::Quarter, Part::Month, Part::Day, Part::DayOfYear, Part::Hour, Part::Minute, Part::Second];
    /// How many of them a date has.
    pub const OF_DATE: usize = 5;

    /// In `EXTRACT`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Year => "YEAR",
            Part::Quarter => "QUARTER",
            Part::Month => "MONTH",
            Part::Day => "DAY",
            Part::DayOfYear => "DOY",
            Part::Hour => "HOUR",
            Part::Minute => "MINUTE",
            Part::Second => "SECOND",
        }
    }

    /// Of an instant.
    pub fn of(self, instant: i128) -> i64 {
        let civil = Civil::of(instant);
        match self {
            Part::Year => civil.year,
            Part::Quarter => (civil.month - 1) / 3 + 1,
            Part::Month => civil.month,
            Part::Day => civil.day,
            Part::DayOfYear => days_of(civil.year, civil.month, civil.day) - days_of(civil.year, 1, 1) + 1,
            Part::Hour => civil.hour(),
            Part::Minute => civil.minute(),
            Part::Second => civil.second(),
        }
    }
}
