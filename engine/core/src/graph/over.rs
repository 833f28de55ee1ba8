//! What the operator of functions with `OVER` is told.

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

/// Parameters of [`OperatorSpec::Over`](super::OperatorSpec::Over). The output is the input's columns, then one for each call. Rows of a partition are in the order
/// of their time, those of the same time in that of their arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverSpec {
    /// `PARTITION BY`. None: all rows are one partition.
    pub partition: Vec<usize>,
    /// `ORDER BY`: a time attribute.
    pub time: usize,
    /// What is computed for each row.
    pub calls: Vec<OverCall>,
}

/// A function with `OVER`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverCall {
    /// What to compute.
    pub function: OverFunction,
    /// Over which rows. Functions that count rows, and those of rows at a distance, have one of their own.
    pub frame: OverFrame,
    /// Column of the argument; none for `COUNT(*)` and functions without one. Nulls count for nothing unless the function says so.
    pub argument: Option<usize>,
    /// Column whose value stands in where there is no row at the distance; none: null does.
    pub default: Option<usize>,
    /// Name of the result column.
    pub name: String,
    /// Type of the result.
    pub data_type: DataType,
}

/// What a function with `OVER` computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverFunction {
    /// Number of rows, or of values.
    Count,
    /// Sum of whole numbers, decimals or DOUBLEs. That of DOUBLEs is rounded once.
    Sum,
    /// Mean of whole numbers or DOUBLEs, as a DOUBLE.
    Avg,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// First value; of all rows if nulls are respected.
    FirstValue {
        /// Whether a null is a value.
        respect_nulls: bool,
    },
    /// Last value; of all rows if nulls are respected.
    LastValue {
        /// Whether a null is a value.
        respect_nulls: bool,
    },
    /// Number of the row, from 1.
    RowNumber,
    /// Number of the first row of the same time.
    Rank,
    /// Number of times up to the row's.
    DenseRank,
    /// Value of the row that is so many rows before.
    Lag(u64),
    /// Value of the row that is so many rows behind.
    Lead(u64),
    /// Last value of the rows before that is not null.
    LastBefore,
}

/// Rows of the partition up to the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverFrame {
    /// The current row and so many before it; `None`: all.
    Rows(Option<u64>),
    /// Rows of the current row's time, and of so many milliseconds before; `None`: all.
    Range(Option<i64>),
}
