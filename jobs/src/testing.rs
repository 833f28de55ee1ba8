//! A job under `cargo test`: rows in, rows out, and time as the test says.
//!
//! A [`TestJob`] runs the job's operators as the engine does, in as many subtasks as it is told, with rows sent to the owners of their keys. A
//! checkpoint takes what operators capture, and a restart gives it back, to any number of subtasks. There are no threads but those of
//! [functions that wait](crate::Calls), no clock and no files: a test takes milliseconds.
//!
//! **SQL is not run here**: that takes the planner. Tables and views that steps read are what the test [sends](TestJob::send) to them, also
//! views that the job makes with [`Job::view`](crate::Job::view), so a test plays what a query would give. A job that has more SQL than
//! declarations is refused. Run it in the embedded engine, or deployed.

mod dataflow;
mod promises;
mod snapshot;
mod tables;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use weir_core::{Error, EventTime, Result};

use crate::function::{ExportFunctions, Functions};
use crate::job::{Job, SharedPlan, Step};
use crate::record::{Key, Record, Timestamp, from_batch, to_batch};
use crate::state::State;

use dataflow::Dataflow;
pub use promises::{check_sink, check_source};
pub use snapshot::Snapshot;

/// A job that runs in a test.
///
/// ```
/// use weir_jobs::prelude::*;
/// use weir_jobs::testing::TestJob;
///
/// #[derive(Record, Debug, PartialEq)]
/// struct Word { word: String }
///
/// fn long_words(job: &mut Job) -> Result<()> {
///     job.table::<Word>("words").filter(|word| word.word.len() > 4).insert_into("long_words");
///     Ok(())
/// }
///
/// let mut test = TestJob::new(long_words)?;
/// let word = |word: &str| Word { word: word.to_owned() };
/// test.send("words", [word("weir"), word("river")])?;
/// assert_eq!(test.take::<Word>("long_words")?, [word("river")]);
/// # Ok::<(), Error>(())
/// ```
pub struct TestJob {
    plan: SharedPlan,
    dataflow: Dataflow,
}

impl TestJob {
    /// A job without arguments, in one subtask.
    ///
    /// # Errors
    /// What is wrong with the job.
    pub fn new(main: impl Fn(&mut Job) -> Result<()>) -> Result<Self> {
        Self::with_arguments(main, &[])
    }

    /// A job with arguments, in one subtask.
    ///
    /// # Errors
    /// What is wrong with the job, or the arguments.
    pub fn with_arguments(main: impl Fn(&mut Job) -> Result<()>, arguments: &[(&str, &str)]) -> Result<Self> {
        let arguments: BTreeMap<String, String> =
            arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let plan = Job::planned(main, &arguments)?;
        let text = plan.borrow().steps.iter().find_map(|step| match step {
            Step::Sql(text) if !is_declaration(text) => Some(text.trim().to_owned()),
            _ => None,
        });
        if let Some(text) = text {
            return Err(Error::user(format!("a TestJob runs no SQL: {text}"))
                .with_help("test the operators without it, or run the whole job in the embedded engine"));
        }
        let dataflow = Dataflow::new(&plan.borrow())?;
        Ok(Self { plan, dataflow })
    }

    /// A job, maybe of another version, that goes on from a snapshot, in so many subtasks.
    ///
    /// # Errors
    /// What is wrong with the job, or why it cannot go on with that state.
    pub fn restored(main: impl Fn(&mut Job) -> Result<()>, snapshot: &Snapshot, parallelism: usize) -> Result<Self> {
        let mut test = Self::new(main)?;
        test.dataflow.restore(&test.plan.borrow(), snapshot, parallelism)?;
        Ok(test)
    }

    /// Has only those keys in memory that a batch is about, where the engine can do with that: everything else is forgotten behind each
    /// [`send`](Self::send), and read back. Results must not change.
    #[must_use]
    pub fn partly_in_memory(mut self) -> Self {
        self.dataflow.is_partly_in_memory = true;
        self
    }

    /// Rows come from a table or view that the job reads, as one batch.
    ///
    /// # Errors
    /// If the job reads no such table, or with other columns; what a step fails with.
    pub fn send<R: Record>(&mut self, relation: &str, rows: impl IntoIterator<Item = R>) -> Result<()> {
        let rows: Vec<R> = rows.into_iter().collect();
        self.send_batch(relation, &to_batch(&rows)?)
    }

