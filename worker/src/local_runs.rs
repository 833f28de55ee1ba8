//! Copies of the run files that this worker wrote, so that a restart on the same machine fetches nothing.
//!
//! ```text
//!   DIR/catalog/      which file of which storage is in which copy, its checksums, when it was last used (sled)
//!   DIR/copies/<n>    the copies
//! ```
//!
//! Everything here can be fetched again, and nothing here is trusted: a copy is used only where its bytes have the checksum that
//! they were written with. Whatever goes wrong, the storage itself is asked, and the copy is dropped. Nothing is synced: what
//! the loss of power damages is found by its checksum.
//!
//! The space has a limit; what was not used for the longest time goes first.

mod catalog;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing::warn;
use weir_core::Result;
use weir_state::{ObjectWriter, Storage, layout};

use self::catalog::{Catalog, LocalCopy};

/// Bytes of a copy that have a checksum of their own: a range is read without the rest of the file.
const PIECE_BYTES: usize = 64 * 1024;

/// Most bytes of an object that is written in pieces because it may not fit into memory, and of which a copy is kept.
const COPIED_BYTES: usize = 64 << 20;

/// The copies of one worker.
#[derive(Clone)]
pub struct LocalRuns {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    limit: u64,
    /// `None` if it cannot be used.
    catalog: Mutex<Option<Catalog>>,
}

impl LocalRuns {
    /// Keeps copies of up to `limit` bytes in `folder`. If that cannot be used, there are no copies.
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        let catalog = Catalog::open(&folder.join("catalog")).or_else(|error| {
            warn!("copies of state files in {} are given up: {error}", folder.display());
            fs::remove_dir_all(&folder)?;
            Catalog::open(&folder.join("catalog"))
        });
        let catalog = catalog.and_then(|catalog| {
            fs::create_dir_all(folder.join("copies"))?;
            remove_strangers(&folder.join("copies"), &catalog)?;
            Ok(catalog)
        });
        let catalog = catalog.map_err(|error| warn!("no state files are kept in {}: {error}", folder.display())).ok();
        let local = Self { shared: Arc::new(Shared { folder, limit, catalog: Mutex::new(catalog) }) };
        local.shared.with(|catalog| local.shared.make_room(catalog, 0));
        local
    }

    /// The storage at `url`, with copies beside it.
    pub fn beside(&self, remote: Arc<dyn Storage>, url: &str) -> Arc<dyn Storage> {
        Arc::new(WithCopies { shared: self.shared.clone(), remote, url: url.to_owned() })
    }

    /// Bytes of all copies.
    pub fn bytes(&self) -> u64 {
        self.shared.with(|catalog| Ok(catalog.bytes())).unwrap_or_default()
    }
}

