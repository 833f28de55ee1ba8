//! How many bytes rows take, as credit counts them: what they would fill if nothing were shared. Arrow's own figures
//! count whole buffers, however small the part of them is that an array shows.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteViewArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};
use weir_core::Batch;
use weir_core::views::long_bytes;

/// Bytes of the rows of a batch and of their weights; never 0, so that every batch costs something.
pub fn batch_bytes(batch: &Batch) -> usize {
    let weights = batch.weights().map_or(0, Array::len);
    (records_bytes(batch.records()) + weights).max(1)
}

fn records_bytes(records: &RecordBatch) -> usize {
    records.columns().iter().map(|array| array_bytes(array, Strings::All)).sum()
}

/// Bytes of rows, roughly, at a cost that does not grow with their number: of long strings a sample is looked at. For figures; what is paid
/// for with credit is [counted](batch_bytes).
pub fn estimated_bytes(records: &RecordBatch) -> usize {
    records.columns().iter().map(|array| array_bytes(array, Strings::Sample)).sum()
}

/// How many of a column's strings are looked at.
#[derive(Debug, Clone, Copy)]
enum Strings {
    All,
    Sample,
}

/// Bytes of a string that stands in its view.
const INLINE: usize = 12;
/// Strings in a sample of a column.
const SAMPLE: usize = 64;

fn array_bytes(array: &ArrayRef, strings: Strings) -> usize {
    let rows = array.len();
    let nulls = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => offset_bytes(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => offset_bytes(array.as_string::<i64>().value_offsets()),
        DataType::Binary => offset_bytes(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => offset_bytes(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => view_bytes(array.as_byte_view::<StringViewType>(), strings),
        DataType::BinaryView => view_bytes(array.as_byte_view::<BinaryViewType>(), strings),
        DataType::FixedSizeBinary(width) => rows * usize::try_from(*width).unwrap_or(0),
        DataType::List(_) => list_bytes(array.as_list::<i32>(), strings),
        DataType::LargeList(_) => list_bytes(array.as_list::<i64>(), strings),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().slice(
                usize::try_from(offsets[0]).unwrap_or(0),
                usize::try_from(offsets[rows] - offsets[0]).unwrap_or(0),
            ));
            size_of_val(offsets) + array_bytes(&entries, strings)
        }
        DataType::FixedSizeList(_, _) => array_bytes(array.as_fixed_size_list().values(), strings),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| array_bytes(column, strings)).sum(),
        other => other.primitive_width().map_or_else(|| array.get_array_memory_size(), |width| rows * width),
    };
    nulls + values
}

fn offset_bytes<O: OffsetSizeTrait>(offsets: &[O]) -> usize {
    let bytes = match offsets {
        [first, .., last] => last.as_usize() - first.as_usize(),
        _ => 0,
    };
    bytes + size_of_val(offsets)
}

fn view_bytes<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>, strings: Strings) -> usize {
    let long = match strings {
        Strings::All => long_bytes(array),
        // All of them stand in their views.
        Strings::Sample if array.data_buffers().is_empty() => 0,
        Strings::Sample => {
            let step = array.len().div_ceil(SAMPLE).max(1);
            let lengths = array.lengths().step_by(step).map(|length| length as usize);
            let (looked_at, long) = lengths
                .fold((0, 0), |(count, long), length| (count + 1, long + if length > INLINE { length } else { 0 }));
            long * array.len() / usize::max(looked_at, 1)
        }
    };
    size_of_val(&**array.views()) + long
}

fn list_bytes<O: OffsetSizeTrait>(list: &GenericListArray<O>, strings: Strings) -> usize {
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    size_of_val(offsets) + array_bytes(&list.values().slice(first, last - first), strings)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringViewArray;

    use super::*;

    fn strings(lengths: impl Iterator<Item = usize>) -> RecordBatch {
        let column = StringViewArray::from_iter_values(lengths.map(|length| "x".repeat(length)));
        RecordBatch::try_from_iter([("s", Arc::new(column) as ArrayRef)]).unwrap()
    }

    #[test]
    fn an_estimate_is_near_what_rows_show_also_where_they_are_a_part_of_a_buffer() {
        let few = strings((0..SAMPLE).map(|row| row * 3));
        assert_eq!(estimated_bytes(&few), records_bytes(&few), "all of a few rows are looked at");
        // Lengths from 0 to 99, in no order that a step could follow.
        let many = strings((0..10_000).map(|row: usize| row * row % 9973 % 100));
        for rows in [many.clone(), many.slice(2000, 5000), many.slice(7, 300), many.slice(0, 0)] {
            let (estimate, exact) = (estimated_bytes(&rows), records_bytes(&rows));
            assert!(estimate.abs_diff(exact) * 4 <= exact, "{estimate} for {exact}");
        }
        let short = strings((0..1000).map(|row| row % 13));
        assert_eq!(estimated_bytes(&short), 16 * 1000);
    }
}
