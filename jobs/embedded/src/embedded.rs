//! From a job to the job that runs: what an application says, planned and started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use weir_connectors::Registry;
use weir_core::{Connector, ConnectorRegistry, Error, Result};
use weir_jobs::{Commit, ExportFunctions, Job, JobPlugin, Main, Record, Sink, Source, Table, sink_fn};
use weir_sql::diagnostics::error_at;
use weir_sql::{Script, Statement};
use weir_worker::secrets::Resolving;

use crate::job::RunRequest;
use crate::linked::LinkedJob;
use crate::running::RunningJob;
use crate::settings::{Layers, Origin, Settings, apply_settings, registry};
use crate::{connectors, planning, secrets};

/// How a job is run in this process. Every setting of `weir options` can be [set](Self::set); those that most jobs need have methods of
/// their own. What the program says goes before what the job's SQL says with `SET`.
#[must_use = "nothing runs before `run` or `run_sql`"]
pub struct Embedded {
    settings: BTreeMap<String, String>,
    state_dir: Option<PathBuf>,
    arguments: BTreeMap<String, String>,
    functions: Option<ExportFunctions>,
    declared: Vec<Declare>,
    connectors: Registry,
}

/// Declares a table in front of the job.
type Declare = Arc<dyn Fn(&mut Job) + Send + Sync>;

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

impl Embedded {
    /// As many subtasks of each operator as the machine has cores, a checkpoint every 10 seconds, and no state that outlives the
    /// process.
    pub fn new() -> Self {
        Self {
            settings: BTreeMap::new(),
            state_dir: None,
            arguments: BTreeMap::new(),
            functions: None,
            declared: Vec::new(),
            connectors: connectors::builtin(),
        }
    }

    /// Keeps state and checkpoints in this folder, which is made if it is not there and is the job's own. A job whose state is there goes on
    /// with it. Without one, a job begins anew whenever it is run.
    pub fn state_dir(self, folder: impl Into<PathBuf>) -> Self {
        Self { state_dir: Some(folder.into()), ..self }
    }

    /// As how many subtasks each operator runs: 1 to 1024. May differ from run to run.
    pub fn parallelism(self, subtasks: usize) -> Self {
        self.set(registry::PARALLELISM, subtasks)
    }

    /// The time between the starts of two checkpoints, in milliseconds at the finest. Zero: only the last one is taken.
    pub fn checkpoint_interval(self, interval: Duration) -> Self {
        self.set(registry::CHECKPOINT_INTERVAL, format!("{} ms", interval.as_millis()))
    }

    /// Any setting, as `-D key=value` sets it for `weir run`.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.insert(key.to_owned(), value.to_string());
        self
    }

    /// An argument of the job, as `--arg name=value` gives it to a plugin.
    pub fn argument(mut self, name: &str, value: impl ToString) -> Self {
        self.arguments.insert(name.to_owned(), value.to_string());
        self
    }

    /// Functions that the job's SQL calls, as `weir_jobs::export!(…, functions: …)` exports them from a plugin.
    pub fn functions(self, functions: ExportFunctions) -> Self {
        Self { functions: Some(functions), ..self }
    }

    /// Declares a table whose rows the application makes. The job reads it as any other.
    pub fn source<S: Source>(self, table: Table<S::Row>, source: S) -> Self {
        let source = Arc::new(source);
        self.declared(move |job| drop(job.create_source(table.clone(), source.clone())))
    }

    /// Declares a table whose rows go to the application. The job writes it as any other.
    pub fn sink<S: Sink>(self, table: Table<S::Row>, sink: S) -> Self {
        let sink = Arc::new(sink);
        self.declared(move |job| job.create_sink(table.clone(), sink.clone()))
    }

    /// Declares a table whose rows are handed to a function: those of an epoch at a time, when its checkpoint is complete, on a thread that may wait. After a crash the last
    /// epoch may come again, and is known by its number.
    pub fn deliver<R: Record>(
        self,
        table: &str,
        function: impl Fn(&mut Commit<'_, R>) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.sink(Table::new(table), sink_fn(function))
    }

    fn declared(mut self, declare: impl Fn(&mut Job) + Send + Sync + 'static) -> Self {
        self.declared.push(Arc::new(declare));
        self
    }

    /// A connector of the application's own, for the tables of the job; in the place of one that Weir has, if it has its name.
    pub fn connector(self, connector: impl Connector + 'static) -> Self {
        Self { connectors: self.connectors.with(connector), ..self }
    }

    /// Plans the job that this function is, and starts it.
    ///
    /// # Errors
    /// What is wrong with the job, its arguments or a setting. What goes wrong later is told by the job that runs.
    pub fn run(self, job: Main) -> Result<RunningJob> {
        let linked = LinkedJob::new(self.plugin(Some(job)));
        let script = linked.script(&self.arguments)?;
        self.start(&script, linked)
    }

    /// Plans a script, with `INSERT`, and starts its job.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_sql(self, script: &str) -> Result<RunningJob> {
        if let Some(name) = self.arguments.keys().next() {
            return Err(Error::user(format!("a script takes no arguments, and '{name}' is given")));
        }
        // Its tables are those of a job that has nothing else.
        let tables: Option<Main> = if self.declared.is_empty() { None } else { Some(|_| Ok(())) };
        let linked = LinkedJob::new(self.plugin(tables));
        let script = linked.declared(script, tables.is_some())?;
        self.start(&script, linked)
    }

    fn plugin(&self, main: Option<Main>) -> JobPlugin {
        let (name, version) = ("application", env!("CARGO_PKG_VERSION"));
        let plugin = match main {
            Some(main) => JobPlugin::new(name, version, main),
            None => JobPlugin::without_job(name, version),
        };
        let plugin = match self.functions {
            Some(functions) => plugin.with_functions(functions),
            None => plugin,
        };
        let declare = |plugin: JobPlugin, declare: &Declare| {
            let declare = declare.clone();
            plugin.declaring(move |job| declare(job))
        };
        self.declared.iter().fold(plugin, declare)
    }

    fn start(self, script: &Script, linked: LinkedJob) -> Result<RunningJob> {
        let settings = self.resolved(script)?;
        if let Some(query) = script.statements.iter().find(|found| matches!(found.value, Statement::Query(_))) {
            return Err(error_at(&script.text, query.span, "nobody reads the rows of this SELECT")
                .with_help("write them into a table with INSERT INTO"));
        }
        let connectors: Arc<dyn ConnectorRegistry> = Arc::new(self.connectors);
        let planned = planning::plan(script, &settings, connectors.clone())?;
        for warning in &planned.warnings {
            tracing::warn!("{warning}");
        }
        let graph = planned.graph.ok_or_else(|| Error::user("the job has nothing to run: no INSERT"))?;
        let functions = weir_functions::Functions::built_in().of_job(&graph, Arc::new(linked))?;
        let connectors = Arc::new(Resolving::new(connectors, secrets::of_process()));
        RunningJob::start(RunRequest::new(&settings, Arc::new(graph), connectors, Arc::new(functions)))
    }

    fn resolved(&self, script: &Script) -> Result<Settings> {
        let mut layers = Layers::default();
        for (key, value) in &self.settings {
            layers.set_on_command_line(key, value, Origin::Program)?;
        }
        apply_settings(script, &mut layers)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut settings = Settings::resolve(&layers, cores);
        if self.state_dir.is_some() {
            settings.state_dir.clone_from(&self.state_dir);
        }
        settings.check()?;
        Ok(settings)
    }
}
