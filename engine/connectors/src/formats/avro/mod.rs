//! Avro: schemas as they are written, and those that follow from a table. How rows are read and written by them is in
//! `decode` and `encode`.

mod of_table;
mod schema;
#[cfg(test)]
mod tests;

pub use of_table::schema_of;
pub use schema::{AvroSchema, SchemaError};
pub(crate) use schema::{Logical, Named, Type};
