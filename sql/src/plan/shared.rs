//! A catalog that several scripts share: `CREATE` statements that stand before each of them. A script of declarations changes it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion_sql::sqlparser::ast::{Expr, Query, TableFactor};

use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;

use crate::catalog::{Catalog, Relation};
use crate::diagnostics::{Source, behind_lines, without_secrets};
use crate::logical::Tables;
use crate::parse::{WindowFunction, parse, sql_type_name};
use crate::statement::{ColumnKind, CreateTable, Script, Span, Spanned, Statement};
use crate::walk::{Look, Step, look};

/// What a catalog declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeclarationKind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A function.
    Function,
}

impl DeclarationKind {
    /// In small letters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Function => "function",
        }
    }
}

/// A statement of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// What it declares.
    pub kind: DeclarationKind,
    /// Under which name.
    pub name: String,
    /// The `CREATE` statement, without a semicolon.
    pub statement: String,
}

impl Declaration {
    fn is_same(&self, other: &Declaration) -> bool {
        self.kind == other.kind
            && (self.name == other.name
                || (self.kind == DeclarationKind::Function && self.name.eq_ignore_ascii_case(&other.name)))
    }

    /// The statement as it may be shown to people: options that hold secrets are masked.
    pub fn shown(&self) -> String {
        without_secrets(&self.statement)
    }
}

