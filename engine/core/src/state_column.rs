//! Columns of state tables: each has an id, by which it is found again in state that an earlier version has written.
//!
//! Id and default stand in the metadata of the column's field, and so in the files of the table too: `3`, or `3=0` for a
//! column with the default `0`. It is a single entry, because Arrow writes several in a random order, and the same rows have
//! to give the same bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

/// Key of the entry.
pub const KEY: &str = "weir.column";

/// A column with an id, unique in its table and never given to another column of it.
#[must_use]
pub fn with_id(field: Field, id: u32) -> Field {
    field.with_metadata(HashMap::from([(KEY.to_owned(), id.to_string())]))
}

/// A column that was added to its table later. In rows from before it has the value `default`, which is written as Arrow reads
/// text of the column's type. (One that may be null needs no default.)
#[must_use]
pub fn with_default(field: Field, id: u32, default: &str) -> Field {
    field.with_metadata(HashMap::from([(KEY.to_owned(), format!("{id}={default}"))]))
}

/// The columns with the ids `first`, `first + 1`, and so on: for tables whose columns follow from the query one by one, so that
/// none can come in between without another query.
pub fn numbered<'a>(fields: impl IntoIterator<Item = &'a FieldRef>, first: u32) -> Vec<FieldRef> {
    (first..).zip(fields).map(|(id, field)| Arc::new(with_id((**field).clone(), id))).collect()
}

/// [`numbered`] for a whole schema, from 1.
#[must_use]
pub fn numbered_schema(schema: &Schema) -> SchemaRef {
    Arc::new(Schema::new(numbered(schema.fields(), 1)))
}

/// The id of a column; `None` if it has none.
pub fn id(field: &Field) -> Option<u32> {
    let entry = field.metadata().get(KEY)?;
    entry.split_once('=').map_or(&**entry, |(id, _)| id).parse().ok()
}

/// The default of a column; `None` if it has none.
pub fn default(field: &Field) -> Option<&str> {
    field.metadata().get(KEY)?.split_once('=').map(|(_, default)| default)
}

/// The columns as operators see them: without ids and defaults.
#[must_use]
pub fn plain(schema: &Schema) -> SchemaRef {
    let plain = |field: &FieldRef| Field::new(field.name(), field.data_type().clone(), field.is_nullable());
    Arc::new(Schema::new(schema.fields().iter().map(plain).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    #[test]
    fn a_field_says_its_id_and_default() {
        let field = || Field::new("n", DataType::Int64, false);
        let (bare, numbered, defaulted) = (field(), with_id(field(), 7), with_default(field(), 8, "a=b"));
        assert_eq!((id(&bare), default(&bare)), (None, None));
        assert_eq!((id(&numbered), default(&numbered)), (Some(7), None));
        assert_eq!((id(&defaulted), default(&defaulted)), (Some(8), Some("a=b")));
        let schema = numbered_schema(&Schema::new(vec![field(), field()]));
        assert_eq!(schema.fields().iter().map(|field| id(field)).collect::<Vec<_>>(), [Some(1), Some(2)]);
        assert_eq!(*plain(&schema), Schema::new(vec![field(), field()]));
    }
}
