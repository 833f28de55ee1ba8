//! `INTERSECT` and `EXCEPT`, by their definition: rows are counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::value::{Row, Value};

/// Which rows of the left side are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommonRows {
    /// Those that the right side does not have.
    pub except: bool,
    /// As many copies of a row as both sides have, or as the left side has more; else one.
    pub all: bool,
}

impl CommonRows {
    /// As it is written.
    pub fn sql(self) -> String {
        let name = if self.except { "EXCEPT" } else { "INTERSECT" };
        format!("{name}{}", if self.all { " ALL" } else { "" })
    }

    /// The rows.
    pub fn of(self, left: Vec<Row>, right: &[Row]) -> Vec<Row> {
        let key = |row: &Row| -> Vec<String> { row.iter().map(Value::key).collect() };
        let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        right.iter().for_each(|row| *counts.entry(key(row)).or_default() += 1);
        let mut seen: BTreeSet<Vec<String>> = BTreeSet::new();
        let mut result = Vec::new();
        for row in left {
            let key = key(&row);
            let is_common = match counts.get_mut(&key) {
                None | Some(0) => false,
                Some(_) if !self.all => true,
                Some(count) => {
                    *count -= 1;
                    true
                }
            };
            if is_common != self.except && (self.all || seen.insert(key)) {
                result.push(row);
            }
        }
        result
    }
}
