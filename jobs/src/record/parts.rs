//! What derived code is made of. Not meant to be called otherwise.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StructArray};
use arrow::datatypes::Fields;
use weir_core::{Error, Result, state_column};

pub use arrow::array::builder::NullBufferBuilder;
pub use arrow::array::{ArrayRef, StringViewBuilder};
pub use arrow::buffer::NullBuffer;
pub use arrow::datatypes::{DataType, Field};

use super::Column;

/// A column of a record. In state it is found again by an id that follows from the name `was`.
pub fn field<T: Column>(name: &str, default: Option<&str>, was: &str) -> Field {
    let field = Field::new(name, T::data_type(), T::NULLABLE);
    match default {
        None => state_column::with_id(field, column_id(was)),
        Some(default) => state_column::with_default(field, column_id(was), default),
    }
}

/// FNV-1a, Fowler, Noll and Vo.
pub(crate) fn column_id(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Fields as they stand inside of a type: without ids, and as SQL declares them, where what is inside of a `ROW` or an `ARRAY` may be null.
pub fn plain(fields: Vec<Field>) -> Fields {
    fields.into_iter().map(|field| field.with_metadata(Default::default()).with_nullable(true)).collect()
}

/// The columns of a struct's array, and which of its rows count.
///
/// # Errors
/// If it is an array of something else.
pub fn struct_children<'a>(
    array: &'a ArrayRef,
    valid: Option<&NullBuffer>,
) -> Result<(&'a [ArrayRef], Option<NullBuffer>)> {
    let rows = array.as_struct_opt().ok_or_else(|| wrong_type(array, "a ROW"))?;
    no_nulls(array, valid)?;
    Ok((rows.columns(), NullBuffer::union(rows.nulls(), valid)))
}

/// # Errors
/// If there are not as many columns as fields.
pub fn check_width(record: &str, columns: usize, names: &[&str]) -> Result<()> {
    if columns == names.len() {
        return Ok(());
    }
    Err(Error::user(format!("{record} has {} columns ({}), and {columns} came", names.len(), names.join(", "))))
}

/// The reader of a field.
///
/// # Errors
/// The column's, which say where it is.
pub fn child_reader<'a, T: Column>(
    record: &str,
    name: &str,
    array: &'a ArrayRef,
    valid: Option<&NullBuffer>,
) -> Result<T::Reader<'a>> {
    T::reader(array, valid).map_err(|error| {
        let kind = error.kind();
        let help = error.help().map(str::to_owned);
        let error = Error::new(kind, format!("{record}.{name}: {error}"));
        match help {
            Some(help) => error.with_help(help),
            None => error,
        }
    })
}

/// The array of a struct. Where it is null, its columns are too.
pub fn struct_array(fields: Fields, columns: Vec<ArrayRef>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(StructArray::new(fields, columns, nulls))
}

/// For each row the position of its text among `texts`; 0 where it does not count.
///
/// # Errors
/// If a text is none of them.
pub fn variants(name: &str, texts: &[&str], array: &ArrayRef, valid: Option<&NullBuffer>) -> Result<Vec<u8>> {
    let column = array.as_string_view_opt().ok_or_else(|| wrong_type(array, "a STRING"))?;
    no_nulls(array, valid)?;
    let position = |row: usize| {
        if column.is_null(row) || valid.is_some_and(|valid| valid.is_null(row)) {
            return Ok(0);
        }
        let text = column.value(row);
        let position = texts.iter().position(|other| *other == text);
        position.map(|position| position as u8).ok_or_else(|| {
            Error::data(format!("'{text}' is no {name}")).with_help(format!("one of {}", texts.join(", ")))
        })
    };
    (0..column.len()).map(position).collect()
}

/// An array is of another type than its field.
pub(crate) fn wrong_type(array: &ArrayRef, expected: &str) -> Error {
    Error::user(format!("the column is of type {}, not {expected}", array.data_type()))
}

/// # Errors
/// If the array is null where it counts.
pub(crate) fn no_nulls(array: &ArrayRef, valid: Option<&NullBuffer>) -> Result<()> {
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else { return Ok(()) };
    let found = match valid {
        None => true,
        Some(valid) => nulls.iter().zip(valid.iter()).any(|(present, counts)| counts && !present),
    };
    if !found {
        return Ok(());
    }
    Err(Error::data("the column is null in some row, and its field is no Option")
        .with_help("declare the field as Option, or filter such rows out in SQL"))
}
