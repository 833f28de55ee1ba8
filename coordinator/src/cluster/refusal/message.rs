//! What a refusal says: what is wrong, and what can be done.

use std::fmt;

use weir_core::Epoch;

use super::{JobDifference, PlacementDifference, Refusal, Resource};
use crate::cluster::{Catalog, JobStatus};

impl Refusal {
    /// What can be done, as a sentence.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Refusal::NameTaken { job, difference: JobDifference::Parallelism, .. } => {
                format!("rescale job {job}, or choose another name")
            }
            Refusal::NameTaken { job, difference: JobDifference::Definition { .. }, .. } => format!(
                "cancel and delete job {job}, or choose another name. Either begins anew: a changed query cannot take over state"
            ),
            Refusal::NameTaken { job, .. } => format!("cancel and delete job {job}, or choose another name"),
            Refusal::NameOfEndedJob { job, status: JobStatus::Finished, .. } => {
                format!("delete job {job}, or choose another name")
            }
            Refusal::NameOfEndedJob { job, .. } => format!(
                "`weir jobs restart {job}` has it go on as it was, and to submit it with other settings has it go on with those. Or \
                 delete it or choose another name, which begins anew: a changed query cannot take over state"
            ),
            Refusal::NotNow { job, cannot: "be deleted", .. } => format!(
                "end it first: `weir jobs cancel {job}` does so at once, and `weir jobs stop {job}` with its last results"
            ),
            Refusal::BadName { of: "job", .. } => {
                "use 1 to 128 letters, digits, dots, underscores and hyphens, and no number".into()
            }
            Refusal::BadName { .. } => "use 1 to 128 letters, digits, dots, underscores and hyphens".into(),
            Refusal::InputEnded { .. } => "restart it from an earlier checkpoint".into(),
            Refusal::Uncommitted { job, .. } => format!(
                "this is tried again and again; try later, or see the cluster's log. If what they belong into is gone for ever, \
                 `weir jobs delete {job} --discard-results` gives them up with the job"
            ),
            Refusal::QuotaExceeded { resource: Resource::StateBytes, .. } => {
                "stop or cancel jobs there, or raise the limit".into()
            }
            Refusal::QuotaExceeded { .. } => "stop or cancel jobs there, ask for less, or raise the limit".into(),
            Refusal::NamespaceNotEmpty { .. } => "delete its jobs first".into(),
            Refusal::CatalogNotEmpty { .. } => "drop them there first: see `weir catalog list`".into(),
            Refusal::CatalogHasChanged { .. } => {
                "look at it again, as `weir catalog show` does, and repeat the change".into()
            }
            Refusal::CatalogTooLarge { .. } => "drop what is not used any more".into(),
            Refusal::NoSuchToken(_) => "`weir tokens list` shows those that there are".into(),
            Refusal::TokenExists(_) => "choose another name, or revoke the one that is there".into(),
            Refusal::NoSuchNamespace(_) => "create it first, or use the namespace default".into(),
            _ => return None,
        };
        Some(help)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NotFounded => f.write_str("the cluster is not founded yet"),
            Refusal::NoSuchJob(job) => write!(f, "there is no job {job}"),
            Refusal::NoSuchWorker(worker) => write!(f, "there is no worker {worker}"),
            Refusal::NoSuchToken(name) => write!(f, "there is no token {name}"),
            Refusal::TokenExists(name) => write!(f, "there is a token {name} already, or the same under another name"),
            Refusal::NoSuchNamespace(namespace) => write!(f, "there is no namespace {namespace}"),
            Refusal::NoSuchCheckpoint { job, epoch } => write!(f, "job {job} has no checkpoint {epoch}"),
            Refusal::StaleAttempt { job, attempt, last } if attempt == last => {
                write!(f, "attempt {attempt} of job {job} is over")
            }
            Refusal::StaleAttempt { job, attempt, last } => {
                write!(f, "attempt {attempt} of job {job} is not the current one: the last is {last}")
            }
            Refusal::StaleIncarnation { worker, incarnation, current } => {
                write!(f, "process {incarnation} of worker {worker} is not the current one: that is {current}")
            }
            Refusal::StaleEpoch { job, epoch, last } => {
                write!(f, "checkpoint {epoch} of job {job} is not newer than the last: that is {last}")
            }
            Refusal::StalePlacement { job, difference } => {
                write!(f, "job {job} cannot be placed like this any more: {difference}")
            }
            Refusal::StaleScaling { job, from, parallelism } => {
                write!(
                    f,
                    "job {job} cannot be scaled like this any more: it was about {from} slots, and it has {parallelism}"
                )
            }
            Refusal::BadPlacement { job, reason } => write!(f, "a placement of job {job} is wrong: {reason}"),
            Refusal::BadName { of, name } => write!(f, "{name:?} cannot be the name of a {of}"),
            Refusal::BadValue(what) => f.write_str(what),
            Refusal::NameTaken { namespace, name, job, difference } => {
                write!(f, "job {job} in namespace {namespace} has the name {name} already, and {difference}")
            }
            Refusal::NameOfEndedJob { namespace, name, job, status, difference } => {
                write!(f, "job {job} in namespace {namespace} has the name {name} already, and is {status}")?;
                difference.as_ref().map_or(Ok(()), |difference| write!(f, "; it has {difference}"))
            }
            Refusal::NotNow { job, status, cannot } => write!(f, "job {job} cannot {cannot}: it is {status}"),
            Refusal::NoTransition { job, from, to } => write!(f, "job {job} is {from}, which cannot become {to}"),
            Refusal::InputEnded { job, epoch } => {
                write!(f, "job {job} has nothing left to do: its input ended with checkpoint {epoch}")
            }
            Refusal::NoLastCheckpoint { job, attempt } => {
                write!(f, "attempt {attempt} of job {job} has completed no checkpoint, so it has not ended in order")
            }
            Refusal::Uncommitted { job, epoch } => {
                write!(f, "results of checkpoint {epoch} of job {job} are decided and not committed yet")
            }
            Refusal::CheckpointNeeded { job, epoch } => {
                write!(f, "job {job} would go on from checkpoint {epoch}, so that cannot be given up")
            }
            Refusal::QuotaExceeded { namespace, resource, limit, asked } => {
                write!(f, "namespace {namespace} may use {limit} {resource}, and would use {asked}")
            }
            Refusal::NamespaceNotEmpty { namespace, jobs: 1 } => write!(f, "namespace {namespace} has a job"),
            Refusal::NamespaceNotEmpty { namespace, jobs } => write!(f, "namespace {namespace} has {jobs} jobs"),
            Refusal::CatalogNotEmpty { namespace } => write!(f, "namespace {namespace} has tables, views or functions"),
            Refusal::CatalogHasChanged { namespace } => {
                write!(f, "the catalog of namespace {namespace} has been changed by somebody else")
            }
            Refusal::CatalogTooLarge { namespace, bytes } => write!(
                f,
                "the catalog of namespace {namespace} would have {bytes} bytes, and may have {}",
                Catalog::MOST_BYTES
            ),
            Refusal::DefaultNamespace => f.write_str("the default namespace cannot be removed"),
            Refusal::SlotsInUse { worker, offered, used } => {
                write!(f, "worker {worker} offers {offered} slots, and {used} are in use there")
            }
        }
    }
}

