//! What jobs that have ended leave in the tables that they write: files that no checkpoint names. A worker removes them, since
//! coordinators need not reach the tables. It is asked once, and does not answer: where they stay they do no harm.

use std::sync::Arc;

use weir_core::{JobGraph, JobId, Node, OperatorSpec, OperatorUid, TableSpec};
use weir_proto::control::{Leftovers, ToWorker};
use weir_proto::version;

use super::{Context, Leader};
use crate::cluster::{Applied, Command, JobStatus, Refusal};

impl Leader {
    /// A command has been applied. If a job has ended with it, or was deleted, a worker tidies up behind it.
    pub(super) fn tidy_tables(
        &mut self,
        context: &mut Context<'_>,
        command: &Command,
        outcome: &Result<Applied, Refusal>,
    ) {
        let leftovers = match (command, outcome) {
            (_, Ok(Applied::Deleted { spec, identity, .. })) => {
                Leftovers { identity: *identity, behind: None, sinks: sinks_of(&spec.graph) }
            }
            (Command::CancelJob { job, .. } | Command::AttemptFailed { job, .. }, Ok(_)) => {
                let Some(leftovers) = of_ended(context, *job) else { return };
                leftovers
            }
            _ => return,
        };
        let understands = |session| {
            let known = self.sessions.get(session);
            known.is_some_and(|known| known.hello.protocol >= version::DISCARDS)
        };
        let session = self.sessions.connected().map(|(_, session)| session).find(|session| understands(*session));
        if let Some(session) = session.filter(|_| !leftovers.sinks.is_empty()) {
            context.send(session, ToWorker::Discard(Arc::new(leftovers)));
        }
    }
}

/// Of a job that does not go on by itself. Should it be restarted, its next attempt is another one.
fn of_ended(context: &Context<'_>, id: JobId) -> Option<Leftovers> {
    let job = context.state.jobs.get(&id)?;
    let has_ended = matches!(job.status, JobStatus::Cancelled | JobStatus::Failed);
    has_ended.then(|| Leftovers {
        identity: context.state.identity(id, job),
        behind: Some((job.attempt, job.last_epoch)),
        sinks: sinks_of(&job.spec.graph),
    })
}

/// The sinks of a dataflow and their tables.
pub(super) fn sinks_of(graph: &JobGraph) -> Vec<(OperatorUid, TableSpec)> {
    let sink = |node: &Node| match &node.spec.operator {
        OperatorSpec::Sink(sink) => Some((node.uid.clone(), sink.table.clone())),
        _ => None,
    };
    graph.nodes().iter().filter_map(sink).collect()
}
