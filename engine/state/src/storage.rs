//! Where checkpoints are kept: a flat space of immutable objects, as object stores have it.

use std::io::{self, Write};

use weir_core::{Error, Result};

/// Objects by path (`runs/…`, `checkpoints/…`; see [`check_path`]). All calls block.
///
/// Errors name the object in full. What the surroundings refuse (no space, no permission, an object that vanished) is
/// an environment error; an object that is shorter than it was written is a data error.
pub trait Storage: Send + Sync {
    /// Creates an object. On return it is durable: it survives the loss of power. An object never changes: putting the
    /// same bytes again succeeds (a retry after a lost answer), putting other bytes at a path that is taken fails. No
    /// reader ever sees a part of an object.
    ///
    /// # Errors
    /// If the path is taken by other bytes, or the object could not be made durable.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Begins an object that is too large to be held in memory. What is written to it is what [`put`](Self::put) would be
    /// given; nobody sees it before it is finished, and nothing is left of it if the writer is dropped before.
    ///
    /// # Errors
    /// If nothing can be written.
    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        Ok(Box::new(Collected { storage: self, path: path.to_owned(), bytes: Vec::new() }))
    }

    /// The whole object.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    fn get(&self, path: &str) -> Result<Vec<u8>>;

    /// `length` bytes from `offset`.
    ///
    /// # Errors
    /// If there is no such object, it cannot be read, or it ends earlier.
    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>>;

    /// How many bytes it has.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    fn length(&self, path: &str) -> Result<u64> {
        Ok(self.get(path)?.len() as u64)
    }

    /// Paths that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// If the storage cannot be read.
    fn list(&self, prefix: &str) -> Result<Vec<String>>;

    /// Removes an object. One that is not there is no error. Need not be durable on return: whoever deletes twice does
    /// no harm.
    ///
    /// # Errors
    /// If it is there and could not be removed.
    fn delete(&self, path: &str) -> Result<()>;

    /// Removes what writers that died have left behind, of which no listing tells. May be called at any time, also while
    /// others write.
    ///
    /// # Errors
    /// If it could not be removed; the next call tries again.
    fn sweep(&self) -> Result<()> {
        Ok(())
    }

    /// Removes the place itself, which holds no object any more. There is nothing to do where a place is only a name, as in
    /// object stores.
    ///
    /// # Errors
    /// If it holds objects, or could not be removed.
    fn vacate(&self) -> Result<()> {
        Ok(())
    }

    /// The object's name as a person would look for it: a file path, a URL.
    fn locate(&self, path: &str) -> String;
}

/// An object that is being written. An error of the storage comes as the inner error of an [`io::Error`].
pub trait ObjectWriter: Write {
    /// All of it was written. On return the same holds as after [`Storage::put`].
    ///
    /// # Errors
    /// Those of [`Storage::put`].
    fn finish(self: Box<Self>) -> Result<()>;
}

/// An object of a storage that takes it only as a whole.
struct Collected<'a, S: ?Sized> {
    storage: &'a S,
    path: String,
    bytes: Vec<u8>,
}

impl<S: ?Sized> Write for Collected<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Storage + ?Sized> ObjectWriter for Collected<'_, S> {
    fn finish(self: Box<Self>) -> Result<()> {
        self.storage.put(&self.path, &self.bytes)
    }
}

/// Checks that a path is one of an object: parts with `/` between them, none of which is empty or leads elsewhere. Paths come
/// from manifests too: none may lead out of the storage.
///
/// # Errors
/// An internal error if it is none.
pub fn check_path(path: &str) -> Result<()> {
    let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if plain { Ok(()) } else { Err(Error::internal(format!("'{path}' is no object path"))) }
}

/// A range of an object that is at hand as a whole. `name` is how errors call it.
///
/// # Errors
/// A data error if it ends earlier.
pub fn range(object: &[u8], offset: u64, length: u64, name: impl FnOnce() -> String) -> Result<&[u8]> {
    let (from, to) = (usize::try_from(offset), usize::try_from(offset.saturating_add(length)));
    let range = from.ok().zip(to.ok()).and_then(|(from, to)| object.get(from..to));
    range.ok_or_else(|| too_short(&name(), object.len() as u64, offset, length))
}

/// The error about an object that ends before a range of it does.
pub fn too_short(name: &str, size: u64, offset: u64, length: u64) -> Error {
    Error::data(format!("{name} is {size} bytes long, but should have {length} bytes from byte {offset}"))
}
