//! Manifests in their storage: the commit point of a checkpoint, and from where to go on after a restart.
//!
//! ```text
//!   1  runs are put                                    nothing names them: without 2 they are orphans
//!   2  write(manifest)                                 from here the epoch's results are decided, if it counts
//!   3  Connector::commit for each sink                 idempotent, in order of epochs
//!   4  acknowledge_commit(epoch)                       the manifest may retire
//! ```
//!
//! # After a restart
//!
//! [`latest`](Checkpoints::latest) is where the job goes on. Between 2 and 4 the process may have died at any point:
//! so everything in [`uncommitted`](Checkpoints::uncommitted) is committed (again) before the job starts.
//!
//! # When the newest checkpoint is damaged
//!
//! Going on from an older one, the job makes the results of the epochs between once more. That is only right if none
//! of the first ones became visible. A missing acknowledgement does not show that: the process may have died between
//! 3 and 4. What shows it is a manifest that can be read and holds nothing to commit. So a checkpoint is passed over
//! if its manifest is readable, without committables, and only its runs are damaged. In all other cases, above all if
//! the manifest itself is damaged, the answer is an error, and a person decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_core::{Attempt, Epoch, Error, ErrorKind, Result};

use crate::retention::{self, Retained, Retirement};
use crate::{Manifest, Storage, layout, run};

/// The checkpoints of one job in its storage.
#[derive(Clone)]
pub struct Checkpoints {
    storage: Arc<dyn Storage>,
    retained: Arc<Mutex<Retained>>,
    known: Arc<Mutex<Known>>,
}

/// What decides on which checkpoints are kept.
#[derive(Default)]
struct Known {
    /// Whether those of earlier executions are among them.
    loaded: bool,
    /// The last epoch whose commit was acknowledged. Commits are made in order, so it speaks for all before it: also for a manifest
    /// that turns up late, when a later one has what it has.
    committed: Option<Epoch>,
    notes: BTreeMap<Epoch, Note>,
}

struct Note {
    savepoint: bool,
    has_committables: bool,
}

impl Known {
    /// Paths of the manifests that stay.
    fn kept(&self, keep: usize) -> BTreeSet<String> {
        let stays = |(age, (epoch, note)): &(usize, (&Epoch, &Note))| {
            let waits = note.has_committables && Some(**epoch) > self.committed;
            *age < keep.max(1) || note.savepoint || waits
        };
        let newest_first = self.notes.iter().rev().enumerate();
        newest_first.filter(stays).map(|(_, (epoch, _))| layout::manifest(*epoch)).collect()
    }
}

