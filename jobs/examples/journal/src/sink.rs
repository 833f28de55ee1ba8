//! A journal: a folder with a file for each epoch, which is there as a whole or not at all.
//!
//! ```text
//!   FOLDER/WRITER.17.journal   balances of epoch 17
//!   FOLDER/.WRITER.17.0.tmp    one on its way
//! ```

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use weir_jobs::prelude::*;

use crate::Balance;

/// Writes a journal.
#[derive(Debug, Clone)]
pub struct JournalSink {
    folder: PathBuf,
}

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
        std::fs::create_dir_all(&self.folder).map_err(failed)?;
        // Others may write the same epoch at the same time, and in containers they have the same number of a process.
        let (other, file) = self.create(commit).map_err(failed)?;
        let mut file = BufWriter::new(file);
        for balance in commit {
            let Balance { account, number, cents } = balance?;
            writeln!(file, "{account} {number} {cents}").map_err(failed)?;
        }
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)?;
        // Another process may have been faster: with the same rows, so that it makes no difference.
        std::fs::rename(&other, path).map_err(failed)?;
        self.sync().map_err(failed)
    }

    /// A file that nobody else has.
    fn create(&self, commit: &Commit<'_, Balance>) -> io::Result<(PathBuf, File)> {
        let mut number = 0;
        loop {
            let path = self.folder.join(format!(".{}.{}.{number}.tmp", commit.writer(), commit.epoch()));
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                created => return created.map(|file| (path, file)),
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }
}

impl Sink for JournalSink {
    type Row = Balance;

    fn commit(&self, commit: &mut Commit<'_, Balance>) -> Result<()> {
        let path = self.folder.join(format!("{}.{}.journal", commit.writer(), commit.epoch()));
        match path.exists() {
            // Who has written it may have died before that was durable.
            true => self.sync().map_err(|error| Error::environment("a folder cannot be synced").with_source(error)),
            false => self.write(&path, commit),
        }
    }

    fn last_epoch(&self, writer: &str) -> Result<LastEpoch> {
        let files = match self.folder.read_dir() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(LastEpoch::None),
            files => files.map_err(|error| Error::environment("the folder cannot be read").with_source(error))?,
        };
        let epochs = files.flatten().filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            name.strip_prefix(writer)?.strip_prefix('.')?.strip_suffix(".journal")?.parse().ok()
        });
        Ok(epochs.max().map_or(LastEpoch::None, LastEpoch::Is))
    }
}
