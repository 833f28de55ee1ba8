//! Tuples: keys of several parts, and pairs in state.

use arrow::array::ArrayRef;
use arrow::array::builder::NullBufferBuilder;
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use weir_core::Result;

use super::{Column, parts};

macro_rules! tuples {
    ($(($($part:ident $position:tt $name:literal),+) = $nulls:tt;)+) => { $(
        impl<$($part: Column),+> Column for ($($part,)+) {
            type Reader<'a> = ($($part::Reader<'a>,)+);
            type Builder = ($($part::Builder,)+ NullBufferBuilder);

            fn data_type() -> DataType {
                DataType::Struct(parts::plain(Self::fields("")))
            }

            fn fields(name: &str) -> Vec<Field> {
                vec![$({
                    let name = format!("{name}{}", $name);
                    parts::field::<$part>(&name, None, &name)
                }),+]
            }

            fn reader<'a>(array: &'a ArrayRef, valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>> {
                let (children, valid) = parts::struct_children(array, valid)?;
                Self::columns_reader(children, valid.as_ref())
            }

            fn columns_reader<'a>(columns: &'a [ArrayRef], valid: Option<&NullBuffer>) -> Result<Self::Reader<'a>> {
                parts::check_width("a tuple", columns.len(), &[$($name),+])?;
                Ok(($(parts::child_reader::<$part>("a tuple", $name, &columns[$position], valid)?,)+))
            }

            #[inline]
            fn read(reader: &Self::Reader<'_>, row: usize) -> Self {
                ($($part::read(&reader.$position, row),)+)
            }

            #[inline]
            fn equals(&self, reader: &Self::Reader<'_>, row: usize) -> bool {
                $(self.$position.equals(&reader.$position, row))&&+
            }

            fn builder(capacity: usize) -> Self::Builder {
                ($($part::builder(capacity),)+ NullBufferBuilder::new(capacity))
            }

            #[inline]
            fn append_to(&self, builder: &mut Self::Builder) {
                $(self.$position.append_to(&mut builder.$position);)+
                builder.$nulls.append_non_null();
            }

            fn push_null(builder: &mut Self::Builder) {
                $($part::push_null(&mut builder.$position);)+
                builder.$nulls.append_null();
            }

            fn finish(builder: &mut Self::Builder) -> ArrayRef {
                let nulls = builder.$nulls.finish();
                parts::struct_array(parts::plain(Self::fields("")), Self::finish_columns(builder), nulls)
            }

            fn finish_columns(builder: &mut Self::Builder) -> Vec<ArrayRef> {
                builder.$nulls = NullBufferBuilder::new(0);
                vec![$($part::finish(&mut builder.$position)),+]
            }
        }
    )+ };
}

tuples! {
    (A 0 "1", B 1 "2") = 2;
    (A 0 "1", B 1 "2", C 2 "3") = 3;
    (A 0 "1", B 1 "2", C 2 "3", D 3 "4") = 4;
}
