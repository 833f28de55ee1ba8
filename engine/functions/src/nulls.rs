//! Values that a null hides. Arrow lets a null ROW have fields, and a null ARRAY have elements, that hold anything: files bring
//! them, and so do kernels that only mark what is to be null. Whoever looks into such a value would see them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{filter, nullif};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// The same values, and nothing in fields and elements of nulls but nulls.
///
/// # Errors
/// If the array is not what its type says.
pub fn without_hidden(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match array.data_type() {
        DataType::Struct(fields) => {
            let row = array.as_struct();
            let mut changed = false;
            let mut columns = Vec::with_capacity(row.num_columns());
            for column in row.columns() {
                let seen = without_hidden(&seen_through(column, row.nulls())?)?;
                changed |= !Arc::ptr_eq(&seen, column);
                columns.push(seen);
            }
            if !changed {
                return Ok(array.clone());
            }
            let nulls = row.nulls().cloned();
            // A field that must not be null has to keep some value where the row is null.
            let fields: arrow::datatypes::Fields = fields.clone();
            let columns = columns
                .into_iter()
                .zip(row.columns())
                .zip(&fields)
                .map(|((seen, column), field)| if field.is_nullable() { seen } else { column.clone() })
                .collect();
            Ok(Arc::new(StructArray::try_new_with_length(fields, columns, nulls, row.len())?))
        }
        DataType::List(_) => list::<i32>(array),
        DataType::LargeList(_) => list::<i64>(array),
        DataType::Map(field, sorted) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let Some((offsets, entries)) = elements(map.offsets(), map.nulls(), &entries)? else {
                return Ok(array.clone());
            };
            let entries = entries.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(field.clone(), offsets, entries, map.nulls().cloned(), *sorted)?))
        }
        _ => Ok(array.clone()),
    }
}

/// `column`, a field of rows of which some are null: null there too.
///
/// # Errors
/// If there are not as many rows.
pub fn seen_through(column: &ArrayRef, rows: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let Some(rows) = rows.filter(|rows| rows.null_count() > 0) else { return Ok(column.clone()) };
    if matches!(column.data_type(), DataType::Null) {
        return Ok(column.clone());
    }
    let nulls = NullBuffer::union(column.nulls(), Some(rows));
    if nulls.as_ref().map(NullBuffer::null_count) == Some(column.null_count()) {
        return Ok(column.clone());
    }
    // Not other nulls for the same data: those of booleans would be read from where their bits begin.
    nullif(column, &BooleanArray::new(!rows.inner(), None))
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let list = array.as_list::<O>();
    let (DataType::List(field) | DataType::LargeList(field)) = list.data_type() else { return Ok(array.clone()) };
    match elements(list.offsets(), list.nulls(), list.values())? {
        None => Ok(array.clone()),
        Some((offsets, values)) => {
            let list = GenericListArray::<O>::try_new(field.clone(), offsets, values, list.nulls().cloned())?;
            Ok(Arc::new(list))
        }
    }
}

/// Offsets and elements without those of nulls; `None` if nothing has to change.
#[allow(clippy::type_complexity, reason = "the two parts of a list")]
fn elements<O: OffsetSizeTrait>(
    offsets: &OffsetBuffer<O>,
    nulls: Option<&NullBuffer>,
    values: &ArrayRef,
) -> Result<Option<(OffsetBuffer<O>, ArrayRef)>, ArrowError> {
    let is_null = |row: usize| nulls.is_some_and(|nulls| nulls.is_null(row));
    let rows = offsets.len() - 1;
    let hides = (0..rows).any(|row| is_null(row) && offsets[row + 1] > offsets[row]);
    if !hides {
        let inner = without_hidden(values)?;
        return Ok((!Arc::ptr_eq(&inner, values)).then(|| (offsets.clone(), inner)));
    }
    let mut keep = vec![false; values.len()];
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        let (start, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        if is_null(row) {
            lengths.push(0);
        } else {
            keep[start..end].fill(true);
            lengths.push(end - start);
        }
    }
    let values = filter(values, &BooleanArray::from(keep))?;
    Ok(Some((OffsetBuffer::from_lengths(lengths), without_hidden(&values)?)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::{Field, Int64Type};

    use super::*;

    #[test]
    fn what_a_null_hides_is_gone() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3), None]));
        let fields = vec![Field::new("a", DataType::Int64, true)];
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let rows: ArrayRef = Arc::new(StructArray::new(fields.into(), vec![numbers.clone()], Some(nulls)));
        let seen = without_hidden(&rows).unwrap();
        let values: Vec<_> = seen.as_struct().column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(values, [Some(1), None, Some(3), None]);
        assert!(Arc::ptr_eq(&without_hidden(&seen).unwrap(), &seen), "nothing is copied without need");

        let item = Arc::new(Field::new_list_field(rows.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([1, 2, 1]);
        let nulls = NullBuffer::from(vec![true, false, true]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, rows, Some(nulls)));
        let seen = without_hidden(&lists).unwrap();
        assert_eq!(&seen, &lists, "the same values");
        assert_eq!(seen.as_list::<i32>().values().len(), 2);
    }

    #[test]
    fn a_field_of_rows_from_the_middle_is_null_where_they_are() {
        let present = NullBuffer::from((0..20).map(|row| row % 3 != 0).collect::<Vec<_>>());
        let columns: [ArrayRef; 3] = [
            Arc::new((0..20).map(|row| (row % 5 > 0).then_some(row % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(
                (0..20).map(|row| (row % 5 > 0).then_some(f64::from(row))).collect::<arrow::array::Float64Array>(),
            ),
            Arc::new(
                (0..20)
                    .map(|row| (row % 5 > 0).then(|| format!("text {row}")))
                    .collect::<arrow::array::StringViewArray>(),
            ),
        ];
        for column in columns {
            for (offset, length) in [(0, 20), (3, 2), (7, 2), (8, 1), (9, 8), (13, 7)] {
                let (part, rows) = (column.slice(offset, length), present.slice(offset, length));
                let seen = seen_through(&part, Some(&rows)).unwrap();
                assert_eq!(seen.len(), length);
                for row in 0..length {
                    let number = offset + row;
                    assert_eq!(seen.is_null(row), number % 3 == 0 || number % 5 == 0, "row {row} from {offset}");
                    let same = seen.is_null(row) || seen.slice(row, 1).to_data() == part.slice(row, 1).to_data();
                    assert!(same, "{} row {row} from {offset}", column.data_type());
                }
            }
        }
    }
}
