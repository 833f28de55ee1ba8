//! What clients are told. A change that is confirmed has been agreed upon since it was asked for; and who reads sees every change
//! that had been confirmed by then.

use std::sync::Mutex;

use weir_proto::client::{ClientErrorKind, ClientRequest, ClientResponse};

use crate::lock::lock;
use crate::message::Answer;

/// What was confirmed so far.
#[derive(Debug, Default)]
pub struct Promises {
    /// The last entry of the log that a client has been told of.
    confirmed: Mutex<u64>,
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    kind: Kind,
    /// Of the log, when it was asked: the last entry that its coordinator had, or that a client had been told of.
    entry: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Change,
    Read,
    /// Is answered by the leader alone.
    Other,
}

impl Promises {
    /// Nothing that was confirmed can be relied on any more.
    pub fn forget(&self) {
        *lock(&self.confirmed) = 0;
    }

    /// A client asks a coordinator that has this entry of the log.
    pub fn asked(&self, request: &ClientRequest, applied: u64) -> Asked {
        match request {
            ClientRequest::TakeSavepoint { .. } | ClientRequest::TransferLeadership { .. } => {
                Asked { kind: Kind::Other, entry: 0 }
            }
            read if read.is_read() => Asked { kind: Kind::Read, entry: *lock(&self.confirmed) },
            _ => Asked { kind: Kind::Change, entry: applied },
        }
    }

    /// A coordinator that has this entry of the log answers.
    ///
    /// # Errors
    /// If it must not.
    pub fn answered(&self, asked: Asked, applied: u64, answer: &Answer) -> Result<(), String> {
        match (asked.kind, answer) {
            (Kind::Change, Ok(response)) if applied <= asked.entry => {
                Err(format!("a client was told '{}' before anything was agreed upon", ClientResponse::name(response)))
            }
            (Kind::Change, Ok(_)) => {
                let mut confirmed = lock(&self.confirmed);
                *confirmed = applied.max(*confirmed);
                Ok(())
            }
            (Kind::Read, answer) if applied < asked.entry => {
                let knows = answer.as_ref().map_or_else(|error| error.kind == ClientErrorKind::NotFound, |_| true);
                let (has, confirmed) = (applied, asked.entry);
                let old =
                    format!("a client was told how things stood at entry {has}, and {confirmed} had been confirmed");
                if knows { Err(old) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}
