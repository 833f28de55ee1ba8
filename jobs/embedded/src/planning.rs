//! From a parsed script to a job: where the command line meets the planner.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use weir_core::connector::RESULT_CONNECTOR;
use weir_core::{ConnectorRegistry, Error, Result};
use weir_functions::Functions;
use weir_sql::{Answer, Plan, PlanOptions, Script};

use crate::settings::{AggregatePhases, Settings};

/// Plans the script.
///
/// # Errors
/// If it asks for what does not exist or cannot run as a stream, with the place.
pub fn plan(script: &Script, settings: &Settings, connectors: Arc<dyn ConnectorRegistry>) -> Result<Plan> {
    isolated(weir_sql::plan(script, connectors, &options(settings, None, BTreeMap::new()))?, settings)
}

/// Plans a script for other processes, which have other working directories than this one: paths start in `directory`. `result` are the
/// options of the table that a bare `SELECT` writes.
///
/// # Errors
/// Those of [`plan`].
pub fn plan_elsewhere(
    script: &Script,
    settings: &Settings,
    connectors: Arc<dyn ConnectorRegistry>,
    directory: PathBuf,
    result: BTreeMap<String, String>,
) -> Result<Plan> {
    isolated(weir_sql::plan(script, connectors, &options(settings, Some(directory), result))?, settings)
}

fn isolated(mut plan: Plan, settings: &Settings) -> Result<Plan> {
    if settings.isolation.is_none() && settings.plugin_memory_limit.is_some() {
        return Err(Error::user(
            "plugin.memory-limit limits processes of plugins, and plugins run in none of their own",
        )
        .with_help("set 'plugin.isolation' = 'process' too, or leave the limit out"));
    }
    plan.graph.as_mut().map_or(Ok(()), |graph| graph.isolate(settings.isolation))?;
    Ok(plan)
}

fn options(settings: &Settings, directory: Option<PathBuf>, result_options: BTreeMap<String, String>) -> PlanOptions {
    PlanOptions {
        source_idle_timeout: settings.idle_timeout,
        state_ttl: settings.state_ttl_ms(),
        state_ttl_in_event_time: settings.state_ttl_in_event_time,
        late_table: settings.late_rows_table.clone(),
        two_phase: settings.aggregate_phases != AggregatePhases::One,
        result_connector: RESULT_CONNECTOR.to_owned(),
        result_options,
        directory,
        functions: Functions::built_in(),
    }
}

/// The dataflow of the script's job, as text.
///
/// # Errors
/// Those of [`plan`].
pub fn explain(script: &Script, settings: &Settings, connectors: Arc<dyn ConnectorRegistry>) -> Result<String> {
    explained(plan(script, settings, connectors)?)
}

/// A plan, as text.
///
/// # Errors
/// If there is nothing in it.
pub fn explained(plan: Plan) -> Result<String> {
    if let Some(graph) = &plan.graph {
        return Ok(weir_sql::explain(graph));
    }
    let texts = plan.answers.iter().filter_map(|answer| match answer {
        Answer::Text(text) => Some(text.as_str()),
        Answer::Rows(_) => None,
    });
    let texts: String = texts.collect();
    if texts.is_empty() {
        return Err(Error::user("the script has nothing to explain: no INSERT, no SELECT"));
    }
    Ok(texts)
}
