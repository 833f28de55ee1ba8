//! Files of the Arrow IPC format, batch by batch.
//!
//! The reader that comes with Arrow believes what the footer says about sizes and asks for as much memory, which ends
//! the process if the file is damaged. Here each block is checked against the file before it is read.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, convert::fb_to_schema, root_as_footer};
use parquet::file::reader::Length;

use crate::stored_file::FileCursor;

/// Behind the footer: its length, and the format's mark.
const TRAILER: u64 = 10;

/// An Arrow IPC file that has been looked into.
pub(super) struct IpcFile {
    file: FileCursor,
    length: u64,
    schema: SchemaRef,
    batches: Vec<Block>,
    decoder: FileDecoder,
}

impl IpcFile {
    /// Reads the footer and the dictionaries.
    pub(super) fn open(mut file: FileCursor) -> Result<Self, ArrowError> {
        let length = file.len();
        let mut trailer = [0; TRAILER as usize];
        file.seek(SeekFrom::Start(length.checked_sub(TRAILER).ok_or_else(|| wrong("it is too short"))?))?;
        file.read_exact(&mut trailer)?;
        let footer_length = read_footer_length(trailer)? as u64;
        let start = (length - TRAILER).checked_sub(footer_length);
        file.seek(SeekFrom::Start(start.ok_or_else(|| wrong("its footer is longer than the file"))?))?;
        let mut footer = vec![0; footer_length as usize];
        file.read_exact(&mut footer)?;
        let footer = root_as_footer(&footer).map_err(|error| wrong(&format!("its footer is damaged: {error:?}")))?;
        let schema = footer.schema().ok_or_else(|| wrong("it has no schema"))?;
        if !schema.endianness().equals_to_target_endianness() {
            return Err(wrong("it has the byte order of another machine"));
        }
        let schema: SchemaRef = Arc::new(fb_to_schema(schema));
        let batches = footer.recordBatches().ok_or_else(|| wrong("its footer names no batches"))?;
        let mut this = Self {
            file,
            length,
            decoder: FileDecoder::new(schema.clone(), footer.version()),
            schema,
            batches: batches.iter().copied().collect(),
        };
        for block in footer.dictionaries().iter().flatten() {
            let bytes = this.read(block)?;
            this.decoder.read_dictionary(block, &bytes)?;
        }
        Ok(this)
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Number of record batches.
    pub(super) fn batches(&self) -> usize {
        self.batches.len()
    }

    /// Some of the record batches, of some of the columns.
    pub(super) fn into_batches(
        mut self,
        range: Range<usize>,
        columns: Vec<usize>,
    ) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send {
        let decoder = std::mem::replace(&mut self.decoder, FileDecoder::new(self.schema.clone(), Default::default()));
        self.decoder = decoder.with_projection(columns);
        range.filter_map(move |index| self.batch(index).transpose())
    }

    fn batch(&mut self, index: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(block) = self.batches.get(index).copied() else { return Ok(None) };
        let bytes = self.read(&block)?;
        self.decoder.read_record_batch(&block, &bytes)
    }

    fn read(&mut self, block: &Block) -> Result<Buffer, ArrowError> {
        let sizes = || {
            let start = u64::try_from(block.offset()).ok()?;
            let head = u64::try_from(block.metaDataLength()).ok().filter(|head| *head >= 8)?;
            let length = head.checked_add(u64::try_from(block.bodyLength()).ok()?)?;
            (start.checked_add(length)? <= self.length).then_some((start, length as usize))
        };
        let (start, length) = sizes().ok_or_else(|| wrong("its footer names a block outside of the file"))?;
        let mut bytes = MutableBuffer::from_len_zeroed(length);
        self.file.seek(SeekFrom::Start(start))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

fn wrong(what: &str) -> ArrowError {
    ArrowError::IpcError(what.to_owned())
}
