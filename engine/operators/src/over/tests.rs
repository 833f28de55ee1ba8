//! Scripts; random histories are in `oracle`.

#![allow(clippy::unwrap_used)]

mod oracle;

use arrow::datatypes::DataType;
use weir_core::{EventTime, NodeSpec, OperatorSpec, OverCall, OverFrame, OverFunction, OverSpec, Watermark};

use crate::testing::{Plan, Script, Step, check, node, rows, run, schema};

const INPUT: &str = "who STRING, at TIMESTAMP, n BIGINT, x DOUBLE";

fn call(function: OverFunction, frame: OverFrame, argument: Option<usize>, data_type: DataType) -> OverCall {
    OverCall { function, frame, argument, default: None, name: "result".to_owned(), data_type }
}

fn over(partition: Vec<usize>, calls: Vec<OverCall>) -> NodeSpec {
    let results = calls.iter().enumerate().map(|(index, call)| {
        let data_type = if call.data_type == DataType::Float64 { "DOUBLE" } else { "BIGINT" };
        format!(", r{index} {data_type}")
    });
    let output = format!("{INPUT}{}", results.collect::<String>());
    node(OperatorSpec::Over(OverSpec { partition, time: 1, calls }), &schema(&output))
}

fn number(function: OverFunction, frame: OverFrame) -> OverCall {
    call(function, frame, Some(2), DataType::Int64)
}

const ALL: OverFrame = OverFrame::Range(None);

#[test]
fn rows_wait_for_the_watermark_and_leave_in_the_order_of_their_time() {
    let calls = vec![number(OverFunction::Sum, ALL), number(OverFunction::Count, OverFrame::Rows(Some(1)))];
    let script = r#"
        in> a | 12:00:03 | 3 | NULL
        in> a | 12:00:01 | 1 | NULL
        in> b | 12:00:02 | NULL | NULL
        marker
        in> a | 12:00:02 | 2 | NULL
        watermark 12:00:02
        out> a | 12:00:01 | 1 | NULL | 1 | 1
        out> a | 12:00:02 | 2 | NULL | 3 | 2
        out> b | 12:00:02 | NULL | NULL | NULL | 0
        sent> 12:00:02
        marker
        in> a | 12:00:02 | 9 | NULL
        late> 12:00:02 | 12:00:02 | {"who":"a","at":"1970-01-01T12:00:02","n":9,"x":null}
        in> b | 12:00:04 | 4 | NULL
        marker
        marker
        end
        out> a | 12:00:03 | 3 | NULL | 6 | 2
        out> b | 12:00:04 | 4 | NULL | 4 | 1
        sent> end
    "#;
    check(&over(vec![0], calls), &[schema(INPUT)], script);
}

#[test]
fn rows_of_one_time_are_peers() {
    let calls = vec![
        number(OverFunction::Sum, ALL),
        number(OverFunction::Sum, OverFrame::Rows(None)),
        number(OverFunction::Sum, OverFrame::Range(Some(0))),
        call(OverFunction::RowNumber, ALL, None, DataType::Int64),
        call(OverFunction::Rank, ALL, None, DataType::Int64),
        call(OverFunction::DenseRank, ALL, None, DataType::Int64),
    ];
    let script = r#"
        in> a | 12:00:01 | 1 | NULL
        in> a | 12:00:01 | 2 | NULL
        marker
        in> a | 12:00:01 | 4 | NULL
        in> a | 12:00:02 | 8 | NULL
        watermark 12:00:01
        out> a | 12:00:01 | 1 | NULL | 7 | 1 | 7 | 1 | 1 | 1
        out> a | 12:00:01 | 2 | NULL | 7 | 3 | 7 | 2 | 1 | 1
        out> a | 12:00:01 | 4 | NULL | 7 | 7 | 7 | 3 | 1 | 1
        marker
        end
        out> a | 12:00:02 | 8 | NULL | 15 | 15 | 8 | 4 | 4 | 2
    "#;
    check(&over(vec![], calls), &[schema(INPUT)], script);
}

#[test]
fn a_row_with_lead_waits_for_those_behind_it() {
    let lead = OverCall { default: Some(2), ..number(OverFunction::Lead(1), ALL) };
    let calls = vec![lead, number(OverFunction::Lag(1), ALL), number(OverFunction::Sum, OverFrame::Range(Some(1000)))];
    let script = r#"
        in> a | 12:00:01 | 1 | NULL
        in> a | 12:00:02 | 2 | NULL
        in> b | 12:00:01 | 5 | NULL
        watermark 12:00:02
        out> a | 12:00:01 | 1 | NULL | 2 | NULL | 1
        marker
        watermark 12:00:09
        marker
        in> a | 12:00:10 | NULL | NULL
        watermark 12:00:10
        out> a | 12:00:02 | 2 | NULL | NULL | 1 | 3
        marker
        end
        out> a | 12:00:10 | NULL | NULL | NULL | 2 | NULL
        out> b | 12:00:01 | 5 | NULL | 5 | NULL | 5
    "#;
    check(&over(vec![0], calls), &[schema(INPUT)], script);
}

#[test]
fn a_sum_of_doubles_has_no_traces_of_what_left_the_frame() {
    let double = |function, frame| call(function, frame, Some(3), DataType::Float64);
    let calls = vec![
        double(OverFunction::Sum, OverFrame::Rows(Some(1))),
        double(OverFunction::Avg, ALL),
        double(OverFunction::Max, OverFrame::Rows(Some(1))),
    ];
    let script = r#"
        in> a | 12:00:01 | 1 | 1e300
        in> a | 12:00:02 | 2 | 0.1
        watermark 12:00:02
        out> a | 12:00:01 | 1 | 1e300 | 1e300 | 1e300 | 1e300
        out> a | 12:00:02 | 2 | 0.1 | 1e300 | 5e299 | 1e300
        marker
        in> a | 12:00:03 | 3 | 0.2
        in> a | 12:00:04 | 4 | -1e300
        end
        out> a | 12:00:03 | 3 | 0.2 | 0.30000000000000004 | 3.333333333333333e299 | 0.2
        out> a | 12:00:04 | 4 | -1e300 | -1e300 | 0.07500000000000001 | 0.2
    "#;
    let script = script.replace("1e300", &1e300_f64.to_string()).replace("5e299", &5e299_f64.to_string());
    let script = script.replace("3.333333333333333e299", &(1e300_f64 / 3.0).to_string());
    let script = script.replace("0.07500000000000001", &(0.30000000000000004_f64 / 4.0).to_string());
    check(&over(vec![0], calls), &[schema(INPUT)], &script);
}

#[test]
fn a_sum_that_does_not_fit_its_type_is_an_error() {
    let node = over(vec![0], vec![number(OverFunction::Sum, ALL)]);
    let lines = [1, 2].map(|second| format!("a | 12:00:0{second} | {} | NULL", i64::MAX));
    let batch = rows(&schema(INPUT), &lines.each_ref().map(String::as_str));
    let steps = vec![Step::Rows(0, batch.into()), Step::Watermark(0, Watermark::At(EventTime::MAX))];
    let error = run(&node, &[schema(INPUT)], &Script { steps }, Plan::Alone).unwrap_err();
    assert!(error.to_string().contains("exceeds the range"), "{error}");
}
