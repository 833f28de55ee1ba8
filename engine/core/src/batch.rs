//! Rows on a stream, and for each whether it is added or taken back.
//!
//! Whatever makes a batch of another goes through the methods here, so that a row and its weight are never parted: an operator
//! that filters, picks, cuts, joins up or computes anew does not have to think of weights, and a stream that has none pays
//! nothing for them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, Int8Array, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{concat, concat_batches, filter, filter_record_batch, interleave, take};
use arrow::datatypes::Int8Type;
use arrow_schema::SchemaRef;

use crate::views::{are_scattered, compact, compact_rows, gathered};
use crate::{Error, Result};

/// Rows, and for each whether it is added or taken back.
#[derive(Debug, Clone)]
pub struct Batch {
    records: RecordBatch,
    /// `+1` for a row that is added, `-1` for one that is taken back. Absent on append-only streams, so that they pay
    /// nothing for what they do not use.
    weights: Option<Int8Array>,
}

impl Batch {
    /// Rows that are all added.
    pub fn append(records: RecordBatch) -> Self {
        Self { records, weights: None }
    }

    /// Rows with a weight each.
    ///
    /// # Errors
    /// An internal error if there are not as many weights as rows, or one is neither `+1` nor `-1`.
    pub fn weighted(records: RecordBatch, weights: Int8Array) -> Result<Self> {
        let sound = weights.null_count() == 0 && weights.values().iter().all(|weight| matches!(weight, 1 | -1));
        if !sound || weights.len() != records.num_rows() {
            return Err(Error::internal(format!(
                "{} rows came with {} weights, or one that is neither 1 nor -1",
                records.num_rows(),
                weights.len()
            )));
        }
        Ok(Self { records, weights: Some(weights) })
    }

    /// The rows.
    pub fn records(&self) -> &RecordBatch {
        &self.records
    }

    /// The rows of an append-only stream, owned.
    ///
    /// # Errors
    /// An internal error if the rows have weights: whoever takes them alone would count what is taken back as added.
    pub fn into_appended(self) -> Result<RecordBatch> {
        match self.weights {
            None => Ok(self.records),
            Some(_) => Err(Error::internal("rows that may be taken back came to where rows are only added")),
        }
    }

    /// The rows and their weights, owned.
    pub fn into_parts(self) -> (RecordBatch, Option<Int8Array>) {
        (self.records, self.weights)
    }

    /// `+1`/`-1` per row; `None` when every row is added.
    pub fn weights(&self) -> Option<&Int8Array> {
        self.weights.as_ref()
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.records.num_rows()
    }

    /// The rows' schema.
    pub fn schema(&self) -> SchemaRef {
        self.records.schema()
    }

    /// The rows where `condition` is true. All of them cost nothing.
    ///
    /// # Errors
    /// An internal error if `condition` is of another length.
    pub fn filter(self, condition: &BooleanArray) -> Result<Self> {
        if condition.len() != self.num_rows() {
            let (values, rows) = (condition.len(), self.num_rows());
            return Err(Error::internal(format!("a condition has {values} values for {rows} rows")));
        }
        match condition.true_count() {
            all if all == self.num_rows() => Ok(self),
            0 => Ok(self.slice(0, 0)),
            _ => {
                let weights = self.weights.as_ref().map(|weights| filter(weights, condition)).transpose()?;
                Ok(Self {
                    records: filter_record_batch(&self.records, condition)?,
                    weights: weights.map(|weights| weights.as_primitive::<Int8Type>().clone()),
                })
            }
        }
    }

    /// The rows at `positions`, in that order; one may occur several times.
    ///
    /// # Errors
    /// If a position is none of the batch's.
    pub fn take(&self, positions: &UInt32Array) -> Result<Self> {
        let weights = self.weights.as_ref().map(|weights| take(weights, positions, None)).transpose()?;
        let columns = self.records.columns().iter().map(|column| take(column, positions, None));
        // Rows without columns have a number all the same.
        let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        let columns = columns.collect::<Result<_, _>>()?;
        Ok(Self {
            records: RecordBatch::try_new_with_options(self.schema(), columns, &options)?,
            weights: weights.map(|weights| weights.as_primitive::<Int8Type>().clone()),
        })
    }

