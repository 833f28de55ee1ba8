//! Results that an earlier job of the same query has left in a table: a new one adds its own, and every row is there twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use weir_core::{JobIdentity, OperatorUid, Result};

use super::disk;
use super::names::Sink;

/// A visible file of a job that has the same sink; `None` if there is none, or the folder cannot be seen from here.
pub(super) fn earlier_results(folder: &Path, uid: &OperatorUid) -> Result<Option<PathBuf>> {
    // Of whichever job: a new one has none yet.
    let (beginning, _) = Sink::new(JobIdentity::default(), uid).visible();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = |error| disk::error("list the folder", &folder, error);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&beginning) {
                return Ok(Some(entry.path()));
            }
            // Rows of partitions are in folders such as `day=2013-01-31`.
            if name.contains('=') && entry.file_type().map_err(failed)?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(None)
}