impl fmt::Display for JobDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JobDifference::Definition { tables } if tables.is_empty() => f.write_str("another definition"),
            JobDifference::Definition { tables } => {
                write!(f, "another definition; in the one that was submitted: {}", tables.join(", "))
            }
            JobDifference::Settings => f.write_str("other settings"),
            JobDifference::Parallelism => f.write_str("another parallelism"),
        }
    }
}

impl fmt::Display for PlacementDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let point = |epoch: &Option<Epoch>| epoch.map_or_else(|| "the beginning".into(), |e| format!("checkpoint {e}"));
        match self {
            PlacementDifference::Parallelism { placed, wanted } => {
                write!(f, "its parallelism is {wanted}, not {placed}")
            }
            PlacementDifference::RestorePoint { placed, wanted } => {
                write!(f, "it goes on from {}, not from {}", point(wanted), point(placed))
            }
            PlacementDifference::Address(worker) => write!(f, "worker {worker} has another address"),
            PlacementDifference::Draining(worker) => write!(f, "worker {worker} is being drained"),
            PlacementDifference::Slots { worker, placed, free } => {
                write!(f, "worker {worker} has {free} free slots, not {placed}")
            }
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Resource::Slots => "slots",
            Resource::Jobs => "jobs",
            Resource::StateBytes => "bytes of state",
        })
    }
}
