//! Names of tables, views and functions in a statement.

use std::collections::BTreeSet;

use datafusion_sql::sqlparser::ast::{Expr, ObjectName, Query, TableFactor, Visit};

use crate::parse::WindowFunction;
use crate::statement::{ColumnKind, CreateTable, Show, Statement, TableChange};
use crate::walk::{Look, Step, look};

/// In small letters. Names of `WITH` are among them, and of built-in functions.
pub(super) fn uses(statement: &Statement) -> BTreeSet<String> {
    all(statement).used
}

/// Names that can only be those of a catalog, unless they are built-in functions.
pub(super) fn uses_of_others(statement: &Statement) -> BTreeSet<String> {
    let Names { mut used, inner } = all(statement);
    used.retain(|name| !inner.contains(name));
    used
}

fn all(statement: &Statement) -> Names {
    let mut names = Names::default();
    match statement {
        Statement::CreateTable(table @ CreateTable { like, query, .. }) => {
            names.look_at_columns(table);
            like.iter().for_each(|base| names.add(&base.value));
            query.iter().for_each(|query| names.look(&*query.value));
        }
        Statement::CreateView { query, .. } | Statement::Query(query) => names.look(&**query),
        Statement::CreateFunction(function) => names.look(&function.body),
        Statement::Insert { target, query, .. } => {
            names.add(&target.value);
            names.look::<Query>(query);
        }
        Statement::Operator(operator) => operator.inputs.iter().for_each(|input| names.look::<Query>(&input.value)),
        Statement::Explain { statement, .. } => return all(statement),
        Statement::Describe(name) | Statement::Show(Show::Create { name, .. } | Show::CreateFunction { name }) => {
            names.add(&name.value)
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

#[derive(Default)]
struct Names {
    used: BTreeSet<String>,
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

    fn add(&mut self, name: &str) {
        self.used.insert(name.to_lowercase());
    }

    fn add_object(&mut self, name: &ObjectName) {
        if let Some(part) = name.0.last().and_then(|part| part.as_ident()) {
            self.add(&part.value);
        }
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
        if let Expr::Function(call) = expression {
            self.add_object(&call.name);
        }
        Step::Continue(())
    }
}
