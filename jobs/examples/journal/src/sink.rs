//! A journal: a folder with a file for each epoch, which is there as a whole or not at all.
//!
//! ```text
//!   FOLDER/WRITER.17.journal   balances of epoch 17
//!   FOLDER/.1234-1.tmp         one on its way
//! ```

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_jobs::prelude::*;

use crate::Balance;

/// Writes a journal.
#[derive(Debug, Clone)]
pub struct JournalSink {
    folder: PathBuf,
}

/// Numbers files on their way: two commits may be made at once, also of one epoch.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

impl JournalSink {
    /// The journal in this folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// All balances in the journal, in no particular order.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn balances(folder: &Path) -> std::io::Result<Vec<Balance>> {
        let mut balances = Vec::new();
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "journal") {
                let text = std::fs::read_to_string(path)?;
                balances.extend(text.lines().filter_map(|line| {
                    let (account, rest) = line.split_once(' ')?;
                    let (number, cents) = rest.split_once(' ')?;
                    Some(Balance { account: account.into(), number: number.parse().ok()?, cents: cents.parse().ok()? })
                }));
            }
        }
        Ok(balances)
    }

    fn write(&self, path: &Path, commit: &mut Commit<'_, Balance>) -> Result<()> {
        let failed = |error| Error::environment(format!("{} cannot be written", path.display())).with_source(error);
        let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
        let other = self.folder.join(format!(".{}-{number}.tmp", process::id()));
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        let mut file = BufWriter::new(File::create(&other).map_err(failed)?);
        for balance in commit {
            let Balance { account, number, cents } = balance?;
            writeln!(file, "{account} {number} {cents}").map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        // Another process may have been faster: with the same rows, so that it makes no difference.
        std::fs::rename(&other, path).map_err(failed)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

impl Sink for JournalSink {
    type Row = Balance;

    fn commit(&self, commit: &mut Commit<'_, Balance>) -> Result<()> {
        let path = self.folder.join(format!("{}.{}.journal", commit.writer(), commit.epoch()));
        match path.exists() {
            true => Ok(()),
            false => self.write(&path, commit),
        }
    }

    fn last_epoch(&self, writer: &str) -> Result<LastEpoch> {
        let Ok(files) = self.folder.read_dir() else { return Ok(LastEpoch::None) };
        let epochs = files.flatten().filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            name.strip_prefix(writer)?.strip_prefix('.')?.strip_suffix(".journal")?.parse().ok()
        });
        Ok(epochs.max().map_or(LastEpoch::None, LastEpoch::Is))
    }
}
