//! A sink subtask's own corner of the table's folder: names that are its alone, a lock that says it is alive, and the
//! removal of what the dead have left.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use weir_core::connector::SinkContext;
use weir_core::{Epoch, Result};

use super::disk;

const LOCK: &str = "lock";
const IN_PROGRESS: &str = "inprogress";
const PREPARED: &str = "prepared";

/// Names of one live sink subtask. Dropping it removes what was in progress.
#[derive(Debug)]
pub(super) struct Workplace {
    folder: PathBuf,
    context: SinkContext,
    uid: String,
    /// Tells sinks of the same attempt and subtask apart: of two runs that know nothing of each other, or of one that
    /// died.
    instance: u64,
    next: u64,
    /// Held as long as this lives.
    _lock: File,
}

impl Workplace {
    /// Makes the folder if need be, and a place in it.
    pub(super) fn open(folder: PathBuf, context: SinkContext) -> Result<Self> {
        disk::create_folder(&folder)?;
        let uid = file_name_of(&context.uid.0);
        // Once per execution is enough, and two that sweep at the same time would get into each other's way.
        if context.subtask == 0 {
            sweep(&folder, &uid, &context)?;
        }
        for instance in 0.. {
            let path = folder.join(format!("{}.{LOCK}", live_name(&uid, &context, instance)));
            match take_lock(&path) {
                Ok(Some(lock)) => return Ok(Self { folder, context, uid, instance, next: 0, _lock: lock }),
                Ok(None) => {}
                Err(error) => return Err(disk::error("make a file in", &folder, error)),
            }
        }
        unreachable!("there are more instances than files")
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn context(&self) -> &SinkContext {
        &self.context
    }

    /// The sink's identity as it stands in the names of files.
    pub(super) fn uid(&self) -> &str {
        &self.uid
    }

    /// Begins a file.
    pub(super) fn create(&mut self) -> Result<(File, PathBuf)> {
        loop {
            let name = format!("{}-{}.{IN_PROGRESS}", live_name(&self.uid, &self.context, self.instance), self.next);
            self.next += 1;
            let path = self.folder.join(name);
            match File::create_new(&path) {
                Ok(file) => return Ok((file, path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(disk::error("make the file", &path, error)),
            }
        }
    }

    /// Gives a finished file the name that its committable will have; returns that name.
    pub(super) fn prepare(&mut self, in_progress: &Path, epoch: Epoch) -> Result<String> {
        loop {
            let SinkContext { subtask, attempt, .. } = self.context;
            let (uid, instance) = (&self.uid, self.instance);
            let name = format!(".weir-{uid}-e{epoch}-a{attempt}-s{subtask}-{instance}-{}.{PREPARED}", self.next);
            self.next += 1;
            match disk::rename_new(in_progress, &self.folder.join(&name)) {
                Ok(()) => return Ok(name),
                // Left by another run of the same query that did not get to commit it, and may still do so.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(disk::error("rename", in_progress, error)),
            }
        }
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let own = live_name(&self.uid, &self.context, self.instance);
        // What cannot be removed now is swept up when the next one opens.
        let _ = remove_live(&self.folder, &own);
    }
}

fn live_name(uid: &str, context: &SinkContext, instance: u64) -> String {
    format!(".weir-{uid}-a{}-s{}-{instance}", context.attempt, context.subtask)
}

/// A sink's identity without what cannot be in the name of a file.
fn file_name_of(uid: &str) -> String {
    uid.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// `None`: somebody else has it.
fn take_lock(path: &Path) -> io::Result<Option<File>> {
    let file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match file.try_lock() {
        // Between making and locking it, another one's sweep may have removed it.
        Ok(()) => Ok((file.metadata()?.nlink() > 0).then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        // A filesystem without locks: the name alone has to do.
        Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Removes what dead executions of the sink `uid` have left.
fn sweep(folder: &Path, uid: &str, context: &SinkContext) -> Result<()> {
    let beginning = format!(".weir-{uid}-");
    for name in names(folder)? {
        let Some(rest) = name.strip_prefix(&beginning) else { continue };
        let gone = if let Some(live) = rest.strip_suffix(&format!(".{LOCK}")) {
            let older = fields(live).is_some_and(|fields| fields.attempt < context.attempt.0);
            match is_dead(&folder.join(&name), older) {
                Ok(true) => remove_live(folder, name.trim_end_matches(&format!(".{LOCK}"))),
                Ok(false) => Ok(()),
                Err(error) => Err(error),
            }
        } else if let Some(prepared) = rest.strip_suffix(&format!(".{PREPARED}")) {
            match fields(prepared) {
                // Older attempts are fenced: they complete no checkpoint any more, and the last that they completed is
                // the one that this attempt has begun from.
                Some(Fields { attempt, epoch: Some(epoch) })
                    if attempt < context.attempt.0 && epoch > context.epoch.0 =>
                {
                    fs::remove_file(folder.join(&name))
                }
                _ => Ok(()),
            }
        } else {
            Ok(())
        };
        match gone {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(disk::error("remove what an earlier execution left:", &folder.join(&name), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether nobody holds this lock any more; `otherwise` where the filesystem has no locks.
fn is_dead(lock: &Path, otherwise: bool) -> io::Result<bool> {
    match File::open(lock)?.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(_)) => Ok(otherwise),
    }
}

/// Removes the files in progress under a live name, and then, last, the lock that says whose they are.
fn remove_live(folder: &Path, live: &str) -> io::Result<()> {
    let (beginning, end) = (format!("{live}-"), format!(".{IN_PROGRESS}"));
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with(&beginning) && name.ends_with(&end)) {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_file(folder.join(format!("{live}.{LOCK}")))
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    list().map_err(|error| disk::error("list the folder", folder, error))
}

/// What the name of a file says behind the sink's identity.
struct Fields {
    attempt: u64,
    epoch: Option<u64>,
}

/// `[e<epoch>-]a<attempt>-s<subtask>-<instance>[-<n>]`, or `None` for the name of something else.
fn fields(name: &str) -> Option<Fields> {
    let mut words = name.split('-').peekable();
    let epoch = words.next_if(|word| word.starts_with('e')).map(|word| word[1..].parse()).transpose().ok()?;
    let attempt = words.next()?.strip_prefix('a')?.parse().ok()?;
    words.next()?.strip_prefix('s')?.parse::<u64>().ok()?;
    words.all(|word| word.parse::<u64>().is_ok()).then_some(Fields { attempt, epoch })
}
