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
        _ => ["true", "false", "null"]
            .iter()
            .find(|word| bytes[at.min(bytes.len())..].starts_with(word.as_bytes()))
            .map(|word| at + word.len())
            .ok_or(Fault { at, what: "a value is expected" }),
    }
}

#[inline]
fn skip_string(bytes: &[u8], at: usize) -> Result<usize, Fault> {
    let mut end = at + 1;
    loop {
        match bytes.get(end) {
            Some(b'"') => return Ok(end + 1),
            Some(b'\\') => end += 2,
            Some(_) => end += 1,
            None => return Err(Fault { at, what: "this string is not closed" }),
        }
    }
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
    if !raw.as_bytes().contains(&b'\\') {
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
