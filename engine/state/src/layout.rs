//! Where each kind of object stands. Numbers are written with 16 digits, so that sorting by name sorts by number.
//! There are no folders below the first level: a folder per checkpoint would have to be made durable, and removed.
//!
//! ```text
//!   identity/<identity>-<place>             the job's identity, and where that holds, of a job that runs in one process
//!   attempts/<attempt>                      that this attempt has begun, of a job that runs in one process
//!   attempts/<attempt>-<epoch>              that it has begun, and from which checkpoint, of a job that runs in a cluster
//!   runs/<epoch>-<attempt>-<part>…          runs that an attempt wrote for an epoch
//!   checkpoints/<epoch>.json                the manifest, of a job that runs in one process
//!   checkpoints/<epoch>-<attempt>-<term>.json   the manifest, of a job that runs in a cluster
//!   commits/<epoch>                         that all sinks have committed it
//!   moved                                   that the job goes on elsewhere, and where, of a job that ran in one process
//! ```

use weir_core::{Attempt, Epoch, JobIdentity};

/// Beginning of all runs' paths.
pub const RUNS: &str = "runs/";
/// Beginning of all manifests' paths.
pub const CHECKPOINTS: &str = "checkpoints/";
/// Beginning of all acknowledgements' paths.
pub const COMMITS: &str = "commits/";
/// Beginning of the paths of identities.
pub const IDENTITIES: &str = "identity/";
/// Beginning of all attempts' paths.
pub const ATTEMPTS: &str = "attempts/";

/// Path of the note that the job goes on elsewhere.
pub const MOVED: &str = "moved";

/// Prefix for [`encode`](crate::encode) and [`compaction::merge`](crate::compaction::merge). `epoch` is that of the
/// manifest that will name the files; until a manifest with this epoch or a later one is written, retention leaves them
/// alone. `part` tells writers of one epoch apart (a worker, a merge).
pub fn runs_prefix(epoch: Epoch, attempt: Attempt, part: &str) -> String {
    format!("{RUNS}{:016}-{}-{part}", epoch.0, attempt.0)
}

/// Path of a manifest.
pub fn manifest(epoch: Epoch) -> String {
    format!("{CHECKPOINTS}{:016}.json", epoch.0)
}

/// Path of a manifest in a cluster. There the replicated state says which manifest counts; two leaders that both write one
/// for an epoch must not stand in each other's way.
pub fn manifest_of_term(epoch: Epoch, attempt: Attempt, term: u64) -> String {
    format!("{CHECKPOINTS}{:016}-{}-{term}.json", epoch.0, attempt.0)
}

/// Path of the acknowledgement that an epoch's results are committed.
pub fn commit(epoch: Epoch) -> String {
    format!("{COMMITS}{:016}", epoch.0)
}

/// Path of the note which identity a job has, as long as its folder is at this place.
pub fn identity(identity: JobIdentity, place: u64) -> String {
    format!("{IDENTITIES}{identity}-{place:016x}")
}

/// Path of the note that an attempt has begun.
pub fn attempt(attempt: Attempt) -> String {
    format!("{ATTEMPTS}{:016}", attempt.0)
}

/// Path of the note that an attempt has begun in a cluster, and from which checkpoint; `None`: from the beginning. It is
/// written before anything is opened: what sinks had prepared behind that checkpoint in earlier attempts is gone from then on.
pub fn beginning_of_attempt(attempt: Attempt, from: Option<Epoch>) -> String {
    format!("{ATTEMPTS}{:016}-{}", attempt.0, from.unwrap_or_default().0)
}

/// The epoch that a run's file was written for; `None` for any other path.
pub fn epoch_of_run(path: &str) -> Option<Epoch> {
    run(path).map(|(epoch, _)| epoch)
}

/// The epoch that a run's file was written for, and by which attempt; `None` for any other path.
pub fn run(path: &str) -> Option<(Epoch, Attempt)> {
    let (epoch, rest) = path.strip_prefix(RUNS)?.split_once('-')?;
    let (attempt, _) = rest.split_once('-')?;
    Some((Epoch(number(epoch)?), Attempt(short_number(attempt)?)))
}

