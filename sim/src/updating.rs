//! What holds of the results of an updating query at every checkpoint: they are those of rows that a prefix of the input has.
//! Computed from the rows in the plainest way, by nothing that the cluster runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::query::{JOINED_ABOVE, LEADERS, Query};
use crate::rows::{Row, Rows, SERIALS};
use crate::world::Results;

/// The right results over all rows.
pub fn results(query: Query, rows: &Rows) -> Vec<String> {
    let left: Vec<Row> = rows.all(0).collect();
    match query {
        Query::Progress => (0..rows.splits).map(|split| progress(rows, split, rows.per_split)).collect(),
        Query::Transfers => {
            let balances = balances(&left);
            let greatest = balances.values().max().map_or_else(|| "null".to_owned(), i64::to_string);
            vec![format!("{}|{}|{greatest}", balances.len(), balances.values().sum::<i64>())]
        }
        Query::Matches => {
            let right: Vec<Row> = rows.all(1).filter(is_joined).collect();
            joined(&left.into_iter().filter(is_joined).collect::<Vec<_>>(), &right)
        }
        Query::Leaders => {
            let mut balances: Vec<(i64, i64)> = balances(&left).into_iter().collect();
            balances.sort_by_key(|(account, balance)| (-balance, *account));
            let first = balances.iter().take(LEADERS).enumerate();
            first.map(|(above, (account, balance))| format!("{}|{account}|{balance}", above + 1)).collect()
        }
        _ => Vec::new(),
    }
}

/// Looks at all that is visible when a checkpoint has been committed.
///
/// # Errors
/// If no prefix of the input has such results.
pub fn look(query: Query, rows: &Rows, results: &Results) -> Result<(), String> {
    if let Some((row, count)) = results.iter().find(|(_, count)| **count != 1) {
        return Err(format!("the result {row} is there {count} times"));
    }
    match query {
        Query::Progress => results.keys().try_for_each(|row| {
            let [split, read, ..] = numbers(row)[..] else { return Err(format!("{row} says little")) };
            let (split, read) = (unsigned(split), unsigned(read));
            let right = (split < rows.splits && read <= rows.per_split).then(|| progress(rows, split, read));
            if right.as_ref() == Some(row) { Ok(()) } else { Err(format!("{row} is not {right:?}")) }
        }),
        // What is moved away from one account is moved to another.
        Query::Transfers => match results.keys().map(|row| numbers(row)).collect::<Vec<_>>()[..] {
            // Before the first checkpoint that has results.
            [] => Ok(()),
            [ref row] if row.get(1).is_some_and(|total| *total == Some(0)) => Ok(()),
            [ref row] if row[..] == [Some(0), None, None] => Ok(()),
            ref rows => Err(format!("money is lost or made: {rows:?}")),
        },
        Query::Matches => matched(rows, results),
        Query::Leaders => {
            let places: BTreeSet<Option<i64>> =
                results.keys().filter_map(|row| numbers(row).first().copied()).collect();
            let taken = 1..=i64::try_from(results.len()).unwrap_or(i64::MAX);
            let right = results.len() <= LEADERS && places == taken.map(Some).collect();
            if right { Ok(()) } else { Err(format!("places are {places:?} of {} rows", results.len())) }
        }
        _ => Ok(()),
    }
}

/// The row of a split of which so many rows were read.
fn progress(rows: &Rows, split: u64, read: u64) -> String {
    let values: i64 = (0..read).map(|place| rows.row(0, split, place).value).sum();
    let newest = (0..read).map(|place| rows.row(0, split, place).serial).max().unwrap_or_default();
    format!("{split}|{read}|{values}|{newest}")
}

fn balances(rows: &[Row]) -> BTreeMap<i64, i64> {
    let mut balances = BTreeMap::new();
    for row in rows {
        *balances.entry(row.key).or_default() += row.value;
        *balances.entry(row.key + 1).or_default() -= row.value;
    }
    balances
}

fn is_joined(row: &Row) -> bool {
    row.value > JOINED_ABOVE
}

