//! `weir submit`: plans a script here and runs it in the cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_core::{Error, JobGraph, Result};
use weir_functions::Functions;
use weir_proto::client::{ClientRequest, ClientResponse, JobRef};
use weir_sql::diagnostics::{behind_lines, error_at};
use weir_sql::shared::{asks_for_more, beginning, needed};
use weir_sql::{Plan, Script, Spanned, Statement};

use super::args::SubmitArguments;
use super::artifacts;
use super::catalog;
use super::client::{Client, expect_answer};
use super::follow::{Follow, OnInterrupt};
use super::goal::Goal;
use super::moved_state::StateToMove;
use super::preparation::Told;
use super::request::{check_name, graph_of, is_number, request};
use super::rows::Rows;
use super::select::Select;
use super::submission::{self, Keeps, Sent};
use crate::exit::Exit;
use crate::result::{Output, ResultConnector, Results, output_on};
use crate::script::Job;
use crate::settings::{Settings, apply_settings, registry};
use crate::terminal::Screen;
use crate::{leftovers, planning};

/// How often rows of a `SELECT` become visible unless the user says otherwise: somebody looks at them.
const INTERACTIVE: Duration = Duration::from_secs(1);

/// How long the catalog is asked for when a script is wrong without it.
const CATALOG: Duration = Duration::from_secs(5);

