//! What `COLLECT` makes of the values of a group: how often each is there.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, MapArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;
use weir_core::hash::canonical_keys;

use super::{list_of, map_type};
use crate::conversion::parts::Ranges;
use crate::polymorphic::{Polymorphic, unchecked};

/// From each element of an array that is not null to its number; without an array there are none.
pub(crate) const MULTISET_OF: Polymorphic = Polymorphic {
    name: "multiset_of",
    usage: "COLLECT(x) of values that are no MAP",
    coerce: |types| match types {
        [DataType::List(element)] => {
            let told_apart = RowConverter::supports_fields(&[SortField::new(element.data_type().clone())]);
            told_apart.then(|| vec![list_of(element.data_type().clone())])
        }
        _ => None,
    },
    returns: |types| match types {
        [DataType::List(element)] => map_type(element.data_type().clone(), DataType::Int32),
        _ => map_type(DataType::Null, DataType::Int32),
    },
    check: unchecked,
    compute: multiset_of,
};

fn multiset_of(arguments: &[ColumnarValue], rows: usize, result: &DataType) -> Result<ArrayRef> {
    let lists = arguments[0].to_array(rows)?;
    let ranges = Ranges::of(&lists)?;
    let elements = canonical_keys(ranges.values());
    let nulls = elements.logical_nulls();
    let keys = RowConverter::new(vec![SortField::new(elements.data_type().clone())])?
        .convert_columns(std::slice::from_ref(&elements))?;
    let (mut first, mut counts): (Vec<u32>, Vec<i32>) = (Vec::new(), Vec::new());
    let mut lengths = Vec::with_capacity(rows);
    for row in 0..rows {
        let begin = first.len();
        let mut places = HashMap::new();
        let range = if lists.is_valid(row) { ranges.of_row(row) } else { 0..0 };
        for element in range.filter(|element| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*element))) {
            let place = *places.entry(keys.row(element)).or_insert(first.len());
            if place == first.len() {
                first.push(element as u32);
                counts.push(0);
            }
            counts[place] += 1;
        }
        lengths.push(first.len() - begin);
    }
    let DataType::Map(entry, sorted) = result else {
        return Err(DataFusionError::Internal("COLLECT makes a map".to_owned()));
    };
    let DataType::Struct(fields) = entry.data_type() else {
        return Err(DataFusionError::Internal("a map has entries".to_owned()));
    };
    let keys = take(&elements, &UInt32Array::from(first), None)?;
    let entries = StructArray::try_new(fields.clone(), vec![keys, Arc::new(Int32Array::from(counts))], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(Arc::clone(entry), offsets, entries, None, *sorted)?))
}
