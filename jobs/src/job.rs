//! A job: what it reads, what it does, and where it writes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_core::plugin::{
    JobDescription, JobStep, OperatorStep, PLUGIN_CONNECTOR, PluginSink, PluginSource, PluginTableKind,
    SideOutput as SideView, TableRequest, TableStep,
};
use weir_core::{Error, Operator, Result};

use crate::operator::Side;
use crate::record::Record;
use crate::sink::{self, Sink};
use crate::source::{self, Source};
use crate::stream::Stream;
use crate::table::Table;

/// Collects what a job consists of. The function that is the job is given one, and says by its methods what the job does; nothing is run
/// yet.
///
/// ```
/// use weir_jobs::prelude::*;
///
/// #[derive(Record)]
/// struct Order { id: i64, cents: i64 }
///
/// fn large_orders(job: &mut Job) -> Result<()> {
///     let least = job.argument_or("least", 10_000)?;
///     job.table::<Order>("orders").filter(move |order| order.cents >= least).insert_into("large_orders");
///     Ok(())
/// }
/// # weir_jobs::testing::TestJob::new(large_orders).unwrap();
/// ```
pub struct Job {
    arguments: BTreeMap<String, String>,
    used: Vec<String>,
    plan: SharedPlan,
}

/// A piece of a job.
pub(crate) enum Step {
    Sql(String),
    /// A view that SQL makes.
    View {
        name: String,
        query: String,
    },
    /// All rows of a relation go into a table.
    Insert {
        relation: String,
        table: String,
        columns: Vec<String>,
    },
    Operator(Box<OperatorPlan>),
    /// A table whose source or sink is the job's own.
    Table(Box<TablePlan>),
}

/// A table of the job's own, and how its source or sink is made.
pub(crate) struct TablePlan {
    pub(crate) step: TableStep,
    pub(crate) columns: SchemaRef,
    pub(crate) make: MakeTable,
}

type MakeSource = dyn Fn(&TableRequest) -> Box<dyn PluginSource>;

type MakeSink = dyn Fn() -> Box<dyn PluginSink>;

/// Makes the source or the sink of a table.
pub(crate) enum MakeTable {
    Source(Box<MakeSource>),
    Sink(Box<MakeSink>),
}

/// An operator and how it is made.
pub(crate) struct OperatorPlan {
    pub(crate) step: OperatorStep,
    pub(crate) sides: Vec<Side>,
    /// A side output that has to be read, or rows are lost that nobody meant to lose.
    needed: Option<&'static str>,
    pub(crate) make: Make,
}

/// Makes an operator, given the side outputs that are read.
pub(crate) type Make = Arc<dyn Fn(&[Side]) -> Result<Box<dyn Operator>> + Send + Sync>;

#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// The first thing that is wrong: methods of streams do not return errors.
    problem: Option<Error>,
}

/// Streams add to the plan of their job.
pub(crate) type SharedPlan = Rc<RefCell<Plan>>;

impl Plan {
    /// Notes what is wrong.
    pub(crate) fn complain(&mut self, problem: Error) {
        self.problem.get_or_insert(problem);
    }

    /// Adds an operator, and returns its position.
    pub(crate) fn add(&mut self, step: OperatorStep, make: Make) -> usize {
        if self.operators().any(|other| other.step.view == step.view) {
            let name = &step.view;
            self.complain(
                Error::user(format!("two steps of the job are called '{name}'"))
                    .with_help("steps are known, and their state is found, by their names: give each its own"),
            );
        }
        self.steps.push(Step::Operator(Box::new(OperatorPlan { step, sides: Vec::new(), needed: None, make })));
        self.steps.len() - 1
    }

    /// The side output of the step at a position has to be read.
    pub(crate) fn need_side(&mut self, step: usize, side: &'static str) {
        if let Some(Step::Operator(operator)) = self.steps.get_mut(step) {
            operator.needed = Some(side);
        }
    }

    /// The first step that has to be read and is not, and its side output.
    fn unread(&self) -> Option<(&str, &'static str)> {
        self.operators().find_map(|operator| {
            let is_read = |name: &&str| operator.sides.iter().any(|side| side.name == *name);
            let unread = operator.needed.filter(|name| !is_read(name))?;
            Some((operator.step.view.as_str(), unread))
        })
    }

