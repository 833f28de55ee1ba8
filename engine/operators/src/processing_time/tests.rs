use weir_core::OperatorSpec;

use crate::testing::{check, node, schema};

#[test]
fn rows_get_the_time_at_which_they_are_processed() {
    let script = r#"
        tick 12:00:01
        in> 1
        watermark 11:00:00
        out> 1 | 12:00:01
        sent> 12:00:00.999
        marker
        in> 2
        out> 2 | 12:00:01
        tick 12:00:05
        in> 3
        out> 3 | 12:00:05
        sent> 12:00:04.999
        marker
        end
        sent> end
    "#;
    check(&node(OperatorSpec::ProcessingTime, &schema("id BIGINT, proc TIMESTAMP")), &[schema("id BIGINT")], script);
}

#[test]
fn time_does_not_go_back_with_the_clock() {
    let script = r#"
        tick 12:00:09
        in> 1
        out> 1 | 12:00:09
        sent> 12:00:08.999
        marker
        tick 12:00:03
        in> 2
        out> 2 | 12:00:09
        sent> 12:00:08.999
        marker
        in> 3
        out> 3 | 12:00:09
        marker
        tick 12:00:10
        sent> 12:00:09.999
    "#;
    check(&node(OperatorSpec::ProcessingTime, &schema("id BIGINT, proc TIMESTAMP")), &[schema("id BIGINT")], script);
}
