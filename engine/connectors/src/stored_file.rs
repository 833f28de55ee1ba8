//! Files that are open, wherever they are: their bytes, from any place on, and what tells them from others.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

/// Bytes at the beginning and at the end of a file that tell its content from another.
const EDGE: u64 = 4 << 10;

/// What the filesystem, or the store, says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// A number that another file of its name has not, on most filesystems.
    pub(crate) inode: u64,
    /// Last modification, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether no other content of its name has the number, so that nothing else needs to be compared.
    pub(crate) is_content: bool,
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        let modified = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
        Self { inode: metadata.ino(), modified, size: metadata.len(), is_content: false }
    }

    /// Of a file of which only its size in bytes is known, and when it was last modified, in nanoseconds since 1970.
    pub fn new(modified: i64, size: u64) -> Self {
        Self { inode: 0, modified, size, is_content: false }
    }

    /// The same of one whose content has this number, and no other content of its name.
    pub fn of_content(number: u64, modified: i64, size: u64) -> Self {
        Self { inode: number, modified, size, is_content: true }
    }

    /// Last modification, in milliseconds since 1970.
    pub(crate) fn modified_ms(&self) -> i64 {
        self.modified.div_euclid(1_000_000)
    }
}

/// A file that is open.
pub trait StoredFile: fmt::Debug + Send + Sync {
    /// What tells it from another one of its name, as far as that is known now.
    ///
    /// # Errors
    /// If it cannot be looked at.
    fn identity(&self) -> io::Result<Identity>;

    /// A checksum that is another one if the file's first `size` bytes are others, most likely. Asked for where the identity is not that of
    /// the content.
    ///
    /// # Errors
    /// If it cannot be read.
    fn checksum(&self, size: u64) -> io::Result<u32>;

    /// Reads some of the bytes from `offset` on, and says how many; none behind the end.
    ///
    /// # Errors
    /// If they cannot be read.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reading will not go far behind this place.
    fn end_near(&self, _offset: u64) {}
}

impl StoredFile for File {
    fn identity(&self) -> io::Result<Identity> {
        self.metadata().map(|metadata| Identity::of(&metadata))
    }

    fn checksum(&self, size: u64) -> io::Result<u32> {
        edges(self, size)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }
}

/// CRC-32 of the first bytes of a file, and of the last ones before `size`.
fn edges(file: &File, size: u64) -> io::Result<u32> {
    let mut checksum = crc32fast::Hasher::new();
    let mut block = [0; EDGE as usize];
    for offset in [0, size.saturating_sub(EDGE)] {
        let mut filled = 0;
        let wanted = usize::try_from((size - offset).min(EDGE)).unwrap_or(block.len());
        while filled < wanted {
            match FileExt::read_at(file, &mut block[filled..wanted], offset + filled as u64) {
                // It was cut off: then the checksum is another one, too.
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        checksum.update(&block[..filled]);
    }
    Ok(checksum.finalize())
}

/// Reads a file from a place on.
#[derive(Debug, Clone)]
pub(crate) struct FileCursor {
    file: Arc<dyn StoredFile>,
    size: u64,
    offset: u64,
    /// Why the file could not be read, of all that read it.
    failure: Arc<OnceLock<String>>,
}

impl FileCursor {
    /// From the beginning.
    ///
    /// # Errors
    /// If the file cannot be looked at.
    pub(crate) fn new(file: Arc<dyn StoredFile>) -> io::Result<Self> {
        Ok(Self { size: file.identity()?.size, file, offset: 0, failure: Arc::default() })
    }

    /// Why it could not be read: readers of formats take that for damage, and forget what it was.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// From `offset` on.
    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }
}

impl Read for FileCursor {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.offset).inspect_err(|error| {
            // The first one counts.
            let _ = self.failure.set(error.to_string());
        })?;
        self.offset += read as u64;
        Ok(read)
    }
}

impl Seek for FileCursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(behind) => self.size.checked_add_signed(behind),
            SeekFrom::Current(behind) => self.offset.checked_add_signed(behind),
        };
        self.offset = place.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.offset)
    }
}

impl Length for FileCursor {
    fn len(&self) -> u64 {
        self.size
    }
}

impl ChunkReader for FileCursor {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(self.clone().at(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let mut bytes = Vec::with_capacity(length);
        let read = self.clone().at(start).take(length as u64).read_to_end(&mut bytes)?;
        if read < length {
            return Err(ParquetError::EOF(format!("there are {read} of {length} bytes")));
        }
        Ok(bytes.into())
    }
}
