//! A `stream` record: a job, and what happens while it runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use weir_cli::test_file::difference::net;
use weir_cli::test_file::row::{Operation, split};
use weir_cli::test_file::{Rows, Step, StepKind, values};
use weir_core::EventTime;

use super::expectation::{Change, Target, targets};
use super::job::{Job, Mode};
use super::script::{Planned, Statements};
use super::suite::Failure;
use super::update::Update;
use super::world::World;

/// See the module's documentation.
pub struct Stream<'a> {
    line: usize,
    steps: &'a [Step],
    world: Arc<World>,
    job: Job,
    mode: Mode,
    late: String,
    targets: Vec<Target>,
    /// How many rows of each target have been looked at.
    seen: BTreeMap<String, usize>,
    late_expected: usize,
    ended: bool,
    /// What would have to stand in the file instead.
    pub updates: Vec<Update>,
}

impl<'a> Stream<'a> {
    /// A stream that does not run yet.
    ///
    /// # Errors
    /// If the SQL has no job.
    pub fn new(
        planned: Planned,
        world: Arc<World>,
        mode: Mode,
        line: usize,
        steps: &'a [Step],
    ) -> Result<Self, Failure> {
        let Planned { graph, settings, late } = planned;
        let Some(graph) = graph else { return Err(Failure::new(line, "there is neither a SELECT nor an INSERT")) };
        let graph = Arc::new(graph);
        let targets = targets(&graph);
        let restarts = steps.iter().any(|step| matches!(step.kind, StepKind::Restart(_)));
        let job = Job::new(graph, world.clone(), settings, mode, restarts);
        let job = job.map_err(|error| Failure::of_error(line, &error))?;
        Ok(Self {
            line,
            steps,
            world,
            job,
            mode,
            late,
            targets,
            seen: BTreeMap::new(),
            late_expected: 0,
            ended: false,
            updates: Vec::new(),
        })
    }

    /// Types of the result's columns.
    ///
    /// # Errors
    /// If they are others.
    pub fn check_types(&self, types: Option<&str>) -> Result<(), Failure> {
        self.targets.first().map_or(Ok(()), |target| target.check_types(self.line, types))
    }

    /// Runs it: first what its tables have been given before, then step by step with the rows of its inputs.
    ///
    /// # Errors
    /// The first thing that is not as expected.
    pub async fn run(
        &mut self,
        before: &[(String, RecordBatch)],
        inputs: &[(String, RecordBatch)],
        statements: &Statements,
    ) -> Result<(), Failure> {
        let mut failure = None;
        for (table, rows) in before {
            let came = self.job.input(table, rows.clone()).await;
            came.map_err(|error| Failure::of_error(self.line, &error))?;
        }
        let mut inputs = inputs.iter();
        for step in self.steps {
            if self.ended && !matches!(step.kind, StepKind::Expect { .. } | StepKind::Late(_)) {
                return Err(Failure::new(step.line, "the input has ended, and nothing can happen behind that"));
            }
            let came = match &step.kind {
                StepKind::Input(_) => match inputs.next() {
                    Some((table, rows)) => self.job.input(table, rows.clone()).await,
                    None => Ok(()),
                },
                StepKind::Watermark { table, time } => {
                    let Some((table, _)) = statements.stored(table) else {
                        return Err(Failure::new(step.line, format!("`{table}` is no table of this file")));
                    };
                    self.job.watermark(&table, EventTime(time_of(step.line, time)?)).await
                }
                StepKind::Time(time) => self.job.clock(time_of(step.line, time)?).await,
                StepKind::Restart(parallelism) => self.job.restart(*parallelism).await,
                StepKind::End => {
                    self.ended = true;
                    self.job.end().await
                }
                StepKind::Late(expected) => {
                    self.late_expected = *expected;
                    let found = self.late();
                    if found != *expected {
                        return Err(Failure::new(
                            step.line,
                            format!("{found} rows are late so far, and not {expected}"),
                        ));
                    }
                    Ok(())
                }
                StepKind::Expect { whole, table, rows } => {
                    let target = self.target(step.line, table.as_deref())?;
                    if let Err(difference) = self.expect(step.line, &target, *whole, rows) {
                        // What follows is compared too, so that all of it can be updated.
                        failure.get_or_insert(difference);
                    }
                    Ok(())
                }
            };
            came.map_err(|error| Failure::of_error(step.line, &error))?;
        }
        self.job.leave().await.map_err(|error| Failure::of_error(self.line, &error))?;
        failure.map_or_else(|| self.nothing_is_left(), Err)
    }

