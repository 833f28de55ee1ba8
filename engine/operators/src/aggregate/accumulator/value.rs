//! Values that accumulators keep, by the few ways in which they are kept: all integers and points in time as 64-bit
//! integers, all floats as doubles, text and bytes shared.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowNativeTypeOp, ArrowPrimitiveType, AsArray, BinaryViewArray, BooleanArray, PrimitiveArray,
    StringViewArray,
};
use arrow::compute::can_cast_types;
use arrow::datatypes::DataType;

/// A way to keep values.
pub(super) trait Kind: Send + Sync + 'static {
    /// A value that is kept.
    type Owned: Clone + Send + Sync + 'static;
    /// A value in an array.
    type Borrowed<'a>: Copy;
    /// An array of them.
    type Values: ?Sized;

    fn values(column: &ArrayRef) -> &Self::Values;
    fn get<'a>(values: &'a Self::Values, row: usize) -> Self::Borrowed<'a>;
    fn own(value: Self::Borrowed<'_>) -> Self::Owned;
    fn less(value: Self::Borrowed<'_>, kept: &Self::Owned) -> bool;
    fn greater(value: Self::Borrowed<'_>, kept: &Self::Owned) -> bool;
    fn column<'a>(values: impl Iterator<Item = Option<&'a Self::Owned>>, data_type: &DataType) -> ArrayRef;
}

/// The type as which values of `data_type` are kept; `None` for types that are not kept here.
pub(super) fn carrier(data_type: &DataType) -> Option<DataType> {
    let carrier = match data_type {
        DataType::Boolean => DataType::Boolean,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::UInt64,
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal128(..) => data_type.clone(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::BinaryView,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_) => DataType::Int64,
        _ => return None,
    };
    (can_cast_types(data_type, &carrier) && can_cast_types(&carrier, data_type)).then_some(carrier)
}

/// Numbers.
pub(super) struct Number<T>(PhantomData<fn() -> T>);

impl<T: ArrowPrimitiveType> Kind for Number<T> {
    type Owned = T::Native;
    type Borrowed<'a> = T::Native;
    type Values = [T::Native];

    fn values(column: &ArrayRef) -> &[T::Native] {
        column.as_primitive::<T>().values()
    }

    #[inline]
    fn get(values: &[T::Native], row: usize) -> T::Native {
        values[row]
    }

    #[inline]
    fn own(value: T::Native) -> T::Native {
        value
    }

    #[inline]
    fn less(value: T::Native, kept: &T::Native) -> bool {
        value.is_lt(*kept)
    }

    #[inline]
    fn greater(value: T::Native, kept: &T::Native) -> bool {
        value.is_gt(*kept)
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a T::Native>>, data_type: &DataType) -> ArrayRef {
        Arc::new(values.map(|value| value.copied()).collect::<PrimitiveArray<T>>().with_data_type(data_type.clone()))
    }
}

/// Booleans.
pub(super) struct Flag;

impl Kind for Flag {
    type Owned = bool;
    type Borrowed<'a> = bool;
    type Values = BooleanArray;

    fn values(column: &ArrayRef) -> &BooleanArray {
        column.as_boolean()
    }

    fn get(values: &BooleanArray, row: usize) -> bool {
        values.value(row)
    }

    fn own(value: bool) -> bool {
        value
    }

    fn less(value: bool, kept: &bool) -> bool {
        !value & kept
    }

    fn greater(value: bool, kept: &bool) -> bool {
        value & !kept
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a bool>>, _: &DataType) -> ArrayRef {
        Arc::new(values.map(|value| value.copied()).collect::<BooleanArray>())
    }
}

/// Text.
pub(super) struct Text;

impl Kind for Text {
    type Owned = Arc<str>;
    type Borrowed<'a> = &'a str;
    type Values = StringViewArray;

    fn values(column: &ArrayRef) -> &StringViewArray {
        column.as_string_view()
    }

    fn get(values: &StringViewArray, row: usize) -> &str {
        values.value(row)
    }

    fn own(value: &str) -> Arc<str> {
        Arc::from(value)
    }

    fn less(value: &str, kept: &Arc<str>) -> bool {
        value < &**kept
    }

    fn greater(value: &str, kept: &Arc<str>) -> bool {
        value > &**kept
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a Arc<str>>>, _: &DataType) -> ArrayRef {
        Arc::new(values.collect::<StringViewArray>())
    }
}

/// Bytes.
pub(super) struct Bytes;

impl Kind for Bytes {
    type Owned = Arc<[u8]>;
    type Borrowed<'a> = &'a [u8];
    type Values = BinaryViewArray;

    fn values(column: &ArrayRef) -> &BinaryViewArray {
        column.as_binary_view()
    }

    fn get(values: &BinaryViewArray, row: usize) -> &[u8] {
        values.value(row)
    }

    fn own(value: &[u8]) -> Arc<[u8]> {
        Arc::from(value)
    }

    fn less(value: &[u8], kept: &Arc<[u8]>) -> bool {
        value < &**kept
    }

    fn greater(value: &[u8], kept: &Arc<[u8]>) -> bool {
        value > &**kept
    }

    fn column<'a>(values: impl Iterator<Item = Option<&'a Arc<[u8]>>>, _: &DataType) -> ArrayRef {
        Arc::new(values.collect::<BinaryViewArray>())
    }
}
