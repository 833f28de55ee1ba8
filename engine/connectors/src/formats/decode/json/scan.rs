//! The syntax of JSON (RFC 8259): where values begin and end.
//!
//! Two liberties: control characters may stand in strings, and escapes are checked only in strings that are read.

/// What is wrong with a text that should be JSON.
#[derive(Debug)]
pub(in super::super) struct Fault {
    /// Position in the text.
    pub(in super::super) at: usize,
    /// What is wrong there.
    pub(in super::super) what: &'static str,
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.what.to_owned()
    }
}

/// Deeper nesting is refused, because each level costs stack.
const DEEPEST: usize = 128;

#[inline]
pub(in super::super) fn skip_blank(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Walks the object at `at`, calling `member` with each key as written between its quotes, and where its value begins
/// and ends. Returns where the object ends.
pub(in super::super) fn members<E: From<Fault>>(
    text: &str,
    at: usize,
    depth: usize,
    mut member: impl FnMut(&str, usize, usize) -> Result<(), E>,
) -> Result<usize, E> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'{') {
        return Err(Fault { at, what: "an object '{…}' is expected" }.into());
    }
    let mut at = skip_blank(bytes, at + 1);
    if bytes.get(at) == Some(&b'}') {
        return Ok(at + 1);
    }
    loop {
        if bytes.get(at) != Some(&b'"') {
            return Err(Fault { at, what: "a key in double quotes is expected" }.into());
        }
        let key_end = skip_string(bytes, at)?;
        let key = &text[at + 1..key_end - 1];
        at = skip_blank(bytes, key_end);
        if bytes.get(at) != Some(&b':') {
            return Err(Fault { at, what: "':' is expected" }.into());
        }
        let begin = skip_blank(bytes, at + 1);
        let end = skip_value(text, begin, depth + 1)?;
        member(key, begin, end)?;
        at = skip_blank(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_blank(bytes, at + 1),
            Some(b'}') => return Ok(at + 1),
            _ => return Err(Fault { at, what: "',' or '}' is expected" }.into()),
        }
    }
}

/// Walks the array at `at`, calling `element` with where each element begins and ends. Returns where the array ends.
pub(in super::super) fn elements<E: From<Fault>>(
    text: &str,
    at: usize,
    depth: usize,
    mut element: impl FnMut(usize, usize) -> Result<(), E>,
) -> Result<usize, E> {
    let bytes = text.as_bytes();
    if bytes.get(at) != Some(&b'[') {
        return Err(Fault { at, what: "an array '[…]' is expected" }.into());
    }
    let mut at = skip_blank(bytes, at + 1);
    if bytes.get(at) == Some(&b']') {
        return Ok(at + 1);
    }
    loop {
        let end = skip_value(text, at, depth + 1)?;
        element(at, end)?;
        at = skip_blank(bytes, end);
        match bytes.get(at) {
            Some(b',') => at = skip_blank(bytes, at + 1),
            Some(b']') => return Ok(at + 1),
            _ => return Err(Fault { at, what: "',' or ']' is expected" }.into()),
        }
    }
}

fn skip_value(text: &str, at: usize, depth: usize) -> Result<usize, Fault> {
    if depth > DEEPEST {
        return Err(Fault { at, what: "it is nested too deeply" });
    }
    let bytes = text.as_bytes();
    match bytes.get(at) {
        Some(b'"') => skip_string(bytes, at),
        Some(b'-' | b'0'..=b'9') => skip_number(bytes, at),
        Some(b'{') => members(text, at, depth, |_, _, _| Ok(())),
        Some(b'[') => elements(text, at, depth, |_, _| Ok(())),
        _ => skip_word(bytes, at).ok_or(Fault { at, what: "a value is expected" }),
    }
}

/// Where the value at `at` ends, of a record without escapes. `None` if it has parts, or is none.
#[inline]
pub(super) fn skip_plain(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' => Some(at + 2 + memchr::memchr(b'"', &bytes[at + 1..])?),
        b'-' | b'0'..=b'9' => skip_number(bytes, at).ok(),
        b'{' | b'[' => None,
        _ => skip_word(bytes, at),
    }
}

/// Where the word at `at` ends; `None` if JSON has no such word.
fn skip_word(bytes: &[u8], at: usize) -> Option<usize> {
    let words = ["true", "false", "null"];
    let word = words.iter().find(|word| bytes[at.min(bytes.len())..].starts_with(word.as_bytes()))?;
    Some(at + word.len())
}

