//! `Vec`: a column of lists.

use std::sync::Arc;

use arrow::array::builder::NullBufferBuilder;
use arrow::array::{ArrayRef, AsArray, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use weir_core::Result;

use super::parts::{no_nulls, wrong_type};
use super::{Column, element};

/// Collects lists.
pub struct ListBuilder<B> {
    offsets: Vec<i32>,
    values: B,
    nulls: NullBufferBuilder,
}

impl<T: Column> Column for Vec<T> {
    type Reader<'a> = (&'a [i32], T::Reader<'a>);
    type Builder = ListBuilder<T::Builder>;

    fn data_type() -> DataType {
        DataType::List(element::<T>())
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>> {
        no_nulls(array, valid)?;
        let lists = array.as_list_opt::<i32>().ok_or_else(|| wrong_type(array, "an ARRAY"))?;
        Ok((lists.value_offsets(), T::reader(lists.values(), None)?))
    }

    fn read((offsets, values): &Self::Reader<'_>, row: usize) -> Self {
        (offsets[row]..offsets[row + 1]).map(|index| T::read(values, index as usize)).collect()
    }

    fn equals(&self, (offsets, values): &Self::Reader<'_>, row: usize) -> bool {
        let range = offsets[row]..offsets[row + 1];
        range.len() == self.len() && range.zip(self).all(|(index, value)| value.equals(values, index as usize))
    }

    fn builder(capacity: usize) -> Self::Builder {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        ListBuilder { offsets, values: T::builder(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    fn append_to(&self, builder: &mut Self::Builder) {
        self.iter().for_each(|value| value.append_to(&mut builder.values));
        let length = i32::try_from(self.len()).expect("no list has 2^31 elements");
        let end = builder.offsets.last().copied().unwrap_or(0).checked_add(length);
        builder.offsets.push(end.expect("the lists of a batch have fewer than 2^31 elements"));
        builder.nulls.append_non_null();
    }

    fn push_null(builder: &mut Self::Builder) {
        builder.offsets.push(builder.offsets.last().copied().unwrap_or(0));
        builder.nulls.append_null();
    }

    fn finish(builder: &mut Self::Builder) -> ArrayRef {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut builder.offsets, vec![0])));
        let values = T::finish(&mut builder.values);
        Arc::new(ListArray::new(element::<T>(), offsets, values, builder.nulls.finish()))
    }
}
