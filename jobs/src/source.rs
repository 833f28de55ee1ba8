//! Sources that users write.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use serde::Serialize;
use serde::de::DeserializeOwned;
use weir_core::plugin::{PluginRead, PluginReader, PluginSource, PluginSplit, PluginSplits, TableRequest};
use weir_core::{Error, EventTime, Result};

use crate::record::{Column, Record, Timestamp, conform};

/// Where rows come from, in the user's own code: [`Job::create_source`](crate::Job::create_source) declares a table of it.
///
/// A source has *splits*, each with rows in an order of its own: files, partitions, shards, or [one](Self::splits) if nothing can be told apart. Each is read by one
/// [reader](SplitReader) at a time, in some subtask (but for one of an attempt that has failed, which nobody waits for: its last call may still be under way), which says behind every batch at which *position* it is. Checkpoints hold positions; after a crash readers are opened
/// where the last checkpoint was.
///
/// **A reader that is opened at a position gives the same rows that the one before gave behind it**, however far that had come: those rows are counted once, as if
/// nothing had happened. What cannot be read again (a socket, a sensor) is written down first, or its rows can be lost in a crash.
///
/// Methods may block: they run on threads of their own, away from those that compute. They may also be called in several processes at a time, on
/// values that have been made anew by the function that is the job.
///
/// ```
/// use weir_jobs::prelude::*;
/// use weir_jobs::testing::check_source;
///
/// #[derive(Record, Debug, Clone, PartialEq)]
/// struct Number { n: i64 }
///
/// /// The numbers up to a last one.
/// struct Numbers { last: i64 }
///
/// impl Source for Numbers {
///     type Row = Number;
///     type Position = i64;
///     type Reader = Counter;
///
///     fn is_bounded(&self) -> bool {
///         true
///     }
///
///     fn open(&self, _split: &str, position: Option<i64>) -> Result<Counter> {
///         Ok(Counter { next: position.unwrap_or(1), last: self.last })
///     }
/// }
///
/// struct Counter { next: i64, last: i64 }
///
/// impl SplitReader for Counter {
///     type Row = Number;
///     type Position = i64;
///
///     fn read(&mut self, rows: &mut Rows<Number>) -> Result<Reading> {
///         while self.next <= self.last && !rows.is_full() {
///             rows.push(&Number { n: self.next });
///             self.next += 1;
///         }
///         Ok(if self.next > self.last { Reading::End } else { Reading::More })
///     }
///
///     fn position(&self) -> i64 {
///         self.next
///     }
/// }
///
/// fn squares(job: &mut Job) -> Result<()> {
///     job.create_source(Table::new("numbers"), Numbers { last: 100 })
///         .map(|number| Number { n: number.n * number.n })
///         .insert_into("squares");
///     Ok(())
/// }
///
/// // Whatever it is interrupted behind, it goes on with the same rows.
/// assert_eq!(check_source(Numbers { last: 100 })?.len(), 100);
/// # Ok::<(), Error>(())
/// ```
pub trait Source: Send + Sync + 'static {
    /// The rows.
    type Row: Record;
    /// Where to go on in a split: a number, a text, or a struct with serde's derives. It is kept as JSON, and a later version of the job reads it: serde's
    /// attributes say what of a position that an earlier one has kept.
    type Position: Serialize + DeserializeOwned + Send;
    /// What reads a split.
    type Reader: SplitReader<Row = Self::Row, Position = Self::Position>;

    /// The splits that there are now, also those that have been read. Each is read once, whatever happens, and a name stands for the same split for good. Asked
    /// when an execution of the job begins, and [again](Self::look_again_after). Unless it is said otherwise there is one.
    ///
    /// # Errors
    /// If they cannot be found: the job does not start, or fails.
    fn splits(&self) -> Result<Vec<Split<Self::Position>>> {
        Ok(vec![Split::new("all")])
    }

    /// How long after one look for [splits](Self::splits) the next one follows. `None`: those that are there when an execution begins are all.
    fn look_again_after(&self) -> Option<Duration> {
        None
    }

    /// Whether all rows come to an end by themselves, and the job with them. It is planned accordingly, so it has to hold.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Opens a split: where the reader before it was, where the [split begins](Split::at), or, with neither, at its beginning.
    ///
    /// # Errors
    /// If it cannot be read: the job fails, and goes back to its last checkpoint.
    fn open(&self, split: &str, position: Option<Self::Position>) -> Result<Self::Reader>;
}

/// Reads a split of a [`Source`].
pub trait SplitReader: Send + 'static {
    /// The rows.
    type Row: Record;
    /// Where to go on.
    type Position;

    /// Reads the next rows, as many as are there and until [`Rows::is_full`]. Waits if there are none, for a second at most: who asks for them may have
    /// gone meanwhile. It may also return at once without a row, and is asked again soon.
    ///
    /// # Errors
    /// If it cannot be read, or holds what is no row: the job fails, and goes back to its last checkpoint.
    fn read(&mut self, rows: &mut Rows<Self::Row>) -> Result<Reading>;

    /// Where to go on behind the rows that were read last, also at the end of the split: a reader that is opened there says that it is at its end. Called behind each
    /// [`read`](Self::read).
    fn position(&self) -> Self::Position;
}

