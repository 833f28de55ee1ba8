//! From a script to a job: the statements in order, the catalog as it is at each of them, and for every query a logical
//! plan that is optimised and lowered.
//!
//! All `INSERT`s of a script are one job. What they share, such as the scan of a table, runs once, because equal nodes of
//! a [`JobGraph`] are one.

mod answer;
mod insert;
mod nulls;
mod operator;
pub mod shared;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion_expr::LogicalPlan;
use datafusion_expr::logical_plan::FetchType;
use weir_core::connector::Boundedness;
use weir_core::{ConnectorRegistry, Error, JobGraph, NullTimes, OperatorSpec, Result, TableSpec};

pub use answer::Answer;

use crate::catalog::{Catalog, Found, Relation, Table};
use crate::diagnostics::{Source, did_you_mean};
use crate::explain::{explained, growing};
use crate::logical::Tables;
use crate::lower::{Columns, Lowering};
use crate::options::PlanOptions;
use crate::stack::with_room;
use crate::statement::{Script, Span, Spanned, Statement};

/// What a script comes to.
#[derive(Debug)]
pub struct Plan {
    /// The job; `None` if the script has no `INSERT` and no bare query.
    pub graph: Option<JobGraph>,
    /// Answers to `EXPLAIN`, `SHOW` and `DESCRIBE`, in their order.
    pub answers: Vec<Answer>,
    /// `SET` statements that hold at the end of the script.
    pub settings: Vec<(Spanned<String>, Spanned<String>)>,
    /// Columns of a bare query's result.
    pub result_schema: Option<SchemaRef>,
    /// Whether the job ends by itself.
    pub boundedness: Boundedness,
    /// A bare query over input that goes on has no more rows than so many, and those that there are stay: the job may end with the
    /// last of them.
    pub last_row: Option<u64>,
    /// The rows of a bare query are changes, and say in their first column what happens to each.
    pub has_changes: bool,
    /// What is legal and yet likely not meant.
    pub warnings: Vec<String>,
    /// What to call the job if nobody says.
    pub default_name: String,
}

/// The `SET` statements of a script that hold at its end, for whoever has to know them before planning.
pub fn settings(script: &Script) -> Vec<(Spanned<String>, Spanned<String>)> {
    let mut settings: Vec<(Spanned<String>, Spanned<String>)> = Vec::new();
    for statement in &script.statements {
        match &statement.value {
            Statement::Set { key, value } => {
                settings.retain(|(known, _)| known.value != key.value);
                settings.push((key.clone(), value.clone()));
            }
            Statement::Reset { key: Some(key) } => settings.retain(|(known, _)| known.value != key.value),
            Statement::Reset { key: None } => settings.clear(),
            _ => {}
        }
    }
    settings
}

/// Plans a script.
///
/// # Errors
/// A user error at its place in the script if it names what does not exist or cannot run as a stream.
pub fn plan(script: &Script, connectors: Arc<dyn ConnectorRegistry>, options: &PlanOptions) -> Result<Plan> {
    with_room(|| planned(script, connectors, options))
}

