//! Rows that are taken back: which operators take them, and what becomes of their weights.

mod stored;

use arrow::array::Int8Array;
use arrow::datatypes::DataType;
use weir_core::{
    AggregateCall, AggregateFunction, Batch, BinaryOperator, CalcSpec, ChangelogKind, Collector, ExpandSpec, Expr,
    IntervalJoinSpec, JoinSpec, JoinSpread, JoinType, Literal, LiteralValue, OutputPort, UnnestSpec,
    WindowAggregateSpec, WindowAssignSpec, WindowJoinSpec, WindowKind, WindowSource, WindowTopNSpec,
};
use weir_functions::Functions;

use super::*;
use crate::testing::{node, rows, schema, text};

const INPUT: &str = "id BIGINT, tags ARRAY<BIGINT>, at TIMESTAMP";

fn input(changelog: &ChangelogKind) -> InputStream {
    InputStream { schema: schema(INPUT), changelog: changelog.clone() }
}

/// `+ 1 | [7] | 12:00:00` in, the same out.
fn changed(operator: OperatorSpec, output: &str, lines: &[&str]) -> Vec<String> {
    let (weights, cells): (Vec<i8>, Vec<&str>) =
        lines.iter().map(|line| (if line.starts_with('-') { -1 } else { 1 }, line[1..].trim())).unzip();
    let batch = Batch::weighted(rows(&schema(INPUT), &cells), Int8Array::from(weights)).unwrap();
    let spec = NodeSpec { changelog: ChangelogKind::Retract, ..node(operator, &schema(output)) };
    let mut operator = build(&spec, &[input(&ChangelogKind::Retract)], &Functions::built_in()).unwrap();
    let mut out = Collector::new(0);
    operator.process(0, batch, &mut out).unwrap();
    let mut lines = Vec::new();
    for (port, batch) in out.take() {
        assert_eq!(port, OutputPort::Main);
        let weights = batch.weights().expect("the input had some").values().to_vec();
        let sign = weights.into_iter().map(|weight| if weight < 0 { "-" } else { "+" });
        lines.extend(sign.zip(text(batch.records())).map(|(sign, row)| format!("{sign} {row}")));
    }
    lines
}

const ROWS: [&str; 4] =
    ["+ 1 | [7 8] | 12:00:00", "- 1 | [7 8] | 12:00:00", "- 2 | [] | 12:00:01", "+ 3 | [9] | 12:00:02"];

#[test]
fn operators_without_state_hand_weights_on() {
    let number = |value| {
        Expr::Literal(Literal { data_type: arrow::datatypes::DataType::Int64, value: LiteralValue::Int(value) })
    };
    let above = |least| {
        let (operator, left, right) = (BinaryOperator::Gt, Box::new(Expr::Column(0)), Box::new(number(least)));
        Some(Expr::Binary { operator, left, right })
    };
    let calc = |predicate, projection| OperatorSpec::Calc(CalcSpec { predicate, projection });
    assert_eq!(changed(calc(above(1), vec![Expr::Column(0)]), "id BIGINT", &ROWS), ["- 2", "+ 3"]);
    assert_eq!(changed(calc(None, vec![number(5)]), "five BIGINT", &ROWS), ["+ 5", "- 5", "- 5", "+ 5"]);
    let expand = ExpandSpec { projections: vec![vec![Expr::Column(0)], vec![number(0)]] };
    assert_eq!(
        changed(OperatorSpec::Expand(expand), "id BIGINT", &ROWS),
        ["+ 1", "- 1", "- 2", "+ 3", "+ 0", "- 0", "- 0", "+ 0"]
    );
    let unnest = |keep_empty| OperatorSpec::Unnest(UnnestSpec { columns: vec![1], keep_empty });
    let output = "id BIGINT, tag BIGINT, at TIMESTAMP";
    let tags = ["+ 1 | 7 | 12:00:00", "+ 1 | 8 | 12:00:00", "- 1 | 7 | 12:00:00", "- 1 | 8 | 12:00:00"];
    let three = "+ 3 | 9 | 12:00:02";
    assert_eq!(changed(unnest(false), output, &ROWS), [&tags[..], &[three]].concat());
    assert_eq!(changed(unnest(true), output, &ROWS), [&tags[..], &["- 2 | NULL | 12:00:01", three]].concat());
}