    /// The same rows with these columns only.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn project(&self, columns: &[usize]) -> Result<Self> {
        Ok(Self { records: self.records.project(columns)?, weights: self.weights.clone() })
    }

    /// `length` rows from row `offset` on, which share memory with this batch.
    ///
    /// # Panics
    /// If there are not as many.
    #[must_use]
    pub fn slice(&self, offset: usize, length: usize) -> Self {
        Self {
            records: self.records.slice(offset, length),
            weights: self.weights.as_ref().map(|weights| weights.slice(offset, length)),
        }
    }

    /// Other columns for the same rows.
    ///
    /// # Errors
    /// An internal error if they are not of `schema`, or not as many rows.
    pub fn with_columns(&self, schema: &SchemaRef, columns: Vec<Arc<dyn Array>>) -> Result<Self> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.num_rows()));
        let records = RecordBatch::try_new_with_options(schema.clone(), columns, &options)
            .map_err(|error| Error::internal("an operator made rows that are not of its schema").with_source(error))?;
        Ok(Self { records, weights: self.weights.clone() })
    }

    /// The same rows, with the strings of a column in one buffer if they were in small pieces ([`gathered`]).
    #[must_use]
    pub fn gathered(self) -> Self {
        Self { records: gathered(self.records), ..self }
    }

    /// Batches of one schema, one behind the other.
    ///
    /// # Errors
    /// If there is none, or they have different schemas.
    pub fn concat(batches: &[Batch]) -> Result<Self> {
        let first = match batches {
            [] => return Err(Error::internal("no batches are no batch: they have no schema")),
            [only] => return Ok(only.clone()),
            [first, ..] => first,
        };
        let records = concat_batches(&first.schema(), batches.iter().map(Batch::records))?;
        let records = compact_rows(&records, are_scattered)?;
        if batches.iter().all(|batch| batch.weights.is_none()) {
            return Ok(Self::append(records));
        }
        let weights = all_weights(batches);
        let weights: Vec<&dyn Array> = weights.iter().map(|weights| weights as &dyn Array).collect();
        Ok(Self { records, weights: Some(concat(&weights)?.as_primitive::<Int8Type>().clone()) })
    }

    /// Rows of several batches of one schema in one: each is a batch's index, and the row's position in it.
    ///
    /// # Errors
    /// If there is no batch, they have different schemas, or there is no such row.
    pub fn gather(batches: &[Batch], rows: &[(usize, usize)]) -> Result<Self> {
        let Some(first) = batches.first() else {
            return Err(Error::internal("no batches have no rows, and no schema"));
        };
        let column = |index: usize| {
            let arrays: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.records.column(index)).collect();
            compact(&interleave(&arrays, rows)?, are_scattered)
        };
        let columns = (0..first.records.num_columns()).map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let records = RecordBatch::try_new_with_options(first.schema(), columns, &options)?;
        if batches.iter().all(|batch| batch.weights.is_none()) {
            return Ok(Self::append(records));
        }
        let weights = all_weights(batches);
        let weights = interleave(&weights.iter().map(|weights| weights as &dyn Array).collect::<Vec<_>>(), rows)?;
        Ok(Self { records, weights: Some(weights.as_primitive::<Int8Type>().clone()) })
    }
}

/// The weights of each batch, whether it has some or not.
fn all_weights(batches: &[Batch]) -> Vec<Int8Array> {
    let of = |batch: &Batch| batch.weights.clone().unwrap_or_else(|| Int8Array::from_value(1, batch.num_rows()));
    batches.iter().map(of).collect()
}

