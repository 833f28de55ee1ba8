use weir_core::{NodeSpec, OperatorSpec, WindowAssignSpec, WindowKind};

use crate::testing::{check, node, schema};

fn assign(window: WindowKind) -> NodeSpec {
    assign_late(window, 0)
}

fn assign_late(window: WindowKind, lateness: u64) -> NodeSpec {
    let output = schema("id BIGINT, at TIMESTAMP, start TIMESTAMP, end TIMESTAMP, time TIMESTAMP");
    node(OperatorSpec::WindowAssign(WindowAssignSpec { window, time: 1, lateness }), &output)
}

#[test]
fn tumbling_windows() {
    let script = r#"
        in> 1 | 12:00:00
        in> 2 | 12:00:09.999
        in> 3 | NULL
        in> 4 | 12:00:10
        out> 1 | 12:00:00 | 12:00:00 | 12:00:10 | 12:00:09.999
        out> 2 | 12:00:09.999 | 12:00:00 | 12:00:10 | 12:00:09.999
        out> 4 | 12:00:10 | 12:00:10 | 12:00:20 | 12:00:19.999
        watermark 12:00:09.999
        marker
        in> 5 | 12:00:09
        in> 6 | 12:00:11
        late> 12:00:09 | 12:00:09.999 | {"id":5,"at":"1970-01-01T12:00:09"}
        out> 6 | 12:00:11 | 12:00:10 | 12:00:20 | 12:00:19.999
        sent> 12:00:09.999
        marker
        end
    "#;
    check(&assign(WindowKind::Tumble { size: 10_000, offset: 0 }), &[schema("id BIGINT, at TIMESTAMP")], script);
}

#[test]
fn a_hopping_row_goes_into_those_of_its_windows_that_are_open() {
    let script = r#"
        in> 1 | 12:00:07
        out> 1 | 12:00:07 | 12:00:00 | 12:00:10 | 12:00:09.999
        out> 1 | 12:00:07 | 12:00:05 | 12:00:15 | 12:00:14.999
        watermark 12:00:10
        marker
        in> 2 | 12:00:07
        in> 3 | 12:00:04
        out> 2 | 12:00:07 | 12:00:05 | 12:00:15 | 12:00:14.999
        late> 12:00:04 | 12:00:10 | {"id":3,"at":"1970-01-01T12:00:04"}
        end
    "#;
    let window = WindowKind::Hop { slide: 5_000, size: 10_000, offset: 0 };
    check(&assign(window), &[schema("id BIGINT, at TIMESTAMP")], script);
}

#[test]
fn a_row_in_the_gap_between_hops_is_in_no_window() {
    let script = r#"
        in> 1 | 12:00:02
        in> 2 | 12:00:07
        out> 1 | 12:00:02 | 12:00:00 | 12:00:05 | 12:00:04.999
        watermark 12:00:30
        marker
        in> 3 | 12:00:07
        end
    "#;
    let window = WindowKind::Hop { slide: 10_000, size: 5_000, offset: 0 };
    check(&assign(window), &[schema("id BIGINT, at TIMESTAMP")], script);
}

#[test]
fn a_window_takes_rows_for_as_long_behind_its_end_as_they_may_be_late() {
    let script = r#"
        watermark 12:00:14.998
        in> 1 | 12:00:09
        out> 1 | 12:00:09 | 12:00:00 | 12:00:10 | 12:00:09.999
        marker
        watermark 12:00:14.999
        in> 2 | 12:00:09
        in> 3 | 12:00:10
        late> 12:00:09 | 12:00:14.999 | {"id":2,"at":"1970-01-01T12:00:09"}
        out> 3 | 12:00:10 | 12:00:10 | 12:00:20 | 12:00:19.999
        marker
        end
    "#;
    let window = WindowKind::Tumble { size: 10_000, offset: 0 };
    check(&assign_late(window, 5_000), &[schema("id BIGINT, at TIMESTAMP")], script);
}
