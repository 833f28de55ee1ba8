//! Expressions, literals and aggregate calls.

use super::text::{Encode, Text};
use crate::plugin::PluginFunction;
use crate::{AggregateCall, AggregateFunction, BinaryOperator, Expr, Literal, LiteralValue};

impl Encode for Expr {
    fn encode(&self, out: &mut Text) {
        match self {
            Expr::Column(index) => out.record("column").field("index", index).end(),
            Expr::Literal(literal) => literal.encode(out),
            Expr::Binary { operator, left, right } => {
                out.record("binary").field("operator", operator).field("left", left).field("right", right).end();
            }
            Expr::Not(operand) => out.record("not").field("operand", operand).end(),
            Expr::Negative(operand) => out.record("negative").field("operand", operand).end(),
            Expr::IsNull(operand) => out.record("is-null").field("operand", operand).end(),
            Expr::IsNotNull(operand) => out.record("is-not-null").field("operand", operand).end(),
            Expr::Like { negated, case_insensitive, operand, pattern } => out
                .record("like")
                .field("operand", operand)
                .field("pattern", pattern)
                .flag("negated", *negated)
                .flag("case-insensitive", *case_insensitive)
                .end(),
            Expr::InList { operand, list, negated } => {
                out.record("in").field("operand", operand).list("list", list).flag("negated", *negated).end();
            }
            Expr::Case { operand, branches, otherwise } => out
                .record("case")
                .option("operand", operand)
                .list("branches", branches)
                .option("otherwise", otherwise)
                .end(),
            Expr::Cast { operand, data_type, safe } => {
                out.record("cast").field("operand", operand).field("to", data_type).flag("safe", *safe).end();
            }
            Expr::Function { name, arguments, data_type } => {
                let name = PluginFunction::name_in_sql(name);
                out.record("call").field("name", name).list("arguments", arguments).field("type", data_type).end();
            }
        }
    }
}

impl Encode for BinaryOperator {
    fn encode(&self, out: &mut Text) {
        out.tag(match self {
            BinaryOperator::Eq => "eq",
            BinaryOperator::NotEq => "not-eq",
            BinaryOperator::Lt => "lt",
            BinaryOperator::LtEq => "lt-eq",
            BinaryOperator::Gt => "gt",
            BinaryOperator::GtEq => "gt-eq",
            BinaryOperator::Plus => "plus",
            BinaryOperator::Minus => "minus",
            BinaryOperator::Multiply => "multiply",
            BinaryOperator::Divide => "divide",
            BinaryOperator::Modulo => "modulo",
            BinaryOperator::And => "and",
            BinaryOperator::Or => "or",
            BinaryOperator::IsDistinctFrom => "is-distinct-from",
            BinaryOperator::IsNotDistinctFrom => "is-not-distinct-from",
            BinaryOperator::RegexMatch => "regex-match",
            BinaryOperator::RegexIMatch => "regex-imatch",
            BinaryOperator::RegexNotMatch => "regex-not-match",
            BinaryOperator::RegexNotIMatch => "regex-not-imatch",
            BinaryOperator::BitwiseAnd => "bitwise-and",
            BinaryOperator::BitwiseOr => "bitwise-or",
            BinaryOperator::BitwiseXor => "bitwise-xor",
            BinaryOperator::BitwiseShiftLeft => "bitwise-shift-left",
            BinaryOperator::BitwiseShiftRight => "bitwise-shift-right",
            BinaryOperator::StringConcat => "string-concat",
        });
    }
}

impl Encode for Literal {
    fn encode(&self, out: &mut Text) {
        let Literal { data_type, value } = self;
        out.record("literal").field("type", data_type).unless("value", value, &LiteralValue::Null).end();
    }
}

impl Encode for LiteralValue {
    fn encode(&self, out: &mut Text) {
        match self {
            LiteralValue::Null => out.tag("null"),
            LiteralValue::Boolean(value) => value.encode(out),
            LiteralValue::Int(value) => value.encode(out),
            LiteralValue::UInt(value) => value.encode(out),
            LiteralValue::Decimal(unscaled) => unscaled.encode(out),
            LiteralValue::Float(bits) => out.record("float").field("bits", bits).end(),
            LiteralValue::Utf8(text) => text.encode(out),
            LiteralValue::Binary(bytes) => bytes.encode(out),
            LiteralValue::Interval { months, days, nanoseconds } => out
                .record("interval")
                .unless("months", months, &0)
                .unless("days", days, &0)
                .unless("nanoseconds", nanoseconds, &0)
                .end(),
            LiteralValue::List(items) => items.encode(out),
        }
    }
}

impl Encode for AggregateCall {
    fn encode(&self, out: &mut Text) {
        let AggregateCall { function, arguments, constants, distinct, filter, order_by, name: _, data_type } = self;
        let order_by: Vec<OrderKey> = order_by.iter().map(|key| OrderKey(*key)).collect();
        out.record("aggregate")
            .field("function", function)
            .list("arguments", arguments)
            .list("constants", constants)
            .flag("distinct", *distinct)
            .option("filter", filter)
            .list("order-by", &order_by)
            .field("type", data_type)
            .end();
    }
}

/// Column, descending, nulls first.
struct OrderKey((usize, bool, bool));

impl Encode for OrderKey {
    fn encode(&self, out: &mut Text) {
        let (column, descending, nulls_first) = self.0;
        super::operator::sort_key(out, column, descending, nulls_first);
    }
}

impl Encode for AggregateFunction {
    fn encode(&self, out: &mut Text) {
        match self {
            AggregateFunction::Count => out.tag("count"),
            AggregateFunction::Sum => out.tag("sum"),
            AggregateFunction::Avg => out.tag("avg"),
            AggregateFunction::ExactAvg => out.tag("exact-avg"),
            AggregateFunction::Min => out.tag("min"),
            AggregateFunction::Max => out.tag("max"),
            AggregateFunction::FirstValue => out.tag("first-value"),
            AggregateFunction::LastValue => out.tag("last-value"),
            AggregateFunction::Other(name) => {
                let name = PluginFunction::name_in_sql(name);
                out.record("other").field("name", name).end();
            }
        }
    }
}