fn joined(left: &[Row], right: &[Row]) -> Vec<String> {
    let partners = |row: &Row| {
        let same = right.iter().filter(|other| other.key == row.key);
        let pairs: Vec<String> = same.map(|other| format!("{}|{}", row.serial, other.serial)).collect();
        if pairs.is_empty() { vec![format!("{}|null", row.serial)] } else { pairs }
    };
    left.iter().flat_map(partners).collect()
}

/// Those rows are joined of which any is visible. Of a table whose rows are all kept they are the first of each split.
fn matched(rows: &Rows, results: &Results) -> Result<(), String> {
    let visible = |column: usize| -> BTreeSet<i64> {
        results.keys().filter_map(|row| numbers(row).get(column).copied().flatten()).collect()
    };
    let of = |table: u64, serials: &BTreeSet<i64>| -> Vec<Row> {
        rows.all(table).filter(|row| is_joined(row) && serials.contains(&row.serial)).collect()
    };
    let left = visible(0);
    let last = |split: i64| left.range(split * SERIALS..(split + 1) * SERIALS).next_back().copied();
    let is_missing =
        |row: &Row| is_joined(row) && last(row.serial / SERIALS) > Some(row.serial) && !left.contains(&row.serial);
    if let Some(row) = rows.all(0).find(is_missing) {
        return Err(format!("row {} is missing, and later ones are there", row.serial));
    }
    let right: BTreeSet<String> = joined(&of(0, &left), &of(1, &visible(1))).into_iter().collect();
    match right.iter().find(|row| !results.contains_key(*row)).or(results.keys().find(|row| !right.contains(*row))) {
        None => Ok(()),
        Some(row) => Err(format!("{row} is in the results or in the join of what they are made of, and not in both")),
    }
}

fn numbers(row: &str) -> Vec<Option<i64>> {
    row.split('|').map(|cell| cell.parse().ok()).collect()
}

/// Of a number that is none, one that no split has.
fn unsigned(number: Option<i64>) -> u64 {
    number.and_then(|number| number.try_into().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let (pace_ms, step_ms) = (10, 10);
        Rows {
            seed: 7,
            splits: 3,
            per_split: 20,
            keys: 3,
            pace_ms,
            step_ms,
            disorder_ms: 1,
            naps: false,
            aligned: false,
        }
    }

    fn counted(rows: impl IntoIterator<Item = String>) -> Results {
        rows.into_iter().map(|row| (row, 1)).collect()
    }

    #[test]
    fn the_right_results_hold_and_others_do_not() {
        for query in Query::UPDATING {
            let right = results(query, &rows());
            assert!(!right.is_empty());
            assert_eq!(look(query, &rows(), &counted(right.clone())), Ok(()), "{}", query.name());
            let twice = right.iter().map(|row| (row.clone(), 2)).collect();
            assert!(look(query, &rows(), &twice).is_err(), "{}", query.name());
        }
    }

    #[test]
    fn a_state_that_no_prefix_has_is_noticed() {
        let looked = |query, row: &str| look(query, &rows(), &counted([row.to_owned()]));
        assert_eq!(looked(Query::Progress, &progress(&rows(), 1, 4)), Ok(()));
        assert!(looked(Query::Progress, &progress(&rows(), 1, 4).replace("1|4", "1|5")).is_err());
        assert_eq!(looked(Query::Transfers, "0|null|null"), Ok(()));
        assert_eq!(looked(Query::Transfers, "2|0|5"), Ok(()));
        assert!(looked(Query::Transfers, "2|1|5").is_err());
        assert!(looked(Query::Leaders, "2|1|5").is_err());
    }

    #[test]
    fn of_a_join_no_row_is_left_out() {
        let right = results(Query::Matches, &rows());
        let without = |left_out: &String| counted(right.iter().filter(|row| *row != left_out).cloned());
        let noticed = right.iter().filter(|row| look(Query::Matches, &rows(), &without(row)).is_err());
        // Not noticed is one that could be the last of its split, or of its table, that was read.
        assert!(noticed.count() > right.len() / 2);
        let padded = right.first().unwrap().split('|').next().unwrap().to_owned() + "|null";
        let mut both = counted(right);
        both.insert(padded, 1);
        assert!(look(Query::Matches, &rows(), &both).is_err());
    }
}
