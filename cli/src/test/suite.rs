//! A test file from its first record to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use weir_cli::test_file::{Answer, ErrorPattern, Input, Mistake, Record, RecordKind, Rows, Sql, Step, StepKind, parse};
use weir_core::{Error, Result};

use super::expectation::{self, Target, targets};
use super::input::{Changes, changes, is_changelog};
use super::job::{Job, Mode};
use super::script::{Planned, Statements};
use super::stream::Stream;
use super::update::Update;
use super::world::World;
use crate::clock::Stopwatch;

/// How files are run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The runs of each query and stream, in order.
    pub modes: Vec<Mode>,
}

/// What a record came to.
#[derive(Debug)]
pub struct Case {
    /// `query, line 12`.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What is wrong, if something is.
    pub failure: Option<Failure>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Where it stands in the file, from 1.
    pub line: usize,
    /// What, and in which run.
    pub text: String,
}

/// What a file came to.
#[derive(Debug)]
pub struct FileReport {
    /// Its records.
    pub cases: Vec<Case>,
    /// What would have to stand in it instead.
    pub updates: Vec<Update>,
}

impl Failure {
    /// In this line.
    pub fn new(line: usize, text: impl Into<String>) -> Self {
        Self { line, text: text.into() }
    }

    /// An error of the job or of its plan.
    pub fn of_error(line: usize, error: &Error) -> Self {
        Self::new(line, error.report())
    }

    /// In a run.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.text = format!("{mode}: {}", self.text);
        self
    }
}

impl From<Mistake> for Failure {
    fn from(Mistake { line, message }: Mistake) -> Self {
        Self { line, text: message }
    }
}

/// Runs a file.
///
/// # Errors
/// If it cannot be read.
pub async fn run(path: &Path, plan: &Plan) -> Result<FileReport> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::user(format!("cannot read {}", path.display())).with_source(error))?;
    let file = match parse(&text) {
        Ok(file) => file,
        Err(mistake) => {
            let case = Case { name: "the file".into(), took: Duration::ZERO, failure: Some(mistake.into()) };
            return Ok(FileReport { cases: vec![case], updates: Vec::new() });
        }
    };
    let mut suite = Suite {
        plan,
        statements: Statements::new(taken_back(&file.records)),
        rows: BTreeMap::new(),
        updates: Vec::new(),
    };
    let mut cases = Vec::new();
    for record in file.records.iter().filter(|record| record.is_for("weir")) {
        let stopwatch = Stopwatch::start();
        let failure = suite.record(record).await.err();
        let name = format!("{}, line {}", record.kind.word(), record.line);
        cases.push(Case { name, took: stopwatch.elapsed(), failure });
    }
    Ok(FileReport { cases, updates: suite.updates })
}

/// Tables, in small letters, of which some input says what happens to its rows.
fn taken_back(records: &[Record]) -> BTreeSet<String> {
    let inputs = records.iter().flat_map(|record| match &record.kind {
        RecordKind::Input(input) => vec![input],
        RecordKind::Stream { steps, .. } => {
            let inputs = steps.iter().filter_map(|step| match &step.kind {
                StepKind::Input(input) => Some(input),
                _ => None,
            });
            inputs.collect()
        }
        RecordKind::Statement { .. } | RecordKind::Query { .. } => Vec::new(),
    });
    inputs.filter(|input| is_changelog(input)).map(|input| input.table.to_lowercase()).collect()
}

/// What the file has come to.
struct Suite<'a> {
    plan: &'a Plan,
    statements: Statements,
    /// Inputs of each table, by its name in small letters.
    rows: BTreeMap<String, Changes>,
    updates: Vec<Update>,
}

