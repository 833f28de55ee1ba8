//! From a parsed script to a job: where the command line meets the planner.

use std::sync::Arc;

use weir_core::{ConnectorRegistry, Error, Result};
use weir_sql::{Plan, PlanOptions, Script};

use crate::result;
use crate::settings::{AggregatePhases, Settings};

/// Plans the script.
///
/// # Errors
/// If it asks for what does not exist or cannot run as a stream, with the place.
pub fn plan(script: &Script, settings: &Settings, connectors: Arc<dyn ConnectorRegistry>) -> Result<Plan> {
    let options = PlanOptions {
        source_idle_timeout: settings.idle_timeout,
        late_table: settings.late_rows_table.clone(),
        two_phase: settings.aggregate_phases != AggregatePhases::One,
        result_connector: result::NAME.to_owned(),
    };
    weir_sql::plan(script, connectors, &options)
}

/// The dataflow of the script's job, as text.
///
/// # Errors
/// Those of [`plan`].
pub fn explain(script: &Script, settings: &Settings, connectors: Arc<dyn ConnectorRegistry>) -> Result<String> {
    let plan = plan(script, settings, connectors)?;
    match (&plan.graph, plan.explain.as_slice()) {
        (Some(graph), _) => Ok(weir_sql::explain(graph)),
        (None, []) => Err(Error::user("the script has nothing to explain: no INSERT, no SELECT")),
        (None, explanations) => Ok(explanations.concat()),
    }
}
