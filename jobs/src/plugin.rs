//! A job as the engine takes it: [`weir_core::plugin::Plugin`] around the function that is the job.
//!
//! The engine asks for the job once, where it is planned, and for its operators wherever they run. Operators are closures of that
//! function, which may depend on the job's arguments; so the arguments travel as the operators' configuration, and the function is
//! called again.

use std::collections::BTreeMap;

use weir_core::plugin::{JobDescription, OperatorRequest, Plugin, PluginInfo};
use weir_core::{Error, Operator, Result};

use crate::job::{Job, describe};

/// The function that is a job.
pub type Main = fn(&mut Job) -> Result<()>;

/// A job as the engine takes it.
#[derive(Debug, Clone)]
pub struct JobPlugin {
    info: PluginInfo,
    main: Main,
}

impl JobPlugin {
    /// The job that `main` is. Name and version are those of its crate: `env!("CARGO_PKG_NAME")`, `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str, main: Main) -> Self {
        Self { info: PluginInfo { name: name.to_owned(), version: version.to_owned() }, main }
    }
}

impl Plugin for JobPlugin {
    fn info(&self) -> PluginInfo {
        self.info.clone()
    }

    fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        let plan = Job::planned(self.main, arguments)?;
        let config = serde_json::to_vec(arguments)
            .map_err(|error| Error::internal("arguments cannot be written").with_source(error))?;
        Ok(describe(&plan.borrow(), &self.info.name, &config))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let arguments: BTreeMap<String, String> = serde_json::from_slice(&request.config)
            .map_err(|error| Error::internal("the arguments of the job cannot be read").with_source(error))?;
        let plan = Job::planned(self.main, &arguments)?;
        let plan = plan.borrow();
        let found = plan.operators().find(|operator| operator.step.operator == request.operator);
        let found = found.ok_or_else(|| {
            let (job, name) = (&self.info.name, &request.operator);
            Error::user(format!("{job} has no step '{name}'"))
                .with_help("this version of it has other steps than the job was planned with")
        })?;
        (found.make)(&found.sides)
    }
}
