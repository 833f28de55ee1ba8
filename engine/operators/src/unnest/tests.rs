use weir_core::{OperatorSpec, UnnestSpec};

use crate::testing::{check, node, schema};

const ARRIVE: &str = r#"
    in> 1 | [10 20 30] | [7]
    in> 2 | [] | []
    in> 3 | NULL | [8 NULL]
    in> 4 | [40] | NULL
"#;

fn check_unnest(keep_empty: bool, out: &[&str]) {
    let input = schema("id BIGINT, a ARRAY<BIGINT>, b ARRAY<BIGINT>");
    let spec = UnnestSpec { columns: vec![1, 2], keep_empty };
    let node = node(OperatorSpec::Unnest(spec), &schema("id BIGINT, a BIGINT, b BIGINT"));
    let expected: String = out.iter().map(|row| format!("out> {row}\n")).collect();
    check(&node, &[input], &format!("{ARRIVE}\n{expected}\nmarker\nend"));
}

const ELEMENTS: [&str; 6] =
    ["1 | 10 | 7", "1 | 20 | NULL", "1 | 30 | NULL", "3 | NULL | 8", "3 | NULL | NULL", "4 | 40 | NULL"];

#[test]
fn lists_are_unnested_side_by_side() {
    check_unnest(false, &ELEMENTS);
}

#[test]
fn rows_without_elements_can_be_kept() {
    check_unnest(true, &[&ELEMENTS[..], &["2 | NULL | NULL"]].concat());
}

#[test]
fn a_list_stands_alone() {
    let spec = UnnestSpec { columns: vec![0], keep_empty: false };
    let node = node(OperatorSpec::Unnest(spec), &schema("a BIGINT"));
    let script = "
        in> NULL
        in> []
        marker
        in> [1 2]
        in> [3]
        out> 1
        out> 2
        out> 3
        end
    ";
    check(&node, &[schema("a ARRAY<BIGINT>")], script);
}
