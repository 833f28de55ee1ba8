//! What PostgreSQL keeps of JSON, which is less than all of it.

/// Arrays and objects in each other; PostgreSQL has a bound of bytes of its stack.
const DEEPEST: usize = 1000;
/// Bytes of a text that PostgreSQL makes `jsonb` of whatever stands in it: for more of the smallest items it has no memory.
const LONGEST: usize = 32 << 20;
/// Digits of a `numeric` before and behind the point.
const DIGITS: (i64, i64) = (131_072, 16_383);

/// Whether a text, which is JSON, can be kept as `json`, or even as `jsonb`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(text: &str, is_binary: bool) -> Result<(), String> {
    if is_binary && text.len() > LONGEST {
        return Err("JSON of more than 32 MiB, which jsonb may have no room for".to_owned());
    }
    let bytes = text.as_bytes();
    let (mut place, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(place) {
        let rest = &text[place..];
        place += match byte {
            b'"' => string(rest, is_binary)?,
            b'-' | b'0'..=b'9' => number(rest, is_binary)?,
            b'[' | b'{' => {
                depth += 1;
                1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => 1,
        };
        if depth > DEEPEST {
            return Err(format!("JSON with more than {DEEPEST} arrays and objects in each other"));
        }
    }
    Ok(())
}

/// Checks a string, whose length it returns, with its quotes.
fn string(text: &str, is_binary: bool) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let unit = |place: usize| text.get(place..place + 4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    let mut place = 1;
    // Half of a character beyond 16 bits, whose other half has to follow.
    let mut is_half = false;
    while let Some(byte) = bytes.get(place) {
        let (length, escaped) = match (byte, bytes.get(place + 1)) {
            (b'"', _) => break,
            (b'\\', Some(b'u')) => (6, unit(place + 2)),
            (b'\\', _) => (2, None),
            _ => (1, None),
        };
        let is_second = matches!(escaped, Some(0xDC00..=0xDFFF));
        if is_binary && is_half != is_second {
            return Err("JSON with half of a character, as in '\\ud800', which jsonb does not have".to_owned());
        }
        if is_binary && escaped == Some(0) {
            return Err("JSON with '\\u0000', a character that jsonb does not have".to_owned());
        }
        is_half = matches!(escaped, Some(0xD800..=0xDBFF));
        place += length;
    }
    if is_binary && is_half {
        return Err("JSON with half of a character, as in '\\ud800', which jsonb does not have".to_owned());
    }
    Ok(place + 1)
}

/// Checks a number, whose length it returns.
fn number(text: &str, is_binary: bool) -> Result<usize, String> {
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
    let length = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let number = text[..length].trim_start_matches('-');
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: Option<i64> = exponent.parse().ok();
    let fits = exponent.filter(|exponent| exponent.abs() < 1 << 32).is_some_and(|exponent| {
        before.len() as i64 + exponent <= DIGITS.0 && behind.len() as i64 - exponent <= DIGITS.1
    });
    match is_binary && !fits {
        true => Err("JSON with a number that has more digits than jsonb keeps".to_owned()),
        false => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jsonb_does_not_have_is_found_wherever_it_stands() {
        for fits in [
            r#"{"a": [1, -2.5e-3, 1e1000, true, null, "b\\u0000", "\ud83d\ude00 \\"], "\u0001": "é\""}"#,
            r#""\\ud800""#,
            "12",
            "{}",
        ] {
            assert_eq!(check(fits, true), Ok(()), "{fits}");
        }
        for (unfit, says) in [
            (r#"{"\u0000": 1}"#, "u0000"),
            (r#"["a", "b\\\u0000"]"#, "u0000"),
            (r#""\ud800""#, "half of a character"),
            (r#""\ud800 ""#, "half of a character"),
            (r#""\ud800\ud800""#, "half of a character"),
            (r#""\udc00""#, "half of a character"),
            ("1e999999", "digits"),
            ("[-1E+131072]", "digits"),
            ("1e-16384", "digits"),
            ("1e99999999999999999999", "digits"),
        ] {
            assert!(check(unfit, true).is_err_and(|said| said.contains(says)), "{unfit}");
            assert_eq!(check(unfit, false), Ok(()), "{unfit}");
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check(&deep(1000), false).is_ok() && check(&deep(1001), false).is_err());
        assert!(check(&"[]".repeat(2000), false).is_ok());
    }
}
