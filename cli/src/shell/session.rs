//! What has been declared, and what statements do on top of it.

use std::sync::Arc;

use weir_connectors::Registry;
use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_sql::catalog::{Catalog, Relation};
use weir_sql::diagnostics::behind_lines;
use weir_sql::{Script, Statement};

use crate::args::SqlArguments;
use crate::exit::Exit;
use crate::result::{ResultConnector, Results};
use crate::settings::Settings;
use crate::terminal::Screen;
use crate::{planning, run, script};

/// A script that grows.
pub(super) struct Session {
    arguments: SqlArguments,
    screen: Arc<Screen>,
    /// Text of the declarations and settings so far.
    declared: String,
}

impl Session {
    pub(super) fn new(arguments: SqlArguments, screen: Arc<Screen>) -> Self {
        Self { arguments, screen, declared: String::new() }
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
        let lines = self.declared.matches('\n').count();
        let own = |error: Error| behind_lines(error, lines);
        let whole = format!("{}{text}", self.declared);
        let parsed = weir_sql::parse(&whole).map_err(own)?;
        let known = weir_sql::parse(&self.declared)?.statements.len();
        if !parsed.statements[known..].iter().all(|statement| declares(&statement.value)) {
            let layers = self.arguments.layers()?;
            return run::execute(&parsed, layers, "sql", None, &self.screen).await.map_err(own);
        }
        self.check(&parsed).map_err(own)?;
        self.declared.push_str(text.trim_start());
        Ok(Exit::Ok)
    }

    /// # Errors
    /// If what is declared cannot be.
    fn check(&self, parsed: &Script) -> Result<()> {
        let mut layers = self.arguments.layers()?;
        script::apply_settings(parsed, &mut layers)?;
        let settings = Settings::resolve(&layers, 1);
        let results = Results::new(self.screen.clone(), settings.output_on(&self.screen), false);
        let connectors = Registry::builtin().with(ResultConnector(results));
        planning::plan(parsed, &settings, Arc::new(connectors)).map(drop)
    }

    /// Names that a statement may use: tables, views and columns.
    pub(super) fn words(&self) -> Vec<String> {
        let connectors: Arc<dyn ConnectorRegistry> = Arc::new(Registry::builtin());
        let mut catalog = Catalog::new(connectors, Functions::built_in());
        // What has been accepted is right.
        let Ok(parsed) = weir_sql::parse(&self.declared) else { return Vec::new() };
        let _ = parsed.statements.iter().try_for_each(|statement| catalog.apply(&parsed, statement).map(drop));
        let mut words: Vec<String> = catalog.names().into_iter().map(str::to_owned).collect();
        for name in catalog.names() {
            if let Some(Relation::Table(table)) = catalog.relation(name) {
                words.extend(table.columns.iter().map(|column| column.name.clone()));
            }
        }
        words.sort();
        words.dedup();
        words
    }
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
            | Statement::Set { .. }
            | Statement::Reset { .. }
    )
}
