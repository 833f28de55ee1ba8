//! Text as times, as Flink's casts read it: `2024-1-31`, `10:11:12.5`, `2024-01-31 10:11:12.5`. Between date and time stands a
//! blank, and there is no zone.

use super::calendar::{Day, days_of_month};
use super::times::Moment;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Days since 1970-01-01 of a date. Month and day may be left out, and what stands behind a blank counts for nothing.
pub(crate) fn date(text: &str) -> Option<i64> {
    let text = text.split_once(' ').map_or(text, |(date, _)| if date.is_empty() { text } else { date });
    let mut parts = text.splitn(3, '-').map(str::trim);
    let year = number(parts.next()?, 9)?;
    let month = parts.next().map_or(Some(1), |month| number(month, 2))?;
    let day = parts.next().map_or(Some(1), |day| number(day, 2))?;
    day_of(year, month, day)
}

/// Nanoseconds since midnight of a time of day: hours and minutes, and seconds unless left out.
pub(crate) fn time(text: &str) -> Option<i64> {
    let mut parts = text.trim().splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, nanos) = parts.next().map_or(Some((0, 0)), seconds)?;
    time_of(hour, minute, second, nanos)
}

/// A date, and a time of day behind a blank unless left out.
pub(crate) fn timestamp(text: &str) -> Option<Moment> {
    let (date, time) = text.split_once(' ').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() >= 4).and_then(|year| number(year, 9))?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    // The last day of a month may be written as the 31st.
    let day = if (1..=31).contains(&day) { day.min(days_of_month(year, month)) } else { day };
    let days = day_of(year, month, day)?;
    let Some(time) = time else { return Some(Moment { days, nanos: 0 }) };
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, nanos) = seconds(parts.next()?)?;
    Some(Moment { days, nanos: time_of(hour, minute, second, nanos)? })
}

/// Seconds, and nanoseconds behind the point.
fn seconds(text: &str) -> Option<(i64, i64)> {
    let Some((second, behind)) = text.split_once('.') else { return Some((number(text, 2)?, 0)) };
    if behind.is_empty() || behind.len() > 9 {
        return None;
    }
    let missing = 9 - u32::try_from(behind.len()).ok()?;
    Some((number(second, 2)?, number(behind, 9)? * 10_i64.pow(missing)))
}

/// A whole number of at most so many digits.
fn number(text: &str, most: usize) -> Option<i64> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Days since 1970-01-01, if there is such a day in the years from 0 to 9999.
pub(super) fn day_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let exists = (0..=9_999).contains(&year) && (1..=12).contains(&month) && day >= 1;
    (exists && day <= days_of_month(year, month)).then(|| Day { year, month, day }.days())
}

/// Nanoseconds since midnight, if there is such a time.
pub(super) fn time_of(hour: i64, minute: i64, second: i64, nanos: i64) -> Option<i64> {
    let exists = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    exists.then(|| ((hour * 60 + minute) * 60 + second) * SECOND + nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(year: i64, month: i64, day: i64) -> Option<i64> {
        Some(Day { year, month, day }.days())
    }

    #[test]
    fn dates() {
        assert_eq!(date("2024-02-29"), days(2024, 2, 29));
        assert_eq!(date("2024-2-9"), days(2024, 2, 9));
        assert_eq!(date("2024-02"), days(2024, 2, 1));
        assert_eq!(date("2020-12-28 10:00:00"), days(2020, 12, 28));
        for text in ["", "garbage", "2023-02-29", "20000101", "2024-02-29T13:07:09", "2024/01/31", "-5-01-01"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps() {
        let moment = |days: Option<i64>, nanos| days.map(|days| Moment { days, nanos });
        assert_eq!(timestamp("2024-1-31 1:02:03.5"), moment(days(2024, 1, 31), 3_723_500_000_000));
        assert_eq!(timestamp("2021-01-03"), moment(days(2021, 1, 3), 0));
        assert_eq!(timestamp("2023-02-29 00:00:00"), moment(days(2023, 2, 28), 0));
        for text in ["", "1900-02-28 18:45", "2024-02-29T13:07:09", "2024-01-31 25:00:00", "1706695872", "20000101"] {
            assert_eq!(timestamp(text), None, "{text}");
        }
        assert_eq!(time("12:34"), Some(45_240 * SECOND));
        assert_eq!(time("12:34:56.789"), Some(45_296_789_000_000));
        assert_eq!(time("20000101"), None);
        assert_eq!(time("25:00:00"), None);
    }
}
