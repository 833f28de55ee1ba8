//! Names of tables, views and functions in a statement.

use std::collections::BTreeSet;

use datafusion_sql::sqlparser::ast::{Expr, ObjectName, Query, TableFactor, Visit};

use super::databases::{Within, as_key};
use crate::parse::{DEFAULT_DATABASE, WindowFunction};
use crate::statement::{ColumnKind, CreateTable, FunctionDefinition, Show, Statement, TableChange};
use crate::walk::{Look, Step, look};

/// In small letters, tables by the one name that each has. Names of `WITH` are among them, and of built-in functions.
pub(super) fn uses(statement: &Statement, within: &Within) -> BTreeSet<String> {
    all(statement).within(within, |_| true)
}

/// Names that can only be those of a catalog, unless they are built-in functions.
pub(super) fn uses_of_others(statement: &Statement, within: &Within) -> BTreeSet<String> {
    let names = all(statement);
    names.within(within, |name| !names.inner.contains(name))
}

/// Names of functions, in small letters.
pub(super) fn called(statement: &Statement) -> BTreeSet<String> {
    all(statement).functions
}

fn all(statement: &Statement) -> Names {
    let mut names = Names::default();
    match statement {
        Statement::CreateTable(table @ CreateTable { like, query, .. }) => {
            names.look_at_columns(table);
            like.iter().for_each(|like| names.add(&like.base.value));
            query.iter().for_each(|query| names.look(&*query.value));
        }
        Statement::CreateView { query, .. } | Statement::Query(query) => names.look(&**query),
        Statement::CreateFunction(function) => match &function.definition {
            FunctionDefinition::Sql { body, .. } => names.look(body),
            FunctionDefinition::Exported(_) => {}
        },
        Statement::Insert { target, query, .. } => {
            names.add(&target.value);
            names.look::<Query>(query);
        }
        Statement::Operator(operator) => operator.inputs.iter().for_each(|input| names.look::<Query>(&input.value)),
        Statement::Explain { statement, .. } => return all(statement),
        Statement::Describe(name) | Statement::Show(Show::Create { name, .. }) => names.add(&name.value),
        Statement::Show(Show::CreateFunction { name }) => names.add_function(&name.value),
        Statement::Show(Show::Tables { database, .. } | Show::Views { database, .. }) => {
            names.databases.extend(database.iter().map(|database| database.value.clone()));
        }
        Statement::Use(database) | Statement::DropDatabase { name: database, .. } => {
            names.databases.extend(Some(database.value.clone()).filter(|name| name != DEFAULT_DATABASE));
        }
        Statement::AlterTable(alter) => {
            names.add(&alter.name.value);
            if let TableChange::Add { parts, .. } | TableChange::Modify { parts, .. } = &alter.change {
                names.look_at_columns(parts);
            }
        }
        _ => {}
    }
    names
}

/// As they are written, in small letters.
#[derive(Default)]
struct Names {
    tables: BTreeSet<String>,
    functions: BTreeSet<String>,
    databases: BTreeSet<String>,
    /// Names of `WITH`, wherever they count.
    inner: BTreeSet<String>,
}

impl Names {
    fn look_at_columns(&mut self, table: &CreateTable) {
        for column in &table.columns {
            if let ColumnKind::Computed(expression) = &column.kind {
                self.look(expression);
            }
        }
        table.watermark.iter().for_each(|watermark| self.look(&watermark.expression));
    }

    /// Those of them that are wanted, by the names that a catalog has for them.
    fn within(&self, within: &Within, wanted: impl Fn(&String) -> bool) -> BTreeSet<String> {
        let mut used: BTreeSet<String> = self.databases.iter().map(|name| as_key(name)).collect();
        for table in self.tables.iter().filter(|name| wanted(name)) {
            let full_name = within.full_name(table);
            used.extend(within.key_of_database(&full_name));
            used.insert(full_name.to_lowercase());
        }
        used.extend(self.functions.iter().filter(|name| wanted(name)).cloned());
        used
    }

    fn add(&mut self, name: &str) {
        self.tables.insert(name.to_lowercase());
    }

    fn add_function(&mut self, name: &str) {
        self.functions.insert(name.to_lowercase());
    }

    fn add_object(&mut self, name: &ObjectName) {
        let parts: Vec<&str> =
            name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.as_str()).collect();
        self.add(&parts.join("."));
    }

    fn look<T: Visit>(&mut self, tree: &T) {
        let _ = look(tree, self);
    }
}

impl Look for Names {
    fn query(&mut self, query: &Query) -> Step {
        let inner = query.with.iter().flat_map(|with| &with.cte_tables);
        self.inner.extend(inner.map(|inner| inner.alias.name.value.to_lowercase()));
        Step::Continue(())
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Step {
        let function = WindowFunction::of(factor);
        match (function.as_ref().and_then(|function| function.arguments.first()?.table()), factor) {
            (Some(name), _) => self.add_object(&name),
            (None, TableFactor::Table { name, args: None, .. }) => self.add_object(name),
            _ => {}
        }
        Step::Continue(())
    }

    fn expression(&mut self, expression: &Expr) -> Step {
        if let Expr::Function(call) = expression
            && let Some(name) = call.name.0.last().and_then(|part| part.as_ident())
        {
            self.add_function(&name.value);
        }
        Step::Continue(())
    }
}
