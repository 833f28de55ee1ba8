//! Objects as files that are read: of a folder, or of all that a pattern matches.
//!
//! An object appears as a whole, and another one may take its name. So every request asks for bytes of the object that was seen, by its
//! ETag, and a split that goes on in another one fails, as with a file that was changed.
//!
//! Requests are slow: more is asked for than is wanted, and [kept](Kept).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_connectors::filesystem::{FileInfo, FileStore, Listing, Wanted};
use weir_connectors::stored_file::{Identity, StoredFile};
use weir_core::{Error, Result};
use weir_object_storage::{ObjectInfo, ObjectStorages, Objects, ReadError};
use xxhash_rust::xxh3::xxh3_64;

use crate::kept::Kept;

/// The objects that tables are read from.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObjectFiles(pub(crate) ObjectStorages);

impl FileStore for ObjectFiles {
    fn check(&self, path: &str) -> Result<()> {
        ObjectStorages::key(path).and_then(Wanted::new).map(drop)
    }

    fn list(&self, path: &str) -> Result<Listing<Vec<FileInfo>>> {
        let (objects, key) = self.0.objects(path)?;
        let wanted = Wanted::new(key)?;
        // What is named may be an object itself; a store has no folders that could have its name too.
        let itself = if wanted.may_be_file() { objects.find(key)? } else { None };
        let mut found = match itself {
            Some(object) => vec![object],
            None => objects.list(wanted.folder())?.into_iter().filter(|object| wanted.takes(&object.key)).collect(),
        };
        if found.is_empty() {
            return Ok(Listing::NoMatch);
        }
        found.sort_by(|left, right| left.key.cmp(&right.key));
        let files = found.iter().map(|object| FileInfo::new(objects.locate(&object.key), identity(object)));
        Ok(Listing::Files(files.collect()))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn StoredFile>> {
        let (objects, key) = self.0.objects(path)?;
        let seen = objects.find(key)?;
        let seen = seen.ok_or_else(|| Error::environment(format!("{path} is not there any more")))?;
        Ok(Arc::new(ObjectFile { objects, seen, kept: Mutex::default(), is_changed: AtomicBool::new(false) }))
    }
}

fn identity(object: &ObjectInfo) -> Identity {
    Identity::new(xxh3_64(object.tag().unwrap_or_default().as_bytes()), object.modified * 1_000_000_000, object.size)
}

/// An object that is being read.
#[derive(Debug)]
struct ObjectFile {
    objects: Objects,
    seen: ObjectInfo,
    kept: Mutex<Kept<Bytes>>,
    /// Another one has its name.
    is_changed: AtomicBool,
}

impl StoredFile for ObjectFile {
    fn identity(&self) -> io::Result<Identity> {
        if !self.is_changed.load(Ordering::Relaxed) {
            return Ok(identity(&self.seen));
        }
        let now = self.objects.find(&self.seen.key).map_err(io::Error::other)?;
        now.as_ref().map(identity).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// An object has no beginning of its own: if any byte is another one, so is its tag.
    fn checksum(&self, size: u64) -> io::Result<u32> {
        let hash = xxh3_64(format!("{size} {}", self.seen.tag().unwrap_or_default()).as_bytes());
        Ok(u32::try_from(hash >> 32).unwrap_or_default())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.seen.size || bytes.is_empty() {
            return Ok(0);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(read) = kept.read(bytes, offset) {
            return Ok(read);
        }
        let (start, end) = kept.missing(offset, bytes.len() as u64, self.seen.size);
        let fetched = self.objects.read(&self.seen, start, end - start).map_err(|error| match error {
            ReadError::Changed => {
                self.is_changed.store(true, Ordering::Relaxed);
                io::Error::other("another object was put in its place")
            }
            ReadError::Failed(error) => io::Error::other(error),
        })?;
        kept.add(start, fetched);
        kept.read(bytes, offset).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