fn planned(script: &Script, connectors: Arc<dyn ConnectorRegistry>, options: &PlanOptions) -> Result<Plan> {
    let mut catalog =
        Catalog::new(Arc::clone(&connectors), Arc::clone(&options.functions)).anchored(options.directory.clone());
    let mut job = Job::new(script, options, &connectors);
    let source = Source::new(&script.text);
    let mut answers = Vec::new();
    let mut set: Vec<(&str, &str)> = Vec::new();
    for statement in &script.statements {
        if let Some((table, insert)) = insert::created_as(&catalog, &source, statement)? {
            catalog.apply(script, &table)?;
            job.add(&catalog, &insert, statement.span)?;
            continue;
        }
        if catalog.apply(script, statement)? {
            continue;
        }
        match &statement.value {
            Statement::Explain { details, statement: inner } => {
                let mut job = Job::new(script, options, &connectors);
                job.add(&catalog, inner, statement.span)?;
                job.finish(&catalog)?;
                let mut graph = job.lowering.into_graph();
                catalog.bind_functions(&source, &mut graph)?;
                answers.push(Answer::Text(explained(&graph, *details)));
            }
            Statement::Insert { .. } | Statement::Query(_) => job.add(&catalog, &statement.value, statement.span)?,
            Statement::Operator(operator) => operator::operator(&mut catalog, &source, operator, statement.span)?,
            Statement::Show(show) => answers.push(answer::shown(&catalog, &source, show, &set)?),
            Statement::Describe(name) => answers.push(answer::described(&catalog, &source, name, statement.span)?),
            Statement::Set { key, value } => {
                set.retain(|(known, _)| *known != key.value);
                set.push((&key.value, &value.value));
            }
            Statement::Jobs(_) => {
                return Err(source
                    .error(statement.span, "the jobs of a cluster are known to its shell alone")
                    .with_help("write it in `weir sql --cluster`; the same is done by `weir jobs`"));
            }
            Statement::Reset { key } => set.retain(|(known, _)| key.as_ref().is_some_and(|key| key.value != *known)),
            _ => {}
        }
    }
    job.finish(&catalog)?;
    job.warnings.splice(0..0, nulls::comparisons_with_null(script));
    let boundedness = job.boundedness();
    if boundedness == Boundedness::Unbounded {
        let warnings = growing(job.lowering.graph(), &|table| job.lowering.ends(table));
        job.warnings.extend(warnings);
    }
    let limit = match job.queries.as_slice() {
        [Query { plan, target: None, .. }] if boundedness == Boundedness::Unbounded => rows_at_most(plan),
        _ => None,
    };
    let mut graph = job.lowering.into_graph();
    catalog.bind_functions(&source, &mut graph)?;
    let changes = graph.nodes().iter().any(|node| matches!(node.spec.operator, OperatorSpec::ChangelogRows(_)));
    // What late rows and records that cannot be decoded go to would be cut off where it is.
    let sinks = graph.nodes().iter().filter(|node| matches!(node.spec.operator, OperatorSpec::Sink(_))).count();
    Ok(Plan {
        last_row: limit.filter(|_| !changes && sinks == 1),
        has_changes: changes,
        graph: (!graph.nodes().is_empty()).then_some(graph),
        answers,
        settings: settings(script),
        result_schema: job.result_schema,
        boundedness,
        warnings: job.warnings,
        default_name: job.names.join(", "),
    })
}

