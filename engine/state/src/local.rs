//! Checkpoints in a folder of the local file system.
//!
//! ```text
//!   DIR/lock           held by the run that uses the folder
//!   DIR/tmp/           files being written, each locked by its writer; what others have left is swept away
//!   DIR/<object path>  linked into place when its bytes are on disk
//! ```
//!
//! An object is written to `tmp/`, synced, and hard-linked to its name, which fails if the name is taken; then the
//! folder is synced. So an object is there as a whole or not at all, also after power loss.

mod object;
mod temporary;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use weir_core::{Error, Result, hash};

use self::object::LocalObject;
use self::temporary::Temporary;
use crate::storage::{check_path, too_short};
use crate::{ObjectWriter, Storage};

const LOCK_FILE: &str = "lock";
const TEMPORARY_FOLDER: &str = "tmp";

/// A folder as [`Storage`].
#[derive(Debug)]
pub struct LocalStorage {
    root: PathBuf,
}

/// The right to use a folder. Ends when it is dropped, and with the process, however that ends.
#[derive(Debug)]
pub struct StateLock {
    /// The lock belongs to the open file.
    file: File,
}

impl StateLock {
    /// What tells this folder from copies of it, also in other filesystems; it stays as it is when the folder is moved.
    ///
    /// # Errors
    /// If the folder cannot be looked at any more.
    pub fn place(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|error| failed("look at", Path::new(LOCK_FILE), error))?;
        // When it was made, which a copy cannot take with it. Where the filesystem does not know that, when it was changed last: nothing
        // changes it but a new owner or new rights.
        let made = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let (seconds, nanos) = match made {
            Some(made) => (made.as_secs(), u64::from(made.subsec_nanos())),
            None => (metadata.ctime().cast_unsigned(), metadata.ctime_nsec().cast_unsigned()),
        };
        let words = [metadata.ino(), seconds, nanos];
        Ok(words.into_iter().fold(0, |place, word| hash::mix(place ^ word)))
    }
}

impl LocalStorage {
    /// Uses the folder `dir`, creating it if need be.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let given = dir.as_ref();
        // Errors name absolute paths: the reader may be in another folder than the job.
        let root = std::path::absolute(given).map_err(|error| failed("resolve", given, error))?;
        create_folder(&root)?;
        Ok(Self { root })
    }

    /// Makes sure that no other run uses the folder, for as long as the result lives, and removes what a run that died
    /// was writing.
    ///
    /// # Errors
    /// An environment error if another run uses it.
    pub fn lock(&self) -> Result<StateLock> {
        let path = self.root.join(LOCK_FILE);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed("open", &path, error))?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|errno| {
            if errno == rustix::io::Errno::WOULDBLOCK {
                Error::environment(format!("another run is using the state folder {}", self.root.display()))
                    .with_help("wait until it ends, stop it, or give this run a folder of its own with --state-dir")
            } else {
                failed("lock", &path, errno.into())
            }
        })?;
        self.remove_temporary_files()?;
        Ok(StateLock { file })
    }

    fn remove_temporary_files(&self) -> Result<()> {
        let folder = self.root.join(TEMPORARY_FOLDER);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| failed("list", &folder, error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| failed("list", &folder, error))?.path();
            fs::remove_file(&path).map_err(|error| failed("delete", &path, error))?;
        }
        Ok(())
    }

    /// The file of an object.
    fn file(&self, path: &str) -> Result<PathBuf> {
        check_path(path)?;
        if path == LOCK_FILE || path.split('/').next() == Some(TEMPORARY_FOLDER) {
            return Err(Error::internal(format!("'{path}' is no object path: the folder needs the name itself")));
        }
        Ok(self.root.join(path))
    }

    fn temporary(&self) -> Result<Temporary> {
        let folder = self.root.join(TEMPORARY_FOLDER);
        create_folder(&folder)?;
        Temporary::create(&folder)
    }

    fn walk(&self, folder: &Path, prefix: &str, found: &mut Vec<String>) -> Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(|error| failed("list", folder, error))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", folder, error))?;
            let path = entry.path();
            let Some(name) = self.object_path(&path) else { continue };
            let kind = entry.file_type().map_err(|error| failed("look at", &path, error))?;
            if kind.is_dir() {
                let inside = format!("{name}/");
                if name != TEMPORARY_FOLDER && (inside.starts_with(prefix) || prefix.starts_with(&inside)) {
                    self.walk(&path, prefix, found)?;
                }
            } else if name != LOCK_FILE && name.starts_with(prefix) {
                found.push(name);
            }
        }
        Ok(())
    }

    /// `None` for a name that is not Unicode: no object of ours.
    fn object_path(&self, file: &Path) -> Option<String> {
        let relative = file.strip_prefix(&self.root).ok()?;
        let parts: Option<Vec<&str>> = relative.components().map(|part| part.as_os_str().to_str()).collect();
        Some(parts?.join("/"))
    }
}

