//! Numbers and `bool`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, BooleanBuilder, PrimitiveBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use weir_core::Result;

use super::Column;
use super::parts::{no_nulls, wrong_type};

/// The values of an array of numbers.
pub(super) fn values<'a, T: ArrowPrimitiveType>(
    array: &'a ArrayRef,
    valid: Option<&NullBuffer>,
) -> Result<&'a [T::Native]> {
    let numbers = array.as_primitive_opt::<T>().ok_or_else(|| wrong_type(array, &T::DATA_TYPE.to_string()))?;
    no_nulls(array, valid)?;
    Ok(numbers.values())
}

macro_rules! numbers {
    ($($native:ty = $arrow:ty,)+) => { $(
        impl Column for $native {
            type Reader<'a> = &'a [$native];
            type Builder = PrimitiveBuilder<$arrow>;

            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a [$native]> {
                values::<$arrow>(array, valid)
            }

            #[inline]
            fn read(reader: &&[$native], row: usize) -> Self {
                reader[row]
            }

            #[inline]
            fn equals(&self, reader: &&[$native], row: usize) -> bool {
                reader[row] == *self
            }

            fn builder(capacity: usize) -> Self::Builder {
                PrimitiveBuilder::with_capacity(capacity)
            }

            #[inline]
            fn append_to(&self, builder: &mut Self::Builder) {
                builder.append_value(*self);
            }

            fn push_null(builder: &mut Self::Builder) {
                builder.append_null();
            }

            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    )+ };
}

numbers! {
    i8 = Int8Type,
    i16 = Int16Type,
    i32 = Int32Type,
    i64 = Int64Type,
    u8 = UInt8Type,
    u16 = UInt16Type,
    u32 = UInt32Type,
    u64 = UInt64Type,
    f32 = Float32Type,
    f64 = Float64Type,
}

impl Column for bool {
    type Reader<'a> = &'a BooleanArray;
    type Builder = BooleanBuilder;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a BooleanArray> {
        no_nulls(array, valid)?;
        array.as_boolean_opt().ok_or_else(|| wrong_type(array, "BOOLEAN"))
    }

    #[inline]
    fn read(reader: &&BooleanArray, row: usize) -> Self {
        reader.value(row)
    }

    fn equals(&self, reader: &&BooleanArray, row: usize) -> bool {
        reader.value(row) == *self
    }

    fn builder(capacity: usize) -> BooleanBuilder {
        BooleanBuilder::with_capacity(capacity)
    }

    #[inline]
    fn append_to(&self, builder: &mut BooleanBuilder) {
        builder.append_value(*self);
    }

    fn push_null(builder: &mut BooleanBuilder) {
        builder.append_null();
    }

    fn finish(builder: &mut BooleanBuilder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
