//! Sends a job to the cluster. If the name belongs to the same query with other settings, that goes on with its state and these
//! settings. If it is refused because the name belongs to another query that has state, the error says what the new query could do
//! with that.
//!
//! Checkpoints are where workers reach them, and perhaps not this command. So what the old query keeps is what its dataflow says,
//! which the coordinator has.

use std::fmt;
use std::sync::Arc;

use weir_core::{Error, ErrorKind, JobGraph, JobId, Result};
use weir_functions::Functions;
use weir_proto::client::{ClientRequest, ClientResponse, JobRef, SubmitJob};
use weir_state::RestorePlan;
use weir_worker::kept_states;

use super::client::{Client, expect_answer};

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is a new job.
    New,
    /// This very job was there.
    Known,
    /// It was there in another version or with other settings, and goes on as this one.
    Updated {
        /// The plugins that it has from now on, as their names and versions; none if it has none.
        plugins: Vec<String>,
        /// Why nobody has looked whether it can go on with its state.
        unchecked: Option<String>,
    },
    /// It is a new one, with the state of a job that ran elsewhere.
    Moved,
}

/// As in "query: is submitted as job 3".
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sent::New => f.write_str("is submitted as"),
            Sent::Known => f.write_str("was submitted before, as"),
            Sent::Updated { plugins, .. } if plugins.is_empty() => f.write_str("goes on with these settings, as"),
            Sent::Updated { plugins, .. } => {
                write!(f, "goes on with these settings and {}, as", plugins.join(", "))
            }
            Sent::Moved => f.write_str("goes on with its state, as"),
        }
    }
}

impl Sent {
    /// What the user has to know besides.
    pub fn warning(&self) -> Option<String> {
        let Sent::Updated { unchecked: Some(why), .. } = self else { return None };
        Some(format!(
            "it was not looked whether this version can go on with the job's state, since {why}: if it cannot, the job fails"
        ))
    }
}

/// Sends a job, and has it go on if it had ended and has other settings now.
///
/// # Errors
/// What the cluster answers. Of a changed query it says what has changed with it, as `weir run` does.
pub async fn send(client: &mut Client, job: SubmitJob) -> Result<(JobId, Sent)> {
    let plugins = job.graph.artifacts().into_iter().map(ToString::to_string).collect();
    let answer = submit(client, job).await?;
    let (job, already_there, updated, unchecked) = expect_answer!(
        answer,
        ClientResponse::Submitted { job, already_there, updated, unchecked } => (job, already_there, updated, unchecked)
    )?;
    if !updated {
        return Ok((job, if already_there { Sent::Known } else { Sent::New }));
    }
    let answer = client.call(ClientRequest::DescribeJob { job: JobRef::Id(job), graph: false }).await?;
    let there = expect_answer!(answer, ClientResponse::Job(there) => *there)?;
    if there.summary.has_ended() {
        client.call(ClientRequest::RestartJob { job: JobRef::Id(job), from: None, adopted: None }).await?;
    }
    Ok((job, Sent::Updated { plugins, unchecked }))
}

/// What a job that is there keeps, since the user says nothing else.
pub struct Keeps {
    /// Its slots.
    pub parallelism: bool,
    /// In which processes its plugins run.
    pub isolation: bool,
    /// How much memory such a process may have.
    pub memory_limit: bool,
}

/// Has a job that is there go on as it was set where the user says nothing of it.
///
/// # Errors
/// If the cluster does not answer.
pub async fn keep(client: &mut Client, job: &mut SubmitJob, keeps: Keeps) -> Result<()> {
    let named = JobRef::Name { namespace: job.namespace.clone(), name: job.name.clone() };
    let keeps_limit = keeps.memory_limit && !job.graph.isolation().is_none();
    let keeps_isolation = (keeps.isolation || keeps_limit) && !job.graph.artifacts().is_empty();
    if !keeps.parallelism && !keeps_isolation {
        return Ok(());
    }
    match client.call(ClientRequest::DescribeJob { job: named, graph: keeps_isolation }).await {
        Ok(ClientResponse::Job(there)) => {
            if keeps.parallelism {
                job.parallelism = there.summary.parallelism;
            }
            // One that was not isolated has no limit.
            let kept = there.graph.map(|graph| graph.isolation()).filter(|kept| keeps_isolation && !kept.is_none());
            if let Some(kept) = kept {
                Arc::make_mut(&mut job.graph).isolate(kept)?;
            }
        }
        // There is none, or it is told when the job is sent.
        Err(error) if error.kind() != ErrorKind::User => return Err(error),
        _ => {}
    }
    Ok(())
}

async fn submit(client: &mut Client, job: SubmitJob) -> Result<ClientResponse> {
    let refusal = match client.call(ClientRequest::SubmitJob(job.clone())).await {
        Err(error) if error.kind() == ErrorKind::User => error,
        answer => return answer,
    };
    let plan = match before(client, &job).await {
        Ok(Some(before)) => plan(&before, &job.graph),
        Ok(None) => return Err(refusal),
        Err(error) => Err(error),
    };
    Err(match plan {
        Ok(plan) => with_plan(&refusal, &plan),
        // What was asked for is refused all the same, and that is what has to be told.
        Err(error) => {
            tracing::debug!(error = error.report(), "it cannot be told what has changed");
            refusal
        }
    })
}

/// The other query that has the name, if it has state.
async fn before(client: &mut Client, job: &SubmitJob) -> Result<Option<Arc<JobGraph>>> {
    let named = JobRef::Name { namespace: job.namespace.clone(), name: job.name.clone() };
    let answer = client.call(ClientRequest::DescribeJob { job: named, graph: true }).await?;
    let there = expect_answer!(answer, ClientResponse::Job(there) => *there)?;
    let is_other = !job.graph.computes(&there.fingerprint) && !there.checkpoints.is_empty();
    Ok(there.graph.filter(|_| is_other))
}

fn plan(before: &JobGraph, now: &JobGraph) -> Result<RestorePlan> {
    let functions = Functions::built_in();
    Ok(RestorePlan::between(&kept_states(before, &functions)?, &kept_states(now, &functions)?))
}

fn with_plan(refusal: &Error, plan: &RestorePlan) -> Error {
    let error = Error::user(format!("{refusal}; to this query its state would be\n{plan}"));
    match refusal.help() {
        Some(help) => error.with_help(help),
        None => error,
    }
}
