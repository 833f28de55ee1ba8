//! The connector `filesystem` where its path is in an object store: objects are read as files are, and files appear when their checkpoint is
//! complete.
//!
//! Nothing can be renamed in a bucket, and an upload that was begun is nothing to rely on: a rule may end it, and then what a completed
//! checkpoint holds would be lost. So the files are made by the sinks, and their bytes are *staged*: kept with the checkpoint. The commit
//! uploads them.
//!
//! ```text
//!   [<column>=<value>/]part-<sink>-<job>-<attempt>-<subtask>-<nonce>-<n>.<extension>     a file, as a whole
//!   .weir-<job>-<sink>/<epoch>                                                          all files up to this epoch are there
//! ```
//!
//! A commit can be repeated by anybody, at any time: a file that is there is the same, and where the second object says that all are there,
//! nothing is looked at: then they are their readers' to move and delete.
//!
//! - `connector`: the connector, which leaves local paths to the one for files
//! - `sink`: rows into the bytes of files, in pieces that are staged
//! - `commit`: pieces into objects
//! - `read`: objects as files that are read, and `kept`: what of their bytes is kept

mod commit;
mod connector;
mod kept;
mod read;
mod sink;

#[cfg(test)]
mod real_store;
#[cfg(test)]
mod tests;

pub use self::connector::Files;