impl Storage for LocalStorage {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let mut object = LocalObject::begin(self, path)?;
        object.write_all(bytes)?;
        object.finish()
    }

    fn create<'a>(&'a self, path: &str) -> Result<Box<dyn ObjectWriter + 'a>> {
        Ok(Box::new(object::Buffered::new(LocalObject::begin(self, path)?)))
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.file(path)?;
        fs::read(&file).map_err(|error| failed("read", &file, error))
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        let path = self.file(path)?;
        let fail = |error| failed("read", &path, error);
        let mut file = File::open(&path).map_err(fail)?;
        let size = file.metadata().map_err(fail)?.len();
        // Checked before memory is taken: the numbers may come from a damaged manifest.
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Err(too_short(&path.display().to_string(), size, offset, length));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        let capacity = usize::try_from(length).map_err(|_| Error::internal("a range is larger than memory"))?;
        bytes.reserve_exact(capacity);
        file.take(length).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() < capacity {
            return Err(Error::data(format!("{} became shorter while it was read", path.display())));
        }
        Ok(bytes)
    }

    fn length(&self, path: &str) -> Result<u64> {
        let path = self.file(path)?;
        Ok(path.metadata().map_err(|error| failed("read", &path, error))?.len())
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        let mut found = Vec::new();
        self.walk(&self.root, prefix, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    fn delete(&self, path: &str) -> Result<()> {
        let file = self.file(path)?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| failed("delete", &file, error)),
        }
    }

    fn sweep(&self) -> Result<()> {
        temporary::sweep(&self.root.join(TEMPORARY_FOLDER))
    }

    fn vacate(&self) -> Result<()> {
        self.remove_temporary_files()?;
        remove_folders(&self.root)
    }

    fn locate(&self, path: &str) -> String {
        self.root.join(path).display().to_string()
    }
}

/// Creates a folder and those above it, each durable before something is put into it: files that are synced in a folder whose own
/// name is lost are lost with it.
///
/// # Errors
/// An environment error if it cannot be created.
pub fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created.map_err(|error| failed("create", path, error)),
    }?;
    parent.map_or(Ok(()), sync_folder)
}

/// Removes a folder and those in it, in none of which there may be a file.
fn remove_folders(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| failed("list", path, error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", path, error))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_folders(&entry.path())?;
        }
    }
    fs::remove_dir(path).or_else(gone).map_err(|error| failed("delete the folder", path, error))
}

/// What somebody else has removed is removed.
fn gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn sync_folder(path: &Path) -> Result<()> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync", path, error))
}

fn taken(path: &Path) -> Error {
    Error::environment(format!("{} exists already and holds something else", path.display()))
        .with_help("state folders are written by one job only: give this run another --state-dir, or this cluster another --storage")
}

fn failed(action: &str, path: &Path, error: io::Error) -> Error {
    let help = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some("free some space on that disk"),
        io::ErrorKind::PermissionDenied => Some("give this user the right to read and write there"),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose a folder that can be written, with --state-dir, or in a cluster --storage")
        }
        _ => None,
    };
    let failure = Error::environment(format!("cannot {action} {}", path.display())).with_source(error);
    match help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

#[cfg(test)]
mod tests;
