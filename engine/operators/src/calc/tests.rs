use arrow::datatypes::DataType;
use weir_core::{
    BinaryOperator, CalcSpec, ChangelogKind, ExpandSpec, Expr, Literal, LiteralValue, NodeSpec, OperatorSpec,
};

use crate::testing::{check, node, schema};

fn binary(operator: BinaryOperator, left: Expr, right: Expr) -> Expr {
    Expr::Binary { operator, left: Box::new(left), right: Box::new(right) }
}

fn number(value: i64) -> Expr {
    Expr::Literal(Literal { data_type: DataType::Int64, value: LiteralValue::Int(value) })
}

#[test]
fn rows_are_filtered_then_projected() {
    let predicate = binary(BinaryOperator::Gt, Expr::Column(2), number(5));
    let projection = vec![binary(BinaryOperator::Multiply, Expr::Column(2), number(10)), number(7), Expr::Column(1)];
    let spec = CalcSpec { predicate: Some(predicate), projection };
    let script = r#"
        in> 1 | a | 5
        in> 2 | b | 6
        in> 3 | c | NULL
        in> 4 | NULL | 8
        out> 60 | 7 | b
        out> 80 | 7 | NULL
        marker
        in> 5 | d | 0
        end
    "#;
    let output = schema("ten BIGINT, seven BIGINT, name STRING");
    check(&node(OperatorSpec::Calc(spec), &output), &[schema("id BIGINT, name STRING, price BIGINT")], script);
}

#[test]
fn a_filter_may_feed_a_projection_that_reads_nothing() {
    let predicate = binary(BinaryOperator::Eq, Expr::Column(0), number(1));
    let spec = CalcSpec { predicate: Some(predicate), projection: vec![number(7)] };
    let script = "
        in> 1 | a
        in> 2 | b
        in> 1 | c
        out> 7
        out> 7
        end
    ";
    check(&node(OperatorSpec::Calc(spec), &schema("seven BIGINT")), &[schema("id BIGINT, name STRING")], script);
}

#[test]
fn a_projection_may_read_a_column_twice() {
    let spec = CalcSpec { predicate: None, projection: vec![Expr::Column(1), Expr::Column(1), Expr::Column(0)] };
    let script = "
        in> 1 | a
        out> a | a | 1
        end
    ";
    let output = schema("x STRING, y STRING, z BIGINT");
    check(&node(OperatorSpec::Calc(spec), &output), &[schema("id BIGINT, name STRING")], script);
}

#[test]
fn grouping_sets_repeat_rows() {
    let null = Expr::Literal(Literal { data_type: DataType::Utf8View, value: LiteralValue::Null });
    let spec = ExpandSpec {
        projections: vec![vec![Expr::Column(0), Expr::Column(1), number(0)], vec![Expr::Column(0), null, number(1)]],
    };
    let script = "
        in> 1 | a
        in> 2 | NULL
        out> 1 | a | 0
        out> 1 | NULL | 1
        out> 2 | NULL | 0
        out> 2 | NULL | 1
        end
    ";
    let output = schema("id BIGINT, name STRING, grouping BIGINT");
    check(&node(OperatorSpec::Expand(spec), &output), &[schema("id BIGINT, name STRING")], script);
}

#[test]
fn rows_are_taken_back_as_they_were_added() {
    let predicate = binary(BinaryOperator::Gt, Expr::Column(1), number(5));
    let spec = CalcSpec { predicate: Some(predicate), projection: vec![Expr::Column(0)] };
    let retracting =
        NodeSpec { changelog: ChangelogKind::Retract, ..node(OperatorSpec::Calc(spec), &schema("id BIGINT")) };
    let script = "
        in> 1 | 5
        in> 2 | 6
        in> 3 | 7
        out> 2
        out> 3
        marker
        in- 1 | 5
        in- 3 | 7
        in> 4 | 8
        out- 3
        out> 4
        marker
        in- 2 | 6
        out- 2
        end
    ";
    check(&retracting, &[schema("id BIGINT, price BIGINT")], script);
}
