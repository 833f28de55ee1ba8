//! `CREATE TABLE … AS` as two statements, for shells: the table stays, and its rows are a job.

use std::sync::Arc;

use weir_core::{ConnectorRegistry, Result};
use weir_functions::Functions;

use crate::catalog::Catalog;
use crate::diagnostics::Source;
use crate::parse::sql_type_name;
use crate::plan::insert;
use crate::statement::{ColumnKind, CreateTable, Script, Span, Statement};

/// The last statement of a script, which is `CREATE TABLE … AS`, as a `CREATE TABLE` and an `INSERT INTO`, each in the lines that it has in
/// `text`, the end of the script; `None` if it is another one, or there is such a table and that is all right.
///
/// # Errors
/// A user error at its place in the script if the query is wrong.
pub fn in_two(
    script: &Script,
    text: &str,
    connectors: &Arc<dyn ConnectorRegistry>,
    functions: &Arc<Functions>,
) -> Result<Option<(String, String)>> {
    let Some((last, before)) = script.statements.split_last() else { return Ok(None) };
    let source = Source::new(&script.text);
    let mut catalog = Catalog::new(connectors.clone(), functions.clone());
    for statement in before {
        catalog.apply(script, statement)?;
    }
    let Statement::CreateTable(CreateTable { query: Some(query), name, .. }) = &last.value else { return Ok(None) };
    let Some((created, _)) = insert::created_as(&catalog, &source, last)? else { return Ok(None) };
    let Statement::CreateTable(CreateTable { columns, .. }) = &created.value else { return Ok(None) };
    let declared = columns.iter().map(|column| {
        let ColumnKind::Physical(data_type) = &column.kind else { return String::new() };
        let null = if column.nullable { "" } else { " NOT NULL" };
        format!("`{}` {}{null}", column.name.value.replace('`', "``"), sql_type_name(data_type))
    });
    let declared: Vec<String> = declared.collect();
    let slice = |start: usize, end: usize| source.slice(Span { start, end });
    let (begin, options) = (slice(last.span.start, name.span.end), slice(name.span.end, query.span.start));
    let (target, rows) = (source.slice(name.span), slice(query.span.end, last.span.end));
    let lines = |offset: usize| {
        let start = script.text.len() - text.len();
        "\n".repeat(script.text[start.min(offset)..offset].matches('\n').count())
    };
    Ok(Some((
        // A comment may be the last of it.
        format!("{}{begin} ({}){options}\n;\n", lines(last.span.start), declared.join(", ")),
        format!("{}INSERT INTO {target}{rows}\n;\n", lines(query.span.start)),
    )))
}
