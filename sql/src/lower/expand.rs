//! Grouping sets: each row once for each set.

use datafusion_expr::Aggregate;
use weir_core::{Exchange, ExpandSpec, Expr, JobGraph, Literal, LiteralValue, OperatorSpec, Result};

use super::aggregate::KeyPlace;
use super::grouping::grouping_ids;
use super::shape::{Shaped, add, edges};
use super::stream::{Role, StreamColumn};

/// Repeats each row for each grouping set, with nulls for the keys that the set leaves out and the set's number.
pub(super) fn expand(
    graph: &mut JobGraph,
    shaped: Shaped,
    keys: Vec<usize>,
    sets: &[Vec<bool>],
    places: &[KeyPlace],
    aggregate: &Aggregate,
) -> Result<(Shaped, Vec<usize>)> {
    let id_type = aggregate
        .schema
        .field_with_unqualified_name(Aggregate::INTERNAL_GROUPING_ID)
        .map_err(super::error::from_planner)?
        .data_type()
        .clone();
    let width = shaped.columns.len();
    let mut columns = shaped.columns.clone();
    // Keys get columns of their own: the same column may be an argument too, and there it stays as it is.
    for key in &keys {
        columns.push(StreamColumn { role: Role::Plain, ..shaped.columns[*key].clone() });
    }
    columns.push(StreamColumn::plain("grouping_id", id_type.clone()));
    let projections = sets
        .iter()
        .zip(grouping_ids(sets))
        .map(|(set, id)| {
            let mut projection: Vec<Expr> = (0..width).map(Expr::Column).collect();
            for (place, kept) in places.iter().zip(set) {
                let KeyPlace::Key(key) = place else { continue };
                let column = keys[*key];
                projection.push(if *kept {
                    Expr::Column(column)
                } else {
                    let data_type = shaped.columns[column].data_type.clone();
                    Expr::Literal(Literal { data_type, value: LiteralValue::Null })
                });
            }
            projection.push(Expr::Literal(Literal { data_type: id_type.clone(), value: LiteralValue::UInt(id) }));
            projection
        })
        .collect();
    let operator = OperatorSpec::Expand(ExpandSpec { projections });
    let node = add(graph, "Expand", operator, edges(&shaped.nodes, 0, Exchange::Forward), &columns)?;
    let positions = (width..width + keys.len() + 1).collect();
    Ok((Shaped { nodes: vec![node], columns, positions: shaped.positions }, positions))
}
