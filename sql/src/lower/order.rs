//! The order of conditions where some have to wait: one that can fail is not evaluated ahead of one in front of it.

use weir_core::Expr;
use weir_functions::failure::values;

use super::stream::StreamColumn;

/// Conditions over `columns` that can be evaluated at once, and those that wait, each in their order.
pub(super) fn in_order(
    conditions: Vec<Expr>,
    columns: &[StreamColumn],
    waits: impl Fn(&Expr) -> bool,
) -> (Vec<Expr>, Vec<Expr>) {
    let can_fail = |condition: &Expr| {
        let data_type = |column: usize| columns.get(column).map(|column| column.data_type.clone());
        values(condition, &|column| data_type(column).unwrap_or(arrow::datatypes::DataType::Null)).may_be_missing()
    };
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for condition in conditions {
        match waits(&condition) || !later.is_empty() && can_fail(&condition) {
            true => later.push(condition),
            false => now.push(condition),
        }
    }
    (now, later)
}
