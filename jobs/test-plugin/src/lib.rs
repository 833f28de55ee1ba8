//! A plugin for tests, written against the engine's own traits. Its job counts rows by key; with the argument `fault` it does what a plugin must
//! not do.
//!
//! - `columns`: what rows consist of
//! - `count`: how often each key has come, kept as state
//! - `echo`: what comes in goes out
//! - `fault`: what goes wrong
//! - `functions`: what SQL calls
//! - `tables`: a source of numbers, and a sink that writes files

mod columns;
mod count;
mod echo;
mod fault;
mod functions;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weir_core::plugin::{
    FunctionCode, FunctionSignature, JobDescription, JobStep, OperatorRequest, OperatorStep, PLUGIN_CONNECTOR, Plugin,
    PluginInfo, PluginSink, PluginSource, PluginTableKind, SideOutput, Spread, StepInput, TableRequest, TableStep,
};
use weir_core::{ChangelogKind, Error, Operator, Result};

pub use columns::{count_input, count_output, table_columns};
pub use fault::Fault;

/// The plugin.
pub struct TestPlugin;

weir_plugin_abi::export_plugin!(TestPlugin);

/// The plugin's file, as cargo has built it for whoever depends on this crate.
///
/// # Panics
/// Where there is none: outside of cargo's tests.
pub fn file() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a program");
    let directory = test.parent().expect("it is in a directory");
    let names = [directory.join("libweir_test_plugin.so"), directory.join("../libweir_test_plugin.so")];
    let found = names.iter().find(|path| path.exists()).map(PathBuf::as_path);
    found.unwrap_or_else(|| Path::new("cargo has not built the plugin")).to_path_buf()
}

impl Plugin for TestPlugin {
    fn info(&self) -> PluginInfo {
        PluginInfo { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() }
    }

    /// With the argument `numbers`, a folder, the job whose source and sink are the plugin's own, with `fault`, `where` (`sink`, or else in the source) and `once`. Arguments of the other one: `input` and `output`, directories of CSV and of JSON files; `watch`, how often to look for more; `fault`, and `where` it happens: `plan`, or else in
    /// `process`; `once`, a file that is there from its first time on, so that there is no second;
    /// `set`, a setting of the job, as `key:value`.
    fn job(&self, arguments: &BTreeMap<String, String>) -> Result<JobDescription> {
        if let Some(folder) = arguments.get("numbers") {
            return Ok(numbers(folder, arguments));
        }
        if let Some(unknown) = arguments
            .keys()
            .find(|name| !["input", "output", "watch", "fault", "where", "once", "set"].contains(&name.as_str()))
        {
            return Err(
                Error::user(format!("there is no argument `{unknown}`")).with_help("it takes `input` and `output`")
            );
        }
        let argument = |name: &str| {
            arguments
                .get(name)
                .ok_or_else(|| Error::user(format!("the argument `{name}` is missing")).with_help("say where"))
        };
        let fault = arguments.get("fault").map(|fault| fault.parse::<Fault>()).transpose()?;
        if let (Some(fault), Some("plan")) = (fault, arguments.get("where").map(String::as_str)) {
            fault.happen()?;
        }
        let watch = arguments.get("watch").map(|pause| format!(", 'source.monitor-interval' = '{pause}'"));
        let watch = watch.unwrap_or_default();
        let tables = format!(
            "CREATE TABLE words (word STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH (
               'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv'{watch});
             CREATE TABLE counted (word STRING, n BIGINT) WITH (
               'connector' = 'filesystem', 'path' = '{}', 'format' = 'json')",
            argument("input")?.replace('\'', "''"),
            argument("output")?.replace('\'', "''"),
        );
        let once = arguments.get("once").map(|file| format!("\n{file}")).unwrap_or_default();
        let fault = fault.map(|fault| format!("{fault}{once}").into_bytes()).unwrap_or_default();
        let set = arguments.get("set").and_then(|setting| setting.split_once(':'));
        let set = set.map(|(key, value)| format!("SET '{key}' = '{value}';\n")).unwrap_or_default();
        Ok(JobDescription {
            name: "counted-words".into(),
            steps: vec![
                JobStep::Sql(set + &tables),
                JobStep::Sql("CREATE VIEW spoken AS SELECT UPPER(word) AS word, ts FROM words WHERE word <> ''".into()),
                JobStep::Operator(count_step("counts", "spoken", fault)),
                JobStep::Sql("INSERT INTO counted SELECT word, n FROM counts WHERE n > 0".into()),
            ],
        })
    }

    fn operator(&self, request: &OperatorRequest) -> Result<Box<dyn Operator>> {
        Ok(match &*request.operator {
            "count" => Box::new(count::Count::new(&request.config)?),
            "echo" => Box::new(echo::Echo::new(&request.config)),
            other => return Err(Error::user(format!("there is no operator `{other}`"))),
        })
    }

    fn source(&self, request: &TableRequest) -> Result<Box<dyn PluginSource>> {
        tables::source(request)
    }

    fn sink(&self, request: &TableRequest) -> Result<Box<dyn PluginSink>> {
        tables::sink(request)
    }

    fn functions(&self) -> Result<Vec<FunctionSignature>> {
        Ok(functions::signatures())
    }

    fn function(&self, name: &str) -> Result<(FunctionSignature, FunctionCode)> {
        functions::find(name)
    }
}

/// The numbers of a source, in a sink that writes files into a folder. With `fault`, something goes wrong in the source, or, if that is what
/// `where` says, in the `sink`; with `once`, a file, it does so once.
fn numbers(folder: &str, arguments: &BTreeMap<String, String>) -> JobDescription {
    let argument = |name: &str| arguments.get(name).map_or("", String::as_str);
    let risk = match (argument("fault"), argument("once")) {
        (fault, "") => fault.to_owned(),
        (fault, once) => format!("{fault}\n{once}"),
    };
    let in_sink = argument("where") == "sink";
    let table = |name: &str, table: &str, config: String, kind| {
        JobStep::Table(TableStep {
            declaration: format!(
                "CREATE TABLE {name} (n BIGINT NOT NULL, v STRING) WITH ('connector' = '{PLUGIN_CONNECTOR}')"
            ),
            table: table.into(),
            config: config.into_bytes(),
            kind,
        })
    };
    let (of_source, of_sink) = if in_sink { ("", &*risk) } else { (&*risk, "") };
    JobDescription {
        name: "numbers".into(),
        steps: vec![
            table("numbers", "steady", of_source.into(), PluginTableKind::Source { bounded: true }),
            table("files", "files", format!("{folder}\n{of_sink}"), PluginTableKind::Sink),
            JobStep::Sql("INSERT INTO files SELECT n, v FROM numbers".into()),
        ],
    }
}

/// The view `view` of how often each word of `relation` has come. Those that come without one are in `view_unspoken`.
pub fn count_step(view: &str, relation: &str, config: Vec<u8>) -> OperatorStep {
    OperatorStep {
        view: view.into(),
        operator: "count".into(),
        config,
        uid: None,
        inputs: vec![StepInput {
            relation: relation.into(),
            columns: count_input(),
            spread: Spread::Keys(vec!["word".into()]),
            event_time: Some("ts".into()),
            takes_retractions: false,
        }],
        output: count_output(),
        event_time: Some("ts".into()),
        changelog: ChangelogKind::Append,
        side_outputs: vec![SideOutput { view: format!("{view}_unspoken"), columns: count_input() }],
        emits_at_markers: false,
        wants_ticks: false,
        awaits_answers: false,
        drops: Vec::new(),
    }
}
