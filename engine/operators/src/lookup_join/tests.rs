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
fn rows_of_several_subtasks_stay_apart_where_they_come_together() {
    // Rows of several subtasks have the same numbers, and each has found two. Where the script is rescaled there are three behind two markers.
    let keys = 1..=8;
    let lines = |head: &str, names: [&str; 2]| -> String {
        keys.clone().flat_map(|key| names.map(|name| format!("{head} 10 | {key} | {key} | {name}\n"))).collect()
    };
    let own = |head: &str| -> String { keys.clone().map(|key| format!("{head} 10 | {key}\n")).collect() };
    let table = |names: [&str; 2]| -> String {
        keys.clone().flat_map(|key| names.map(|name| format!("table> {key} | {name}\n"))).collect()
    };
    let script = [
        table(["a", "b"]),
        "marker\nmarker\n".to_owned(),
        own("in>"),
        lines("out>", ["a", "b"]),
        "marker\n".to_owned(),
        table(["c", "d"]),
        own("in-"),
        lines("out-", ["a", "b"]),
        "marker\n".to_owned(),
    ];
    check(&joined(spec(JoinType::Inner, true)), &[bids()], &script.concat());
}

#[test]
fn what_a_row_has_found_may_come_in_several_calls() {
    let node = joined(spec(JoinType::Inner, true));
    let OperatorSpec::LookupJoin(spec) = &node.operator else { unreachable!() };
    let operator = || {
        let mut operator = LookupJoin::new(spec, &bids(), &node.schema, &Functions::built_in()).unwrap();
        let side = rows(&spec.schemas[0], &["1 | a", "1 | b", "1 | c"]);
        operator.look_up_in(Arc::new(LookupRows::new(&side, &[0]).unwrap())).unwrap();
        operator
    };
    let change = |operator: &mut LookupJoin, weight: i8| {
        let mut out = Collector::new(0);
        let batch = Batch::weighted(rows(&bids(), &["7 | 1", "7 | 1"]), Int8Array::from(vec![weight; 2])).unwrap();
        operator.process(0, batch, &mut out).unwrap();
        out.take().iter().map(|(_, batch)| batch.num_rows()).sum::<usize>()
    };
    let (mut before, mut after) = (operator(), operator());
    assert_eq!(change(&mut before, 1), 6);
    let captures = before.capture().unwrap().into_iter().flat_map(|capture| (capture.rows)().unwrap());
    let stored: Vec<_> = captures.filter(|part| part.deleted.is_none()).collect();
    for part in &stored {
        for row in (0..part.rows.num_rows()).rev() {
            after.load(0, &part.rows.slice(row, 1), &part.hashes.slice(row, 1)).unwrap();
        }
    }
    assert_eq!(after.state_bytes(), before.state_bytes());
    assert_eq!(change(&mut after, -1), 6);
    let captures = after.capture().unwrap().into_iter().flat_map(|capture| (capture.rows)().unwrap());
    assert_eq!(captures.map(|part| part.rows.num_rows()).sum::<usize>(), 6, "all of them are gone");
}

#[test]
fn what_changes_between_captures_is_noted_once_a_row_and_counted() {
    let node = joined(spec(JoinType::Inner, true));
    let OperatorSpec::LookupJoin(spec) = &node.operator else { unreachable!() };
    let mut operator = LookupJoin::new(spec, &bids(), &node.schema, &Functions::built_in()).unwrap();
    let side = rows(&spec.schemas[0], &["1 | a"]);
    operator.look_up_in(Arc::new(LookupRows::new(&side, &[0]).unwrap())).unwrap();
    let change = |operator: &mut LookupJoin, weight: i8| {
        let batch = Batch::weighted(rows(&bids(), &["7 | 1"]), Int8Array::from(vec![weight])).unwrap();
        operator.process(0, batch, &mut Collector::new(0)).unwrap();
    };
    let stored = |operator: &mut LookupJoin| {
        let captures = operator.capture().unwrap().into_iter().flat_map(|capture| (capture.rows)().unwrap());
        captures
            .map(|part| (part.rows.num_rows(), part.deleted.is_some()))
            .filter(|part| part.0 > 0)
            .collect::<Vec<_>>()
    };
    let empty = operator.state_bytes();
    (0..100).for_each(|_| [1, -1].into_iter().for_each(|weight| change(&mut operator, weight)));
    assert_eq!(operator.state_bytes(), empty, "nothing is left of rows that have come and gone");
    assert_eq!(stored(&mut operator), []);
    (0..3).for_each(|_| change(&mut operator, 1));
    assert_eq!(stored(&mut operator), [(3, false)]);
    change(&mut operator, 1);
    let before = operator.state_bytes();
    (0..100).for_each(|_| [-1, 1].into_iter().for_each(|weight| change(&mut operator, weight)));
    assert_eq!(operator.state_bytes(), before);
    assert_eq!(stored(&mut operator), [(1, false)], "those that are stored are not stored again");
    (0..2).for_each(|_| change(&mut operator, -1));
    assert_eq!(stored(&mut operator), [(2, true)]);
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
