//! A prefix of a bucket as a [`Storage`].

use std::future::Future;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutPayload, Result as StoreResult};
use weir_core::{Error, Result};
use weir_state::{ObjectWriter, Storage, check_path, too_short};

use crate::errors::{Credentials, failed};
use crate::threads::Threads;
use crate::upload::{PART_BYTES, Upload};

/// Objects of one bucket whose names begin alike.
#[derive(Clone)]
pub struct ObjectStorage {
    client: Arc<dyn ObjectStore>,
    threads: Threads,
    /// Without a slash at its end.
    url: String,
    /// What the names begin with, without the slash behind it.
    prefix: Path,
    credentials: Credentials,
    part_bytes: usize,
}

impl ObjectStorage {
    /// # Errors
    /// If the prefix cannot be one.
    pub fn new(
        client: Arc<dyn ObjectStore>,
        threads: Threads,
        url: &str,
        prefix: &str,
        credentials: Credentials,
    ) -> Result<Self> {
        let prefix =
            Path::parse(prefix).map_err(|error| Error::user(format!("cannot use {url}")).with_source(error))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client, threads, url, prefix, credentials, part_bytes: PART_BYTES })
    }

    #[cfg(test)]
    pub fn with_part_bytes(self, part_bytes: usize) -> Self {
        Self { part_bytes, ..self }
    }

    /// Makes sure that there is such a bucket, and that it may be read.
    ///
    /// # Errors
    /// If that is not so.
    pub fn check(&self) -> Result<()> {
        let (client, prefix) = (self.client.clone(), self.prefix.clone());
        let first = self.threads.wait(async move { client.list(Some(&prefix)).try_next().await })?;
        first.map(|_| ()).map_err(|error| failed("list", &self.url, self.credentials, error))
    }

    /// The URL of an object whose path is wanted.
    ///
    /// # Errors
    /// If the objects cannot be listed.
    pub fn first(&self, is_wanted: impl Fn(&str) -> bool + Send + 'static) -> Result<Option<String>> {
        let (client, prefix, skipped) = (self.client.clone(), self.prefix.clone(), self.skipped());
        let found = self.threads.wait(async move {
            let mut all = client.list(Some(&prefix));
            while let Some(meta) = all.try_next().await? {
                if let Some(path) = meta.location.as_ref().get(skipped..).filter(|path| is_wanted(path)) {
                    return Ok(Some(path.to_owned()));
                }
            }
            Ok(None)
        })?;
        let found = found.map_err(|error| failed("list", &self.url, self.credentials, error))?;
        Ok(found.map(|path| self.locate(&path)))
    }

    /// How long the part of the names is that is no path.
    fn skipped(&self) -> usize {
        if self.prefix.as_ref().is_empty() { 0 } else { self.prefix.as_ref().len() + 1 }
    }

    /// The name of an object in its bucket.
    pub fn name(&self, path: &str) -> Result<Path> {
        check_path(path)?;
        let name = if self.prefix.as_ref().is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        Path::parse(name).map_err(|error| Error::internal(format!("'{path}' is no object path")).with_source(error))
    }

    /// Asks the store for something about the object at `path`.
    pub fn request<T, F>(
        &self,
        path: &str,
        request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F,
    ) -> Result<StoreResult<T>>
    where
        T: Send + 'static,
        F: Future<Output = StoreResult<T>> + Send + 'static,
    {
        let name = self.name(path)?;
        self.threads.wait(request(self.client.clone(), name))
    }

    pub fn failed(&self, doing: &str, path: &str, error: StoreError) -> Error {
        failed(doing, &self.locate(path), self.credentials, error)
    }

    pub fn threads(&self) -> &Threads {
        &self.threads
    }

    /// Bytes of an object; `None`: there is none.
    pub fn size(&self, path: &str) -> Result<Option<u64>> {
        match self.request(path, |client, name| async move { client.head(&name).await })? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("look at", path, error)),
        }
    }

    /// The error about a path that holds something else.
    pub fn taken(&self, path: &str) -> Error {
        Error::environment(format!("{} is there already, with other content", self.locate(path)))
    }
}

impl Storage for ObjectStorage {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let payload = PutPayload::from(bytes.to_vec());
        let put = move |client: Arc<dyn ObjectStore>, name: Path| async move {
            client.put_opts(&name, payload, PutMode::Create.into()).await
        };
        match self.request(path, put)? {
            Ok(_) => Ok(()),
            // Maybe by this very call, whose first answer was lost.
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                if self.get(path)? == bytes {
                    Ok(())
                } else {
                    Err(self.taken(path))
                }
            }
            Err(error) => Err(self.failed("write", path, error)),
        }
    }

    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        Ok(Box::new(Upload::new(self, path.to_owned(), self.part_bytes)))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let get = |client: Arc<dyn ObjectStore>, name: Path| async move { client.get(&name).await?.bytes().await };
        match self.request(path, get)? {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(self.failed("read", path, error)),
        }
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let end = offset.checked_add(length).filter(|_| length > 0);
        let error = match end {
            None => None,
            Some(end) => {
                let get = move |client: Arc<dyn ObjectStore>, name: Path| async move {
                    client.get_range(&name, offset..end).await
                };
                match self.request(path, get)? {
                    Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes.into()),
                    Ok(_) => None,
                    Err(error) => Some(error),
                }
            }
        };
        // Nothing is asked for, or more than there is: the stores do not say which in the same words.
        let size = match (self.size(path)?, error) {
            (Some(size), error) if size >= offset.saturating_add(length) => match error {
                None if length == 0 => return Ok(Vec::new()),
                None => return Err(Error::environment(format!("the store returned a part of {}", self.locate(path)))),
                Some(error) => return Err(self.failed("read", path, error)),
            },
            (Some(size), _) => size,
            (None, _) => return Err(Error::environment(format!("{} is not there", self.locate(path)))),
        };
        Err(too_short(&self.locate(path), size, offset, length))
    }

    fn length(&self, path: &str) -> Result<u64> {
        self.size(path)?.ok_or_else(|| Error::environment(format!("there is no {}", self.locate(path))))
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        // Stores that know no folders are asked for whole parts of names.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let all = if folder.is_empty() { self.prefix.clone() } else { self.name(folder)? };
        let (client, url) = (self.client.clone(), &self.url);
        let names = self.threads.wait(async move {
            client.list(Some(&all)).map_ok(|meta| meta.location).try_collect::<Vec<Path>>().await
        })?;
        let names = names.map_err(|error| failed("list", url, self.credentials, error))?;
        let skipped = self.skipped();
        let paths = names.iter().filter_map(|name| name.as_ref().get(skipped..));
        let mut paths: Vec<String> = paths.filter(|path| path.starts_with(prefix)).map(str::to_owned).collect();
        paths.sort_unstable();
        Ok(paths)
    }

    fn delete(&self, path: &str) -> Result<()> {
        match self.request(path, |client, name| async move { client.delete(&name).await })? {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", path, error)),
        }
    }

    fn locate(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }
}
