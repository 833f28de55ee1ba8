//! Dates and times as text: what sinks write, what a cast to text gives and what a query prints. Always with all digits of the
//! type, so that texts of one column sort as their times do.

use arrow_schema::TimeUnit;

const DAY: i64 = 86_400;

/// Ticks of `unit` in a second, and digits that they take behind the point.
pub fn resolution(unit: TimeUnit) -> (i64, u32) {
    match unit {
        TimeUnit::Second => (1, 0),
        TimeUnit::Millisecond => (1_000, 3),
        TimeUnit::Microsecond => (1_000_000, 6),
        TimeUnit::Nanosecond => (1_000_000_000, 9),
    }
}

/// `2013-01-31`, from days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms").
pub fn push_date(out: &mut Vec<u8>, days: i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day is the last of its year.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    // ISO 8601 wants a sign where a year has other than four digits.
    match year {
        0..=9999 => push_digits(out, year, 4),
        _ => {
            out.push(if year < 0 { b'-' } else { b'+' });
            let digits = year.unsigned_abs().to_string();
            out.extend(std::iter::repeat_n(b'0', 4usize.saturating_sub(digits.len())));
            out.extend_from_slice(digits.as_bytes());
        }
    }
    out.push(b'-');
    push_digits(out, month, 2);
    out.push(b'-');
    push_digits(out, day, 2);
}

/// `10:00:00.000`, with as many digits as the unit has, from ticks since midnight.
pub fn push_time(out: &mut Vec<u8>, ticks: i64, unit: TimeUnit) {
    let (per_second, digits) = resolution(unit);
    let second = ticks.div_euclid(per_second);
    push_digits(out, second / 3600, 2);
    out.push(b':');
    push_digits(out, second / 60 % 60, 2);
    out.push(b':');
    push_digits(out, second % 60, 2);
    if digits > 0 {
        out.push(b'.');
        push_digits(out, ticks.rem_euclid(per_second), digits);
    }
}

/// `10:00:00.5`, without zeros at the end, from nanoseconds since midnight: a `TIME` does not say how many digits it was declared
/// with.
pub fn push_short_time(out: &mut Vec<u8>, nanoseconds: i64) {
    push_time(out, nanoseconds, TimeUnit::Nanosecond);
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
}

/// Date and time with `separator` between them, from ticks since 1970.
pub fn push_timestamp(out: &mut Vec<u8>, ticks: i64, unit: TimeUnit, separator: u8) {
    let per_day = DAY * resolution(unit).0;
    push_date(out, ticks.div_euclid(per_day));
    out.push(separator);
    push_time(out, ticks.rem_euclid(per_day), unit);
}

fn push_digits(out: &mut Vec<u8>, value: i64, digits: u32) {
    let start = out.len();
    out.resize(start + digits as usize, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}
