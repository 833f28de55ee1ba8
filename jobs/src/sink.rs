//! Sinks that users write.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use weir_core::plugin::{PluginCommit, PluginSink};
use weir_core::{Error, Result};

pub use weir_core::plugin::LastEpoch;

use crate::record::{Record, from_batch};

/// Where rows go, in the user's own code: [`Job::create_sink`](crate::Job::create_sink) declares a table of it, which streams and SQL insert into.
///
/// The engine keeps the rows of an *epoch*, that is between two checkpoints, in the checkpoint, and has them [committed](Self::commit) when that is complete. So no row
/// is committed that a crash could take back, and none is missing. But **the same epoch may be committed again**: a process that dies behind the commit cannot
/// tell anybody that it was done. So a sink keeps, in one transaction with the rows or in their name, of which writer and epoch they are, and leaves out an
/// epoch that is there:
///
/// - a file for each epoch, named by writer and epoch, which is written under another name and renamed;
/// - a table of a database with a row for each writer, which says the last epoch, and is locked and written in the transaction of the rows;
/// - a service that takes a key by which it knows a request again: writer and epoch.
///
/// A sink that cannot do so writes each row at least once.
///
/// Methods may block: they run on threads of their own. Commits may be made in any process, on values that have been made anew by the function that is the job.
///
/// ```
/// use std::sync::Mutex;
/// use weir_jobs::prelude::*;
///
/// #[derive(Record, Debug, Clone, PartialEq)]
/// struct Number { n: i64 }
///
/// /// What a database would keep: the rows, and the last epoch of each writer.
/// #[derive(Default)]
/// struct Ledger {
///     kept: Mutex<(Vec<Number>, std::collections::BTreeMap<String, u64>)>,
/// }
///
/// impl Sink for Ledger {
///     type Row = Number;
///
///     fn commit(&self, commit: &mut Commit<'_, Number>) -> Result<()> {
///         let (writer, epoch) = (commit.writer().to_owned(), commit.epoch());
///         let rows = commit.collect::<Result<Vec<_>>>()?;
///         // One transaction.
///         let mut kept = self.kept.lock().unwrap();
///         if kept.1.get(&writer).is_none_or(|last| *last < epoch) {
///             kept.0.extend(rows);
///             kept.1.insert(writer, epoch);
///         }
///         Ok(())
///     }
/// }
/// # let ledger = std::sync::Arc::new(Ledger::default());
/// # let seen = ledger.clone();
/// # let job = move |job: &mut Job| {
/// #     job.create_sink(Table::new("ledger"), ledger.clone());
/// #     job.table::<Number>("numbers").insert_into("ledger");
/// #     Ok(())
/// # };
/// # let mut test = weir_jobs::testing::TestJob::new(job)?;
/// # test.send("numbers", [Number { n: 1 }])?;
/// # test.restart(2)?;
/// # assert_eq!(seen.kept.lock().unwrap().0, [Number { n: 1 }]);
/// # Ok::<(), Error>(())
/// ```
pub trait Sink: Send + Sync + 'static {
    /// The rows.
    type Row: Record;

    /// Makes the rows of an epoch visible, unless they are. On return they are durable. Called again until it has succeeded; also for an epoch in front of one that is
    /// there, and by two processes at the same time.
    ///
    /// All of what is decided has to be written, and there is no way back: a row that cannot be is to be refused in a step in front of the sink
    /// ([`try_flat_map`](crate::Stream::try_flat_map)), or it holds up its epoch, and all behind it, for ever.
    ///
    /// # Errors
    /// If it could not be done. It will be tried again, from the first row.
    fn commit(&self, commit: &mut Commit<'_, Self::Row>) -> Result<()>;

    /// The last epoch of a writer that is visible: for `weir sinks audit`, which compares what a cluster believes with what is there. Changes nothing.
    ///
    /// # Errors
    /// If it cannot be told now.
    fn last_epoch(&self, writer: &str) -> Result<LastEpoch> {
        let _ = writer;
        Ok(LastEpoch::NotKept)
    }
}

impl<S: Sink> Sink for Arc<S> {
    type Row = S::Row;

    fn commit(&self, commit: &mut Commit<'_, Self::Row>) -> Result<()> {
        (**self).commit(commit)
    }

    fn last_epoch(&self, writer: &str) -> Result<LastEpoch> {
        (**self).last_epoch(writer)
    }
}

