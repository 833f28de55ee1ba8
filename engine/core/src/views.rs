//! Columns of string views, and the strings behind them.
//!
//! Rows that were taken or cut out of such a column share all its buffers, and Arrow's IPC format writes what a column holds,
//! not what it shows. Whoever writes or sends a part of a batch has to [`compact`] it first, or all strings go with it.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ByteView, FixedSizeListArray, GenericByteViewArray, GenericListArray, MapArray,
    OffsetSizeTrait, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{BinaryViewType, ByteViewType, DataType, StringViewType};

use crate::Result;

/// Strings up to this length stand in the view itself.
const INLINE: u32 = 12;

/// Says of the strings of a column whether they are worth a copy.
pub type Wasteful = fn(&Strings<'_>) -> bool;

/// The strings of a column that do not stand in their view.
#[derive(Debug)]
pub struct Strings<'a> {
    buffers: &'a [Buffer],
    views: &'a [u128],
}

impl Strings<'_> {
    /// Bytes of all buffers.
    pub fn held(&self) -> usize {
        self.buffers.iter().map(Buffer::len).sum()
    }

    /// Memory that they take: a small batch can have buffers that were made for a large one. A buffer that is a part of another one
    /// keeps that as a whole, as many others do, and counts for itself.
    pub fn memory(&self) -> usize {
        let memory = |buffer: &Buffer| if buffer.ptr_offset() == 0 { buffer.capacity() } else { buffer.len() };
        self.buffers.iter().map(memory).sum()
    }

    /// Bytes that rows show, each row for itself.
    pub fn shown(&self) -> usize {
        let lengths = self.views.iter().map(|view| ByteView::from(*view).length);
        lengths.filter(|length| *length > INLINE).map(|length| length as usize).sum()
    }

    /// How many buffers they lie in.
    pub fn buffers(&self) -> usize {
        self.buffers.len()
    }
}

/// Whether strings lie in so many buffers that rows are better copied now: all that is made of a column shares all of its buffers
/// and counts who does, so the buffers of a column that was put together from small ones would cost more than its rows.
pub fn are_scattered(strings: &Strings<'_>) -> bool {
    strings.buffers() > MOST_BUFFERS
}

/// The same, with few rows for each buffer.
pub fn are_in_small_pieces(strings: &Strings<'_>) -> bool {
    are_scattered(strings) && strings.buffers() * ROWS_PER_BUFFER > strings.views.len()
}

/// Buffers that a column put together from others has at most.
const MOST_BUFFERS: usize = 8;
/// Rows for each buffer from which on buffers cost less than the rows.
const ROWS_PER_BUFFER: usize = 16;

/// The rows, with the strings of a column in one buffer if they were [in small pieces](are_in_small_pieces). Costs nothing otherwise.
pub fn gathered(rows: RecordBatch) -> RecordBatch {
    if !rows.columns().iter().any(is_in_small_pieces) {
        return rows;
    }
    // It fails for columns only that are not what their type says, and then whoever reads them says so.
    compact_rows(&rows, are_in_small_pieces).unwrap_or(rows)
}

fn is_in_small_pieces(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Utf8View => are_in_small_pieces(&strings(column.as_byte_view::<StringViewType>())),
        DataType::BinaryView => are_in_small_pieces(&strings(column.as_byte_view::<BinaryViewType>())),
        DataType::List(_) => is_in_small_pieces(column.as_list::<i32>().values()),
        DataType::LargeList(_) => is_in_small_pieces(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => is_in_small_pieces(column.as_fixed_size_list().values()),
        DataType::Map(..) => column.as_map().entries().columns().iter().any(is_in_small_pieces),
        DataType::Struct(_) => column.as_struct().columns().iter().any(is_in_small_pieces),
        _ => false,
    }
}

/// Bytes of strings that do not stand in their view.
pub fn long_bytes<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> usize {
    strings(array).shown()
}

fn strings<T: ByteViewType + ?Sized>(array: &GenericByteViewArray<T>) -> Strings<'_> {
    Strings { buffers: array.data_buffers(), views: array.views() }
}

/// The same values, however they are nested, without the strings that they do not show where that is `wasteful`.
///
/// # Errors
/// If the column is not what its type says.
pub fn compact(column: &ArrayRef, wasteful: Wasteful) -> Result<ArrayRef> {
    if !has_views(column.data_type()) {
        return Ok(column.clone());
    }
    Ok(match column.data_type() {
        DataType::Utf8View => views(column.as_byte_view::<StringViewType>(), wasteful),
        DataType::BinaryView => views(column.as_byte_view::<BinaryViewType>(), wasteful),
        DataType::List(_) => list(column.as_list::<i32>(), wasteful)?,
        DataType::LargeList(_) => list(column.as_list::<i64>(), wasteful)?,
        DataType::Map(field, sorted) => {
            let map = column.as_map();
            let (offsets, first, length) = from_zero(map.offsets());
            let entries: ArrayRef = Arc::new(map.entries().slice(first, length));
            let entries = compact(&entries, wasteful)?.as_struct().clone();
            Arc::new(MapArray::try_new(field.clone(), offsets, entries, map.nulls().cloned(), *sorted)?)
        }
        DataType::FixedSizeList(field, width) => {
            let list = column.as_fixed_size_list();
            let values = compact(list.values(), wasteful)?;
            Arc::new(FixedSizeListArray::try_new(field.clone(), *width, values, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let structure = column.as_struct();
            let columns = structure.columns().iter().map(|column| compact(column, wasteful));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let nulls = structure.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, structure.len())?)
        }
        _ => column.clone(),
    })
}

