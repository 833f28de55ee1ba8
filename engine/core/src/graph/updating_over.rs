//! What the operator of functions with `OVER` is told whose results change as rows come and go.

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use super::{OverFunction, SortKey};
use crate::AggregateCall;

/// Parameters of [`OperatorSpec::UpdatingOver`](super::OperatorSpec::UpdatingOver). The output is the input's columns, then one for each
/// call. Of rows that are equal in the order the one that came first is ahead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatingOverSpec {
    /// `PARTITION BY`. None: all rows are one partition.
    pub partition: Vec<usize>,
    /// `ORDER BY`. None: rows are in the order in which they came, and all of them are equal.
    pub order: Vec<SortKey>,
    /// What is computed for each row.
    pub calls: Vec<FramedCall>,
    /// Whether rows of the input may be taken back. They have to be found by their values then.
    pub retracts: bool,
    /// A partition is forgotten so many milliseconds behind its last change; `None`: none is. Only where there are partitions.
    #[serde(default)]
    pub time_to_live: Option<u64>,
}

/// A function with `OVER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FramedCall {
    /// What to compute.
    pub function: FramedFunction,
    /// Over which rows; [`OverRows::ALL`] for functions that take no notice of it.
    pub frame: OverRows,
    /// Column of the argument, as in [`OverCall`](super::OverCall). An aggregate names its own.
    pub argument: Option<usize>,
    /// Column whose value stands in where there is no row at the distance; none: null does.
    pub default: Option<usize>,
    /// Name of the result column.
    pub name: String,
    /// Type of the result.
    pub data_type: DataType,
}

/// What is computed for a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a job has a few dozen of them")]
pub enum FramedFunction {
    /// One that the operator of event time knows too.
    Over(OverFunction),
    /// Share of the other rows that are before the row's equals.
    PercentRank,
    /// Share of the rows that are not behind the row's equals.
    CumeDist,
    /// Number of the row's part, from 1, of so many parts as equal as can be.
    Ntile(u64),
    /// Value of the so many-th row of the frame, null or not.
    NthValue(u64),
    /// The so many-th value of the frame that is not null.
    NthPresent {
        /// Which, from 1.
        number: u64,
        /// Whether they are counted from the last row of the frame.
        from_last: bool,
    },
    /// Any other aggregate.
    Aggregate(AggregateCall),
}

/// Rows of the partition that a call for one row reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverRows {
    /// Whether bounds are distances in the value that rows are ordered by, and not numbers of rows. The current row is all that are
    /// equal to it then.
    pub by_range: bool,
    /// The first row.
    pub start: OverBound,
    /// The last row.
    pub end: OverBound,
}

/// Where a frame begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverBound {
    /// With the partition.
    Unbounded,
    /// At the current row.
    Current,
    /// So many rows behind the current one, or so many units of the order's column: milliseconds of a `TIMESTAMP(3)`, last digits of
    /// a `DECIMAL`. Negative ones are before it.
    Whole(i64),
    /// So far behind the value of the current row: the bits of a DOUBLE.
    Double(u64),
}

impl OverRows {
    /// All rows of the partition.
    pub const ALL: Self = Self { by_range: false, start: OverBound::Unbounded, end: OverBound::Unbounded };
}
