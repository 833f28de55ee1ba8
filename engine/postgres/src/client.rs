//! A connection to the database.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};
use weir_connectors::blocking::blocking;
use weir_core::{Error, Result};

use crate::errors::failed;
use crate::options::ClientOptions;
use crate::tls::Tls;

/// What each connection begins with. A client that is gone, or hangs in a transaction, holds up nobody for longer than that.
const BEGIN: &str = "SET idle_in_transaction_session_timeout = '60s'; SET tcp_keepalives_idle = 10; \
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
        let connecting = tokio::time::timeout(options.timeout, Self::connect(options));
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
    tokio::time::timeout(limit, request)
        .await
        .unwrap_or_else(|_| Err(Error::environment(format!("PostgreSQL at {place} gives no answer within {limit:?}"))))
}
