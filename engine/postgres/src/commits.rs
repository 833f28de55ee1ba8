//! The marker of a sink: a row in a table of Weir's own, `weir_commits` unless the option says otherwise, which is written in the
//! transaction of the epoch's rows.
//!
//! ```text
//!   sink                     | committed | epoch | target  | row_count | at
//!   6f0c…-sink-81d2…         | false     |     0 | totals  |           | …      when the job began, before its first row
//!   6f0c…-sink-81d2…         | true      |    17 | totals  |       120 | …      with the rows of epoch 17
//!   (nothing)                                                                   the job was deleted
//! ```

use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;
use weir_connectors::marker::Marker;
use weir_core::{Epoch, Error, Result};

use crate::client::Session;
use crate::options::{Name, SinkOptions};

fn definition(commits: &Name) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (sink text PRIMARY KEY, committed boolean NOT NULL, epoch bigint NOT NULL, \
         target text NOT NULL, row_count bigint, at timestamptz NOT NULL DEFAULT clock_timestamp())",
        commits.sql()
    )
}

/// Makes the table of the markers, if it is not there.
///
/// # Errors
/// A user error if making it is not allowed, or a crash of the server would empty it.
pub(crate) async fn ensure(session: &Session, commits: &Name) -> Result<()> {
    let failed = |error| session.failed(&format!("cannot look for table {commits}"), error);
    let found = "SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass($1)::oid";
    let name = commits.sql();
    let find = || async { session.client.query_opt(found, &[&name]).await };
    let found = match find().await.map_err(failed)? {
        Some(found) => found,
        None => {
            let definition = definition(commits);
            match session.client.batch_execute(&definition).await {
                Ok(()) => {}
                // Several jobs that begin at once.
                Err(error) if error.code().is_some_and(|code| *code == SqlState::UNIQUE_VIOLATION) => {}
                Err(error) => {
                    let what = format!("table {commits}, which says what is committed, cannot be made");
                    let help =
                        format!("make it yourself: {definition}; and GRANT SELECT, INSERT, UPDATE, DELETE on it");
                    return Err(session.failed(&what, error).with_help(help));
                }
            }
            find().await.map_err(failed)?.ok_or_else(|| Error::environment(format!("table {commits} has gone")))?
        }
    };
    if found.get::<_, String>(0) == "u" {
        return Err(Error::user(format!(
            "table {commits}, which says what is committed, is UNLOGGED: a crash of PostgreSQL empties it"
        ))
        .with_help(format!("ALTER TABLE {} SET LOGGED", commits.sql())));
    }
    Ok(())
}

/// The marker of a sink that a job begins with. A new one says that nothing is written by the sink so far: what is decided up to here and
/// not written had a marker, which is lost then.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn begin(session: &Session, options: &SinkOptions, id: &str, behind: Epoch) -> Result<Marker> {
    let failed = |error| session.failed(&format!("cannot read table {}", options.commits), error);
    let commits = options.commits.sql();
    let epoch = number(behind)?;
    let insert = format!(
        "INSERT INTO {commits} (sink, committed, epoch, target) VALUES ($1, false, $2, $3) ON CONFLICT (sink) DO NOTHING"
    );
    session.client.execute(&insert, &[&id, &epoch, &options.target.to_string()]).await.map_err(failed)?;
    let select = format!("SELECT committed, epoch FROM {commits} WHERE sink = $1");
    let row = session.client.query_one(&select, &[&id]).await.map_err(failed)?;
    marker(&row)
}

/// The marker of a sink, which nobody else can write or read so before the transaction has ended.
///
/// # Errors
/// That of the database; the inner one if the marker makes no sense.
pub(crate) async fn lock(
    transaction: &Transaction<'_>,
    options: &SinkOptions,
    id: &str,
) -> Result<Result<Option<Marker>>, tokio_postgres::Error> {
    let select = format!("SELECT committed, epoch FROM {} WHERE sink = $1 FOR UPDATE", options.commits.sql());
    Ok(transaction.query_opt(&select, &[&id]).await?.as_ref().map(marker).transpose())
}

/// Says that an epoch is there.
pub(crate) async fn write(
    transaction: &Transaction<'_>,
    options: &SinkOptions,
    id: &str,
    epoch: i64,
    rows: i64,
) -> Result<(), tokio_postgres::Error> {
    let update = format!(
        "UPDATE {} SET committed = true, epoch = $2, target = $3, row_count = $4, at = clock_timestamp() WHERE sink = $1",
        options.commits.sql()
    );
    transaction.execute(&update, &[&id, &epoch, &options.target.to_string(), &rows]).await.map(drop)
}

/// Forgets the marker of a job that was deleted.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn forget(session: &Session, options: &SinkOptions, id: &str) -> Result<()> {
    let delete = format!("DELETE FROM {} WHERE sink = $1", options.commits.sql());
    match session.client.execute(&delete, &[&id]).await {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some_and(|code| *code == SqlState::UNDEFINED_TABLE) => Ok(()),
        Err(error) => Err(session.failed(&format!("cannot write table {}", options.commits), error)),
    }
}

fn marker(row: &tokio_postgres::Row) -> Result<Marker> {
    let (is_committed, epoch): (bool, i64) = (row.get(0), row.get(1));
    let epoch = u64::try_from(epoch).map_err(|_| Error::data(format!("a marker with the epoch {epoch}")))?;
    Ok(if is_committed { Marker::Committed(epoch) } else { Marker::BeganBehind(epoch) })
}

/// An epoch as the table has it.
pub(crate) fn number(epoch: Epoch) -> Result<i64> {
    i64::try_from(epoch.0).map_err(|_| Error::internal("an epoch beyond 2^63"))
}

/// The error of an epoch of which it cannot be told whether it was written.
pub(crate) fn lost(options: &SinkOptions, id: &str, epoch: Epoch) -> Error {
    let SinkOptions { table, target, commits, .. } = options;
    let before = epoch.0.saturating_sub(1);
    let commits_sql = commits.sql();
    Error::data(format!(
        "it cannot be told whether epoch {epoch} of table '{table}' was written: table {commits} has lost the row that says so"
    ))
    .with_help(format!(
        "see whether the rows of this epoch are in {target}. Then INSERT INTO {commits_sql} (sink, committed, epoch, target) VALUES \
         ('{id}', true, {epoch}, '{target}') ON CONFLICT (sink) DO UPDATE SET committed = true, epoch = {epoch}, if they are there, or with \
         {before} instead of {epoch} if they are not. The job goes on by itself"
    ))
}
