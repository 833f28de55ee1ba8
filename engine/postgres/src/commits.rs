//! The marker of a sink: a row in a table of Weir's own, `weir_commits` unless the option says otherwise, which is written in the
//! transaction of the epoch's rows.
//!
//! ```text
//!   sink                     | committed | epoch | target  | row_count | at
//!   6f0c…-sink-81d2…         | false     |     0 | totals  |           | …      when the job began, before its first row
//!   6f0c…-sink-81d2…         | true      |    17 | totals  |       120 | …      with the rows of epoch 17
//!   sink-81d2…               | true      |    17 | totals  |           | …      the job was deleted: of the last one of its query, so that
//!                                                                               the next is warned of the rows that are there
//! ```

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use weir_connectors::marker::Marker;
use weir_core::{Epoch, Error, JobIdentity, OperatorUid, Result};

use crate::client::{ANSWER, APPLICATION, Session, within};
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
    let target = options.target.to_string();
    let is_new = session.client.execute(&insert, &[&id, &epoch, &target]).await.map_err(failed)? > 0;
    if is_new && behind.0 > 0 {
        tracing::warn!(
            table = options.table, %target, epoch = behind.0,
            "there was no row of this job in the table of what is committed: if it has written behind this epoch before, those rows may be there twice"
        );
    }
    let select = format!("SELECT committed, epoch FROM {commits} WHERE sink = $1");
    let row = session.client.query_one(&select, &[&id]).await.map_err(failed)?;
    marker(&row)
}

/// The marker of a sink, as it was committed last.
///
/// # Errors
/// If the database does not answer, or the marker makes no sense.
pub(crate) async fn read(session: &Session, options: &SinkOptions, id: &str) -> Result<Option<Marker>> {
    let select = format!("SELECT committed, epoch FROM {} WHERE sink = $1", options.commits.sql());
    match session.client.query_opt(&select, &[&id]).await {
        Ok(row) => row.as_ref().map(marker).transpose(),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(session.failed(&format!("cannot read table {}", options.commits), error)),
    }
}

/// Where commits are not waited for, a crash of the server could undo one that was acknowledged.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '5s'; \
     SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'";
const LOCKED: &str = "SET LOCAL lock_timeout = '30s'";
/// How long a session that has the marker may wait for bytes of its process before it is ended. In a cluster, a commit has a minute.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a session that is not Weir's is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Begins a transaction that has the marker of a sink, which nobody else can write or read so before it has ended. Waits for whoever
/// commits, and ends the session of one that has stopped in the middle.
///
/// # Errors
/// If the database does not answer, somebody else has locked the marker for long, or it makes no sense.
pub(crate) async fn lock(session: &Session, options: &SinkOptions, id: &str) -> Result<Option<Marker>> {
    let failed = |error| session.failed(&format!("cannot lock a row of table {}", options.commits), error);
    let select = format!("SELECT committed, epoch FROM {} WHERE sink = $1 FOR UPDATE", options.commits.sql());
    let begun = Instant::now();
    let mut silent: Option<(Holder, Instant)> = None;
    loop {
        let tried = async {
            session.client.batch_execute(BEGIN).await.map_err(failed)?;
            match session.client.query_opt(&select, &[&id]).await {
                Ok(row) => session.client.batch_execute(LOCKED).await.map_err(failed).map(|()| Some(row)),
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Some(None)),
                Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                    session.client.batch_execute("ROLLBACK").await.map_err(failed).map(|()| None)
                }
                Err(error) => Err(failed(error)),
            }
        };
        if let Some(row) = within(ANSWER, &session.place, tried).await? {
            return row.as_ref().map(marker).transpose();
        }
        let held = within(ANSWER, &session.place, async { Holder::find(session, options, id).await.map_err(failed) });
        let Some(holder) = held.await? else { continue };
        if !holder.is_weir && begun.elapsed() > PATIENCE {
            return Err(Error::environment(format!(
                "table {} cannot be written: process {} of PostgreSQL at {} has locked its row of table {}",
                options.target, holder.pid, session.place, options.commits
            ))
            .with_help(format!("SELECT * FROM pg_stat_activity WHERE pid = {}", holder.pid)));
        }
        silent = match silent {
            _ if holder.silence.is_none() || !holder.is_weir => None,
            Some((before, since)) if before == holder => {
                if since.elapsed() >= SILENCE {
                    tracing::warn!(table = %options.target, pid = holder.pid, "a commit has stopped in the middle, and is ended");
                    let ended = async { holder.end(session, options, id).await.map_err(failed) };
                    within(ANSWER, &session.place, ended).await?;
                }
                Some((before, since))
            }
            _ => Some((holder, Instant::now())),
        };
    }
}

