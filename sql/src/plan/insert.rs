//! `INSERT INTO`: the table, and which column of the query fills which of its columns. `CREATE TABLE … AS` is a `CREATE TABLE` and an
//! `INSERT INTO`.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion_expr::LogicalPlan;
use weir_core::{Result, TableSpec};

use crate::catalog::{Catalog, Found, Relation, Table, find};
use crate::diagnostics::{Source, did_you_mean};
use crate::logical::Tables;
use crate::lower::Columns;
use crate::statement::{ColumnDefinition, ColumnKind, CreateTable, Spanned, Statement};

/// What `CREATE TABLE … AS` stands for; `None` if the statement is another one, or there is such a table already and that is all right.
///
/// # Errors
/// A user error if the query is wrong.
pub(super) fn created_as(
    catalog: &Catalog,
    source: &Source<'_>,
    statement: &Spanned<Statement>,
) -> Result<Option<(Spanned<Statement>, Statement)>> {
    let Statement::CreateTable(table @ CreateTable { query: Some(query), .. }) = &statement.value else {
        return Ok(None);
    };
    if table.if_not_exists && catalog.relation(&catalog.databases().full_name(&table.name.value)).is_some() {
        return Ok(None);
    }
    let plan = Tables::new(source.text(), catalog, statement.span).query(&query.value)?;
    let column = |field: &FieldRef| ColumnDefinition {
        name: Spanned { value: field.name().clone(), span: table.name.span },
        kind: ColumnKind::Physical(field.data_type().clone()),
        nullable: field.is_nullable(),
    };
    let columns = plan.schema().fields().iter().map(column).collect();
    let created = Statement::CreateTable(CreateTable { columns, query: None, ..table.clone() });
    let insert = Statement::Insert { target: table.name.clone(), columns: Vec::new(), query: query.value.clone() };
    Ok(Some((Spanned { value: created, span: statement.span }, insert)))
}

/// The table of that name in the database in use.
///
/// # Errors
/// A user error if there is none, or a view.
pub(super) fn target(catalog: &Catalog, source: &Source<'_>, name: &Spanned<String>) -> Result<Arc<Table>> {
    target_in(catalog, source, catalog.databases().current(), name)
}

/// The table of that name in that database.
///
/// # Errors
/// A user error if there is none, or a view.
pub(super) fn target_in(
    catalog: &Catalog,
    source: &Source<'_>,
    database: &str,
    name: &Spanned<String>,
) -> Result<Arc<Table>> {
    match catalog.resolve_in(source, database, &name.value, name.span)? {
        Relation::Table(table) => Ok(Arc::clone(table)),
        relation @ (Relation::View(_) | Relation::Operator(_)) => Err(source
            .error(name.span, format!("`{}` is a view, and rows cannot be inserted into it", relation.name()))
            .with_help("insert into a table")),
    }
}

/// For each column that the table's connector writes, which column of the query fills it: by position, or by position
/// in the list of columns if there is one.
///
/// # Errors
/// A user error if the numbers differ or a name is wrong.
pub(super) fn filled(
    source: &Source<'_>,
    table: &TableSpec,
    target: &Spanned<String>,
    columns: &[Spanned<String>],
    plan: &LogicalPlan,
) -> Result<Columns> {
    let names: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let given = plan.schema().fields().len();
    let wanted = if columns.is_empty() { names.len() } else { columns.len() };
    if given != wanted {
        let queried: Vec<&str> = plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
        return Err(source
            .error(target.span, format!("`{}` takes {wanted} columns here, but the query has {given}", table.name))
            .with_help(format!("the table's are {}; the query's are {}", names.join(", "), queried.join(", "))));
    }
    if columns.is_empty() {
        return Ok((0..given).map(Some).collect());
    }
    let mut filled: Columns = vec![None; names.len()];
    for (index, column) in columns.iter().enumerate() {
        let found = match find(names.iter().copied(), &column.value, false) {
            Found::One(name) => names.iter().position(|known| *known == name),
            _ => None,
        };
        let Some(position) = found else {
            return Err(source
                .error(column.span, format!("`{}` has no column `{}` to be filled", table.name, column.value))
                .with_help(did_you_mean(&column.value, &names, "its columns are")));
        };
        if filled[position].replace(index).is_some() {
            return Err(source.error(column.span, format!("column `{}` is named twice", column.value)));
        }
    }
    Ok(filled)
}
