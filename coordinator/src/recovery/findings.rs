//! Looks for what jobs have left in the checkpoint storage.

use std::collections::BTreeMap;

use weir_core::{Attempt, Epoch, ErrorKind, JobId, Result};
use weir_state::{Manifest, Storage, layout};

use crate::cluster::{Checkpoint, ClusterState, Condition, Findings, FoundManifest, JobFindings};

/// What there is, and the highest term in the name of a manifest.
///
/// # Errors
/// If the storage cannot be read, or a later version of Weir has written to it.
pub(super) fn look(storage: &dyn Storage, url: &str, copy: &ClusterState, at: i64) -> Result<(Findings, u64)> {
    let jobs = format!("{}/jobs/", copy.cluster);
    let listing = storage.list(&jobs)?;
    let mut findings = Findings { storage: url.to_owned(), at, jobs: BTreeMap::new() };
    let mut last_term = 0;
    for path in &listing {
        let Some((job, path)) = path.strip_prefix(&jobs).and_then(of_job) else { continue };
        if let Some((epoch, attempt)) = layout::run(path) {
            entry(&mut findings, job).seen(epoch, attempt);
        } else if let Some((epoch, attempt, term)) = layout::of_manifest(path) {
            last_term = last_term.max(term);
            let found = entry(&mut findings, job);
            found.seen(epoch, attempt);
            if let Some(known) = copy.jobs.get(&job) {
                let folder = format!("{jobs}{job}/");
                let job_folder = JobFolder { storage, listing: &listing, folder: &folder, at };
                let condition = job_folder.examine(path, (epoch, attempt), &known.spec.fingerprint)?;
                found.manifests.push(FoundManifest { path: path.to_owned(), epoch, attempt, term, condition });
            }
        } else if let Some((attempt, from)) = layout::of_beginning(path) {
            let found = entry(&mut findings, job);
            found.seen(from.unwrap_or_default(), attempt);
            found.begun = found.begun.max(Some((attempt, from)));
        }
    }
    Ok((findings, last_term))
}

fn entry(findings: &mut Findings, job: JobId) -> &mut JobFindings {
    findings.jobs.entry(job).or_default()
}

/// The job in whose folder an object is, and the object's path there.
fn of_job(path: &str) -> Option<(JobId, &str)> {
    let (number, path) = path.split_once('/')?;
    let job = JobId(number.parse().ok()?);
    (job.to_string() == number).then_some((job, path))
}

impl JobFindings {
    fn seen(&mut self, epoch: Epoch, attempt: Attempt) {
        self.last_epoch = self.last_epoch.max(epoch);
        self.last_attempt = self.last_attempt.max(attempt);
    }
}

/// The folder of a job.
struct JobFolder<'a> {
    storage: &'a dyn Storage,
    /// Of all jobs, sorted.
    listing: &'a [String],
    folder: &'a str,
    at: i64,
}

impl JobFolder<'_> {
    /// Whether a manifest is whole, and all files that it names are there and long enough. Their bytes have checksums of their
    /// own, which are compared when the job restores its state: to read all state of all jobs would take long.
    fn examine(&self, path: &str, name: (Epoch, Attempt), fingerprint: &str) -> Result<Condition> {
        let full = format!("{}{path}", self.folder);
        let manifest = match Manifest::from_bytes(&self.storage.get(&full)?, &self.storage.locate(&full)) {
            Ok(manifest) => manifest,
            Err(error) if error.kind() == ErrorKind::Data => {
                return Ok(Condition::Damaged { why: error.report(), has_results: true });
            }
            Err(error) => return Err(error),
        };
        let damaged = |why| Ok(Condition::Damaged { why, has_results: manifest.has_committables() });
        if (manifest.epoch, manifest.attempt) != name || manifest.job != fingerprint {
            return Ok(Condition::Damaged { why: format!("{path} is another job's, or was moved"), has_results: true });
        }
        let state = manifest.runs().map(|run| (&run.file, run.offset.saturating_add(run.length)));
        let staged = manifest.staged().map(|run| (&run.file, run.length));
        for (file, end) in state.chain(staged) {
            let file = format!("{}{file}", self.folder);
            if self.listing.binary_search(&file).is_err() {
                return damaged(format!("{} is missing", self.storage.locate(&file)));
            }
            let Some(last) = end.checked_sub(1) else { continue };
            match self.storage.get_range(&file, last, 1) {
                Err(error) if error.kind() == ErrorKind::Data => return damaged(error.report()),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(Condition::Whole(Checkpoint {
            epoch: manifest.epoch,
            attempt: manifest.attempt,
            manifest: path.to_owned(),
            state_bytes: manifest.state_bytes(),
            written_bytes: 0,
            completed_at: self.at,
            duration_ms: 0,
            savepoint: manifest.savepoint,
            finished: manifest.finished,
            parallelism: u32::try_from(manifest.parallelism).unwrap_or(u32::MAX),
            committed: false,
        }))
    }
}
