//! Which objects nobody needs any more.
//!
//! References decide, never a clock:
//! - The newest `keep` checkpoints stay, and every savepoint. An older one retires once its results are committed.
//! - A run's file goes if no manifest that stays names it, and no manifest that is not at hand could name it.
//! - What was written for an epoch behind the newest manifest is an upload in flight and stays.
//! - Files that are not Weir's are left alone.

use std::collections::BTreeSet;

use weir_core::{Attempt, Epoch};

use crate::{Manifest, layout};

/// What is to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retirement {
    /// Manifests; they have to go before the files.
    pub manifests: Vec<String>,
    /// Runs, acknowledgements and attempts.
    pub files: Vec<String>,
}

/// Decides what is deleted. `manifests` are those that can be read; `listing` is everything in the storage, and was
/// made before the manifests were read. `keep` is at least 1 in effect.
pub fn plan(manifests: &[Manifest], keep: usize, listing: &[String]) -> Retirement {
    let Some(newest) = manifests.iter().map(|manifest| manifest.epoch).max() else { return Retirement::default() };
    let committed: BTreeSet<Epoch> = listing.iter().filter_map(|path| layout::epoch_of_commit(path)).collect();
    let mut by_age: Vec<&Manifest> = manifests.iter().collect();
    by_age.sort_unstable_by_key(|manifest| std::cmp::Reverse(manifest.epoch));
    let (retired, kept): (Vec<_>, Vec<_>) = by_age.into_iter().enumerate().partition(|(age, manifest)| {
        let decided = !manifest.has_committables() || committed.contains(&manifest.epoch);
        *age >= keep.max(1) && !manifest.savepoint && decided
    });
    let retired: BTreeSet<Epoch> = retired.into_iter().map(|(_, manifest)| manifest.epoch).collect();
    let kept: BTreeSet<Epoch> = kept.into_iter().map(|(_, manifest)| manifest.epoch).collect();
    let named: BTreeSet<&str> = manifests
        .iter()
        .filter(|manifest| kept.contains(&manifest.epoch))
        .flat_map(Manifest::runs)
        .map(|run| run.file.as_str())
        .collect();
    let listed = listing.iter().filter_map(|path| layout::epoch_of_manifest(path));
    // A manifest names files of its own epoch and of those before.
    let unknown = listed.filter(|epoch| !kept.contains(epoch) && !retired.contains(epoch)).max();
    let attempt = listing.iter().filter_map(|path| layout::attempt_of(path)).max();

    let superfluous = |path: &str| {
        if let Some(epoch) = layout::epoch_of_run(path) {
            epoch <= newest && unknown.is_none_or(|unknown| epoch > unknown) && !named.contains(path)
        } else if let Some(epoch) = layout::epoch_of_commit(path) {
            epoch < newest && !kept.contains(&epoch) && unknown.is_none_or(|unknown| epoch > unknown)
        } else {
            layout::attempt_of(path).is_some_and(|number: Attempt| Some(number) < attempt)
        }
    };
    Retirement {
        manifests: retired.into_iter().map(layout::manifest).collect(),
        files: listing.iter().filter(|path| superfluous(path)).cloned().collect(),
    }
}

/// Decides what is deleted where somebody else decides which checkpoints are kept: `retained` are the manifests of all of
/// them, each with its path. Everything else that was written for an epoch up to the newest of them goes. Of the notes that
/// attempts have begun only the newest stays: it says what the job goes on from.
pub fn plan_for(retained: &[(String, Manifest)], listing: &[String]) -> Retirement {
    let Some(newest) = retained.iter().map(|(_, manifest)| manifest.epoch).max() else { return Retirement::default() };
    let manifests: BTreeSet<&str> = retained.iter().map(|(path, _)| path.as_str()).collect();
    let runs: BTreeSet<&str> =
        retained.iter().flat_map(|(_, manifest)| manifest.runs()).map(|run| run.file.as_str()).collect();
    let superfluous = |path: &String, epoch: fn(&str) -> Option<Epoch>, named: &BTreeSet<&str>| {
        epoch(path).is_some_and(|epoch| epoch <= newest) && !named.contains(path.as_str())
    };
    let select = |epoch: fn(&str) -> Option<Epoch>, named: &BTreeSet<&str>| {
        listing.iter().filter(|path| superfluous(path, epoch, named)).cloned().collect()
    };
    let begun = |path: &str| layout::of_beginning(path).map(|(attempt, _)| attempt);
    let last = listing.iter().filter_map(|path| begun(path)).max();
    let mut files: Vec<String> = select(layout::epoch_of_run, &runs);
    files.extend(listing.iter().filter(|path| begun(path).is_some_and(|attempt| Some(attempt) < last)).cloned());
    Retirement { manifests: select(layout::epoch_of_manifest, &manifests), files }
}

#[cfg(test)]
mod tests;
