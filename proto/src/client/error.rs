//! Refusals and failures of requests, shaped by what the caller can do about them.

use std::fmt;

use weir_core::Error;

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// What the caller can do.
    pub kind: ClientErrorKind,
    /// What happened.
    pub message: String,
    /// What a person can do, as a sentence.
    pub help: Option<String>,
}

/// What the caller can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientErrorKind {
    /// What the request is about is not there.
    NotFound,
    /// Something else is there, or is going on.
    Conflict,
    /// The namespace's limits do not allow it.
    Quota,
    /// The request is wrong.
    Invalid,
    /// It is not known whether it was done: look, then ask again.
    Unknown,
    /// Nothing was done, because nobody leads just now: ask again.
    Unavailable,
    /// A defect.
    Internal,
    /// It is not known who asks, and has to be.
    Unauthenticated,
    /// Who asks may not do that.
    Denied,
}

impl ClientError {
    /// An error without advice.
    pub fn new(kind: ClientErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None }
    }

    /// Adds what a person can do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ClientError {}

/// For whoever shows it to a person.
impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        let shown = match error.kind {
            ClientErrorKind::NotFound
            | ClientErrorKind::Conflict
            | ClientErrorKind::Quota
            | ClientErrorKind::Invalid
            | ClientErrorKind::Unauthenticated
            | ClientErrorKind::Denied => Error::user(error.message),
            ClientErrorKind::Unknown | ClientErrorKind::Unavailable => Error::environment(error.message),
            ClientErrorKind::Internal => Error::internal(error.message),
        };
        match error.help {
            Some(help) => shown.with_help(help),
            None => shown,
        }
    }
}
