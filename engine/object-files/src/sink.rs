//! Rows into the bytes of files, in pieces that are staged.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{BinaryArray, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use rustix::rand::{GetRandomFlags, getrandom};
use weir_connectors::filesystem::sink::{EncodedFile, FileLayout, SinkNames};
use weir_core::connector::{Sink, SinkContext};
use weir_core::{Batch, Epoch, Error, Result};

/// Bytes of a file that are staged as one piece.
const PIECE_BYTES: usize = 4 << 20;

/// Bytes of open files that a subtask holds. They are staged once their file is complete, so that who commits has few files open; with
/// more than this, the largest is completed early.
const HELD_BYTES: u64 = 64 << 20;

/// Files that are open at a time; with more partitions than this, the one that was written least recently is finished early.
const OPEN_FILES: usize = 64;

/// Columns of a piece: path of its file below that of the table, the bytes, and whether the file ends with them.
pub(crate) fn pieces() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("bytes", DataType::Binary, false),
        Field::new("is_last", DataType::Boolean, false),
    ]))
}

/// One subtask's files since the last checkpoint.
pub(crate) struct PieceSink {
    layout: FileLayout,
    /// What the names of its files begin with, and those of no other writer.
    name: String,
    next: u64,
    open: BTreeMap<String, OpenFile>,
    writes: u64,
    held_bytes: u64,
    staged: Vec<Batch>,
}

struct OpenFile {
    path: String,
    encoder: EncodedFile<Bytes>,
    bytes: Bytes,
    rows: u64,
    last_write: u64,
}

/// What has been encoded and not been staged yet: the encoder has one, and the sink the other.
#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Bytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.with(|all| all.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl PieceSink {
    pub(crate) fn new(layout: FileLayout, context: &SinkContext) -> Result<Self> {
        let mut nonce = [0; 4];
        getrandom(&mut nonce, GetRandomFlags::empty())
            .map_err(|errno| Error::environment("the system has no random numbers").with_source(errno))?;
        let (_, own) = SinkNames::new(context.job, &context.uid).visible();
        let name = format!("{own}{}-{}-{:08x}", context.attempt, context.subtask, u32::from_le_bytes(nonce));
        Ok(Self { layout, name, next: 0, open: BTreeMap::new(), writes: 0, held_bytes: HELD_BYTES, staged: Vec::new() })
    }

    #[cfg(test)]
    pub(crate) fn holding(self, held_bytes: u64) -> Self {
        Self { held_bytes, ..self }
    }

    fn write_partition(&mut self, partition: &str, rows: &RecordBatch) -> Result<()> {
        let mut written = 0;
        while written < rows.num_rows() {
            self.writes += 1;
            if !self.open.contains_key(partition) {
                self.begin(partition)?;
            }
            let Some(file) = self.open.get_mut(partition) else { return Err(Error::internal("a file is not open")) };
            let left = usize::try_from(self.layout.file_rows - file.rows).unwrap_or(usize::MAX);
            let count = left.min(rows.num_rows() - written);
            file.encoder.write(&rows.slice(written, count)).map_err(|error| failed(&file.path, error))?;
            file.rows += count as u64;
            file.last_write = self.writes;
            written += count;
            if file.rows >= self.layout.file_rows || file.encoder.size() >= self.layout.file_size {
                self.finish(partition)?;
            }
        }
        Ok(())
    }

    /// Completes files until the rest may be held.
    fn make_room(&mut self) -> Result<()> {
        loop {
            let sizes = self.open.iter().map(|(partition, file)| (file.encoder.size(), partition));
            let held: u64 = sizes.clone().map(|(size, _)| size).sum();
            match sizes.max().map(|(_, partition)| partition.clone()) {
                Some(largest) if held > self.held_bytes => self.finish(&largest)?,
                _ => return Ok(()),
            }
        }
    }

    fn begin(&mut self, partition: &str) -> Result<()> {
        if self.open.len() >= OPEN_FILES {
            let oldest =
                self.open.iter().min_by_key(|(_, file)| file.last_write).map(|(partition, _)| partition.clone());
            oldest.map_or(Ok(()), |partition| self.finish(&partition))?;
        }
        let path = format!("{partition}{}-{}.{}", self.name, self.next, self.layout.extension());
        self.next += 1;
        let bytes = Bytes::default();
        let encoder = self.layout.start(bytes.clone()).map_err(|error| failed(&path, error))?;
        self.open.insert(partition.to_owned(), OpenFile { path, encoder, bytes, rows: 0, last_write: self.writes });
        Ok(())
    }

    fn finish(&mut self, partition: &str) -> Result<()> {
        let Some(file) = self.open.remove(partition) else { return Ok(()) };
        file.encoder.finish().map_err(|error| failed(&file.path, error))?;
        let bytes = file.bytes.with(std::mem::take);
        let pieces = bytes.chunks(PIECE_BYTES);
        let last = pieces.len().saturating_sub(1);
        for (number, bytes) in pieces.enumerate() {
            self.staged.push(piece(&file.path, bytes, number == last)?);
        }
        Ok(())
    }
}

fn piece(path: &str, bytes: &[u8], is_last: bool) -> Result<Batch> {
    let records = RecordBatch::try_new(
        pieces(),
        vec![
            Arc::new(StringArray::from(vec![path])),
            Arc::new(BinaryArray::from_vec(vec![bytes])),
            Arc::new(BooleanArray::from(vec![is_last])),
        ],
    )?;
    Ok(Batch::append(records))
}

fn failed(path: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error.context(format!("while writing {path}")),
        Err(error) => Error::internal(format!("rows cannot be encoded for {path}")).with_source(error),
    }
}

#[async_trait]
impl Sink for PieceSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        let rows = batch.into_appended()?;
        for (partition, rows) in self.layout.split(&rows)? {
            self.write_partition(&partition, &rows)?;
        }
        self.make_room()
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        while let Some(partition) = self.open.first_key_value().map(|(partition, _)| partition.clone()) {
            self.finish(&partition)?;
        }
        // All there is to know is in the pieces.
        Ok(None)
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.staged)
    }
}
