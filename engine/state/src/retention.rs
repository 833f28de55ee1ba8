//! Which objects nobody needs any more.
//!
//! References decide, never a clock. Which checkpoints are kept is decided by whoever drives them; what follows from that is
//! decided here:
//!
//! - At every retirement, [`Retained::keep_only`]: the files of manifests that leave, less those of manifests that stay. Nothing
//!   is listed or read, since the names of all files of all kept checkpoints are known.
//! - Seldom, [`Retained::orphans`]: of a listing, what no kept manifest names and none will name any more, because a later
//!   manifest, of the same attempt or of a later one, does not. That is what attempts that died have uploaded, and what merges
//!   have written that came to nothing.
//!
//! Whatever a manifest that cannot be read may name stays, and so do files that are not Weir's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_core::bugs::{self, Bug};
use weir_core::{Attempt, Epoch, Result};

use crate::{Manifest, Storage, layout};

/// Retirements after which orphans are looked for once more. Between two attempts there are hardly any.
const SWEEP_AFTER: u32 = 1000;

/// What is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retirement {
    /// Manifests; they have to go before the files.
    pub manifests: Vec<String>,
    /// Runs, acknowledgements and attempts.
    pub files: Vec<String>,
}

impl Retirement {
    /// Deletes it. Manifests go first: one that is left never names a file that is gone.
    ///
    /// # Errors
    /// If something could not be deleted; [`Retained::give_back`] has it tried again.
    pub fn carry_out(&self, storage: &dyn Storage) -> Result<()> {
        self.manifests.iter().chain(&self.files).try_for_each(|path| storage.delete(path))
    }

    fn append(&mut self, other: Retirement) {
        self.manifests.extend(other.manifests);
        self.files.extend(other.files);
    }
}

/// The checkpoints of a job that are kept, and the names of the files that each needs.
#[derive(Debug, Default)]
pub struct Retained {
    /// By their path.
    manifests: BTreeMap<String, Kept>,
    /// How many of them name a file.
    uses: BTreeMap<Arc<str>, usize>,
    /// The last epoch of a manifest that is there and cannot be read.
    unreadable: Option<Epoch>,
    /// What could not be deleted so far.
    left_over: Retirement,
    /// Of which attempt the newest manifest was when orphans were last looked for.
    swept: Option<Attempt>,
    retirements: u32,
}

#[derive(Debug)]
struct Kept {
    epoch: Epoch,
    attempt: Attempt,
    files: BTreeSet<Arc<str>>,
}

impl Retained {
    /// Whether this manifest's files are known.
    pub fn knows(&self, path: &str) -> bool {
        self.manifests.contains_key(path)
    }

    /// A manifest is in the storage.
    pub fn insert(&mut self, path: &str, manifest: &Manifest) {
        self.forget(path);
        let mut files = BTreeSet::new();
        for file in manifest.files() {
            let file = self.uses.get_key_value(file).map_or_else(|| file.into(), |(file, _)| file.clone());
            if files.insert(file.clone()) {
                *self.uses.entry(file).or_default() += 1;
            }
        }
        self.manifests.insert(path.to_owned(), Kept { epoch: manifest.epoch, attempt: manifest.attempt, files });
        if manifest.finished {
            // What was stored for a checkpoint that it has taken the place of is named by none, and no other one comes.
            self.swept = None;
        }
    }

    /// A manifest is in the storage and cannot be read. It stays, and so does everything that it might name: it names files of its
    /// own epoch and of those before.
    pub fn insert_unreadable(&mut self, epoch: Epoch) {
        self.unreadable = self.unreadable.max(Some(epoch));
    }

    /// Only these manifests are kept, and those that none of them has overtaken: whoever says so may not have heard of them yet.
    /// Returns what is to be deleted.
    pub fn keep_only(&mut self, keep: impl Fn(&str) -> bool) -> Retirement {
        self.retirements = self.retirements.saturating_add(1);
        let kept: Vec<(Epoch, Attempt)> =
            self.manifests.iter().filter(|(path, _)| keep(path)).map(|(_, kept)| (kept.epoch, kept.attempt)).collect();
        let leaves = |(path, manifest): &(&String, &Kept)| {
            !keep(path) && is_overtaken(manifest.epoch, manifest.attempt, kept.iter().copied())
        };
        let leaving: Vec<String> = self.manifests.iter().filter(leaves).map(|(path, _)| path.clone()).collect();
        let mut retirement = std::mem::take(&mut self.left_over);
        for path in &leaving {
            retirement.files.extend(self.forget(path));
            // Of a job in one process.
            retirement.files.extend(layout::epoch_of_manifest_alone(path).map(layout::commit));
        }
        // What one has left may be named by one that was inserted since.
        retirement.files.retain(|file| self.is_free(file));
        retirement.manifests.extend(leaving);
        retirement
    }

    /// What could not be deleted comes with the next retirement.
    pub fn give_back(&mut self, retirement: Retirement) {
        self.left_over.append(retirement);
    }

    /// Whether it is time to look for orphans: the newest manifest is the first one of its attempt that is seen here, or it is
    /// long ago.
    pub fn is_sweep_due(&self) -> bool {
        let newest = self.newest_attempt();
        newest.is_some() && (self.swept != newest || self.retirements >= SWEEP_AFTER)
    }

    /// Others have written and retired checkpoints meanwhile, and may not have come to the end of it: orphans are looked for again.
    pub fn others_were_here(&mut self) {
        self.swept = None;
    }

