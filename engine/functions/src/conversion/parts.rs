//! Arrays, maps and rows, converted part by part. The fields of a row are matched by their place, as in SQL.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, GenericListArray, MapArray, OffsetSizeTrait, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use super::convert as convert_part;
use crate::nulls::without_hidden;

pub(super) fn has_parts(data_type: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Map, Struct};
    matches!(data_type, List(_) | LargeList(_) | FixedSizeList(..) | Map(..) | Struct(_))
}

/// The types of the parts, side by side, if both are arrays, both are maps, or both are rows of as many fields.
pub(super) fn of_same_kind(from: &DataType, to: &DataType) -> Option<Vec<(DataType, DataType)>> {
    let pair = |from: &FieldRef, to: &FieldRef| (from.data_type().clone(), to.data_type().clone());
    match (from, to) {
        (DataType::Struct(from), DataType::Struct(to)) => {
            (from.len() == to.len()).then(|| from.iter().zip(to).map(|(from, to)| pair(from, to)).collect())
        }
        (DataType::Map(from, _), DataType::Map(to, _)) => of_same_kind(from.data_type(), to.data_type()),
        (from, to) => Some(vec![pair(element(from)?, element(to)?)]),
    }
}

fn element(data_type: &DataType) -> Option<&FieldRef> {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => Some(field),
        _ => None,
    }
}

pub(super) fn convert(array: &ArrayRef, to: &DataType, safe: bool) -> Result<ArrayRef, ArrowError> {
    // A value that nobody sees must not fail.
    let array = &without_hidden(array)?;
    match to {
        DataType::Struct(fields) => {
            let row = array.as_struct();
            let columns = row.columns().iter().zip(fields).map(|(column, field)| part(column, field, safe));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            let converted = StructArray::try_new_with_length(fields.clone(), columns, row.nulls().cloned(), row.len())?;
            Ok(Arc::new(converted))
        }
        DataType::Map(entries, sorted) => {
            let map = array.as_map();
            let converted: ArrayRef = Arc::new(map.entries().clone());
            let converted = convert_part(&converted, entries.data_type(), safe)?.as_struct().clone();
            let map =
                MapArray::try_new(entries.clone(), map.offsets().clone(), converted, map.nulls().cloned(), *sorted)?;
            Ok(Arc::new(map))
        }
        DataType::LargeList(field) => list::<i64>(array, field, safe),
        DataType::List(field) => list::<i32>(array, field, safe),
        DataType::FixedSizeList(field, width) => match array.as_fixed_size_list_opt() {
            Some(list) if list.value_length() == *width => {
                let values = part(list.values(), field, safe)?;
                let nulls = list.nulls().cloned();
                Ok(Arc::new(FixedSizeListArray::try_new(field.clone(), *width, values, nulls)?))
            }
            _ => arrow::compute::cast(array, to),
        },
        _ => Err(ArrowError::CastError(format!("no cast from {} to {to}", array.data_type()))),
    }
}

fn list<O: OffsetSizeTrait>(array: &ArrayRef, field: &FieldRef, safe: bool) -> Result<ArrayRef, ArrowError> {
    let ranges = Ranges::of(array)?;
    let values = part(ranges.values(), field, safe)?;
    // Offsets need not begin at zero.
    let offsets = ranges
        .offsets()
        .into_iter()
        .map(|offset| O::from_usize(offset).ok_or_else(|| ArrowError::CastError("an array is too long".to_owned())));
    let offsets = OffsetBuffer::new(offsets.collect::<Result<Vec<O>, _>>()?.into());
    Ok(Arc::new(GenericListArray::<O>::try_new(field.clone(), offsets, values, array.nulls().cloned())?))
}

fn part(array: &ArrayRef, field: &Field, safe: bool) -> Result<ArrayRef, ArrowError> {
    convert_part(array, field.data_type(), safe)
}

/// Where the elements of each row lie among the elements of all.
pub(crate) struct Ranges {
    extents: Extents,
    values: ArrayRef,
    rows: usize,
}

enum Extents {
    Narrow(OffsetBuffer<i32>),
    Wide(OffsetBuffer<i64>),
    Fixed(usize),
}

impl Ranges {
    pub(crate) fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        let rows = array.len();
        let (extents, values): (_, ArrayRef) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (Extents::Narrow(list.offsets().clone()), list.values().clone())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                (Extents::Wide(list.offsets().clone()), list.values().clone())
            }
            DataType::FixedSizeList(_, width) => {
                let list = array.as_fixed_size_list();
                (Extents::Fixed(usize::try_from(*width).unwrap_or_default()), list.values().clone())
            }
            DataType::Map(..) => {
                let map = array.as_map();
                (Extents::Narrow(map.offsets().clone()), Arc::new(map.entries().clone()))
            }
            other => return Err(ArrowError::CastError(format!("{other} has no elements"))),
        };
        Ok(Self { extents, values, rows })
    }

    /// The elements of all rows.
    pub(crate) fn values(&self) -> &ArrayRef {
        &self.values
    }

    pub(crate) fn of_row(&self, row: usize) -> Range<usize> {
        match &self.extents {
            Extents::Narrow(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Extents::Wide(offsets) => offsets[row] as usize..offsets[row + 1] as usize,
            Extents::Fixed(width) => row * width..(row + 1) * width,
        }
    }

    /// Where each row begins, and where the last one ends.
    fn offsets(&self) -> Vec<usize> {
        let first = if self.rows == 0 { 0 } else { self.of_row(0).start };
        std::iter::once(first).chain((0..self.rows).map(|row| self.of_row(row).end)).collect()
    }
}
