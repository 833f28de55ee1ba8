//! Dates and times in text: `2013-01-31`, `10:00[:00[.123]]`, and both with a blank or `T` between them, for
//! timestamps with a zone behind (`Z`, `+01:00`, `+0100`, `+01`). Digits behind the type's precision are cut off.

use arrow::datatypes::TimeUnit;

const DAY_SECONDS: i64 = 86_400;

/// Days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let (days, rest) = take_date(text.as_bytes())?;
    if rest.is_empty() { i32::try_from(days).ok() } else { None }
}

/// Time since midnight in units of `unit`.
pub(super) fn of_day(text: &str, unit: TimeUnit) -> Option<i64> {
    let (seconds, nanos, rest) = take_time(text.as_bytes())?;
    if rest.is_empty() { in_unit(seconds, nanos, unit) } else { None }
}

/// Time since 1970-01-01T00:00:00 in units of `unit`. A type without zone takes `Z` but no other zone, because the
/// result would be neither what is written nor a point in time; a type with zone takes a text without one as UTC.
#[inline]
pub(super) fn timestamp(text: &str, unit: TimeUnit, zoned: bool) -> Option<i64> {
    let (days, rest) = take_date(text.as_bytes())?;
    let midnight = days * DAY_SECONDS;
    let [b' ' | b'T' | b't', rest @ ..] = rest else {
        return if rest.is_empty() { in_unit(midnight, 0, unit) } else { None };
    };
    let (seconds, nanos, rest) = take_time(rest)?;
    let offset = match rest {
        [] | [b'Z' | b'z'] => 0,
        zone if zoned => take_zone(zone)?,
        _ => return None,
    };
    in_unit(midnight + seconds - offset, nanos, unit)
}

/// Units in a second.
pub(super) fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

fn in_unit(seconds: i64, nanos: i64, unit: TimeUnit) -> Option<i64> {
    let each = per_second(unit);
    seconds.checked_mul(each)?.checked_add(nanos / (1_000_000_000 / each))
}

#[inline]
fn two(high: u8, low: u8) -> Option<i64> {
    (high.is_ascii_digit() && low.is_ascii_digit()).then(|| i64::from(high - b'0') * 10 + i64::from(low - b'0'))
}

#[inline]
fn take_date(text: &[u8]) -> Option<(i64, &[u8])> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, rest @ ..] = text else { return None };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    (1..=longest).contains(&day).then(|| (days_from_civil(year, month, day), rest))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[inline]
fn take_time(text: &[u8]) -> Option<(i64, i64, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hours, minutes) = (two(*h1, *h2)?, two(*m1, *m2)?);
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, rest),
        rest => (0, rest),
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let (nanos, rest) = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            let nanos = (0..9).fold(0, |nanos, place| {
                nanos * 10 + if place < digits { i64::from(fraction[place] - b'0') } else { 0 }
            });
            (nanos, &fraction[digits..])
        }
        rest => (0, rest),
    };
    Some((hours * 3600 + minutes * 60 + seconds, nanos, rest))
}

fn take_zone(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [sign, h1, h2] => (sign, two(*h1, *h2)?, 0),
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => (sign, two(*h1, *h2)?, two(*m1, *m2)?),
        _ => return None,
    };
    let seconds = hours * 3600 + minutes * 60;
    match sign {
        _ if hours > 18 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};

    /// Expected values from `date -u -d … +%s`.
    #[test]
    fn timestamps_in_their_spellings() {
        let millis = |text| timestamp(text, Millisecond, false);
        assert_eq!(millis("2013-01-01T10:00:00Z"), Some(1_357_034_400_000));
        assert_eq!(millis("2013-01-01 10:00:00"), Some(1_357_034_400_000));
        assert_eq!(millis("2013-01-01 10:00"), Some(1_357_034_400_000));
        assert_eq!(millis("2013-01-01"), Some(1_356_998_400_000));
        assert_eq!(millis("2013-01-01 10:00:00.1239"), Some(1_357_034_400_123));
        assert_eq!(millis("1969-12-31 23:59:59.5"), Some(-500));
        assert_eq!(millis("2000-02-29 00:00:00"), Some(951_782_400_000));
        assert_eq!(timestamp("2013-01-01 10:00:00.123456789", Nanosecond, false), Some(1_357_034_400_123_456_789));
        assert_eq!(timestamp("2013-01-01 10:00:00.123456789", Microsecond, false), Some(1_357_034_400_123_456));
        assert_eq!(timestamp("2013-01-01 12:00:00+02:00", Second, true), Some(1_357_034_400));
        assert_eq!(timestamp("2013-01-01 05:30:00-0430", Second, true), Some(1_357_034_400));
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        for text in [
            "",
            "2013-1-1",
            "2013-02-29",
            "1900-02-29",
            "2013-13-01",
            "2013-00-01",
            "2013-01-01 24:00:00",
            "2013-01-01 10:60",
            "2013-01-01 10:00:00.",
            "2013-01-01 10:00:00 ",
            "2013-01-01 10:00:00+02:00",
            "2013-01-01x10:00:00",
            "２013-01-01",
        ] {
            assert_eq!(timestamp(text, Millisecond, false), None, "{text}");
        }
        assert_eq!(timestamp("9999-01-01", Nanosecond, false), None, "beyond 64 bits");
        assert_eq!(timestamp("2013-01-01 10:00:00+99:00", Second, true), None);
    }

    #[test]
    fn every_day_has_its_number() {
        let mut expected = date("1600-01-01").unwrap();
        assert_eq!(expected, -135_140);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = date(&format!("{year:04}-{month:02}-{day:02}")) {
                        assert_eq!(days, expected);
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(date("2400-01-01"), Some(expected));
    }

    #[test]
    fn times_of_day() {
        assert_eq!(of_day("10:00:01.5", Nanosecond), Some(36_001_500_000_000));
        assert_eq!(of_day("25:00", Nanosecond), None);
    }
}
