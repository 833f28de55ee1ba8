//! Paths into JSON documents: `$.key`, `['key']`, `[0]`, `[-1]`, `[0,2]`, `[1:3]`, `[*]`, `.*`, `..key`, and the mode in front of
//! them, `lax` or `strict`. A path without a mode is strict, as in Flink.

use std::rc::Rc;

use datafusion_common::{Result, ScalarValue};

use crate::definition::plan_error;
use crate::per_thread::Compiled;

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    /// From the end if it is negative.
    Index(i64),
    /// All members of an object, or all elements of an array.
    All,
    Indexes(Vec<i64>),
    /// Elements from the first bound to before the second.
    Range(Option<i64>, Option<i64>),
    /// The value itself and all that are in it, however deep.
    Descent,
}

/// A path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Whether it is an error that there is no value; otherwise there is nothing then.
    pub strict: bool,
    pub steps: Vec<Step>,
}

/// What a text comes to that should be a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Path(Path),
    /// No path: every document has an error there.
    Invalid,
    /// A path, and why it cannot be used.
    Unsupported(&'static str),
}

impl Path {
    /// Whether it leads to one value at most.
    pub(super) fn is_definite(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Key(_) | Step::Index(_)))
    }
}

thread_local! {
    static PATHS: Compiled<Parsed> = Compiled::new();
}

/// The path of that text.
pub(super) fn path(text: &str) -> Rc<Parsed> {
    PATHS.with(|paths| paths.of(text, parse))
}

/// Refuses a constant path that cannot be used.
pub(super) fn check_path(arguments: &[Option<&ScalarValue>]) -> Result<()> {
    match arguments.get(1).copied().flatten().and_then(|path| path.try_as_str().flatten()) {
        Some(text) => match &*path(text) {
            Parsed::Unsupported(why) => plan_error(format!("the JSON path `{text}` cannot be used: {why}")),
            _ => Ok(()),
        },
        None => Ok(()),
    }
}

fn parse(text: &str) -> Parsed {
    let text = text.trim();
    let (strict, path) = match text.split_once(char::is_whitespace) {
        Some((mode, rest)) if mode.eq_ignore_ascii_case("lax") => (false, rest.trim_start()),
        Some((mode, rest)) if mode.eq_ignore_ascii_case("strict") => (true, rest.trim_start()),
        _ => (true, text),
    };
    match path.strip_prefix('$') {
        Some(rest) => match steps(rest) {
            Ok(steps) => Parsed::Path(Path { strict, steps }),
            Err(parsed) => parsed,
        },
        None if path.is_empty() => Parsed::Invalid,
        None => Parsed::Unsupported("it begins with `$`, as in '$.key[0].other'"),
    }
}

fn steps(mut rest: &str) -> Result<Vec<Step>, Parsed> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            steps.push(Step::Descent);
            rest = match after.starts_with('[') {
                true => after,
                false => member(after, &mut steps)?,
            };
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = match after.starts_with('[') {
                true => after,
                false => member(after, &mut steps)?,
            };
        } else if let Some(inner) = rest.strip_prefix('[') {
            rest = bracket(inner, &mut steps)?;
        } else {
            return Err(Parsed::Invalid);
        }
    }
    Ok(steps)
}

/// Behind a point: a key or `*`. What comes behind it.
fn member<'a>(text: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Parsed> {
    if let Some(rest) = text.strip_prefix('*') {
        steps.push(Step::All);
        return Ok(rest);
    }
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let key = &text[..end];
    if key.contains('(') {
        return Err(Parsed::Unsupported("functions are not supported"));
    }
    if key.is_empty() || key.contains(' ') {
        return Err(Parsed::Invalid);
    }
    steps.push(Step::Key(key.to_owned()));
    Ok(&text[end..])
}

/// Behind `[`. What comes behind the `]`.
fn bracket<'a>(inner: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, Parsed> {
    let inner = inner.trim_start();
    if inner.starts_with(['?', '(']) {
        return Err(Parsed::Unsupported("filters are not supported"));
    }
    if let Some(quote) = inner.chars().next().filter(|quote| ['\'', '"'].contains(quote)) {
        let (key, rest) = quoted(&inner[1..], quote).ok_or(Parsed::Invalid)?;
        let rest = rest.trim_start();
        if rest.starts_with(',') {
            return Err(Parsed::Unsupported("several keys in brackets are not supported"));
        }
        steps.push(Step::Key(key));
        return rest.strip_prefix(']').ok_or(Parsed::Invalid);
    }
    let (inside, rest) = inner.split_once(']').ok_or(Parsed::Invalid)?;
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| Parsed::Invalid);
    let bound = |text: &str| if text.trim().is_empty() { Ok(None) } else { number(text).map(Some) };
    steps.push(match inside.trim() {
        "*" => Step::All,
        inside if inside.contains(',') => Step::Indexes(inside.split(',').map(number).collect::<Result<_, _>>()?),
        inside => match inside.split_once(':') {
            Some((from, to)) => Step::Range(bound(from)?, bound(to)?),
            None => Step::Index(number(inside)?),
        },
    });
    Ok(rest)
}

/// A key up to its quote, with the backslash as the escape, and what comes behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '\\' => key.push(characters.next()?.1),
            _ if character == quote => return Some((key, &text[index + 1..])),
            _ => key.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_of(text: &str) -> Vec<Step> {
        match parse(text) {
            Parsed::Path(path) => path.steps,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn paths_are_read_in_all_spellings() {
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(
            steps_of("$.a['b c'][\"d\"][-1].é-f"),
            [key("a"), key("b c"), key("d"), Step::Index(-1), key("é-f")]
        );
        assert_eq!(steps_of("lax $.a[*].*"), [key("a"), Step::All, Step::All]);
        assert_eq!(steps_of("STRICT  $..a[0, 2][1:][:-1]").len(), 5);
        assert!(matches!(parse("lax $"), Parsed::Path(Path { strict: false, .. })));
        assert!(matches!(parse("$"), Parsed::Path(Path { strict: true, .. })));
        for wrong in ["", "$.", "$.a.", "$.a b", "$.a[", "$.a[x]", "$x", "$['a", "$.a..", "lax"] {
            let parsed = parse(wrong);
            assert!(!matches!(parsed, Parsed::Path(_)), "{wrong}: {parsed:?}");
        }
        for unsupported in ["a.b", "$.a[?(@.x > 1)]", "$.a.length()", "$['a','b']"] {
            assert!(matches!(parse(unsupported), Parsed::Unsupported(_)), "{unsupported}");
        }
    }
}
