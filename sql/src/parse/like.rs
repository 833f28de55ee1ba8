//! Patterns of `LIKE`. In SQL no character of a pattern is an escape unless `ESCAPE` says which; to the kernels the backslash
//! always is. A pattern that is written is translated here; any other by a function, row by row.

use datafusion_sql::sqlparser::ast::{Expr, Spanned, Value, ValueWithSpan};
use weir_core::Result;
use weir_functions::like_pattern;

use super::expression::call;
use crate::diagnostics::Source;

/// Gives `pattern` the form that the kernels know, and takes `escape` away.
pub(super) fn rewrite(source: &Source<'_>, pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) -> Result<()> {
    let wrong = |span, message: &str| source.error(source.span(span).unwrap_or_default(), message);
    let escape = match escape.take() {
        None => None,
        Some(ValueWithSpan { value: Value::SingleQuotedString(text), span }) => {
            let mut characters = text.chars();
            match (characters.next(), characters.next()) {
                (Some(character), None) => Some(character),
                _ => {
                    return Err(wrong(span, "ESCAPE names one character")
                        .with_help("write it in single quotes, as in `LIKE '5!%' ESCAPE '!'`"));
                }
            }
        }
        Some(other) => {
            return Err(wrong(other.span, "ESCAPE names one character")
                .with_help("write it in single quotes, as in `LIKE '5!%' ESCAPE '!'`"));
        }
    };
    if let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span }) = pattern {
        match like_pattern(text, escape) {
            Some(translated) => *text = translated,
            None => {
                return Err(wrong(*span, "this pattern has an escape before what needs none")
                    .with_help("the escape stands before `%`, `_` or itself"));
            }
        }
        return Ok(());
    }
    let span = pattern.span();
    let text = escape.map(String::from).unwrap_or_default();
    let escape = Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), span });
    let given = std::mem::replace(pattern, escape.clone());
    *pattern = call("like_pattern", vec![given, escape.clone()], &escape);
    Ok(())
}
