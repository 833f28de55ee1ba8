//! Arrays and maps put together from the elements of others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use datafusion_common::{Result, internal_err};

/// Where an element comes from: which of the sources, and which of its elements.
pub(super) type Origin = (usize, usize);

/// The elements of each row.
pub(super) struct Assembly {
    origins: Vec<Origin>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

impl Assembly {
    /// Of each row what `gather` adds, or null if it says `false`; it may take what it has added away again.
    pub(super) fn of(rows: usize, mut gather: impl FnMut(usize, &mut Vec<Origin>) -> bool) -> Self {
        let mut assembly =
            Self { origins: Vec::new(), lengths: Vec::with_capacity(rows), valid: Vec::with_capacity(rows) };
        for row in 0..rows {
            let before = assembly.origins.len();
            let valid = gather(row, &mut assembly.origins);
            if !valid {
                assembly.origins.truncate(before);
            }
            assembly.lengths.push(assembly.origins.len() - before);
            assembly.valid.push(valid);
        }
        assembly
    }

    /// An array of `data_type` whose elements come from these sources.
    pub(super) fn list(self, data_type: &DataType, sources: &[&dyn Array]) -> Result<ArrayRef> {
        let DataType::List(field) = data_type else { return internal_err!("{data_type} is no array") };
        let values = self.elements(field.data_type(), sources)?;
        let (offsets, nulls) = self.outline();
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls)?))
    }

    /// A map of `data_type` whose keys and values come from these sources.
    pub(super) fn map(self, data_type: &DataType, keys: &[&dyn Array], values: &[&dyn Array]) -> Result<ArrayRef> {
        let DataType::Map(entries, sorted) = data_type else { return internal_err!("{data_type} is no map") };
        let DataType::Struct(fields) = entries.data_type() else { return internal_err!("{data_type} has no entries") };
        let keys = self.elements(fields[0].data_type(), keys)?;
        let values = self.elements(fields[1].data_type(), values)?;
        let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let (offsets, nulls) = self.outline();
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
    }

    fn elements(&self, data_type: &DataType, sources: &[&dyn Array]) -> Result<ArrayRef> {
        match self.origins.is_empty() {
            true => Ok(new_empty_array(data_type)),
            false => Ok(interleave(sources, &self.origins)?),
        }
    }

    fn outline(&self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::from_lengths(self.lengths.iter().copied()), Some(NullBuffer::from(self.valid.clone())))
    }
}
