//! Another version of a job that is there: proposed once it is known that it can go on with the job's state.

use weir_proto::client::{ClientError, ClientResponse, SubmitJob};

use super::{Effect, Node, RequestId, requests};
use crate::cluster::{Command, Job, JobStatus};
use crate::leader::{Comparison, ComparisonId, Context, Now};
use crate::raft::LogStore;

/// A submission that waits until somebody has looked.
#[derive(Debug)]
pub(super) struct Version {
    request: RequestId,
    by: Option<String>,
    submit: SubmitJob,
    at: i64,
}

impl<S: LogStore> Node<S> {
    /// What is to be proposed for a submission, and why nobody has looked whether it fits if nobody could; `None` if somebody looks.
    pub(super) fn submitted(
        &mut self,
        now: Now,
        request: RequestId,
        by: &Option<String>,
        submit: SubmitJob,
        effects: &mut Vec<Effect>,
    ) -> Result<Option<(Command, Option<String>)>, ClientError> {
        let command = requests::submission(&self.state, submit.clone(), now.wall);
        let (Command::UpdateJob { job, spec, .. }, Some(leader)) = (&command, &mut self.leader) else {
            return Ok(Some((command, None)));
        };
        let mut wanted = Vec::new();
        let comparison = leader.compare_state(&mut Context::new(now, &self.state, &mut wanted), *job, spec)?;
        self.carry_out(wanted, effects).map_err(requests::internal)?;
        Ok(match comparison {
            Comparison::Asked(id) => {
                let version = Version { request, by: by.clone(), submit, at: now.wall };
                self.requests.comparing.entry(id).or_default().push(version);
                None
            }
            Comparison::Needless => Some((command, None)),
            Comparison::Impossible(why) => Some((command, Some(why))),
        })
    }

    /// Somebody has looked. Where the version does not fit nothing has happened.
    pub(super) fn state_compared(
        &mut self,
        id: ComparisonId,
        outcome: Result<(), ClientError>,
        effects: &mut Vec<Effect>,
    ) -> weir_core::Result<()> {
        for version in self.requests.comparing.remove(&id).unwrap_or_default() {
            match &outcome {
                Ok(()) => self.go_on_with(version, effects)?,
                Err(refused) => effects.push(Effect::Reply(version.request, Err(refused.clone()))),
            }
        }
        Ok(())
    }

    fn go_on_with(&mut self, version: Version, effects: &mut Vec<Effect>) -> weir_core::Result<()> {
        let Version { request, by, submit, at } = version;
        let there = self.state.job_by_name(&submit.namespace, &submit.name);
        let is_taken =
            |there: &Job| there.status != JobStatus::Finished && there.wanted().graph.runs_like(&submit.graph);
        let taken = there.filter(|(_, there)| is_taken(there)).map(|(job, _)| job);
        match (requests::submission(&self.state, submit, at), taken) {
            // It was asked for twice. Whoever did may have heard only this, and is to have a job go on that has ended.
            (Command::SubmitJob { .. }, Some(job)) => {
                let answer = ClientResponse::Submitted { job, already_there: true, updated: true, unchecked: None };
                effects.push(Effect::Reply(request, Ok(answer)));
                Ok(())
            }
            (command, _) => self.propose(&requests::command_by(by, command), Some(request.into())),
        }
    }
}

impl Version {
    pub(super) fn request(self) -> RequestId {
        self.request
    }
}