/// The statements of a catalog as the beginning of a script.
pub fn beginning(statements: &[String]) -> String {
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

/// The last statement of a script, which is `CREATE TABLE … AS`, as a `CREATE TABLE` and an `INSERT INTO`; `None` if it is another one, or
/// there is such a table and that is all right.
///
/// # Errors
/// A user error at its place if the query is wrong.
pub fn in_two(
    script: &Script,
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
    let Some((created, _)) = super::insert::created_as(&catalog, &source, last)? else { return Ok(None) };
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
    Ok(Some((
        format!("{begin} ({}){};\n", declared.join(", "), options.trim_end()),
        format!("INSERT INTO {target}{rows};\n"),
    )))
}

/// Whether a script names tables or functions that it has not declared itself: a catalog may have them.
pub fn asks_for_more(script: &Script, functions: &Functions) -> bool {
    let mut names = Names::default();
    for statement in &script.statements {
        names.known.extend(declaration(script, statement).map(|declaration| declaration.name.to_lowercase()));
        let _ = match &statement.value {
            Statement::Query(query) | Statement::CreateView { query, .. } => look(&**query, &mut names),
            Statement::Insert { target, query, .. } => {
                names.used.insert(target.value.to_lowercase());
                look(&**query, &mut names)
            }
            Statement::CreateTable(CreateTable { query: Some(query), name, .. }) => {
                names.known.insert(name.value.to_lowercase());
                look(&*query.value, &mut names)
            }
            _ => Step::Continue(()),
        };
    }
    let is_built_in = |name: &str| functions.scalar(name).is_some() || functions.aggregate(name).is_some();
    names.used.difference(&names.known).any(|name| !is_built_in(name))
}

/// Names of tables and functions, in small letters.
#[derive(Default)]
struct Names {
    used: BTreeSet<String>,
    known: BTreeSet<String>,
}

impl Look for Names {
    fn query(&mut self, query: &Query) -> Step {
        let inner = query.with.iter().flat_map(|with| &with.cte_tables);
        self.known.extend(inner.map(|inner| inner.alias.name.value.to_lowercase()));
        Step::Continue(())
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Step {
        let function = WindowFunction::of(factor);
        let table = function.as_ref().and_then(|function| function.arguments.first()?.table());
        match (table, factor) {
            (Some(name), _) => self.used.insert(name.to_string().to_lowercase()),
            (None, TableFactor::Table { name, args: None, .. }) => self.used.insert(name.to_string().to_lowercase()),
            _ => false,
        };
        Step::Continue(())
    }

    fn expression(&mut self, expression: &Expr) -> Step {
        if let Expr::Function(call) = expression {
            self.used.insert(call.name.to_string().to_lowercase());
        }
        Step::Continue(())
    }
}

/// What the statements of a catalog declare.
///
/// # Errors
/// If one cannot be read: a later version of Weir may have accepted it.
pub fn declarations(statements: &[String]) -> Result<Vec<Declaration>> {
    let script = parse(&beginning(statements))?;
    Ok(script.statements.iter().filter_map(|statement| declaration(&script, statement)).collect())
}

/// What a catalog declares once a script of `CREATE`s and `DROP`s has been carried out behind its statements. A statement that replaces
/// another takes its place.
///
/// # Errors
/// A user error at its place in `text` if it says anything else, and one about the catalog if what is left could not be used.
pub fn changed(
    statements: &[String],
    text: &str,
    connectors: &Arc<dyn ConnectorRegistry>,
    functions: &Arc<Functions>,
) -> Result<Vec<Declaration>> {
    let before = beginning(statements);
    let lines = before.matches('\n').count();
    let own = |error: Error| behind_lines(error, lines);
    let script = parse(&format!("{before}{text}")).map_err(own)?;
    let source = Source::new(&script.text);
    let mut catalog = Catalog::new(connectors.clone(), functions.clone());
    let mut declared: Vec<Declaration> = Vec::new();
    for statement in &script.statements {
        let created = declaration(&script, statement);
        let is_drop = matches!(statement.value, Statement::Drop { .. } | Statement::DropFunction { .. });
        if created.is_none() && !is_drop {
            let what = "a catalog has CREATE TABLE, CREATE VIEW and CREATE FUNCTION, and no other statements";
            return Err(own(source
                .error(statement.span, what)
                .with_help("leave this one to the scripts that use the catalog; CREATE TABLE … AS is a job as well")));
        }
        // There may be one already, which IF NOT EXISTS leaves alone.
        let created = created.filter(|created| !is_there(&catalog, created) || replaces(&statement.value));
        catalog.apply(&script, statement).map_err(own)?;
        declared.retain(|known| is_there(&catalog, known));
        let Some(created) = created else { continue };
        match declared.iter_mut().find(|known| known.is_same(&created)) {
            Some(known) => *known = created,
            None => declared.push(created),
        }
    }
    let statements: Vec<String> = declared.iter().map(|declaration| declaration.statement.clone()).collect();
    check(&beginning(&statements), connectors, functions)?;
    Ok(declared)
}

/// Whether statements that stand before scripts can stand there: all of them are right, and mean the same wherever the script is.
fn check(text: &str, connectors: &Arc<dyn ConnectorRegistry>, functions: &Arc<Functions>) -> Result<()> {
    let script = parse(text)?;
    let source = Source::new(&script.text);
    let mut catalog = Catalog::new(connectors.clone(), functions.clone());
    let mut elsewhere = catalog.clone().anchored(Some("/".into()));
    for statement in &script.statements {
        for catalog in [&mut catalog, &mut elsewhere] {
            catalog.apply(&script, statement).map_err(|error| error.context("the catalog would not go on to work"))?;
        }
    }
    for name in catalog.names() {
        let of = |relation: Option<&Relation>| match relation {
            Some(Relation::Table(table)) => table.options.clone(),
            _ => Default::default(),
        };
        let span = catalog.statement(name).unwrap_or_default();
        if of(catalog.relation(name)) != of(elsewhere.relation(name)) {
            let help = "write it from the root, as in `'path' = '/data/flights'`";
            return Err(Error::user(format!(
                "table `{name}` has a relative path, which is another place for each script"
            ))
            .with_help(help));
        }
        if let Some(Relation::View(view)) = catalog.relation(name) {
            Tables::new(source.text(), &catalog, span)
                .query(&view.query)
                .map_err(|error| error.context(format!("the view `{name}` of the catalog would not go on to work")))?;
        }
    }
    Ok(())
}

fn is_there(catalog: &Catalog, declaration: &Declaration) -> bool {
    let name = &declaration.name;
    match (declaration.kind, catalog.relation(name)) {
        (DeclarationKind::Table, Some(Relation::Table(_))) | (DeclarationKind::View, Some(Relation::View(_))) => true,
        (DeclarationKind::Function, _) => catalog.own_functions().names().any(|known| known == name.to_lowercase()),
        _ => false,
    }
}

fn replaces(statement: &Statement) -> bool {
    match statement {
        Statement::CreateTable(table) => table.or_replace,
        Statement::CreateView { or_replace, .. } => *or_replace,
        Statement::CreateFunction(function) => function.or_replace,
        _ => false,
    }
}

fn declaration(script: &Script, statement: &Spanned<Statement>) -> Option<Declaration> {
    let (kind, name) = match &statement.value {
        Statement::CreateTable(table) if table.query.is_none() => (DeclarationKind::Table, &table.name),
        Statement::CreateView { name, .. } => (DeclarationKind::View, name),
        Statement::CreateFunction(function) => (DeclarationKind::Function, &function.name),
        _ => return None,
    };
    let text = Source::new(&script.text).slice(statement.span).trim_end().to_owned();
    Some(Declaration { kind, name: name.value.clone(), statement: text })
}
