//! Sums of zeros, which say whether there is any row and any value, as the planner asks for a subquery: they change with the answer alone,
//! and take no more state for more rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::DataType;
use weir_core::{
    AggregateFunction, Batch, ChangelogKind, Collector, EventTime, GroupAggregateSpec, HashRange, NodeSpec,
    OpenContext, Operator, OperatorSpec,
};
use weir_functions::Functions;

use super::call;
use crate::build::bare;
use crate::testing::{check, node, schema};

const INPUT: &str = "row BIGINT, value BIGINT";

/// Whether there is a row, and one with a value.
fn any() -> NodeSpec {
    let aggregates = [0, 1].map(|column| call(AggregateFunction::Sum, &[column], DataType::Int64)).to_vec();
    let spec = GroupAggregateSpec { keys: Vec::new(), aggregates, retracts: true, time_to_live: None, window: None };
    let output = schema("rows BIGINT, nulls BIGINT");
    NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::GroupAggregate(spec), &output) }
}

#[test]
fn only_the_first_and_the_last_row_change_the_answer() {
    let script = "
        out> NULL | NULL
        marker
        in> 0 | NULL
        out- NULL | NULL
        out> 0 | NULL
        marker
        in> 0 | 0
        in> 0 | 0
        out- 0 | NULL
        out> 0 | 0
        marker
        in> 0 | NULL
        in- 0 | 0
        marker
        in> 0 | 0
        in- 0 | 0
        marker
        in- 0 | 0
        out- 0 | 0
        out> 0 | NULL
        marker
        in- 0 | NULL
        marker
        in- 0 | NULL
        out- 0 | NULL
        out> NULL | NULL
        marker
        in> 0 | 0
        out- NULL | NULL
        out> 0 | 0
        end
    ";
    check(&any(), &[schema(INPUT)], script);
}

/// Bytes in memory and bytes of the first checkpoint, after so many rows.
fn bytes(rows: usize) -> (usize, usize) {
    let input = schema(INPUT);
    let mut operator: Box<dyn Operator> = bare(&any(), std::slice::from_ref(&input), &Functions::built_in()).unwrap();
    operator
        .open(&OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored: false, has_expired: false })
        .unwrap();
    let mut out = Collector::new(0);
    let zeros: ArrayRef = Arc::new(Int64Array::from(vec![0; rows]));
    let records = RecordBatch::try_new(input, vec![zeros.clone(), zeros]).unwrap();
    operator.process(0, Batch::weighted(records, Int8Array::from(vec![1; rows])).unwrap(), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    let stored = operator.capture().unwrap().into_iter().flat_map(|capture| (capture.rows)().unwrap());
    let stored = stored.map(|rows| rows.rows.get_array_memory_size()).sum();
    (operator.state_bytes(), stored)
}

#[test]
fn state_does_not_grow_with_rows() {
    assert_eq!(bytes(1), bytes(5000));
}
