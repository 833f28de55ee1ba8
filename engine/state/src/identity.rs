//! The identity of a job that runs in one process, in its state directory.
//!
//! A directory that was copied is another job's from then on: both may run, and neither may take what the other's sinks prepare for its
//! own. A copy is known by its lock file, which is another file than that of the original. Taking a directory for a copy that is none
//! does no harm, as one that was brought back from a backup: what a checkpoint holds is committed under the names that it says.

use weir_core::{JobIdentity, Result};

use crate::{Storage, layout};

/// What a state directory says of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundIdentity {
    /// The job's identity, from now on.
    pub identity: JobIdentity,
    /// The directory was made as a copy of the one of this job.
    pub copied_from: Option<JobIdentity>,
}

/// The identity of the job whose state directory this is, noted durably. `place` tells the directory from its copies
/// ([`StateLock::place`](crate::StateLock::place)); `fresh` is drawn for the case that there is none yet. To be called under the
/// directory's lock.
///
/// # Errors
/// If the directory cannot be read or written.
pub fn identity(storage: &dyn Storage, place: u64, fresh: JobIdentity) -> Result<FoundIdentity> {
    let noted = storage.list(layout::IDENTITIES)?;
    let mut copied_from = None;
    for (identity, noted_at) in noted.iter().filter_map(|path| layout::of_identity(path)) {
        if noted_at == place {
            return Ok(FoundIdentity { identity, copied_from: None });
        }
        copied_from = Some(identity);
    }
    storage.put(&layout::identity(fresh, place), b"drawn\n")?;
    noted.iter().try_for_each(|path| storage.delete(path))?;
    Ok(FoundIdentity { identity: fresh, copied_from })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::LocalStorage;

    fn found(dir: &Path, fresh: u64) -> FoundIdentity {
        let storage = LocalStorage::open(dir).unwrap();
        let lock = storage.lock().unwrap();
        identity(&storage, lock.place().unwrap(), JobIdentity(fresh)).unwrap()
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let to = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &to),
                false => drop(fs::copy(entry.path(), to).unwrap()),
            }
        }
    }

    #[test]
    fn a_directory_keeps_its_identity_when_it_is_moved_and_a_copy_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let (first, moved, copied) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
        let original = FoundIdentity { identity: JobIdentity(1), copied_from: None };
        assert_eq!(found(&first, 1), original);
        assert_eq!(found(&first, 2), original);
        fs::rename(&first, &moved).unwrap();
        assert_eq!(found(&moved, 3), original);
        let lock = moved.join("lock");
        fs::set_permissions(&lock, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if fs::metadata(lock).unwrap().created().is_ok() {
            assert_eq!(found(&moved, 3), original, "other rights make it no other directory");
        }
        copy(&moved, &copied);
        let copy = FoundIdentity { identity: JobIdentity(4), copied_from: Some(JobIdentity(1)) };
        assert_eq!(found(&copied, 4), copy);
        assert_eq!(found(&copied, 5), FoundIdentity { copied_from: None, ..copy }, "it is told once");
        assert_eq!(found(&moved, 6), original);
    }
}