impl<S: Source> Source for Arc<S> {
    type Row = S::Row;
    type Position = S::Position;
    type Reader = S::Reader;

    fn splits(&self) -> Result<Vec<Split<Self::Position>>> {
        (**self).splits()
    }

    fn look_again_after(&self) -> Option<Duration> {
        (**self).look_again_after()
    }

    fn is_bounded(&self) -> bool {
        (**self).is_bounded()
    }

    fn open(&self, split: &str, position: Option<Self::Position>) -> Result<Self::Reader> {
        (**self).open(split, position)
    }
}

/// Whether there is more in a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// There is, or may be later.
    More,
    /// It has been read to its end. It is not opened again.
    End,
}

/// A split of a [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<P> {
    name: String,
    begin: Option<P>,
}

impl<P> Split<P> {
    /// A split of that name, which is read from its beginning.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), begin: None }
    }

    /// The same, which is read from here. The position that was said when the split was first found counts, whatever is said later: so "from now on" is the same now
    /// after each crash.
    #[must_use]
    pub fn at(self, position: P) -> Self {
        Self { begin: Some(position), ..self }
    }
}

/// Rows that a reader has read.
pub struct Rows<R: Record> {
    builder: R::Builder,
    count: usize,
    most: usize,
    time: Option<EventTime>,
}

impl<R: Record> Rows<R> {
    fn new(most: usize) -> Self {
        Self { builder: R::builder(0), count: 0, most: most.max(1), time: None }
    }

    /// Adds a row.
    pub fn push(&mut self, row: &R) {
        row.append_to(&mut self.builder);
        self.count += 1;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether there are as many as a batch should have. More are taken.
    pub fn is_full(&self) -> bool {
        self.count >= self.most
    }

    /// Behind these rows the split has none with this event time or an earlier one: what rows do not tell, since there are none. It is the watermark itself: how far rows may be out of order is
    /// not taken off it.
    pub fn event_time_is(&mut self, time: Timestamp) {
        let time = time.event_time();
        self.time = Some(self.time.map_or(time, |before| before.max(time)));
    }
}

/// Between two looks for splits there is this at least.
const PAUSE: Duration = Duration::from_millis(10);

/// A user's source as the engine takes it.
pub(crate) struct Adapted<S> {
    source: Arc<S>,
    columns: SchemaRef,
}

impl<S: Source> Adapted<S> {
    pub(crate) fn boxed(source: &Arc<S>, request: &TableRequest) -> Box<dyn PluginSource> {
        Box::new(Self { source: source.clone(), columns: request.columns.clone() })
    }
}

impl<S: Source> PluginSource for Adapted<S> {
    fn splits(&mut self) -> Result<PluginSplits> {
        let split = |Split { name, begin }: Split<S::Position>| {
            Ok(PluginSplit { name, begin: begin.as_ref().map(written).transpose()? })
        };
        let splits = self.source.splits()?.into_iter().map(split).collect::<Result<_>>()?;
        Ok(PluginSplits { splits, again_after: self.source.look_again_after().map(|after| after.max(PAUSE)) })
    }

    fn open(&mut self, split: &str, position: Option<&str>) -> Result<Box<dyn PluginReader>> {
        let read = |text| {
            serde_json::from_str(text).map_err(|error| {
                let problem =
                    format!("the position {text} of split '{split}' cannot be read by this version of the job");
                Error::user(problem).with_source(error)
            })
        };
        let reader = self.source.open(split, position.map(read).transpose()?)?;
        Ok(Box::new(AdaptedReader { reader, columns: self.columns.clone(), of: PhantomData::<fn() -> S> }))
    }
}

struct AdaptedReader<S: Source> {
    reader: S::Reader,
    columns: SchemaRef,
    of: PhantomData<fn() -> S>,
}

impl<S: Source> PluginReader for AdaptedReader<S> {
    fn read(&mut self, most: usize) -> Result<PluginRead> {
        let mut rows = Rows::<S::Row>::new(most);
        let is_end = self.reader.read(&mut rows)? == Reading::End;
        let position = written(&self.reader.position())?;
        let Rows { mut builder, count, time, .. } = rows;
        let records = (count > 0).then(|| {
            let columns = conform(&S::Row::finish_columns(&mut builder), &self.columns, S::Row::NAME)?;
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            Ok::<_, Error>(RecordBatch::try_new_with_options(self.columns.clone(), columns, &options)?)
        });
        Ok(PluginRead { records: records.transpose()?, position, time, is_end })
    }
}

/// A position as it is kept.
fn written<P: Serialize>(position: &P) -> Result<String> {
    serde_json::to_string(position)
        .map_err(|error| Error::user("a position of the source cannot be written as JSON").with_source(error))
}
