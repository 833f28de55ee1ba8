//! Windows as text, through real state files at every marker.

use weir_core::{AggregateFunction, NodeSpec, OperatorSpec, WindowAggregateSpec, WindowKind, WindowSource};

use super::call;
use crate::testing::{check, node, schema};
use arrow::datatypes::DataType;

const INPUT: &str = "time TIMESTAMP, who STRING, amount BIGINT";

fn counts_and_sums(window: WindowKind) -> NodeSpec {
    let window = WindowSource::Assign { window, time: 0 };
    let aggregates =
        vec![call(AggregateFunction::Count, &[], DataType::Int64), call(AggregateFunction::Sum, &[2], DataType::Int64)];
    let spec = WindowAggregateSpec { window, keys: vec![1], aggregates, partial_input: false };
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
