//! Files that must stay as they were when they were first seen: what is remembered of one, and how it is compared.
//!
//! A file that has grown since is read up to its old size; its beginning, and the bytes before its old end, have to be the same
//! still. Anything else is an error: the rows would be those of two files. A file that is put back from a copy with its time of
//! modification is the same file.

use std::cell::Cell;
use std::sync::Arc;

use weir_core::{Error, Result};

use super::listing::FileInfo;
use super::options::file_error;
use super::store::FileStore;
use crate::stored_file::{Identity, StoredFile};

/// What tells a file from another one that has its name and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    /// Last modification, in nanoseconds.
    modified: i64,
    /// Of its content: of local files the CRC-32 of the bytes at the edges.
    edges: u32,
}

impl Stamp {
    /// Of the file of `info`, which is open if more is to be looked at than its identity.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn take(info: &FileInfo, file: Option<&dyn StoredFile>) -> Result<Self> {
        let Identity { inode, modified, is_content, .. } = info.identity;
        let checksum = file.filter(|_| !is_content).map_or(Ok(0), |file| file.checksum(info.size));
        let edges = checksum.map_err(|error| file_error(&info.path, "cannot read this file", error))?;
        Ok(Self { inode, modified, edges })
    }
}

/// What the description of a split says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Last modification, in milliseconds since 1970.
    pub(super) modified: i64,
    /// `None`: of a file that an earlier version of Weir has seen.
    pub(super) stamp: Option<Stamp>,
}

impl Seen {
    pub(super) fn description(&self) -> String {
        match &self.stamp {
            None => self.modified.to_string(),
            Some(Stamp { inode, modified, edges }) => format!("{} {inode} {modified} {edges:08x}", self.modified),
        }
    }

    pub(super) fn parse(description: &str) -> Option<Self> {
        let mut words = description.split(' ');
        let seen_modified = words.next()?.parse().ok()?;
        let stamp = match (words.next(), words.next(), words.next(), words.next()) {
            (None, None, None, None) => None,
            (Some(inode), Some(modified), Some(edges), None) => Some(Stamp {
                inode: inode.parse().ok()?,
                modified: modified.parse().ok()?,
                edges: u32::from_str_radix(edges, 16).ok()?,
            }),
            _ => return None,
        };
        Some(Self { modified: seen_modified, stamp })
    }
}

/// A file that is held open while it is read.
pub(super) struct OpenFile<'a> {
    path: &'a str,
    file: Arc<dyn StoredFile>,
    /// Its size when it was first seen.
    size: u64,
    seen: Seen,
    /// As it was when it was last compared.
    compared: Cell<Option<Identity>>,
}

impl<'a> OpenFile<'a> {
    /// Opens the file and compares it.
    ///
    /// # Errors
    /// A data error if it was changed, an environment error if it is not there.
    pub(super) fn open(files: &dyn FileStore, path: &'a str, size: u64, seen: Seen) -> Result<Self> {
        let file = files.open(path)?.ok_or_else(|| Error::environment(format!("{path} is not there any more")))?;
        let opened = Self { path, file, size, seen, compared: Cell::new(None) };
        opened.check()?;
        Ok(opened)
    }

    /// Whether the file has the size that it had: some formats are read from their end.
    ///
    /// # Errors
    /// A data error if it has not.
    pub(super) fn check_size(&self) -> Result<()> {
        match self.compared.get() {
            Some(Identity { size, .. }) if size != self.size => {
                Err(changed(self.path, self.size, &format!("it has {size} bytes")))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn file(&self) -> &Arc<dyn StoredFile> {
        &self.file
    }

    /// Compares the file with what was seen: to be called behind reading and before the rows are handed over. Costs a call to the
    /// filesystem as long as nothing has changed.
    ///
    /// # Errors
    /// A data error that says how it was changed.
    pub(super) fn check(&self) -> Result<()> {
        let fail = |error| file_error(self.path, "cannot look at this file", error);
        let now = self.file.identity().map_err(fail)?;
        if self.compared.get() == Some(now) {
            return Ok(());
        }
        if now.size < self.size {
            return Err(changed(self.path, self.size, &format!("it was cut off, and has {} bytes", now.size)));
        }
        let is_larger = now.size > self.size;
        match self.seen.stamp {
            None if !is_larger && now.modified_ms() != self.seen.modified => {
                return Err(changed(self.path, self.size, "it was written to"));
            }
            None => {}
            // No more is to be known of it.
            Some(stamp) if now.is_content && (is_larger || now.inode != stamp.inode) => {
                return Err(changed(self.path, self.size, how(false)));
            }
            Some(_) if now.is_content => {}
            Some(stamp) => {
                let is_same_file = now.inode == stamp.inode;
                let is_same_time = now.modified == stamp.modified;
                if !is_larger && !is_same_time {
                    return Err(changed(self.path, self.size, how(is_same_file)));
                }
                // Not every filesystem has numbers for its files that stay.
                let is_known = !is_larger && is_same_file;
                if !is_known && self.file.checksum(self.size).map_err(fail)? != stamp.edges {
                    return Err(changed(self.path, self.size, how(is_same_file)));
                }
            }
        }
        self.compared.set(Some(now));
        Ok(())
    }
}

fn how(is_same_file: bool) -> &'static str {
    if is_same_file { "it was written to" } else { "another file was put in its place" }
}

/// The error for a file that is not what it was when its splits were made.
pub(super) fn changed(path: &str, size: u64, how: &str) -> Error {
    let help = match path.contains("://") {
        true => "put the object back as it was, or start without the saved state; objects must not change",
        false => {
            "restore the file with its time of modification (cp -p), or start without the saved state; files have to appear in one step, \
             and must not change"
        }
    };
    Error::data(format!("{path}: the file was changed after it was first seen, with {size} bytes: {how}"))
        .with_help(help)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_description_says_all_that_was_seen() {
        let stamp = Stamp { inode: 7, modified: -5, edges: 0xbeef };
        for seen in [Seen { modified: 12, stamp: Some(stamp) }, Seen { modified: -1, stamp: None }] {
            assert_eq!(Seen::parse(&seen.description()), Some(seen));
        }
        for strange in ["", "x", "1 2", "1 2 3", "1 2 3 x", "1 2 3 4 5"] {
            assert_eq!(Seen::parse(strange), None, "{strange}");
        }
    }
}
