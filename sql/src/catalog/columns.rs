//! The columns of a table.

use arrow::datatypes::Field;
use datafusion_sql::sqlparser::ast::{self, Spanned as _};
use weir_core::Result;
use weir_functions::{Functions, PROCESSING_TIME};

use super::expression::{is_processing_time, scalar_expression};
use super::options::Options;
use super::table::{Column, ColumnSource};
use crate::diagnostics::{Source, did_you_mean};
use crate::parse::sql_type_name;
use crate::statement::{ColumnDefinition, ColumnKind, CreateTable, Span, Spanned};

/// Resolves the declared columns; physical ones come from the connector if none is declared.
pub(super) fn resolve(
    source: &Source<'_>,
    table: &CreateTable,
    options: &Options,
    functions: &Functions,
) -> Result<Vec<Column>> {
    refuse_doubles(source, table)?;
    let mut columns = Vec::new();
    let declares_physical = table.columns.iter().any(|column| matches!(column.kind, ColumnKind::Physical(_)));
    if !declares_physical {
        columns = columns_of_connector(source, table, options)?;
    }
    let provided = columns.len();
    for definition in &table.columns {
        if columns.iter().take(provided).any(|column| column.name == definition.name.value) {
            return Err(source.error(
                definition.name.span,
                format!(
                    "connector `{}` provides a column `{}` already",
                    options.connector.name(),
                    definition.name.value
                ),
            ));
        }
        columns.push(stored(source, options, definition)?);
    }
    // Computed columns come last: they may name columns that are declared behind them, but not each other.
    let known: Vec<Column> = columns.iter().filter(|column| column.source.is_stored()).cloned().collect();
    let known: Vec<&Column> = known.iter().collect();
    for (definition, column) in table.columns.iter().zip(&mut columns[provided..]) {
        if let ColumnKind::Computed(expression) = &definition.kind
            && column.source != ColumnSource::ProcessingTime
        {
            let span = expression_span(source, expression, definition.name.span);
            let resolved = scalar_expression(source, span, expression, &known, functions)
                .map_err(|error| explain_computed(source, table, error, expression, definition))?;
            column.data_type = resolved.data_type;
            column.nullable = resolved.nullable;
            column.source = ColumnSource::Computed(resolved.expr);
        }
    }
    Ok(columns)
}

/// Where an expression stands; its neighbour's place if the parser does not know.
pub(super) fn expression_span(source: &Source<'_>, expression: &ast::Expr, beside: Span) -> Span {
    source.span(expression.span()).unwrap_or(beside)
}

fn refuse_doubles(source: &Source<'_>, table: &CreateTable) -> Result<()> {
    for (index, column) in table.columns.iter().enumerate() {
        if table.columns[..index].iter().any(|other| other.name.value == column.name.value) {
            return Err(source.error(column.name.span, format!("column `{}` is declared twice", column.name.value)));
        }
    }
    Ok(())
}

fn columns_of_connector(source: &Source<'_>, table: &CreateTable, options: &Options) -> Result<Vec<Column>> {
    let schema = options.connector.default_schema(&options.rest).map_err(|error| {
        let placed = source.error(table.name.span, error.to_string());
        match error.help() {
            Some(help) => placed.with_help(help),
            None => placed,
        }
    })?;
    let Some(schema) = schema else {
        return Err(source
            .error(table.name.span, format!("table `{}` has no physical column", table.name.value))
            .with_help(format!(
                "connector `{}` does not know them: declare each with its type",
                options.connector.name()
            )));
    };
    let column = |field: &std::sync::Arc<Field>| Column {
        name: field.name().clone(),
        data_type: field.data_type().clone(),
        nullable: field.is_nullable(),
        source: ColumnSource::Physical,
    };
    Ok(schema.fields().iter().map(column).collect())
}

/// A column, its expression left for later.
fn stored(source: &Source<'_>, options: &Options, definition: &ColumnDefinition) -> Result<Column> {
    let name = definition.name.value.clone();
    let (data_type, from) = match &definition.kind {
        ColumnKind::Physical(data_type) => (data_type.clone(), ColumnSource::Physical),
        ColumnKind::Metadata { data_type, from, virtual_column } => {
            let key = metadata_key(source, options, definition, from.as_deref(), data_type)?;
            (data_type.clone(), ColumnSource::Metadata { key, virtual_column: *virtual_column })
        }
        ColumnKind::Computed(expression) if is_processing_time(expression) => {
            return Ok(Column {
                name,
                data_type: PROCESSING_TIME,
                nullable: false,
                source: ColumnSource::ProcessingTime,
            });
        }
        ColumnKind::Computed(_) => {
            let placeholder = ColumnSource::Computed(datafusion_expr::lit(datafusion_common::ScalarValue::Null));
            (arrow::datatypes::DataType::Null, placeholder)
        }
    };
    Ok(Column { name, data_type, nullable: definition.nullable, source: from })
}

fn metadata_key(
    source: &Source<'_>,
    options: &Options,
    definition: &ColumnDefinition,
    from: Option<&str>,
    data_type: &arrow::datatypes::DataType,
) -> Result<String> {
    let Spanned { value: name, span } = &definition.name;
    let key = from.unwrap_or(name);
    let provided = options.connector.metadata_columns();
    let connector = options.connector.name();
    let Some(field) = provided.iter().find(|field| field.name() == key) else {
        let names: Vec<&str> = provided.iter().map(|field| field.name().as_str()).collect();
        return Err(source
            .error(*span, format!("connector `{connector}` has no metadata column '{key}'"))
            .with_help(did_you_mean(key, &names, "its metadata columns are")));
    };
    if field.data_type() != data_type {
        let (is, declared) = (sql_type_name(field.data_type()), sql_type_name(data_type));
        return Err(source
            .error(*span, format!("metadata column '{key}' of connector `{connector}` is {is}, not {declared}"))
            .with_help(format!("declare it {is}, and CAST it where it is read")));
    }
    Ok(key.to_owned())
}

/// A computed column that names another one gets an answer of its own.
fn explain_computed(
    source: &Source<'_>,
    table: &CreateTable,
    error: weir_core::Error,
    expression: &ast::Expr,
    definition: &ColumnDefinition,
) -> weir_core::Error {
    let computed = table.columns.iter().filter(|column| matches!(column.kind, ColumnKind::Computed(_)));
    let mut mentioned = Vec::new();
    super::expression::visit_columns(expression, &mut |name| mentioned.push(name.to_owned()));
    let other = computed
        .filter(|column| column.name.value != definition.name.value)
        .find(|column| mentioned.iter().any(|name| name.eq_ignore_ascii_case(&column.name.value)));
    match other {
        Some(other) => source
            .error(
                expression_span(source, expression, definition.name.span),
                format!("a computed column cannot name another one, as this one does `{}`", other.name.value),
            )
            .with_help(format!("write the expression of `{}` in its place", other.name.value)),
        None => error,
    }
}
