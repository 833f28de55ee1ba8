//! Answers of statements about the script itself: `SHOW …` and `DESCRIBE`.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{Error, Result};

use crate::catalog::{Catalog, ColumnSource, Relation, Table};
use crate::diagnostics::{Source, did_you_mean, without_secrets};
use crate::logical::Tables;
use crate::parse::{CATALOG, sql_type_name};
use crate::statement::{Show, Span, Spanned};

/// What a statement answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Text that stands as it is.
    Text(String),
    /// Rows of texts.
    Rows(RecordBatch),
}

/// What `SHOW` shows.
///
/// # Errors
/// A user error if it names what does not exist.
pub(super) fn shown(catalog: &Catalog, source: &Source<'_>, show: &Show, settings: &[(&str, &str)]) -> Result<Answer> {
    let fits = |like: &Option<String>, name: &str| like.as_ref().is_none_or(|like| is_like(&name.to_lowercase(), like));
    match show {
        Show::Tables { database, like } => {
            let names = names_in(catalog, source, database.as_ref())?.into_iter().map(|(_, name)| name);
            rows(&["table name"], names.filter(|name| fits(like, name)).map(|name| vec![Some(name.to_owned())]))
        }
        Show::Views { database, like } => {
            let is_view =
                |full: &str| matches!(catalog.relation(full), Some(Relation::View(_) | Relation::Operator(_)));
            let names = names_in(catalog, source, database.as_ref())?;
            let names = names.into_iter().filter(|(full, name)| is_view(full) && fits(like, name));
            rows(&["view name"], names.map(|(_, name)| vec![Some(name.to_owned())]))
        }
        Show::Databases { like } => {
            let names = catalog.databases().names().filter(|name| fits(like, name));
            rows(&["database name"], names.map(|name| vec![Some(name.to_owned())]))
        }
        Show::CurrentDatabase => {
            let current = catalog.databases().current().to_owned();
            rows(&["current database name"], std::iter::once(vec![Some(current)]))
        }
        Show::Catalogs { current } => {
            let title = if *current { "current catalog name" } else { "catalog name" };
            rows(&[title], std::iter::once(vec![Some(CATALOG.to_owned())]))
        }
        Show::Functions { like } => {
            let functions = catalog.functions();
            let mut names = functions.scalar_names();
            names.extend(functions.aggregate_names());
            names.extend(catalog.declared_functions().into_iter().map(str::to_owned));
            names.sort();
            names.dedup();
            rows(&["function name"], names.into_iter().filter(|name| fits(like, name)).map(|name| vec![Some(name)]))
        }
        Show::Create { name, view } => {
            let relation = catalog.resolve(source, &name.value, name.span)?;
            if matches!(relation, Relation::Table(_)) == *view {
                let (is, other) = if *view { ("table", "TABLE") } else { ("view", "VIEW") };
                return Err(source
                    .error(name.span, format!("`{}` is a {is}", name.value))
                    .with_help(format!("write `SHOW CREATE {other} {}`", name.value)));
            }
            let made = catalog.statements(relation.name()).iter().map(|span| written(source, *span));
            Ok(Answer::Text(made.collect()))
        }
        Show::CreateFunction { name } => {
            let span = catalog.function_statement(&name.value).ok_or_else(|| {
                let names = catalog.declared_functions();
                let error = source.error(name.span, format!("there is no function `{}` of your own", name.value));
                error.with_help(did_you_mean(&name.value, &names, "the functions before this statement are"))
            })?;
            Ok(Answer::Text(written(source, span)))
        }
        Show::Settings => {
            let row = |(key, value): &(&str, &str)| vec![Some((*key).to_owned()), Some((*value).to_owned())];
            rows(&["key", "value"], settings.iter().map(row))
        }
    }
}

