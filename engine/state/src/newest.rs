//! Sorts rows by key hash and keeps the newest of each key: the step that encoding, merging and reading share.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array};
use arrow::compute::{concat, concat_batches};
use arrow::row::{RowConverter, Rows, SortField};
use weir_core::hash::canonical_keys;
use weir_core::{Error, Result, StateRows, TableSchema};

use crate::pieces::Pieces;

/// Puts pieces together, oldest first.
pub(crate) fn join(table: &TableSchema, pieces: &[StateRows]) -> Result<StateRows> {
    check(table, pieces)?;
    let rows = concat_batches(&table.schema, pieces.iter().map(|piece| &piece.rows))?;
    let hashes = match pieces {
        [piece] => piece.hashes.clone(),
        _ => UInt64Array::from_iter_values(pieces.iter().flat_map(|piece| piece.hashes.values().iter().copied())),
    };
    let deleted = if pieces.iter().any(|piece| piece.deleted.is_some()) {
        let none = |piece: &StateRows| BooleanArray::from(vec![false; piece.rows.num_rows()]);
        let parts: Vec<BooleanArray> =
            pieces.iter().map(|piece| piece.deleted.clone().unwrap_or_else(|| none(piece))).collect();
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part as &dyn Array).collect();
        Some(concat(&parts)?.as_boolean().clone())
    } else {
        None
    };
    Ok(StateRows { rows, hashes, deleted })
}

/// Whether pieces are of their table.
///
/// # Errors
/// An internal error if they are not.
pub(crate) fn check(table: &TableSchema, pieces: &[StateRows]) -> Result<()> {
    let expected = table.schema.fields().len();
    for piece in pieces {
        if piece.rows.num_columns() != expected || piece.hashes.len() != piece.rows.num_rows() {
            return Err(Error::internal(format!(
                "rows for state table '{}' have {} columns and {} hashes, but should have {expected} and {}",
                table.name,
                piece.rows.num_columns(),
                piece.hashes.len(),
                piece.rows.num_rows()
            )));
        }
    }
    Ok(())
}

/// Positions of rows in order of their hashes, and of one hash in the order in which they came. Where the table has a
/// key, only the last row of each key is among them.
pub(crate) fn newest(table: &TableSchema, rows: &Pieces<'_>) -> Result<Vec<u32>> {
    let mut order: Vec<(u64, u32)> = rows.hashes().values().iter().copied().zip(0..).collect();
    // Stable, and quick where the input is made of runs that are sorted already.
    order.sort_by_key(|(hash, _)| *hash);
    let shared: Vec<u32> = if table.key_columns == 0 {
        Vec::new()
    } else {
        same_hash(&order).flat_map(|rows| rows.iter().map(|(_, row)| *row)).collect()
    };
    if shared.is_empty() {
        return Ok(order.into_iter().map(|(_, row)| row).collect());
    }
    let keys = keys(table, rows, &shared)?;
    let mut replaced = vec![false; rows.len()];
    let mut start = 0;
    let mut group: Vec<usize> = Vec::new();
    for rows in same_hash(&order) {
        group.clear();
        group.extend(start..start + rows.len());
        start += rows.len();
        // Equal hashes are equal keys, but for collisions; those may be made on purpose, so no pairwise comparison.
        group.sort_by(|a, b| keys.row(*a).cmp(&keys.row(*b)));
        for pair in group.windows(2) {
            if keys.row(pair[0]) == keys.row(pair[1]) {
                replaced[shared[pair[0]] as usize] = true;
            }
        }
    }
    Ok(order.into_iter().map(|(_, row)| row).filter(|row| !replaced[*row as usize]).collect())
}

/// Stretches of more than one row with the same hash.
fn same_hash(order: &[(u64, u32)]) -> impl Iterator<Item = &[(u64, u32)]> {
    order.chunk_by(|a, b| a.0 == b.0).filter(|rows| rows.len() > 1)
}

fn keys(table: &TableSchema, rows: &Pieces<'_>, positions: &[u32]) -> Result<Rows> {
    if table.key_columns > table.schema.fields().len() {
        return Err(Error::internal(format!("state table '{}' has fewer columns than its key", table.name)));
    }
    let rows = rows.picked(positions);
    let columns = (0..table.key_columns).map(|column| Ok(canonical_keys(&rows.column(column)?)));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(&columns)?)
}

#[cfg(test)]
mod tests;
