//! Another version of a job that is there: proposed once it is known that it can go on with the job's state.

use weir_proto::client::{ClientError, SubmitJob};

use super::{Effect, Node, RequestId, requests};
use crate::cluster::Command;
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
                self.requests.comparing.insert(id, Version { request, by: by.clone(), submit, at: now.wall });
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
        let Some(Version { request, by, submit, at }) = self.requests.comparing.remove(&id) else { return Ok(()) };
        if let Err(refused) = outcome {
            effects.push(Effect::Reply(request, Err(refused)));
            return Ok(());
        }
        let command = requests::submission(&self.state, submit, at);
        self.propose(&requests::command_by(by, command), Some(request.into()))
    }
}

impl Version {
    pub(super) fn request(self) -> RequestId {
        self.request
    }
}