/// Submits the script, and watches the job unless told not to.
///
/// # Errors
/// Whatever is wrong with the script; what the cluster answers; why the job has failed.
pub async fn submit(arguments: &SubmitArguments, screen: &Arc<Screen>) -> Result<Exit> {
    let mut layers = arguments.layers()?;
    let mut told = Told::begin(&arguments.collector, screen);
    let mut job = Job::read(&arguments.script).await?;
    let before = arguments.beginning.as_deref().unwrap_or_default();
    let mut parsed = job.script(before)?;
    apply_settings(&parsed, &mut layers)?;
    let mut settings = Settings::resolve(&layers, 1);
    let query = parsed.statements.iter().find(|statement| matches!(statement.value, Statement::Query(_)));
    let is_select = query.is_some();
    if let Some(query) = query {
        check_select(arguments, &parsed, query).map_err(|error| behind_lines(error, lines(before)))?;
        if !layers.is_given(registry::CHECKPOINT_INTERVAL) {
            settings.checkpoint_interval = Some(INTERACTIVE);
        }
    }
    if let Some(name) = arguments.name.as_ref().or(settings.name.as_ref()) {
        check_name(name)?;
    }
    let coordinators = arguments.cluster.coordinators.as_deref().unwrap_or(&settings.coordinators);
    let mut client = Client::new(coordinators, arguments.cluster.timeout, arguments.cluster.credentials()?)?;
    let files = job.files();
    if !files.is_empty() {
        job.keep_in(artifacts::folder(&mut client).await?);
        parsed = job.script(before)?;
    }
    // Before the cluster is asked: a script that stands alone, and what is wrong with one, can be told without it.
    let planned = match plan(&parsed, &settings, screen, BTreeMap::new()) {
        Ok(planned) => planned,
        Err(error) if arguments.beginning.is_some() || !asks_for_more(&parsed, &Functions::built_in()) => {
            return Err(behind_lines(error, lines(before)));
        }
        Err(error) => {
            let needed = needed_of_catalog(arguments, coordinators, &parsed, screen).await?;
            if needed.is_empty() {
                return Err(error);
            }
            let before = beginning(&needed);
            parsed = job.script(&before)?;
            plan(&parsed, &settings, screen, BTreeMap::new()).map_err(|error| behind_lines(error, lines(&before)))?
        }
    };
    for warning in &planned.warnings {
        screen.message(&format!("warning: {warning}\n"));
    }
    if settings.state_dir.is_some() {
        screen.message("warning: execution.checkpointing.dir is for `weir run`: a cluster has its own storage\n");
    }
    if is_select && let Some(folder) = &arguments.move_state {
        return Err(Error::user(format!(
            "--move-state {}: rows of a SELECT are printed from their beginning",
            folder.display()
        ))
        .with_help("write them into a table with INSERT INTO"));
    }
    if is_select {
        return select(arguments, screen, (&parsed, &job), &settings, &mut client).await;
    }

    let default_name = || settings.name.clone().unwrap_or_else(|| name_of_job(&job, arguments));
    let name = arguments.name.clone().unwrap_or_else(default_name);
    let graph = graph_of(planned)?;
    told.done("plan");
    let moved = match &arguments.move_state {
        None => None,
        Some(folder) => Some(StateToMove::open(folder, &graph).await?),
    };
    // What is moved has written the earlier results itself.
    let earlier = match moved {
        None => earlier_results(&graph, &mut client, arguments, &name).await?,
        Some(_) => Vec::new(),
    };
    let mut request = request(&arguments.namespace, job.text()?, &settings, name.clone(), graph);
    if moved.is_none() {
        let keeps = Keeps {
            parallelism: !layers.is_given(registry::PARALLELISM),
            isolation: !layers.is_given(registry::PLUGIN_ISOLATION),
            memory_limit: !layers.is_given(registry::PLUGIN_MEMORY_LIMIT),
        };
        submission::keep(&mut client, &mut request, keeps).await?;
    }
    told.begin_next();
    let send = async |client: &mut Client| {
        if !files.is_empty() {
            told.done("upload");
        }
        match moved {
            None => submission::send(client, request).await,
            Some(state) => state.send(client, request).await,
        }
    };
    let (job, sent) = artifacts::with_files(&files, &mut client, send).await?;
    for warning in earlier.into_iter().filter(|_| sent == Sent::New).chain(sent.warning()) {
        screen.message(&format!("warning: {warning}\n"));
    }
    if !settings.quiet {
        screen.message(&format!("{name}: {sent} job {job}\n"));
    }
    if matches!(sent, Sent::New) {
        told.tell(&mut client, job).await;
    }
    if arguments.detach {
        let text = format!("{job}\n");
        return super::print(screen, &text);
    }
    let on_interrupt = if arguments.stop_on_interrupt { OnInterrupt::Stop } else { OnInterrupt::Leave };
    let job = JobRef::Id(job);
    let follow = Follow { screen: screen.clone(), job, name, goal: Goal::Done, quiet: settings.quiet };
    follow.run(&mut client, on_interrupt).await
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

/// The statements of the catalog that a script needs. A cluster that does not answer has none, with a warning.
async fn needed_of_catalog(
    arguments: &SubmitArguments,
    coordinators: &str,
    script: &Script,
    screen: &Screen,
) -> Result<Vec<String>> {
    let patience = arguments.cluster.timeout.min(CATALOG);
    let mut client = Client::new(coordinators, patience, arguments.cluster.credentials()?)?;
    Ok(match catalog::of(&mut client, &arguments.namespace).await {
        Ok(catalog) => needed(&catalog.statements, script, &Functions::built_in()),
        Err(unknown) => {
            screen.message(&format!("warning: the catalog is not known: {unknown}\n"));
            Vec::new()
        }
    })
}

/// Warnings about results of earlier jobs, as far as they can be seen from here. A job that is there already may have written them
/// itself.
async fn earlier_results(
    graph: &JobGraph,
    client: &mut Client,
    arguments: &SubmitArguments,
    name: &str,
) -> Result<Vec<String>> {
    let refused = match leftovers::earlier_results(graph, &crate::connectors::builtin()).await {
        Err(refused) => refused,
        warnings => return warnings,
    };
    let named = JobRef::Name { namespace: arguments.namespace.clone(), name: name.to_owned() };
    match client.call(ClientRequest::DescribeJob { job: named, graph: false }).await {
        Ok(_) => Ok(Vec::new()),
        Err(_) => Err(refused),
    }
}

/// A name for the job that can be one: `2.sql` is `job-2`.
fn name_of_job(job: &Job, arguments: &SubmitArguments) -> String {
    let name = job.name(&arguments.script);
    if is_number(&name) { format!("job-{name}") } else { name }
}

/// A `SELECT` has a job for as long as somebody reads its rows.
fn check_select(arguments: &SubmitArguments, parsed: &Script, query: &Spanned<Statement>) -> Result<()> {
    let (what, help) = if arguments.detach {
        (
            "with --detach, nobody would be there to read the rows of this SELECT",
            "leave --detach out, or write the rows into a table with INSERT INTO",
        )
    } else if arguments.stop_on_interrupt {
        (
            "--stop-on-interrupt is of no use to a SELECT, whose job cannot go on without this command",
            "leave it out: ^C cancels the job and deletes it; or write the rows into a table with INSERT INTO",
        )
    } else {
        return Ok(());
    };
    Err(error_at(&parsed.text, query.span, what).with_help(help))
}

/// Runs a `SELECT` in the cluster and prints its rows here.
async fn select(
    arguments: &SubmitArguments,
    screen: &Arc<Screen>,
    (parsed, job): (&Script, &Job),
    settings: &Settings,
    client: &mut Client,
) -> Result<Exit> {
    let answer = client.call(ClientRequest::DescribeCluster).await?;
    let cluster = expect_answer!(answer, ClientResponse::Cluster(cluster) => cluster)?;
    let results = Results::new(screen.clone(), output_on(settings, screen), false);
    let rows = Rows::new(&arguments.namespace, &cluster, results)?;
    let planned = plan(parsed, settings, screen, rows.options())?;
    if let Some(last_row) = planned.last_row {
        rows.results().end_behind(last_row);
    }
    if planned.has_changes && arguments.is_live {
        rows.results().show_what_is_left();
    }
    let graph = graph_of(planned)?;
    // Such jobs come and go, and two people may run the same script at the same time.
    let default_name = || {
        let name = settings.name.clone().unwrap_or_else(|| name_of_job(job, arguments));
        format!("{name}-{}", rows.letters())
    };
    let name = arguments.name.clone().unwrap_or_else(default_name);
    let request = request(&arguments.namespace, job.text()?, settings, name, graph);
    let select = Select { rows, files: job.files(), screen: screen.clone(), quiet: settings.quiet };
    select.run(client, request).await
}

/// Plans the script for other processes. `result`: options of the table that a bare `SELECT` writes.
fn plan(parsed: &Script, settings: &Settings, screen: &Arc<Screen>, result: BTreeMap<String, String>) -> Result<Plan> {
    let results = Results::new(screen.clone(), Output::Table, false);
    let connectors = Arc::new(crate::connectors::builtin().with(ResultConnector(results)));
    let directory = std::env::current_dir()
        .map_err(|error| Error::environment("the working directory is gone").with_source(error))?;
    planning::plan_elsewhere(parsed, settings, connectors, directory, result)
}
