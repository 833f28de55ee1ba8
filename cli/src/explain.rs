//! `weir explain`: the dataflow of a script, without running it.

use std::sync::Arc;

use weir_core::Result;

use crate::args::ScriptArguments;
use crate::result::{Output, ResultConnector, Results};
use crate::script::Job;
use crate::settings::{Settings, apply_settings};
use crate::terminal::Screen;
use crate::{connectors, planning};

/// The dataflow as text.
///
/// # Errors
/// Those of planning the script.
pub async fn explain(arguments: &ScriptArguments, screen: &Arc<Screen>) -> Result<String> {
    let mut layers = arguments.layers()?;
    let parsed = Job::read(arguments).await?.script("")?;
    apply_settings(&parsed, &mut layers)?;
    let settings = Settings::resolve(&layers, 1);
    let results = Results::new(screen.clone(), Output::Table, false);
    let connectors = connectors::builtin().with(ResultConnector(results));
    planning::explain(&parsed, &settings, Arc::new(connectors))
}
