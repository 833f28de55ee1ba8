//! Numbers as people read them.

use std::time::Duration;

/// `950`, `12.3k`, `4.56M`.
pub fn short_count(value: f64) -> String {
    let (scaled, unit) = match value {
        v if v < 999.5 => return format!("{v:.0}"),
        v if v < 999_500.0 => (v / 1e3, "k"),
        v if v < 999_500_000.0 => (v / 1e6, "M"),
        v => (v / 1e9, "G"),
    };
    format!("{}{unit}", three_digits(scaled))
}

/// `12 B`, `1.50 KiB`, `230 MiB`, in powers of 1024, as sizes are read.
pub fn bytes(value: u64) -> String {
    if value < 1024 {
        return format!("{value} B");
    }
    let (mut scaled, mut unit) = (value as f64 / 1024.0, 0);
    while scaled >= 1023.5 && unit < 3 {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{} {}", three_digits(scaled), ["KiB", "MiB", "GiB", "TiB"][unit])
}

/// `12345678` as `12,345,678`.
pub fn full_count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `3 ms`, `1.2 s`, `45 s`, `2 min 5 s`, `3 h 4 min`.
pub fn duration(value: Duration) -> String {
    let millis = value.as_millis();
    let seconds = value.as_secs();
    match seconds {
        0 => format!("{millis} ms"),
        1..10 if !millis.is_multiple_of(1000) => format!("{:.1} s", millis as f64 / 1e3),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// `1 row`, `2 rows`.
pub fn counted(value: u64, one: &str, many: &str) -> String {
    format!("{} {}", full_count(value), if value == 1 { one } else { many })
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_say_enough() {
        assert_eq!(
            [0.0, 999.0, 1234.0, 999_700.0, 4.56e6, 2e9].map(short_count),
            ["0", "999", "1.23k", "1.00M", "4.56M", "2.00G"]
        );
        assert_eq!([12, 1023, 1536, 230 << 20].map(bytes), ["12 B", "1023 B", "1.50 KiB", "230 MiB"]);
        assert_eq!([(1 << 20) - 1, (1 << 30) - 1, 10 << 40].map(bytes), ["1.00 MiB", "1.00 GiB", "10.0 TiB"]);
        assert_eq!(weir_connectors::options::parse_bytes("10gb").map(bytes).as_deref(), Some("10.0 GiB"));
        assert_eq!([0, 999, 1000, 12_345_678].map(full_count), ["0", "999", "1,000", "12,345,678"]);
    }

    #[test]
    fn durations_have_at_most_two_units() {
        let shown =
            [3, 1200, 3000, 45_000, 125_000, 11_040_000, 180_000_000].map(|ms| duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["3 ms", "1.2 s", "3 s", "45 s", "2 min 5 s", "3 h 4 min", "2 d 2 h"]);
    }
}
