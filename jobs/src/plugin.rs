//! A job as the engine takes it: [`weir_core::plugin::Plugin`] around the function that is the job.
//!
//! The engine asks for the job once, where it is planned, and for its operators, sources and sinks wherever they run. They are closures of that
//! function, which may depend on the job's arguments; so the arguments travel as their configuration, and the function is
//! called again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use weir_core::plugin::{
    FunctionCode, FunctionSignature, JobDescription, OperatorRequest, Plugin, PluginInfo, PluginSink, PluginSource,
    TableRequest,
};
use weir_core::{Error, Operator, Result};

use crate::function::{ExportFunctions, Functions};
use crate::job::{Job, MakeTable, SharedPlan, TablePlan, describe};

/// The function that is a job.
pub type Main = fn(&mut Job) -> Result<()>;

/// Declares tables in front of a job.
type Declare = Arc<dyn Fn(&mut Job) + Send + Sync>;

/// A job as the engine takes it.
#[derive(Clone)]
pub struct JobPlugin {
    info: PluginInfo,
    /// `None`: it exports functions alone.
    main: Option<Main>,
    functions: Option<ExportFunctions>,
    /// What the application has declared that runs the job.
    declared: Vec<Declare>,
}

impl fmt::Debug for JobPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JobPlugin").field(&self.info).finish()
    }
}

impl JobPlugin {
    /// The job that `main` is. Name and version are those of its crate: `env!("CARGO_PKG_NAME")`, `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: &str, version: &str, main: Main) -> Self {
        Self { main: Some(main), ..Self::without_job(name, version) }
    }

    /// A plugin that is no job. It exports [functions](Self::with_functions).
    pub fn without_job(name: &str, version: &str) -> Self {
        let info = PluginInfo { name: name.to_owned(), version: version.to_owned() };
        Self { info, main: None, functions: None, declared: Vec::new() }
    }

    /// The same, which exports functions to SQL.
    #[must_use]
    pub fn with_functions(self, functions: ExportFunctions) -> Self {
        Self { functions: Some(functions), ..self }
    }

    /// The same, in front of whose job tables are declared.
    #[must_use]
    pub fn declaring(mut self, declare: impl Fn(&mut Job) + Send + Sync + 'static) -> Self {
        self.declared.push(Arc::new(declare));
        self
    }

    /// The plan of the job with these arguments.
    fn planned(&self, arguments: &BTreeMap<String, String>) -> Result<SharedPlan> {
        let main = self.main()?;
        let whole = |job: &mut Job| {
            self.declared.iter().for_each(|declare| declare(job));
            main(job)
        };
        Job::planned(whole, arguments)
    }

    /// The plan of the job with what a step of it was told.
    fn planned_again(&self, config: &[u8]) -> Result<SharedPlan> {
        let arguments: BTreeMap<String, String> = serde_json::from_slice(config)
            .map_err(|error| Error::internal("the arguments of the job cannot be read").with_source(error))?;
        self.planned(&arguments)
    }

    /// Looks for a table of the job's own.
    fn table<T>(&self, request: &TableRequest, what: &str, find: impl Fn(&TablePlan) -> Option<T>) -> Result<T> {
        let plan = self.planned_again(&request.config)?;
        let plan = plan.borrow();
        let found = plan.own_tables().filter(|table| table.step.table == request.table).find_map(find);
        found.ok_or_else(|| {
            let (job, name) = (&self.info.name, &request.table);
            Error::user(format!("{job} has no {what} '{name}'"))
                .with_help("this version of it has other tables than the job was planned with")
        })
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
        let plan = self.planned(arguments)?;
        let config = serde_json::to_vec(arguments)
            .map_err(|error| Error::internal("arguments cannot be written").with_source(error))?;
        Ok(describe(&plan.borrow(), &self.info.name, &config))
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        let plan = self.planned_again(&request.config)?;
        let plan = plan.borrow();
        let found = plan.operators().find(|operator| operator.step.operator == request.operator);
        let found = found.ok_or_else(|| {
            let (job, name) = (&self.info.name, &request.operator);
            Error::user(format!("{job} has no step '{name}'"))
                .with_help("this version of it has other steps than the job was planned with")
        })?;
        (found.make)(&found.sides)
    }

    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        self.table(request, "source", |table| match &table.make {
            MakeTable::Source(make) => Some(make(request)),
            MakeTable::Sink(_) => None,
        })
    }

    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        self.table(request, "sink", |table| match &table.make {
            MakeTable::Source(_) => None,
            MakeTable::Sink(make) => Some(make()),
        })
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
