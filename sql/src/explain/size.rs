//! What bounds the state of an operator, and how large it gets.
//!
//! Sizes are of the memory of a million rows or groups, from the types of their columns and from what an operator keeps beside each. A text
//! counts as one of 16 bytes. Real ones differ by what is in them, and by how much of a hash table is free; a test sees that they are within
//! half and twice of what operators say of themselves.

use std::fmt;

use arrow::datatypes::{DataType, Schema};
use weir_core::{
    AggregateCall, AggregateFunction, GroupAggregateSpec, JobGraph, JoinSpec, Node, OperatorSpec, TopNSpec,
    UpdatingOverSpec,
};

use super::over;

/// Bytes of a million rows, or of something else that there is one of for each row or key.
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) of: &'static str,
}

/// `about 96 MB per million rows`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "about {} MB per million {}", self.bytes.div_ceil(1_000_000), self.of)
    }
}

/// What bounds the state of an operator that has some; `None`: nothing does.
pub(super) fn bound(operator: &OperatorSpec) -> Option<&'static str> {
    match operator {
        OperatorSpec::Discover(_) | OperatorSpec::Source(_) => Some("the number of splits"),
        OperatorSpec::WindowAggregate(_)
        | OperatorSpec::UpdatingSessions(_)
        | OperatorSpec::WindowTopN(_)
        | OperatorSpec::WindowJoin(_)
        | OperatorSpec::IntervalJoin(_)
        | OperatorSpec::GroupAggregate(GroupAggregateSpec { window: Some(_), .. }) => Some("the watermark"),
        OperatorSpec::Over(spec) if !over::grows(spec) => Some("the watermark"),
        OperatorSpec::Join(JoinSpec { time_to_live: (Some(_), Some(_)), .. })
        | OperatorSpec::GroupAggregate(GroupAggregateSpec { time_to_live: Some(_), .. })
        | OperatorSpec::TopN(TopNSpec { time_to_live: Some(_), deletions: None, .. })
        | OperatorSpec::UpdatingOver(UpdatingOverSpec { time_to_live: Some(_), .. }) => Some("the time to live"),
        OperatorSpec::TemporalJoin(_) => Some("the watermark on the left, the number of keys on the right"),
        OperatorSpec::GroupAggregate(spec) if spec.keys.is_empty() => Some("one group"),
        OperatorSpec::TopN(spec) if super::has_last_row(spec) && !spec.retracts => Some("the limit"),
        OperatorSpec::TopN(TopNSpec { deletions: Some(_), .. }) => Some("the number of keys"),
        OperatorSpec::FinalRows | OperatorSpec::SortedRows(_) => Some("the end of the input"),
        OperatorSpec::PacedRows(_) => Some("the interval"),
        OperatorSpec::Sink(_) => Some("the checkpoint"),
        _ => None,
    }
}

/// Bytes of the content of a text.
const TEXT: u64 = 16;

/// Bytes of a value in a column.
fn value(data_type: &DataType) -> u64 {
    match data_type {
        DataType::Null => 0,
        DataType::Boolean => 1,
        // A view in front.
        DataType::Utf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView => 16 + TEXT,
        DataType::Struct(fields) => fields.iter().map(|field| value(field.data_type())).sum(),
        other => other.primitive_width().map_or(4 * 16, |width| width as u64),
    }
}

/// Bytes of a value in a row that is kept as bytes.
fn in_row(data_type: &DataType) -> u64 {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::Binary | DataType::BinaryView => 9 * TEXT.div_ceil(8) + 1,
        other => value(other) + 1,
    }
}

fn columns(schema: &Schema) -> u64 {
    schema.fields().iter().map(|field| value(field.data_type())).sum()
}

fn row(schema: &Schema) -> u64 {
    schema.fields().iter().map(|field| in_row(field.data_type())).sum()
}

fn part(schema: &Schema, of: impl Iterator<Item = usize>) -> u64 {
    of.map(|column| in_row(schema.field(column).data_type())).sum()
}

