//! `ALTER TABLE`: the statement that a table was created by is changed, and the table is made of it again.

use std::sync::Arc;

use weir_core::{Error, Result};

use super::{Catalog, Relation, resolve};
use crate::diagnostics::{Source, did_you_mean};
use crate::statement::{
    AlterTable, ColumnDefinition, ColumnKind, ColumnPlace, CreateTable, Span, Spanned, TableChange,
};

impl Catalog {
    /// Carries out an `ALTER TABLE`, which stands at `span`.
    pub(super) fn alter_table(&mut self, source: &Source<'_>, statement: &AlterTable, span: Span) -> Result<()> {
        let AlterTable { name, if_exists, change } = statement;
        if *if_exists && matches!(self.get(&name.value, super::is_quoted(source, name.span)), super::Found::None) {
            return Ok(());
        }
        let Relation::Table(table) = self.resolve(source, &name.value, name.span)? else {
            return Err(source
                .error(name.span, format!("`{}` is a view", name.value))
                .with_help("write `CREATE OR REPLACE VIEW v AS …`"));
        };
        let before = table.name.clone();
        let mut definition = table.definition.clone();
        changed(source, &mut definition, change)?;
        if let TableChange::RenameTo(_) = change {
            let database = self.databases.split(&before).0;
            definition.name.value = self.databases.full_name_in(database, &definition.name.value);
        }
        if definition.name.value != before && self.relations.contains_key(&definition.name.value) {
            return Err(source
                .error(definition.name.span, format!("there is a table or view `{}` already", definition.name.value))
                .with_help("choose another name, or DROP the other one"));
        }
        self.write_out_functions(source, &mut definition)?;
        let mut table = resolve::table(source, (&*self.connectors, &self.functions), &definition, None)?;
        if let Some(directory) = &self.directory {
            table.connector.anchor(&mut table.options, directory);
        }
        self.relations.remove(&before);
        let mut statements = self.statements.remove(&before).unwrap_or_default();
        statements.push(span);
        self.statements.insert(table.name.clone(), statements);
        self.relations.insert(table.name.clone(), Relation::Table(Arc::new(table)));
        Ok(())
    }
}

/// Changes the statement that a table is created by.
fn changed(source: &Source<'_>, table: &mut CreateTable, change: &TableChange) -> Result<()> {
    match change {
        TableChange::Set(options) => {
            table.options.retain(|known| options.iter().all(|option| option.key.value != known.key.value));
            table.options.extend(options.iter().cloned());
        }
        TableChange::Reset(keys) => {
            for key in keys {
                let known = table.options.iter().position(|option| option.key.value == key.value);
                let known = known.ok_or_else(|| {
                    let names: Vec<&str> = table.options.iter().map(|option| option.key.value.as_str()).collect();
                    source
                        .error(key.span, format!("the table has no option `{}`", key.value))
                        .with_help(did_you_mean(&key.value, &names, "it has"))
                })?;
                table.options.remove(known);
            }
        }
        TableChange::RenameTo(name) => table.name = name.clone(),
        TableChange::RenameColumn { from, to } => {
            if let Some(other) = table.columns.iter().find(|column| column.name.value == to.value) {
                return Err(source.error(to.span, format!("there is a column `{}` already", other.name.value)));
            }
            let column = column(source, table, from)?;
            let before = std::mem::replace(&mut table.columns[column].name, to.clone()).value;
            let keys = table.primary_key.iter_mut().chain(table.partitioned_by.iter_mut().map(|key| &mut key.value));
            keys.filter(|key| **key == before).for_each(|key| key.clone_from(&to.value));
            if let ColumnKind::Metadata { from: from @ None, .. } = &mut table.columns[column].kind {
                *from = Some(before);
            }
        }
        TableChange::DropColumns(columns) => {
            for name in columns {
                let column = column(source, table, name)?;
                let name = table.columns.remove(column).name.value;
                if table.primary_key.contains(&name) {
                    return Err(source
                        .error(columns[0].span, format!("`{name}` is in the PRIMARY KEY"))
                        .with_help("write `ALTER TABLE t DROP PRIMARY KEY` first"));
                }
            }
        }
        TableChange::DropWatermark => match table.watermark.take() {
            Some(_) => {}
            None => return Err(source.error(table.name.span, "the table has no watermark to drop")),
        },
        TableChange::DropPrimaryKey => match table.primary_key.is_empty() {
            true => return Err(source.error(table.name.span, "the table has no primary key to drop")),
            false => table.primary_key.clear(),
        },
        TableChange::Add { parts, place } => add(source, table, parts, place.as_ref())?,
        TableChange::Modify { parts, place } => modify(source, table, parts, place.as_ref())?,
    }
    Ok(())
}

fn add(source: &Source<'_>, table: &mut CreateTable, parts: &CreateTable, place: Option<&ColumnPlace>) -> Result<()> {
    let there = |what: &str, span: Span| {
        source.error(span, format!("the table has a {what} already")).with_help("write MODIFY instead of ADD")
    };
    for new in &parts.columns {
        if table.columns.iter().any(|column| column.name.value == new.name.value) {
            return Err(there(&format!("column `{}`", new.name.value), new.name.span));
        }
        insert(source, table, new.clone(), place)?;
    }
    if let Some(watermark) = &parts.watermark
        && table.watermark.replace(watermark.clone()).is_some()
    {
        return Err(there("watermark", watermark.column.span));
    }
    if !parts.primary_key.is_empty() {
        if !table.primary_key.is_empty() {
            return Err(there("primary key", parts.name.span));
        }
        table.primary_key.clone_from(&parts.primary_key);
    }
    Ok(())
}

fn modify(
    source: &Source<'_>,
    table: &mut CreateTable,
    parts: &CreateTable,
    place: Option<&ColumnPlace>,
) -> Result<()> {
    for new in &parts.columns {
        let at = column(source, table, &new.name)?;
        let name = table.columns[at].name.clone();
        let new = ColumnDefinition { name, ..new.clone() };
        match place {
            None => table.columns[at] = new,
            Some(_) => {
                table.columns.remove(at);
                insert(source, table, new, place)?;
            }
        }
    }
    if let Some(watermark) = &parts.watermark {
        table.watermark = Some(watermark.clone());
    }
    if !parts.primary_key.is_empty() {
        table.primary_key.clone_from(&parts.primary_key);
    }
    Ok(())
}

fn insert(
    source: &Source<'_>,
    table: &mut CreateTable,
    new: ColumnDefinition,
    place: Option<&ColumnPlace>,
) -> Result<()> {
    let at = match place {
        None => table.columns.len(),
        Some(ColumnPlace::First) => 0,
        Some(ColumnPlace::After(name)) => column(source, table, name)? + 1,
    };
    table.columns.insert(at, new);
    Ok(())
}

/// Where a column stands.
fn column(source: &Source<'_>, table: &CreateTable, name: &Spanned<String>) -> Result<usize> {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.value.as_str()).collect();
    let unknown = || -> Error {
        source
            .error(name.span, format!("`{}` has no column `{}`", table.name.value, name.value))
            .with_help(did_you_mean(&name.value, &names, "its columns are"))
    };
    match super::find(names.iter().copied(), &name.value, super::is_quoted(source, name.span)) {
        super::Found::One(found) => names.iter().position(|known| *known == found).ok_or_else(unknown),
        _ => Err(unknown()),
    }
}