/// The rows of an epoch: an iterator over them. Those of a key are in the order in which they were inserted.
pub struct Commit<'a, R: Record> {
    of: &'a PluginCommit,
    next: &'a mut dyn FnMut() -> Result<Option<RecordBatch>>,
    read: VecDeque<R>,
    /// Whether there are no further rows, or they could not be read.
    is_over: bool,
    /// Whether they could not be read.
    has_failed: bool,
}

impl<'a, R: Record> Commit<'a, R> {
    pub(crate) fn new(of: &'a PluginCommit, next: &'a mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Self {
        Self { of, next, read: VecDeque::new(), is_over: false, has_failed: false }
    }

    /// Who writes: a text of letters, digits and `-` that no other job has, and no other table of the job. It stays the same for as long as the job goes on with its own
    /// state; another job, which begins at its own first epoch, has another one.
    pub fn writer(&self) -> &str {
        &self.of.writer
    }

    /// The epoch. Of one writer they rise, and some are left out.
    pub fn epoch(&self) -> u64 {
        self.of.epoch
    }

    fn read_on(&mut self) -> Result<()> {
        while self.read.is_empty() && !self.is_over {
            match (self.next)()? {
                Some(batch) => self.read = from_batch(&by_names::<R>(&batch)?)?.into(),
                None => self.is_over = true,
            }
        }
        Ok(())
    }
}

impl<R: Record> Iterator for Commit<'_, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Result<R>> {
        if let Err(error) = self.read_on() {
            (self.is_over, self.has_failed) = (true, true);
            return Some(Err(error));
        }
        self.read.pop_front().map(Ok)
    }
}

/// The columns of the record among those that came: an earlier version of the job may have decided upon the rows.
fn by_names<R: Record>(batch: &RecordBatch) -> Result<RecordBatch> {
    let (came, wanted) = (batch.schema(), R::schema());
    if came.fields().iter().map(|field| field.name()).eq(wanted.fields().iter().map(|field| field.name())) {
        return Ok(batch.clone());
    }
    let mut fields = Vec::new();
    let column = |field: &arrow::datatypes::FieldRef| -> Result<ArrayRef> {
        match came.index_of(field.name()) {
            Ok(position) => {
                fields.push(came.field(position).clone());
                Ok(batch.column(position).clone())
            }
            Err(_) if field.is_nullable() => {
                fields.push(field.as_ref().clone());
                Ok(new_null_array(field.data_type(), batch.num_rows()))
            }
            Err(_) => Err(Error::user(format!(
                "rows that an earlier version of the job has decided upon have no column '{}', which {} needs",
                field.name(),
                R::NAME
            ))
            .with_help("make the field an Option, or let the earlier version commit them")),
        }
    };
    let columns = wanted.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}

/// A function as a sink: what it is given is each epoch's [`Commit`].
pub(crate) struct Function<R, F> {
    function: F,
    rows: PhantomData<fn() -> R>,
}

/// A sink that calls a function with each epoch, which may come again: as [`Sink::commit`] does.
pub fn sink_fn<R: Record, F: Fn(&mut Commit<'_, R>) -> Result<()> + Send + Sync + 'static>(
    function: F,
) -> impl Sink<Row = R> {
    Function { function, rows: PhantomData }
}

impl<R: Record, F: Fn(&mut Commit<'_, R>) -> Result<()> + Send + Sync + 'static> Sink for Function<R, F> {
    type Row = R;

    fn commit(&self, commit: &mut Commit<'_, R>) -> Result<()> {
        (self.function)(commit)
    }
}

/// A user's sink as the engine takes it.
pub(crate) struct Adapted<S>(Arc<S>);

impl<S: Sink> Adapted<S> {
    pub(crate) fn boxed(sink: &Arc<S>) -> Box<dyn PluginSink> {
        Box::new(Self(sink.clone()))
    }
}

impl<S: Sink> PluginSink for Adapted<S> {
    fn commit(&mut self, commit: &PluginCommit, rows: &mut dyn FnMut() -> Result<Option<RecordBatch>>) -> Result<()> {
        let mut commit = Commit::new(commit, rows);
        self.0.commit(&mut commit)?;
        match commit.has_failed {
            // What the sink has passed over is not visible.
            true => Err(Error::environment("not all rows of the epoch could be read")),
            false => Ok(()),
        }
    }

    fn last_epoch(&mut self, writer: &str) -> Result<LastEpoch> {
        self.0.last_epoch(writer)
    }
}
