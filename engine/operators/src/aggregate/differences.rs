//! Which rows of two sets of columns differ.

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp::distinct;
use weir_core::{Error, Result};

/// Where any column has another value on one side than on the other. A null is equal to a null, and a NaN to a NaN.
///
/// # Errors
/// An internal error if the columns are not of the same types and lengths.
pub(crate) fn differ(one: &[ArrayRef], other: &[ArrayRef], rows: usize) -> Result<BooleanArray> {
    let mut all = BooleanBuffer::new_unset(rows);
    for (one, other) in one.iter().zip(other) {
        if one.data_type() != other.data_type() || one.len() != rows || other.len() != rows {
            return Err(Error::internal("results before and after a change are of different kinds"));
        }
        let differs = match one.data_type().is_nested() {
            true => (0..rows).map(|row| one.slice(row, 1).to_data() != other.slice(row, 1).to_data()).collect(),
            false => distinct(one, other)?.values().clone(),
        };
        all = &all | &differs;
    }
    Ok(BooleanArray::new(all, None))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, ListArray};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn a_row_differs_if_any_column_does() {
        let numbers = |values: [Option<i64>; 4]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let floats = |values: [f64; 4]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
        let lists = |values: [Option<Vec<i64>>; 4]| {
            let rows = values.map(|row| row.map(|row| row.into_iter().map(Some).collect::<Vec<_>>()));
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows)) as ArrayRef
        };
        let differ =
            |one: ArrayRef, other: ArrayRef| differ(&[one], &[other], 4).unwrap().iter().flatten().collect::<Vec<_>>();
        let one = [Some(1), None, None, Some(4)];
        assert_eq!(differ(numbers(one), numbers([Some(1), None, Some(3), Some(5)])), [false, false, true, true]);
        assert_eq!(
            differ(floats([f64::NAN, 1.0, 2.0, 3.0]), floats([f64::NAN, 1.0, 2.5, 3.0])),
            [false, false, true, false]
        );
        let one = [Some(vec![1, 2]), None, Some(vec![]), Some(vec![3])];
        let other = [Some(vec![1, 2]), None, None, Some(vec![3, 4])];
        assert_eq!(differ(lists(one), lists(other)), [false, false, true, true]);
        let both = [numbers([Some(1); 4]), floats([1.0, 2.0, 3.0, 4.0])];
        let other = [numbers([Some(1); 4]), floats([1.0, 2.0, 3.0, 5.0])];
        assert_eq!(super::differ(&both, &other, 4).unwrap().true_count(), 1);
        assert!(super::differ(&both[..1], &[floats([0.0; 4])], 4).is_err());
    }
}
