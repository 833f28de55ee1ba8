//! PostgreSQL as a sink, exactly once.
//!
//! ```text
//!   write, prepare          rows are checked against the table's types, and staged in the checkpoint; PostgreSQL hears nothing
//!   checkpoint complete     from here the rows are decided, whatever dies, for however long
//!   commit     1. BEGIN, and lock the marker's row                 waits for whoever else is committing, and has not stopped
//!              2. read the marker: is the epoch there already?     then that is all
//!              3. the rows; the marker with this epoch; COMMIT     all of it becomes visible, or nothing
//! ```
//!
//! 1. A commit is repeated until it is acknowledged, by any process. The lock of the marker's row puts them in an order: whoever gets it
//!    sees what all before have committed, and a transaction whose connection was lost has ended before anybody else gets it.
//! 2. So a COMMIT of which nothing was heard is never guessed about: the next try reads the marker.
//! 3. The marker is never just missing (`commits`).
//!
//! Rows that replace each other by key are copied into a temporary table first; the last of each key counts.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::SinkExt;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use weir_connectors::filesystem::sink::Existing;
use weir_connectors::marker::{Marker, RowCount, Verdict};
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, SinkContext, StagedRows};
use weir_core::{Batch, Epoch, Error, OperatorUid, Result, Sink, TableSpec};

use crate::client::{ANSWER, Session, patiently, within};
use crate::commits;
use crate::options::{SinkOptions, quoted};
use crate::relation::Relation;
use crate::write::{HEADER, Rows, TRAILER};

struct StagedSink {
    table: String,
    rows: Rows,
    staged: Vec<Batch>,
    /// Rows since the last marker.
    count: u64,
    scratch: Vec<u8>,
}

/// Opens one subtask's part. The first one sees to it that there is a marker.
///
/// # Errors
/// If the options are wrong, the table is not there or does not fit, or the job went back behind what is written.
pub(crate) async fn open(table: &TableSpec, context: &SinkContext) -> Result<Box<dyn Sink>> {
    let options = SinkOptions::read(table)?;
    let session = Session::open(&options.client).await?;
    let rows = within(ANSWER, &session.place, begin(table, context, &options, &session)).await?;
    Ok(Box::new(StagedSink { table: table.name.clone(), rows, staged: Vec::new(), count: 0, scratch: Vec::new() }))
}

/// Looks at the table, and says that the job begins.
async fn begin(table: &TableSpec, context: &SinkContext, options: &SinkOptions, session: &Session) -> Result<Rows> {
    let relation = Relation::require(session, &options.target).await?;
    let rows = Rows::new(table, relation.written(table)?);
    if context.subtask == 0 {
        commits::ensure(session, &options.commits).await?;
        let id = SinkOptions::sink_id(context.job, &context.uid);
        let (marker, behind) = (commits::begin(session, options, &id, context.epoch).await?, context.epoch);
        if marker.epoch() > behind {
            return Err(Error::user(format!(
                "table {} already has the rows of table '{}' up to epoch {}, and the job goes on behind epoch {behind}",
                options.target,
                options.table,
                marker.epoch()
            ))
            .with_help("a job that goes back to an older checkpoint would write rows twice: run it as a new job"));
        }
    }
    Ok(rows)
}

#[async_trait]
impl Sink for StagedSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        // What is decided has to be written: a value that cannot be is found out before.
        self.scratch.clear();
        let checked = self.rows.append(&batch, 0, &mut self.scratch);
        checked.map_err(|error| error.context(format!("while writing table '{}'", self.table)))?;
        self.count += batch.num_rows() as u64;
        self.staged.push(batch);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        let rows = std::mem::take(&mut self.count);
        // All else is in the table and in what is staged. Who has no rows says nothing.
        Ok(RowCount::committable(rows))
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.staged)
    }
}