/// What a row in a block costs beside its columns: its slot, and where it lies.
const PLACE: u64 = 4 + 8;

/// What an entry of a hash table costs, with the free ones.
fn entry(bytes: u64) -> u64 {
    (bytes + 1) * 3 / 2
}

/// The size of what an operator keeps, where that depends on how many rows or keys there are.
pub(super) fn size(graph: &JobGraph, node: &Node) -> Option<Size> {
    let schema = |ordinal: usize| {
        let edge = node.spec.inputs.iter().find(|edge| edge.ordinal == ordinal)?;
        Some(&graph.node(edge.from).spec.schema)
    };
    let input = schema(0)?;
    // Those of both sides, weighed alike.
    let both = || Some((columns(input) + columns(schema(1)?)) / 2);
    let (bytes, of) = match &node.spec.operator {
        OperatorSpec::Join(_) => (both()? + PLACE + 26 + entry(12), "rows"),
        OperatorSpec::WindowJoin(_) | OperatorSpec::IntervalJoin(_) => (both()? + PLACE + entry(12), "rows"),
        OperatorSpec::TemporalJoin(_) => ((row(input) + row(schema(1)?)) / 2 + 96, "rows"),
        OperatorSpec::LookupJoin(spec) if spec.retracts => {
            (columns(&node.spec.schema) + PLACE + 26 + entry(12), "rows")
        }
        OperatorSpec::UpdatingOver(spec) => {
            let order = part(input, spec.order.iter().map(|key| key.column));
            let found = if spec.retracts { entry(16) } else { 0 };
            (columns(input) + PLACE + 40 + (order + 8 + 40) + found, "rows")
        }
        OperatorSpec::Over(_) => (row(input) + 96, "rows"),
        OperatorSpec::TopN(spec) if super::has_last_row(spec) && !spec.retracts => return None,
        OperatorSpec::TopN(spec) => {
            let order = part(input, spec.order.iter().map(|key| key.column));
            let found = if spec.retracts { 100 } else { 0 };
            (row(input) + order + 8 + 72 + found, "rows")
        }
        OperatorSpec::WindowTopN(_) => (row(input) + 96, "rows"),
        OperatorSpec::GroupAggregate(spec) if !spec.keys.is_empty() => {
            let keys: u64 = spec.keys.iter().map(|key| value(input.field(*key).data_type())).sum();
            (keys + entry(12) + 16 + spec.aggregates.iter().map(state).sum::<u64>(), "groups")
        }
        OperatorSpec::UpdatingSessions(spec) => {
            let keys: u64 = spec.keys.iter().map(|key| value(input.field(*key).data_type())).sum();
            // A session with its place in time, and the key's last one.
            (keys + entry(12) + 40 + 16 + 6 + spec.aggregates.iter().map(state).sum::<u64>(), "sessions")
        }
        OperatorSpec::WindowAggregate(spec) => {
            let keys: u64 = spec.keys.iter().map(|key| value(input.field(*key).data_type())).sum();
            (keys + entry(12) + 16 + spec.aggregates.iter().map(state).sum::<u64>(), "groups")
        }
        OperatorSpec::FinalRows | OperatorSpec::SortedRows(_) => (row(input) + entry(16) + 8, "rows"),
        OperatorSpec::PacedRows(_) => (row(input) + entry(40) + 16, "rows"),
        _ => return None,
    };
    Some(Size { bytes: bytes * 1_000_000, of })
}

/// Bytes of an aggregate's state for a group, of those that keep values for one value.
fn state(call: &AggregateCall) -> u64 {
    match call.function {
        AggregateFunction::Count if !call.distinct => 8,
        AggregateFunction::Sum | AggregateFunction::Avg if !call.distinct => 16,
        AggregateFunction::ExactAvg if !call.distinct => 32,
        AggregateFunction::Min | AggregateFunction::Max => value(&call.data_type) + 8,
        _ => 64 + value(&call.data_type),
    }
}