    /// The table that rows are expected in.
    fn target(&self, line: usize, name: Option<&str>) -> Result<Target, Failure> {
        let found = match name {
            Some(name) => {
                self.targets.iter().find(|target| !target.is_result && target.name.eq_ignore_ascii_case(name))
            }
            None if self.targets.len() == 1 => self.targets.first(),
            None => None,
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.targets.iter().map(|target| target.name.as_str()).collect();
            let message = match name {
                Some(name) => format!("the stream does not fill `{name}`; it fills {}", names.join(", ")),
                None => format!("say in which table, as in `expect in {}`", names.first().unwrap_or(&"TABLE")),
            };
            Failure::new(line, message)
        })
    }

    fn expect(&mut self, line: usize, target: &Target, whole: bool, rows: &Rows) -> Result<(), Failure> {
        let as_changes = target.is_changelog && !whole;
        let found = self.found(target, whole);
        let all = self.world.written(&target.name, 0).len();
        self.seen.insert(target.name.clone(), all);
        let found = if whole && target.is_changelog { there(line, &found)? } else { found };
        let expected = target.expected(rows, as_changes);
        let difference = match &expected {
            Ok(expected) => self.difference(target, expected, &found, as_changes),
            Err(_) => None,
        };
        if expected.is_err() || difference.is_some() {
            self.updates.push(Update::expectation(line, rows, target.lines(&found), whole));
        }
        expected?;
        difference.map_or(Ok(()), |difference| Err(Failure::new(line, difference)))
    }

    /// What came out since it was last looked at, or all of it.
    fn found(&self, target: &Target, whole: bool) -> Vec<Change> {
        let from = if whole { 0 } else { self.seen.get(&target.name).copied().unwrap_or(0) };
        target.changes(self.world.written(&target.name, from))
    }

    fn difference(&self, target: &Target, expected: &[Change], found: &[Change], as_changes: bool) -> Option<String> {
        match self.mode {
            // Markers that the file does not know of have shown more of what happened in between.
            Mode::Stopped(_) if as_changes => target.difference(&net(expected), &net(found)),
            _ => target.difference(expected, found),
        }
    }

    fn late(&self) -> usize {
        self.world.written(&self.late, 0).len()
    }

    fn nothing_is_left(&self) -> Result<(), Failure> {
        for target in &self.targets {
            let found = self.found(target, false);
            let left = match self.difference(target, &[], &found, target.is_changelog) {
                None => continue,
                Some(left) => left,
            };
            let place = if target.is_result { String::new() } else { format!(" in `{}`", target.name) };
            let text = format!("rows came out{place} behind the last `expect`, and nothing expects them\n{left}");
            return Err(Failure::new(self.line, text));
        }
        match self.late() {
            late if late == self.late_expected => Ok(()),
            late => {
                Err(Failure::new(self.line, format!("{late} rows were late; write `late {late}` where that is right")))
            }
        }
    }
}

/// The rows that are there behind all changes.
fn there(line: usize, changes: &[Change]) -> Result<Vec<Change>, Failure> {
    let mut rows = Vec::new();
    for (operation, row) in net(changes) {
        if operation == Some(Operation::Delete) {
            return Err(Failure::new(line, format!("a row was taken back that was never there: {row:?}")));
        }
        rows.push((None, row));
    }
    Ok(rows)
}

/// A time as it is written in a file, in milliseconds since 1970.
fn time_of(line: usize, text: &str) -> Result<i64, Failure> {
    let data_type = DataType::Timestamp(TimeUnit::Millisecond, None);
    let no_time = |message: String| Failure::new(line, message);
    let row = split(text, std::slice::from_ref(&data_type)).map_err(no_time)?;
    let schema = Arc::new(Schema::new(vec![Field::new("time", data_type, false)]));
    let batch = values::batch(&[row], &schema).map_err(|(_, message)| no_time(message))?;
    let millis = cast(batch.column(0), &DataType::Int64).map_err(|error| no_time(error.to_string()))?;
    Ok(millis.as_primitive::<Int64Type>().value(0))
}
