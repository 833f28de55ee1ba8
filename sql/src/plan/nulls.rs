//! Comparisons with NULL, which are never true: legal, and hardly ever meant.

use datafusion_sql::sqlparser::ast::{BinaryOperator, Expr, Spanned as _, Value};

use crate::diagnostics::Source;
use crate::statement::{CreateTable, Script, Statement};
use crate::walk::{Step, look_at_expressions};

/// A sentence for each comparison with NULL in the queries of a script.
pub(super) fn comparisons_with_null(script: &Script) -> Vec<String> {
    let source = Source::new(&script.text);
    let mut warnings = Vec::new();
    for statement in &script.statements {
        let query = match &statement.value {
            Statement::Query(query) | Statement::Insert { query, .. } | Statement::CreateView { query, .. } => query,
            Statement::CreateTable(CreateTable { query: Some(query), .. }) => &query.value,
            _ => continue,
        };
        let _ = look_at_expressions(&**query, |expression| {
            warnings.extend(remark(&source, expression));
            Step::Continue(())
        });
    }
    warnings
}

fn remark(source: &Source<'_>, expression: &Expr) -> Option<String> {
    let Expr::BinaryOp { left, op, right } = expression else { return None };
    let instead = match op {
        BinaryOperator::Eq => "IS NULL",
        BinaryOperator::NotEq => "IS NOT NULL",
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => {
            "IS NULL or IS NOT NULL"
        }
        _ => return None,
    };
    let other = match (is_null(left), is_null(right)) {
        (_, true) => left,
        (true, false) => right,
        (false, false) => return None,
    };
    let (line, column) = source.line_and_column(source.span(expression.span())?.start);
    Some(format!(
        "line {line}, column {column}: `{expression}` is never true, since NULL is equal to nothing; write `{other} {instead}`"
    ))
}

fn is_null(expression: &Expr) -> bool {
    matches!(expression, Expr::Value(value) if value.value == Value::Null)
}
