//! One error type, shaped by the reaction it asks for: who must act, and can a retry help?

use std::fmt;

use serde::{Deserialize, Serialize};

/// Result with Weir's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act on an error. The command line maps each kind to an exit code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The query, an option or the way Weir was called is wrong; the user changes it. Never retried.
    User,
    /// A record or a file cannot be read as what it was declared to be. A retry meets the same bytes.
    Data,
    /// The surroundings fail: disk full, permission, a file that vanished. A retry can help once they are mended.
    Environment,
    /// Weir's own defect: an invariant does not hold.
    Internal,
}

/// An error with what to do about it. [`fmt::Display`] prints this error alone; [`Error::report`] prints the chain,
/// once, at the edge.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, source: None }
    }

    /// The query, an option or the call is wrong.
    pub fn user(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::User, message)
    }

    /// A record or file cannot be read as declared.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// The surroundings fail.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    /// An invariant of Weir does not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what the user can do, as a sentence.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Puts a wider frame around this error ("while reading x.csv"), keeping its kind.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        Self { kind: self.kind, message: message.into(), help: None, source: Some(Box::new(self)) }
    }

    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user can do: this error's own advice, or the nearest below it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref().or_else(|| self.source.as_ref()?.downcast_ref::<Error>()?.help())
    }

    /// The whole chain, outermost first, a line each.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text.push_str("\n  because: ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }

    /// [`chain`](Self::chain), with the advice at the end.
    pub fn report(&self) -> String {
        let mut text = self.chain();
        if let Some(help) = self.help() {
            text.push_str("\n  help: ");
            text.push_str(help);
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Arrow kernels fail on Weir's side of the contract unless the caller knows better and says so.
impl From<arrow_schema::ArrowError> for Error {
    fn from(error: arrow_schema::ArrowError) -> Self {
        Error::internal("an Arrow kernel failed").with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_prints_the_chain_once_and_the_nearest_help() {
        let error = Error::data("line 3: not a number").with_help("declare it STRING").context("while reading x.csv");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.to_string(), "while reading x.csv");
        assert_eq!(error.report(), "while reading x.csv\n  because: line 3: not a number\n  help: declare it STRING");
    }
}