    /// Of everything in the storage, what no manifest will name. No merge may be under way: what it writes nobody names yet. Of the
    /// notes that attempts have begun only the newest stays.
    pub fn orphans(&mut self, listing: &[String]) -> Retirement {
        self.swept = self.newest_attempt();
        self.retirements = 0;
        let begun = |path: &str| layout::of_beginning(path).map(|(attempt, _)| attempt);
        let last_begun = listing.iter().filter_map(|path| begun(path)).max();
        let last_attempt = listing.iter().filter_map(|path| layout::attempt_of(path)).max();
        let kept = || self.manifests.values().map(|manifest| (manifest.epoch, manifest.attempt));
        let is_orphan = |path: &String| {
            if let Some((epoch, attempt)) = layout::run(path) {
                self.is_free(path) && (is_overtaken(epoch, attempt, kept()) || bugs::is_on(Bug::SweptUpload))
            } else if let Some(epoch) = layout::epoch_of_commit(path) {
                let overtaken = kept().any(|(newer, _)| newer > epoch) && !kept().any(|(same, _)| same == epoch);
                overtaken && !self.may_be_named(epoch)
            } else if let Some(attempt) = begun(path) {
                Some(attempt) < last_begun
            } else {
                layout::attempt_of(path).is_some_and(|attempt| Some(attempt) < last_attempt)
            }
        };
        // Two leaders may have written one each for an epoch of an attempt. That of the later term may be the one that counts, also
        // where the earlier leader has not heard yet that it leads no longer.
        let is_of_later_term = |epoch: Epoch, attempt: Attempt, term: u64| {
            let mut terms = self.manifests.keys().filter_map(|path| layout::of_manifest(path));
            terms.any(|other| (other.0, other.1) == (epoch, attempt) && other.2 < term)
        };
        let is_forgotten = |path: &String| {
            let of_cluster = layout::of_manifest(path).filter(|_| !self.knows(path));
            of_cluster.is_some_and(|(epoch, attempt, term)| {
                is_overtaken(epoch, attempt, kept()) && !is_of_later_term(epoch, attempt, term)
            })
        };
        Retirement {
            manifests: listing.iter().filter(|path| is_forgotten(path)).cloned().collect(),
            files: listing.iter().filter(|path| is_orphan(path)).cloned().collect(),
        }
    }

    /// Forgets a manifest; returns files that only it has named.
    fn forget(&mut self, path: &str) -> Vec<String> {
        let Some(kept) = self.manifests.remove(path) else { return Vec::new() };
        let mut free = Vec::new();
        for file in kept.files {
            match self.uses.get_mut(&file) {
                Some(uses) if *uses > 1 => {
                    *uses -= 1;
                    if bugs::is_on(Bug::EarlyDeletion) {
                        free.push(file.to_string());
                    }
                }
                _ => {
                    self.uses.remove(&file);
                    free.push(file.to_string());
                }
            }
        }
        free
    }

    /// Whether no manifest names a file, as far as is known.
    fn is_free(&self, path: &str) -> bool {
        let named = self.uses.contains_key(path) && !bugs::is_on(Bug::EarlyDeletion);
        !named && !layout::epoch_of_run(path).is_some_and(|epoch| self.may_be_named(epoch))
    }

    /// Whether a manifest that cannot be read may name what belongs to this epoch.
    fn may_be_named(&self, epoch: Epoch) -> bool {
        Some(epoch) <= self.unreadable
    }

    /// The manifest of the last epoch of the last attempt.
    fn newest(&self) -> Option<&str> {
        let newest = self.manifests.iter().max_by_key(|(_, kept)| (kept.attempt, kept.epoch));
        newest.map(|(path, _)| path.as_str())
    }

    fn newest_attempt(&self) -> Option<Attempt> {
        self.manifests.values().max_by_key(|kept| kept.epoch).map(|kept| kept.attempt)
    }
}

/// Whether a manifest is kept that would name what an attempt wrote for an epoch, had it become part of a checkpoint.
fn is_overtaken(epoch: Epoch, attempt: Attempt, mut kept: impl Iterator<Item = (Epoch, Attempt)>) -> bool {
    kept.any(|(newer, later)| newer >= epoch && later >= attempt)
}

/// One retirement: only the manifests for which `keep` says so are kept. Everything that may be written meanwhile stays.
///
/// Orphans are looked for only if the newest manifest that is known is among those that are kept. A retirement that was asked for long ago
/// does not know of it, and by now a later leader may have begun to read in what there is: as long as it has not read all, what it has
/// not read looks as if it were needed no more.
///
/// # Errors
/// If the storage cannot be read, or something could not be deleted; the next call tries again.
pub fn retire(retained: &Mutex<Retained>, storage: &dyn Storage, keep: impl Fn(&str) -> bool) -> Result<Retirement> {
    let (mut retirement, sweeps) = {
        let mut retained = lock(retained);
        (retained.keep_only(&keep), retained.is_sweep_due() && retained.newest().is_some_and(&keep))
    };
    // Not under the lock: a checkpoint that completes does not wait for deletions.
    let orphans = if sweeps { storage.sweep().and_then(|()| storage.list("")) } else { Ok(Vec::new()) };
    let carried_out = orphans.and_then(|listing| {
        if sweeps {
            retirement.append(lock(retained).orphans(&listing));
        }
        retirement.carry_out(storage)
    });
    match carried_out {
        Ok(()) => Ok(retirement),
        Err(error) => {
            lock(retained).give_back(retirement);
            Err(error)
        }
    }
}

/// What is known of retained checkpoints; each change of it is a whole one.
pub(crate) fn lock(retained: &Mutex<Retained>) -> MutexGuard<'_, Retained> {
    retained.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
