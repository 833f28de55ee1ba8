//! Errors on their way through the boundary: all that a reaction depends on is kept.

use serde::{Deserialize, Serialize};
use weir_core::{Error, ErrorKind, Result};

use crate::panics::caught;
use crate::raw::{Answer, Owned};

/// An error as text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorText {
    kind: ErrorKind,
    /// The first is the outermost.
    chain: Vec<String>,
    help: Option<String>,
}

impl From<&Error> for ErrorText {
    fn from(error: &Error) -> Self {
        let first: Option<&dyn std::error::Error> = Some(error);
        let chain = std::iter::successors(first, |error| error.source()).map(ToString::to_string).collect();
        Self { kind: error.kind(), chain, help: error.help().map(str::to_owned) }
    }
}

impl From<ErrorText> for Error {
    fn from(ErrorText { kind, chain, help }: ErrorText) -> Self {
        let mut messages = chain.into_iter().rev();
        let first = Error::new(kind, messages.next().unwrap_or_default());
        let first = match help {
            Some(help) => first.with_help(help),
            None => first,
        };
        messages.fold(first, Error::context)
    }
}

/// Does what a call of the other side asks for, and writes into `answer` how it went.
pub fn answer<T>(answer: *mut Answer, what: &str, call: impl FnOnce() -> Result<(T, Vec<u8>)>) -> Option<T> {
    let (value, written) = match caught(what, call) {
        Ok((value, bytes)) => (Some(value), Answer { failed: false, bytes: Owned::new(bytes) }),
        Err(error) => {
            let bytes = serde_json::to_vec(&ErrorText::from(&error)).unwrap_or_default();
            (None, Answer { failed: true, bytes: Owned::new(bytes) })
        }
    };
    // SAFETY: the other side waits in the call, with an answer of its own behind this pointer, which owns nothing yet.
    unsafe { answer.write(written) };
    value
}

impl Answer {
    /// The bytes of an answer, or the error that the other side has told.
    pub fn into_result(self) -> Result<Owned> {
        if !self.failed {
            return Ok(self.bytes);
        }
        let told: Option<ErrorText> = serde_json::from_slice(self.bytes.bytes()).ok();
        Err(told.map_or_else(|| Error::internal("a plugin failed and could not say why"), Error::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_same_on_the_other_side() {
        let error = Error::data("not a number").with_help("write a number").context("while reading");
        let mut told = Answer::empty();
        assert!(answer::<()>(&mut told, "test", || Err(error)).is_none());
        let error = told.into_result().expect_err("it failed");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.report(), "while reading\n  because: not a number\n  help: write a number");
    }
}