    pub(crate) fn operators(&self) -> impl Iterator<Item = &OperatorPlan> {
        self.steps.iter().filter_map(|step| match step {
            Step::Operator(operator) => Some(&**operator),
            _ => None,
        })
    }

    pub(crate) fn own_tables(&self) -> impl Iterator<Item = &TablePlan> {
        self.steps.iter().filter_map(|step| match step {
            Step::Table(table) => Some(&**table),
            _ => None,
        })
    }

    /// A name for rows on their way to somewhere, which no other step has.
    pub(crate) fn name_for(&self, purpose: &str) -> String {
        let is_taken = |name: &str| self.operators().any(|other| other.step.view == name);
        let numbered = (2..).map(|number| format!("{purpose}_{number}"));
        std::iter::once(purpose.to_owned()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// Has a side output of the step at a position read, and returns its view.
    pub(crate) fn read_side(&mut self, step: usize, side: Side) -> Option<String> {
        let Some(Step::Operator(operator)) = self.steps.get_mut(step) else { return None };
        let view = format!("{}_{}", operator.step.view, side.name);
        match operator.sides.iter().find(|other| other.name == side.name) {
            None => {
                operator.step.side_outputs.push(SideView { view: view.clone(), columns: side.schema.clone() });
                operator.sides.push(side);
            }
            Some(other) if !other.has_rows_of(&side) => {
                let (step, name) = (&operator.step.view, side.name);
                let problem = Error::user(format!(
                    "side output '{name}' of step '{step}' is read as rows of {}, and as rows of {}",
                    other.record, side.record
                ));
                self.complain(problem.with_help("a side output has rows of one type: give each its own name"));
            }
            Some(_) => {}
        }
        Some(view)
    }
}

impl Job {
    pub(crate) fn new(arguments: BTreeMap<String, String>) -> Self {
        Self { arguments, used: Vec::new(), plan: SharedPlan::default() }
    }

    /// The rows of a table or view: of the catalog, or one that SQL of this job makes. Columns are found by their names; the table may have
    /// more, in any order.
    pub fn table<R: Record>(&mut self, name: &str) -> Stream<R> {
        Stream::of_relation(&self.plan, name)
    }

    /// Declares a table, and gives its rows, for one that is read.
    pub fn create_table<R: Record>(&mut self, table: Table<R>) -> Stream<R> {
        match table.sql() {
            Ok(text) => self.sql(&text),
            Err(problem) => self.plan.borrow_mut().complain(problem),
        }
        self.table(table.name())
    }

    /// Declares a table whose rows the job's own [`Source`] makes, and gives them. SQL of the job may read it too.
    pub fn create_source<S: Source>(&mut self, table: Table<S::Row>, source: S) -> Stream<S::Row> {
        let (kind, source) = (PluginTableKind::Source { bounded: source.is_bounded() }, Arc::new(source));
        let make = move |request: &TableRequest| source::Adapted::boxed(&source, request);
        self.own_table(&table, kind, MakeTable::Source(Box::new(make)));
        self.table(table.name())
    }

    /// Declares a table whose rows go to the job's own [`Sink`]: [`Stream::insert_into`] writes it, and SQL of the job may.
    pub fn create_sink<S: Sink>(&mut self, table: Table<S::Row>, sink: S) {
        let sink = Arc::new(sink);
        let make = move || sink::Adapted::boxed(&sink);
        self.own_table(&table, PluginTableKind::Sink, MakeTable::Sink(Box::new(make)));
    }

    fn own_table<R: Record>(&mut self, table: &Table<R>, kind: PluginTableKind, make: MakeTable) {
        let mut plan = self.plan.borrow_mut();
        let name = table.name().to_owned();
        if plan.own_tables().any(|other| other.step.table == name) {
            plan.complain(Error::user(format!("two tables of the job are called '{name}'")));
        }
        if table.has_option("connector") {
            let problem = format!("table '{name}' has the option 'connector', and code of the job's own");
            plan.complain(Error::user(problem).with_help("leave the option out, or declare it with `create_table`"));
            return;
        }
        match table.sql_with(&[("connector", PLUGIN_CONNECTOR)]) {
            Ok(declaration) => {
                let step = TableStep { declaration, table: name, config: Vec::new(), kind };
                plan.steps.push(Step::Table(Box::new(TablePlan { step, columns: R::schema(), make })));
            }
            Err(problem) => plan.complain(problem),
        }
    }

    /// Runs statements of SQL, such as `CREATE TABLE`, `CREATE VIEW` or `INSERT INTO … SELECT`. They see the steps in front of
    /// them as views: a step by its name, a side output by the names of both, `step_side`.
    pub fn sql(&mut self, statements: &str) {
        self.plan.borrow_mut().steps.push(Step::Sql(statements.to_owned()));
    }

    /// The rows of a query, under a name.
    pub fn view<R: Record>(&mut self, name: &str, query: &str) -> Stream<R> {
        let query = query.trim().trim_end_matches(';').to_owned();
        self.plan.borrow_mut().steps.push(Step::View { name: name.to_owned(), query });
        self.table(name)
    }

    /// An argument that the job was given: `--arg name=value`.
    ///
    /// # Errors
    /// A user error if it was not given, or is no such value.
    pub fn argument<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<T> {
        self.find(name)?.ok_or_else(|| {
            Error::user(format!("the job needs an argument '{name}'")).with_help(format!("--arg {name}=…"))
        })
    }

    /// An argument, or a value in place of it.
    ///
    /// # Errors
    /// A user error if it is no such value.
    pub fn argument_or<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, default: T) -> Result<T> {
        Ok(self.find(name)?.unwrap_or(default))
    }

    fn find<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Result<Option<T>> {
        self.used.push(name.to_owned());
        let Some(text) = self.arguments.get(name) else { return Ok(None) };
        let value = text.parse().map_err(|error| Error::user(format!("argument '{name}' is '{text}': {error}")))?;
        Ok(Some(value))
    }

    /// The plan of a job.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn planned(
        main: impl Fn(&mut Job) -> Result<()>,
        arguments: &BTreeMap<String, String>,
    ) -> Result<SharedPlan> {
        let mut job = Self::new(arguments.clone());
        main(&mut job)?;
        if let Some(unknown) = job.arguments.keys().find(|name| !job.used.contains(name)) {
            let known = if job.used.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", job.used.join(", "))
            };
            return Err(Error::user(format!("the job has no argument '{unknown}'")).with_help(known));
        }
        let mut problem = job.plan.borrow_mut().problem.take();
        if let (None, Some((step, side))) = (&problem, job.plan.borrow().unread()) {
            let error =
                Error::user(format!("rows of step '{step}' that fail go to side output '{side}', which nothing reads"));
            problem = Some(error.with_help("insert it into a table: `stream.side(&…).insert_into(\"…\")`"));
        }
        if let Some(problem) = problem {
            return Err(problem);
        }
        if job.plan.borrow().steps.is_empty() {
            return Err(Error::user("the job does nothing: it has no step"));
        }
        Ok(job.plan)
    }
}

/// The plan as plain data. `config` is what operators are told.
pub(crate) fn describe(plan: &Plan, name: &str, config: &[u8]) -> JobDescription {
    let step = |step: &Step| match step {
        Step::Sql(text) => JobStep::Sql(text.clone()),
        Step::View { name, query } => JobStep::Sql(format!("CREATE VIEW {name} AS {query};")),
        Step::Insert { relation, table, columns } => {
            let columns = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
            let relation = quoted_relation(relation);
            JobStep::Sql(format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {relation};"))
        }
        Step::Operator(operator) => {
            JobStep::Operator(OperatorStep { config: config.to_vec(), ..operator.step.clone() })
        }
        Step::Table(table) => JobStep::Table(TableStep { config: config.to_vec(), ..table.step.clone() }),
    };
    JobDescription { name: name.to_owned(), steps: plan.steps.iter().map(step).collect() }
}

/// A name as SQL takes any.
pub(crate) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn quoted_relation(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '`');
    if name.chars().all(is_plain) { name.to_owned() } else { quoted(name) }
}
