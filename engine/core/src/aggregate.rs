//! Which aggregates a job asks for.

use arrow_schema::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::Literal;

/// What is computed over the rows of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregateFunction {
    /// Number of rows, or of rows whose argument is not null.
    Count,
    /// Sum; null over no values. The state has the result's type.
    Sum,
    /// Mean. The state is a sum and a count.
    Avg,
    /// Mean of whole numbers, as a DOUBLE. The state is their exact sum and a count.
    ExactAvg,
    /// Smallest value.
    Min,
    /// Greatest value.
    Max,
    /// Value of the row that is first in event time (ties: in order of arrival).
    FirstValue,
    /// Value of the row that is last in event time (ties: in order of arrival).
    LastValue,
    /// Any other aggregate, by its name in the function registry.
    Other(String),
}

/// One aggregate of an aggregation; columns are positions in the operator's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateCall {
    /// What to compute.
    pub function: AggregateFunction,
    /// Argument columns; none for `COUNT(*)`.
    pub arguments: Vec<usize>,
    /// Constant arguments, which follow the columns: the separator of `STRING_AGG`, the fraction of a percentile.
    #[serde(default)]
    pub constants: Vec<Literal>,
    /// Whether equal argument values count once.
    pub distinct: bool,
    /// Boolean column: only rows where it is true are taken (`FILTER (WHERE …)`).
    pub filter: Option<usize>,
    /// `ORDER BY` inside the call: column, descending, nulls first.
    pub order_by: Vec<(usize, bool, bool)>,
    /// Name of the result column.
    pub name: String,
    /// Type of the result.
    pub data_type: DataType,
}

impl AggregateCall {
    /// Columns of a partial result that can be merged with others later, or `None` when this aggregate has to see
    /// every row in one place.
    pub fn partial_fields(&self) -> Option<Vec<Field>> {
        if self.distinct || !self.order_by.is_empty() {
            return None;
        }
        let field = |suffix: &str, data_type: DataType| Field::new(format!("{}${suffix}", self.name), data_type, true);
        match self.function {
            AggregateFunction::Count => Some(vec![field("count", DataType::Int64)]),
            AggregateFunction::Sum => Some(vec![field("sum", self.data_type.clone())]),
            AggregateFunction::Min => Some(vec![field("min", self.data_type.clone())]),
            AggregateFunction::Max => Some(vec![field("max", self.data_type.clone())]),
            AggregateFunction::Avg if self.data_type == DataType::Float64 => {
                Some(vec![field("sum", DataType::Float64), field("count", DataType::Int64)])
            }
            AggregateFunction::ExactAvg => {
                Some(vec![field("sum", DataType::Decimal128(38, 0)), field("count", DataType::Int64)])
            }
            _ => None,
        }
    }
}