/// The limit around a query, if it has one.
fn rows_at_most(plan: &LogicalPlan) -> Option<u64> {
    match plan {
        LogicalPlan::Projection(projection) => rows_at_most(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => rows_at_most(&alias.input),
        LogicalPlan::Limit(limit) => match limit.get_fetch_type() {
            Ok(FetchType::Literal(Some(rows))) => u64::try_from(rows).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// A query of a job, planned and checked against its target.
struct Query {
    plan: LogicalPlan,
    span: Span,
    /// The table that it fills; without one its rows are printed.
    target: Option<(TableSpec, Columns)>,
}

/// A job that grows by a statement at a time.
struct Job<'a> {
    script: &'a Script,
    options: &'a PlanOptions,
    lowering: Lowering<'a>,
    queries: Vec<Query>,
    names: Vec<String>,
    result_schema: Option<SchemaRef>,
    warnings: Vec<String>,
}

impl<'a> Job<'a> {
    fn new(script: &'a Script, options: &'a PlanOptions, connectors: &Arc<dyn ConnectorRegistry>) -> Self {
        Self {
            script,
            options,
            lowering: Lowering::new(options, Arc::clone(connectors)),
            queries: Vec::new(),
            names: Vec::new(),
            result_schema: None,
            warnings: Vec::new(),
        }
    }

    fn add(&mut self, catalog: &Catalog, statement: &Statement, span: Span) -> Result<()> {
        let source = Source::new(&self.script.text);
        let tables = Tables::new(&self.script.text, catalog, span);
        match statement {
            Statement::Insert { target, columns, query } => {
                if self.queries.iter().any(|query| query.target.is_none()) {
                    return Err(mixed(&source, span));
                }
                let plan = tables.query(query)?;
                let table = insert::target(catalog, &source, target)?;
                let spec = table.sink_spec(&source, target.span)?;
                let filled = insert::filled(&source, &spec, target, columns, &plan)?;
                self.names.push(format!("insert-into_{}", table.name));
                self.queries.push(Query { plan, span, target: Some((spec, filled)) });
            }
            Statement::Query(query) => {
                if !self.queries.is_empty() {
                    return Err(mixed(&source, span));
                }
                let plan = tables.query(query)?;
                self.names.push("select".to_owned());
                self.queries.push(Query { plan, span, target: None });
            }
            _ => {
                return Err(source
                    .error(span, "only queries and INSERT INTO have a dataflow to explain")
                    .with_help("write `EXPLAIN SELECT …` or `EXPLAIN INSERT INTO …`"));
            }
        }
        Ok(())
    }

    /// Lowers all queries, then adds the side outputs of what they came to.
    fn finish(&mut self, catalog: &Catalog) -> Result<()> {
        let source = Source::new(&self.script.text);
        if self.queries.is_empty() {
            return Ok(());
        }
        for query in &self.queries {
            self.lowering.announce(&query.plan)?;
        }
        for Query { plan, span, target } in &self.queries {
            let lowered = match target {
                Some((table, filled)) => self.lowering.insert(plan, table.clone(), filled),
                None => self.lowering.result(plan).map(|schema| self.result_schema = Some(schema)),
            };
            let checked = lowered.and_then(|()| self.lowering.check_hints());
            checked.map_err(|error| placed(&source, *span, error))?;
        }
        self.lowering.leave_out_exchanges();
        for (reader, dead_letters) in self.dead_letter_tables(&source)? {
            let named = Spanned { value: dead_letters, span: reader.span };
            let database = catalog.databases().split(&reader.name).0;
            let table = insert::target_in(catalog, &source, database, &named)?;
            let spec = table.sink_spec(&source, reader.span)?;
            let reads = |read: &TableSpec| read.name == reader.name;
            self.lowering.rejected_records(spec, &reads).map_err(|error| placed(&source, table.span, error))?;
        }
        if let Some(late) = &self.options.late_table {
            let table = match catalog.get(late, false) {
                Found::One(Relation::Table(table)) => Arc::clone(table),
                _ => {
                    return Err(Error::user(format!("there is no table `{late}` for late rows"))
                        .with_help(did_you_mean(late, &catalog.names(), "the tables are")));
                }
            };
            let spec = table.sink_spec(&source, table.span)?;
            if !self.lowering.late_rows(spec).map_err(|error| placed(&source, table.span, error))? {
                self.warnings.push(format!("nothing can be late in this job, so `{late}` stays empty"));
            }
        }
        Ok(())
    }

    /// Tables with the policy `dead-letter`, and where their records go.
    fn dead_letter_tables(&self, source: &Source<'_>) -> Result<Vec<(Arc<Table>, String)>> {
        let mut found: Vec<(Arc<Table>, String)> = Vec::new();
        let sources = self.lowering.sources();
        for table in self.lowering.used_tables() {
            let Some(spec) = sources.iter().find(|spec| spec.name == table.name) else { continue };
            let undecodable = spec.options.get("error-policy").map(String::as_str) == Some("dead-letter");
            let (what, option) = match table.null_times {
                _ if undecodable => ("records that cannot be decoded", "error-policy"),
                NullTimes::DeadLetter => ("rows without an event time", "scan.watermark.null-policy"),
                NullTimes::Fail | NullTimes::Skip => continue,
            };
            let Some(target) = &table.dead_letters else {
                let message = format!("`{}` keeps {what}, but does not say where", table.name);
                return Err(source.error(table.span, message).with_help(format!(
                    "name a table with `'dead-letter.table' = '…'`, or pass over them with `'{option}' = 'skip'`"
                )));
            };
            if !found.iter().any(|(known, _)| known.name == table.name) {
                found.push((Arc::clone(table), target.clone()));
            }
        }
        Ok(found)
    }

    fn boundedness(&self) -> Boundedness {
        if self.lowering.sources().iter().all(|table| self.lowering.ends(table)) {
            Boundedness::Bounded
        } else {
            Boundedness::Unbounded
        }
    }
}

fn mixed(source: &Source<'_>, span: Span) -> Error {
    source
        .error(source.first_line(span), "a query whose result is printed is a job of its own")
        .with_help("put it into a script of its own, or write `INSERT INTO` a table with `'connector' = 'print'`")
}

/// An error of lowering, which knows no place, at its statement.
fn placed(source: &Source<'_>, statement: Span, error: Error) -> Error {
    if error.kind() != weir_core::ErrorKind::User {
        return error;
    }
    let at_place = source.error(source.first_line(statement), error.to_string());
    match error.help() {
        Some(help) => at_place.with_help(help),
        None => at_place,
    }
}
