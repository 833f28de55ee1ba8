//! Expressions as SQL, with names for columns.

use arrow::datatypes::DataType;
use weir_core::plugin::PluginFunction;
use weir_core::{BinaryOperator, EventTime, Expr, Literal, LiteralValue};

use crate::parse::sql_type_name;

/// `expression` with its columns named.
pub(crate) fn sql(expression: &Expr, names: &[String]) -> String {
    let show = |inner: &Expr| sql(inner, names);
    let operand = |inner: &Expr| match inner {
        Expr::Binary { .. } | Expr::Like { .. } | Expr::Not(_) => format!("({})", sql(inner, names)),
        other => sql(other, names),
    };
    match expression {
        Expr::Column(column) => names.get(*column).cloned().unwrap_or_else(|| format!("${column}")),
        Expr::Literal(value) => literal(value),
        Expr::Binary { operator: BinaryOperator::And, left, right } => {
            let side = |inner: &Expr| match inner {
                Expr::Binary { operator: BinaryOperator::Or, .. } => format!("({})", show(inner)),
                other => show(other),
            };
            format!("{} AND {}", side(left), side(right))
        }
        Expr::Binary { operator, left, right } => format!("{} {} {}", operand(left), symbol(*operator), operand(right)),
        Expr::Not(inner) => format!("NOT {}", operand(inner)),
        Expr::Negative(inner) => format!("-{}", operand(inner)),
        Expr::IsNull(inner) => format!("{} IS NULL", operand(inner)),
        Expr::IsNotNull(inner) => format!("{} IS NOT NULL", operand(inner)),
        Expr::Like { negated, case_insensitive, operand: text, pattern } => {
            let not = if *negated { "NOT " } else { "" };
            let like = if *case_insensitive { "ILIKE" } else { "LIKE" };
            format!("{} {not}{like} {}", operand(text), operand(pattern))
        }
        Expr::InList { operand: value, list, negated } => {
            let not = if *negated { "NOT " } else { "" };
            let list: Vec<String> = list.iter().map(show).collect();
            format!("{} {not}IN ({})", operand(value), list.join(", "))
        }
        Expr::Case { operand, branches, otherwise } => {
            let mut text = "CASE".to_owned();
            if let Some(value) = operand {
                text.push_str(&format!(" {}", show(value)));
            }
            for (when, then) in branches {
                text.push_str(&format!(" WHEN {} THEN {}", show(when), show(then)));
            }
            if let Some(otherwise) = otherwise {
                text.push_str(&format!(" ELSE {}", show(otherwise)));
            }
            text.push_str(" END");
            text
        }
        Expr::Cast { operand, data_type, safe } => {
            let cast = if *safe { "TRY_CAST" } else { "CAST" };
            format!("{cast}({} AS {})", show(operand), sql_type_name(data_type))
        }
        Expr::Function { name, arguments, .. } => {
            let arguments: Vec<String> = arguments.iter().map(show).collect();
            format!("{}({})", PluginFunction::name_in_sql(name), arguments.join(", "))
        }
    }
}

fn symbol(operator: BinaryOperator) -> &'static str {
    match operator {
        BinaryOperator::Eq => "=",
        BinaryOperator::NotEq => "<>",
        BinaryOperator::Lt => "<",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Gt => ">",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::And => "AND",
        BinaryOperator::Or => "OR",
        BinaryOperator::IsDistinctFrom => "IS DISTINCT FROM",
        BinaryOperator::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
        BinaryOperator::RegexMatch => "~",
        BinaryOperator::RegexIMatch => "~*",
        BinaryOperator::RegexNotMatch => "!~",
        BinaryOperator::RegexNotIMatch => "!~*",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::BitwiseXor => "^",
        BinaryOperator::BitwiseShiftLeft => "<<",
        BinaryOperator::BitwiseShiftRight => ">>",
        BinaryOperator::StringConcat => "||",
    }
}

fn literal(literal: &Literal) -> String {
    match &literal.value {
        LiteralValue::Null => "NULL".to_owned(),
        LiteralValue::Boolean(value) => value.to_string().to_uppercase(),
        LiteralValue::Int(value) => match &literal.data_type {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, _) => {
                format!("TIMESTAMP '{}'", EventTime(*value))
            }
            data_type if data_type.is_integer() => value.to_string(),
            data_type => format!("{} {value}", sql_type_name(data_type)),
        },
        LiteralValue::UInt(value) => value.to_string(),
        LiteralValue::Decimal(unscaled) => match literal.data_type {
            DataType::Decimal32(_, scale)
            | DataType::Decimal64(_, scale)
            | DataType::Decimal128(_, scale)
            | DataType::Decimal256(_, scale)
                if scale > 0 =>
            {
                with_point(unscaled, usize::from(scale.unsigned_abs()))
            }
            _ => unscaled.clone(),
        },
        LiteralValue::Float(bits) => f64::from_bits(*bits).to_string(),
        LiteralValue::Utf8(text) => format!("'{}'", text.replace('\'', "''")),
        LiteralValue::Binary(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("X'{digits}'")
        }
        LiteralValue::Interval { months, days, nanoseconds } => interval(*months, *days, *nanoseconds),
        LiteralValue::List(items) => {
            let items: Vec<String> = items.iter().map(self::literal).collect();
            match &literal.data_type {
                DataType::Struct(_) => format!("ROW({})", items.join(", ")),
                DataType::Map(..) => format!("MAP[{}]", items.join(", ")),
                _ => format!("ARRAY[{}]", items.join(", ")),
            }
        }
    }
}

fn with_point(unscaled: &str, scale: usize) -> String {
    let (sign, digits) = unscaled.strip_prefix('-').map_or(("", unscaled), |digits| ("-", digits));
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn interval(months: i32, days: i32, nanoseconds: i64) -> String {
    let mut parts = Vec::new();
    if months != 0 {
        parts.push(format!("INTERVAL '{months}' MONTH"));
    }
    if days != 0 {
        parts.push(format!("INTERVAL '{days}' DAY"));
    }
    if nanoseconds != 0 || parts.is_empty() {
        let seconds = nanoseconds / 1_000_000_000;
        let rest = (nanoseconds % 1_000_000_000).unsigned_abs();
        let sign = if nanoseconds < 0 && seconds == 0 { "-" } else { "" };
        let fraction = if rest == 0 { String::new() } else { format!(".{rest:09}").trim_end_matches('0').to_owned() };
        parts.push(format!("INTERVAL '{sign}{seconds}{fraction}' SECOND"));
    }
    parts.join(" + ")
}

/// A length of time with the greatest unit that fits.
pub(super) fn length(milliseconds: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = UNITS.iter().find(|(size, _)| milliseconds != 0 && milliseconds % size == 0);
    match unit {
        Some((size, name)) => format!("{} {name}", milliseconds / size),
        None => format!("{milliseconds} ms"),
    }
}
