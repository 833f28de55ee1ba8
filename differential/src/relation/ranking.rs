//! Numbers of rows in an order, by their definition.

use super::Order;
use crate::value::Row;

/// How rows that are equal in an order are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranking {
    /// Each has a number of its own.
    RowNumber,
    /// They have one, by how many rows are in front.
    Rank,
    /// They have one, by how many other values are in front.
    DenseRank,
}

impl Ranking {
    /// Its function.
    pub fn name(self) -> &'static str {
        match self {
            Ranking::RowNumber => "ROW_NUMBER",
            Ranking::Rank => "RANK",
            Ranking::DenseRank => "DENSE_RANK",
        }
    }

    /// The numbers of rows that are in their order.
    pub fn numbers(self, order: &[Order], rows: &[&Row], names: &[String]) -> Vec<i64> {
        let mut numbers: Vec<i64> = Vec::with_capacity(rows.len());
        for index in 0..rows.len() {
            let is_peer = index > 0 && Order::are_equal(order, rows[index - 1], rows[index], names);
            let before = numbers.last().copied().unwrap_or_default();
            numbers.push(match self {
                Ranking::RowNumber => index as i64 + 1,
                Ranking::Rank | Ranking::DenseRank if is_peer => before,
                Ranking::Rank => index as i64 + 1,
                Ranking::DenseRank => before + 1,
            });
        }
        numbers
    }
}
