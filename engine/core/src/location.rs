//! What a table makes a process open or connect to.

use std::path::PathBuf;

/// A place that the options of a table name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// A file, or a folder and what is below it; a pattern with `*`, `?` and `[…]` stands for what matches.
    Path(PathBuf),
    /// A place in an object store, as a URL without options: `s3://bucket/folder`. A pattern as with paths.
    Url(String),
    /// A host and a port. The host is a name, or an address without brackets.
    Host(String, u16),
}
