//! Storages by their URL.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, Result as StoreResult, RetryConfig};
use weir_core::{Error, Result};
use weir_state::{FolderStorages, Storage, Storages};

use crate::errors::Credentials;
use crate::objects::Objects;
use crate::storage::ObjectStorage;
use crate::threads::Threads;

/// A request without an answer for so long is given up, and made again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A store that is not reached for so long is down: who wants something of it is told, and tries again when it suits him.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Storages in folders and in object stores.
#[derive(Clone, Default)]
pub struct ObjectStorages {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    threads: Option<Threads>,
    /// By kind and bucket.
    clients: HashMap<(Kind, String), Arc<dyn ObjectStore>, foldhash::fast::FixedState>,
    /// Those that have been seen to reach their bucket.
    checked: HashSet<(Kind, String), foldhash::fast::FixedState>,
}

/// What kinds of stores there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    S3,
    Google,
    Azure,
}

impl Kind {
    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" | "s3a" => Some(Self::S3),
            "gs" => Some(Self::Google),
            "az" => Some(Self::Azure),
            _ => None,
        }
    }

    fn credentials(self) -> Credentials {
        Credentials(match self {
            Self::S3 => {
                "credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, from a web identity, or from the role of the \
                 machine; AWS_REGION and AWS_ENDPOINT say where the bucket is"
            }
            Self::Google => {
                "credentials come from the file that GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT names, or from the role of \
                 the machine"
            }
            Self::Azure => {
                "credentials come from AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY, \
                 AZURE_STORAGE_CLIENT_ID and _SECRET, or from the identity of the machine"
            }
        })
    }

    fn client(self, bucket: &str) -> StoreResult<Arc<dyn ObjectStore>> {
        let retry = RetryConfig { retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        // Servers of one's own network often have no TLS: who names them as http:// means it.
        let options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(true);
        Ok(match self {
            Self::S3 => {
                let builder = AmazonS3Builder::from_env().with_client_options(options).with_retry(retry);
                Arc::new(builder.with_bucket_name(bucket).build()?)
            }
            Self::Google => {
                let builder = GoogleCloudStorageBuilder::from_env().with_client_options(options).with_retry(retry);
                Arc::new(builder.with_bucket_name(bucket).build()?)
            }
            Self::Azure => {
                let builder = MicrosoftAzureBuilder::from_env().with_client_options(options).with_retry(retry);
                Arc::new(builder.with_container_name(bucket).build()?)
            }
        })
    }
}

impl Storages for ObjectStorages {
    fn open(&self, url: &str) -> Result<Arc<dyn Storage>> {
        match self.object_storage(url)? {
            Some(storage) => Ok(Arc::new(storage)),
            None => FolderStorages.open(url),
        }
    }
}

impl ObjectStorages {
    /// Whether a URL is one of an object store.
    pub fn is_object_store(url: &str) -> bool {
        url.split_once("://").is_some_and(|(scheme, _)| Kind::of(scheme).is_some())
    }

    /// The URL of an object of a storage whose path is wanted; `None`: there is none. Not for folders.
    ///
    /// # Errors
    /// If the URL makes no sense, or the storage cannot be listed.
    pub fn first(&self, url: &str, is_wanted: impl Fn(&str) -> bool + Send + 'static) -> Result<Option<String>> {
        let storage = self.object_storage(url)?;
        storage.map_or(Ok(None), |storage| storage.first(is_wanted))
    }

    /// What a URL names in its bucket.
    ///
    /// # Errors
    /// A user error if it is no URL of an object store.
    pub fn key(url: &str) -> Result<&str> {
        Self::place(url).map(|place| place.rest)
    }

    fn place(url: &str) -> Result<Place<'_>> {
        let no_url = || Error::user(format!("'{url}' is no URL of an object store"));
        Place::parse(url)?.ok_or_else(no_url)
    }

    /// The objects of the bucket that a URL names, and what it names there: an object, a folder or a pattern. Nothing is asked yet.
    ///
    /// # Errors
    /// A user error if it is no URL of an object store.
    pub fn objects<'a>(&self, url: &'a str) -> Result<(Objects, &'a str)> {
        let place = Self::place(url)?;
        let bucket = url.strip_suffix(place.rest).unwrap_or(url).trim_end_matches('/').to_owned();
        let (client, threads) = self.client(url, &place)?;
        Ok((Objects::new(client, threads, bucket, place.kind.credentials()), place.rest))
    }

    /// `None`: the URL is of no object store.
    fn object_storage(&self, url: &str) -> Result<Option<ObjectStorage>> {
        let Some(place) = Place::parse(url)? else { return Ok(None) };
        let (client, threads) = self.client(url, &place)?;
        let prefix = place.rest.trim_matches('/');
        let storage = ObjectStorage::new(client, threads, url, prefix, place.kind.credentials())?;
        let key = (place.kind, place.bucket.to_owned());
        if !self.shared().checked.contains(&key) {
            // Waits for a store that may be away, and nobody else for that.
            storage.check()?;
            self.shared().checked.insert(key);
        }
        Ok(Some(storage))
    }

    /// The client for a place, and where it lives.
    fn client(&self, url: &str, place: &Place<'_>) -> Result<(Arc<dyn ObjectStore>, Threads)> {
        let mut shared = self.shared();
        let threads = match &shared.threads {
            Some(threads) => threads.clone(),
            None => shared.threads.insert(Threads::start()?).clone(),
        };
        let key = (place.kind, place.bucket.to_owned());
        if let Some(client) = shared.clients.get(&key) {
            return Ok((client.clone(), threads));
        }
        let help = place.kind.credentials().0;
        let client = place
            .kind
            .client(place.bucket)
            .map_err(|error| Error::user(format!("cannot use {url}")).with_help(help).with_source(error))?;
        shared.clients.insert(key, client.clone());
        Ok((client, threads))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is such a storage, as seen from this machine. Makes none.
    ///
    /// # Errors
    /// If the URL makes no sense, or the store is not reached.
    pub fn is_there(&self, url: &str) -> Result<bool> {
        if Place::parse(url)?.is_none() {
            return FolderStorages.is_there(url);
        }
        self.open(url).map(|_| true)
    }
}

impl fmt::Debug for ObjectStorages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorages").finish_non_exhaustive()
    }
}

/// What a URL of an object store says.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    kind: Kind,
    bucket: &'a str,
    /// What follows it.
    rest: &'a str,
}

impl<'a> Place<'a> {
    /// `None`: the URL is of no object store.
    fn parse(url: &'a str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = url.split_once("://") else { return Ok(None) };
        let Some(kind) = Kind::of(scheme) else { return Ok(None) };
        let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(Error::user(format!("'{url}' names no bucket")).with_help("write it as s3://bucket/prefix"));
        }
        Ok(Some(Self { kind, bucket, rest }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_bucket_and_what_stands_in_front_of_all_objects() {
        let place = |url| Place::parse(url).unwrap().map(|place| (place.kind, place.bucket, place.rest));
        assert_eq!(place("s3://bucket/a/b/"), Some((Kind::S3, "bucket", "a/b/")));
        assert_eq!(place("gs://bucket"), Some((Kind::Google, "bucket", "")));
        assert_eq!(place("az://container/a"), Some((Kind::Azure, "container", "a")));
        assert_eq!(place("file:///folder"), None);
        assert!(Place::parse("s3:///a").unwrap_err().report().contains("names no bucket"));
    }

    #[test]
    fn what_is_no_storage_is_refused() {
        for url in ["ftp://host/folder", "folder", "file://relative"] {
            assert!(ObjectStorages::default().open(url).is_err(), "{url}");
        }
    }
}
