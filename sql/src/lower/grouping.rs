//! What `GROUP BY` says: its expressions, and with GROUPING SETS, ROLLUP or CUBE which of them each set keeps.

use std::collections::HashMap;

use datafusion_common::DFSchema;
use datafusion_expr::{Aggregate, Expr as LogicalExpr, GroupingSet};
use weir_core::{Error, Result};

use super::stream::{Stream, Typed, typed};

/// A `GROUP BY` clause.
#[derive(Debug)]
pub(super) struct Grouping {
    /// The expressions in the order of the aggregate's output, over the stream's base and pending columns.
    pub keys: Vec<Typed>,
    /// For each grouping set, which keys it keeps; `None` without grouping sets.
    pub sets: Option<Vec<Vec<bool>>>,
}

/// Grouping sets that one query may have: each row is repeated that often.
const MOST_SETS: usize = 128;

impl Grouping {
    /// The clause of `aggregate`, whose input is `stream`.
    pub fn of(aggregate: &Aggregate, schema: &DFSchema, stream: &Stream) -> Result<Self> {
        let [LogicalExpr::GroupingSet(set)] = aggregate.group_expr.as_slice() else {
            let mut distinct: Vec<&LogicalExpr> = Vec::new();
            for expression in &aggregate.group_expr {
                if !distinct.contains(&expression) {
                    distinct.push(expression);
                }
            }
            let keys = distinct.into_iter().map(|key| typed(key, schema, stream)).collect::<Result<_>>()?;
            return Ok(Self { keys, sets: None });
        };
        let expressions = set.distinct_expr();
        let width = expressions.len();
        if width > 16 {
            return Err(Error::user(format!("{width} expressions in grouping sets are too many"))
                .with_help("up to 16 are supported"));
        }
        let sets: Vec<Vec<bool>> = match set {
            GroupingSet::Rollup(_) => {
                (0..=width).rev().map(|kept| (0..width).map(|index| index < kept).collect()).collect()
            }
            GroupingSet::Cube(_) => {
                (0..1usize << width).map(|mask| (0..width).map(|index| mask & (1 << index) == 0).collect()).collect()
            }
            GroupingSet::GroupingSets(sets) => {
                sets.iter().map(|set| expressions.iter().map(|expression| set.contains(expression)).collect()).collect()
            }
        };
        if sets.len() > MOST_SETS {
            return Err(Error::user(format!("{} grouping sets are too many", sets.len()))
                .with_help(format!("up to {MOST_SETS} are supported, because each row is repeated for each of them")));
        }
        let keys = expressions.into_iter().map(|key| typed(key, schema, stream)).collect::<Result<_>>()?;
        Ok(Self { keys, sets: Some(sets) })
    }
}

/// The number that tells grouping sets apart, as DataFusion's `GROUPING()` reads it: a bit for each key that the set
/// leaves out, the last key's lowest, and above them how often the same set came before.
pub(super) fn grouping_ids(sets: &[Vec<bool>]) -> Vec<u64> {
    let mut seen: HashMap<&[bool], u64> = HashMap::new();
    sets.iter()
        .map(|set| {
            let left_out = set.iter().fold(0u64, |id, kept| (id << 1) | u64::from(!kept));
            let earlier = seen.entry(set).or_insert(0);
            let id = left_out | (*earlier << set.len());
            *earlier += 1;
            id
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_bit_for_each_key_left_out_and_count_repetitions_above() {
        let sets = [vec![true, true], vec![true, false], vec![false, false], vec![true, false]];
        assert_eq!(grouping_ids(&sets), [0b00, 0b01, 0b11, 0b1_01]);
    }
}
