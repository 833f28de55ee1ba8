//! `x SIMILAR TO pattern` as `regexp_like(x, expression)`: a pattern has `%` and `_` as `LIKE`, and `|`, `*`, `+`, `?`, `{n}`, brackets
//! and parentheses as regular expressions.

use datafusion_sql::sqlparser::ast::{Expr, UnaryOperator, Value, ValueWithSpan};
use weir_core::Result;

use super::expression::{call, string_literal};
use crate::diagnostics::Source;

/// The call that does the same.
pub(super) fn rewritten(
    source: &Source<'_>,
    text: &Expr,
    pattern: &Expr,
    escape: Option<&ValueWithSpan>,
    negated: bool,
) -> Result<Expr> {
    let written = |expression: &Expr| match expression {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => Some(text.clone()),
        _ => None,
    };
    let escape = match escape {
        None => Some(None),
        Some(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) if text.chars().count() == 1 => {
            Some(text.chars().next())
        }
        Some(_) => None,
    };
    let (Some(pattern), Some(escape)) = (written(pattern), escape) else {
        use datafusion_sql::sqlparser::ast::Spanned;
        let span = source.span(pattern.span()).unwrap_or_default();
        return Err(source
            .error(span, "the pattern of SIMILAR TO is not written out")
            .with_help("use `regexp_like(text, pattern)` with a pattern that is computed"));
    };
    let like =
        call("regexp_like", vec![text.clone(), string_literal(regular_expression(&pattern, escape), text)], text);
    Ok(match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(like) },
        false => like,
    })
}

fn regular_expression(pattern: &str, escape: Option<char>) -> String {
    let mut expression = "^(?s:".to_owned();
    let mut characters = pattern.chars();
    let mut in_brackets = false;
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            if let Some(literal) = characters.next() {
                push_literal(&mut expression, literal);
            }
            continue;
        }
        match character {
            '[' => in_brackets = true,
            ']' => in_brackets = false,
            '%' if !in_brackets => {
                expression.push_str(".*");
                continue;
            }
            '_' if !in_brackets => {
                expression.push('.');
                continue;
            }
            '.' | '$' | '\\' | '^' if !in_brackets => expression.push('\\'),
            _ => {}
        }
        expression.push(character);
    }
    expression.push_str(")$");
    expression
}

fn push_literal(expression: &mut String, literal: char) {
    if literal.is_ascii_punctuation() {
        expression.push('\\');
    }
    expression.push(literal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_regular_expressions() {
        assert_eq!(regular_expression("(h|T)%", None), "^(?s:(h|T).*)$");
        assert_eq!(regular_expression("%[0-9_%]+a.b", None), r"^(?s:.*[0-9_%]+a\.b)$");
        assert_eq!(regular_expression("5!%_", Some('!')), r"^(?s:5\%.)$");
    }
}
