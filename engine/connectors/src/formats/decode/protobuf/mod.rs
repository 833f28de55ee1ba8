//! Protobuf, one message a record, straight into columns.
//!
//! The message is resolved against the table once ([`plan`]): fields that the table does not read are passed over, and pairs of types that
//! do not go together are refused. A message is read in two steps, because of a field that stands there several times the last one counts,
//! and a message of several parts is put together: first it is found out where each value is, and then they are appended, column by column.
//! Items of lists are appended as they come.
//!
//! What the bytes mean is said by the [encoding](https://protobuf.dev/programming-guides/encoding/). Stricter than that: a number that its
//! type has no room for, and a value of another wire type than the field's, are errors, and not cut off or passed over.

mod known;
mod names;
mod number;
mod place;
mod plan;
mod read;
mod wire;

pub(crate) use number::wire_of;
pub(super) use place::place;
pub(crate) use plan::{Message, Reading};
pub(super) use read::decode;
pub(crate) use wire::Wire;

/// What takes a message apart, for tests.
#[cfg(test)]
pub(crate) use wire::Cursor;
