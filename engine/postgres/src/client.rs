//! A connection to the database.

use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};
use weir_connectors::blocking::blocking;
use weir_core::{Error, Result};

use crate::errors::failed;
use crate::options::ClientOptions;
use crate::tls::Tls;

/// How long an answer may take that needs no work.
pub(crate) const ANSWER: Duration = Duration::from_secs(60);
/// What sessions are called in `pg_stat_activity`.
pub(crate) const APPLICATION: &str = "weir";

/// What each connection begins with. A client that is gone, or hangs between two statements of a transaction, holds up nobody for longer
/// than that; one that hangs in a `COPY` is ended by [whoever waits for it](crate::commits::lock).
const BEGIN: &str = "SET idle_in_transaction_session_timeout = '60s'; SET lock_timeout = '30s'; SET tcp_keepalives_idle = 10; \
                     SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// A connection, and the task that moves its bytes: both end together.
pub(crate) struct Session {
    pub(crate) client: Client,
    /// For messages.
    pub(crate) place: String,
    _moving: JoinSet<()>,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// A user error if the database does not let us in, an environment error if there is none.
    pub(crate) async fn open(options: &ClientOptions) -> Result<Self> {
        // `connect_timeout` is that of each address, and of the network alone.
        let connecting = timeout(options.timeout, Self::connect(options));
        connecting.await.unwrap_or_else(|_| {
            let (place, timeout) = (&options.place, options.timeout);
            Err(Error::environment(format!("PostgreSQL at {place} does not answer within {timeout:?}")))
        })
    }

    async fn connect(options: &ClientOptions) -> Result<Self> {
        let failed = |error| failed("cannot connect", error, &options.place);
        let mut moving = JoinSet::new();
        let client = match &options.tls {
            None => {
                let (client, connection) = options.config.connect(NoTls).await.map_err(failed)?;
                moving.spawn(async move { ended(connection.await) });
                client
            }
            Some(roots) => {
                let roots = roots.clone();
                let tls = blocking(move || Tls::new(roots.as_deref())).await?;
                let (client, connection) = options.config.connect(tls).await.map_err(failed)?;
                moving.spawn(async move { ended(connection.await) });
                client
            }
        };
        client.batch_execute(BEGIN).await.map_err(failed)?;
        Ok(Self { client, place: options.place.clone(), _moving: moving })
    }

    /// An error of a request.
    pub(crate) fn failed(&self, what: &str, error: tokio_postgres::Error) -> Error {
        failed(what, error, &self.place)
    }

    /// Whether requests have no chance any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Whoever waits for an answer hears of it; nobody may.
fn ended(result: Result<(), tokio_postgres::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection to PostgreSQL has ended");
    }
}

/// Waits for an answer, but not for ever.
///
/// # Errors
/// That of the request, or that there was no answer.
pub(crate) async fn within<T>(limit: Duration, place: &str, request: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(limit, request)
        .await
        .unwrap_or_else(|_| Err(Error::environment(format!("PostgreSQL at {place} gives no answer within {limit:?}"))))
}

/// Waits for an answer that may be much work, for as long as the server answers others.
///
/// # Errors
/// If it does not.
pub(crate) async fn patiently<T>(options: &ClientOptions, request: impl Future<Output = T>) -> Result<T> {
    // That it lets nobody in, such as for want of connections, is an answer.
    let probe = || async { timeout(options.timeout, Session::connect(options)).await.is_ok() };
    while_answered(&options.place, request, probe).await
}

async fn while_answered<T, P>(place: &str, request: impl Future<Output = T>, probe: impl Fn() -> P) -> Result<T>
where
    P: Future<Output = bool>,
{
    let mut request = pin!(request);
    loop {
        if let Ok(answer) = timeout(ANSWER, &mut request).await {
            return Ok(answer);
        }
        if !probe().await {
            return Err(Error::environment(format!("PostgreSQL at {place} has stopped answering")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_works_is_waited_for_and_one_that_hangs_is_not() {
        let works = tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_secs(3600));
        assert!(while_answered("h/db", works, || async { true }).await.is_ok());
        let hangs = while_answered("h/db", pending::<()>(), || async { false }).await;
        assert!(hangs.is_err_and(|error| error.report().contains("PostgreSQL at h/db has stopped answering")));
    }
}
