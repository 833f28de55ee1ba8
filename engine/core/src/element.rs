//! What travels on a stream.

use arrow::array::{Array, Int8Array, RecordBatch};
use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::{Epoch, Error, Result, Watermark};

/// Rows, and for each whether it is added or taken back.
#[derive(Debug, Clone)]
pub struct Batch {
    records: RecordBatch,
    /// `+1` for a row that is added, `-1` for one that is taken back. Absent on append-only streams, so that they pay
    /// nothing for what they do not use.
    weights: Option<Int8Array>,
}

impl Batch {
    /// Rows of an append-only stream.
    pub fn append(records: RecordBatch) -> Self {
        Self { records, weights: None }
    }

    /// Rows of a stream that can take others back, each with its weight.
    ///
    /// # Errors
    /// An internal error if there are not as many weights as rows, or one is neither `+1` nor `-1`.
    pub fn weighted(records: RecordBatch, weights: Int8Array) -> Result<Self> {
        let sound = weights.null_count() == 0 && weights.values().iter().all(|weight| matches!(weight, 1 | -1));
        if !sound || weights.len() != records.num_rows() {
            return Err(Error::internal("rows do not have one weight each that is 1 or -1"));
        }
        Ok(Self { records, weights: Some(weights) })
    }

    /// The rows.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// The rows, owned.
    pub fn into_records(self) -> RecordBatch {
        self.records
    }

    /// `+1`/`-1` per row; `None` when every row is added.
    pub fn weights(&self) -> Option<&Int8Array> {
        self.weights.as_ref()
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.records.num_rows()
    }

    /// The rows' schema.
    pub fn schema(&self) -> SchemaRef {
        self.records.schema()
    }
}

impl From<RecordBatch> for Batch {
    fn from(records: RecordBatch) -> Self {
        Self::append(records)
    }
}

/// Why a marker was sent, which says what happens where it passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MarkerKind {
    /// Operators with pending updates emit them. No state is captured.
    Flush,
    /// Operators flush, then capture their state; sinks prepare.
    Checkpoint,
    /// A checkpoint that stands alone and is kept until it is deleted.
    Savepoint,
    /// A savepoint after which the job ends. Sources send [`Element::End`] behind it.
    Stop,
    /// A stop in front of which event time comes to its end, so that all windows fire: the input counts as over.
    Drain,
}

impl MarkerKind {
    /// Whether operators capture state where this marker passes.
    pub fn captures(self) -> bool {
        !matches!(self, MarkerKind::Flush)
    }

    /// Whether the job ends behind this marker.
    pub fn ends(self) -> bool {
        matches!(self, MarkerKind::Stop | MarkerKind::Drain)
    }
}

/// The one marker that flows from the sources through the dataflow. What an operator emits between two markers belongs
/// to one consistent prefix of every source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Number of the epoch that this marker closes.
    pub epoch: Epoch,
    /// What to do.
    pub kind: MarkerKind,
}

/// One element of a stream.
#[derive(Debug, Clone)]
pub enum Element {
    /// Rows.
    Batch(Batch),
    /// Progress of event time, or the news that none is to be expected.
    Watermark(Watermark),
    /// The end of an epoch.
    Marker(Marker),
    /// Nothing follows, ever.
    End,
}
