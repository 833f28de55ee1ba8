//! What is missing, and what is too much.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use super::row::{Operation, Value, written};

/// A row, and what happens to it if that matters.
pub type Change = (Option<Operation>, Vec<Value>);

/// Lines in which rows stand in aligned columns.
pub fn lines(changes: &[Change], types: &[DataType]) -> Vec<String> {
    let cells: Vec<Vec<String>> = changes
        .iter()
        .map(|(operation, row)| {
            let values = row.iter().zip(types).map(|(value, data_type)| written(value, data_type));
            operation.map(|operation| operation.text().to_owned()).into_iter().chain(values).collect()
        })
        .collect();
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect()
}

/// Both as sets in which each row counts as often as it is there; `None` if they are equal. Else what is in both stands beside what is
/// in one, at most `limit` lines.
pub fn difference(expected: &[Change], found: &[Change], types: &[DataType], limit: usize) -> Option<String> {
    let mut counts: BTreeMap<&Change, (i64, i64)> = BTreeMap::new();
    expected.iter().for_each(|change| counts.entry(change).or_default().0 += 1);
    found.iter().for_each(|change| counts.entry(change).or_default().1 += 1);
    if counts.values().all(|(expected, found)| expected == found) {
        return None;
    }
    let mut marked: Vec<(&str, Change)> = Vec::new();
    for (change, (expected, found)) in &counts {
        let mut add = |sign, count: i64| (0..count).for_each(|_| marked.push((sign, (*change).clone())));
        add("  ", (*expected).min(*found));
        add("- ", expected - found);
        add("+ ", found - expected);
    }
    let rows: Vec<Change> = marked.iter().map(|(_, change)| change.clone()).collect();
    let mut text = String::from("- is expected and did not come, + came and is not expected:\n");
    for ((sign, _), line) in marked.iter().zip(lines(&rows, types)).take(limit) {
        text.extend(["    ", sign, &line, "\n"]);
    }
    if marked.len() > limit {
        text.push_str(&format!("    … and {} more rows\n", marked.len() - limit));
    }
    Some(text)
}

/// What changes come to: rows that are added or taken back more often than the other way round.
pub fn net(changes: &[Change]) -> Vec<Change> {
    let mut weights: BTreeMap<&Vec<Value>, i64> = BTreeMap::new();
    for (operation, row) in changes {
        *weights.entry(row).or_default() += operation.map_or(1, Operation::weight);
    }
    let mut net = Vec::new();
    for (row, weight) in weights {
        let operation = if weight > 0 { Operation::Insert } else { Operation::Delete };
        (0..weight.abs()).for_each(|_| net.push((Some(operation), row.clone())));
    }
    net
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(operation: Operation, value: &str) -> Change {
        (Some(operation), vec![Some(value.to_owned()), None])
    }

    #[test]
    fn equal_sets_do_not_differ_whatever_their_order() {
        let (one, two) = (row(Operation::Insert, "1"), row(Operation::Insert, "2"));
        assert_eq!(difference(&[one.clone(), two.clone()], &[two, one], &[DataType::Int32, DataType::Int32], 9), None);
    }

    #[test]
    fn what_differs_is_marked_between_what_does_not() {
        let (one, ten) = (row(Operation::Insert, "1"), row(Operation::Delete, "10"));
        let found = [one.clone(), one.clone()];
        let types = [DataType::Int32, DataType::Int32];
        let text = difference(&[one, ten], &found, &types, 9).unwrap_or_default();
        assert_eq!(
            text,
            "- is expected and did not come, + came and is not expected:\n      +I  1   NULL\n    + +I  1   NULL\n    - -D  10  NULL\n"
        );
    }

    #[test]
    fn changes_that_take_each_other_back_come_to_nothing() {
        let changes = [
            row(Operation::Insert, "1"),
            row(Operation::UpdateBefore, "1"),
            row(Operation::UpdateAfter, "2"),
            row(Operation::Delete, "3"),
        ];
        assert_eq!(net(&changes), [row(Operation::Insert, "2"), row(Operation::Delete, "3")]);
    }
}
