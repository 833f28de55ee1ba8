use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, SchemaRef};
use weir_core::{
    BinaryOperator, CalcSpec, ChangelogKind, Expr, JoinType, Literal, LiteralValue, LookupJoinSpec, LookupRows,
    NodeSpec, OperatorSpec, SourceSpec, TableSpec,
};
use weir_functions::Functions;

use super::*;
use crate::testing::{check, node, rows, schema};

const INPUT: &str = "id BIGINT, key BIGINT";

fn bids() -> SchemaRef {
    schema(INPUT)
}

fn spec(join_type: JoinType, retracts: bool) -> LookupJoinSpec {
    let side = schema("key BIGINT, name STRING");
    let table = TableSpec::new("side", "files", Default::default(), side.clone());
    let source = SourceSpec { table, projection: None, filter: None, watermark: None, rows_per_second: None };
    let (calcs, schemas) = (Vec::new(), vec![side]);
    LookupJoinSpec { join_type, on: vec![(1, 0)], source, calcs, schemas, residual: None, retracts }
}

fn joined(spec: LookupJoinSpec) -> NodeSpec {
    let changelog = if spec.retracts { ChangelogKind::Retract } else { ChangelogKind::Append };
    let output = schema("id BIGINT, key BIGINT, side_key BIGINT, name STRING");
    NodeSpec { changelog, ..node(OperatorSpec::LookupJoin(spec), &output) }
}

fn compare(left: Expr, operator: BinaryOperator, right: Expr) -> Expr {
    Expr::Binary { operator, left: Box::new(left), right: Box::new(right) }
}

fn number(value: i64) -> Expr {
    Expr::Literal(Literal { data_type: arrow::datatypes::DataType::Int64, value: LiteralValue::Int(value) })
}

#[test]
fn rows_meet_all_that_the_table_has_of_their_key_when_they_come() {
    let script = r#"
        table> 1 | a
        table> 2 | b
        table> 2 | c
        table> NULL | n
        in> 10 | 1
        in> 11 | 2
        in> 12 | 3
        in> 13 | NULL
        out> 10 | 1 | 1 | a
        out> 11 | 2 | 2 | b
        out> 11 | 2 | 2 | c
        marker
        in> 14 | 2
        out> 14 | 2 | 2 | b
        out> 14 | 2 | 2 | c
        watermark 12:00:00
        sent> 12:00:00
        table> 2 | d
        in> 15 | 2
        in> 16 | 1
        out> 15 | 2 | 2 | d
        marker
        end
    "#;
    check(&joined(spec(JoinType::Inner, false)), &[bids()], script);
}

#[test]
fn a_left_join_keeps_rows_that_find_nothing_in_their_place() {
    let condition = compare(Expr::Column(0), BinaryOperator::Gt, number(10));
    let spec = LookupJoinSpec { residual: Some(condition), ..spec(JoinType::Left, false) };
    let script = r#"
        table> 1 | a
        table> 1 | b
        in> 10 | 1
        in> 11 | 1
        in> 12 | 2
        in> 13 | NULL
        out> 10 | 1 | NULL | NULL
        out> 11 | 1 | 1 | a
        out> 11 | 1 | 1 | b
        out> 12 | 2 | NULL | NULL
        out> 13 | NULL | NULL | NULL
        marker
    "#;
    check(&joined(spec.clone()), &[bids()], script);

    let node = joined(spec);
    let OperatorSpec::LookupJoin(spec) = &node.operator else { unreachable!() };
    let mut operator = LookupJoin::new(spec, &bids(), &node.schema, &Functions::built_in()).unwrap();
    let side = rows(&spec.schemas[0], &["1 | a", "1 | b"]);
    operator.look_up_in(Arc::new(LookupRows::new(&side, &[0]).unwrap())).unwrap();
    let mut out = Collector::new(0);
    let lines: Vec<String> = (0..40_000).map(|id| format!("{id} | {}", id % 3)).collect();
    let batch = rows(&bids(), &lines.iter().map(String::as_str).collect::<Vec<_>>());
    operator.process(0, batch.into(), &mut out).unwrap();
    let ids = |batch: &Batch| batch.records().column(0).as_primitive::<Int64Type>().values().to_vec();
    let ids: Vec<i64> = out.take().iter().flat_map(|(_, batch)| ids(batch)).collect();
    let expected = (0..40_000).flat_map(|id| vec![id; if id % 3 == 1 && id > 10 { 2 } else { 1 }]);
    assert_eq!(ids, expected.collect::<Vec<_>>(), "in order, over all pieces of a batch");
}

