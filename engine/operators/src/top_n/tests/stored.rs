//! What is stored stays readable when the query in front changes.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use weir_core::{Collector, HashRange, OpenContext, Operator};
use weir_functions::Functions;

use super::*;
use crate::build::bare;
use crate::testing::changes;

const NULLABLE: &str = "id BIGINT, place BIGINT";
const NOT_NULL: &str = "id BIGINT NOT NULL, place BIGINT NOT NULL";

fn operator(columns: &str, retracts: bool, restored: bool) -> Box<dyn Operator> {
    let input = schema(columns);
    let spec = TopNSpec {
        partition: vec![0],
        order: vec![key(1, true)],
        limit: 1,
        with_rank: false,
        retracts,
        time_to_live: None,
        ranking: Ranking::RowNumber,
        deletions: None,
    };
    let node = NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::TopN(spec), &input) };
    let mut operator = bare(&node, std::slice::from_ref(&input), &Functions::built_in()).unwrap();
    let context = OpenContext { range: HashRange::ALL, watermark: EventTime::MIN, restored, has_expired: false };
    operator.open(&context).unwrap();
    operator
}

/// What comes out of a row.
fn put(operator: &mut dyn Operator, columns: &str, row: [i64; 2]) -> Vec<String> {
    let values = row.map(|value| Arc::new(Int64Array::from(vec![value])) as ArrayRef);
    let records = RecordBatch::try_new(schema(columns), values.to_vec()).unwrap();
    let mut out = Collector::new(0);
    operator.process(0, records.into(), &mut out).unwrap();
    operator.flush(&mut out).unwrap();
    let mut said: Vec<String> = out.take().iter().flat_map(|(_, batch)| changes(batch)).collect();
    said.sort();
    said
}

#[test]
fn columns_of_the_partition_may_become_not_null_and_nullable_again() {
    for (before, after) in [(NULLABLE, NOT_NULL), (NOT_NULL, NULLABLE)] {
        for retracts in [false, true] {
            let mut first = operator(before, retracts, false);
            put(&mut *first, before, [1, 5]);
            let mut second = operator(after, retracts, true);
            assert_eq!(first.tables()[0].schema, second.tables()[0].schema, "{before}");
            for captured in first.capture().unwrap() {
                for stored in (captured.rows)().unwrap() {
                    second.load(0, &stored.rows, &stored.hashes).unwrap();
                }
            }
            assert_eq!(put(&mut *second, after, [1, 7]), ["- 1 | 5", "1 | 7"], "{before}");
        }
    }
}
