//! Asks the coordinators: any of them, in turn, until one answers or patience ends. What is not known to have been left undone is
//! repeated only if doing it twice comes to the same.
//!
//! A coordinator whose machine hangs takes connections and answers nothing. So none of several has all of the patience: what may be
//! repeated is asked elsewhere after a few seconds, and what may not be is asked of somebody who has just answered.

use std::time::Duration;

use weir_core::{Error, Result};
use weir_proto::client::{ClientError, ClientErrorKind, ClientRequest, ClientResponse};
use weir_proto::grpc::{CallOptions, ClusterChannel, Credentials};

use crate::clock::Stopwatch;

/// How long one coordinator may take to be connected to before the next is tried.
const CONNECT: Duration = Duration::from_secs(1);
/// How long one of several coordinators may take to answer what another can be asked as well. It doubles when all were tried: maybe
/// they are slow, and none of them hangs.
const FIRST_ANSWER: Duration = Duration::from_secs(4);
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
    credentials: Credentials,
}

/// How long one coordinator may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connect: Duration,
    answer: Duration,
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

/// How long a coordinator may take when `left` is left of the patience, and `untried` have their turn in this round, this one too.
fn share(left: Duration, untried: usize, answer: Duration) -> Duration {
    (left / u32::try_from(untried).unwrap_or(u32::MAX).max(1)).min(answer)
}

impl Client {
    /// A client of the coordinators at these addresses, separated by commas.
    ///
    /// # Errors
    /// If there is none.
    pub fn new(addresses: &str, patience: Duration, credentials: Credentials) -> Result<Self> {
        let addresses = addresses.split(',').map(str::trim).filter(|address| !address.is_empty());
        let addresses: Vec<String> = addresses.map(str::to_owned).collect();
        if addresses.is_empty() {
            return Err(Error::user("there is no coordinator to ask")
                .with_help("name one with --coordinators host:port, or in WEIR_COORDINATORS"));
        }
        Ok(Self { addresses, next: 0, channel: None, patience, credentials })
    }

    /// A client of the same coordinators, to ask beside this one.
    pub fn another(&self) -> Self {
        Self {
            addresses: self.addresses.clone(),
            next: self.next,
            channel: None,
            patience: self.patience,
            credentials: self.credentials.clone(),
        }
    }

    /// Asks until there is an answer.
    ///
    /// # Errors
    /// What the cluster answers; or that nobody does, or that the outcome is not known.
    pub async fn call(&mut self, request: ClientRequest) -> Result<ClientResponse> {
        let several = self.addresses.len() > 1;
        if several && !request.is_idempotent() && self.channel.is_none() {
            Box::pin(self.call(ClientRequest::ListWorkers)).await?;
        }
        let stopwatch = Stopwatch::start();
        let (mut pause, mut answer) = (FIRST_PAUSE, FIRST_ANSWER);
        let mut tried = 0;
        // What a coordinator says is worth more than that another one is not there.
        let mut said = None;
        loop {
            let left = self.patience.saturating_sub(stopwatch.elapsed());
            let turn = share(left, self.addresses.len() - tried % self.addresses.len(), answer);
            let limits = Limits {
                connect: CONNECT.min(if several { turn } else { left }),
                answer: if several && request.is_idempotent() { turn } else { left },
            };
            let error = match self.ask(&request, limits).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if reaction(error.kind, request.is_idempotent()) == Reaction::Answer {
                return Err(told(error, &request));
            }
            tracing::debug!(%error, "asking again");
            if self.channel.take().is_some() {
                let message = format!("{}: {}", self.addresses[self.next], error.message);
                said = Some(ClientError { message, ..error.clone() });
            }
            self.next = (self.next + 1) % self.addresses.len();
            tried += 1;
            let all_were_tried = tried % self.addresses.len() == 0;
            if stopwatch.elapsed() + pause >= self.patience && all_were_tried {
                return Err(self.given_up(said.unwrap_or(error), &request));
            }
            if all_were_tried {
                #[expect(clippy::disallowed_methods, reason = "a pause between two rounds of tries")]
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                answer *= 2;
            }
        }
    }

    async fn ask(&mut self, request: &ClientRequest, limits: Limits) -> Result<ClientResponse, ClientError> {
        let channel = match &self.channel {
            Some(channel) => channel,
            None => {
                let connected =
                    ClusterChannel::connect(&self.addresses[self.next], limits.connect, &self.credentials).await?;
                self.channel.insert(connected)
            }
        };
        channel.call(request, CallOptions { timeout: limits.answer, forwarded: false }).await
    }

    fn given_up(&self, last: ClientError, request: &ClientRequest) -> Error {
        let all = self.addresses.join(", ");
        let help = last.help.clone().unwrap_or_else(|| match last.kind {
            ClientErrorKind::Unknown if !request.is_read() => look_first(request),
            _ => {
                "start a cluster with `weir local`, or name another with --coordinators host:port or in WEIR_COORDINATORS"
                    .into()
            }
        });
        Error::environment(format!("no answer from the cluster at {all}")).with_source(last).with_help(help)
    }
}

/// An answer that is an error, with advice where only this side knows some.
fn told(error: ClientError, request: &ClientRequest) -> Error {
    match error.kind {
        ClientErrorKind::Unknown => Error::environment(error.message).with_help(look_first(request)),
        _ => error.into(),
    }
}

/// What to do about a change that may have been made.
fn look_first(request: &ClientRequest) -> String {
    use ClientRequest as R;
    let shows = match request {
        R::AddCoordinator { .. } | R::RemoveCoordinator { .. } | R::TransferLeadership { .. } => "weir cluster status",
        R::SetNamespace { .. } | R::DropNamespace { .. } => "weir namespaces list",
        R::ReplaceCatalog { .. } => "weir catalog list",
        R::CreateToken(_) | R::RevokeToken { .. } => "weir tokens list",
        R::DrainWorker { .. } => "weir workers list",
        R::TakeSavepoint { .. } | R::ForgetCheckpoint { .. } => "weir checkpoints list",
        _ => "weir jobs list --all",
    };
    format!("it may or may not have been done: see `{shows}`, then ask again if it was not")
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
    fn nobody_has_all_of_the_patience_as_long_as_others_wait_for_their_turn() {
        let seconds = Duration::from_secs;
        assert_eq!(share(seconds(30), 3, FIRST_ANSWER), FIRST_ANSWER);
        assert_eq!(share(seconds(3), 3, FIRST_ANSWER), seconds(1));
        assert_eq!(share(seconds(2), 1, FIRST_ANSWER), seconds(2));
    }

    #[test]
    fn addresses_are_a_list() {
        let client =
            Client::new(" a:1, b:2,", Duration::ZERO, Credentials::default()).ok().map(|client| client.addresses);
        assert_eq!(client, Some(vec!["a:1".to_owned(), "b:2".to_owned()]));
        assert!(Client::new(" ,", Duration::ZERO, Credentials::default()).is_err());
    }
}