/// Writes the rows of a completed checkpoint, unless they are there already.
///
/// # Errors
/// If it could not be done, or could not be told whether it was; it will be tried again.
pub(crate) async fn commit(table: &TableSpec, commit: Commit) -> Result<()> {
    let Commit { job, uid, epoch, committables, mut staged } = commit;
    // Of an epoch without rows no subtask has anything to say.
    if committables.is_empty() {
        return Ok(());
    }
    let options = SinkOptions::read(table)?;
    let id = SinkOptions::sink_id(job, &uid);
    let session = Session::open(&options.client).await?;
    let place = session.place.clone();
    let failed = |error| crate::errors::failed(&format!("cannot write table {}", options.target), error, &place);
    // Before the lock: a table that is being altered for long is no reason to hold up others.
    let relation = within(ANSWER, &place, Relation::find(&session, &options.target)).await?;
    // Whatever goes wrong from here on: behind the end of its session, a transaction is one that never was.
    let marker = commits::lock(&session, &options, &id).await?;
    match Marker::verdict(marker, epoch) {
        Verdict::Unknown => return Err(commits::lost(&options, &id, epoch)),
        Verdict::Done => return Ok(()),
        Verdict::Due => {}
    }
    let relation = relation.ok_or_else(|| {
        Error::environment(format!("table {} is not in PostgreSQL at {place} any more", options.target))
            .with_help("the job goes on by itself once it is there again, with the columns that it had")
    })?;
    let rows = Rows::new(table, relation.written(table)?);
    let written = write(&session.client, &options, &rows, &mut *staged).await?;
    let (count, number) = (written.map_err(failed)?, commits::number(epoch)?);
    let marked = commits::write(&session.client, &options, &id, number, count);
    patiently(&options.client, marked).await?.map_err(failed)?;
    patiently(&options.client, session.client.batch_execute("COMMIT")).await?.map_err(failed)
}

