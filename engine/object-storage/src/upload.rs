//! An object that is uploaded in parts.

use std::io::{self, Write};

use bytes::Bytes;
use object_store::{ObjectStoreExt, WriteMultipart};
use weir_core::Result;
use weir_state::{ObjectWriter, Storage};
use xxhash_rust::xxh3::Xxh3;

use crate::storage::ObjectStorage;

/// Bytes of a part. Stores take no less than 5 MiB but for the last one, and S3 no more than 10,000 parts of an object.
pub const PART_BYTES: usize = 16 << 20;

/// Parts that are on their way at a time.
const CONCURRENT_PARTS: usize = 4;

/// What is shorter than a part is put as a whole when it is finished.
///
/// A conditional upload in parts is not to be had from all stores. So the path is looked at before the upload is completed: two writers
/// that finish at one moment are not told apart. No two of them have one path: its names are those of the attempt and the worker.
pub struct Upload<'a> {
    storage: &'a ObjectStorage,
    path: String,
    part_bytes: usize,
    part: Vec<u8>,
    begun: Option<WriteMultipart>,
    size: u64,
    hash: Xxh3,
}

impl<'a> Upload<'a> {
    pub fn new(storage: &'a ObjectStorage, path: String, part_bytes: usize) -> Self {
        Self { storage, path, part_bytes, part: Vec::new(), begun: None, size: 0, hash: Xxh3::new() }
    }

    /// Sends what has come.
    fn send(&mut self) -> Result<()> {
        let failed = |error| self.storage.failed("write", &self.path, error);
        let mut upload = match self.begun.take() {
            Some(upload) => upload,
            None => {
                let part_bytes = self.part_bytes;
                let begun = self.storage.request(&self.path, move |client, name| async move {
                    Ok(WriteMultipart::new_with_chunk_size(client.put_multipart(&name).await?, part_bytes))
                })?;
                begun.map_err(failed)?
            }
        };
        let part = Bytes::from(std::mem::take(&mut self.part));
        let (upload, sent) = self.storage.threads().wait(async move {
            let sent = upload.wait_for_capacity(CONCURRENT_PARTS).await;
            // Also behind an error: the upload is given up as a whole.
            upload.put(part);
            (upload, sent)
        })?;
        self.begun = Some(upload);
        sent.map_err(failed)
    }

    /// Whether the object is there as it was written here.
    fn is_there(&self) -> Result<Option<bool>> {
        let Some(size) = self.storage.size(&self.path)? else { return Ok(None) };
        if size != self.size {
            return Ok(Some(false));
        }
        let mut hash = Xxh3::new();
        let mut at = 0;
        while at < size {
            let length = (self.part_bytes as u64).min(size - at);
            hash.update(&self.storage.get_range(&self.path, at, length)?);
            at += length;
        }
        Ok(Some(hash.digest128() == self.hash.digest128()))
    }

    fn give_up(&mut self) {
        if let Some(upload) = self.begun.take() {
            // What is left of it costs space until the store's own rule for unfinished uploads removes it.
            let _ = self.storage.threads().wait(upload.abort());
        }
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(self.part_bytes - self.part.len())];
        self.part.extend_from_slice(taken);
        self.hash.update(taken);
        self.size += taken.len() as u64;
        if self.part.len() == self.part_bytes {
            self.send().map_err(io::Error::other)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Upload<'_> {
    fn finish(mut self: Box<Self>) -> Result<()> {
        if self.begun.is_none() {
            return self.storage.put(&self.path, &self.part);
        }
        if !self.part.is_empty() {
            self.send()?;
        }
        if let Some(same) = self.is_there()? {
            return if same { Ok(()) } else { Err(self.storage.taken(&self.path)) };
        }
        let Some(upload) = self.begun.take() else { return Ok(()) };
        match self.storage.threads().wait(upload.finish())? {
            Ok(_) => Ok(()),
            // The answer was lost, and to the second request the store said that there is no such upload any more.
            Err(_) if self.is_there()? == Some(true) => Ok(()),
            Err(error) => Err(self.storage.failed("write", &self.path, error)),
        }
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
