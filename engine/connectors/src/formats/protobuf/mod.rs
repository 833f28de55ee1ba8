//! Protobuf: schemas as they are written, and those that follow from a table. How rows are read and written by them is in
//! `decode` and `encode`.

mod known;
mod of_table;
mod options;
mod schema;
#[cfg(test)]
mod tests;

pub(crate) use of_table::schema_of;
pub use options::DESCRIPTOR;
pub(crate) use options::ProtobufOptions;
pub(crate) use schema::ProtobufSchema;