/// The same rows, each column as [`compact`] makes it.
///
/// # Errors
/// If a column is not what its type says.
pub fn compact_rows(rows: &RecordBatch, wasteful: Wasteful) -> Result<RecordBatch> {
    if !rows.columns().iter().any(|column| has_views(column.data_type())) {
        return Ok(rows.clone());
    }
    let columns = rows.columns().iter().map(|column| compact(column, wasteful)).collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(rows.schema(), columns, &options)?)
}

/// Whether there are views in a column of this type.
pub fn has_views(data_type: &DataType) -> bool {
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

fn views<T: ByteViewType + ?Sized>(input: &GenericByteViewArray<T>, wasteful: Wasteful) -> ArrayRef {
    if wasteful(&strings(input)) { Arc::new(input.gc()) } else { Arc::new(input.clone()) }
}

fn list<O: OffsetSizeTrait>(input: &GenericListArray<O>, wasteful: Wasteful) -> Result<ArrayRef> {
    let (DataType::List(field) | DataType::LargeList(field)) = input.data_type() else {
        return Ok(Arc::new(input.clone()));
    };
    let (offsets, first, length) = from_zero(input.offsets());
    let values = compact(&input.values().slice(first, length), wasteful)?;
    Ok(Arc::new(GenericListArray::try_new(field.clone(), offsets, values, input.nulls().cloned())?))
}

/// The offsets moved to begin at zero, and the range of values that they speak of.
fn from_zero<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (OffsetBuffer<O>, usize, usize) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let moved: ScalarBuffer<O> = offsets.iter().map(|offset| *offset - first).collect();
    (OffsetBuffer::new(moved), first.as_usize(), (last - first).as_usize())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, StringViewArray, UInt32Array};
    use arrow::compute::take;
    use arrow::datatypes::Field;

    use super::*;

    fn buffers(column: &ArrayRef) -> usize {
        column.as_struct().column(0).as_string_view().data_buffers().len()
    }

    #[test]
    fn what_was_put_together_from_small_pieces_has_few_buffers() {
        let piece = |number: usize| -> ArrayRef {
            let words = StringViewArray::from_iter_values([format!("{number:0100}")]);
            let fields = vec![Field::new("word", DataType::Utf8View, true)];
            Arc::new(StructArray::new(fields.into(), vec![Arc::new(words)], None))
        };
        let whole = |pieces: usize| {
            let pieces: Vec<ArrayRef> = (0..pieces).map(piece).collect();
            let pieces: Vec<&dyn Array> = pieces.iter().map(|piece| &**piece as &dyn Array).collect();
            let column = arrow::compute::concat(&pieces).unwrap();
            RecordBatch::try_from_iter([("row", column)]).unwrap()
        };
        let many = whole(100);
        assert_eq!(buffers(many.column(0)), 100);
        let one = gathered(many.clone());
        assert_eq!((&one, buffers(one.column(0))), (&many, 1));
        assert_eq!(buffers(gathered(whole(5)).column(0)), 5, "a few are no matter");
    }

    #[test]
    fn a_small_batch_does_not_keep_a_large_buffer() {
        let mut builder = arrow::array::StringViewBuilder::new().with_fixed_block_size(1 << 20);
        builder.append_value("a string that does not stand in its view");
        let column: ArrayRef = Arc::new(builder.finish());
        let memory = |column: &ArrayRef| column.as_string_view().data_buffers()[0].capacity();
        assert_eq!(memory(&column), 1 << 20);
        let kept = compact(&column, |strings| strings.memory() > 3 * strings.shown()).unwrap();
        assert!(memory(&kept) < 100, "{}", memory(&kept));
        assert_eq!(memory(&compact(&column, |strings| strings.held() > 3 * strings.shown()).unwrap()), 1 << 20);
    }

    #[test]
    fn nested_strings_are_compacted_too() {
        let words = StringViewArray::from_iter_values((0..100).map(|number| format!("{number:0100}")));
        let item = Arc::new(Field::new("item", DataType::Utf8View, true));
        let lists = ListArray::new(item, OffsetBuffer::from_repeated_length(1, 100), Arc::new(words.clone()), None);
        let fields =
            vec![Field::new("word", DataType::Utf8View, true), Field::new("list", lists.data_type().clone(), true)];
        let structs = StructArray::new(fields.into(), vec![Arc::new(words), Arc::new(lists)], None);
        let two = take(&structs, &UInt32Array::from(vec![3, 70]), None).unwrap();
        let compacted = compact(&two, |_| true).unwrap();
        assert_eq!(&compacted, &two);
        let compacted = compacted.as_struct();
        let bytes = |strings: &StringViewArray| strings.data_buffers().iter().map(|buffer| buffer.len()).sum::<usize>();
        assert_eq!(bytes(compacted.column(0).as_string_view()), 200);
        assert_eq!(bytes(compacted.column(1).as_list::<i32>().values().as_string_view()), 200);
    }
}
