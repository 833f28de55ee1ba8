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

/// Bytes of rows.
pub fn records_bytes(records: &RecordBatch) -> usize {
    records.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &ArrayRef) -> usize {
    let rows = array.len();
    let nulls = if array.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8 => offset_bytes(array.as_string::<i32>().value_offsets()),
        DataType::LargeUtf8 => offset_bytes(array.as_string::<i64>().value_offsets()),
        DataType::Binary => offset_bytes(array.as_binary::<i32>().value_offsets()),
        DataType::LargeBinary => offset_bytes(array.as_binary::<i64>().value_offsets()),
        DataType::Utf8View => view_bytes(array.as_byte_view::<StringViewType>()),
        DataType::BinaryView => view_bytes(array.as_byte_view::<BinaryViewType>()),
        DataType::FixedSizeBinary(width) => rows * usize::try_from(*width).unwrap_or(0),
        DataType::List(_) => list_bytes(array.as_list::<i32>()),
        DataType::LargeList(_) => list_bytes(array.as_list::<i64>()),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().slice(
                usize::try_from(offsets[0]).unwrap_or(0),
                usize::try_from(offsets[rows] - offsets[0]).unwrap_or(0),
            ));
            size_of_val(offsets) + array_bytes(&entries)
        }
        DataType::FixedSizeList(_, _) => array_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(array_bytes).sum(),
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

fn view_bytes<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> usize {
    size_of_val(&**array.views()) + long_bytes(array)
}

fn list_bytes<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> usize {
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
    size_of_val(offsets) + array_bytes(&list.values().slice(first, last - first))
}
