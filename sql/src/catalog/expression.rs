//! Expressions over the columns of one table: computed columns and watermarks.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion_common::{DFSchema, DataFusionError, Result as DataFusionResult, TableReference};
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, ExprSchemable, TableSource, cast};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_sql::planner::PlannerContext;
use datafusion_sql::sqlparser::ast;
use weir_core::{Error, Result};
use weir_functions::Functions;

use super::names::{Found, find};
use super::table::Column;
use crate::coercion::{
    comparable_constants, exact_decimals, own_conversions, own_terms, signed_numbers, travelling_type,
};
use crate::diagnostics::{Source, did_you_mean, from_datafusion, one_of};
use crate::guards::{Marker, Position, guarded};
use crate::resolver::{Relations, Resolver};
use crate::statement::Span;
use crate::walk::{Step, change_expressions, look_at_expressions};

/// A resolved expression.
#[derive(Debug, Clone)]
pub struct ResolvedExpression {
    /// It, coerced.
    pub expr: Expr,
    /// Type of its values.
    pub data_type: DataType,
    /// Whether they may be null.
    pub nullable: bool,
}

/// Resolves an expression over columns that are named without a qualifier.
///
/// # Errors
/// A user error at the place of what is wrong.
pub fn scalar_expression(
    source: &Source<'_>,
    span: Span,
    expression: &ast::Expr,
    columns: &[&Column],
    functions: &Functions,
) -> Result<ResolvedExpression> {
    let mut expression = expression.clone();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    resolve_columns(source, &mut expression, &names)?;
    if is_processing_time_inside(&expression) {
        return Err(source
            .error(span, "PROCTIME() cannot be part of an expression here")
            .with_help("declare a column `proc AS PROCTIME()`, and compute on it in a query"));
    }
    if has_query(&expression) {
        return Err(source
            .error(span, "a query cannot be part of this expression")
            .with_help("compute it in a view over the table"));
    }
    let fields: Vec<Field> =
        columns.iter().map(|column| Field::new(&column.name, column.data_type.clone(), column.nullable)).collect();
    plan(expression, Schema::new(fields), functions).map_err(|error| from_datafusion(source.text(), span, error))
}

fn plan(expression: ast::Expr, schema: Schema, functions: &Functions) -> DataFusionResult<ResolvedExpression> {
    let schema = DFSchema::try_from(schema)?;
    let relations = NoRelations(functions);
    let resolver = Resolver::new(&relations);
    let expr = resolver.planner().sql_to_expr(expression, &schema, &mut PlannerContext::new())?;
    if expr.column_refs().iter().any(|column| !schema.has_column(column)) {
        return Err(DataFusionError::Plan("this expression names a column that is not the table's".to_owned()));
    }
    // Functions check their constants here; behind the coercion these may be casts.
    expr.get_type(&schema)?;
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build());
    // Some functions, COALESCE among them, exist in a plan only and are simplified to what can be computed.
    let expr = exact_decimals(signed_numbers(own_terms(expr)?, &schema)?, &schema)?;
    let expr = own_conversions(simplifier.coerce(expr, &schema)?, &schema)?;
    let expr = guarded(expr, Position::Value, &schema, &Marker::default())?;
    let mut expr = simplifier.simplify(comparable_constants(expr)?)?;
    let nullable = expr.nullable(&schema)?;
    let mut data_type = expr.get_type(&schema)?;
    if let Some(view) = travelling_type(&data_type) {
        expr = own_conversions(cast(expr, view.clone()), &schema)?;
        data_type = view;
    }
    Ok(ResolvedExpression { expr, data_type, nullable })
}

/// Gives every column that `expression` names without quotes the capitals that it has among `columns`.
///
/// # Errors
/// A user error if there is no such column, or several.
pub fn resolve_columns(source: &Source<'_>, expression: &mut ast::Expr, columns: &[&str]) -> Result<()> {
    let mut outcome = Ok(());
    let _ = change_expressions(expression, |expression| {
        let first = match expression {
            ast::Expr::Identifier(ident) => ident,
            ast::Expr::CompoundIdentifier(idents) if !idents.is_empty() => &mut idents[0],
            _ => return Step::Continue(()),
        };
        outcome = match find(columns.iter().copied(), &first.value, first.quote_style.is_some()) {
            Found::One(name) => {
                first.value = name.to_owned();
                Ok(())
            }
            Found::None => Err(no_column(source, first, columns)),
            Found::Several(names) => Err(source
                .error(
                    source.span(first.span).unwrap_or_default(),
                    format!("`{}` could be any of {}", first.value, one_of(&names)),
                )
                .with_help("write it in backticks, with its capitals")),
        };
        if outcome.is_ok() { Step::Continue(()) } else { Step::Break(()) }
    });
    outcome
}

fn no_column(source: &Source<'_>, name: &ast::Ident, columns: &[&str]) -> Error {
    source
        .error(source.span(name.span).unwrap_or_default(), format!("there is no column `{}`", name.value))
        .with_help(did_you_mean(&name.value, columns, "the columns here are"))
}

/// Calls `visit` with every column that the expression names.
pub(super) fn visit_columns(expression: &ast::Expr, visit: &mut impl FnMut(&str)) {
    let _ = look_at_expressions(expression, |expression| {
        match expression {
            ast::Expr::Identifier(ident) => visit(&ident.value),
            ast::Expr::CompoundIdentifier(idents) => idents.iter().for_each(|ident| visit(&ident.value)),
            _ => {}
        }
        Step::Continue(())
    });
}

/// Whether the expression is `PROCTIME()` and nothing else.
pub(super) fn is_processing_time(expression: &ast::Expr) -> bool {
    matches!(expression, ast::Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("proctime"))
}

fn is_processing_time_inside(expression: &ast::Expr) -> bool {
    let outcome = look_at_expressions(expression, |expression| {
        if is_processing_time(expression) { Step::Break(()) } else { Step::Continue(()) }
    });
    outcome.is_break()
}

fn has_query(expression: &ast::Expr) -> bool {
    let outcome = look_at_expressions(expression, |expression| match expression {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => Step::Break(()),
        _ => Step::Continue(()),
    });
    outcome.is_break()
}

/// An expression has functions, and no relations.
struct NoRelations<'a>(&'a Functions);

impl Relations for NoRelations<'_> {
    fn functions(&self) -> &Functions {
        self.0
    }

    fn table(&self, name: TableReference) -> DataFusionResult<Arc<dyn TableSource>> {
        Err(DataFusionError::Plan(format!("a query (here of `{name}`) cannot be part of this expression")))
    }
}
