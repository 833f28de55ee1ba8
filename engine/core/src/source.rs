//! What a source promises.
//!
//! A table is read in *splits*: files, ranges of one, partitions. Which there are is found out in one place per table
//! ([`SplitDiscovery`]) and announced to the subtasks that read it ([`Source`]), each of which is assigned its share.
//!
//! ```text
//!                      announcements, markers
//!   SplitDiscovery ───────────────────────────▶ assign ▶ Source ▶ rows
//!    one per table                                        one per subtask
//! ```
//!
//! Neither of the two knows of the other, of subtasks elsewhere, or of checkpoints: what was announced, who reads what, and how
//! far each split has been read is kept by the subtasks around them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;

use crate::{Attempt, Epoch, EventTime, Result};

/// Of a table whose records replace each other by its primary key: columns that say so, which the source delivers where it is asked for them
/// and nobody declares. Their names are those of metadata ([`METADATA_KEY`](crate::connector::METADATA_KEY)). A record may come several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// The greater a record is in these, from the first to the last, the newer it is. None is ever null, and no two records of a key are
    /// equal in all of them.
    pub order: Vec<Field>,
    /// `BOOLEAN`: whether the record says that there is no row of its key. All its columns but those of the key, and these, mean nothing then.
    pub deletion: Field,
    /// How long it is kept in mind that a key was deleted, in milliseconds of processing time, so that an older record that comes late does not
    /// bring the row back; `None`: for ever.
    pub keeps_deletions_ms: Option<u64>,
}

/// A part of a table that is read in its own order, by one subtask at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Its name, stable across executions.
    pub name: Arc<str>,
    /// The sequence that it belongs to. The rows of a sequence come in the order of event time, as far as the table's watermark
    /// declaration says so; of two sequences nothing is known. All ranges of a file are one sequence; most splits are alone
    /// in theirs.
    pub sequence: Arc<str>,
    /// What a [`Source`] has to know to read it, beside the name, in the connector's own words.
    pub description: String,
}

/// What a discovery learns when it opens.
#[derive(Debug, Clone, Default)]
pub struct DiscoveryContext {
    /// All splits that were announced in earlier executions, in order; none on a fresh start. They are announced again without
    /// the discovery's doing, together with the first that it finds.
    pub known: Vec<Split>,
    /// This execution. What is not there in the first one has perhaps never been, and what in a later one, has gone away.
    pub attempt: Attempt,
}

/// Finds the splits of a table. There is one for all subtasks that read it.
#[async_trait]
pub trait SplitDiscovery: Send {
    /// Waits for splits that were not known before; they are announced together, and counted as unread from then on at all
    /// readers. `None`: there will be no more, ever; it is not asked again. Dropping the future before it is ready loses
    /// nothing.
    ///
    /// Splits that are known from earlier executions are not read before the first answer: what has come while nothing ran is not to
    /// be late because the others are read meanwhile. So where there are such, the first answer comes once it has been looked, with
    /// no split if nothing is new.
    ///
    /// # Errors
    /// If the table cannot be reached any more.
    async fn next(&mut self) -> Result<Option<Vec<Split>>>;

    /// All splits of a sequence have been read to their end, in this execution or an earlier one, by all that read the table.
    fn finished(&mut self, sequence: &Arc<str>) {
        let _ = sequence;
    }

    /// Sequences, of those that are finished, that need not be remembered any more: they are not found again, or should they be, they
    /// are to be read again. Asked before each checkpoint; each is named once.
    fn forgotten(&mut self) -> Vec<Arc<str>> {
        Vec::new()
    }
}

/// What a source subtask learns when it opens.
#[derive(Debug, Clone)]
pub struct SourceContext {
    /// Number of this subtask, from 0.
    pub subtask: usize,
    /// Number of subtasks.
    pub parallelism: usize,
    /// Rows that a batch should have.
    pub batch_rows: usize,
}

/// A split that a subtask is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedSplit {
    /// Which.
    pub split: Split,
    /// Where to go on, as [`Source::positions`] said; `None`: nobody has read it, and it begins where the table's options say.
    pub position: Option<String>,
}

/// How far a split has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitPosition {
    /// Name of the split.
    pub split: Arc<str>,
    /// Where to go on, in the connector's own words.
    pub position: String,
}

/// How far behind a split is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitLag {
    /// Name of the split.
    pub split: Arc<str>,
    /// Records that are there and have not been read, as far as that is known.
    pub records: Option<u64>,
    /// For how long the next record has been there, as far as that is known.
    pub time: Option<Duration>,
}

