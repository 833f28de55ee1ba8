//! Grouping sets beside other keys, as one list of sets: of `GROUP BY a, GROUPING SETS ((b), ())` that is `GROUPING SETS ((a, b), (a))`.
//!
//! DataFusion adds columns to `GROUP BY` that follow from its keys, such as a result of an aggregation by the same windows below. It
//! adds them to every set, and those that leave such a column out would not any more. To a single list of sets it adds nothing.

use datafusion_sql::sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, Value};

use crate::walk::{Change, Step, change};

/// As many sets are written out at most; lowering refuses far fewer.
const MOST_SETS: usize = 4096;

/// Writes the grouping sets of `query` out.
pub(super) fn write_out(query: &mut Query) {
    let _ = change(query, &mut WriteOut);
}

struct WriteOut;

impl Change for WriteOut {
    fn select(&mut self, select: &mut Select) -> Step {
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by
            && keys.len() > 1
            && keys.iter().any(|key| matches!(key, Expr::GroupingSets(_) | Expr::Rollup(_) | Expr::Cube(_)))
            && let Some(sets) = product(keys, &select.projection)
        {
            *keys = vec![Expr::GroupingSets(sets)];
        }
        Step::Continue(())
    }
}

/// Each set of each key with each set of the others.
fn product(keys: &[Expr], list: &[SelectItem]) -> Option<Vec<Vec<Expr>>> {
    let mut product: Vec<Vec<Expr>> = vec![Vec::new()];
    for key in keys {
        let sets = sets(key, list)?;
        if product.len().checked_mul(sets.len()).is_none_or(|sets| sets > MOST_SETS) {
            return None;
        }
        let with = |begun: &Vec<Expr>| -> Vec<Vec<Expr>> {
            sets.iter().map(|set| begun.iter().chain(set).cloned().collect()).collect()
        };
        product = product.iter().flat_map(with).collect();
    }
    Some(product)
}

/// The sets that one key stands for.
fn sets(key: &Expr, list: &[SelectItem]) -> Option<Vec<Vec<Expr>>> {
    let flat = |parts: &[Vec<Expr>]| parts.iter().flatten().cloned().collect::<Vec<Expr>>();
    Some(match key {
        Expr::GroupingSets(sets) => sets.clone(),
        Expr::Rollup(parts) => (0..=parts.len()).rev().map(|kept| flat(&parts[..kept])).collect(),
        Expr::Cube(parts) => {
            let subsets = 1usize.checked_shl(u32::try_from(parts.len()).ok()?).filter(|sets| *sets <= MOST_SETS)?;
            let kept = |mask: usize| move |index: &usize| mask & (1 << index) == 0;
            let subset = |mask| {
                (0..parts.len()).filter(kept(mask)).flat_map(|index| parts[index].clone()).collect::<Vec<Expr>>()
            };
            (0..subsets).map(subset).collect()
        }
        Expr::Value(value) => match &value.value {
            Value::Number(position, _) => vec![vec![listed(position.parse().ok()?, list)?]],
            _ => vec![vec![key.clone()]],
        },
        other => vec![vec![other.clone()]],
    })
}

/// The expression at a position of the `SELECT` list, counted from 1.
fn listed(position: usize, list: &[SelectItem]) -> Option<Expr> {
    let is_one = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    if !list.iter().take(position).all(is_one) {
        return None;
    }
    match list.get(position.checked_sub(1)?)? {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
        _ => None,
    }
}