#[test]
fn an_operator_that_would_drop_weights_is_not_given_any() {
    let window = WindowKind::Tumble { size: 1000, offset: 0 };
    let aggregate = |aggregates, window| WindowAggregateSpec {
        window,
        keys: vec![0],
        aggregates,
        partial_input: false,
        spread: None,
    };
    let count = AggregateCall {
        function: AggregateFunction::Count,
        arguments: Vec::new(),
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "n".into(),
        data_type: arrow::datatypes::DataType::Int64,
    };
    let assign = |window| aggregate(vec![count.clone()], WindowSource::Assign { window, time: 2 });
    let (join_type, on) = (JoinType::Inner, vec![(0, 0)]);
    let windowed = "id BIGINT, n BIGINT, window_start TIMESTAMP, window_end TIMESTAMP, window_time TIMESTAMP";
    let assigned = "id BIGINT, tags ARRAY<BIGINT>, at TIMESTAMP, window_start TIMESTAMP, window_end TIMESTAMP, window_time TIMESTAMP";
    let joined = "a BIGINT, b ARRAY<BIGINT>, c TIMESTAMP, d BIGINT, e ARRAY<BIGINT>, f TIMESTAMP";
    let operators = [
        (OperatorSpec::ProcessingTime, "id BIGINT, tags ARRAY<BIGINT>, at TIMESTAMP, p TIMESTAMP"),
        (OperatorSpec::WindowAssign(WindowAssignSpec { window, time: 2, lateness: 0 }), assigned),
        (OperatorSpec::PartialAggregate(assign(window)), "id BIGINT, n BIGINT, pane_start TIMESTAMP, rows BIGINT"),
        (OperatorSpec::WindowAggregate(assign(window)), windowed),
        (OperatorSpec::WindowAggregate(assign(WindowKind::Session { gap: 5 })), windowed),
        (
            OperatorSpec::WindowTopN(WindowTopNSpec {
                window_end: 2,
                partition: vec![2],
                order: Vec::new(),
                limit: 1,
                with_rank: false,
                ranking: weir_core::Ranking::RowNumber,
            }),
            INPUT,
        ),
        (
            OperatorSpec::WindowJoin(WindowJoinSpec {
                join_type,
                on: on.clone(),
                window_end: (2, 2),
                residual: None,
                spread: JoinSpread::Keys,
            }),
            joined,
        ),
        (
            OperatorSpec::IntervalJoin(IntervalJoinSpec {
                join_type,
                on,
                time: (2, 2),
                lower: 0,
                upper: 0,
                residual: None,
                spread: JoinSpread::Keys,
            }),
            joined,
        ),
    ];
    for (operator, output) in operators {
        let joins = matches!(operator, OperatorSpec::WindowJoin(_) | OperatorSpec::IntervalJoin(_));
        let node = node(operator, &schema(output));
        let append = ChangelogKind::Append;
        let built = |left: &ChangelogKind, right: &ChangelogKind| {
            let inputs = [input(left), input(right)];
            build(&node, if joins { &inputs } else { &inputs[..1] }, &Functions::built_in()).map(drop)
        };
        built(&append, &append).unwrap_or_else(|error| panic!("{:?}: {}", node.operator, error.report()));
        for kind in [ChangelogKind::Retract, ChangelogKind::Upsert(vec![0])] {
            for inputs in [(&kind, &append), (&append, &kind)] {
                if joins || inputs.0 == &kind {
                    let error = built(inputs.0, inputs.1).expect_err("it looks at no weights");
                    assert!(error.to_string().contains(&format!("was given an {kind} stream")), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_join_takes_rows_back_and_does_not_replace_them() {
    let spec = JoinSpec {
        join_type: JoinType::Inner,
        on: vec![(0, 0)],
        residual: None,
        time_to_live: (None, None),
        spread: JoinSpread::Keys,
    };
    let node = node(OperatorSpec::Join(spec), &schema("id BIGINT, at TIMESTAMP, id BIGINT, at TIMESTAMP"));
    let both = [ChangelogKind::Append, ChangelogKind::Retract];
    for (left, right) in both.iter().flat_map(|left| both.iter().map(move |right| (left, right))) {
        assert!(build(&node, &[input(left), input(right)], &Functions::built_in()).is_ok());
    }
    let upsert = ChangelogKind::Upsert(vec![0]);
    assert!(build(&node, &[input(&both[0]), input(&upsert)], &Functions::built_in()).is_err());
}

#[test]
fn rows_that_are_replaced_by_key_are_filtered_by_key_alone() {
    let calc = |filter| {
        let predicate = Some(Expr::IsNotNull(Box::new(Expr::Column(filter))));
        let spec = CalcSpec { predicate, projection: vec![Expr::Column(0), Expr::Column(2)] };
        build(
            &node(OperatorSpec::Calc(spec), &schema("id BIGINT, at TIMESTAMP")),
            &[input(&ChangelogKind::Upsert(vec![0]))],
            &Functions::built_in(),
        )
    };
    assert!(calc(0).is_ok());
    assert!(calc(2).is_err(), "one row of a key may pass, and the next one not");
}

/// Debug builds look whether rows have weights only where the plan says so.
#[test]
fn weights_that_the_plan_does_not_know_of_are_noticed() {
    let spec = CalcSpec { predicate: None, projection: vec![Expr::Column(0)] };
    let mut operator =
        build(&node(OperatorSpec::Calc(spec), &schema("id BIGINT")), &[schema(INPUT).into()], &Functions::built_in())
            .unwrap();
    let records = rows(&schema(INPUT), &["1 | [] | 12:00:00"]);
    let batch = Batch::weighted(records, Int8Array::from(vec![-1])).unwrap();
    let error = operator.process(0, batch, &mut Collector::new(0)).unwrap_err();
    assert!(error.to_string().contains("rows with weights came"), "{error}");
}

#[test]
fn functions_are_those_that_are_given() {
    let call = |function: &str| Expr::Function {
        name: function.to_owned(),
        arguments: vec![Expr::Column(0)],
        data_type: DataType::Int64,
    };
    let calc = OperatorSpec::Calc(CalcSpec { predicate: None, projection: vec![call("abs")] });
    let median = AggregateCall {
        function: AggregateFunction::Other("median".to_owned()),
        arguments: vec![0],
        constants: Vec::new(),
        distinct: false,
        filter: None,
        order_by: Vec::new(),
        name: "m".to_owned(),
        data_type: DataType::Int64,
    };
    let window = WindowSource::Assign { window: WindowKind::Tumble { size: 1_000, offset: 0 }, time: 2 };
    let medians =
        WindowAggregateSpec { window, keys: vec![], aggregates: vec![median], partial_input: false, spread: None };
    let medians = OperatorSpec::WindowAggregate(medians);
    for (operator, output) in [(calc, "x BIGINT"), (medians, "m BIGINT, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP")] {
        let node = node(operator, &schema(output));
        let inputs = [input(&ChangelogKind::Append)];
        build(&node, &inputs, &Functions::built_in()).map(drop).unwrap();
        let error = build(&node, &inputs, &Functions::default()).map(drop).unwrap_err();
        assert!(error.to_string().contains("function"), "{error}");
    }
}