impl Suite<'_> {
    async fn record(&mut self, record: &Record) -> Result<(), Failure> {
        match &record.kind {
            RecordKind::Statement { sql, error } => self.statement(record.line, sql, error.as_ref()),
            RecordKind::Input(input) => self.input(record.line, input).map(|_| ()),
            RecordKind::Query { sql, types, expected } => match expected {
                Answer::Rows(rows) => self.query(sql, types.as_deref(), rows).await,
                Answer::Error(pattern) => self.failing_query(record.line, sql, pattern).await,
            },
            RecordKind::Stream { sql, types, steps } => self.stream(record.line, sql, types.as_deref(), steps).await,
        }
    }

    fn statement(&mut self, line: usize, sql: &Sql, error: Option<&ErrorPattern>) -> Result<(), Failure> {
        let planned = self.statements.plan(sql, &World::new(false));
        match (planned, error) {
            (Ok(_), None) => {
                let is_query = |text: &str| {
                    let word = text.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
                    ["select", "insert", "with", "values", "explain", "execute"].contains(&word.to_lowercase().as_str())
                };
                if is_query(&sql.text) {
                    return Ok(());
                }
                let changed = self.statements.add(sql).map_err(|error| Failure::of_error(line, &error))?;
                changed.iter().for_each(|table| drop(self.rows.remove(table)));
                Ok(())
            }
            (Err(error), None) => Err(Failure::of_error(line, &error)),
            (Ok(_), Some(_)) => Err(Failure::new(line, "it is right, and was to be refused")),
            (Err(error), Some(pattern)) => self.check_error(line, sql, &error, pattern),
        }
    }

    fn check_error(&mut self, line: usize, sql: &Sql, error: &Error, pattern: &ErrorPattern) -> Result<(), Failure> {
        let lines = expectation::error_lines(&error.report(), sql.line);
        let failure = match pattern {
            ErrorPattern::Any => None,
            ErrorPattern::Regex(regex) => (!regex.is_match(&lines.join("\n")))
                .then(|| format!("another error, that has no `{regex}` in it:\n    {}", lines.join("\n    "))),
            ErrorPattern::Exactly(rows) => {
                let expected: Vec<&str> = rows.lines.iter().map(|(_, line)| line.trim()).collect();
                if expected != lines {
                    self.updates.push(Update::lines(rows, lines.clone()));
                }
                (expected != lines).then(|| {
                    let listed = |lines: &[String], sign: &str| -> String {
                        lines.iter().map(|line| format!("    {sign} {line}\n")).collect()
                    };
                    let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
                    format!("another error: - was expected, + came\n{}{}", listed(&expected, "-"), listed(&lines, "+"))
                })
            }
        };
        failure.map_or(Ok(()), |text| Err(Failure::new(line, text)))
    }

    /// Rows for a table. Returns its name in the connector's words, and the rows.
    fn input(&mut self, line: usize, input: &Input) -> Result<(String, RecordBatch), Failure> {
        let Some((stored, schema)) = self.statements.stored(&input.table) else {
            let known: Vec<&str> = self.statements.tables().collect();
            let help =
                if known.is_empty() { "there is none".to_owned() } else { format!("there are {}", known.join(", ")) };
            let message = format!("`{}` is no table that this file declares without a connector; {help}", input.table);
            return Err(Failure::new(line, message));
        };
        let is_changelog = self.statements.table(&input.table).is_some_and(|(_, is_changelog)| is_changelog);
        let known = self.rows.entry(input.table.to_lowercase());
        let known = known.or_insert_with(|| Changes::from_line(input.rows.place.start));
        let batch = changes(input, &schema, is_changelog, known)?;
        known.batches.push(batch.clone());
        Ok((stored, batch))
    }

    /// All input so far, a batch for each table in the order in which they were first given rows, with the connector's names.
    fn all_input(&self) -> Result<Vec<(String, RecordBatch)>> {
        let mut tables: Vec<_> = self.rows.iter().collect();
        tables.sort_by_key(|(_, rows)| rows.first);
        let stored = tables.into_iter().filter_map(|(table, rows)| Some((self.statements.stored(table)?, rows)));
        let all =
            stored.map(|((name, schema), rows)| Ok((name, arrow::compute::concat_batches(&schema, &rows.batches)?)));
        all.collect()
    }

    async fn query(&mut self, sql: &Sql, types: Option<&str>, rows: &Rows) -> Result<(), Failure> {
        for (number, mode) in self.plan.modes.iter().enumerate() {
            let mode = mode.for_line(sql.line);
            let found =
                self.answer(sql, mode).await.map_err(|error| Failure::of_error(sql.line, &error).in_mode(mode))?;
            let (target, found) = found;
            target.check_types(sql.line, types)?;
            let expected = target.expected(rows, false)?;
            if let Some(difference) = target.difference(&expected, &found) {
                if number == 0 {
                    self.updates.push(Update::lines(rows, target.lines(&found)));
                }
                let line = rows.lines.first().map_or(sql.line, |(line, _)| *line);
                return Err(Failure::new(line, difference).in_mode(mode));
            }
        }
        Ok(())
    }

    async fn answer(&self, sql: &Sql, mode: Mode) -> Result<(Target, Vec<expectation::Change>)> {
        let world = World::new(true);
        let Planned { graph, settings, .. } = self.statements.plan(sql, &world)?;
        let graph = Arc::new(graph.ok_or_else(|| Error::user("this is no query"))?);
        let [target] = <[Target; 1]>::try_from(targets(&graph))
            .map_err(|_| Error::user("a `query` is one SELECT; write `stream` for several queries"))?;
        let mut job = Job::new(graph, world.clone(), settings, mode, false)?;
        job.answer(self.all_input()?).await?;
        let found = target.changes(world.written(&target.name, 0));
        Ok((target, found))
    }

    async fn failing_query(&mut self, line: usize, sql: &Sql, pattern: &ErrorPattern) -> Result<(), Failure> {
        let modes = self.plan.modes.clone();
        for mode in modes {
            let mode = mode.for_line(sql.line);
            match self.answer(sql, mode).await {
                Ok(_) => return Err(Failure::new(line, "it has an answer, and was to fail").in_mode(mode)),
                Err(error) => self.check_error(line, sql, &error, pattern).map_err(|failure| failure.in_mode(mode))?,
            }
        }
        Ok(())
    }

    async fn stream(&mut self, line: usize, sql: &Sql, types: Option<&str>, steps: &[Step]) -> Result<(), Failure> {
        let before = self.all_input().map_err(|error| Failure::of_error(line, &error))?;
        // Rows stay in their tables, for what comes later in the file.
        let mut inputs = Vec::new();
        for step in steps {
            if let StepKind::Input(input) = &step.kind {
                inputs.push(self.input(step.line, input)?);
            }
        }
        for (number, mode) in self.plan.modes.clone().into_iter().enumerate() {
            let mode = mode.for_line(sql.line);
            let world = World::new(false);
            let planned = self.statements.plan(sql, &world).map_err(|error| Failure::of_error(line, &error))?;
            let mut stream = Stream::new(planned, world, mode, line, steps)?;
            stream.check_types(types)?;
            let ran = stream.run(&before, &inputs, &self.statements).await;
            if number == 0 {
                self.updates.append(&mut stream.updates);
            }
            ran.map_err(|failure| failure.in_mode(mode))?;
        }
        Ok(())
    }
}
