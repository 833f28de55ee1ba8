//! The tables and views of a script, resolved: every option known, every type checked, every computed column typed.
//!
//! Names: one in quotes is matched as it is; one without matches whatever its case, if there is only one that it could
//! mean ([`find`]).

mod alter;
mod columns;
mod databases;
mod duration;
mod exported;
mod expression;
mod functions;
mod names;
mod operator;
mod options;
mod resolve;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion_sql::sqlparser::ast;
use weir_core::{ConnectorRegistry, Result};
use weir_functions::Functions;

use crate::diagnostics::{Source, did_you_mean, one_of};
use crate::parse::with_options;
use crate::statement::{ColumnKind, CreateTable, Like, Script, Span, Spanned, Statement, TableOption};

pub use databases::Databases;
pub use duration::parse_duration;
use exported::ExportedFunctions;
pub use expression::{ResolvedExpression, resolve_columns, scalar_expression};
pub use functions::SqlFunctions;
pub(crate) use names::is_quoted;
pub use names::{Found, find};
pub use operator::{OperatorView, PluginOperator};
pub use table::{Column, ColumnSource, Table, TimeAttribute};

/// `CREATE VIEW`, as it was written: views are planned where they are read.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Names of its columns, if given.
    pub columns: Vec<String>,
    /// What it stands for.
    pub query: Box<ast::Query>,
    /// The statement that created it.
    pub span: Span,
    /// The database that was in use there: that of names in it that name none.
    pub database: String,
}

/// What a name in a `FROM` clause can mean.
#[derive(Debug, Clone)]
pub enum Relation {
    /// A table with its connector.
    Table(Arc<Table>),
    /// A view.
    View(Arc<View>),
    /// What an operator of a plugin makes.
    Operator(Arc<OperatorView>),
}

impl Relation {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Relation::Table(table) => &table.name,
            Relation::View(view) => &view.name,
            Relation::Operator(view) => &view.name,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Relation::Table(_) => "table",
            Relation::View(_) | Relation::Operator(_) => "view",
        }
    }
}

/// Tables and views, as the statements of a script create and drop them.
#[derive(Clone)]
pub struct Catalog {
    connectors: Arc<dyn ConnectorRegistry>,
    functions: Arc<Functions>,
    relations: BTreeMap<String, Relation>,
    /// The statement that created each of them, and those that have changed it since.
    statements: BTreeMap<String, Vec<Span>>,
    own_functions: SqlFunctions,
    databases: Databases,
    exported: ExportedFunctions,
    directory: Option<PathBuf>,
}

impl Catalog {
    /// Without any table.
    pub fn new(connectors: Arc<dyn ConnectorRegistry>, functions: Arc<Functions>) -> Self {
        Self {
            connectors,
            functions,
            relations: BTreeMap::new(),
            statements: BTreeMap::new(),
            own_functions: SqlFunctions::default(),
            databases: Databases::default(),
            exported: ExportedFunctions::default(),
            directory: None,
        }
    }

    /// Relative places in the options of tables are meant from this directory, wherever the job runs.
    #[must_use]
    pub fn anchored(mut self, directory: Option<PathBuf>) -> Self {
        self.directory = directory;
        self
    }

