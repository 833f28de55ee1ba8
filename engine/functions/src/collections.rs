//! Arrays and maps.

pub(super) mod arrays;
mod assemble;
mod keys;
pub(super) mod maps;
pub(super) mod multiset;
pub(super) mod ordinals;

use std::sync::Arc;

use arrow::array::{ArrayRef, MapBuilder, MapFieldNames, StringViewBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion_common::Result;

pub(super) use keys::FEW;

/// `ARRAY<element>`.
pub(super) fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// `MAP<key, value>`, as the columns of tables have it.
pub(super) fn map_type(key: DataType, value: DataType) -> DataType {
    let entries = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries.into()), false)), false)
}

/// `MAP<STRING, STRING>`.
pub(super) fn text_map() -> DataType {
    map_type(DataType::Utf8View, DataType::Utf8View)
}

/// A map for each row: the entries that `write` adds, or null if it says `false`.
pub(super) fn map_of_texts<'a>(
    rows: usize,
    mut write: impl FnMut(usize, &mut Vec<(&'a str, Option<&'a str>)>) -> Result<bool>,
) -> Result<ArrayRef> {
    let names = MapFieldNames { entry: "entries".to_owned(), key: "key".to_owned(), value: "value".to_owned() };
    let mut builder = MapBuilder::new(Some(names), StringViewBuilder::new(), StringViewBuilder::new());
    let mut entries = Vec::new();
    for row in 0..rows {
        entries.clear();
        let valid = write(row, &mut entries)?;
        for (key, value) in entries.iter().filter(|_| valid) {
            builder.keys().append_value(key);
            builder.values().append_option(*value);
        }
        builder.append(valid)?;
    }
    Ok(Arc::new(builder.finish()))
}
