//! Avro, one datum a message, straight into columns.
//!
//! The writer's schema is resolved against the table once ([`plan`]): what the table does not read is passed over, what the writer does not
//! have is null, and what would lose something is refused. The rules are those of the
//! [specification](https://avro.apache.org/docs/1.12.0/specification/#schema-resolution), with the table as the reader's schema.

mod cursor;
mod plan;
mod read;
mod skip;

pub(crate) use plan::Root;
pub(super) use read::{decode, whole};
