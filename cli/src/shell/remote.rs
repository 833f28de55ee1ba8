//! The shell of a cluster: what is declared goes into the catalog, and what runs is submitted.

use std::sync::Arc;

use weir_core::Result;
use weir_sql::diagnostics::behind_lines;
use weir_sql::{Jobs, Spanned, Statement};

use crate::args::{ScriptArguments, SqlArguments};
use crate::cluster::args::{
    CatalogArguments, CatalogCommand, CatalogScript, Format, JobArgument, JobsArguments, JobsCommand, SubmitArguments,
};
use crate::cluster::{self, Command};
use crate::exit::Exit;
use crate::server::otlp::CollectorArguments;
use crate::settings::registry;
use crate::terminal::Screen;

/// The cluster of a session.
pub(super) struct Remote {
    arguments: SqlArguments,
    screen: Arc<Screen>,
}

impl Remote {
    pub(super) fn new(arguments: SqlArguments, screen: Arc<Screen>) -> Self {
        Self { arguments, screen }
    }

    /// The statements of the catalog.
    ///
    /// # Errors
    /// What the cluster answers, or that it does not.
    pub(super) async fn catalog(&self) -> Result<Vec<String>> {
        cluster::catalog_of(&self.arguments.coordinators, &self.arguments.namespace).await
    }

    /// Changes the catalog. `database`: the one in use.
    ///
    /// # Errors
    /// What is wrong with the statements, or what the cluster answers.
    pub(super) async fn declare(&self, text: &str, database: Option<&str>) -> Result<Exit> {
        let before = database.map(|name| format!("USE `{}`;\n", name.replace('`', "``"))).unwrap_or_default();
        let script = CatalogScript { execute: Some(format!("{before}{text}")), ..CatalogScript::default() };
        let command = Command::Catalog(CatalogArguments {
            command: CatalogCommand::Apply(script),
            namespace: self.arguments.namespace.clone(),
            cluster: self.arguments.coordinators.clone(),
        });
        let lines = before.matches('\n').count();
        cluster::execute(command, &self.screen).await.map_err(|error| behind_lines(error, lines))
    }

    /// Runs the job of a script, behind the statements of the catalog that it needs: a `SELECT` until its rows are printed, others by
    /// themselves. `is_live`: results that change are shown as the rows that there are.
    ///
    /// # Errors
    /// What is wrong with the script, or what the cluster answers.
    pub(super) async fn run(
        &self,
        (before, text): (&str, &str),
        statements: &[Spanned<Statement>],
        is_live: bool,
    ) -> Result<Exit> {
        let is_select = statements.iter().any(|statement| matches!(statement.value, Statement::Query(_)));
        let is_named =
            weir_sql::settings(&weir_sql::parse(text)?).iter().any(|(key, _)| key.value == registry::PIPELINE_NAME);
        let command = Command::Submit(Box::new(SubmitArguments {
            script: ScriptArguments {
                arguments: Vec::new(),
                file: None,
                execute: Some(text.to_owned()),
                parallelism: self.arguments.parallelism.clone(),
                isolation: None,
                define: self.arguments.define.clone(),
                config: self.arguments.config.clone(),
            },
            name: if is_select || is_named { None } else { Some(self.free_name(&name(statements)).await?) },
            namespace: self.arguments.namespace.clone(),
            detach: !is_select,
            beginning: Some(before.to_owned()),
            is_live,
            min_parallelism: None,
            max_parallelism: None,
            move_state: None,
            stop_on_interrupt: false,
            output: self.arguments.output,
            quiet: self.arguments.quiet,
            collector: CollectorArguments::default(),
            cluster: self.arguments.coordinators.clone(),
        }));
        cluster::execute(command, &self.screen).await
    }

    /// The name, or the first one with a number behind it that no job has, whether it has ended or not.
    async fn free_name(&self, name: &str) -> Result<String> {
        let taken = cluster::names_of_jobs(&self.arguments.coordinators, &self.arguments.namespace).await?;
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut names = std::iter::once(name.to_owned()).chain(numbered);
        Ok(names.find(|name| !taken.contains(name)).unwrap_or_default())
    }

    /// Sees to the jobs.
    ///
    /// # Errors
    /// What the cluster answers, or that it does not.
    pub(super) async fn jobs(&self, jobs: &Jobs) -> Result<Exit> {
        let namespace = self.arguments.namespace.clone();
        let format = Format { json: false };
        let argument = |job: &String| JobArgument { job: job.clone(), namespace: namespace.clone() };
        let command = match jobs {
            Jobs::Show => JobsCommand::List { namespace: Some(namespace), all: true, format },
            Jobs::Describe { job } => JobsCommand::Describe { job: argument(job), format },
            Jobs::Watermarks { job } => JobsCommand::Watermarks { job: argument(job), format },
            Jobs::Stop { job, drain } => JobsCommand::Stop { job: argument(job), drain: *drain, detach: false },
        };
        let cluster = self.arguments.coordinators.clone();
        cluster::execute(Command::Jobs(JobsArguments { command, cluster }), &self.screen).await
    }
}

/// What a job is called if nobody says: after the table that it fills.
fn name(statements: &[Spanned<Statement>]) -> String {
    let filled: Vec<&str> = statements
        .iter()
        .filter_map(|statement| match &statement.value {
            Statement::Insert { target, .. } => Some(target.value.as_str()),
            Statement::CreateTable(table) => Some(table.name.value.as_str()),
            _ => None,
        })
        .collect();
    let name = format!("insert-into-{}", filled.join("-"));
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    name.chars().map(|character| if allowed(character) { character } else { '-' }).take(128).collect()
}
