//! What the options and columns of a table say about the files that its rows go to, wherever these are.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_core::connector::METADATA_KEY;
use weir_core::{Error, Result, TableSpec};

use super::partition::Partitioning;
use super::writer::{FileEncoder, Format, WriteError};
use super::{DEFAULT_PARTITION, EXISTING, FILE_ROWS, FILE_SIZE, GUARANTEE};
use crate::options::Options;

/// How rows become files.
#[derive(Debug, Clone)]
pub struct FileLayout {
    format: Format,
    partitioning: Partitioning,
    /// Columns of the files: those that the partition's name does not say already.
    file_schema: SchemaRef,
    /// Bytes at which a new file is begun.
    pub file_size: u64,
    /// Rows at which a new file is begun.
    pub file_rows: u64,
    /// What happens if there are results of an earlier job of the same query.
    pub existing: Existing,
}

/// What happens if there are results of an earlier job of the same query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It is said.
    Warn,
    /// The new ones are added to them.
    Add,
    /// The job is.
    Refuse,
}

impl Existing {
    /// What it says of such results, which were found.
    ///
    /// # Errors
    /// A user error if they are refused.
    pub fn judge(self, table: &TableSpec, found: Option<String>) -> Result<Option<String>> {
        match found {
            Some(file) if self == Self::Refuse => Err(Error::user(format!(
                "table '{}' holds results of an earlier job of the same query: {file}",
                table.name
            ))
            .with_help("empty it, or let go on the job that wrote them; 'sink.existing-results' = 'add' adds to them")),
            found => Ok(found),
        }
    }
}

/// Bytes of a file that is being written. What can go wrong is mostly where they go.
pub struct EncodedFile<W: Write + Send>(FileEncoder<W>);

impl<W: Write + Send> EncodedFile<W> {
    /// Adds rows, of the columns of the files.
    ///
    /// # Errors
    /// If they cannot be encoded or written.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), WriteError> {
        self.0.write(rows)
    }

    /// Bytes so far, what is held in memory counted as it will probably come out.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Completes the file; returns where it was written to, its length, and the CRC-32 of its bytes.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> Result<(W, u64, u32), WriteError> {
        self.0.finish()
    }
}

impl FileLayout {
    /// What `table` says.
    ///
    /// # Errors
    /// A user error that names the option or column.
    pub fn of(table: &TableSpec) -> Result<Self> {
        let options = Options::of(table);
        let guarantees = [("exactly-once", ())];
        if options.choice(GUARANTEE, &guarantees).is_err() {
            return Err(options
                .error(GUARANTEE, "not a guarantee that the filesystem sink gives")
                .with_help("leave it out: the sink is always 'exactly-once'"));
        }
        if let Some(field) = table.schema.fields().iter().find(|field| field.metadata().contains_key(METADATA_KEY)) {
            return Err(Error::user(format!(
                "metadata column '{}' of table '{}' cannot be written",
                field.name(),
                table.name
            ))
            .with_help("declare it METADATA VIRTUAL, so that it is only read"));
        }
        let null = options.text(DEFAULT_PARTITION).unwrap_or("__DEFAULT_PARTITION__");
        if null.is_empty() {
            return Err(options.error(DEFAULT_PARTITION, "no name: an empty one stands for an empty text"));
        }
        let partitioning = Partitioning::of(table, null)?;
        let file_schema = partitioning.file_schema(&table.schema);
        let format = Format::of(table, &file_schema)?;
        Ok(Self {
            format,
            partitioning,
            file_schema,
            file_size: options.bytes(FILE_SIZE)?.unwrap_or(128 << 20).max(1),
            file_rows: options.number(FILE_ROWS, 1, u64::MAX)?.unwrap_or(u64::MAX),
            existing: options
                .choice(EXISTING, &[("warn", Existing::Warn), ("add", Existing::Add), ("refuse", Existing::Refuse)])?
                .unwrap_or(Existing::Warn),
        })
    }

    /// The rows by partition, in order of their first row: relative path with a slash at its end (or nothing), and the columns of the
    /// files.
    ///
    /// # Errors
    /// A data error for a row that cannot be written.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<(String, RecordBatch)>> {
        self.partitioning.split(batch, &self.file_schema)
    }

    /// Begins a file.
    ///
    /// # Errors
    /// If its head cannot be written.
    pub fn start<W: Write + Send>(&self, to: W) -> Result<EncodedFile<W>, WriteError> {
        self.format.start(to, &self.file_schema).map(EncodedFile)
    }

    /// What the names of files end in.
    pub fn extension(&self) -> String {
        self.format.extension()
    }
}
