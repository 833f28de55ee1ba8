//! DataFusion's errors. It keeps the place of a name that it cannot resolve, if spans are collected.

use datafusion_common::{Column, DataFusionError, Diagnostic, SchemaError, Span as DataFusionSpan};
use datafusion_sql::sqlparser::tokenizer::{Location, Span as ParserSpan};
use weir_core::Error;
use weir_functions::types_in_sql;

use super::rewording::{Reworded, reworded};
use super::{Source, did_you_mean, nearest};
use crate::statement::Span;

/// An error that DataFusion met while it planned the statement at `statement` of `text`. A Weir error that travelled
/// inside DataFusion's comes out as it is.
pub fn from_datafusion(text: &str, statement: Span, error: DataFusionError) -> Error {
    let source = Source::new(text);
    let error = match take_weir_error(error) {
        Ok(error) => return error,
        Err(error) => error,
    };
    let diagnostic = error.diagnostic().cloned();
    let root = error.find_root();
    let place = diagnostic
        .as_ref()
        .and_then(|diagnostic| diagnostic.span)
        .or_else(|| column_span(root))
        .and_then(|place| span(&source, place));
    if let DataFusionError::SchemaError(schema, _) = root {
        return from_schema(&source, place.unwrap_or(statement), place.is_some(), schema);
    }
    let said = root.strip_backtrace();
    if let Some(Reworded { message, help, word }) = reworded(strip_kinds(&said), place.map(|place| source.slice(place)))
    {
        let place = place
            .or_else(|| source.find_word(statement, word.as_deref()?))
            .unwrap_or_else(|| first_line(text, statement));
        let reported = source.error(place, types_in_sql(&message));
        return match help {
            Some(help) => reported.with_help(types_in_sql(&help)),
            None => reported,
        };
    }
    let internal = matches!(root, DataFusionError::Internal(_));
    let message = match &diagnostic {
        Some(diagnostic) if place.is_some() => diagnostic.message.clone(),
        _ => root.strip_backtrace(),
    };
    let mut message = clean(&message);
    // A failing internal check of the planner is a defect, unless a user can do something about the statement.
    if internal {
        message = format!("this statement cannot be planned: {message}");
    }
    let mut reported = source.error(place.unwrap_or_else(|| first_line(text, statement)), message);
    if let Some(help) = diagnostic.as_ref().and_then(help) {
        reported = reported.with_help(help);
    }
    reported
}

fn take_weir_error(error: DataFusionError) -> Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(inner) => Ok(*inner),
            Err(inner) => Err(DataFusionError::External(inner)),
        },
        DataFusionError::Context(context, inner) => {
            take_weir_error(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            take_weir_error(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        other => Err(other),
    }
}

/// A column knows where it was named even where the error does not.
fn column_span(error: &DataFusionError) -> Option<DataFusionSpan> {
    let DataFusionError::SchemaError(schema, _) = error else { return None };
    match &**schema {
        SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field } => field.spans().first(),
        SchemaError::DuplicateQualifiedField { .. } | SchemaError::DuplicateUnqualifiedField { .. } => None,
    }
}

fn span(source: &Source<'_>, span: DataFusionSpan) -> Option<Span> {
    let location = |line, column| Location { line, column };
    source.span(ParserSpan {
        start: location(span.start.line, span.start.column),
        end: location(span.end.line, span.end.column),
    })
}

fn help(diagnostic: &Diagnostic) -> Option<String> {
    let parts: Vec<String> = diagnostic
        .helps
        .iter()
        .map(|help| help.message.as_str())
        .chain(diagnostic.notes.iter().map(|note| note.message.as_str()))
        .map(clean)
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn from_schema(source: &Source<'_>, span: Span, exact: bool, error: &SchemaError) -> Error {
    let span = if exact { span } else { first_line(source.text(), span) };
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<String> = valid_fields.iter().map(|column| shown(column, field)).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let name = shown(field, field);
            // Some databases take double quotes for text.
            if exact && source.slice(span).starts_with('"') && nearest(&name, names.iter().copied()).is_none() {
                return source
                    .error(span, format!("there is no column `{name}`"))
                    .with_help(format!("text stands in single quotes: '{name}'"));
            }
            source.error(span, format!("there is no column `{name}`")).with_help(did_you_mean(
                &name,
                &names,
                "the columns here are",
            ))
        }
        SchemaError::AmbiguousReference { field } => source
            .error(span, format!("`{}` is a column of several tables here", field.name))
            .with_help(format!("write the table before it, as in `t.{}`", field.name)),
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => source
            .error(span, format!("two columns here are named `{name}`"))
            .with_help("give one of them another name with AS"),
    }
}

/// A column with its table if the one that was asked for had one.
fn shown(column: &Column, asked: &Column) -> String {
    match (&column.relation, &asked.relation) {
        (Some(relation), Some(_)) => format!("{}.{}", relation.table(), column.name),
        _ => column.name.clone(),
    }
}

/// The first line of a statement stands for it where nothing more exact is known.
fn first_line(text: &str, statement: Span) -> Span {
    let shown = text.get(statement.start..statement.end).unwrap_or_default();
    let end = shown.find('\n').map_or(statement.end, |length| statement.start + length);
    Span { start: statement.start, end }
}

/// DataFusion names types as Arrow does.
fn clean(message: &str) -> String {
    let message = strip_kinds(message);
    let cut = message.find(".\nThis issue was likely caused by a bug").unwrap_or(message.len());
    types_in_sql(message[..cut].trim_end())
}

/// DataFusion prefixes its messages with the kind of the error, once for each layer.
fn strip_kinds(message: &str) -> &str {
    const PREFIXES: [&str; 7] = [
        "Error during planning: ",
        "Execution error: ",
        "This feature is not implemented: ",
        "Schema error: ",
        "Invalid or Unsupported Configuration: ",
        "Internal error: ",
        "SQL error: ",
    ];
    let mut message = message.trim();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| message.strip_prefix(prefix)) {
        message = rest;
    }
    message
}