    /// Carries a statement out if it is about the catalog, and says whether it was.
    ///
    /// # Errors
    /// A user error at its place in the script.
    pub fn apply(&mut self, script: &Script, statement: &Spanned<Statement>) -> Result<bool> {
        let source = Source::new(&script.text);
        match &statement.value {
            Statement::CreateTable(table) => {
                if let Some(name) = self.create_table(&source, table)? {
                    self.statements.insert(name, vec![statement.span]);
                }
            }
            Statement::CreateView { name, columns, or_replace, if_not_exists, query } => {
                self.databases.check_named(&source, name)?;
                let name = self.full_name(name);
                if self.is_free(&source, &name, "view", *or_replace, *if_not_exists)? {
                    let view = View {
                        name: name.value.clone(),
                        columns: columns.clone(),
                        query: query.clone(),
                        span: statement.span,
                        database: self.databases.current().to_owned(),
                    };
                    self.relations.insert(name.value.clone(), Relation::View(Arc::new(view)));
                    self.statements.insert(name.value, vec![statement.span]);
                }
            }
            Statement::CreateFunction(function) => self.create_function(&source, function, statement.span)?,
            Statement::DropFunction { name, if_exists } => self.drop_function(&source, name, *if_exists)?,
            Statement::Drop { name, view, if_exists } => self.drop_relation(&source, name, *view, *if_exists)?,
            Statement::AlterTable(alter) => self.alter_table(&source, alter, statement.span)?,
            Statement::CreateDatabase { name, if_not_exists } => {
                if self.databases.create(&source, name, *if_not_exists)? {
                    databases::check_hides_nothing(&source, &name.value, name.span, &self.names())?;
                }
            }
            Statement::DropDatabase { name, if_exists, cascade } => {
                let tables: Vec<&str> = self.relations.keys().map(String::as_str).collect();
                if let Some(gone) = self.databases.drop(&source, name, (*if_exists, *cascade), &tables)? {
                    self.relations.retain(|name, _| !name.starts_with(&format!("{gone}.")));
                }
            }
            Statement::Use(name) => self.databases.enter(&source, name)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Makes an output of an operator known.
    ///
    /// # Errors
    /// A user error if the name is taken.
    pub(crate) fn create_operator_view(&mut self, source: &Source<'_>, view: OperatorView, span: Span) -> Result<()> {
        let name = Spanned { value: view.name.clone(), span: source.first_line(span) };
        if self.is_free(source, &name, "view", false, false)? {
            self.statements.insert(name.value.clone(), vec![span]);
            self.relations.insert(name.value, Relation::Operator(Arc::new(view)));
        }
        Ok(())
    }

    /// The databases there are.
    pub fn databases(&self) -> &Databases {
        &self.databases
    }

    /// The one name of a table that is named in the database in use.
    fn full_name(&self, name: &Spanned<String>) -> Spanned<String> {
        Spanned { value: self.databases.full_name(&name.value), span: name.span }
    }

    /// The table or view of that name, quoted or not.
    pub fn get(&self, name: &str, quoted: bool) -> Found<'_, Relation> {
        self.found(&self.databases.full_name(name), quoted)
    }

    fn found(&self, full_name: &str, quoted: bool) -> Found<'_, Relation> {
        match find(self.relations.keys().map(String::as_str), full_name, quoted) {
            Found::One(name) => self.relations.get(name).map_or(Found::None, Found::One),
            Found::None => Found::None,
            Found::Several(names) => Found::Several(names),
        }
    }

    /// The table or view of exactly that name.
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// The statement that created the table or view of exactly that name.
    pub fn statement(&self, name: &str) -> Option<Span> {
        self.statements.get(name)?.first().copied()
    }

    /// The statement that created the table or view of exactly that name, and those that have changed it since.
    pub fn statements(&self, name: &str) -> &[Span] {
        self.statements.get(name).map_or(&[], Vec::as_slice)
    }

    /// The table or view that is named at `span` of the script.
    ///
    /// # Errors
    /// A user error with the nearest name if there is none.
    pub fn resolve(&self, source: &Source<'_>, name: &str, span: Span) -> Result<&Relation> {
        self.resolve_in(source, self.databases.current(), name, span)
    }

    /// The table or view that is named at `span` of the script, in that database.
    ///
    /// # Errors
    /// A user error with the nearest name if there is none.
    pub fn resolve_in(&self, source: &Source<'_>, database: &str, name: &str, span: Span) -> Result<&Relation> {
        match self.found(&self.databases.full_name_in(database, name), names::is_quoted(source, span)) {
            Found::One(relation) => Ok(relation),
            Found::None => Err(source.error(span, format!("there is no table `{name}`")).with_help(did_you_mean(
                name,
                &self.names(),
                "the tables and views before this statement are",
            ))),
            Found::Several(names) => Err(source
                .error(span, format!("`{name}` could be any of {}", one_of(&names)))
                .with_help("write it in backticks, with its capitals")),
        }
    }

