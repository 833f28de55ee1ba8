//! Asks the coordinators: any of them, in turn, until one answers or patience ends. What is not known to have been left undone is
//! repeated only if doing it twice comes to the same.

use std::time::Duration;

use weir_core::{Error, Result};
use weir_proto::client::{ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::grpc::{CallOptions, ClusterChannel};

use crate::clock::Stopwatch;

/// How long one coordinator may take to be connected to before the next is tried.
const CONNECT: Duration = Duration::from_secs(2);
/// Pause when all were tried in vain; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A client of the cluster.
pub struct Client {
    addresses: Vec<String>,
    /// Position of the one to ask next.
    next: usize,
    channel: Option<ClusterChannel>,
    patience: Duration,
}

/// What to do about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reaction {
    /// Ask again, another coordinator if there is one.
    Again,
    /// That is the answer.
    Answer,
}

fn reaction(kind: ClientErrorKind, idempotent: bool) -> Reaction {
    match kind {
        ClientErrorKind::Unavailable => Reaction::Again,
        ClientErrorKind::Unknown if idempotent => Reaction::Again,
        _ => Reaction::Answer,
    }
}

impl Client {
    /// A client of the coordinators at these addresses, separated by commas.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(addresses: &str, patience: Duration) -> Result<Self> {
        let addresses = addresses.split(',').map(str::trim).filter(|address| !address.is_empty());
        let addresses: Vec<String> = addresses.map(str::to_owned).collect();
        if addresses.is_empty() {
            return Err(Error::user("there is no coordinator to ask")
                .with_help("name one with --coordinators host:port, or in WEIR_COORDINATORS"));
        }
        Ok(Self { addresses, next: 0, channel: None, patience })
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// What the cluster answers; or that nobody does, or that the outcome is not known.
    pub async fn call(&mut self, request: ClientRequest) -> Result<ClientResponse> {
        let stopwatch = Stopwatch::start();
        let mut pause = FIRST_PAUSE;
        let mut tried = 0;
        loop {
            let left = self.patience.saturating_sub(stopwatch.elapsed());
            let error = match self.ask(&request, left).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if reaction(error.kind, request.is_idempotent()) == Reaction::Answer {
                return Err(told(error));
            }
            tracing::debug!(%error, "asking again");
            self.channel = None;
            self.next = (self.next + 1) % self.addresses.len();
            tried += 1;
            let all_were_tried = tried % self.addresses.len() == 0;
            if stopwatch.elapsed() + pause >= self.patience && all_were_tried {
                return Err(self.given_up(error));
            }
            if all_were_tried {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    async fn ask(&mut self, request: &ClientRequest, left: Duration) -> Result<ClientResponse, ClientError> {
        let channel = match &self.channel {
            Some(channel) => channel,
            None => {
                let connected = ClusterChannel::connect(&self.addresses[self.next], CONNECT.min(left)).await?;
                self.channel.insert(connected)
            }
        };
        channel.call(request, CallOptions { timeout: left, forwarded: false }).await
    }

    fn given_up(&self, last: ClientError) -> Error {
        let all = self.addresses.join(", ");
        let help = last.help.clone().unwrap_or_else(|| {
            "start a cluster with `weir local`, or name another with --coordinators host:port or in WEIR_COORDINATORS"
                .into()
        });
        Error::environment(format!("no answer from the cluster at {all}")).with_source(last).with_help(help)
    }
}

/// An answer that is an error, with advice where only this side knows some.
fn told(error: ClientError) -> Error {
    match error.kind {
        ClientErrorKind::Unknown => Error::environment(error.message)
            .with_help("it may or may not have been done: see `weir jobs list --all`, then ask again if it was not"),
        _ => error.into(),
    }
}

/// The answer that belongs to a request.
macro_rules! expect_answer {
    ($answer:expr, $pattern:pat => $value:expr) => {
        match $answer {
            $pattern => Ok($value),
            other => Err(weir_core::Error::internal(format!("the cluster answered with {}", other.name()))),
        }
    };
}
pub(super) use expect_answer;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_surely_undone_or_may_be_done_twice_is_repeated() {
        use ClientErrorKind as K;
        for idempotent in [true, false] {
            assert_eq!(reaction(K::Unavailable, idempotent), Reaction::Again);
            for kind in [K::NotFound, K::Conflict, K::Quota, K::Invalid, K::Internal] {
                assert_eq!(reaction(kind, idempotent), Reaction::Answer);
            }
        }
        assert_eq!(reaction(K::Unknown, true), Reaction::Again);
        assert_eq!(reaction(K::Unknown, false), Reaction::Answer);
    }

    #[test]
    fn addresses_are_a_list() {
        let client = Client::new(" a:1, b:2,", Duration::ZERO).ok().map(|client| client.addresses);
        assert_eq!(client, Some(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert!(Client::new(" ,", Duration::ZERO).is_err());
    }
}
