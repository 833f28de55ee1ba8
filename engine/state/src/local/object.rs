//! An object that is being written.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;

use weir_core::{Error, Result};

use super::temporary::Temporary;
use super::{LocalStorage, create_folder, failed, sync_folder, taken};
use crate::ObjectWriter;

/// Bytes that are compared at a time, and that are collected before they are written.
const PIECE_BYTES: usize = 256 * 1024;

/// A temporary file, and the name that it is to have.
pub(super) struct LocalObject {
    temporary: Temporary,
    folder: PathBuf,
    target: PathBuf,
}

impl LocalObject {
    pub(super) fn begin(storage: &LocalStorage, path: &str) -> Result<Self> {
        let target = storage.file(path)?;
        let folder = target.parent().unwrap_or(&storage.root).to_owned();
        create_folder(&folder)?;
        Ok(Self { temporary: storage.temporary()?, folder, target })
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.temporary.file.write_all(bytes);
        written.map_err(|error| failed("write", &self.temporary.path, error))
    }

    /// Gives it its name.
    pub(super) fn finish(self) -> Result<()> {
        let Self { temporary, folder, target } = self;
        temporary.file.sync_all().map_err(|error| failed("write", &temporary.path, error))?;
        let linked = match fs::hard_link(&temporary.path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match same(&temporary.path, &target) {
                Ok(true) => Ok(()),
                Ok(false) => Err(taken(&target)),
                Err(error) => Err(failed("read", &target, error)),
            },
            linked => linked.map_err(|error| failed("create", &target, error)),
        };
        let removed = temporary.remove();
        linked?;
        sync_folder(&folder)?;
        removed
    }
}

/// Whether two files hold the same bytes.
fn same(one: &PathBuf, other: &PathBuf) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    let length = one.metadata()?.len();
    if other.metadata()?.len() != length {
        return Ok(false);
    }
    let mut pieces = (BufReader::new(one.take(length)), BufReader::new(other.take(length)));
    let (mut first, mut second) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    let mut left = length;
    while left > 0 {
        let piece = PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES));
        pieces.0.read_exact(&mut first[..piece])?;
        pieces.1.read_exact(&mut second[..piece])?;
        if first[..piece] != second[..piece] {
            return Ok(false);
        }
        left -= piece as u64;
    }
    Ok(true)
}

/// An object that is written in pieces.
pub(super) struct Buffered(BufWriter<Unbuffered>);

struct Unbuffered(LocalObject);

impl Buffered {
    pub(super) fn new(object: LocalObject) -> Self {
        Self(BufWriter::with_capacity(PIECE_BYTES, Unbuffered(object)))
    }
}

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes).map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ObjectWriter for Buffered {
    fn finish(self: Box<Self>) -> Result<()> {
        let written = self.0.into_inner().map_err(|error| error.into_error());
        written.map_err(of_storage)?.0.finish()
    }
}

/// The error of a storage that came through a writer.
fn of_storage(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::environment("an object could not be written").with_source(error),
    }
}