/// Full names of the tables and views of a database, each with its name there; of that in use if none is named.
fn names_in<'a>(
    catalog: &'a Catalog,
    source: &Source<'_>,
    database: Option<&Spanned<String>>,
) -> Result<Vec<(&'a str, &'a str)>> {
    let databases = catalog.databases();
    let wanted = database.map_or(Ok(databases.current()), |name| databases.resolve(source, name))?;
    let named = catalog.names().into_iter().map(|full| (full, databases.split(full)));
    Ok(named.filter(|(_, (database, _))| *database == wanted).map(|(full, (_, name))| (full, name)).collect())
}

/// A statement without secrets.
fn written(source: &Source<'_>, span: Span) -> String {
    format!("{};\n", without_secrets(source.slice(span).trim_end().trim_end_matches(';')))
}

/// The columns of a table or view.
///
/// # Errors
/// A user error if there is none, or its query is wrong.
pub(super) fn described(catalog: &Catalog, source: &Source<'_>, name: &Spanned<String>, span: Span) -> Result<Answer> {
    let columns = match catalog.resolve(source, &name.value, name.span)? {
        Relation::Table(table) => columns_of(table),
        Relation::Operator(view) => {
            let row = |field: &arrow::datatypes::FieldRef| {
                let data_type = sql_type_name(field.data_type());
                vec![Some(field.name().clone()), Some(data_type), Some(truth(field.is_nullable())), None, None, None]
            };
            view.columns.fields().iter().map(row).collect()
        }
        Relation::View(view) => {
            let plan = Tables::new(source.text(), catalog, span).query(&view.query)?;
            let fields = plan.schema().fields().iter().enumerate();
            let column = |(index, field): (usize, &arrow::datatypes::FieldRef)| {
                let name = view.columns.get(index).unwrap_or(field.name()).clone();
                let data_type = sql_type_name(field.data_type());
                vec![Some(name), Some(data_type), Some(truth(field.is_nullable())), None, None, None]
            };
            fields.map(column).collect()
        }
    };
    rows(&["name", "type", "null", "key", "extras", "watermark"], columns.into_iter())
}

fn columns_of(table: &Table) -> Vec<Vec<Option<String>>> {
    let described = |(index, column): (usize, &crate::catalog::Column)| {
        let key = table.primary_key.contains(&index).then(|| {
            let names: Vec<&str> = table.primary_key.iter().map(|index| table.columns[*index].name.as_str()).collect();
            format!("PRI({})", names.join(", "))
        });
        let extras = match &column.source {
            ColumnSource::Physical if table.partitioned_by.contains(&column.name) => Some("PARTITIONED BY".to_owned()),
            ColumnSource::Physical => None,
            ColumnSource::Metadata { key, virtual_column } => {
                Some(format!("METADATA FROM '{key}'{}", if *virtual_column { " VIRTUAL" } else { "" }))
            }
            ColumnSource::Computed(_) | ColumnSource::ProcessingTime => {
                table.computed_as(&column.name).map(|text| format!("AS {text}"))
            }
        };
        let watermark = table.time_attribute.as_ref().filter(|time| time.column == index);
        let watermark = watermark.and_then(|_| table.written_watermark());
        let data_type = sql_type_name(&column.data_type);
        vec![Some(column.name.clone()), Some(data_type), Some(truth(column.nullable)), key, extras, watermark]
    };
    table.columns.iter().enumerate().map(described).collect()
}

fn truth(value: bool) -> String {
    if value { "TRUE" } else { "FALSE" }.to_owned()
}

fn rows(names: &[&str], rows: impl Iterator<Item = Vec<Option<String>>>) -> Result<Answer> {
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); names.len()];
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let columns = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    let records = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    records.map(Answer::Rows).map_err(|error| Error::internal("an answer has no rows").with_source(error))
}

/// SQL's `LIKE`, without an escape.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let starts = text.char_indices().map(|(index, _)| index).chain([text.len()]);
            starts.into_iter().any(|start| is_like(&text[start..], rest.as_str()))
        }
        Some(first) => {
            let mut characters = text.chars();
            characters.next().is_some_and(|own| first == '_' || first == own)
                && is_like(characters.as_str(), rest.as_str())
        }
    }
}
