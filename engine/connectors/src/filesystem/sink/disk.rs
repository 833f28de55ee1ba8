//! What the sink asks of the filesystem, with errors that name the file.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use weir_core::{Error, Result};

/// An environment error: `cannot <act> <path>`, with advice where there is some.
pub(super) fn error(act: &str, path: &Path, error: io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some("make room on the disk and resume; what was committed is untouched")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("give the user that runs Weir the right to write this folder")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            Some("a sink's 'path' is a folder that it can put its files into")
        }
        _ => None,
    };
    let failed = Error::environment(format!("cannot {act} {}: {error}", path.display())).with_source(error);
    match help {
        Some(help) => failed.with_help(help),
        None => failed,
    }
}

/// Makes a folder and those above it, each durable before something is put into it: files that are synced in a folder whose own name
/// is lost are lost with it.
pub(super) fn create_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    create_folder(parent)?;
    match fs::create_dir(folder) {
        // Somebody else has, just now.
        Err(failed) if failed.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made.map_err(|failed| error("make the folder", folder, failed))?,
    }
    sync_folder(parent)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|failed| error("sync the folder", folder, failed))
}

/// Renames, unless there is a file of the new name already: then the error's kind is `AlreadyExists`.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => link_new(from, to),
        Err(other) => Err(other.into()),
    }
}

/// The same in two steps, for filesystems that cannot do it in one. The link, too, fails if the name is taken; a crash
/// behind it leaves both names for one file.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    if !is_same_file(from, to)? {
        fs::hard_link(from, to)?;
    }
    fs::remove_file(from)
}

/// Whether two names stand for one file.
pub(super) fn is_same_file(left: &Path, right: &Path) -> io::Result<bool> {
    let left = fs::symlink_metadata(left)?;
    match fs::symlink_metadata(right) {
        Ok(right) => Ok(left.dev() == right.dev() && left.ino() == right.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn neither_way_of_renaming_replaces_a_file() {
        type Rename = fn(&Path, &Path) -> io::Result<()>;
        for rename in [rename_new as Rename, link_new as Rename] {
            let folder = tempfile::tempdir().unwrap();
            let (from, to) = (folder.path().join("from"), folder.path().join("to"));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            assert_eq!(rename(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&to).unwrap(), "old");
            fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!((fs::read_to_string(&to).unwrap().as_str(), from.exists()), ("new", false));
            assert_eq!(rename(&from, &to).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_link_that_a_crash_left_half_done_is_completed() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::hard_link(&from, &to).unwrap();
        link_new(&from, &to).unwrap();
        assert_eq!((fs::read_to_string(&to).unwrap().as_str(), from.exists()), ("new", false));
    }
}
