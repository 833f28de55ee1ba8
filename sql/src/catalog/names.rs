//! Which name is meant.

use crate::diagnostics::Source;
use crate::statement::Span;

/// What a name was found to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a, T: ?Sized> {
    /// This.
    One(&'a T),
    /// Nothing.
    None,
    /// It differs from each of these in its capitals only.
    Several(Vec<&'a str>),
}

/// The candidate that `name` means: the same, or, if it stands without quotes, the only one that differs from it in its
/// capitals alone.
pub fn find<'a>(candidates: impl IntoIterator<Item = &'a str>, name: &str, quoted: bool) -> Found<'a, str> {
    let mut similar = Vec::new();
    for candidate in candidates {
        if candidate == name {
            return Found::One(candidate);
        }
        if !quoted && candidate.to_lowercase() == name.to_lowercase() {
            similar.push(candidate);
        }
    }
    match similar.as_slice() {
        [] => Found::None,
        [only] => Found::One(only),
        _ => Found::Several(similar),
    }
}

/// Whether the name at `span` stands in backticks or double quotes.
pub(crate) fn is_quoted(source: &Source<'_>, span: Span) -> bool {
    source.slice(span).starts_with(['`', '"'])
}
