//! What a leader has storage do for clients, which need not reach it: the rows of a `SELECT` come from there, and files of plugins go there.
//!
//! ```text
//!   client ── ExpectResults ─▶ leader ─▶ storage: <folder>/reader-<n>
//!          ── SubmitJob ─────▶
//!          ── ReadResults ───▶ leader ─▶ storage: the next piece of the rows that are committed
//!          ◀─ piece ────────────────────
//!
//!          ── PutArtifact ───▶ leader ─▶ storage: a piece of a file, or the file
//!          ◀─ bytes that are here ──────
//! ```
//!
//! It is the leader that has it done, for it knows what is committed. It keeps nothing of it: what a client has is said in each question and
//! what it lacks in each answer, so the next leader goes on where this one was.

use weir_core::{Epoch, ErrorKind, JobId};
use weir_proto::client::{
    ArtifactPiece, ClientError, ClientErrorKind, ClientResponse, FilePosition, artifacts, results,
};
use weir_proto::control::StoragePlace;

use super::{Context, Effect, Leader, Operation, OperationId, StorageOperation, StorageOutcome};
use crate::cluster::{Checkpoint, Job};

impl Leader {
    /// Says in a folder that somebody reads, or deletes it; [`Effect::Served`] tells when that is done.
    pub(crate) fn expect_results(
        &mut self,
        context: &mut Context<'_>,
        namespace: &str,
        token: u64,
        reading: bool,
    ) -> Result<OperationId, ClientError> {
        let place = StoragePlace { url: results::folder(&context.state.storage, &context.state.cluster, token) };
        let is_here = |job: &Job| context.results_of(&job.spec.graph).as_ref() == Some(&place);
        if context.state.jobs.values().any(|job| job.namespace != namespace && is_here(job)) {
            return Err(ClientError::new(ClientErrorKind::Denied, "these results are another namespace's"));
        }
        let operation = match reading {
            true => StorageOperation::ExpectResults { place },
            false => StorageOperation::ForgetResults { place },
        };
        Ok(self.store(context, Operation::Served, operation))
    }

    /// Reads on in the results of a job; [`Effect::Served`] has what there is.
    pub(crate) fn read_results(
        &mut self,
        context: &mut Context<'_>,
        id: JobId,
        after: Option<FilePosition>,
        offset: u64,
    ) -> Result<OperationId, ClientError> {
        let job = context.state.jobs.get(&id);
        let place = job.and_then(|job| context.results_of(&job.spec.graph)).ok_or_else(|| {
            let message = format!("job {id} has no rows to be read: it is no SELECT, or it is not there");
            ClientError::new(ClientErrorKind::NotFound, message)
        })?;
        let committed = job.into_iter().flat_map(|job| &job.checkpoints).filter(|checkpoint| checkpoint.committed);
        // Before the first one there are none.
        let committed = committed.map(|checkpoint: &Checkpoint| checkpoint.epoch).max().unwrap_or(Epoch(0));
        let operation = StorageOperation::ReadResults { place, committed, after, offset };
        Ok(self.store(context, Operation::Served, operation))
    }

    /// Takes a piece of a plugin's file; [`Effect::Served`] tells how much of it is here then.
    pub(crate) fn put_artifact(&mut self, context: &mut Context<'_>, piece: ArtifactPiece) -> OperationId {
        let place = StoragePlace { url: artifacts::folder(&context.state.storage, &context.state.cluster) };
        self.store(context, Operation::Served, StorageOperation::PutArtifact { place, piece })
    }

    /// Storage has answered.
    pub(super) fn served(context: &mut Context<'_>, operation: OperationId, outcome: StorageOutcome) {
        let answer = match outcome {
            StorageOutcome::Answer(answer) => answer,
            StorageOutcome::Manifest(Err(error)) => Err(error),
            StorageOutcome::Manifest(Ok(_)) | StorageOutcome::Done => Ok(ClientResponse::Accepted),
        };
        let answer = answer.map_err(|error| {
            let kind = match error.kind() {
                ErrorKind::User | ErrorKind::Data => ClientErrorKind::Invalid,
                // Storage that is away may be back in a moment.
                ErrorKind::Environment => ClientErrorKind::Unavailable,
                ErrorKind::Internal => ClientErrorKind::Internal,
            };
            ClientError::new(kind, error.report())
        });
        context.effects.push(Effect::Served(operation, answer));
    }
}
