//! Windows as text, through real state files at every marker.

use weir_core::{AggregateFunction, NodeSpec, OperatorSpec, WindowAggregateSpec, WindowKind, WindowSource};

use super::call;
use crate::testing::{check, node, schema};
use arrow::datatypes::DataType;

const INPUT: &str = "time TIMESTAMP, who STRING, amount BIGINT";

fn counts_and_sums(window: WindowKind) -> NodeSpec {
    counts_and_sums_of(WindowSource::Assign { window, time: 0 }, 1, 2)
}

fn counts_and_sums_of(window: WindowSource, key: usize, amount: usize) -> NodeSpec {
    let sum = call(AggregateFunction::Sum, &[amount], DataType::Int64);
    let aggregates = vec![call(AggregateFunction::Count, &[], DataType::Int64), sum];
    let spec = WindowAggregateSpec { window, keys: vec![key], aggregates, partial_input: false, spread: None };
    let output = "who STRING, n BIGINT, total BIGINT, s TIMESTAMP, e TIMESTAMP, t TIMESTAMP";
    node(OperatorSpec::WindowAggregate(spec), &schema(output))
}

#[test]
fn hops_share_their_panes() {
    let script = r#"
        in> 12:00:01 | a | 1
        in> 12:00:03 | a | 2
        in> 12:00:03 | NULL | 5
        marker
        watermark 12:00:01.999
        out> a | 1 | 1 | 11:59:58 | 12:00:02 | 12:00:01.999
        marker
        in> 12:00:00 | a | 9
        in> 11:59:57 | a | 7
        late> 11:59:57 | 12:00:01.999 | {"time":"1970-01-01T11:59:57","who":"a","amount":7}
        marker
        watermark 12:00:04
        out> a | 3 | 12 | 12:00:00 | 12:00:04 | 12:00:03.999
        out> NULL | 1 | 5 | 12:00:00 | 12:00:04 | 12:00:03.999
        marker
        end
        out> a | 1 | 2 | 12:00:02 | 12:00:06 | 12:00:05.999
        out> NULL | 1 | 5 | 12:00:02 | 12:00:06 | 12:00:05.999
        sent> end
    "#;
    check(&counts_and_sums(WindowKind::Hop { slide: 2000, size: 4000, offset: 0 }), &[schema(INPUT)], script);
}

#[test]
fn sessions_grow_at_both_ends_and_join() {
    let script = r#"
        in> 12:00:10 | a | 1
        in> 12:00:30 | a | 2
        in> 12:00:10 | b | 3
        in> 12:00:12 | NULL | 7
        marker
        idle
        in> 12:00:05 | a | 4
        in> 12:00:40 | a | 8
        marker
        in> 12:00:20 | a | 16
        marker
        watermark 12:00:20
        marker
        out> b | 1 | 3 | 12:00:10 | 12:00:20 | 12:00:19.999
        sent> 12:00:19.999
        marker
        in> 12:00:09 | b | 5
        late> 12:00:09 | 12:00:20 | {"time":"1970-01-01T12:00:09","who":"b","amount":5}
        marker
        watermark 12:00:49.999
        out> NULL | 1 | 7 | 12:00:12 | 12:00:22 | 12:00:21.999
        marker
        watermark 12:00:50
        out> a | 5 | 31 | 12:00:05 | 12:00:50 | 12:00:49.999
        marker
        end
    "#;
    check(&counts_and_sums(WindowKind::Session { gap: 10_000 }), &[schema(INPUT)], script);
}

#[test]
fn tumbling_windows_wait_out_an_idle_input() {
    let script = r#"
        in> 12:00:01 | a | 1
        in> 12:00:05 | a | 2
        in> 12:00:02 | NULL | 3
        marker
        idle
        marker
        watermark 12:00:03.999
        marker
        out> a | 1 | 1 | 12:00:00 | 12:00:04 | 12:00:03.999
        out> NULL | 1 | 3 | 12:00:00 | 12:00:04 | 12:00:03.999
        marker
        in> 12:00:03 | a | 9
        late> 12:00:03 | 12:00:03.999 | {"time":"1970-01-01T12:00:03","who":"a","amount":9}
        marker
        end
        out> a | 1 | 2 | 12:00:04 | 12:00:08 | 12:00:07.999
    "#;
    check(&counts_and_sums(WindowKind::Tumble { size: 4000, offset: 0 }), &[schema(INPUT)], script);
}

