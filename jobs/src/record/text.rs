//! Text and bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, StringViewArray, StringViewBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use weir_core::Result;

use super::Column;
use super::parts::{no_nulls, wrong_type};

/// Bytes: `BYTES` in SQL. (`Vec<u8>` is a list of small numbers.)
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

macro_rules! views {
    ($of:ty, $array:ty, $builder:ty, $data_type:expr, $cast:ident, $sql:literal, $own:expr, $borrow:expr) => {
        impl Column for $of {
            type Reader<'a> = &'a $array;
            type Builder = $builder;

            fn data_type() -> DataType {
                $data_type
            }

            fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<&'a $array> {
                no_nulls(array, valid)?;
                array.$cast().ok_or_else(|| wrong_type(array, $sql))
            }

            #[inline]
            fn read(reader: &&$array, row: usize) -> Self {
                $own(reader.value(row))
            }

            #[inline]
            fn equals(&self, reader: &&$array, row: usize) -> bool {
                reader.value(row) == $borrow(self)
            }

            fn builder(capacity: usize) -> $builder {
                <$builder>::with_capacity(capacity)
            }

            #[inline]
            fn append_to(&self, builder: &mut $builder) {
                builder.append_value($borrow(self));
            }

            fn push_null(builder: &mut $builder) {
                builder.append_null();
            }

            fn finish(builder: &mut $builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    };
}

views!(
    String,
    StringViewArray,
    StringViewBuilder,
    DataType::Utf8View,
    as_string_view_opt,
    "STRING",
    str::to_owned,
    String::as_str
);
views!(
    Bytes,
    BinaryViewArray,
    BinaryViewBuilder,
    DataType::BinaryView,
    as_binary_view_opt,
    "BYTES",
    |bytes: &[u8]| Bytes(bytes.to_vec()),
    Bytes::as_slice
);