impl Checkpoints {
    /// The checkpoints in `storage`.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, retained: Arc::default(), known: Arc::default() }
    }

    /// The storage, for the files of runs.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Begins an execution of the job: a number that no execution had before, noted durably. To be called under the
    /// storage's lock, before anything is written.
    ///
    /// # Errors
    /// If the storage cannot be read or written.
    pub fn begin_attempt(&self) -> Result<Attempt> {
        let taken = self.storage.list(layout::ATTEMPTS)?;
        let last = taken.iter().filter_map(|path| layout::attempt_of(path)).max().unwrap_or_default();
        let attempt = Attempt(last.0 + 1);
        self.storage.put(&layout::attempt(attempt), b"begun\n")?;
        Ok(attempt)
    }

    /// Completes a checkpoint, whose runs are in the storage already. On return it is durable, and its results decided.
    /// May be called again with the same manifest.
    ///
    /// # Errors
    /// If it could not be written. It is then not known whether it is there. The job can go on if its next checkpoint
    /// contains what this one should have, captures and committables: should both be found after a restart, the
    /// committables are committed twice, which does no harm.
    pub fn write(&self, manifest: &Manifest) -> Result<()> {
        self.storage.put(&layout::manifest(manifest.epoch), &manifest.to_bytes()?)?;
        self.note(manifest);
        Ok(())
    }

    /// The manifest of one epoch.
    ///
    /// # Errors
    /// A data error if it is damaged, an environment error if it cannot be read.
    pub fn read(&self, epoch: Epoch) -> Result<Manifest> {
        Manifest::load(&*self.storage, &layout::manifest(epoch), epoch)
    }

    /// Epochs of all manifests, readable or not, in ascending order.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn epochs(&self) -> Result<Vec<Epoch>> {
        let paths = self.storage.list(layout::CHECKPOINTS)?;
        Ok(paths.iter().filter_map(|path| layout::epoch_of_manifest(path)).collect())
    }

    /// The last number that an epoch has had; new epochs are counted on from here. Greater than the epoch of
    /// [`latest`](Self::latest) if a damaged checkpoint was passed over.
    ///
    /// # Errors
    /// If the storage cannot be read.
    pub fn last_epoch(&self) -> Result<Epoch> {
        Ok(self.epochs()?.last().copied().unwrap_or_default())
    }

    /// The checkpoint to go on from: the newest whose files are all there and undamaged. See the head of this module
    /// for when a damaged one is passed over. Reads every byte of the checkpoint. `None` if there is none.
    ///
    /// # Errors
    /// A data error that names the file if the newest checkpoint is damaged and its results may have been committed.
    pub fn latest(&self) -> Result<Option<Manifest>> {
        let mut passed_over: Option<Error> = None;
        for epoch in self.epochs()?.into_iter().rev() {
            let manifest = self.read(epoch).map_err(|error| self.advise(error, epoch))?;
            match self.verify(&manifest) {
                Ok(()) => return Ok(Some(manifest)),
                Err(error) if error.kind() == ErrorKind::Data && !manifest.has_committables() => {
                    passed_over.get_or_insert(error);
                }
                Err(error) => return Err(self.advise(error, epoch)),
            }
        }
        // Older checkpoints have retired with their results committed: to begin anew would double them.
        match passed_over {
            None => Ok(None),
            Some(error) => Err(error.context("no checkpoint is left to go on from").with_help(
                "bring the file back from a copy; or start afresh in another --state-dir, or in a cluster as another job: results \
                 that are out come out once more then",
            )),
        }
    }

    /// Checks that all runs of a checkpoint are there and undamaged.
    ///
    /// # Errors
    /// A data error that names the file.
    pub fn verify(&self, manifest: &Manifest) -> Result<()> {
        let files = self.storage.list(layout::RUNS)?;
        for run in manifest.runs() {
            if files.binary_search(&run.file).is_err() {
                return Err(Error::data(format!(
                    "{} is missing: checkpoint {} needs it",
                    self.storage.locate(&run.file),
                    manifest.epoch
                )));
            }
            run::verify(&*self.storage, run)?;
        }
        Ok(())
    }

    /// Notes that all sinks have committed an epoch, also if there was nothing to commit. Durable on return; may be
    /// repeated.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn acknowledge_commit(&self, epoch: Epoch) -> Result<()> {
        self.storage.put(&layout::commit(epoch), b"committed\n")?;
        self.note_commit(epoch);
        Ok(())
    }

    /// Manifests whose results may not have been committed, in the order in which they have to be. Staged rows come once: a manifest
    /// that could not be written may be there all the same, and then the next one has what it has (see [`write`](Self::write)).
    ///
    /// # Errors
    /// A data error if one of them is damaged: its results would be lost.
    pub fn uncommitted(&self) -> Result<Vec<Manifest>> {
        // Commits are made in order, so the last one speaks for all before it.
        let committed = self.last_commit()?;
        let mut manifests = Vec::new();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for epoch in self.epochs()? {
            let is_committed = Some(epoch) <= committed;
            let mut manifest = match self.read(epoch) {
                Err(_) if is_committed => continue,
                manifest => manifest.map_err(|error| self.advise(error, epoch))?,
            };
            for sink in &mut manifest.committables {
                sink.staged.retain(|run| taken.insert(run.file.clone()));
            }
            if !is_committed && manifest.has_committables() {
                manifests.push(manifest);
            }
        }
        Ok(manifests)
    }

    /// Deletes what nobody needs any more, and returns it: the newest `keep` checkpoints stay (at least one), and every savepoint;
    /// an older one retires once its results are committed. The first call reads all manifests, later ones read nothing. No merge
    /// may be under way.
    ///
    /// # Errors
    /// If the storage cannot be read, or something could not be deleted; the next call tries again.
    pub fn retire(&self, keep: usize) -> Result<Retirement> {
        self.load_known()?;
        let kept = self.known().kept(keep);
        let retirement = retention::retire(&self.retained, &*self.storage, |path| kept.contains(path))?;
        let gone: BTreeSet<Epoch> =
            retirement.manifests.iter().filter_map(|path| layout::epoch_of_manifest(path)).collect();
        self.known().notes.retain(|epoch, _| !gone.contains(epoch));
        Ok(retirement)
    }

    /// Finds out what there is of earlier executions.
    fn load_known(&self) -> Result<()> {
        if self.known().loaded {
            return Ok(());
        }
        if let Some(committed) = self.last_commit()? {
            self.note_commit(committed);
        }
        for epoch in self.epochs()? {
            match self.read(epoch) {
                Ok(manifest) => self.note(&manifest),
                Err(error) if matches!(error.kind(), ErrorKind::Data | ErrorKind::User) => {
                    retention::lock(&self.retained).insert_unreadable(epoch);
                }
                Err(error) => return Err(error),
            }
        }
        self.known().loaded = true;
        Ok(())
    }

    /// A manifest is in the storage.
    fn note(&self, manifest: &Manifest) {
        retention::lock(&self.retained).insert(&layout::manifest(manifest.epoch), manifest);
        let fresh = Note { savepoint: manifest.savepoint, has_committables: manifest.has_committables() };
        self.known().notes.entry(manifest.epoch).or_insert(fresh);
    }

    fn note_commit(&self, epoch: Epoch) {
        let mut known = self.known();
        known.committed = known.committed.max(Some(epoch));
    }

    /// The last epoch whose commit was acknowledged.
    fn last_commit(&self) -> Result<Option<Epoch>> {
        let commits = self.storage.list(layout::COMMITS)?;
        Ok(commits.iter().filter_map(|path| layout::epoch_of_commit(path)).max())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn advise(&self, error: Error, epoch: Epoch) -> Error {
        if error.kind() != ErrorKind::Data {
            return error;
        }
        let manifest = self.storage.locate(&layout::manifest(epoch));
        let frame = format!("checkpoint {epoch} cannot be used, and its results may already be out");
        error.context(frame).with_help(format!(
            "bring the file back from a copy; or start afresh in another --state-dir, or in a cluster as another job; or, if \
             results of epoch {epoch} may come out twice, delete {manifest} to go on from the checkpoint before it"
        ))
    }
}

#[cfg(test)]
mod tests;
