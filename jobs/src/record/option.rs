//! `Option`: a column that may be null.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use weir_core::Result;

use super::Column;

impl<T: Column> Column for Option<T> {
    type Reader<'a> = (T::Reader<'a>, Option<NullBuffer>);
    type Builder = T::Builder;

    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        Ok((T::reader(array, NullBuffer::union(nulls, valid).as_ref())?, nulls.cloned()))
    }

    #[inline]
    fn read((reader, nulls): &Self::Reader<'_>, row: usize) -> Self {
        match nulls {
            Some(nulls) if nulls.is_null(row) => None,
            _ => Some(T::read(reader, row)),
        }
    }

    fn equals(&self, (reader, nulls): &Self::Reader<'_>, row: usize) -> bool {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        match self {
            None => is_null,
            Some(value) => !is_null && value.equals(reader, row),
        }
    }

    fn builder(capacity: usize) -> T::Builder {
        T::builder(capacity)
    }

    #[inline]
    fn append_to(&self, builder: &mut T::Builder) {
        match self {
            Some(value) => value.append_to(builder),
            None => T::push_null(builder),
        }
    }

    fn push_null(builder: &mut T::Builder) {
        T::push_null(builder);
    }

    fn finish(builder: &mut T::Builder) -> ArrayRef {
        T::finish(builder)
    }
}
