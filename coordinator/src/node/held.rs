//! Answers that wait until files of plugins are deleted. Which of them nothing needs was decided before, and a client looks for the files of
//! its job again when it has the answer: it has to see what is left of them then.
//!
//! ```text
//!   Collect decided ──▶ SubmitJob applied ──▶ files deleted ──▶ answer ──▶ the client puts its files there again
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use weir_proto::client::{ClientError, ClientResponse};

use super::RequestId;
use crate::leader::OperationId;

type Answer = Result<ClientResponse, ClientError>;

/// How long an answer is held back. A storage that takes longer may not come back for hours, and a client that is told nothing cannot tell that from a
/// coordinator that is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers, what each waits for, and since when.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    behind: BTreeSet<OperationId>,
    request: RequestId,
    answer: Answer,
    since: Duration,
}

impl Held {
    /// Holds an answer back until storage has done these. It is `now`.
    pub(super) fn hold(&mut self, now: Duration, behind: BTreeSet<OperationId>, request: RequestId, answer: Answer) {
        self.0.push(Waiting { behind, request, answer, since: now });
    }

    /// The answers that waited for nothing but this.
    pub(super) fn done(&mut self, operation: OperationId) -> Vec<(RequestId, Answer)> {
        self.0.iter_mut().for_each(|waiting| {
            waiting.behind.remove(&operation);
        });
        let answers = self.0.extract_if(.., |waiting| waiting.behind.is_empty());
        answers.map(|Waiting { request, answer, .. }| (request, answer)).collect()
    }

    /// Those who have waited for too long. What they wanted is done, and may lack its files: whoever asks again waits for the same.
    pub(super) fn overdue(&mut self, now: Duration) -> Vec<RequestId> {
        let overdue = self.0.extract_if(.., |waiting| now.saturating_sub(waiting.since) >= PATIENCE);
        overdue.map(|waiting| waiting.request).collect()
    }

    /// Those who wait.
    pub(super) fn take(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.0).into_iter().map(|waiting| waiting.request).collect()
    }
}
