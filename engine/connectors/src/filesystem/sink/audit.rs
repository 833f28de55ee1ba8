//! What of a sink's files can be seen by readers.

use std::fs;
use std::path::Path;

use weir_core::Result;
use weir_core::audit::{Audit, AuditedEpoch, AuditedSink, Found, PreparedEpoch};

use super::committable::{self, PreparedFile};
use super::names::Sink;
use super::publication::Publication;

/// Looks for the files of each epoch by name, and does not read them: that they hold what was written, commits compare.
///
/// # Errors
/// A data error if a committable makes no sense, an environment error if the folder cannot be looked into.
pub(super) fn audit(folder: &Path, audit: &Audit) -> Result<AuditedSink> {
    let sink = Sink::new(audit.job, &audit.uid);
    let published = Publication::last(folder, &sink)?;
    let epochs = audit.epochs.iter().map(|prepared| look_at(folder, prepared, published));
    Ok(AuditedSink {
        target: folder.display().to_string(),
        marker: folder.join(sink.published()).display().to_string(),
        last: published.map(Publication::epoch),
        epochs: epochs.collect::<Result<_>>()?,
    })
}

fn look_at(folder: &Path, prepared: &PreparedEpoch, published: Option<Publication>) -> Result<AuditedEpoch> {
    let files = committable::decode(folder, &prepared.committables)?;
    let publication = Publication::of(prepared.epoch, &prepared.committables);
    let may_be_gone = published.is_some_and(|last| last.includes(&publication));
    let is_there = |name: &str| fs::symlink_metadata(folder.join(name)).is_ok();
    // The hidden name first: a file that is renamed in between is seen under the other one.
    let waits = |file: &&PreparedFile| is_there(&file.temporary) && !is_there(&file.visible);
    let is_visible = |file: &&PreparedFile| is_there(&file.visible);
    let waiting = files.iter().filter(waits).count();
    let visible = files.iter().filter(is_visible).count();
    let gone = files.len().saturating_sub(waiting + visible);
    let found = match (waiting, visible) {
        _ if gone > 0 && !may_be_gone => Found::Unknown,
        (0, _) => Found::Written,
        (_, 0) if gone == 0 => Found::Missing,
        _ => Found::Partly,
    };
    Ok(AuditedEpoch { epoch: prepared.epoch, found, rows: None, files: u64::try_from(files.len()).ok() })
}
