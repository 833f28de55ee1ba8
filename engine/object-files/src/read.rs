//! Objects as files that are read: of a folder, or of all that a pattern matches.
//!
//! An object appears as a whole, and another one may take its name. So every request asks for bytes of the object that was seen, by its
//! ETag, and a split that goes on in another one fails, as with a file that was changed.
//!
//! Requests are slow: more is asked for than is wanted, and [kept](Kept).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_connectors::filesystem::{FileInfo, FileStore, Listing, Wanted};
use weir_connectors::stored_file::{Identity, StoredFile};
use weir_core::Result;
use weir_object_storage::{ObjectInfo, ObjectStorages, Objects, ReadError, Reading};
use xxhash_rust::xxh3::xxh3_64;

use crate::kept::Kept;

/// Requests of an object that are under way before their bytes are wanted, at most: for columns that are read side by side.
const AHEAD: usize = 4;

/// Bytes behind the end of what is wanted that are asked for with it: the rest of a record.
const BEHIND: u64 = 16 << 10;

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
        let mut found = objects.list(wanted.folder())?;
        found.retain(|object| wanted.takes(&object.key));
        if found.is_empty() && wanted.may_be_file() {
            // What is named may be an object itself.
            found.extend(objects.find(key)?);
        }
        if found.is_empty() {
            return Ok(Listing::NoMatch);
        }
        found.sort_by(|left, right| left.key.cmp(&right.key));
        found.dedup_by(|left, right| left.key == right.key);
        let files = found.iter().map(|object| FileInfo::new(objects.locate(&object.key), identity(object)));
        Ok(Listing::Files(files.collect()))
    }

    fn open(&self, path: &str) -> Result<Option<Arc<dyn StoredFile>>> {
        let (objects, key) = self.0.objects(path)?;
        let Some(seen) = objects.find(key)? else { return Ok(None) };
        let (is_changed, ends) = (AtomicBool::new(false), AtomicU64::new(seen.size));
        Ok(Some(Arc::new(ObjectFile { objects, seen, bytes: Mutex::default(), is_changed, ends })))
    }
}

fn identity(object: &ObjectInfo) -> Identity {
    let modified = object.modified.saturating_mul(1_000_000_000);
    match object.tag() {
        Some(tag) => Identity::of_content(xxh3_64(tag.as_bytes()), modified, object.size),
        None => Identity::new(modified, object.size),
    }
}

/// An object that is being read.
#[derive(Debug)]
struct ObjectFile {
    objects: Objects,
    seen: ObjectInfo,
    bytes: Mutex<ObjectBytes>,
    /// Another one has its name.
    is_changed: AtomicBool,
    /// Little is wanted of what is behind this place.
    ends: AtomicU64,
}

/// What is there of its bytes, and what is on its way.
#[derive(Debug, Default)]
struct ObjectBytes {
    kept: Kept<Bytes>,
    ahead: Vec<Ahead>,
}

/// Bytes that were asked for before they were wanted.
#[derive(Debug)]
struct Ahead {
    start: u64,
    end: u64,
    reading: Reading,
}

impl ObjectFile {
    /// As far as requests go that are made for more than is wanted.
    fn size_near(&self, offset: u64) -> u64 {
        let ends = self.ends.load(Ordering::Relaxed);
        if offset < ends { ends.saturating_add(BEHIND).min(self.seen.size) } else { self.seen.size }
    }

    fn wait(&self, reading: Reading) -> io::Result<Bytes> {
        reading.wait().map_err(|error| match error {
            ReadError::Changed => {
                self.is_changed.store(true, Ordering::Relaxed);
                io::Error::other("another object was put in its place")
            }
            ReadError::Failed(error) => io::Error::other(error),
        })
    }

    fn ask(&self, (start, end): (u64, u64)) -> io::Result<Reading> {
        self.objects.read(&self.seen, start, end - start).map_err(io::Error::other)
    }

    /// Has the bytes at `offset` kept.
    fn fetch(&self, bytes: &mut ObjectBytes, offset: u64, wanted: u64) -> io::Result<()> {
        let on_its_way = bytes.ahead.iter().position(|ahead| (ahead.start..ahead.end).contains(&offset));
        let (start, reading) = match on_its_way {
            Some(place) => {
                let Ahead { start, reading, .. } = bytes.ahead.swap_remove(place);
                (start, reading)
            }
            None => {
                let (mut start, mut end) = bytes.kept.missing(offset, wanted, self.size_near(offset));
                for ahead in &bytes.ahead {
                    match ahead.start > offset {
                        true => end = end.min(ahead.start),
                        false => start = start.max(ahead.end),
                    }
                }
                (start, self.ask((start, end))?)
            }
        };
        let fetched = self.wait(reading)?;
        bytes.kept.add(start, fetched);
        Ok(())
    }

    /// Asks for what will be wanted, now that reading has come to `offset`.
    fn look_ahead(&self, bytes: &mut ObjectBytes, offset: u64) -> io::Result<()> {
        let Some((start, end)) = bytes.kept.ahead(offset, self.size_near(offset)) else { return Ok(()) };
        if bytes.ahead.iter().any(|ahead| ahead.start < end && start < ahead.end) {
            return Ok(());
        }
        if bytes.ahead.len() == AHEAD {
            // Nobody came for it.
            bytes.ahead.remove(0);
        }
        let reading = self.ask((start, end))?;
        bytes.ahead.push(Ahead { start, end, reading });
        Ok(())
    }
}

impl StoredFile for ObjectFile {
    fn identity(&self) -> io::Result<Identity> {
        if !self.is_changed.load(Ordering::Relaxed) {
            return Ok(identity(&self.seen));
        }
        let now = self.objects.find(&self.seen.key).map_err(io::Error::other)?;
        now.as_ref().map(identity).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Without a tag there is nothing to know of its beginning. One of another size is another one.
    fn checksum(&self, _: u64) -> io::Result<u32> {
        let hash = xxh3_64(&self.seen.size.to_le_bytes());
        Ok(u32::try_from(hash >> 32).unwrap_or_default())
    }

    fn end_near(&self, offset: u64) {
        self.ends.store(offset.min(self.seen.size), Ordering::Relaxed);
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.seen.size || into.is_empty() {
            return Ok(0);
        }
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let read = match bytes.kept.read(into, offset) {
            Some(read) => read,
            None => {
                self.fetch(&mut bytes, offset, into.len() as u64)?;
                bytes.kept.read(into, offset).ok_or(io::ErrorKind::UnexpectedEof)?
            }
        };
        self.look_ahead(&mut bytes, offset + read as u64)?;
        Ok(read)
    }
}