    /// As [`send`](Self::send), for rows as a batch.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_batch(&mut self, relation: &str, rows: &RecordBatch) -> Result<()> {
        self.dataflow.send(relation, rows)
    }

    /// Reads a table whose source is the job's [own](crate::Source): about `most` rows, and no more than are there. Returns how many came. What the source says of
    /// event time is taken over; what its rows tell, the test says, as for other tables.
    ///
    /// # Errors
    /// If the job has no such source; what it or a step fails with.
    pub fn read(&mut self, table: &str, most: usize) -> Result<usize> {
        let given = self.dataflow.tables.read(&self.plan.borrow(), table, most)?;
        let count = given.batches.iter().map(RecordBatch::num_rows).sum();
        given.batches.iter().try_for_each(|rows| self.dataflow.send(table, rows))?;
        match given.time {
            Some(time) => self.dataflow.watermark(Some(table), time).map(|()| count),
            None => Ok(count),
        }
    }

    /// Event time has come to `time` in all tables: no row with this time or an earlier one is expected.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn watermark(&mut self, time: Timestamp) -> Result<()> {
        self.dataflow.watermark(None, time.event_time())
    }

    /// Event time has come to `time` in one table.
    ///
    /// # Errors
    /// What a step fails with; if the job reads no such table.
    pub fn watermark_of(&mut self, relation: &str, time: Timestamp) -> Result<()> {
        self.dataflow.watermark(Some(relation), time.event_time())
    }

    /// The worker's clock says `now`, until it is told otherwise. It begins at 1970.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn clock(&mut self, now: Timestamp) -> Result<()> {
        self.dataflow.clock(now.millis())
    }

    /// Waits until all calls of [functions that wait](crate::Calls) have returned, and has steps emit what has come of them. Otherwise rows stay in
    /// flight, whatever their calls do: so what a checkpoint holds does not depend on how fast they are.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn settle(&mut self) -> Result<()> {
        self.dataflow.settle()
    }

    /// All tables are at their end, and all calls have returned.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn end(&mut self) -> Result<()> {
        self.dataflow.watermark(None, EventTime::MAX)?;
        self.dataflow.settle()
    }

    /// The rows that were inserted into a table since the last call, or that a step or a side output (`step_side`) has emitted which nothing else reads.
    ///
    /// # Errors
    /// If they are no such rows.
    pub fn take<R: Record>(&mut self, table: &str) -> Result<Vec<R>> {
        let mut rows = Vec::new();
        for batch in self.dataflow.take(table) {
            let schema = R::schema();
            let columns = schema.fields().iter().map(|field| {
                batch.schema().index_of(field.name()).map_err(|_| {
                    Error::user(format!("'{table}' has no column '{}', which {} has", field.name(), R::NAME))
                })
            });
            rows.extend(from_batch::<R>(&batch.project(&columns.collect::<Result<Vec<_>>>()?)?)?);
        }
        Ok(rows)
    }

    /// Rows that were late, and that nothing else has taken, since the last call: each as a JSON object.
    pub fn take_late(&mut self) -> Vec<String> {
        self.dataflow.take_late()
    }

    /// What is kept of a key in a step; `None` if nothing is. Makes a checkpoint.
    ///
    /// # Errors
    /// If there is no such step, or its state is another.
    pub fn state<K: Key, S: State>(&mut self, step: &str, key: &K) -> Result<Option<S>> {
        let snapshot = self.snapshot()?;
        snapshot.state(step, key)
    }

    /// What every subtask keeps of what it was told, in a step with broadcast rows.
    ///
    /// # Errors
    /// If there is no such step, or its state is another.
    pub fn shared_state<S: State>(&mut self, step: &str) -> Result<Option<S>> {
        let snapshot = self.snapshot()?;
        snapshot.shared_state(step)
    }

    /// Makes a checkpoint, and returns all state. Rows for [sinks](crate::Sink) of the job's own are committed.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        self.dataflow.checkpoint()?;
        let tables = self.dataflow.tables.checkpoint(&self.plan.borrow())?;
        Ok(self.dataflow.snapshot(tables))
    }

    /// Makes a checkpoint, and goes on from it in so many subtasks.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn restart(&mut self, parallelism: usize) -> Result<()> {
        let snapshot = self.snapshot()?;
        self.dataflow.restore(&self.plan.borrow(), &snapshot, parallelism)
    }

    /// Goes back to a snapshot, in so many subtasks, as after a crash. What was sent since is to be sent again; [sources](crate::Source) of the job's own are where they
    /// were, and its [sinks](crate::Sink) are given the epoch of the snapshot once more, as if nobody knew that they have it. The engine goes back to the last snapshot
    /// only: what one behind it has committed stays.
    ///
    /// # Errors
    /// What a step fails with.
    pub fn restore(&mut self, snapshot: &Snapshot, parallelism: usize) -> Result<()> {
        self.dataflow.restore(&self.plan.borrow(), snapshot, parallelism)
    }
}

/// Whether statements only say what there is.
fn is_declaration(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_uppercase();
    matches!(first.as_str(), "CREATE" | "SET" | "DROP" | "USE")
}

/// The names of the functions that a plugin [exports](Functions) to SQL, sorted. The functions themselves are tested as any other.
///
/// # Errors
/// What is wrong with them: two have one name, or SQL has no such type.
pub fn exported(functions: ExportFunctions) -> Result<Vec<String>> {
    Ok(Functions::of(functions)?.into_keys().collect())
}
