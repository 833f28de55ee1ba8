#![allow(clippy::unwrap_used)]

use super::super::times::moment;
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

/// `2024-02-29T05:20`, or with what stands behind the minute.
fn read(pattern: &str, text: &str, reading: Reading) -> Option<String> {
    let moment = Pattern::new(pattern).unwrap().read(text, reading)?;
    let mut read = String::new();
    Pattern::new("uuuu-MM-dd'T'HH:mm:ss.SSS").unwrap().write(&mut read, moment);
    let read = read.strip_suffix(".000").unwrap_or(&read);
    Some(read.strip_suffix(":00").unwrap_or(read).to_owned())
}

/// What `java.time` makes of these, with 1970-01-01T00:00 for what is not said.
#[test]
fn text_is_read_exactly() {
    for (pattern, text, expected) in [
        ("yyyy-MM-dd hh:mm", "2024-02-29 05:20", Some("2024-02-29T00:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 05:20 PM", Some("2024-02-29T17:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 00:20 PM", Some("2024-02-29T12:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 12:20 AM", Some("2024-02-29T00:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 13:20 PM", None),
        ("yyyy-MM-dd HH:mm a", "2024-02-29 05:20 PM", None),
        ("yyyy-MM-dd HH:mm a", "2024-02-29 17:20 PM", Some("2024-02-29T17:20")),
        ("yyyy-MM-dd HH:mm a", "2024-02-29 17:20 AM", None),
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 24:00:00", Some("2024-03-01T00:00")),
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 24:00:01", None),
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 25:00:00", None),
        ("HH:mm", "24:00", Some("1970-01-01T00:00")),
        ("yyyy-MM-dd kk:mm", "2024-02-29 24:00", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd kk:mm", "2024-02-29 00:00", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd HH", "2024-02-29 24", Some("2024-03-01T00:00")),
        ("EEE yyyy-MM-dd", "Thu 2024-02-29", Some("2024-02-29T00:00")),
        ("EEE yyyy-MM-dd", "Fri 2024-02-29", None),
        ("EEEE yyyy-MM-dd", "Thursday 2024-02-29", Some("2024-02-29T00:00")),
        ("EEE", "Thu", Some("1970-01-01T00:00")),
        ("Q yyyy-MM-dd", "1 2024-02-29", Some("2024-02-29T00:00")),
        ("Q yyyy-MM-dd", "2 2024-02-29", None),
        ("yyyy-DDD", "2024-060", Some("2024-02-29T00:00")),
        ("yyyy-DDD", "2024-366", Some("2024-12-31T00:00")),
        ("yyyy-DDD", "2023-366", None),
        ("yyyy-DDD MM-dd", "2024-060 03-01", None),
        ("yyyy-MM-dd", "2024-02-30", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd", "2024-02-31", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd", "2024-02-32", None),
        ("uuuu-MM-dd", "2023-02-29", Some("2023-02-28T00:00")),
        ("yyyy-MM-dd", "2024-04-31", Some("2024-04-30T00:00")),
        ("yyyy-MM-dd", "2024-13-01", None),
        ("dd", "29", Some("1970-01-29T00:00")),
        ("dd", "31", Some("1970-01-31T00:00")),
        ("yyyy", "2024", Some("2024-01-01T00:00")),
        ("yyyy-MM", "2024-02", Some("2024-02-01T00:00")),
        ("MM-dd", "12-31", Some("1970-12-31T00:00")),
        ("H", "0", Some("1970-01-01T00:00")),
        ("HH:mm", "05:61", None),
        ("HH:mm:ss", "05:20:60", None),
        ("yyyy-MM-dd", "0000-01-01", None),
        ("uuuu-MM-dd", "0000-01-01", Some("0000-01-01T00:00")),
        ("G yyyy-MM-dd", "AD 2024-01-01", Some("2024-01-01T00:00")),
        ("A", "1234", Some("1970-01-01T00:00:01.234")),
        ("A", "86399999", Some("1970-01-01T23:59:59.999")),
        ("A", "86400000", None),
        ("yyyy-MM-dd A", "2024-01-01 3600000", Some("2024-01-01T01:00")),
        ("yyyy-'W'ww", "2024-W05", Some("2024-01-01T00:00")),
        ("yyyy-MM-dd K", "2024-01-01 5", Some("2024-01-01T00:00")),
        ("yyyy-MM-dd K a", "2024-01-01 5 PM", Some("2024-01-01T17:00")),
        ("yyyy-MM-dd K a", "2024-01-01 12 PM", None),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2024-01-01 12:30:45.123", Some("2024-01-01T12:30:45.123")),
        ("yyyy-MM-dd a", "2024-01-01 PM", Some("2024-01-01T18:00")),
        ("yy-MM-dd", "24-01-01", Some("2024-01-01T00:00")),
        ("yy-MM-dd", "99-01-01", Some("2099-01-01T00:00")),
        ("yyyy-M-d", "2024-1-1", Some("2024-01-01T00:00")),
        ("yyyy-M-d", "2024-01-01", Some("2024-01-01T00:00")),
        ("yyyyMMdd", "20240101", Some("2024-01-01T00:00")),
        ("yyyy-MM-dd", "02024-01-01", None),
        ("yyyy-MM-dd", "12024-01-01", None),
        ("yyyy-MM-dd", "-2024-01-01", None),
        ("ss", "30", Some("1970-01-01T00:00:30")),
        ("mm", "30", Some("1970-01-01T00:30")),
        ("yyyy-MM-dd mm", "2024-01-01 30", Some("2024-01-01T00:30")),
        ("d MMM yyyy", "1 Jan 2024", Some("2024-01-01T00:00")),
        ("d MMM yyyy", "1 jan 2024", None),
        ("d MMMM yyyy", "1 January 2024", Some("2024-01-01T00:00")),
        ("e yyyy-MM-dd", "4 2024-02-29", None),
        ("e yyyy-MM-dd", "5 2024-02-29", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd F W", "2024-02-29 5 9", None),
        ("yyyy-MM-dd ww", "2024-02-29 09", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd ww", "2024-02-29 10", None),
        ("yyyy-MM-dd W", "2024-02-29 5", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd F", "2024-02-29 5", None),
        ("yyyy-MM-dd F", "2024-02-29 1", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd F", "2024-02-29 4", None),
    ] {
        let read = read(pattern, text, Reading::Exact);
        assert_eq!(read.as_deref(), expected, "{text} by {pattern}");
    }
}

/// What `SimpleDateFormat` makes of these.
#[test]
fn text_is_read_with_lenience() {
    for (pattern, text, expected) in [
        ("yyyy-MM-dd hh:mm", "2024-02-29 05:20", Some("2024-02-29T05:20")),
        ("yyyy-MM-dd hh:mm", "2024-02-29 12:20", Some("2024-02-29T00:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 05:20 PM", Some("2024-02-29T17:20")),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 05:20 pm", Some("2024-02-29T17:20")),
        ("yyyy-MM-dd HH a", "2024-02-29 05 PM", Some("2024-02-29T05:00")),
        ("yyyy-MM-dd a", "2024-02-29 PM", Some("2024-02-29T12:00")),
        ("yyyy-MM-dd", "24-02-29", Some("0024-02-29T00:00")),
        ("yy-MM-dd", "24-02-29", Some("2024-02-29T00:00")),
        ("yy-MM-dd", "2024-02-29", Some("2024-02-29T00:00")),
        ("yy-MM-dd", "99-02-28", Some("1999-02-28T00:00")),
        ("y-M-d", "2024-02-29", Some("2024-02-29T00:00")),
        ("yyyyMMdd", "20240229", Some("2024-02-29T00:00")),
        ("yyyy-DDD", "2024-366", Some("2024-12-31T00:00")),
        ("EEE yyyy-MM-dd", "Fri 2024-02-29", Some("2024-02-29T00:00")),
        ("EEE, d MMM yyyy", "Friday, 29 February 2024", Some("2024-02-29T00:00")),
        ("d MMM yyyy", "29 feb 2024", Some("2024-02-29T00:00")),
        ("d MMM yyyy", "29 February 2024", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd kk", "2024-02-29 24", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd kk", "2024-02-29 0", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd", "2024-02", None),
        ("yyyy-MM", "2024-02", Some("2024-02-01T00:00")),
        ("G yyyy-MM-dd", "AD 2024-01-01", Some("2024-01-01T00:00")),
        ("yyyy-MM-dd F", "2024-02-29 1", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd F", "2024-02-29 3", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd W", "2024-02-29 3", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd w", "2024-02-29 3", Some("2024-02-29T00:00")),
        ("w yyyy-MM-dd", "3 2024-02-29", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd", "2024-02-29x", Some("2024-02-29T00:00")),
        ("yyyy-MM-dd", "x2024-02-29", None),
        ("ss", "30", Some("1970-01-01T00:00:30")),
        ("yyyy-MM-dd", "2024-1-1", Some("2024-01-01T00:00")),
        ("yyyy-MM-dd", "+2024-02-29", None),
    ] {
        let read = read(pattern, text, Reading::Prefix);
        assert_eq!(read.as_deref(), expected, "{text} by {pattern}");
    }
}

/// Days and hours that there are not: Java counts on from the last one that there is.
#[test]
fn what_there_is_not_is_no_time() {
    for (pattern, text) in [
        ("yyyy-MM-dd", "2024-13-01"),
        ("yyyy-MM-dd", "2024-02-30"),
        ("yyyy-MM-dd", "2023-02-29"),
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 24:00:00"),
        ("yyyy-MM-dd HH:mm:ss", "2024-02-29 25:61:00"),
        ("yyyy-MM-dd hh:mm a", "2024-02-29 13:20 PM"),
        ("yyyyMMdd", "2024229"),
        ("yyyy-DDD", "2023-366"),
        ("yyyy-DDD", "2024-400"),
        ("yyyy-MM-dd KK a", "2024-02-29 12 PM"),
        ("yyyy-MM-dd", "2024-00-10"),
        ("yyyy-MM-dd", "2024-01-00"),
        ("ss", "90"),
    ] {
        assert_eq!(read(pattern, text, Reading::Prefix), None, "{text} by {pattern}");
    }
}
