//! From a parsed script to a job: where the command line meets the planner.

use weir_core::{ConnectorRegistry, JobGraph, Result};
use weir_sql::Script;

use crate::settings::Settings;

/// What a script comes to.
pub struct Planned {
    /// The job; `None` if the script only explains.
    pub graph: Option<JobGraph>,
    /// Answers to `EXPLAIN` statements.
    pub explanations: Vec<String>,
}

/// Plans the script.
///
/// # Errors
/// If it asks for what does not exist or cannot run as a stream, with the place.
pub fn plan(script: &Script, settings: &Settings, connectors: &dyn ConnectorRegistry) -> Result<Planned> {
    let _ = (script, settings, connectors);
    Err(weir_core::Error::internal("the planner is not part of this build"))
}

/// The dataflow of the script's job, as text.
///
/// # Errors
/// Those of [`plan`].
pub fn explain(script: &Script, settings: &Settings, connectors: &dyn ConnectorRegistry) -> Result<String> {
    let planned = plan(script, settings, connectors)?;
    Ok(planned.explanations.concat())
}
