//! Fewer rows, in fewer splits, and with fewer columns.

use super::relations::{refresh, uses};
use crate::generate::Case;
use crate::value::Row;

/// The same query over less.
pub fn smaller_tables(case: &Case) -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, table) in case.tables.iter().enumerate() {
        let mut with = |splits: Vec<Vec<Row>>| {
            let mut smaller = case.clone();
            smaller.tables[place].splits = splits;
            cases.push(smaller);
        };
        let total: usize = table.splits.iter().map(Vec::len).sum();
        // Half of the rows, then a quarter, and so on.
        let mut piece = total.div_ceil(2);
        while piece > 0 {
            for from in (0..total).step_by(piece) {
                let mut number = 0;
                let mut splits = table.splits.clone();
                for split in &mut splits {
                    split.retain(|_| {
                        number += 1;
                        !(from..from + piece).contains(&(number - 1))
                    });
                }
                with(splits);
            }
            piece = if piece == 1 { 0 } else { piece / 2 };
        }
        if table.splits.len() > 1 {
            let empty = table.splits.iter().position(Vec::is_empty);
            if let Some(empty) = empty {
                let mut splits = table.splits.clone();
                splits.remove(empty);
                with(splits);
            }
        }
        for column in &table.columns {
            if column.name == table.time || uses(&case.query, &column.name) {
                continue;
            }
            let mut smaller = case.clone();
            let table = &mut smaller.tables[place];
            let index = table.columns.iter().position(|other| other.name == column.name).unwrap_or(0);
            table.columns.remove(index);
            table.splits.iter_mut().flatten().for_each(|row| drop(row.remove(index)));
            refresh(&mut smaller.query, &smaller.tables);
            cases.push(smaller);
        }
    }
    cases
}
