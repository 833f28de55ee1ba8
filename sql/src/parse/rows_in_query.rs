//! `(a, b) IN (SELECT x, y …)`, which the planner knows of single columns alone. It becomes a question for rows that are the same:
//!
//! | as written | as planned, with the query's columns called c0 and c1 here |
//! |---|---|
//! | `(a, b) IN (S)` in `WHERE` | `EXISTS (SELECT 1 FROM (S) WHERE c0 = a AND c1 = b)` |
//! | `(a, b) NOT IN (S)` in `WHERE` | `NOT EXISTS (SELECT 1 FROM (S) WHERE (c0 = a AND c1 = b) IS NOT FALSE)` |
//!
//! The second passes over rows of which nulls hide whether they are the same, as SQL wants it. Elsewhere it is refused.

use datafusion_sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SetExpr, Spanned as _, TableAlias, TableAliasColumnDef, TableFactor,
};
use datafusion_sql::sqlparser::parser::Parser;
use weir_core::{Error, Result};

use super::dialect::WeirDialect;
use crate::diagnostics::Source;
use crate::walk::{Step, look_at_expressions};

/// What the rows are called, and their columns with a number behind it. Nobody else's names begin like this: one would hide a column of the
/// query around.
const ROWS: &str = "$rows";

/// Writes them out in the `WHERE` of a `SELECT`.
///
/// # Errors
/// A user error where they stand elsewhere.
pub(super) fn write_out(source: &Source<'_>, select: &mut Select) -> Result<()> {
    if let Some(condition) = &mut select.selection {
        conditions(source, condition)?;
    }
    let mut found = None;
    let _ = look_at_expressions(select, |expression| match expression {
        Expr::InSubquery { expr, .. } if matches!(**expr, Expr::Tuple(_)) => {
            found = Some(expr.span());
            Step::Break(())
        }
        _ => Step::Continue(()),
    });
    let Some(span) = found else { return Ok(()) };
    Err(source
        .error(
            source.span(span).unwrap_or_default(),
            "IN of several columns and a query stands alone in WHERE, or beside others behind AND",
        )
        .with_help("write EXISTS, as in `EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y = a.y)`"))
}

/// Those that are joined by AND.
fn conditions(source: &Source<'_>, condition: &mut Expr) -> Result<()> {
    match condition {
        Expr::Nested(inner) => conditions(source, inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            conditions(source, left)?;
            conditions(source, right)
        }
        Expr::InSubquery { expr, subquery, negated } => {
            let Expr::Tuple(values) = &**expr else { return Ok(()) };
            *condition = is_among(source, values, subquery, *negated)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_among(source: &Source<'_>, values: &[Expr], rows: &Query, negated: bool) -> Result<Expr> {
    let column = |index: usize| Ident::with_quote('`', format!("{ROWS}{index}"));
    let equal = values.iter().enumerate().map(|(index, value)| Expr::BinaryOp {
        left: Box::new(Expr::CompoundIdentifier(vec![Ident::with_quote('`', ROWS), column(index)])),
        op: BinaryOperator::Eq,
        right: Box::new(Expr::Nested(Box::new(value.clone()))),
    });
    let both = |left, right| Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) };
    let Some(equal) = equal.reduce(both) else { return Err(Error::internal("a row of no columns")) };
    let mut subquery = question()?;
    let SetExpr::Select(select) = &mut *subquery.body else { return Err(Error::internal("a question is no SELECT")) };
    if let SetExpr::Select(given) = &*rows.body
        && given.projection.len() != values.len()
        && !given.projection.iter().any(|item| item.to_string().ends_with('*'))
    {
        let span = values.first().and_then(|value| source.span(value.span())).unwrap_or_default();
        return Err(source.error(
            span,
            format!("IN compares {} values with the {} columns of a query", values.len(), given.projection.len()),
        ));
    }
    if let [table] = select.from.as_mut_slice()
        && let TableFactor::Derived { subquery, alias, .. } = &mut table.relation
    {
        **subquery = rows.clone();
        let columns =
            (0..values.len()).map(|index| TableAliasColumnDef { name: column(index), data_type: None }).collect();
        *alias = Some(TableAlias { explicit: true, name: Ident::with_quote('`', ROWS), columns, at: None });
    }
    select.selection = Some(if negated { Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal)))) } else { equal });
    Ok(Expr::Exists { subquery: Box::new(subquery), negated })
}

/// A query whose parts are put in afterwards.
fn question() -> Result<Query> {
    const TEXT: &str = "SELECT 1 FROM (SELECT 1) AS `$rows` WHERE TRUE";
    let dialect = WeirDialect::new(TEXT.len());
    let parser = Parser::new(&dialect).try_with_sql(TEXT);
    let query = parser.and_then(|mut parser| parser.parse_query());
    Ok(*query.map_err(|error| Error::internal(format!("a query of our own cannot be read: {error}")))?)
}
