//! What has been declared, and what statements do on top of it.

use std::sync::Arc;

use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_sql::catalog::{Catalog, Relation};
use weir_sql::diagnostics::behind_lines;
use weir_sql::{CreateTable, Script, Spanned, Statement, shared};

use super::remote::Remote;

use crate::args::SqlArguments;
use crate::connectors;
use crate::exit::Exit;
use crate::plugin::FunctionPlugins;
use crate::result::{ResultConnector, Results, output_on};
use crate::settings::{Settings, apply_settings};
use crate::terminal::Screen;
use crate::{planning, run};

/// A script that grows.
pub(super) struct Session {
    arguments: SqlArguments,
    screen: Arc<Screen>,
    /// Text of the declarations and settings so far.
    declared: String,
    /// The cluster, unless statements are carried out here.
    remote: Option<Remote>,
    /// What its catalog declared when it was last looked at.
    catalog: Vec<String>,
    /// Whether results that change are shown as the rows that there are.
    pub is_live: bool,
    /// Those whose functions the session calls.
    plugins: FunctionPlugins,
}

impl Session {
    pub(super) fn new(arguments: SqlArguments, screen: Arc<Screen>) -> Self {
        let remote = arguments.cluster.then(|| Remote::new(arguments.clone(), screen.clone()));
        Self {
            arguments,
            screen,
            declared: String::new(),
            remote,
            catalog: Vec::new(),
            is_live: false,
            plugins: FunctionPlugins::default(),
        }
    }

    /// Carries out a text that is for this session alone, cluster or not.
    ///
    /// # Errors
    /// Those of [`script`](Self::script).
    pub(super) async fn begin(&mut self, text: &str) -> Result<Exit> {
        let remote = self.remote.take();
        let outcome = self.script(text).await;
        self.remote = remote;
        outcome
    }

    /// Carries out all statements of a text, one after the other.
    ///
    /// # Errors
    /// What is wrong with the first that fails; those before it have been carried out.
    pub(super) async fn script(&mut self, text: &str) -> Result<Exit> {
        let units = weir_sql::units(text)?;
        let mut end = Exit::Ok;
        for unit in units {
            // What stands in front keeps its lines, so that places in errors are those of the text.
            let before: String = text[..unit.span.start].chars().filter(|character| *character == '\n').collect();
            let terminator = if unit.is_complete { ";" } else { "" };
            let statement = &text[unit.span.start..unit.span.end];
            let indent = text[..unit.span.start].rsplit('\n').next().unwrap_or_default();
            let indent: String = indent.chars().map(|_| ' ').collect();
            end = self.unit(&format!("{before}{indent}{statement}{terminator}\n")).await?;
            if !matches!(end, Exit::Ok) {
                break;
            }
        }
        Ok(end)
    }

    async fn unit(&mut self, text: &str) -> Result<Exit> {
        let is_use = weir_sql::parse(text)
            .is_ok_and(|script| matches!(script.statements.as_slice(), [Spanned { value: Statement::Use(_), .. }]));
        if !is_use {
            return self.statement(text).await;
        }
        // The database that was in use may be gone by now, and nobody has to name it any more.
        let before = self.declared.clone();
        self.declared = without_last_use(&before)?;
        let outcome = self.statement(text).await;
        if outcome.is_err() {
            self.declared = before;
        }
        outcome
    }

    async fn statement(&mut self, text: &str) -> Result<Exit> {
        // A cluster is sent the files that a statement names; here they are looked into at once. What is declared for the session alone
        // stays as it was written: a job in the cluster is sent with the file, as it is then.
        let written = match weir_sql::parse(text) {
            Ok(script) if self.remote.is_none() => {
                self.plugins.look_into(&script).await?;
                self.plugins.written_into(&script, None)?
            }
            Ok(script) if is_temporary(text) => {
                self.plugins.look_into(&script).await?;
                text.to_owned()
            }
            _ => text.to_owned(),
        };
        let text = &written;
        if let Some(remote) = &self.remote {
            self.catalog = remote.catalog().await?;
        }
        let own_text = format!("{}{text}", self.declared);
        let own_lines = self.declared.matches('\n').count();
        let alone = weir_sql::parse(&own_text).map_err(|error| behind_lines(error, own_lines))?;
        let asks_for_all = alone.statements.iter().any(|statement| matches!(statement.value, Statement::Show(_)));
        let before = match asks_for_all {
            true => shared::beginning(&self.catalog),
            false => shared::beginning(&shared::needed(&self.catalog, &alone, &Functions::built_in())),
        };
        let lines = before.matches('\n').count() + own_lines;
        let own = |error: Error| behind_lines(error, lines);
        let parsed = weir_sql::parse(&format!("{before}{own_text}")).map_err(own)?;
        let parsed = weir_sql::parse(&self.plugins.written_into(&parsed, None)?)?;
        let known = weir_sql::parse(&format!("{before}{}", self.declared))?.statements.len();
        let new = &parsed.statements[known..];
        let connectors: Arc<dyn ConnectorRegistry> = Arc::new(connectors::builtin());
        if let [Spanned { value: Statement::CreateTable(CreateTable { query: Some(_), name, .. }), .. }] = new {
            let two = shared::in_two(&parsed, text, &connectors, &Functions::built_in()).map_err(own)?;
            let Some((table, insert)) = two else { return Ok(Exit::Ok) };
            Box::pin(self.unit(&table)).await?;
            let filled = Box::pin(self.unit(&insert)).await;
            if filled.is_err() {
                self.screen.message(&format!(
                    "`{}` is declared all the same: fill it with INSERT INTO, or DROP it\n",
                    name.value
                ));
            }
            return filled;
        }
        if let Some(remote) = &self.remote {
            match new {
                [Spanned { value: Statement::Jobs(jobs), .. }] => return remote.jobs(jobs).await,
                [one] if is_in_catalog(&one.value) && !is_temporary(text) => {
                    let used = parsed.statements[..known].iter().rev().find_map(|statement| match &statement.value {
                        Statement::Use(database) => Some(database.value.as_str()),
                        _ => None,
                    });
                    return remote.declare(text, used).await;
                }
                _ if new.iter().any(|statement| runs(&statement.value)) => {
                    return remote
                        .run((&before, &own_text), new, self.is_live)
                        .await
                        .map_err(|error| behind_lines(error, own_lines));
                }
                _ => {}
            }
        }
        if !new.iter().all(|statement| declares(&statement.value)) {
            let layers = self.arguments.layers()?;
            let files = self.plugins.files();
            let job = run::Run { name: "sql", files: &files, stats: None, watched: None, is_live: self.is_live };
            return run::execute(&parsed, layers, job, &self.screen).await.map_err(own);
        }
        self.check(&parsed).map_err(own)?;
        self.declared.push_str(text.trim_start());
        if self.remote.is_none() {
            self.plugins.keep_named(&self.declared);
        }
        Ok(Exit::Ok)
    }

