//! Functions with `OVER`, by their definition: for each row all rows of its partition are looked at.

use std::collections::BTreeMap;

use super::{Call, Order};
use crate::expression::Undefined;
use crate::value::{Row, Value};

/// What is computed for each row.
#[derive(Debug, Clone)]
pub struct Over {
    /// Columns of the partition.
    pub partition: Vec<String>,
    /// The order; empty: there is none.
    pub order: Vec<Order>,
    /// Over which rows.
    pub frame: Frame,
    /// What.
    pub function: OverFunction,
    /// Name of the result.
    pub name: String,
}

/// The rows of the partition that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// What is meant where nothing is written: the rows in front and those that are equal, or all without an order.
    Default,
    /// From so many rows behind the current one to so many, negative ones before it; `None`: without a bound.
    Rows(Option<i64>, Option<i64>),
}

/// A function.
#[derive(Debug, Clone)]
pub enum OverFunction {
    /// An aggregate.
    Aggregate(Box<Call>),
    /// `ROW_NUMBER()`.
    RowNumber,
    /// `RANK()`.
    Rank,
    /// `DENSE_RANK()`.
    DenseRank,
    /// `NTILE(n)`.
    Ntile(i64),
    /// The value of a column so many rows behind: `LEAD`, and `LAG` of negative ones.
    Neighbour(String, i64),
}

impl Over {
    /// As it is written.
    pub fn sql(&self) -> String {
        let call = match &self.function {
            OverFunction::Aggregate(call) => call.sql(),
            OverFunction::RowNumber => "ROW_NUMBER()".to_owned(),
            OverFunction::Rank => "RANK()".to_owned(),
            OverFunction::DenseRank => "DENSE_RANK()".to_owned(),
            OverFunction::Ntile(parts) => format!("NTILE({parts})"),
            OverFunction::Neighbour(column, behind @ ..0) => format!("LAG({column}, {})", -behind),
            OverFunction::Neighbour(column, behind) => format!("LEAD({column}, {behind})"),
        };
        let mut over = Vec::new();
        if !self.partition.is_empty() {
            over.push(format!("PARTITION BY {}", self.partition.join(", ")));
        }
        if !self.order.is_empty() {
            let order: Vec<String> = self.order.iter().map(Order::sql).collect();
            over.push(format!("ORDER BY {}", order.join(", ")));
        }
        if let Frame::Rows(start, end) = self.frame {
            let bound = |bound: Option<i64>, side: &str| match bound {
                None => format!("UNBOUNDED {side}"),
                Some(0) => "CURRENT ROW".to_owned(),
                Some(rows @ ..0) => format!("{} PRECEDING", -rows),
                Some(rows) => format!("{rows} FOLLOWING"),
            };
            over.push(format!("ROWS BETWEEN {} AND {}", bound(start, "PRECEDING"), bound(end, "FOLLOWING")));
        }
        format!("{call} OVER ({})", over.join(" "))
    }

    /// The rows, each with its result behind.
    ///
    /// # Errors
    /// If an expression has no value for a row.
    pub fn evaluate(&self, rows: &[Row], names: &[String]) -> Result<Vec<Row>, Undefined> {
        let place =
            |column: &String| names.iter().position(|name| name == column).expect("the generator has checked it");
        let keys: Vec<usize> = self.partition.iter().map(place).collect();
        let mut partitions: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            partitions.entry(keys.iter().map(|key| row[*key].key()).collect()).or_default().push(row);
        }
        let mut result = Vec::new();
        for mut partition in partitions.into_values() {
            Order::sort(&self.order, &mut partition, names);
            for index in 0..partition.len() {
                let mut row = partition[index].clone();
                row.push(self.value(&partition, index, names)?);
                result.push(row);
            }
        }
        Ok(result)
    }

    fn value(&self, partition: &[&Row], index: usize, names: &[String]) -> Result<Value, Undefined> {
        let is_peer = |other: usize| Order::are_equal(&self.order, partition[other], partition[index], names);
        let in_front = (0..index).filter(|other| !is_peer(*other)).count();
        let number = |number: usize| Ok(Value::Integer(number as i64));
        match &self.function {
            OverFunction::RowNumber => number(index + 1),
            OverFunction::Rank => number(in_front + 1),
            OverFunction::DenseRank => {
                let begins = |other: &usize| {
                    *other == 0 || !Order::are_equal(&self.order, partition[other - 1], partition[*other], names)
                };
                number((0..in_front).filter(begins).count() + 1)
            }
            OverFunction::Ntile(parts) => {
                // The first parts have one row more.
                let (parts, total) = (*parts as usize, partition.len());
                let sizes = (0..parts).map(|part| total / parts + usize::from(part < total % parts));
                let mut numbers = sizes.enumerate().flat_map(|(part, size)| std::iter::repeat_n(part, size));
                number(numbers.nth(index).unwrap_or_default() + 1)
            }
            OverFunction::Neighbour(column, behind) => {
                let place = names.iter().position(|name| name == column).expect("the generator has checked it");
                let other = usize::try_from(index as i64 + behind).ok().and_then(|other| partition.get(other));
                Ok(other.map_or(Value::Null, |row| row[place].clone()))
            }
            OverFunction::Aggregate(call) => {
                let counts = |other: &usize| match self.frame {
                    Frame::Default if self.order.is_empty() => true,
                    Frame::Default => *other <= index || is_peer(*other),
                    Frame::Rows(start, end) => {
                        let behind = *other as i64 - index as i64;
                        start.is_none_or(|start| behind >= start) && end.is_none_or(|end| behind <= end)
                    }
                };
                let held: Vec<&Row> = (0..partition.len()).filter(counts).map(|other| partition[other]).collect();
                call.evaluate(&held, names)
            }
        }
    }
}
