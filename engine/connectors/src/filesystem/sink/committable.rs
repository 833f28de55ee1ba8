//! What a sink gives to a checkpoint, and how any process finishes it later.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_core::connector::Commit;
use weir_core::{Error, Result};

use super::disk;
use super::names::Sink;
use super::publication::Publication;

/// Bytes that are read at a time to compare a checksum.
const BLOCK: usize = 256 << 10;

/// A file that is durable but not visible yet. Names are relative to the table's folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreparedFile {
    /// Its hidden name.
    pub temporary: String,
    /// Its name for readers.
    pub visible: String,
    /// Its length in bytes.
    pub length: u64,
    /// The CRC-32 of its bytes; absent in committables of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<u32>,
}

/// The bytes of a committable: a JSON list.
pub(super) fn encode(files: &[PreparedFile]) -> Result<Vec<u8>> {
    serde_json::to_vec(files).map_err(|error| Error::internal("a committable cannot be written").with_source(error))
}

/// The files of all subtasks.
pub(super) fn decode(folder: &Path, committables: &[Vec<u8>]) -> Result<Vec<PreparedFile>> {
    let mut files: Vec<PreparedFile> = Vec::new();
    for bytes in committables {
        let of_subtask: Vec<PreparedFile> = serde_json::from_slice(bytes).map_err(|error| {
            Error::data(format!("a committable for {} cannot be read", folder.display())).with_source(error)
        })?;
        files.extend(of_subtask);
    }
    Ok(files)
}

/// Makes the files visible and durable under their final names, if all of them are as they were prepared.
///
/// 1. Each is found, prepared or visible, with the bytes that were written; else nothing becomes visible that was not before.
/// 2. That they are published is recorded. Done before, 1 lets a file be missing: a reader has taken it.
/// 3. They are renamed. Any number of processes may do that at the same time.
pub(super) fn commit(folder: &Path, commit: &Commit) -> Result<()> {
    let files = decode(folder, &commit.committables)?;
    if files.is_empty() {
        return Ok(());
    }
    disk::create_folder(folder)?;
    let sink = Sink::new(commit.job, &commit.uid);
    let publication = Publication::of(commit.epoch, &commit.committables);
    let is_recorded = publication.is_recorded(folder, &sink)?;
    for file in &files {
        check(folder, file, is_recorded)?;
    }
    if !is_recorded {
        publication.record(folder, &sink)?;
    }
    let mut touched = BTreeSet::from([folder.to_owned()]);
    for file in &files {
        show(folder, file)?;
        let parents = folder.join(&file.visible);
        let parents = parents.ancestors().skip(1).take_while(|parent| parent.starts_with(folder));
        touched.extend(parents.map(Path::to_owned));
    }
    // Also for files that were renamed before: whoever did it may not have got as far as this.
    touched.iter().rev().try_for_each(|folder| disk::sync_folder(folder))
}

/// Whether a file is there as it was written. With `may_be_gone` it need not be.
fn check(folder: &Path, file: &PreparedFile, may_be_gone: bool) -> Result<()> {
    let (temporary, visible) = (folder.join(&file.temporary), folder.join(&file.visible));
    if compare(&temporary, file)? {
        return match fs::symlink_metadata(&visible) {
            Ok(_) if !disk::is_same_file(&temporary, &visible).unwrap_or(false) => Err(in_the_way(&visible)),
            _ => Ok(()),
        };
    }
    // What is visible belongs to its readers, once it is known that all of it was.
    if may_be_gone || compare(&visible, file)? {
        return Ok(());
    }
    Err(Error::data(format!(
        "committed rows are lost: {} ({} bytes) is neither there nor prepared as {}",
        visible.display(),
        file.length,
        temporary.display()
    ))
    .with_help("prepared files were removed before they were made visible; restore them from a copy"))
}

/// Compares the file at `path` with what was written; whether it is there.
fn compare(path: &Path, written: &PreparedFile) -> Result<bool> {
    let failed = |error| disk::error("read", path, error);
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened.map_err(failed)?,
    };
    let damaged = |what: String| {
        Err(Error::data(format!("{} was damaged behind Weir's back: {what}", path.display()))
            .with_help("none of its rows became visible; bring the file back from a copy, and they will"))
    };
    let length = file.metadata().map_err(failed)?.len();
    if length != written.length {
        return damaged(format!("it has {length} bytes, and {} were written", written.length));
    }
    let Some(expected) = written.crc32 else { return Ok(true) };
    let (mut checksum, mut block) = (crc32fast::Hasher::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => checksum.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let found = checksum.finalize();
    if found != expected {
        return damaged(format!("its bytes have the checksum {found:08x}, and those that were written {expected:08x}"));
    }
    Ok(true)
}

fn show(folder: &Path, file: &PreparedFile) -> Result<()> {
    let (temporary, visible) = (folder.join(&file.temporary), folder.join(&file.visible));
    if let Some(parent) = visible.parent() {
        disk::create_folder(parent)?;
    }
    match disk::rename_new(&temporary, &visible) {
        Ok(()) => Ok(()),
        // Shown before: by an earlier commit, or by one that goes on elsewhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(in_the_way(&visible)),
        Err(error) => Err(disk::error("rename a prepared file to", &visible, error)),
    }
}

fn in_the_way(visible: &Path) -> Error {
    Error::environment(format!(
        "cannot show committed rows as {}: there is a file of that name, which is not this job's",
        visible.display()
    ))
    .with_help("move it away; the rows are safe and will be shown when the job is resumed")
}
