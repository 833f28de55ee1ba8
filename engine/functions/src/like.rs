//! Patterns of `LIKE` as the kernels know them, with the backslash as the escape.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;

use super::definition::{Definition, Parameter, Text, unchecked};

/// Stands around every pattern that is not written in the query. Without an escape the second argument is empty.
pub(super) const LIKE_PATTERN: Definition = Definition {
    name: "like_pattern",
    usage: "LIKE_PATTERN(pattern, escape)",
    parameters: &[Parameter::Text, Parameter::Text],
    required: 2,
    returns: |_, _| DataType::Utf8View,
    check: unchecked,
    compute: like_patterns,
};

/// `pattern` with the backslash as its escape; `None` if `escape` stands before what needs none.
pub fn like_pattern(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let escaped = characters.next().filter(|next| matches!(next, '%' | '_') || Some(*next) == escape)?;
            if matches!(escaped, '%' | '_' | '\\') {
                translated.push('\\');
            }
            translated.push(escaped);
            continue;
        }
        if character == '\\' {
            translated.push('\\');
        }
        translated.push(character);
    }
    Some(translated)
}

fn like_patterns(arguments: &[ColumnarValue], rows: usize) -> Result<ArrayRef> {
    let (patterns, escapes) = (Text::of(&arguments[0])?, Text::of(&arguments[1])?);
    let mut builder = StringViewBuilder::with_capacity(rows);
    for row in 0..rows {
        let (Some(pattern), Some(escape)) = (patterns.at(row), escapes.at(row)) else {
            builder.append_null();
            continue;
        };
        match like_pattern(pattern, escape.chars().next()) {
            Some(translated) => builder.append_value(translated),
            None => {
                return Err(DataFusionError::Execution(format!(
                    "the pattern '{pattern}' has the escape '{escape}' before what needs none"
                )));
            }
        }
    }
    Ok(Arc::new(builder.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backslash_is_a_character_like_any_other_unless_escape_names_it() {
        for (pattern, escape, expected) in [
            (r"C:\logs\%", None, Some(r"C:\\logs\\%")),
            (r"100\%", Some('\\'), Some(r"100\%")),
            ("5!%!!%", Some('!'), Some(r"5\%!%")),
            (r"a\_!_", Some('!'), Some(r"a\\_\_")),
            // `%` escapes itself: an odd one is left over.
            ("5%%%", Some('%'), None),
            ("a!b", Some('!'), None),
            ("a!", Some('!'), None),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(like_pattern(pattern, escape), expected, "{pattern} {escape:?}");
        }
    }
}