    /// # Errors
    /// If what is declared cannot be.
    fn check(&self, parsed: &Script) -> Result<()> {
        let mut layers = self.arguments.layers()?;
        apply_settings(parsed, &mut layers)?;
        let settings = Settings::resolve(&layers, 1);
        let results = Results::new(self.screen.clone(), output_on(&settings, &self.screen), false);
        let connectors = crate::connectors::builtin().with(ResultConnector(results));
        planning::plan(parsed, &settings, Arc::new(connectors)).map(drop)
    }

    /// Names that a statement may use: databases, tables, views and columns.
    pub(super) fn words(&self) -> Vec<String> {
        let connectors: Arc<dyn ConnectorRegistry> = Arc::new(crate::connectors::builtin());
        let mut catalog = Catalog::new(connectors, Functions::built_in());
        // What has been accepted is right.
        let declared = weir_sql::parse(&format!("{}{}", shared::beginning(&self.catalog), self.declared));
        let written = declared.and_then(|script| self.plugins.written_into(&script, None));
        let Ok(parsed) = written.and_then(|text| weir_sql::parse(&text)) else { return Vec::new() };
        let _ = parsed.statements.iter().try_for_each(|statement| catalog.apply(&parsed, statement).map(drop));
        let mut words: Vec<String> = catalog.names().into_iter().map(str::to_owned).collect();
        words.extend(catalog.databases().names().map(str::to_owned));
        for name in catalog.names() {
            words.push(catalog.databases().split(name).1.to_owned());
            if let Some(Relation::Table(table)) = catalog.relation(name) {
                words.extend(table.columns.iter().map(|column| column.name.clone()));
            }
        }
        words.sort();
        words.dedup();
        words
    }
}

/// What a session has declared without the last `USE`, unless something was declared in that database.
///
/// # Errors
/// If it cannot be read, which it could when it was declared.
fn without_last_use(declared: &str) -> Result<String> {
    let script = weir_sql::parse(declared)?;
    let settings = |statement: &&Spanned<Statement>| {
        matches!(statement.value, Statement::Set { .. } | Statement::Reset { .. } | Statement::Use(_))
    };
    let mut last = script.statements.iter().rev().take_while(settings);
    let Some(used) = last.find(|statement| matches!(statement.value, Statement::Use(_))) else {
        return Ok(declared.to_owned());
    };
    let (before, behind) = (&declared[..used.span.start], &declared[used.span.end..]);
    let behind = behind.trim_start();
    Ok(format!("{before}{}", behind.strip_prefix(';').unwrap_or(behind).trim_start()))
}

/// Whether a statement changes the catalog of a cluster.
fn is_in_catalog(statement: &Statement) -> bool {
    let of_session = matches!(
        statement,
        Statement::Set { .. } | Statement::Reset { .. } | Statement::Use(_) | Statement::UseCatalog
    );
    declares(statement) && !of_session
}

/// Whether a statement declares something for the session alone, or drops what is.
fn is_temporary(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_uppercase).filter(|word| word != "OR" && word != "REPLACE");
    words.next().is_some_and(|word| word == "CREATE" || word == "DROP")
        && words.next().is_some_and(|word| word == "TEMPORARY")
}

/// Whether a statement is a job, or part of one.
fn runs(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(_) | Statement::Insert { .. })
}

/// Whether a statement changes what later ones see, and does nothing else.
fn declares(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateTable(_)
            | Statement::CreateView { .. }
            | Statement::CreateFunction(_)
            | Statement::DropFunction { .. }
            | Statement::Drop { .. }
            | Statement::AlterTable(_)
            | Statement::CreateDatabase { .. }
            | Statement::DropDatabase { .. }
            | Statement::Use(_)
            | Statement::UseCatalog
            | Statement::Set { .. }
            | Statement::Reset { .. }
    )
}
