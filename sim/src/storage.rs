//! The checkpoint storage: an object store that all machines reach, and that now and then does not do what it was asked, or
//! does it and does not say so.

use std::sync::Arc;

use weir_core::{Error, Result};
use weir_state::{Storage, check_path, range};

use crate::chaos::Failing;
use crate::cluster::Cluster;

/// Where the checkpoints of all clusters are.
pub const URL: &str = "sim://storage";

/// Opens places in the storage.
#[derive(Debug, Clone)]
pub struct Storages(pub Arc<Cluster>);

impl weir_state::Storages for Storages {
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(PrefixStorage { cluster: self.0.clone(), prefix: format!("{url}/") }))
    }
}

/// All objects below a prefix.
struct PrefixStorage {
    cluster: Arc<Cluster>,
    prefix: String,
}

impl PrefixStorage {
    fn silent(&self, path: &str) -> Error {
        Error::environment(format!("{} does not answer", self.locate(path)))
    }

    fn read(&self, path: &str) -> Result<Arc<[u8]>> {
        check_path(path)?;
        if self.cluster.chaos.read_fails() {
            return Err(self.silent(path));
        }
        let found = self.cluster.objects.lock().get(&self.locate(path)).cloned();
        found.ok_or_else(|| Error::environment(format!("{} is not there", self.locate(path))))
    }
}

impl Storage for PrefixStorage {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        check_path(path)?;
        let failing = self.cluster.chaos.write_fails();
        if failing == Some(Failing::Before) {
            return Err(self.silent(path));
        }
        let mut objects = self.cluster.objects.lock();
        let there = objects.entry(self.locate(path)).or_insert_with(|| bytes.into());
        if **there != *bytes {
            return Err(Error::environment(format!("{} is there with other bytes", self.locate(path))));
        }
        match failing {
            Some(_) => Err(self.silent(path)),
            None => Ok(()),
        }
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.read(path).map(|bytes| bytes.to_vec())
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let bytes = self.read(path)?;
        range(&bytes, offset, length, || self.locate(path)).map(<[u8]>::to_vec)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        if self.cluster.chaos.read_fails() {
            return Err(self.silent(prefix));
        }
        let prefix = self.locate(prefix);
        let objects = self.cluster.objects.lock();
        let below = objects.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        Ok(below.map(|(path, _)| path[self.prefix.len()..].to_owned()).collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        check_path(path)?;
        if self.cluster.chaos.read_fails() {
            return Err(self.silent(path));
        }
        let object = self.locate(path);
        if let Some(manifest) = self.cluster.oracle.needs(&object) {
            self.cluster.oracle.violation(format!("{object} was deleted, and {manifest} cannot do without it"));
        }
        self.cluster.objects.lock().remove(&object);
        Ok(())
    }

    fn locate(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use weir_state::Storages as _;

    use super::*;
    use crate::shape::{Kind, Shape};
    use weir_core::random::Random;

    #[tokio::test]
    async fn it_keeps_the_promises_of_a_storage() {
        let random = &mut Random::new(1);
        let storages = Storages(Arc::new(Cluster::new(
            Shape::draw(random, Kind { calm: true, ..Kind::default() }),
            random,
            false,
        )));
        storages.0.chaos.calm();
        let place = storages.open(&format!("{URL}/jobs/1")).expect("a place is only a name");
        weir_state::conformance::storage(&|| place.clone());
        assert!(storages.0.objects.lock().is_empty());
    }
}
