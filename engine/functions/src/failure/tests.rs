use arrow::datatypes::DataType::{self, Decimal128, Float64, Int32, Int64, Utf8View};
use weir_core::{BinaryOperator, Expr, Literal, LiteralValue};

use super::values;

const COLUMNS: [DataType; 5] = [Int32, Int64, Float64, Decimal128(10, 2), Utf8View];
const INT: usize = 0;
const BIGINT: usize = 1;
const DOUBLE: usize = 2;
const DECIMAL: usize = 3;
const STRING: usize = 4;

fn column(index: usize) -> Box<Expr> {
    Box::new(Expr::Column(index))
}

fn number(value: i64) -> Box<Expr> {
    Box::new(Expr::Literal(Literal { data_type: Int64, value: LiteralValue::Int(value) }))
}

fn cast(operand: Box<Expr>, data_type: DataType) -> Box<Expr> {
    Box::new(Expr::Cast { operand, data_type, safe: false })
}

fn can_fail(expr: &Expr) -> bool {
    values(expr, &|index| COLUMNS[index].clone()).can_fail
}

#[track_caller]
fn check(operator: BinaryOperator, left: Box<Expr>, right: Box<Expr>, expected: bool) {
    let expr = Expr::Binary { operator, left, right };
    assert_eq!(can_fail(&expr), expected, "{expr:?}");
}

#[test]
fn arithmetic_fails_where_a_result_may_not_fit() {
    use BinaryOperator::{Divide, Eq, Minus, Modulo, Multiply, Plus};
    check(Plus, column(BIGINT), number(1), true);
    check(Multiply, cast(column(INT), Int64), number(2), false);
    check(Multiply, cast(column(INT), Int64), number(i64::MAX / 2), true);
    check(Plus, column(INT), column(INT), true);
    check(Minus, column(DOUBLE), column(DOUBLE), false);
    check(Divide, column(DOUBLE), column(DOUBLE), false);
    check(Divide, column(BIGINT), number(2), false);
    check(Divide, column(BIGINT), number(0), true);
    check(Divide, column(BIGINT), number(-1), true);
    check(Divide, column(BIGINT), column(BIGINT), true);
    check(Modulo, column(BIGINT), number(123), false);
    check(Modulo, column(BIGINT), number(-1), false);
    check(Modulo, number(5), column(BIGINT), true);
    check(Plus, column(DECIMAL), column(DECIMAL), false);
    check(Multiply, column(DECIMAL), column(DECIMAL), false);
    check(Divide, column(DECIMAL), column(DECIMAL), true);
    check(Eq, column(BIGINT), number(0), false);
    assert!(can_fail(&Expr::Negative(column(BIGINT))));
    assert!(!can_fail(&Expr::Negative(cast(column(INT), Int64))));
}

#[test]
fn casts_fail_where_a_value_may_have_no_counterpart() {
    for (from, to, expected) in [
        (INT, Int64, false),
        (BIGINT, Int32, true),
        (BIGINT, Float64, false),
        (DOUBLE, Int64, true),
        (STRING, Int64, true),
        (BIGINT, Utf8View, false),
        (INT, Decimal128(12, 2), false),
        (INT, Decimal128(11, 2), true),
        (DECIMAL, Decimal128(9, 1), true),
        (DECIMAL, Decimal128(10, 1), false),
        (DECIMAL, Decimal128(11, 4), true),
        (DECIMAL, Float64, false),
    ] {
        assert_eq!(can_fail(&cast(column(from), to.clone())), expected, "{:?} to {to:?}", COLUMNS[from]);
    }
    assert!(!can_fail(&Expr::Cast { operand: column(STRING), data_type: Int64, safe: true }));
}