#[test]
fn what_is_taken_back_is_what_was_emitted_and_not_what_the_table_has_by_then() {
    let script = r#"
        table> 1 | a
        table> 1 | b
        in> 10 | 1
        in> 11 | 2
        in> 12 | NULL
        out> 10 | 1 | 1 | a
        out> 10 | 1 | 1 | b
        out> 11 | 2 | NULL | NULL
        out> 12 | NULL | NULL | NULL
        marker
        table> 1 | c
        table> 2 | d
        in- 10 | 1
        in- 11 | 2
        in- 12 | NULL
        in> 11 | 2
        out- 10 | 1 | 1 | a
        out- 10 | 1 | 1 | b
        out- 11 | 2 | NULL | NULL
        out- 12 | NULL | NULL | NULL
        out> 11 | 2 | 2 | d
        marker
        in- 11 | 2
        out- 11 | 2 | 2 | d
        marker
    "#;
    check(&joined(spec(JoinType::Left, true)), &[bids()], script);
}

#[test]
fn of_equal_rows_the_last_is_taken_back_first() {
    // A row that is taken back has to have come.
    let node = joined(spec(JoinType::Inner, true));
    let OperatorSpec::LookupJoin(spec) = &node.operator else { unreachable!() };
    let mut operator = LookupJoin::new(spec, &bids(), &node.schema, &Functions::built_in()).unwrap();
    operator.look_up_in(Arc::new(LookupRows::new(&rows(&spec.schemas[0], &[]), &[0]).unwrap())).unwrap();
    let batch = Batch::weighted(rows(&bids(), &["9 | 9"]), Int8Array::from(vec![-1])).unwrap();
    let error = operator.process(0, batch, &mut Collector::new(0)).unwrap_err();
    assert!(error.to_string().contains("had not come"), "{error}");

    let script = r#"
        table> 1 | a
        in> 10 | 1
        out> 10 | 1 | 1 | a
        marker
        table> 2 | b
        in> 10 | 1
        marker
        table> 1 | c
        in> 10 | 1
        in- 10 | 1
        in- 10 | 1
        out> 10 | 1 | 1 | c
        out- 10 | 1 | 1 | c
        marker
        in- 10 | 1
        out- 10 | 1 | 1 | a
        marker
    "#;
    check(&node, &[bids()], script);
}

#[test]
fn the_table_is_computed_and_filtered_before_rows_are_looked_up() {
    let twice = compare(Expr::Column(0), BinaryOperator::Multiply, number(2));
    let base = spec(JoinType::Inner, false);
    let spec = LookupJoinSpec {
        source: SourceSpec {
            filter: Some(compare(Expr::Column(0), BinaryOperator::Lt, number(3))),
            ..base.source.clone()
        },
        calcs: vec![CalcSpec { predicate: None, projection: vec![twice, Expr::Column(1)] }],
        schemas: vec![base.schemas[0].clone(), base.schemas[0].clone()],
        ..base
    };
    assert_eq!((spec.read_as(0), spec.read_as(1)), (None, Some(1)));
    let script = r#"
        table> 1 | a
        table> 2 | b
        table> 3 | c
        in> 10 | 2
        in> 11 | 4
        in> 12 | 6
        out> 10 | 2 | 2 | a
        out> 11 | 4 | 4 | b
        marker
    "#;
    check(&joined(spec), &[bids()], script);
}

#[test]
fn keys_are_asked_for_once_each_and_without_nulls() {
    let node = joined(spec(JoinType::Inner, false));
    let OperatorSpec::LookupJoin(spec) = &node.operator else { unreachable!() };
    let operator = LookupJoin::new(spec, &bids(), &node.schema, &Functions::built_in()).unwrap();
    let batch = rows(&bids(), &["1 | 7", "2 | NULL", "3 | 5", "4 | 7"]);
    let keys = operator.lookup_keys(&batch.into()).unwrap();
    assert_eq!(keys.num_columns(), 1);
    assert_eq!(keys.column(0).as_primitive::<Int64Type>().values().to_vec(), [7, 5]);
}