/// One subtask's part of a source.
#[async_trait]
pub trait Source: Send {
    /// Adds splits to those that this subtask reads. Called when they are announced, between two calls of
    /// [`next`](Self::next); never twice for the same split. Does no I/O: whether a split can be read shows when it is read.
    ///
    /// # Errors
    /// If a description or position is not of this connector's making.
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()>;

    /// Waits for the next event. Asked only while there is a split that is not finished. Dropping the future before it is ready
    /// loses nothing. A source that is not asked is *paused*: it may read ahead by a few batches, and no further.
    ///
    /// # Errors
    /// A data error for a record that cannot be decoded under the policy `fail`, with file, place and reason.
    async fn next(&mut self) -> Result<SourceEvent>;

    /// These splits, and no others, are not to be read for now: no row of theirs comes from [`next`](Self::next) until they are let go. Called
    /// between two calls of it, and only where the connector [can hold splits](crate::Connector::holds_splits). A split that is held may
    /// be read ahead by a few batches, and no further.
    fn hold(&mut self, splits: &BTreeSet<Arc<str>>) {
        let _ = splits;
    }

    /// Where the splits stand that are not finished, behind the last event that was returned. One that has no position yet may
    /// be missing if nothing is lost by beginning anew where the table's options say: a split that begins at *now* has one as
    /// soon as it is assigned.
    fn positions(&self) -> Vec<SplitPosition>;

    /// How far behind splits are, where that is known. Asked a few times a second; does no I/O.
    fn lag(&self) -> Vec<SplitLag> {
        Vec::new()
    }

    /// The marker of a checkpoint has passed: these are the positions that it will hold, if it is completed. Epochs rise; of those that
    /// are given up nothing more is heard.
    fn captured(&mut self, epoch: Epoch, positions: &[SplitPosition]) {
        let _ = (epoch, positions);
    }

    /// The checkpoint of this epoch is complete: what follows from all that was read before its marker is decided, and will not be
    /// read again. Epochs come in order, some are left out; the word may be lost with a process, and is then not repeated. For what
    /// others are told about positions, such as the offsets of a consumer group, and not for what reading goes on from.
    ///
    /// # Errors
    /// If it is worth failing the job.
    async fn completed(&mut self, epoch: Epoch) -> Result<()> {
        let _ = epoch;
        Ok(())
    }
}

/// What happens in a source.
#[derive(Debug)]
pub enum SourceEvent {
    /// Rows of a split.
    Rows {
        /// Which split. Where splits of one sequence are read together, any of them.
        split: Arc<str>,
        /// The rows, in the table's output schema. May be empty if all were rejected.
        records: RecordBatch,
        /// Records among them that could not be decoded, under the policies `skip` and `dead-letter`.
        rejected: Vec<Rejected>,
    },
    /// The source knows, without a row that says so, that the watermark of a split has come to a time: no row of it with that time or an
    /// earlier one is expected. It is as if a row had come with which the table's watermark expression has that value. Without a
    /// meaning where the table has no watermark.
    Time {
        /// Which split.
        split: Arc<str>,
        /// How far it has come.
        time: EventTime,
    },
    /// A split has been read to its end, and is never assigned again.
    SplitFinished {
        /// Which split.
        split: Arc<str>,
    },
}

/// A record that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Where it stands: a file, a partition.
    pub origin: Arc<str>,
    /// Its offset there, in the source's own unit (bytes in a file).
    pub offset: u64,
    /// Its bytes, cut off at 64 KiB.
    pub raw: Vec<u8>,
    /// What is wrong with it.
    pub reason: String,
}

/// Schema of the rows from [`OperatorSpec::Discover`](crate::OperatorSpec::Discover) to the sources behind it: a split each, with
/// its number in the order of their announcement.
pub fn announcement_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("split", DataType::Utf8, false),
        Field::new("number", DataType::Int64, false),
        Field::new("sequence", DataType::Utf8, false),
        Field::new("description", DataType::Utf8, false),
    ]))
}

/// Schema of rows on [`OutputPort::Rejected`](crate::OutputPort::Rejected).
pub fn rejected_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("table_name", DataType::Utf8View, false),
        Field::new("origin", DataType::Utf8View, false),
        Field::new("record_offset", DataType::Int64, true),
        Field::new("raw", DataType::BinaryView, false),
        Field::new("reason", DataType::Utf8View, false),
    ]))
}