/// Removes what the catalog does not know, of a process that died.
fn remove_strangers(folder: &Path, catalog: &Catalog) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if !number.is_some_and(|number| catalog.has(number)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

impl Shared {
    /// Does something with the catalog; `None` if that is not possible.
    fn with<T>(&self, work: impl FnOnce(&mut Catalog) -> io::Result<T>) -> Option<T> {
        // Whoever panicked has lost no more than a copy.
        let mut catalog = self.catalog.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match work(catalog.as_mut()?) {
            Ok(value) => Some(value),
            Err(error) => {
                warn!("a copy of a state file in {} could not be used: {error}", self.folder.display());
                None
            }
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join("copies").join(number.to_string())
    }

    fn keep(&self, key: &str, bytes: &[u8]) {
        let length = bytes.len() as u64;
        if length > self.limit {
            return;
        }
        self.with(|catalog| {
            self.drop_copy(catalog, key)?;
            self.make_room(catalog, length)?;
            let copy = catalog.reserve(length, bytes.chunks(PIECE_BYTES).map(crc32fast::hash).collect());
            if let Err(error) = fs::write(self.path(copy.number), bytes) {
                // The space is needed back, above all when it has run out.
                let _ = fs::remove_file(self.path(copy.number));
                return Err(error);
            }
            catalog.insert(key, copy)
        });
    }

    fn make_room(&self, catalog: &mut Catalog, length: u64) -> io::Result<()> {
        while catalog.bytes() + length > self.limit
            && let Some(key) = catalog.least_recently_used()
        {
            self.drop_copy(catalog, &key)?;
        }
        Ok(())
    }

    fn forget(&self, key: &str) {
        self.with(|catalog| self.drop_copy(catalog, key));
    }

    fn drop_copy(&self, catalog: &mut Catalog, key: &str) -> io::Result<()> {
        let Some(copy) = catalog.remove(key)? else { return Ok(()) };
        match fs::remove_file(self.path(copy.number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Bytes of a copy, if they are what was written; the rest of the file if `length` is `None`.
    fn read(&self, key: &str, offset: u64, length: Option<u64>) -> Option<Vec<u8>> {
        // Read without the lock: copies do not change, and one that is removed meanwhile is read to its end, or not found.
        let copy = self.with(|catalog| catalog.used(key))??;
        let length = length.unwrap_or(copy.length.saturating_sub(offset));
        let bytes = read_checked(&self.path(copy.number), &copy, offset, length);
        if bytes.is_none() {
            warn!("the copy of {key} in {} is damaged, or gone", self.folder.display());
            self.forget(key);
        }
        bytes
    }
}

fn read_checked(path: &Path, copy: &LocalCopy, offset: u64, length: u64) -> Option<Vec<u8>> {
    let end = offset.checked_add(length).filter(|end| *end <= copy.length)?;
    let piece = PIECE_BYTES as u64;
    let (first, last) = (offset / piece, end.div_ceil(piece));
    let mut file = File::open(path).ok()?;
    if file.metadata().ok()?.len() != copy.length {
        return None;
    }
    let begin = first * piece;
    let mut bytes = vec![0; usize::try_from((last * piece).min(copy.length).checked_sub(begin)?).ok()?];
    file.seek(SeekFrom::Start(begin)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    let checksums = copy.checksums.get(usize::try_from(first).ok()?..usize::try_from(last).ok()?)?;
    if !bytes.chunks(PIECE_BYTES).map(crc32fast::hash).eq(checksums.iter().copied()) {
        return None;
    }
    let start = usize::try_from(offset - begin).ok()?;
    bytes.truncate(start + usize::try_from(length).ok()?);
    bytes.drain(..start);
    Some(bytes)
}

/// A storage and copies of the runs that were written to it here.
struct WithCopies {
    shared: Arc<Shared>,
    remote: Arc<dyn Storage>,
    url: String,
}

impl WithCopies {
    /// What the catalog calls an object; `None` if no copies of it are kept.
    fn key(&self, path: &str) -> Option<String> {
        path.starts_with(layout::RUNS).then(|| format!("{} {path}", self.url))
    }
}

#[deny(clippy::missing_trait_methods)]
impl Storage for WithCopies {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.remote.put(path, bytes)?;
        if let Some(key) = self.key(path) {
            self.shared.keep(&key, bytes);
        }
        Ok(())
    }

    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        let object = self.remote.create(path)?;
        Ok(match self.key(path) {
            Some(key) => Box::new(Copied { object, shared: &self.shared, key, copy: Some(Vec::new()) }),
            None => object,
        })
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        match self.key(path).and_then(|key| self.shared.read(&key, 0, None)) {
            Some(bytes) => Ok(bytes),
            None => self.remote.get(path),
        }
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        match self.key(path).and_then(|key| self.shared.read(&key, offset, Some(length))) {
            Some(bytes) => Ok(bytes),
            None => self.remote.get_range(path, offset, length),
        }
    }

    fn length(&self, path: &str) -> Result<u64> {
        self.remote.length(path)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.remote.list(prefix)
    }

    fn delete(&self, path: &str) -> Result<()> {
        if let Some(key) = self.key(path) {
            self.shared.forget(&key);
        }
        self.remote.delete(path)
    }

    fn sweep(&self) -> Result<()> {
        self.remote.sweep()
    }

    fn vacate(&self) -> Result<()> {
        self.remote.vacate()
    }

    fn locate(&self, path: &str) -> String {
        self.remote.locate(path)
    }
}

/// An object of which a copy is kept, unless it turns out too large to be held in memory.
struct Copied<'a> {
    object: Box<dyn ObjectWriter + 'a>,
    shared: &'a Shared,
    key: String,
    copy: Option<Vec<u8>>,
}

impl Write for Copied<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.object.write(bytes)?;
        if let Some(copy) = &mut self.copy {
            copy.extend_from_slice(&bytes[..written]);
        }
        self.copy.take_if(|copy| copy.len() > COPIED_BYTES);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}

impl ObjectWriter for Copied<'_> {
    fn finish(self: Box<Self>) -> Result<()> {
        self.object.finish()?;
        if let Some(copy) = self.copy {
            self.shared.keep(&self.key, &copy);
        }
        Ok(())
    }
}
