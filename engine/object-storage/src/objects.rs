//! Objects that others have written, to be read: all that a bucket has in a folder, and ranges of each as long as it is the same.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use weir_core::{Error, Result};

use crate::errors::{Credentials, failed};
use crate::threads::{Begun, Threads};

/// The objects of one bucket.
#[derive(Clone)]
pub struct Objects {
    client: Arc<dyn ObjectStore>,
    threads: Threads,
    /// Of the bucket, without a slash at its end.
    url: String,
    credentials: Credentials,
}

/// An object, as it was seen.
#[derive(Debug, Clone)]
pub struct ObjectInfo {
    /// Its name in the bucket.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// When it was written, in seconds since 1970: some stores know more when they list it than when they give it.
    pub modified: i64,
    /// What no other content of this name has, if the store says it.
    tag: Option<String>,
}

impl ObjectInfo {
    /// Its ETag, without the quotes that some stores leave away in lists.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref().map(|tag| tag.trim_matches('"'))
    }

    /// What can be a condition of a request.
    fn strong_tag(&self) -> Option<String> {
        self.tag.clone().filter(|tag| !tag.starts_with("W/"))
    }

    /// Whether it is the same, though another one may have had its name in between.
    fn is(&self, other: &Self) -> bool {
        let is_same_time = self.tag.is_some() || self.modified == other.modified;
        (self.size, self.tag()) == (other.size, other.tag()) && is_same_time
    }
}

impl From<ObjectMeta> for ObjectInfo {
    fn from(meta: ObjectMeta) -> Self {
        let modified = meta.last_modified.timestamp();
        Self { key: meta.location.to_string(), size: meta.size, modified, tag: meta.e_tag }
    }
}

/// Why bytes of an object were not read.
#[derive(Debug)]
pub enum ReadError {
    /// It is another one than was seen.
    Changed,
    /// The store did not give them.
    Failed(Error),
}

/// Bytes that are on their way.
#[derive(Debug)]
pub struct Reading(Begun<Result<Bytes, ReadError>>);

impl Reading {
    /// Waits for them.
    ///
    /// # Errors
    /// If the object has changed, or the store does not give them.
    pub fn wait(self) -> Result<Bytes, ReadError> {
        self.0.wait().map_err(ReadError::Failed)?
    }
}

impl Objects {
    pub(crate) fn new(client: Arc<dyn ObjectStore>, threads: Threads, url: String, credentials: Credentials) -> Self {
        Self { client, threads, url, credentials }
    }

    /// The URL of an object.
    pub fn locate(&self, key: &str) -> String {
        format!("{}/{key}", self.url)
    }

    /// The objects in a folder, and in those below it.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn list(&self, folder: &str) -> Result<Vec<ObjectInfo>> {
        let prefix = self.name(folder)?;
        let client = self.client.clone();
        let listed = self.threads.wait(async move {
            client.list(Some(&prefix)).map_ok(ObjectInfo::from).try_collect::<Vec<ObjectInfo>>().await
        })?;
        listed.map_err(|error| match error {
            StoreError::InvalidPath { source } => {
                Error::user(format!("there is an object below {} whose name cannot be read", self.locate(folder)))
                    .with_help("names have no empty parts, no '.' and '..', and no control characters")
                    .with_source(source)
            }
            error => failed("list", &self.locate(folder), self.credentials, error),
        })
    }

    /// The object of this name, if there is one.
    ///
    /// # Errors
    /// If the store does not say.
    pub fn find(&self, key: &str) -> Result<Option<ObjectInfo>> {
        let (client, name) = (self.client.clone(), self.name(key)?);
        match self.threads.wait(async move { client.head(&name).await })? {
            Ok(meta) => Ok(Some(meta.into())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("look at", &self.locate(key), self.credentials, error)),
        }
    }

    /// Begins to read bytes of an object that has not become another one since it was seen. There are fewer where it ends.
    ///
    /// # Errors
    /// If it has no such name.
    pub fn read(&self, object: &ObjectInfo, offset: u64, length: u64) -> Result<Reading> {
        let name = self.name(&object.key)?;
        let end = offset.saturating_add(length).min(object.size);
        let range = offset.min(end)..end;
        let (client, seen, url) = (self.client.clone(), object.clone(), self.locate(&object.key));
        let credentials = self.credentials;
        Ok(Reading(self.threads.begin(async move {
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            let options =
                GetOptions { if_match: seen.strong_tag(), range: Some(range.clone().into()), ..Default::default() };
            let read = async {
                let answer = client.get_opts(&name, options).await?;
                let now = ObjectInfo::from(answer.meta.clone());
                Ok((now, answer.bytes().await?))
            };
            match read.await {
                // Not all stores know conditions.
                Ok((now, _)) if !now.is(&seen) => Err(ReadError::Changed),
                Ok((_, bytes)) if bytes.len() as u64 == range.end - range.start => Ok(bytes),
                Ok(_) => Err(ReadError::Failed(Error::environment(format!(
                    "the store returned a part of what was asked for of {url}"
                )))),
                Err(StoreError::Precondition { .. }) => Err(ReadError::Changed),
                Err(error) => Err(ReadError::Failed(failed("read", &url, credentials, error))),
            }
        })))
    }

    fn name(&self, key: &str) -> Result<Path> {
        Path::parse(key)
            .map_err(|error| Error::user(format!("'{}' names no object", self.locate(key))).with_source(error))
    }
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Objects").field("url", &self.url).finish_non_exhaustive()
    }
}
