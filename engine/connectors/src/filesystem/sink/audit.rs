//! What of a sink's files can be seen by readers.

use std::fs;
use std::io;
use std::path::Path;

use weir_core::Result;
use weir_core::audit::{Audit, AuditedEpoch, AuditedSink, Found, PreparedEpoch};

use super::committable::{self, PreparedFile};
use super::disk;
use super::names::Sink;
use super::publication::Publication;

/// Looks for the files of each epoch by name, and does not read them: that they hold what was written, commits compare.
///
/// # Errors
/// A data error if a committable makes no sense, an environment error if the folder cannot be looked into.
pub(super) fn audit(folder: &Path, audit: &Audit) -> Result<AuditedSink> {
    let sink = Sink::new(audit.job, &audit.uid);
    let mut published = Publication::last(folder, &sink)?;
    let epochs = audit.epochs.iter().map(|prepared| look_at(folder, &sink, prepared, &mut published));
    let epochs = epochs.collect::<Result<_>>()?;
    Ok(AuditedSink {
        target: folder.display().to_string(),
        marker: folder.join(sink.published()).display().to_string(),
        last: published.map(Publication::epoch),
        // The first epoch that has files makes it.
        absent: false,
        epochs,
    })
}

/// `published` is the record as it was read last.
pub(super) fn look_at(
    folder: &Path,
    sink: &Sink,
    prepared: &PreparedEpoch,
    published: &mut Option<Publication>,
) -> Result<AuditedEpoch> {
    let files = committable::decode(folder, &prepared.committables)?;
    let publication = Publication::of(prepared.epoch, &prepared.committables);
    let (mut waiting, mut visible) = (0, 0);
    for PreparedFile { temporary, visible: name, .. } in &files {
        // The hidden name first: a file that is renamed in between is seen under the other one.
        let waits = is_there(folder, temporary)?;
        match is_there(folder, name)? {
            true => visible += 1,
            false => waiting += usize::from(waits),
        }
    }
    let gone = files.len().saturating_sub(waiting + visible);
    let includes = |published: &Option<Publication>| published.is_some_and(|last| last.includes(&publication));
    if gone > 0 && !includes(published) {
        // They may have been made visible since, and taken away by a reader.
        *published = Publication::last(folder, sink)?;
    }
    let may_be_gone = includes(published);
    let found = match (waiting, visible) {
        _ if gone > 0 && !may_be_gone => Found::Unknown,
        (0, _) => Found::Written,
        (_, 0) if gone == 0 => Found::Missing,
        _ => Found::Partly,
    };
    Ok(AuditedEpoch { epoch: prepared.epoch, found, rows: None, files: u64::try_from(files.len()).ok() })
}

fn is_there(folder: &Path, name: &str) -> Result<bool> {
    let path = folder.join(name);
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(disk::error("look for", &path, error)),
    }
}