/// Writes all rows, and counts them. The outer error is that of their reader.
async fn write(
    client: &Client,
    options: &SinkOptions,
    rows: &Rows,
    staged: &mut dyn StagedRows,
) -> Result<Result<i64, tokio_postgres::Error>> {
    let target = options.target.sql();
    let names: Vec<String> = rows.names().iter().map(|name| quoted(name)).collect();
    if rows.key.is_empty() {
        let copy = format!("COPY {target} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
        return copied(client, options, &copy, rows, staged).await;
    }
    let statements = Upsert::new(options, &names, rows);
    if let Err(error) = patiently(&options.client, client.batch_execute(&statements.stage)).await? {
        return Ok(Err(error));
    }
    let count = match copied(client, options, &statements.copy, rows, staged).await? {
        Ok(count) => count,
        Err(error) => return Ok(Err(error)),
    };
    let replaced = patiently(&options.client, client.batch_execute(&statements.replace)).await?;
    Ok(replaced.map(|()| count))
}

/// Copies rows as the reader brings them.
async fn copied(
    client: &Client,
    options: &SinkOptions,
    copy: &str,
    rows: &Rows,
    staged: &mut dyn StagedRows,
) -> Result<Result<i64, tokio_postgres::Error>> {
    let sink = match patiently(&options.client, client.copy_in::<_, Bytes>(copy)).await? {
        Ok(sink) => sink,
        Err(error) => return Ok(Err(error)),
    };
    let mut sink = pin!(sink);
    let (mut count, mut piece) = (0_i64, HEADER.to_vec());
    while let Some(batch) = staged.next().await? {
        rows.append(&batch, count, &mut piece)?;
        count += batch.num_rows() as i64;
        // When the server has refused a row, this fails without a reason; the end of the copy has it.
        if patiently(&options.client, sink.send(std::mem::take(&mut piece).into())).await?.is_err() {
            break;
        }
    }
    piece.extend_from_slice(&TRAILER);
    // As above.
    let _ = patiently(&options.client, sink.send(piece.into())).await?;
    Ok(patiently(&options.client, sink.finish()).await?.map(|_| count))
}

/// The statements that let the last row of each key replace what is there.
struct Upsert {
    stage: String,
    copy: String,
    replace: String,
}

impl Upsert {
    fn new(options: &SinkOptions, names: &[String], rows: &Rows) -> Self {
        let key = &rows.key;
        let target = options.target.sql();
        let (staging, last) = (temporary("weir_rows", options), temporary("weir_last", options));
        let list = |columns: &mut dyn Iterator<Item = String>, between: &str| columns.collect::<Vec<_>>().join(between);
        let all = 0..names.len();
        // A domain may allow less than a row has of which nothing but the key is known.
        let plain = rows.domains().zip(names).enumerate().map(|(column, (domain, name))| match domain {
            Some(base) => format!("CAST({name} AS {base}) AS c{column}"),
            None => format!("{name} AS c{column}"),
        });
        let staged = list(&mut { plain }, ", ");
        let keys = list(&mut key.iter().map(|column| format!("c{column}")), ", ");
        let alike = list(&mut key.iter().map(|column| format!("t.{} = l.c{column}", names[*column])), " AND ");
        let conflict = list(&mut key.iter().map(|column| names[*column].clone()), ", ");
        let sets = list(
            &mut all
                .clone()
                .filter(|column| !key.contains(column))
                .map(|column| format!("{0} = EXCLUDED.{0}", names[column])),
            ", ",
        );
        let action = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {sets}") };
        let (into, from) = (names.join(", "), list(&mut all.map(|column| format!("c{column}")), ", "));
        Self {
            stage: format!(
                "CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS \
                 SELECT {staged}, 0::bigint AS n, false AS gone FROM {target} WITH NO DATA"
            ),
            copy: format!("COPY {staging} FROM STDIN (FORMAT binary)"),
            replace: format!(
                "CREATE TEMPORARY TABLE {last} ON COMMIT DROP AS \
                 SELECT DISTINCT ON ({keys}) * FROM {staging} ORDER BY {keys}, n DESC; \
                 DELETE FROM {target} AS t USING {last} AS l WHERE l.gone AND {alike}; \
                 INSERT INTO {target} ({into}) SELECT {from} FROM {last} WHERE NOT gone ORDER BY {keys} \
                 ON CONFLICT ({conflict}) DO {action}"
            ),
        }
    }
}

/// How long is looked for rows of earlier jobs: somebody waits.
const LOOKING: Duration = Duration::from_secs(5);

/// Where rows are that an earlier job of this query has added, and a new one would add again.
///
/// # Errors
/// A user error if they are refused. That they cannot be seen is none of the user's: the job itself runs elsewhere.
pub(crate) async fn earlier_results(table: &TableSpec, uid: &OperatorUid) -> Result<Option<String>> {
    let options = SinkOptions::read(table)?;
    if !table.primary_key.is_empty() || options.existing == Existing::Add {
        return Ok(None);
    }
    let place = &options.client.place;
    let unseen =
        |error: Error| Error::environment(format!("cannot look into PostgreSQL at {place}")).with_source(error);
    let looked = within(LOOKING, place, async {
        let session = Session::open(&options.client).await?;
        Ok(commits::earlier(&session, &options, uid).await)
    });
    let at = match looked.await.map_err(unseen)? {
        Ok(at) => at,
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
        Err(error) => return Err(unseen(crate::errors::failed("cannot look for earlier rows", error, place))),
    };
    options.existing.judge(table, at.map(|at| format!("{}, written by {at}", options.target)))
}

/// A name for a temporary table. Such a one stands before others of its name, which it therefore must not have.
fn temporary(name: &str, options: &SinkOptions) -> String {
    let is_taken = |name: &str| [&options.target, &options.commits].iter().any(|taken| taken.last() == name);
    let mut name = name.to_owned();
    while is_taken(&name) {
        name.push('_');
    }
    quoted(&name)
}

/// Forgets a job that was deleted. Of one that has ended, nothing is open.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn discard(table: &TableSpec, discard: &Discard) -> Result<()> {
    if discard.behind.is_some() {
        return Ok(());
    }
    let options = SinkOptions::read(table)?;
    let session = Session::open(&options.client).await?;
    within(ANSWER, &session.place, commits::forget(&session, &options, discard.job, &discard.uid)).await
}

/// What the marker says of the epochs of a sink. Waits for nobody who has locked it: until he has committed, the one before is read.
///
/// # Errors
/// If the database does not answer, or the marker makes no sense.
pub(crate) async fn audit(table: &TableSpec, audit: &Audit) -> Result<AuditedSink> {
    let options = SinkOptions::read(table)?;
    let id = SinkOptions::sink_id(audit.job, &audit.uid);
    let session = Session::open(&options.client).await?;
    let marker = within(ANSWER, &session.place, commits::read(&session, &options, &id)).await?;
    Ok(AuditedSink {
        target: format!("table {} in PostgreSQL at {}", options.target, session.place),
        marker: format!("table {}, sink {id}", options.commits),
        last: Marker::written(marker),
        absent: marker.is_none(),
        epochs: Marker::audited(marker, &audit.epochs),
    })
}
