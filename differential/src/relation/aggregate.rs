//! Aggregates, by their definition.

use std::collections::BTreeSet;

use super::Order;
use crate::expression::{Expression, Scope, Undefined, evaluate, sql};
use crate::types::Type;
use crate::value::{Row, Value};

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `COUNT(*)`, and `COUNT` of an argument.
    Count,
    /// Of whole numbers, decimals and doubles, in the type of the argument; of decimals with as many digits as there are.
    Sum,
    /// Of whole numbers and doubles, as a double.
    Average,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// Whether all are true.
    Every,
    /// Whether one is true.
    Some,
    /// The first in an order that is not null.
    First,
    /// The last in an order that is not null.
    Last,
    /// All of them in an order, nulls too.
    ArrayAgg,
    /// All texts in an order.
    StringAgg,
    /// `GROUPING` of a key.
    Grouping,
}

/// A call of one.
#[derive(Debug, Clone)]
pub struct Call {
    /// Name of the result.
    pub name: String,
    /// Which.
    pub function: Function,
    /// `DISTINCT`.
    pub distinct: bool,
    /// Of what; `None`: `COUNT(*)`.
    pub argument: Option<Expression>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Expression>,
    /// `ORDER BY` inside.
    pub order: Vec<Order>,
    /// Type of the result.
    pub data_type: Type,
}

impl Call {
    /// As it is written.
    pub fn sql(&self) -> String {
        let name = match self.function {
            Function::Count => "COUNT",
            Function::Sum => "SUM",
            Function::Average => "AVG",
            Function::Min => "MIN",
            Function::Max => "MAX",
            Function::Every => "BOOL_AND",
            Function::Some => "BOOL_OR",
            Function::First => "FIRST_VALUE",
            Function::Last => "LAST_VALUE",
            Function::ArrayAgg => "ARRAY_AGG",
            Function::StringAgg => "STRING_AGG",
            Function::Grouping => "GROUPING",
        };
        let argument = self.argument.as_ref().map_or("*".to_owned(), sql);
        let separator = if self.function == Function::StringAgg { ", '|'" } else { "" };
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let order: Vec<String> = self.order.iter().map(Order::sql).collect();
        let order = if order.is_empty() { String::new() } else { format!(" ORDER BY {}", order.join(", ")) };
        let filter = self.filter.as_ref().map_or(String::new(), |filter| format!(" FILTER (WHERE {})", sql(filter)));
        format!("{name}({distinct}{argument}{separator}{order}){filter}")
    }

    /// Its value over the rows of a group.
    ///
    /// # Errors
    /// If it has none.
    pub fn evaluate(&self, rows: &[&Row], names: &[String]) -> Result<Value, Undefined> {
        let mut rows = rows.to_vec();
        Order::sort(&self.order, &mut rows, names);
        let mut values = Vec::new();
        for row in rows {
            let scope = Scope { names, row };
            if let Some(filter) = &self.filter
                && !matches!(evaluate(filter, scope)?, Value::Boolean(true))
            {
                continue;
            }
            values.push(match &self.argument {
                Some(argument) => evaluate(argument, scope)?,
                None => Value::Boolean(true),
            });
        }
        match self.function {
            Function::ArrayAgg if values.is_empty() => return Ok(Value::Null),
            Function::ArrayAgg => return Ok(Value::Array(values)),
            _ => {}
        }
        values.retain(|value| !value.is_null());
        if self.distinct {
            let mut seen = BTreeSet::new();
            values.retain(|value| seen.insert(value.key()));
        }
        if self.function == Function::Count {
            return Ok(Value::Integer(i64::try_from(values.len()).expect("few rows")));
        }
        if values.is_empty() {
            return Ok(Value::Null);
        }
        Ok(match self.function {
            Function::Sum => return sum(&values, &self.data_type),
            Function::Average => Value::Double(double_sum(&values) / values.len() as f64),
            Function::First => values.into_iter().next().unwrap_or(Value::Null),
            Function::Last => values.into_iter().next_back().unwrap_or(Value::Null),
            Function::Min => values.into_iter().min_by(Value::compare).unwrap_or(Value::Null),
            Function::Max => values.into_iter().max_by(Value::compare).unwrap_or(Value::Null),
            Function::Every => Value::Boolean(values.iter().all(|value| matches!(value, Value::Boolean(true)))),
            Function::Some => Value::Boolean(values.iter().any(|value| matches!(value, Value::Boolean(true)))),
            Function::StringAgg => {
                let texts: Vec<String> = values.iter().map(|value| value.text(&Type::String)).collect();
                Value::String(texts.join("|"))
            }
            other => panic!("{other:?} has returned above"),
        })
    }
}

fn double_sum(values: &[Value]) -> f64 {
    values.iter().filter_map(Value::as_double).sum()
}

fn sum(values: &[Value], data_type: &Type) -> Result<Value, Undefined> {
    let (limit, scale) = match data_type {
        Type::Integer(bits) => ((1_i128 << (bits - 1)) - 1, None),
        Type::Decimal(precision, scale) => (10_i128.pow(u32::from(*precision)) - 1, Some(*scale)),
        _ => return Ok(Value::Double(double_sum(values))),
    };
    let mut total = 0_i128;
    for value in values {
        let units = match value {
            Value::Integer(value) => i128::from(*value),
            Value::Decimal(units, _) => *units,
            _ => return Err(Undefined("no number")),
        };
        total = total.checked_add(units).ok_or(Undefined("overflow"))?;
    }
    if total.abs() > limit {
        return Err(Undefined("overflow"));
    }
    match scale {
        Some(scale) => Ok(Value::Decimal(total, scale)),
        None => i64::try_from(total).map(Value::Integer).map_err(|_| Undefined("overflow")),
    }
}

impl Order {
    /// As it is written.
    pub fn sql(&self) -> String {
        let direction = if self.descending { " DESC" } else { "" };
        let nulls = match self.nulls_first {
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
            None => "",
        };
        format!("{}{direction}{nulls}", self.column)
    }

    /// Sorts rows by these keys, of which the first counts most.
    pub fn sort(keys: &[Order], rows: &mut [&Row], names: &[String]) {
        let places: Vec<usize> = keys
            .iter()
            .map(|key| names.iter().position(|name| *name == key.column).expect("the generator has checked it"))
            .collect();
        rows.sort_by(|left, right| {
            let orders = keys.iter().zip(&places).map(|(key, place)| key.order(&left[*place], &right[*place]));
            orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
    }

    /// Whether two rows are equal in all keys.
    pub fn are_equal(keys: &[Order], left: &Row, right: &Row, names: &[String]) -> bool {
        keys.iter().all(|key| {
            let place = names.iter().position(|name| *name == key.column).expect("the generator has checked it");
            key.order(&left[place], &right[place]).is_eq()
        })
    }

    fn order(&self, left: &Value, right: &Value) -> std::cmp::Ordering {
        // Null is less than every value.
        let nulls_first = self.nulls_first.unwrap_or(!self.descending);
        match (left.is_null(), right.is_null()) {
            (false, false) if self.descending => right.compare(left),
            (false, false) => left.compare(right),
            (true, true) => std::cmp::Ordering::Equal,
            (left_is_null, _) if left_is_null == nulls_first => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        }
    }
}