/// The epoch of a manifest; `None` for any other path.
pub fn epoch_of_manifest(path: &str) -> Option<Epoch> {
    let name = path.strip_prefix(CHECKPOINTS)?.strip_suffix(".json")?;
    number(name.split_once('-').map_or(name, |(epoch, _)| epoch)).map(Epoch)
}

/// The epoch of a manifest of a job that runs in one process; `None` for any other path.
pub fn epoch_of_manifest_alone(path: &str) -> Option<Epoch> {
    number(path.strip_prefix(CHECKPOINTS)?.strip_suffix(".json")?).map(Epoch)
}

/// Epoch, attempt and term of a manifest in a cluster; `None` for any other path.
pub fn of_manifest(path: &str) -> Option<(Epoch, Attempt, u64)> {
    let name = path.strip_prefix(CHECKPOINTS)?.strip_suffix(".json")?;
    let (epoch, rest) = name.split_once('-')?;
    let (attempt, term) = rest.split_once('-')?;
    Some((Epoch(number(epoch)?), Attempt(short_number(attempt)?), short_number(term)?))
}

/// The epoch of an acknowledgement; `None` for any other path.
pub fn epoch_of_commit(path: &str) -> Option<Epoch> {
    number(path.strip_prefix(COMMITS)?).map(Epoch)
}

/// The attempt that a path under [`ATTEMPTS`] stands for; `None` for any other path.
pub fn attempt_of(path: &str) -> Option<Attempt> {
    number(path.strip_prefix(ATTEMPTS)?).map(Attempt)
}

/// The attempt whose beginning in a cluster a path notes, and the checkpoint that it began from; `None` for any other path.
pub fn of_beginning(path: &str) -> Option<(Attempt, Option<Epoch>)> {
    let (attempt, from) = path.strip_prefix(ATTEMPTS)?.split_once('-')?;
    let from = Some(Epoch(short_number(from)?)).filter(|from| *from != Epoch::default());
    Some((Attempt(number(attempt)?), from))
}

/// The identity that a path notes, and the place where it holds; `None` for any other path.
pub fn of_identity(path: &str) -> Option<(JobIdentity, u64)> {
    let (identity, place) = path.strip_prefix(IDENTITIES)?.split_once('-')?;
    Some((identity.parse().ok()?, u64::from_str_radix(place, 16).ok()?))
}

/// Only what this module writes: a file that a person put there is none of ours.
fn number(text: &str) -> Option<u64> {
    (text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A number behind the first of a name, which is not filled up with zeros.
fn short_number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nothing_else() {
        let (epoch, attempt) = (Epoch(12), Attempt(3));
        assert_eq!(run(&runs_prefix(epoch, attempt, "worker-0")), Some((epoch, attempt)));
        assert_eq!(epoch_of_run(&runs_prefix(epoch, attempt, "worker-0")), Some(epoch));
        assert_eq!(of_manifest(&manifest_of_term(epoch, attempt, 7)), Some((epoch, attempt, 7)));
        assert_eq!(of_manifest(&manifest(epoch)), None);
        assert_eq!(epoch_of_manifest(&manifest_of_term(epoch, attempt, 7)), Some(epoch));
        assert_eq!(of_beginning(&beginning_of_attempt(attempt, Some(epoch))), Some((attempt, Some(epoch))));
        assert_eq!(of_beginning(&beginning_of_attempt(attempt, None)), Some((attempt, None)));
        assert_eq!(of_beginning(&super::attempt(attempt)), None);
        assert_eq!(of_identity(&identity(JobIdentity(5), u64::MAX)), Some((JobIdentity(5), u64::MAX)));
        assert_eq!(attempt_of(&beginning_of_attempt(attempt, Some(epoch))), None);
        for strange in ["attempts/notes-1", "attempts/0000000000000001-", "attempts/0000000000000001-+1", "runs/1-1-a"]
        {
            assert_eq!((of_beginning(strange), run(strange)), (None, None), "{strange}");
        }
    }
}
