//! How expressions are written.

use std::fmt::Write as _;

use super::{Comparison, Expression, Operator};
use crate::calendar::{date_text, time_text, timestamp_text};
use crate::types::Type;
use crate::value::Value;

/// The text of an expression, in parentheses where it has parts.
pub fn sql(expression: &Expression) -> String {
    let arguments: Vec<String> = expression.arguments.iter().map(sql).collect();
    let not = |negated: bool| if negated { "NOT " } else { "" };
    let infix = |operator: &str| format!("({})", arguments.join(&format!(" {operator} ")));
    let call = |name: &str| format!("{name}({})", arguments.join(", "));
    match &expression.operator {
        Operator::Column(name) => name.clone(),
        Operator::Literal(value) => literal(value, &expression.data_type),
        Operator::And => infix("AND"),
        Operator::Or => infix("OR"),
        Operator::Not => format!("(NOT {})", arguments[0]),
        Operator::Compare(comparison) => infix(comparison.sql()),
        Operator::DistinctFrom(negated) => infix(&format!("IS {}DISTINCT FROM", not(*negated))),
        Operator::IsNull(negated) => format!("({} IS {}NULL)", arguments[0], not(*negated)),
        Operator::IsTruth { truth, negated } => {
            format!("({} IS {}{})", arguments[0], not(*negated), if *truth { "TRUE" } else { "FALSE" })
        }
        Operator::In(negated) => format!("({} {}IN ({}))", arguments[0], not(*negated), arguments[1..].join(", ")),
        Operator::Between(negated) => {
            format!("({} {}BETWEEN {} AND {})", arguments[0], not(*negated), arguments[1], arguments[2])
        }
        Operator::Like { negated, escape } => {
            let escape = escape.map_or(String::new(), |escape| format!(" ESCAPE '{escape}'"));
            format!("({} {}LIKE {}{escape})", arguments[0], not(*negated), arguments[1])
        }
        Operator::Case => case("CASE", &arguments),
        Operator::CaseOf => case(&format!("CASE {}", arguments[0]), &arguments[1..]),
        Operator::Coalesce => call("COALESCE"),
        Operator::NullIf => call("NULLIF"),
        Operator::Add => infix("+"),
        Operator::Subtract => infix("-"),
        Operator::Multiply => infix("*"),
        Operator::Divide => infix("/"),
        Operator::Modulo => infix("%"),
        Operator::Negate => format!("(- {})", arguments[0]),
        Operator::Absolute => call("ABS"),
        Operator::Floor => call("FLOOR"),
        Operator::Ceil => call("CEIL"),
        Operator::Cast(tries) => {
            format!("{}CAST({} AS {})", if *tries { "TRY_" } else { "" }, arguments[0], expression.data_type)
        }
        Operator::Upper => call("UPPER"),
        Operator::Lower => call("LOWER"),
        Operator::Trim => call("TRIM"),
        Operator::Reverse => call("REVERSE"),
        Operator::Length => call("CHAR_LENGTH"),
        Operator::Concatenate => infix("||"),
        Operator::Replace => call("REPLACE"),
        Operator::Substring => format!("SUBSTRING({} FROM {} FOR {})", arguments[0], arguments[1], arguments[2]),
        Operator::StartsWith => call("STARTS_WITH"),
        Operator::Position => format!("POSITION({} IN {})", arguments[1], arguments[0]),
        Operator::AddInterval(count, unit) => {
            let sign = if *count < 0 { "-" } else { "+" };
            format!("({} {sign} INTERVAL '{}' {})", arguments[0], count.unsigned_abs(), unit.name())
        }
        Operator::TimestampAdd(count, unit) => format!("TIMESTAMPADD({}, {count}, {})", unit.name(), arguments[0]),
        Operator::TimestampDiff(unit) => format!("TIMESTAMPDIFF({}, {})", unit.name(), arguments.join(", ")),
        Operator::Extract(part) => format!("EXTRACT({} FROM {})", part.name(), arguments[0]),
        Operator::FloorTo(unit) => format!("FLOOR({} TO {})", arguments[0], unit.name()),
        Operator::DateFormat => format!("DATE_FORMAT({}, '{DATE_FORMAT}')", arguments[0]),
        Operator::Field(place) => format!("{}.f{place}", arguments[0]),
        Operator::Element(place) => format!("{}[{place}]", arguments[0]),
        Operator::Entry => format!("{}[{}]", arguments[0], arguments[1]),
        Operator::Cardinality => call("CARDINALITY"),
        Operator::ArrayContains => call("ARRAY_HAS"),
        Operator::MakeArray => call("make_array"),
        Operator::MakeRow => call("ROW"),
    }
}

/// The one pattern of `DATE_FORMAT` that is asked for.
const DATE_FORMAT: &str = "uuuu-MM-dd HH:mm:ss.SSSSSS";

fn case(head: &str, arguments: &[String]) -> String {
    let mut text = format!("({head}");
    let (last, pairs) = arguments.split_last().expect("CASE has an ELSE");
    for pair in pairs.chunks(2) {
        let _ = write!(text, " WHEN {} THEN {}", pair[0], pair[1]);
    }
    let _ = write!(text, " ELSE {last} END)");
    text
}

impl Comparison {
    /// All of them.
    pub const ALL: [Comparison; 6] = [
        Comparison::Equal,
        Comparison::Unequal,
        Comparison::Less,
        Comparison::AtMost,
        Comparison::Greater,
        Comparison::AtLeast,
    ];

    fn sql(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "<>",
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Greater => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

/// A constant of exactly this type.
pub fn literal(value: &Value, data_type: &Type) -> String {
    let cast = |text: String| format!("CAST({text} AS {data_type})");
    match value {
        Value::Boolean(value) => value.to_string().to_uppercase(),
        // The magnitude of the least BIGINT is none.
        Value::Integer(i64::MIN) => cast("'-9223372036854775808'".to_owned()),
        Value::Integer(value) if *data_type == Type::of_written(*value) => value.to_string(),
        Value::Integer(value) => cast(value.to_string()),
        Value::Decimal(..) => cast(format!("'{}'", value.text(data_type))),
        Value::Float(value) => cast(double(f64::from(*value))),
        Value::Double(value) => cast(double(*value)),
        Value::String(value) => quoted(value),
        Value::Bytes(value) => {
            let digits: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
            cast(format!("X'{digits}'"))
        }
        Value::Date(days) => cast(format!("'{}'", date_text(*days))),
        // Without digits it is a TIME(0).
        Value::Time(nanos) => format!("CAST('{}' AS TIME(9))", time_text(i128::from(*nanos), 9)),
        Value::Timestamp(instant) => {
            let digits = if let Type::Timestamp { digits, .. } = data_type { *digits } else { 9 };
            cast(format!("'{}'", timestamp_text(*instant, digits)))
        }
        Value::Array(values) => {
            let Type::Array(element) = data_type else { return cast("NULL".to_owned()) };
            let values: Vec<String> = values.iter().map(|value| literal(value, element)).collect();
            format!("make_array({})", values.join(", "))
        }
        Value::Null | Value::Map(_) | Value::Row(_) => cast("NULL".to_owned()),
    }
}

fn double(value: f64) -> String {
    match value {
        _ if value.is_nan() => "'NaN'".to_owned(),
        f64::INFINITY => "'Infinity'".to_owned(),
        f64::NEG_INFINITY => "'-Infinity'".to_owned(),
        _ => format!("'{value:e}'"),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