    /// The relation that is named at `span` of the script, in that database, with the options that a hint in its name gives it.
    ///
    /// # Errors
    /// A user error if there is none, or its connector has no such option.
    pub fn resolve_hinted(&self, source: &Source<'_>, database: &str, name: &str, span: Span) -> Result<Relation> {
        let (name, options) = with_options(name);
        let relation = self.resolve_in(source, database, name, span)?;
        let table = match relation {
            _ if options.is_empty() => return Ok(relation.clone()),
            Relation::Table(table) => table,
            Relation::View(_) | Relation::Operator(_) => {
                return Err(source
                    .error(span, format!("`{name}` is a view, and has no options"))
                    .with_help("write the hint in the view, behind the table below it"));
            }
        };
        let mut definition = table.definition().clone();
        for (key, value) in options {
            let spanned = |text: &str| Spanned { value: text.to_owned(), span };
            definition.options.retain(|option| option.key.value != key);
            definition.options.push(TableOption { key: spanned(key), value: spanned(value) });
        }
        let mut table = resolve::table(source, (&*self.connectors, &self.functions), &definition, None)?;
        if let Some(directory) = &self.directory {
            table.connector.anchor(&mut table.options, directory);
        }
        Ok(Relation::Table(Arc::new(table)))
    }

    /// What queries and computed columns can call.
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Functions with a body in SQL that the script has declared.
    pub fn own_functions(&self) -> &SqlFunctions {
        &self.own_functions
    }

    /// Names of all tables and views, sorted, behind those of their databases.
    pub fn names(&self) -> Vec<&str> {
        self.relations.keys().map(String::as_str).collect()
    }

    /// Returns its name if it is a new one.
    fn create_table(&mut self, source: &Source<'_>, statement: &CreateTable) -> Result<Option<String>> {
        self.databases.check_named(source, &statement.name)?;
        let name = self.full_name(&statement.name);
        if !self.is_free(source, &name, "table", statement.or_replace, statement.if_not_exists)? {
            return Ok(None);
        }
        let base = match &statement.like {
            None => None,
            Some(Like { base, .. }) => match self.resolve(source, &base.value, base.span)? {
                Relation::Table(table) => Some(table.clone()),
                Relation::View(_) | Relation::Operator(_) => {
                    return Err(source
                        .error(base.span, format!("`{}` is a view, and LIKE takes a table", base.value))
                        .with_help("declare the columns"));
                }
            },
        };
        let mut statement = CreateTable { name, ..statement.clone() };
        self.write_out_functions(source, &mut statement)?;
        let mut table = resolve::table(source, (&*self.connectors, &self.functions), &statement, base.as_deref())?;
        if let Some(directory) = &self.directory {
            table.connector.anchor(&mut table.options, directory);
        }
        let name = table.name.clone();
        self.relations.insert(name.clone(), Relation::Table(Arc::new(table)));
        Ok(Some(name))
    }

    /// Puts the bodies of functions into the expressions of a table.
    fn write_out_functions(&self, source: &Source<'_>, statement: &mut CreateTable) -> Result<()> {
        let computed = statement.columns.iter_mut().filter_map(|column| match &mut column.kind {
            ColumnKind::Computed(expression) => Some(expression),
            _ => None,
        });
        let mut expressions = computed.chain(statement.watermark.iter_mut().map(|watermark| &mut watermark.expression));
        expressions.try_for_each(|expression| self.own_functions.write_out(source, expression))
    }

    /// Whether the name is to be given away: not if it is taken and the statement says `IF NOT EXISTS`.
    fn is_free(
        &self,
        source: &Source<'_>,
        name: &Spanned<String>,
        kind: &str,
        or_replace: bool,
        if_not_exists: bool,
    ) -> Result<bool> {
        match self.relations.get(&name.value) {
            None => Ok(true),
            Some(relation) if or_replace && relation.kind() == kind => Ok(true),
            Some(_) if if_not_exists => Ok(false),
            Some(relation) => Err(source
                .error(name.span, format!("there is a {} `{}` already", relation.kind(), name.value))
                .with_help("choose another name, or DROP the first one")),
        }
    }

    fn drop_relation(
        &mut self,
        source: &Source<'_>,
        name: &Spanned<String>,
        view: bool,
        if_exists: bool,
    ) -> Result<()> {
        if if_exists && matches!(self.get(&name.value, names::is_quoted(source, name.span)), Found::None) {
            return Ok(());
        }
        let relation = self.resolve(source, &name.value, name.span)?;
        let found = relation.name().to_owned();
        if matches!(relation, Relation::Table(_)) == view {
            let kind = relation.kind();
            return Err(source
                .error(name.span, format!("`{found}` is a {kind}"))
                .with_help(format!("write `DROP {} {found}`", kind.to_uppercase())));
        }
        self.relations.remove(&found);
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests;
