//! The record up to which epoch a sink's files were made visible. It is written when all of them were found as they were prepared, and
//! before the first one is renamed: from then on a file that is neither prepared nor visible was taken away by a reader, and is no loss.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use weir_core::{Epoch, Result};

use super::disk;
use super::names::Sink;

const MAGIC: &str = "weir-published 1";

/// What is to be made visible: an epoch, and a checksum of what belongs to it. The number alone would not do where a job was taken
/// back behind the loss of its later checkpoints: it counts on from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Publication {
    epoch: Epoch,
    checksum: u32,
}

impl Publication {
    pub(super) fn of(epoch: Epoch, committables: &[Vec<u8>]) -> Self {
        let mut checksum = crc32fast::Hasher::new();
        committables.iter().for_each(|bytes| checksum.update(bytes));
        Self { epoch, checksum: checksum.finalize() }
    }

    /// Whether it is recorded that all of this was found, and is being made visible. Commits are made in order, so the last one
    /// speaks for all before it.
    pub(super) fn is_recorded(&self, folder: &Path, sink: &Sink) -> Result<bool> {
        Ok(Self::last(folder, sink)?.is_some_and(|last| last.includes(self)))
    }

    /// The last one that is recorded.
    pub(super) fn last(folder: &Path, sink: &Sink) -> Result<Option<Self>> {
        let path = folder.join(sink.published());
        match fs::read_to_string(&path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => Ok(None),
            read => Ok(Self::parse(&read.map_err(|error| disk::error("read", &path, error))?)),
        }
    }

    /// Whether a record of this says that `other` was found too.
    pub(super) fn includes(&self, other: &Self) -> bool {
        self.epoch > other.epoch || self == other
    }

    pub(super) fn epoch(self) -> Epoch {
        self.epoch
    }

    /// Records it, durably.
    pub(super) fn record(&self, folder: &Path, sink: &Sink) -> Result<()> {
        let path = folder.join(sink.published());
        // Whoever else commits the same writes the same.
        let fresh = PathBuf::from(format!("{}-{}-{:08x}", path.display(), self.epoch, self.checksum));
        let write = || -> io::Result<()> {
            let mut file = File::create(&fresh)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        match write() {
            // The other one has renamed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_recorded(folder, sink)? => {}
            written => written.map_err(|error| disk::error("write", &path, error))?,
        }
        disk::sync_folder(folder)
    }

    fn text(&self) -> String {
        format!("{MAGIC} {} {:08x}\n", self.epoch, self.checksum)
    }

    fn parse(text: &str) -> Option<Self> {
        let (epoch, checksum) = text.strip_prefix(MAGIC)?.trim().split_once(' ')?;
        Some(Self { epoch: Epoch(epoch.parse().ok()?), checksum: u32::from_str_radix(checksum, 16).ok()? })
    }
}
