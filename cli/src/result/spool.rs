//! Rows that wait for their checkpoint.
//!
//! Each epoch's rows of a sink subtask go into an Arrow file in the state directory. The committable is its name and its
//! checksum. Commit prints the file and deletes it; a second commit finds nothing to do. Only a process that is killed
//! between the two, or in the middle of printing, leads to rows that are printed twice.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use weir_core::connector::SinkContext;
use weir_core::{Batch, Epoch, Error, Result, Sink};

/// Separates the parts of a file's name; uids have none.
const SEPARATOR: char = '~';

/// A sink that keeps rows until their checkpoint is complete.
pub struct SpoolSink {
    directory: PathBuf,
    schema: SchemaRef,
    context: SinkContext,
    /// The file of the current epoch, once it has a row.
    open: Option<(String, StreamWriter<BufWriter<ChecksummedFile>>)>,
    /// Files of this attempt so far.
    files: u64,
}

impl SpoolSink {
    /// A sink whose files are in `directory`.
    ///
    /// # Errors
    /// If the directory cannot be made or cleaned.
    pub fn open(directory: PathBuf, schema: SchemaRef, context: SinkContext) -> Result<Self> {
        fs::create_dir_all(&directory).map_err(|error| failed("make", &directory, error))?;
        let sink = Self { directory, schema, context, open: None, files: 0 };
        sink.remove_leftovers()?;
        Ok(sink)
    }

    /// Rows of earlier attempts behind the checkpoint that this one starts from will come again.
    fn remove_leftovers(&self) -> Result<()> {
        let entries = fs::read_dir(&self.directory).map_err(|error| failed("read", &self.directory, error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed("read", &self.directory, error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let Some(piece) = Piece::parse(name) else { continue };
            let is_ours = piece.uid == self.context.uid.0 && piece.attempt < self.context.attempt.0;
            if is_ours && piece.after >= self.context.epoch.0 {
                match fs::remove_file(&path) {
                    // Another subtask of this sink was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    other => other.map_err(|error| failed("remove", &path, error))?,
                }
            }
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut StreamWriter<BufWriter<ChecksummedFile>>> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let piece = Piece {
                    uid: self.context.uid.0.clone(),
                    attempt: self.context.attempt.0,
                    after: self.context.epoch.0,
                    subtask: self.context.subtask,
                    number: self.files,
                };
                let name = piece.name();
                let path = self.directory.join(&name);
                let file = File::create(&path).map_err(|error| failed("make", &path, error))?;
                self.files += 1;
                let checksummed = ChecksummedFile { file, checksum: crc32fast::Hasher::new() };
                let writer = StreamWriter::try_new(BufWriter::new(checksummed), &self.schema)
                    .map_err(|error| unwritable(&path, error))?;
                (name, writer)
            }
        };
        Ok(&mut self.open.insert(open).1)
    }
}

#[async_trait::async_trait]
impl Sink for SpoolSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        // The planner may name or type nullability otherwise than the declared schema does; columns are the same.
        let records = RecordBatch::try_new(self.schema.clone(), batch.into_records().columns().to_vec())?;
        let directory = self.directory.clone();
        self.writer()?.write(&records).map_err(|error| unwritable(&directory, error))
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        self.context.epoch = epoch;
        let Some((name, mut writer)) = self.open.take() else { return Ok(None) };
        let path = self.directory.join(&name);
        writer.finish().map_err(|error| unwritable(&path, error))?;
        let buffered = writer.into_inner().map_err(|error| unwritable(&path, error))?;
        let written = buffered.into_inner().map_err(|error| failed("write", &path, error.into_error()))?;
        written.file.sync_all().map_err(|error| failed("write", &path, error))?;
        let directory = File::open(&self.directory).map_err(|error| failed("open", &self.directory, error))?;
        directory.sync_all().map_err(|error| failed("write", &self.directory, error))?;
        Ok(Some(format!("{name} {:08x}", written.checksum.finalize()).into_bytes()))
    }
}

/// A file that knows the checksum of what was written to it.
struct ChecksummedFile {
    file: File,
    checksum: crc32fast::Hasher,
}

impl Write for ChecksummedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.checksum.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Gives each batch of a committable to `print`, and deletes the file. A file that is not there was printed before.
///
/// # Errors
/// If the file cannot be read, is damaged, or `print` fails.
pub fn read_once(
    directory: &Path,
    committable: &[u8],
    mut print: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let parsed = std::str::from_utf8(committable).ok().and_then(|text| {
        let (name, checksum) = text.split_once(' ')?;
        Piece::parse(name)?;
        Some((name, u32::from_str_radix(checksum, 16).ok()?))
    });
    let Some((name, checksum)) = parsed else {
        return Err(Error::internal("a checkpoint describes waiting results in a way that they never are"));
    };
    let path = directory.join(name);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("open", &path, error)),
    };
    // All of it before the first row is printed: half a result cannot be taken back.
    if checksum_of(&mut file).map_err(|error| failed("read", &path, error))? != checksum {
        return Err(Error::data(format!("the waiting results in {} are damaged", path.display())));
    }
    for records in StreamReader::try_new(BufReader::new(file), None)? {
        print(&records?)?;
    }
    fs::remove_file(&path).map_err(|error| failed("remove", &path, error))
}

fn checksum_of(file: &mut File) -> io::Result<u32> {
    let mut checksum = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => checksum.update(&buffer[..length]),
        }
    }
    file.rewind()?;
    Ok(checksum.finalize())
}

/// What a file's name says.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    uid: String,
    attempt: u64,
    /// The epoch before the one that the rows belong to.
    after: u64,
    subtask: usize,
    number: u64,
}

impl Piece {
    fn name(&self) -> String {
        let Self { uid, attempt, after, subtask, number } = self;
        [uid.clone(), attempt.to_string(), after.to_string(), subtask.to_string(), format!("{number}.arrows")]
            .join(&SEPARATOR.to_string())
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".arrows")?.split(SEPARATOR);
        let piece = Self {
            uid: parts.next()?.to_owned(),
            attempt: parts.next()?.parse().ok()?,
            after: parts.next()?.parse().ok()?,
            subtask: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        (parts.next().is_none() && !piece.uid.contains(['/', '\\'])).then_some(piece)
    }
}

fn failed(what: &str, path: &Path, error: io::Error) -> Error {
    Error::environment(format!("cannot {what} {}", path.display())).with_source(error)
}

fn unwritable(path: &Path, error: arrow::error::ArrowError) -> Error {
    Error::environment(format!("cannot write results to {}", path.display())).with_source(error)
}
