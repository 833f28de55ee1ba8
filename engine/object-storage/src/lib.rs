//! Object stores as [storages](weir_state::Storage): Amazon S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage; and
//! folders beside them, so that whoever opens storages by their URL needs one thing.
//!
//! ```text
//!   s3://bucket/prefix      gs://bucket/prefix      az://container/prefix      file:///folder
//! ```
//!
//! What a [`Storage`](weir_state::Storage) promises comes from the stores: an object appears as a whole, is durable when its upload has
//! been answered, and is created only if there is none (a conditional put), so an upload that is repeated after a lost answer finds what
//! it has written itself. Large objects go in parts, several at a time; such an upload shows nothing until it is completed.
//!
//! Storages block, and the clients do not: `threads` brings them together.
//!
//! - `storages`: URLs, clients, credentials
//! - `storage`: a prefix of a bucket as a `Storage`
//! - `upload`: an object that is uploaded in parts
//! - `objects`: what others have written, to be read
//! - `errors`: what went wrong, in words
//! - `threads`: where the clients live

mod errors;
mod objects;
mod storage;
mod storages;
mod threads;
mod upload;

#[cfg(test)]
mod real_store;
#[cfg(test)]
mod tests;

pub use self::objects::{ObjectInfo, Objects, ReadError, Reading};
pub use self::storages::ObjectStorages;