#[inline]
fn skip_string(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let mut end = at + 1;
    loop {
        while let Some(word) = bytes.get(end..).and_then(<[u8]>::first_chunk) {
            let found = first_of(u64::from_le_bytes(*word));
            end += found;
            if found < 8 {
                break;
            }
        }
        match bytes.get(end) {
            Some(b'"') => return Ok(end + 1),
            Some(b'\\') => end += 2,
            Some(_) => end += 1,
            None => return Err(Fault { at, what: "this string is not closed" }),
        }
    }
}

/// Which byte of a word, the lowest first, is the first quote or backslash; 8 if none is.
#[inline]
fn first_of(word: u64) -> usize {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    // The highest bit of each byte that is zero; above one of these, that of a byte that is one may be set too.
    let zeros = |word: u64| word.wrapping_sub(EACH) & !word & (EACH << 7);
    let of = |byte: u8| zeros(word ^ u64::from_ne_bytes([byte; 8]));
    (of(b'"') | of(b'\\')).trailing_zeros() as usize / 8
}

#[inline]
fn skip_digits(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let mut end = at;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    if end > at { Ok(end) } else { Err(Fault { at, what: "a digit is expected" }) }
}

#[inline]
fn skip_number(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let begin = at + usize::from(bytes[at] == b'-');
    let mut end = skip_digits(bytes, begin)?;
    if bytes[begin] == b'0' && end > begin + 1 {
        return Err(Fault { at, what: "a number does not begin with a zero" });
    }
    if bytes.get(end) == Some(&b'.') {
        end = skip_digits(bytes, end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = skip_digits(bytes, end + 1 + usize::from(signed))?;
    }
    Ok(end)
}

/// What a string stands for, given as written between its quotes. `scratch` is used only if there are escapes.
#[inline]
pub(in super::super) fn unescape<'a>(raw: &'a str, scratch: &'a mut String) -> Result<&'a str, &'static str> {
    if memchr::memchr(b'\\', raw.as_bytes()).is_none() {
        return Ok(raw);
    }
    replace_escapes(raw, scratch)?;
    Ok(scratch)
}

fn replace_escapes(raw: &str, result: &mut String) -> Result<(), &'static str> {
    result.clear();
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        result.push_str(&rest[..at]);
        let escape = *rest.as_bytes().get(at + 1).ok_or("an escape is cut off")?;
        let mut length = 2;
        result.push(match escape {
            b'"' | b'\\' | b'/' => char::from(escape),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = unit(&rest[at..])?;
                length = 6;
                match high {
                    0xd800..=0xdbff => {
                        let low = rest.get(at + 6..).ok_or(SURROGATE).and_then(unit)?;
                        length = 12;
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return Err(SURROGATE);
                        }
                        char::from_u32(0x1_0000 + ((high - 0xd800) << 10 | (low - 0xdc00))).ok_or(SURROGATE)?
                    }
                    unit => char::from_u32(unit).ok_or(SURROGATE)?,
                }
            }
            _ => return Err("an escape is unknown"),
        });
        rest = &rest[at + length..];
    }
    result.push_str(rest);
    Ok(())
}

const SURROGATE: &str = "half of a surrogate pair is missing";

fn unit(escape: &str) -> Result<u32, &'static str> {
    escape
        .strip_prefix("\\u")
        .and_then(|text| text.get(..4))
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or("an escape \\u needs four hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the string ends whose quote is the first byte, byte by byte.
    fn end_of(bytes: &[u8]) -> Option<usize> {
        let mut at = 1;
        while *bytes.get(at)? != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        Some(at + 1)
    }

    #[test]
    fn a_string_ends_at_its_quote_wherever_words_end() {
        // Bytes beside those that are looked for, and with their highest bit set.
        for other in *b"x#]![\xa2\xdc\x00\xff" {
            for length in 0..30 {
                for at in 0..length {
                    for marks in [&b"\""[..], b"\\\"", b"\\\\\"", b"\\x", b"\\u0022\""] {
                        let mut text = vec![other; length];
                        text[0] = b'"';
                        text.splice(at.max(1).min(length).., marks.iter().copied().chain([other; 11]));
                        assert_eq!(skip_string(&text, 0).ok(), end_of(&text), "{text:?}");
                    }
                }
            }
        }
    }
}