#[test]
fn cumulating_windows_take_rows_until_the_longest_closes() {
    let script = r#"
        in> 12:00:01 | a | 1
        in> 12:00:03 | a | 2
        in> 12:00:03 | NULL | 5
        in> NULL | a | 100
        marker
        watermark 12:00:01.999
        out> a | 1 | 1 | 12:00:00 | 12:00:02 | 12:00:01.999
        sent> 12:00:01.999
        marker
        in> 12:00:00 | a | 16
        in> 12:00:05 | b | 4
        idle
        marker
        watermark 12:00:03.999
        marker
        out> a | 3 | 19 | 12:00:00 | 12:00:04 | 12:00:03.999
        out> NULL | 1 | 5 | 12:00:00 | 12:00:04 | 12:00:03.999
        marker
        in> 12:00:02 | NULL | 32
        in> 12:00:07 | a | 8
        marker
        watermark 12:00:05.999
        out> a | 3 | 19 | 12:00:00 | 12:00:06 | 12:00:05.999
        out> b | 1 | 4 | 12:00:00 | 12:00:06 | 12:00:05.999
        out> NULL | 2 | 37 | 12:00:00 | 12:00:06 | 12:00:05.999
        marker
        in> 12:00:05 | b | 64
        late> 12:00:05 | 12:00:05.999 | {"time":"1970-01-01T12:00:05","who":"b","amount":64}
        in> 12:00:00 | NULL | 65
        late> 12:00:00 | 12:00:05.999 | {"time":"1970-01-01T12:00:00","who":null,"amount":65}
        marker
        end
        out> a | 1 | 8 | 12:00:06 | 12:00:08 | 12:00:07.999
        out> a | 1 | 8 | 12:00:06 | 12:00:10 | 12:00:09.999
        out> a | 1 | 8 | 12:00:06 | 12:00:12 | 12:00:11.999
        sent> end
    "#;
    check(&counts_and_sums(WindowKind::Cumulate { step: 2000, size: 6000, offset: 0 }), &[schema(INPUT)], script);
}

#[test]
fn attached_windows_close_in_the_order_of_their_ends() {
    let script = r#"
        in> 12:00:00 | 12:00:10 | a | 1
        in> 12:00:05 | 12:00:08 | a | 2
        in> 12:00:00 | 12:00:10 | NULL | 4
        in> 12:00:00 | 12:00:04 | b | 8
        in> NULL | NULL | a | 100
        in> 12:00:00 | NULL | b | 100
        marker
        idle
        marker
        watermark 12:00:03.999
        marker
        out> b | 1 | 8 | 12:00:00 | 12:00:04 | 12:00:03.999
        sent> 12:00:03.999
        marker
        in> 12:00:00 | 12:00:04 | a | 16
        late> 12:00:03.999 | 12:00:03.999 | {"s":"1970-01-01T12:00:00","e":"1970-01-01T12:00:04","who":"a","amount":16}
        in> 12:00:00 | 12:00:10 | a | 32
        in> 12:00:05 | 12:00:08 | NULL | 64
        marker
        watermark 12:00:07.999
        out> a | 1 | 2 | 12:00:05 | 12:00:08 | 12:00:07.999
        out> NULL | 1 | 64 | 12:00:05 | 12:00:08 | 12:00:07.999
        marker
        in> 12:00:05 | 12:00:08 | NULL | 128
        late> 12:00:07.999 | 12:00:07.999 | {"s":"1970-01-01T12:00:05","e":"1970-01-01T12:00:08","who":null,"amount":128}
        marker
        end
        out> a | 2 | 33 | 12:00:00 | 12:00:10 | 12:00:09.999
        out> NULL | 1 | 4 | 12:00:00 | 12:00:10 | 12:00:09.999
        sent> end
    "#;
    let node = counts_and_sums_of(WindowSource::Attached { start: 0, end: 1 }, 2, 3);
    check(&node, &[schema("s TIMESTAMP, e TIMESTAMP, who STRING, amount BIGINT")], script);
}
