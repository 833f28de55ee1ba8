//! A job as the engine takes it: [`weir_core::plugin::Plugin`] around the function that is the job.
//!
//! The engine asks for the job once, where it is planned, and for its operators wherever they run. Operators are closures of that
//! function, which may depend on the job's arguments; so the arguments travel as the operators' configuration, and the function is
//! called again.

use std::collections::BTreeMap;

use weir_core::plugin::{FunctionCode, FunctionSignature, JobDescription, OperatorRequest, Plugin, PluginInfo};
use weir_core::{Error, Operator, Result};

use crate::function::{ExportFunctions, Functions};
use crate::job::{Job, describe};

/// The function that is a job.
pub type Main = fn(&mut Job) -> Result<()>;

/// A job as the engine takes it.
#[derive(Debug, Clone)]
pub struct JobPlugin {
    info: PluginInfo,
    /// `None`: it exports functions alone.
    main: Option<Main>,
    functions: Option<ExportFunctions>,
}

impl JobPlugin {
    /// The job that `main` is. Name and version are those of its crate: `env!("CARGO_PKG_NAME")`, `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str, main: Main) -> Self {
        Self { main: Some(main), ..Self::without_job(name, version) }
    }

    /// A plugin that is no job. It exports [functions](Self::with_functions).
    pub fn without_job(name: &str, version: &str) -> Self {
        let info = PluginInfo { name: name.to_owned(), version: version.to_owned() };
        Self { info, main: None, functions: None }
    }

    /// The same, which exports functions to SQL.
    #[must_use]
    pub fn with_functions(self, functions: ExportFunctions) -> Self {
        Self { functions: Some(functions), ..self }
    }

    fn main(&self) -> Result<Main> {
        self.main.ok_or_else(|| {
            Error::user(format!("the plugin {} is no job: it exports functions to SQL", self.info.name)).with_help(
                "call them in a script, behind `CREATE FUNCTION name AS 'exported_name' USING ARTIFACT 'file'`",
            )
        })
    }
}

impl Plugin for JobPlugin {
    fn info(&self) -> PluginInfo {
        self.info.clone()
    }

    fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        let plan = Job::planned(self.main()?, arguments)?;
        let config = serde_json::to_vec(arguments)
            .map_err(|error| Error::internal("arguments cannot be written").with_source(error))?;
        Ok(describe(&plan.borrow(), &self.info.name, &config))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let arguments: BTreeMap<String, String> = serde_json::from_slice(&request.config)
            .map_err(|error| Error::internal("the arguments of the job cannot be read").with_source(error))?;
        let plan = Job::planned(self.main()?, &arguments)?;
        let plan = plan.borrow();
        let found = plan.operators().find(|operator| operator.step.operator == request.operator);
        let found = found.ok_or_else(|| {
            let (job, name) = (&self.info.name, &request.operator);
            Error::user(format!("{job} has no step '{name}'"))
                .with_help("this version of it has other steps than the job was planned with")
        })?;
        (found.make)(&found.sides)
    }

    fn functions(&self) -> Result<Vec<FunctionSignature>> {
        let Some(export) = self.functions else { return Ok(Vec::new()) };
        Ok(Functions::of(export)?.into_values().map(|exported| exported.signature).collect())
    }

    fn function(&self, name: &str) -> Result<(FunctionSignature, FunctionCode)> {
        let exported = self.functions.map(Functions::of).transpose()?;
        let found = exported.and_then(|mut exported| exported.remove(name));
        let found = found.map(|exported| (exported.signature, exported.code));
        found.ok_or_else(|| Error::user(format!("the plugin {} exports no function '{name}'", self.info.name)))
    }
}