/// The session that has locked a marker.
#[derive(PartialEq)]
struct Holder {
    pid: i32,
    is_weir: bool,
    /// While it waits for its process: the same for as long as nothing has come from there.
    silence: Option<String>,
}

impl Holder {
    /// A row that is locked, or was, has the number of the transaction.
    fn sql(options: &SinkOptions) -> String {
        format!(
            "SELECT a.pid, a.application_name = '{APPLICATION}' AS is_weir, CASE WHEN a.wait_event = 'ClientRead' \
             THEN concat_ws(' ', a.backend_start, a.state_change, p.bytes_processed) END AS silence \
             FROM {} c JOIN pg_locks l ON l.locktype = 'transactionid' AND l.transactionid = c.xmax AND l.granted \
             JOIN pg_stat_activity a ON a.pid = l.pid LEFT JOIN pg_stat_progress_copy p ON p.pid = a.pid WHERE c.sink = $1",
            options.commits.sql()
        )
    }

    /// `None` if it has gone by now.
    async fn find(session: &Session, options: &SinkOptions, id: &str) -> Result<Option<Self>, tokio_postgres::Error> {
        let row = match session.client.query_opt(&Self::sql(options), &[&id]).await {
            // Before PostgreSQL 14 the progress of a copy cannot be seen.
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
            row => row?,
        };
        Ok(row.map(|row| Self { pid: row.get(0), is_weir: row.get(1), silence: row.get(2) }))
    }

    /// Ends it, unless something has come meanwhile. What it has done is undone.
    async fn end(&self, session: &Session, options: &SinkOptions, id: &str) -> Result<(), tokio_postgres::Error> {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM ({}) AS holder WHERE pid = $2 AND is_weir AND silence = $3",
            Self::sql(options)
        );
        session.client.execute(&end, &[&id, &self.pid, &self.silence]).await.map(drop)
    }
}

/// Says that an epoch is there.
pub(crate) async fn write(
    client: &Client,
    options: &SinkOptions,
    id: &str,
    epoch: i64,
    rows: i64,
) -> Result<(), tokio_postgres::Error> {
    let update = format!(
        "UPDATE {} SET committed = true, epoch = $2, target = $3, row_count = $4, at = clock_timestamp() WHERE sink = $1",
        options.commits.sql()
    );
    client.execute(&update, &[&id, &epoch, &options.target.to_string(), &rows]).await.map(drop)
}

/// Forgets the marker of a job that was deleted; that a job of this query has written stays.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn forget(
    session: &Session,
    options: &SinkOptions,
    job: JobIdentity,
    uid: &OperatorUid,
) -> Result<()> {
    let delete = format!(
        "WITH gone AS (DELETE FROM {0} WHERE sink = $1 RETURNING committed, epoch, target, at) \
         INSERT INTO {0} (sink, committed, epoch, target, at) SELECT $2, true, epoch, target, at FROM gone WHERE committed \
         ON CONFLICT (sink) DO UPDATE SET epoch = EXCLUDED.epoch, target = EXCLUDED.target, at = EXCLUDED.at",
        options.commits.sql()
    );
    match session.client.execute(&delete, &[&SinkOptions::sink_id(job, uid), &uid.0]).await {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some_and(|code| *code == SqlState::UNDEFINED_TABLE) => Ok(()),
        Err(error) => Err(session.failed(&format!("cannot write table {}", options.commits), error)),
    }
}

/// When a job of this query wrote rows last that are in the table; `None` if there are none.
///
/// # Errors
/// That of the database.
pub(crate) async fn earlier(
    session: &Session,
    options: &SinkOptions,
    uid: &OperatorUid,
) -> Result<Option<String>, tokio_postgres::Error> {
    let select = format!(
        "SELECT to_char(max(at), 'YYYY-MM-DD HH24:MI TZ') FROM {} WHERE committed AND target = $2 \
         AND (sink = $1 OR right(sink, length($1) + 1) = '-' || $1) AND EXISTS (SELECT FROM {})",
        options.commits.sql(),
        options.target.sql()
    );
    session.client.query_one(&select, &[&uid.0, &options.target.to_string()]).await?.try_get(0)
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
