//! Dates and times of the proleptic Gregorian calendar, computed without any library that Weir computes with.

/// Nanoseconds of a second.
pub const SECOND: i128 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: i128 = 1_000_000;
/// Nanoseconds of a day.
pub const DAY: i128 = 86_400 * SECOND;

/// A date and time, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// May be 0 or less: years before 1.
    pub year: i64,
    /// From 1.
    pub month: i64,
    /// From 1.
    pub day: i64,
    /// Nanoseconds since midnight.
    pub nanos: i128,
}

impl Civil {
    /// Of nanoseconds since 1970.
    pub fn of(instant: i128) -> Self {
        let days = i64::try_from(instant.div_euclid(DAY)).expect("timestamps stay within i64 milliseconds");
        let (year, month, day) = date_of(days);
        Self { year, month, day, nanos: instant.rem_euclid(DAY) }
    }

    /// Nanoseconds since 1970.
    pub fn instant(self) -> i128 {
        i128::from(days_of(self.year, self.month, self.day)) * DAY + self.nanos
    }

    /// From 0 to 23.
    pub fn hour(self) -> i64 {
        self.part(3600, 24)
    }

    /// From 0 to 59.
    pub fn minute(self) -> i64 {
        self.part(60, 60)
    }

    /// From 0 to 59.
    pub fn second(self) -> i64 {
        self.part(1, 60)
    }

    fn part(self, seconds: i128, of: i128) -> i64 {
        i64::try_from(self.nanos / (seconds * SECOND) % of).expect("less than 60")
    }
}

/// Days since 1970 of a date (Hinnant, "chrono-compatible low-level date algorithms").
pub fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of days since 1970.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// `2023-11-09`.
pub fn date_text(days: i64) -> String {
    let (year, month, day) = date_of(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `10:00:00`, with so many digits behind the second.
pub fn time_text(nanos: i128, digits: u8) -> String {
    let seconds = nanos / SECOND;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if digits > 0 {
        let fraction = format!("{:09}", nanos % SECOND);
        text.push('.');
        text.push_str(&fraction[..usize::from(digits)]);
    }
    text
}

/// `2023-11-09 10:00:00.000`, with so many digits behind the second.
pub fn timestamp_text(instant: i128, digits: u8) -> String {
    let days = i64::try_from(instant.div_euclid(DAY)).expect("timestamps stay within i64 milliseconds");
    format!("{} {}", date_text(days), time_text(instant.rem_euclid(DAY), digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse() {
        assert_eq!(days_of(1970, 1, 1), 0);
        assert_eq!(days_of(2000, 3, 1), 11_017);
        assert_eq!(date_of(-1), (1969, 12, 31));
        for days in (-1_000_000..3_000_000).step_by(997) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
        assert_eq!(timestamp_text(-1, 9), "1969-12-31 23:59:59.999999999");
        assert_eq!(timestamp_text(0, 0), "1970-01-01 00:00:00");
    }
}
