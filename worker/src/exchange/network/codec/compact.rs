//! Leaves behind the strings that a batch does not show. A batch of string views shares the buffers of the batch that it
//! was cut from, and would be sent with all of them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericByteViewArray, GenericListArray, MapArray, OffsetSizeTrait,
    RecordBatch, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};
use weir_core::Result;

use super::super::super::size::long_bytes;

/// Bytes that may be sent in vain before a copy is made.
const WASTE: usize = 1024;

/// The same rows, with no more in their buffers than they need.
pub fn compact(batch: &RecordBatch) -> Result<RecordBatch> {
    if !batch.columns().iter().any(|column| has_views(column.data_type())) {
        return Ok(batch.clone());
    }
    let columns = batch.columns().iter().map(array).collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}

fn has_views(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8View | DataType::BinaryView => true,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => has_views(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_views(field.data_type())),
        _ => false,
    }
}

fn array(input: &ArrayRef) -> Result<ArrayRef> {
    if !has_views(input.data_type()) {
        return Ok(input.clone());
    }
    Ok(match input.data_type() {
        DataType::Utf8View => views(input.as_byte_view::<StringViewType>()),
        DataType::BinaryView => views(input.as_byte_view::<BinaryViewType>()),
        DataType::List(_) => list(input.as_list::<i32>())?,
        DataType::LargeList(_) => list(input.as_list::<i64>())?,
        DataType::Map(field, sorted) => {
            let map = input.as_map();
            let (offsets, first, length) = from_zero(map.offsets());
            let entries: ArrayRef = Arc::new(map.entries().slice(first, length));
            let entries = array(&entries)?.as_struct().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, map.nulls().cloned(), *sorted)?)
        }
        DataType::FixedSizeList(field, width) => {
            let list = input.as_fixed_size_list();
            let values = array(list.values())?;
            Arc::new(FixedSizeListArray::try_new(field.clone(), *width, values, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let structure = input.as_struct();
            let columns = structure.columns().iter().map(array).collect::<Result<Vec<_>>>()?;
            let nulls = structure.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, structure.len())?)
        }
        _ => input.clone(),
    })
}

fn views<T: ByteViewType + ?Sized>(input: &GenericByteViewArray<T>) -> ArrayRef {
    let carried: usize = input.data_buffers().iter().map(Buffer::len).sum();
    let needed = long_bytes(input);
    if carried > needed + needed / 4 + WASTE { Arc::new(input.gc()) } else { Arc::new(input.clone()) }
}

fn list<O: OffsetSizeTrait>(input: &GenericListArray<O>) -> Result<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field)) = input.data_type() else {
        return Ok(Arc::new(input.clone()));
    };
    let (offsets, first, length) = from_zero(input.offsets());
    let values = array(&input.values().slice(first, length))?;
    Ok(Arc::new(GenericListArray::try_new(field.clone(), offsets, values, input.nulls().cloned())?))
}

/// The offsets moved to begin at zero, and the range of values that they speak of.
fn from_zero<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let moved: ScalarBuffer<O> = offsets.iter().map(|offset| *offset - first).collect();
    (OffsetBuffer::new(moved), first.as_usize(), (last - first).as_usize())
}
