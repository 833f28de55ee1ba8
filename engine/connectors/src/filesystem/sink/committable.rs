//! What a sink gives to a checkpoint, and how any process finishes it later.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_core::{Error, Result};

use super::disk;

/// A file that is durable but not visible yet. Names are relative to the table's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreparedFile {
    /// Its hidden name.
    pub temporary: String,
    /// Its name for readers.
    pub visible: String,
    /// Its length in bytes.
    pub length: u64,
}

/// The bytes of a committable: a JSON list.
pub(super) fn encode(files: &[PreparedFile]) -> Result<Vec<u8>> {
    serde_json::to_vec(files).map_err(|error| Error::internal("a committable cannot be written").with_source(error))
}

/// Makes the files visible and durable under their final names. Files that are so already are left as they are.
pub(super) fn commit(folder: &Path, committables: &[Vec<u8>]) -> Result<()> {
    let mut touched = BTreeSet::from([folder.to_owned()]);
    for bytes in committables {
        let files: Vec<PreparedFile> = serde_json::from_slice(bytes).map_err(|error| {
            Error::data(format!("a committable for {} cannot be read", folder.display())).with_source(error)
        })?;
        for file in &files {
            show(folder, file)?;
            let parents = folder.join(&file.visible);
            let parents = parents.ancestors().skip(1).take_while(|parent| parent.starts_with(folder));
            touched.extend(parents.map(Path::to_owned));
        }
    }
    // Also for files that were renamed before: whoever did it may not have got as far as this.
    touched.iter().rev().try_for_each(|folder| disk::sync_folder(folder))
}

fn show(folder: &Path, file: &PreparedFile) -> Result<()> {
    let (temporary, visible) = (folder.join(&file.temporary), folder.join(&file.visible));
    if let Some(parent) = visible.parent() {
        disk::create_folder(parent)?;
    }
    match disk::rename_new(&temporary, &visible) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::metadata(&visible) {
            Ok(found) if found.len() == file.length => Ok(()),
            Ok(found) => Err(Error::data(format!(
                "{} has {} bytes, but {} were committed to it",
                visible.display(),
                found.len(),
                file.length
            ))
            .with_help("it was changed or damaged behind the commit; restore it from a copy")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::data(format!(
                "committed rows are lost: {} ({} bytes) is neither there nor prepared as {}",
                visible.display(),
                file.length,
                temporary.display()
            ))
            .with_help("files of the sink were removed while its job was not running; restore them from a copy")),
            Err(error) => Err(disk::error("look for", &visible, error)),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Error::environment(format!(
            "cannot show committed rows as {}: there is a file of that name, which is not this job's",
            visible.display()
        ))
        .with_help("move it away; the rows are safe and will be shown when the job is resumed")),
        Err(error) => Err(disk::error("rename a prepared file to", &visible, error)),
    }
}
