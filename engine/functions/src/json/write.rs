//! JSON as Flink writes it: keys in order, of a key that is there twice the last value, no white space, numbers as Java's `BigDecimal`
//! has them.

use super::document::{DEEPEST, members};

/// Writes a value that is known to be JSON; nothing if it is nested too deep.
pub(super) fn push_value(out: &mut String, value: &str, depth: usize) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    match value.as_bytes().first()? {
        b'{' => {
            let mut sorted: Vec<(String, &str)> = Vec::new();
            for (key, member) in members(value, '{') {
                sorted.push((serde_json::from_str(key).ok()?, member));
            }
            // Java orders texts by their UTF-16.
            sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            out.push('{');
            for (index, (key, member)) in sorted.iter().enumerate() {
                if sorted.get(index + 1).is_some_and(|(next, _)| next == key) {
                    continue;
                }
                if !out.ends_with('{') {
                    out.push(',');
                }
                push_text(out, key);
                out.push(':');
                push_value(out, member, depth + 1)?;
            }
            out.push('}');
        }
        b'[' => {
            out.push('[');
            for (index, (_, element)) in members(value, '[').enumerate() {
                if index > 0 {
                    out.push(',');
                }
                push_value(out, element, depth + 1)?;
            }
            out.push(']');
        }
        b'"' => push_text(out, &serde_json::from_str::<String>(value).ok()?),
        b't' | b'f' | b'n' => out.push_str(value),
        _ => push_number(out, value),
    }
    Some(())
}

/// Writes a text in quotes.
pub(super) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04X}", u32::from(character))),
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Writes a number as it is written in JSON.
pub(super) fn push_number(out: &mut String, number: &str) {
    let (negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    if !digits.contains(['.', 'e', 'E']) {
        out.push_str(if digits == "0" { "0" } else { number });
        return;
    }
    let (digits, exponent) = digits.split_once(['e', 'E']).unwrap_or((digits, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let Ok(exponent) = exponent.trim_start_matches('+').parse::<i32>() else {
        // No exponent that long has a value in Java either.
        out.push_str(number);
        return;
    };
    let unscaled = format!("{whole}{fraction}");
    let unscaled = unscaled.trim_start_matches('0');
    let unscaled = if unscaled.is_empty() { "0" } else { unscaled };
    push_decimal(out, negative && unscaled != "0", unscaled, fraction.len() as i64 - i64::from(exponent));
}

/// Writes `unscaled` × 10^-`scale` as `BigDecimal.toString` does.
fn push_decimal(out: &mut String, negative: bool, unscaled: &str, scale: i64) {
    if negative {
        out.push('-');
    }
    let digits = unscaled.len() as i64;
    let adjusted = digits - 1 - scale;
    if scale == 0 {
        out.push_str(unscaled);
    } else if scale > 0 && adjusted >= -6 {
        let (whole, fraction) = match usize::try_from(digits - scale) {
            Ok(whole) if whole > 0 => unscaled.split_at(whole),
            _ => ("0", unscaled),
        };
        out.push_str(whole);
        out.push('.');
        (digits..scale).for_each(|_| out.push('0'));
        out.push_str(fraction);
    } else {
        let (first, others) = unscaled.split_at(1);
        out.push_str(first);
        if !others.is_empty() {
            out.push('.');
            out.push_str(others);
        }
        out.push_str(&format!("E{adjusted:+}"));
    }
}

/// Writes a floating-point number, given as `{:e}` and `{:.1e}` write it.
pub(super) fn push_float(out: &mut String, shortest: &str, two_digits: &str) {
    // Java has two digits at least.
    let written = if shortest.trim_start_matches('-').as_bytes().get(1) == Some(&b'e') { two_digits } else { shortest };
    let (digits, exponent) = written.split_once('e').unwrap_or((written, "0"));
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
    let (Ok(exponent), Some((whole, fraction))) = (exponent.parse::<i64>(), digits.split_once('.')) else {
        // NaN and the infinities are no numbers in JSON.
        push_text(
            out,
            match shortest {
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                other => other,
            },
        );
        return;
    };
    // `100.0` and not `1.0E+2`.
    let zeros = if (0..7).contains(&exponent) { (exponent + 1 - fraction.len() as i64).max(0) } else { 0 };
    let zeros = "0".repeat(usize::try_from(zeros).unwrap_or_default());
    let unscaled = format!("{whole}{fraction}{zeros}");
    let scale = unscaled.len() as i64 - 1 - exponent;
    let unscaled = unscaled.trim_start_matches('0');
    match (-3..7).contains(&exponent) && unscaled.len() > 1 && fraction == "0" && exponent < 0 {
        // `0.1` and not `0.10`.
        true => push_decimal(out, negative, &unscaled[..unscaled.len() - 1], scale - 1),
        false if unscaled.is_empty() => out.push_str("0.0"),
        false => push_decimal(out, negative, unscaled, scale),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn float(number: f64) -> String {
        let mut out = String::new();
        push_float(&mut out, &format!("{number:e}"), &format!("{number:.1e}"));
        out
    }

    #[test]
    fn numbers_as_java_writes_them() {
        for (number, expected) in [
            ("1e5", "1E+5"),
            ("1.50", "1.50"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("1e-7", "1E-7"),
            ("0.0000001", "1E-7"),
            ("0.000001", "0.000001"),
            ("12.5e1", "125"),
            ("12.5E-1", "1.25"),
            ("100000000000000000000000.5", "100000000000000000000000.5"),
            ("1.23e+5", "1.23E+5"),
            ("12e2147483646", "1.2E+2147483647"),
            ("12e9223372036854775807", "12e9223372036854775807"),
            ("1.5e-9223372036854775808", "1.5e-9223372036854775808"),
            ("1e-99999999999999999999", "1e-99999999999999999999"),
        ] {
            let mut out = String::new();
            push_number(&mut out, number);
            assert_eq!(out, expected, "{number}");
        }
        for (number, expected) in [
            (2.25, "2.25"),
            (0.0, "0.0"),
            (0.1, "0.1"),
            (-0.5, "-0.5"),
            (100.0, "100.0"),
            (1_234_567.891, "1234567.891"),
            (1e7, "1.0E+7"),
            (1e-7, "1.0E-7"),
            (1e-4, "0.00010"),
            (0.001, "0.001"),
            (-1e21, "-1.0E+21"),
            (f64::MAX, "1.7976931348623157E+308"),
            (5e-324, "4.9E-324"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            assert_eq!(float(number), expected);
        }
    }

    #[test]
    fn documents_are_written_in_order() {
        let mut out = String::new();
        push_value(&mut out, r#"{"b": [1, {}, "\u00e9\/"], "a": 1.50, "a": {"z":null,"y":1e5}}"#, 0).unwrap();
        assert_eq!(out, r#"{"a":{"y":1E+5,"z":null},"b":[1,{},"é/"]}"#);
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(push_value(&mut out, &nested(128), 0), Some(()));
        assert_eq!(push_value(&mut out, &nested(130), 0), None);
    }
}
