//! Answers that wait until files of plugins are deleted. Which of them nothing needs was decided before, and a client looks for the files of
//! its job again when it has the answer: it has to see what is left of them then.
//!
//! ```text
//!   Collect decided ──▶ SubmitJob applied ──▶ files deleted ──▶ answer ──▶ the client puts its files there again
//! ```

use std::collections::BTreeSet;

use weir_proto::client::{ClientError, ClientResponse};

use super::RequestId;
use crate::leader::OperationId;

type Answer = Result<ClientResponse, ClientError>;

/// Answers, and what each waits for.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<(BTreeSet<OperationId>, RequestId, Answer)>);

impl Held {
    /// Holds an answer back until storage has done these.
    pub(super) fn hold(&mut self, behind: BTreeSet<OperationId>, request: RequestId, answer: Answer) {
        self.0.push((behind, request, answer));
    }

    /// The answers that waited for nothing but this.
    pub(super) fn done(&mut self, operation: OperationId) -> Vec<(RequestId, Answer)> {
        self.0.iter_mut().for_each(|(behind, ..)| {
            behind.remove(&operation);
        });
        let answers = self.0.extract_if(.., |(behind, ..)| behind.is_empty());
        answers.map(|(_, request, answer)| (request, answer)).collect()
    }

    /// Those who wait.
    pub(super) fn take(&mut self) -> Vec<RequestId> {
        std::mem::take(&mut self.0).into_iter().map(|(_, request, _)| request).collect()
    }
}