impl From<RecordBatch> for Batch {
    fn from(records: RecordBatch) -> Self {
        Self::append(records)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};
    use arrow::datatypes::Int64Type;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    /// `+ 1 10 | - 2 20`: weight, then two columns.
    fn batch(text: &str) -> Batch {
        let rows: Vec<Vec<&str>> = text.split('|').map(|row| row.split_whitespace().collect()).collect();
        let column = |index: usize| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row[index].parse::<i64>().unwrap())))
        };
        let records = RecordBatch::try_from_iter([("a", column(1)), ("b", column(2))]).unwrap();
        let weights = rows.iter().map(|row| if row[0] == "-" { -1 } else { 1 });
        Batch::weighted(records, Int8Array::from_iter_values(weights)).unwrap()
    }

    fn text(batch: &Batch) -> String {
        let row = |row: usize| {
            let weight = batch.weights().map_or("", |weights| if weights.value(row) < 0 { "- " } else { "+ " });
            let cells = batch.records().columns().iter().map(|cells| cells.as_primitive::<Int64Type>().value(row));
            format!("{weight}{}", cells.map(|cell| cell.to_string()).collect::<Vec<_>>().join(" "))
        };
        (0..batch.num_rows()).map(row).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn a_row_keeps_its_weight_whatever_is_made_of_its_batch() {
        let rows = batch("+ 1 10 | - 2 20 | + 3 30 | - 4 40");
        let condition = BooleanArray::from(vec![Some(false), Some(true), None, Some(true)]);
        assert_eq!(text(&rows.clone().filter(&condition).unwrap()), "- 2 20 | - 4 40");
        assert_eq!(text(&rows.take(&UInt32Array::from(vec![3, 0, 3])).unwrap()), "- 4 40 | + 1 10 | - 4 40");
        assert_eq!(text(&rows.project(&[1]).unwrap()), "+ 10 | - 20 | + 30 | - 40");
        assert_eq!(text(&rows.slice(1, 2)), "- 2 20 | + 3 30");
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let negated: ArrayRef = Arc::new(Int64Array::from(vec![-1, -2, -3, -4]));
        assert_eq!(text(&rows.with_columns(&schema, vec![negated]).unwrap()), "+ -1 | - -2 | + -3 | - -4");
        let halves = [rows.slice(2, 2), rows.slice(0, 2)];
        assert_eq!(text(&Batch::concat(&halves).unwrap()), "+ 3 30 | - 4 40 | + 1 10 | - 2 20");
        let gathered = Batch::gather(&halves, &[(1, 1), (0, 0), (1, 1)]).unwrap();
        assert_eq!(text(&gathered), "- 2 20 | + 3 30 | - 2 20");
    }

    #[test]
    fn conditions_that_all_or_none_meet_are_no_exception() {
        let rows = batch("- 1 10 | - 2 20");
        assert_eq!(text(&rows.clone().filter(&BooleanArray::from(vec![true, true])).unwrap()), "- 1 10 | - 2 20");
        let none = rows.clone().filter(&BooleanArray::from(vec![false, false])).unwrap();
        assert_eq!((none.num_rows(), none.weights().map(Int8Array::len)), (0, Some(0)));
        assert!(rows.filter(&BooleanArray::from(vec![true])).is_err(), "a condition for one row of two");
    }

    #[test]
    fn rows_without_columns_keep_their_number() {
        for rows in [batch("+ 1 10 | - 2 20 | + 3 30"), Batch::append(batch("+ 1 10 | - 2 20 | + 3 30").into_parts().0)]
        {
            let rows = rows.project(&[]).unwrap();
            let condition = BooleanArray::from(vec![true, false, true]);
            let made = [
                rows.take(&UInt32Array::from(vec![2, 0])).unwrap(),
                rows.clone().filter(&condition).unwrap(),
                rows.slice(1, 2),
                Batch::concat(&[rows.slice(0, 1), rows.slice(0, 1)]).unwrap(),
                Batch::gather(std::slice::from_ref(&rows), &[(0, 2), (0, 2)]).unwrap(),
                rows.clone().gathered().slice(0, 2),
            ];
            for (index, made) in made.iter().enumerate() {
                assert_eq!(made.num_rows(), 2, "number {index}");
                assert_eq!(made.weights().map(Int8Array::len), rows.weights().map(|_| 2), "number {index}");
            }
        }
    }

    #[test]
    fn rows_without_weights_count_as_added_beside_others() {
        let appended = Batch::append(batch("+ 1 10").into_parts().0);
        assert!(Batch::concat(&[appended.clone(), appended.clone()]).unwrap().weights().is_none());
        let both = [appended.clone(), batch("- 2 20"), appended];
        assert_eq!(text(&Batch::concat(&both).unwrap()), "+ 1 10 | - 2 20 | + 1 10");
        assert_eq!(text(&Batch::gather(&both, &[(2, 0), (1, 0)]).unwrap()), "+ 1 10 | - 2 20");
    }

    #[test]
    fn weights_are_one_or_minus_one_for_each_row_and_are_not_dropped_by_accident() {
        let records = batch("+ 1 10 | + 2 20").into_parts().0;
        for wrong in [vec![Some(1)], vec![Some(1), Some(0)], vec![Some(1), None], vec![Some(2), Some(1)]] {
            assert!(Batch::weighted(records.clone(), Int8Array::from(wrong.clone())).is_err(), "{wrong:?}");
        }
        assert!(batch("- 1 10").into_appended().is_err());
        assert_eq!(Batch::append(records.clone()).into_appended().unwrap(), records);
    }
}
