//! Counts what is asked of storages.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weir_core::Result;

use crate::{ObjectWriter, Storage, Storages};

/// Storages that count.
pub struct CountedStorages<S> {
    inner: S,
    counts: Arc<StorageCounts>,
}

/// What was asked so far, of all storages together.
#[derive(Debug, Default)]
pub struct StorageCounts {
    put: Outcomes,
    get: Outcomes,
    list: Outcomes,
    delete: Outcomes,
    read_bytes: AtomicU64,
    written_bytes: AtomicU64,
}

#[derive(Debug, Default)]
struct Outcomes {
    ok: AtomicU64,
    error: AtomicU64,
}

impl Outcomes {
    fn count<T>(&self, result: Result<T>) -> Result<T> {
        let counter = if result.is_ok() { &self.ok } else { &self.error };
        counter.fetch_add(1, Relaxed);
        result
    }
}

impl StorageCounts {
    /// Calls by operation and outcome: `(put, ok, 7)`.
    pub fn calls(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let operations = [("put", &self.put), ("get", &self.get), ("list", &self.list), ("delete", &self.delete)];
        operations.into_iter().flat_map(|(operation, Outcomes { ok, error })| {
            [(operation, "ok", ok.load(Relaxed)), (operation, "error", error.load(Relaxed))]
        })
    }

    /// Bytes of objects that were read.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes.load(Relaxed)
    }

    /// Bytes of objects that were written.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Relaxed)
    }
}

impl<S> CountedStorages<S> {
    /// Counts what is asked of the storages of `inner`.
    pub fn new(inner: S, counts: Arc<StorageCounts>) -> Self {
        Self { inner, counts }
    }
}

impl<S: Storages> Storages for CountedStorages<S> {
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(Counted { storage: self.inner.open(url)?, counts: self.counts.clone() }))
    }
}

struct Counted {
    storage: Arc<dyn Storage>,
    counts: Arc<StorageCounts>,
}

/// An object of a storage that is counted when it is finished.
struct CountedWriter<'a> {
    writer: Box<dyn ObjectWriter + 'a>,
    counts: &'a StorageCounts,
    bytes: u64,
}

impl Write for CountedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl ObjectWriter for CountedWriter<'_> {
    fn finish(self: Box<Self>) -> Result<()> {
        let Self { writer, counts, bytes } = *self;
        counts.put.count(writer.finish())?;
        counts.written_bytes.fetch_add(bytes, Relaxed);
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl Storage for Counted {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.counts.put.count(self.storage.put(path, bytes))?;
        self.counts.written_bytes.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }

    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        let writer = self.storage.create(path)?;
        Ok(Box::new(CountedWriter { writer, counts: &self.counts, bytes: 0 }))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let object = self.counts.get.count(self.storage.get(path))?;
        self.counts.read_bytes.fetch_add(object.len() as u64, Relaxed);
        Ok(object)
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let range = self.counts.get.count(self.storage.get_range(path, offset, length))?;
        self.counts.read_bytes.fetch_add(range.len() as u64, Relaxed);
        Ok(range)
    }

    fn length(&self, path: &str) -> Result<u64> {
        self.counts.get.count(self.storage.length(path))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.counts.list.count(self.storage.list(prefix))
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.counts.delete.count(self.storage.delete(path))
    }

    fn sweep(&self) -> Result<()> {
        self.storage.sweep()
    }

    fn vacate(&self) -> Result<()> {
        self.storage.vacate()
    }

    fn locate(&self, path: &str) -> String {
        self.storage.locate(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStorage;

    struct Memory;

    impl Storages for Memory {
        fn open(&self, _: &str) -> Result<Arc<dyn Storage>> {
            Ok(Arc::new(MemoryStorage::default()))
        }
    }

    #[test]
    fn what_is_asked_is_counted_by_what_comes_of_it() {
        let counts = Arc::new(StorageCounts::default());
        let storage = CountedStorages::new(Memory, counts.clone()).open("memory").unwrap();
        storage.put("runs/a", b"12345").unwrap();
        let mut writer = storage.create("runs/b").unwrap();
        writer.write_all(b"123").unwrap();
        drop(writer);
        let mut writer = storage.create("runs/b").unwrap();
        writer.write_all(b"1234567").unwrap();
        writer.finish().unwrap();
        storage.get_range("runs/a", 1, 2).unwrap();
        assert!(storage.get("runs/c").is_err());
        storage.list("").unwrap();
        storage.delete("runs/a").unwrap();
        let calls: Vec<_> = counts.calls().filter(|(_, _, count)| *count > 0).collect();
        let expected =
            [("put", "ok", 2), ("get", "ok", 1), ("get", "error", 1), ("list", "ok", 1), ("delete", "ok", 1)];
        assert_eq!(calls, expected, "an object that is not finished was never put");
        assert_eq!((counts.read_bytes(), counts.written_bytes()), (2, 12));
    }
}
