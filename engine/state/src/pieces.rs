//! Rows of a table in the batches in which they came. They are read in another order without being put together first: a
//! checkpoint of many rows would hold all of them twice.

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, UInt64Array};
use arrow::compute::{concat, interleave, take};
use weir_core::{Error, Result, StateRows, TableSchema};

/// From the number of a row one gets near to its piece by these bits.
const STRIDE_BITS: u32 = 10;

/// Pieces, oldest first. Their rows are numbered through.
pub(crate) struct Pieces<'a> {
    pieces: &'a [StateRows],
    /// Number of the first row of each piece, and behind them how many rows there are.
    starts: Vec<u32>,
    /// For each stretch of row numbers the piece that its first one is in.
    nearby: Vec<u32>,
}

impl<'a> Pieces<'a> {
    /// # Errors
    /// An internal error if there are too many rows.
    pub(crate) fn new(table: &TableSchema, pieces: &'a [StateRows]) -> Result<Self> {
        let mut starts = vec![0_u32];
        let mut nearby = Vec::new();
        for (number, piece) in (0..).zip(pieces) {
            let start = starts.last().copied().unwrap_or_default();
            let end = u32::try_from(piece.rows.num_rows()).ok().and_then(|rows| start.checked_add(rows));
            let end = end.ok_or_else(|| {
                Error::internal(format!("state table '{}' has more than 2^32 rows in one process", table.name))
            })?;
            let stretches = end.div_ceil(1 << STRIDE_BITS) as usize;
            nearby.resize(stretches.max(nearby.len()), number);
            starts.push(end);
        }
        Ok(Self { pieces, starts, nearby })
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default() as usize
    }

    /// The hashes of all rows.
    pub(crate) fn hashes(&self) -> UInt64Array {
        match self.pieces {
            [piece] => piece.hashes.clone(),
            pieces => pieces.iter().flat_map(|piece| piece.hashes.values().iter().copied()).collect::<Vec<_>>().into(),
        }
    }

    /// Which rows say that their key is gone; `None`: none does.
    pub(crate) fn deleted(&self) -> Option<BooleanArray> {
        self.pieces.iter().any(|piece| piece.deleted.is_some()).then(|| {
            let of_piece = |piece: &StateRows| match &piece.deleted {
                Some(deleted) => deleted.iter().map(|deleted| deleted == Some(true)).collect(),
                None => vec![false; piece.rows.num_rows()],
            };
            BooleanArray::from(self.pieces.iter().flat_map(of_piece).collect::<Vec<bool>>())
        })
    }

    /// A column of all rows.
    ///
    /// # Errors
    /// If the pieces are of different types.
    pub(crate) fn column(&self, column: usize) -> Result<ArrayRef> {
        match self.pieces {
            [piece] => Ok(piece.rows.column(column).clone()),
            _ => Ok(concat(&self.arrays(column))?),
        }
    }

    fn arrays(&self, column: usize) -> Vec<&dyn Array> {
        self.pieces.iter().map(|piece| &**piece.rows.column(column)).collect()
    }

    /// These rows.
    pub(crate) fn picked(&self, rows: &[u32]) -> Picked<'_> {
        let places = match self.pieces {
            [_] => Places::One(UInt32Array::from(rows.to_vec())),
            _ => Places::Many(rows.iter().map(|row| self.place(*row)).collect()),
        };
        Picked { pieces: self, places }
    }

    /// Piece of a row, and its number in the piece.
    fn place(&self, row: u32) -> (usize, usize) {
        let mut piece = self.nearby[(row >> STRIDE_BITS) as usize] as usize;
        while self.starts[piece + 1] <= row {
            piece += 1;
        }
        (piece, (row - self.starts[piece]) as usize)
    }
}

/// Some rows, in some order.
pub(crate) struct Picked<'a> {
    pieces: &'a Pieces<'a>,
    places: Places,
}

enum Places {
    One(UInt32Array),
    Many(Vec<(usize, usize)>),
}

impl Picked<'_> {
    /// One of their columns.
    ///
    /// # Errors
    /// If the pieces are of different types.
    pub(crate) fn column(&self, column: usize) -> Result<ArrayRef> {
        match &self.places {
            Places::One(rows) => Ok(take(self.pieces.pieces[0].rows.column(column), rows, None)?),
            Places::Many(rows) => Ok(interleave(&self.pieces.arrays(column), rows)?),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::testing::*;

    #[test]
    fn a_row_is_found_in_whatever_piece_it_lies() {
        let table = table(Kind::Timeless);
        let numbered = |numbers: std::ops::Range<i64>| {
            let rows = numbers.map(|number| (Row { number: Some(number), word: None, time: None, value: 0 }, true));
            state_rows(&table, &rows.collect::<Vec<_>>())
        };
        let lengths = [0, 1, 3000, 0, 5, 1019, 2048, 1, 0, 700];
        let mut pieces = Vec::new();
        let mut first = 0;
        for length in lengths {
            pieces.push(numbered(first..first + length));
            first += length;
        }
        let pieces = Pieces::new(&table, &pieces).unwrap();
        assert_eq!(pieces.len() as i64, first);
        let rows: Vec<u32> = (0..first as u32).rev().collect();
        let found = pieces.picked(&rows).column(0).unwrap();
        let found = found.as_primitive::<Int64Type>().values();
        assert!(found.iter().zip(&rows).all(|(found, row)| *found == i64::from(*row)));
        assert_eq!(pieces.column(0).unwrap().len(), rows.len());
    }
}
