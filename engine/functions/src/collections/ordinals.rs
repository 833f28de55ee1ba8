//! The numbers of an array's elements: what `UNNEST … WITH ORDINALITY` unnests beside them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use datafusion_common::{DataFusionError, Result};
use datafusion_expr::ColumnarValue;

use super::list_of;
use crate::conversion::parts::Ranges;
use crate::polymorphic::{Polymorphic, unchecked};

/// From 1 to the number of elements; without an array there are none.
pub(crate) const ARRAY_ORDINALS: Polymorphic = Polymorphic {
    name: "array_ordinals",
    usage: "UNNEST(array) WITH ORDINALITY",
    coerce: |types| match types {
        [DataType::List(_)] => Some(types.to_vec()),
        _ => None,
    },
    returns: |_| list_of(DataType::Int32),
    check: unchecked,
    compute: array_ordinals,
};

fn array_ordinals(arguments: &[ColumnarValue], rows: usize, _: &DataType) -> Result<ArrayRef> {
    let lists = arguments[0].to_array(rows)?;
    let ranges = Ranges::of(&lists)?;
    let (mut ordinals, mut lengths) = (Vec::new(), Vec::with_capacity(rows));
    for row in 0..rows {
        let length = if lists.is_valid(row) { ranges.of_row(row).len() } else { 0 };
        let last = i32::try_from(length).map_err(|_| DataFusionError::Execution("an array is too long".to_owned()))?;
        ordinals.extend(1..=last);
        lengths.push(length);
    }
    let element = Arc::new(Field::new_list_field(DataType::Int32, true));
    let values = Arc::new(Int32Array::from(ordinals));
    Ok(Arc::new(ListArray::try_new(element, OffsetBuffer::from_lengths(lengths), values, None)?))
}
