//! Checkpoints in the memory of one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_core::{Error, Result};

use crate::Storage;
use crate::storage::{check_path, range};

/// Objects that nothing outlives: for what a job without a state directory still has to put somewhere. Clones are the same storage.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    objects: Arc<Mutex<BTreeMap<String, Arc<[u8]>>>>,
}

impl MemoryStorage {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Arc<[u8]>>> {
        // Whoever panicked was in no middle of a change: each is one call.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, path: &str) -> Result<Arc<[u8]>> {
        check_path(path)?;
        let object = self.objects().get(path).cloned();
        object.ok_or_else(|| Error::environment(format!("{} is not there", self.locate(path))))
    }
}

impl Storage for MemoryStorage {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        let mut objects = self.objects();
        match objects.get(path) {
            None => drop(objects.insert(path.to_owned(), bytes.into())),
            Some(there) if **there == *bytes => {}
            Some(_) => {
                let name = self.locate(path);
                return Err(Error::environment(format!("{name} exists already and holds something else")));
            }
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.object(path).map(|bytes| bytes.to_vec())
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let bytes = self.object(path)?;
        range(&bytes, offset, length, || self.locate(path)).map(<[u8]>::to_vec)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let objects = self.objects();
        let from = objects.range(prefix.to_owned()..).map(|(path, _)| path);
        Ok(from.take_while(|path| path.starts_with(prefix)).cloned().collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        self.objects().remove(path);
        Ok(())
    }

    fn locate(&self, path: &str) -> String {
        format!("memory:{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_promises_of_a_storage() {
        let storage = MemoryStorage::default();
        crate::conformance::storage(&|| Arc::new(storage.clone()));
    }
}
