//! The files that one subtask is writing.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use weir_core::connector::SinkContext;
use weir_core::{Epoch, Error, Result};

use super::committable::{PreparedFile, encode};
use super::layout::EncodedFile;
use super::workplace::Workplace;
use super::writer::io_error;
use super::{Settings, disk};

/// Files that are open at a time. Each takes memory and a descriptor; with more partitions than this, the file that was
/// written least recently is finished early.
const OPEN_FILES: usize = 64;

/// The files of one subtask since the last checkpoint.
pub(super) struct Parts {
    settings: Settings,
    workplace: Workplace,
    open: BTreeMap<String, OpenPart>,
    finished: Vec<FinishedPart>,
    writes: u64,
}

struct OpenPart {
    path: PathBuf,
    encoder: EncodedFile<File>,
    rows: u64,
    last_write: u64,
}

/// A file that is complete and on disk, still under its first name.
struct FinishedPart {
    path: PathBuf,
    partition: String,
    length: u64,
    crc32: u32,
}

impl Parts {
    pub(super) fn open(settings: Settings, context: SinkContext) -> Result<Self> {
        let workplace = Workplace::open(settings.folder.clone(), &context)?;
        Ok(Self { settings, workplace, open: BTreeMap::new(), finished: Vec::new(), writes: 0 })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        for (partition, rows) in self.settings.layout.split(batch)? {
            self.write_partition(&partition, &rows)?;
        }
        Ok(())
    }

    fn write_partition(&mut self, partition: &str, rows: &RecordBatch) -> Result<()> {
        let mut written = 0;
        while written < rows.num_rows() {
            self.writes += 1;
            let part = match self.open.get_mut(partition) {
                Some(part) => part,
                None => {
                    self.make_room()?;
                    let part = self.start()?;
                    self.open.entry(partition.to_owned()).or_insert(part)
                }
            };
            let left = usize::try_from(self.settings.layout.file_rows - part.rows).unwrap_or(usize::MAX);
            let count = left.min(rows.num_rows() - written);
            part.encoder.write(&rows.slice(written, count)).map_err(|error| failed(&part.path, error))?;
            part.rows += count as u64;
            part.last_write = self.writes;
            written += count;
            if part.rows >= self.settings.layout.file_rows || part.encoder.size() >= self.settings.layout.file_size {
                self.finish(partition)?;
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<OpenPart> {
        let (file, path) = self.workplace.create()?;
        let encoder = self.settings.layout.start(file).map_err(|error| failed(&path, error))?;
        Ok(OpenPart { path, encoder, rows: 0, last_write: self.writes })
    }

    fn make_room(&mut self) -> Result<()> {
        let oldest = self.open.iter().min_by_key(|(_, part)| part.last_write).map(|(partition, _)| partition.clone());
        match oldest {
            Some(partition) if self.open.len() >= OPEN_FILES => self.finish(&partition),
            _ => Ok(()),
        }
    }

    fn finish(&mut self, partition: &str) -> Result<()> {
        let Some((partition, part)) = self.open.remove_entry(partition) else { return Ok(()) };
        let (file, length, crc32) = part.encoder.finish().map_err(|error| failed(&part.path, error))?;
        file.sync_all().map_err(|error| disk::error("write", &part.path, error))?;
        self.finished.push(FinishedPart { path: part.path, partition, length, crc32 });
        Ok(())
    }

    /// Finishes all files and says what is to be done with them; `None` if there are none.
    pub(super) fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        while let Some(partition) = self.open.first_key_value().map(|(partition, _)| partition.clone()) {
            self.finish(&partition)?;
        }
        let finished = std::mem::take(&mut self.finished);
        if finished.is_empty() {
            return Ok(None);
        }
        let extension = self.settings.layout.extension();
        let mut prepared = Vec::with_capacity(finished.len());
        for part in finished {
            // Made now, so that it fails before the checkpoint is decided if it fails at all.
            disk::create_folder(&self.workplace.folder().join(&part.partition))?;
            let (temporary, name) = self.workplace.prepare(&part.path, epoch)?;
            let visible = format!("{}{name}.{extension}", part.partition);
            prepared.push(PreparedFile { temporary, visible, length: part.length, crc32: Some(part.crc32) });
        }
        disk::sync_folder(self.workplace.folder())?;
        encode(&prepared).map(Some)
    }
}

/// The disk's error, or else the encoder's.
fn failed(path: &Path, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    if let Some(found) = io_error(error.as_ref()) {
        let copy = match found.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code),
            None => std::io::Error::new(found.kind(), found.to_string()),
        };
        return disk::error("write", path, copy);
    }
    match error.downcast::<Error>() {
        Ok(error) => error.context(format!("while writing {}", path.display())),
        Err(error) => Error::internal(format!("rows cannot be encoded for {}", path.display())).with_source(error),
    }
}
