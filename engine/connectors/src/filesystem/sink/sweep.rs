//! Removal of what dead writers have left in a table's folder. What may be decided stays, and so does what a living writer has.

use std::fs;
use std::io;
use std::path::Path;

use weir_core::connector::SinkContext;
use weir_core::{Attempt, Epoch, Result};

use super::disk;
use super::names::{Fields, HIDDEN, IN_PROGRESS, LOCK, PREPARED, Sink};
use super::workplace::{is_dead, list};

/// Removes files in progress that nobody is writing any more, of any job: nothing names them. Of this sink also what it had prepared
/// in earlier attempts behind the checkpoint that this one has begun from: these attempts are fenced, and complete no other.
pub(super) fn sweep(folder: &Path, context: &SinkContext) -> Result<()> {
    let sink = Sink::new(context.job, &context.uid);
    let own = sink.hidden() + "-";
    let is_older = |fields: &Fields| fields.attempt < context.attempt;
    for name in list(folder)? {
        if !name.starts_with(HIDDEN) {
            continue;
        }
        let of_own = |ending: &str| Fields::parse(name.strip_prefix(&own)?.strip_suffix(ending)?);
        let removed = if let Some(live) = name.strip_suffix(LOCK) {
            // Where the filesystem has no locks, only the attempt tells that a writer is gone.
            let otherwise = of_own(LOCK).as_ref().is_some_and(is_older);
            is_dead(&folder.join(&name), otherwise)
                .and_then(|is_dead| if is_dead { remove_live(folder, live) } else { Ok(()) })
        } else if let Some(fields) = of_own(PREPARED).filter(is_older)
            && fields.epoch > Some(context.epoch)
        {
            remove_prepared(folder, &name, &fields, &sink)
        } else {
            Ok(())
        };
        tolerate_gone(folder, &name, removed)?;
    }
    Ok(())
}

/// Removes all hidden files of a sink whose job was deleted, or, of one that has ended, what it had prepared behind an epoch: no
/// checkpoint will name it any more.
pub(super) fn discard(folder: &Path, sink: &Sink, behind: Option<(Attempt, Epoch)>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let own = sink.hidden();
    for name in list(folder)? {
        let Some(rest) = name.strip_prefix(&own) else { continue };
        let is_useless = match behind {
            None => rest.starts_with(['-', '.']),
            Some((attempt, epoch)) => rest
                .strip_prefix('-')
                .and_then(|rest| Fields::parse(rest.strip_suffix(PREPARED)?))
                .is_some_and(|fields| fields.attempt <= attempt && fields.epoch > Some(epoch)),
        };
        if is_useless {
            tolerate_gone(folder, &name, fs::remove_file(folder.join(&name)))?;
        }
    }
    Ok(())
}

/// What a writer has that is still alive is left to a later sweep: it may have been replaced and not know it yet, and it may be that of
/// another job, if all that tells the two apart was copied with a disk.
fn remove_prepared(folder: &Path, name: &str, fields: &Fields, sink: &Sink) -> io::Result<()> {
    match is_dead(&folder.join(fields.lock(sink)), true) {
        Ok(false) => Ok(()),
        Ok(true) => fs::remove_file(folder.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => fs::remove_file(folder.join(name)),
        Err(error) => Err(error),
    }
}

/// Removes the files in progress under a live name, and then, last, the lock that says whose they are.
pub(super) fn remove_live(folder: &Path, live: &str) -> io::Result<()> {
    let beginning = format!("{live}-");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&beginning) && name.ends_with(IN_PROGRESS)) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(format!("{live}{LOCK}")))
}

/// Two may sweep at the same time.
fn tolerate_gone(folder: &Path, name: &str, removed: io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(disk::error("remove what an earlier execution left:", &folder.join(name), error))
        }
        _ => Ok(()),
    }
}
