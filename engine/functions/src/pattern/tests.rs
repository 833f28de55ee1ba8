#![allow(clippy::unwrap_used)]

use super::super::calendar::Day;
use super::super::times::{Moment, moment};
use super::*;

fn written(millis: i64, pattern: &str) -> String {
    let mut text = String::new();
    Pattern::new(pattern).unwrap().write(&mut text, moment(millis, 86_400_000));
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
        ("w e Q QQQ QQQQ q G A", "9 5 1 Q1 1st quarter 1 AD 61509042"),
        ("E F W L LLL", "Thu 7 5 2 Feb"),
    ] {
        assert_eq!(written(time, pattern), expected, "{pattern}");
    }
    assert_eq!(written(-1, "yyyy-MM-dd HH:mm:ss.SSS"), "1969-12-31 23:59:59.999");
    assert_eq!(written(0, "hh a kk"), "12 AM 24");
    // The week of a new year's day is the first one of that year.
    assert_eq!(written(1_609_113_600_000, "yyyy-MM-dd w"), "2020-12-28 1");
    assert_eq!(written(1_609_632_000_000, "yyyy-MM-dd w"), "2021-01-03 2");
    assert_eq!(written(-62_167_219_200_001, "yyyy u G"), "0002 -1 BC");
}

#[test]
fn an_unknown_letter_is_refused() {
    assert!(Pattern::new("YYYY-MM-dd").unwrap_err().to_string().contains("unknown field `YYYY`"));
    assert!(Pattern::new("'open").unwrap_err().to_string().contains("open quote"));
}

#[test]
fn text_is_read_by_a_pattern() {
    let at = |year, month, day, seconds: i64| {
        Some(Moment { days: Day { year, month, day }.days(), nanos: seconds * 1_000_000_000 })
    };
    let read = |pattern: &str, text: &str, reading| Pattern::new(pattern).unwrap().read(text, reading);
    for (pattern, text, expected) in [
        ("dd/MM/yyyy", "31/01/2024", at(2024, 1, 31, 0)),
        ("yyyyMMdd", "20240131", at(2024, 1, 31, 0)),
        ("dd.MM.yyyy HH-mm", "31.01.2024 10-11", at(2024, 1, 31, 36_660)),
        ("d MMM yyyy h:mm a", "5 Feb 2024 1:30 PM", at(2024, 2, 5, 48_600)),
        ("yyyy-DDD", "2024-060", at(2024, 2, 29, 0)),
        ("yyyy-MM-dd", "2023-02-29", None),
        ("yyyy-MM-dd", "2024-1-3", None),
        ("yyyy-MM-dd", "2024-01-03 10:00:00", None),
        ("HH:mm", "25:00", None),
    ] {
        assert_eq!(read(pattern, text, Reading::Exact), expected, "{text} by {pattern}");
    }
    assert_eq!(read("yyyy-MM-dd", "2024-1-3 10:00", Reading::Prefix), at(2024, 1, 3, 0));
    let millis = read("ss.SSS", "07.250", Reading::Exact).unwrap();
    assert_eq!(millis.nanos, 7_250_000_000);
}
