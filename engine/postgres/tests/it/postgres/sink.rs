//! A sink, its commits, and what they do to each other.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::DataType;
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::time::timeout;
use weir_core::connector::{Commit, Discard, Role, SinkContext, StagedRows};
use weir_core::{Attempt, Batch, Connector, Epoch, JobIdentity, OperatorUid, Result, Sink, TableSpec};
use weir_postgres::Postgres;

use super::database::{Database, unique};

/// A job with a sink, whatever processes there are: the connector keeps nothing between two calls.
pub(super) struct Job {
    pub(super) table: TableSpec,
    identity: JobIdentity,
    uid: OperatorUid,
}

impl Job {
    pub(super) fn new(table: TableSpec) -> Self {
        Self { table, identity: JobIdentity::of(&unique("job")), uid: OperatorUid("sink-1".into()) }
    }

    pub(super) async fn try_open(&self, epoch: u64) -> Result<Box<dyn Sink>> {
        Postgres.validate(&self.table, Role::Sink)?;
        let (job, uid, epoch) = (self.identity, self.uid.clone(), Epoch(epoch));
        Postgres.open_sink(&self.table, SinkContext { job, uid, subtask: 0, attempt: Attempt(1), epoch }).await
    }

    pub(super) async fn open(&self, epoch: u64) -> Box<dyn Sink> {
        self.try_open(epoch).await.unwrap()
    }

    pub(super) async fn commit_staged(&self, epoch: u64, staged: Box<dyn StagedRows>) -> Result<()> {
        let committables = vec![b"{\"rows\":1}".to_vec()];
        let (job, uid, epoch) = (self.identity, self.uid.clone(), Epoch(epoch));
        Postgres.commit(&self.table, Commit { job, uid, epoch, committables, staged }).await
    }

    pub(super) async fn try_commit(&self, epoch: u64, batches: Vec<Batch>) -> Result<()> {
        self.commit_staged(epoch, Box::new(batches.into_iter())).await
    }

    pub(super) async fn commit(&self, epoch: u64, batches: Vec<Batch>) {
        self.try_commit(epoch, batches).await.unwrap();
    }

    fn marker(&self) -> String {
        format!("{}-sink-1", self.identity)
    }
}

/// Rows of `k BIGINT, v STRING`, like `+ 1 a` and `- 1`.
fn changes(rows: &[&str]) -> Batch {
    let parts: Vec<Vec<&str>> = rows.iter().map(|row| row.split(' ').collect()).collect();
    let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(parts.iter().map(|row| row[1].parse::<i64>().unwrap())));
    let values: ArrayRef = Arc::new(StringViewArray::from_iter(parts.iter().map(|row| row.get(2).copied())));
    let weights = Int8Array::from_iter_values(parts.iter().map(|row| if row[0] == "+" { 1 } else { -1 }));
    let records = RecordBatch::try_from_iter_with_nullable([("k", keys, false), ("v", values, true)]).unwrap();
    if weights.values().iter().all(|weight| *weight == 1) {
        return Batch::append(records);
    }
    Batch::weighted(records, weights).unwrap()
}

const COLUMNS: &[(&str, DataType)] = &[("k!", DataType::Int64), ("v", DataType::Utf8View)];

async fn appending() -> (Database, Job) {
    let database = Database::with("CREATE TABLE t (k bigint NOT NULL, v text)").await;
    let job = Job::new(database.table(COLUMNS, &[]));
    (database, job)
}

async fn replacing() -> (Database, Job) {
    let database = Database::with("CREATE TABLE t (k bigint PRIMARY KEY, v text)").await;
    let mut table = database.table(COLUMNS, &[]);
    table.primary_key = vec![0];
    (database, Job::new(table))
}

const ALL: &str = "SELECT * FROM t ORDER BY k, v";

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn an_epoch_is_there_once_however_often_it_is_committed() {
    let (database, job) = appending().await;
    let mut sink = job.open(0).await;
    sink.write(changes(&["+ 1 a", "+ 2 b"])).await.unwrap();
    let staged = sink.take_staged();
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap().as_deref(), Some(b"{\"rows\":2}".as_ref()));
    assert_eq!(database.rows(ALL).await, [""; 0], "nothing is there before the checkpoint is complete");
    for _ in 0..3 {
        job.commit(1, staged.clone()).await;
    }
    assert_eq!(database.rows(ALL).await, ["1 | a", "2 | b"]);
    job.commit(3, vec![changes(&["+ 3 c"]), changes(&["+ 3 c"])]).await;
    // A process that was taken for dead, and does not know what has happened meanwhile.
    job.commit(1, staged).await;
    job.commit(3, vec![changes(&["+ 3 c"])]).await;
    job.open(3).await;
    job.commit(4, vec![changes(&["+ 4"])]).await;
    assert_eq!(database.rows(ALL).await, ["1 | a", "2 | b", "3 | c", "3 | c", "4 | NULL"]);
    let marker = format!("{} | t | 4 | {}.t | 1", job.marker(), database.schema);
    assert_eq!(database.rows("SELECT sink, committed, epoch, target, row_count FROM commits").await, [marker]);
    let report = job.try_open(3).await.err().unwrap().report();
    assert!(report.contains("up to epoch 4, and the job goes on behind epoch 3"), "{report}");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn the_last_row_of_a_key_counts_and_one_that_goes_is_deleted() {
    let (database, job) = replacing().await;
    database.run("INSERT INTO t VALUES (7, 'of others'), (1, 'old')").await;
    job.open(0).await;
    job.commit(1, vec![changes(&["+ 1 a", "+ 2 b", "+ 1 c"]), changes(&["- 2", "+ 3 d", "- 3", "+ 3 e", "- 9"])]).await;
    assert_eq!(database.rows(ALL).await, ["1 | c", "3 | e", "7 | of others"]);
    job.commit(2, vec![changes(&["- 1", "+ 2"])]).await;
    job.commit(1, vec![changes(&["+ 1 a"])]).await;
    assert_eq!(database.rows(ALL).await, ["2 | NULL", "3 | e", "7 | of others"]);
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_table_may_have_the_name_of_a_temporary_one() {
    for (name, other) in [("weir_rows", "weir_last"), ("weir_last", "weir_rows")] {
        let database = Database::with(&format!("CREATE TABLE {name} (k bigint PRIMARY KEY, v text)")).await;
        let url = format!("{}?options=-csearch_path%3D{}", super::database::url(), database.schema);
        let mut table = database.table(COLUMNS, &[("url", &url), ("table-name", name), ("sink.commits-table", other)]);
        table.primary_key = vec![0];
        let job = Job::new(table);
        job.open(0).await;
        job.commit(1, vec![changes(&["+ 1 a", "+ 2 b"])]).await;
        job.commit(2, vec![changes(&["- 1", "+ 2 c"])]).await;
        assert_eq!(database.rows(&format!("SELECT * FROM {name}")).await, ["2 | c"]);
    }
}

/// Rows behind which the reader waits.
struct Halting {
    rows: std::vec::IntoIter<Batch>,
    has_come: Option<oneshot::Sender<()>>,
    goes_on: oneshot::Receiver<()>,
}

#[async_trait]
impl StagedRows for Halting {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let next = Iterator::next(&mut self.rows);
        if next.is_none()
            && let Some(has_come) = self.has_come.take()
        {
            has_come.send(()).unwrap();
            (&mut self.goes_on).await.unwrap();
        }
        Ok(next)
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_commit_waits_for_one_that_is_open_and_finds_out_that_it_is_done() {
    for is_replacing in [false, true] {
        let (database, job) = if is_replacing { replacing().await } else { appending().await };
        job.open(0).await;
        let (has_come, halts) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel();
        let staged = Halting { rows: vec![changes(&["+ 1 a"])].into_iter(), has_come: Some(has_come), goes_on };
        let slow = job.commit_staged(1, Box::new(staged));
        let quick = async {
            halts.await.unwrap();
            let mut other = Box::pin(job.try_commit(1, vec![changes(&["+ 1 a"])]));
            assert!(timeout(Duration::from_millis(300), &mut other).await.is_err(), "it has not waited");
            go_on.send(()).unwrap();
            other.await
        };
        let (slow, quick) = tokio::join!(slow, quick);
        slow.unwrap();
        quick.unwrap();
        assert_eq!(database.rows(ALL).await, ["1 | a"]);
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL, and half a minute"]
async fn a_commit_that_has_stopped_in_the_middle_is_ended_by_the_next() {
    for is_replacing in [false, true] {
        let (database, job) = if is_replacing { replacing().await } else { appending().await };
        job.open(0).await;
        let (has_come, halts) = oneshot::channel();
        let (go_on, goes_on) = oneshot::channel();
        let staged = Halting { rows: vec![changes(&["+ 1 a"])].into_iter(), has_come: Some(has_come), goes_on };
        let stopped = job.commit_staged(1, Box::new(staged));
        let next = async {
            halts.await.unwrap();
            let ends = timeout(Duration::from_secs(55), job.try_commit(1, vec![changes(&["+ 1 a"])])).await;
            ends.expect("it waits for ever").unwrap();
            go_on.send(()).unwrap();
        };
        let (stopped, ()) = tokio::join!(stopped, next);
        stopped.unwrap_err();
        assert_eq!(database.rows(ALL).await, ["1 | a"]);
    }
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn rows_of_domains_come_and_go() {
    let database = Database::with(
        "CREATE DOMAIN present AS text NOT NULL CHECK (value <> ''); CREATE DOMAIN id AS bigint NOT NULL;
         CREATE TABLE t (k id PRIMARY KEY, v present)",
    )
    .await;
    let mut table = database.table(COLUMNS, &[]);
    table.primary_key = vec![0];
    let job = Job::new(table);
    job.open(0).await;
    job.commit(1, vec![changes(&["+ 1 a", "+ 2 b"])]).await;
    job.commit(2, vec![changes(&["- 1", "+ 2 c"])]).await;
    assert_eq!(database.rows(ALL).await, ["2 | c"]);
}

/// What was warned of while it is the subscriber.
#[derive(Clone, Default)]
struct Warnings(Arc<std::sync::Mutex<Vec<String>>>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut said = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            said.push_str(&format!("{field}={value:?} "));
        });
        self.0.lock().unwrap().push(said);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_job_that_goes_on_without_a_marker_is_warned_of() {
    let (database, job) = appending().await;
    let warnings = Warnings::default();
    let _here = tracing::subscriber::set_default(warnings.clone());
    job.open(0).await;
    job.open(0).await;
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
    job.commit(7, vec![changes(&["+ 1 a"])]).await;
    database.run("DELETE FROM commits").await;
    job.open(5).await;
    job.open(5).await;
    let said = warnings.0.lock().unwrap();
    assert!(said.len() == 1 && said[0].contains("those rows may be there twice"), "{said:?}");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn results_of_an_earlier_job_of_the_same_query_are_told() {
    let (database, job) = appending().await;
    let told = async |with: &str| {
        let table = database.table(COLUMNS, &[("sink.existing-results", with)]);
        Postgres.earlier_results(&table, &job.uid).await
    };
    assert_eq!(told("warn").await.unwrap(), None, "there is no table of commits yet");
    job.open(0).await;
    assert_eq!(told("refuse").await.unwrap(), None, "nothing was written");
    for _ in 0..2 {
        job.commit(1, vec![changes(&["+ 1 a"])]).await;
        assert!(told("warn").await.unwrap().unwrap().contains(".t, written by"), "of a job that is there");
        let discard = Discard { job: job.identity, uid: job.uid.clone(), behind: None };
        Postgres.discard(&job.table, discard).await.unwrap();
        assert!(told("warn").await.unwrap().unwrap().contains(".t, written by"), "of one that was deleted");
        job.open(0).await;
    }
    assert_eq!(told("add").await.unwrap(), None);
    let report = told("refuse").await.unwrap_err().report();
    assert!(report.contains("table 't' holds results of an earlier job of the same query"), "{report}");
    let other = Postgres.earlier_results(&job.table, &OperatorUid("sink-2".into())).await.unwrap();
    assert_eq!(other, None, "those of another query are none of this one");
    let mut replacing = job.table.clone();
    replacing.primary_key = vec![0];
    assert_eq!(Postgres.earlier_results(&replacing, &job.uid).await.unwrap(), None, "rows replace those before");
    database.run("TRUNCATE t").await;
    assert_eq!(told("refuse").await.unwrap(), None, "they were removed");
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn what_a_process_has_begun_that_died_is_not_there() {
    let (database, job) = appending().await;
    job.open(0).await;
    let (has_come, halts) = oneshot::channel();
    let (_stays, goes_on) = oneshot::channel();
    let staged = Halting { rows: vec![changes(&["+ 1 a"])].into_iter(), has_come: Some(has_come), goes_on };
    tokio::select! {
        result = job.commit_staged(1, Box::new(staged)) => panic!("it has finished: {result:?}"),
        halted = halts => halted.unwrap(),
    }
    job.commit(1, vec![changes(&["+ 1 a"])]).await;
    assert_eq!(database.rows(ALL).await, ["1 | a"]);
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_marker_that_is_lost_is_an_error_until_somebody_decides() {
    let (database, job) = appending().await;
    job.open(0).await;
    job.commit(1, vec![changes(&["+ 1 a"])]).await;
    for lose in ["DELETE FROM commits", "DROP TABLE commits"] {
        database.run(lose).await;
        let report = job.try_commit(1, vec![changes(&["+ 1 a"])]).await.unwrap_err().report();
        assert!(report.contains("it cannot be told whether epoch 1 of table 't' was written"), "{lose}: {report}");
        job.open(1).await;
        let report = job.try_commit(1, vec![changes(&["+ 1 a"])]).await.unwrap_err().report();
        assert!(report.contains("it cannot be told whether epoch 1"), "{lose}: {report}");
        // As the help says.
        let statement = report.split("Then ").nth(1).unwrap().split(", if they are there").next().unwrap();
        database.run(statement).await;
        job.commit(1, vec![changes(&["+ 1 a"])]).await;
        assert_eq!(database.rows(ALL).await, ["1 | a"]);
    }
    database.run("UPDATE commits SET epoch = 0").await;
    job.commit(1, vec![changes(&["+ 1 a"])]).await;
    assert_eq!(database.rows(ALL).await, ["1 | a", "1 | a"], "so it was decided");
    let discard = |behind| Discard { job: job.identity, uid: job.uid.clone(), behind };
    Postgres.discard(&job.table, discard(Some((Attempt(1), Epoch(1))))).await.unwrap();
    assert_eq!(database.rows("SELECT 1 FROM commits").await, ["1"]);
    for _ in 0..2 {
        Postgres.discard(&job.table, discard(None)).await.unwrap();
    }
    assert_eq!(database.rows("SELECT sink, committed FROM commits").await, ["sink-1 | t"], "what is left is of no job");
    assert!(job.try_commit(1, vec![changes(&["+ 1 a"])]).await.is_err());
}

#[tokio::test]
#[ignore = "wants PostgreSQL"]
async fn a_constraint_or_a_table_that_is_gone_holds_up_the_epoch_until_it_is_mended() {
    let (database, job) = appending().await;
    database.run("ALTER TABLE t ADD CONSTRAINT small CHECK (k < 10)").await;
    job.open(0).await;
    let rows = || vec![changes(&["+ 1 a", "+ 11 b"])];
    let error = job.try_commit(1, rows()).await.unwrap_err();
    assert_eq!(error.kind(), weir_core::ErrorKind::Data);
    let report = error.report();
    for part in
        ["violates check constraint \"small\"", "Failing row contains (11, b)", "what is written is decided already"]
    {
        assert!(report.contains(part), "{report}");
    }
    assert_eq!(database.rows(ALL).await, [""; 0], "all of an epoch or nothing");
    database.run("ALTER TABLE t DROP CONSTRAINT small; ALTER TABLE t RENAME TO away").await;
    let error = job.try_commit(1, rows()).await.unwrap_err();
    assert_eq!(error.kind(), weir_core::ErrorKind::Environment);
    assert!(error.report().contains(".t is not in PostgreSQL at "), "{}", error.report());
    database.run("ALTER TABLE away RENAME TO t; ALTER TABLE t ALTER v TYPE int USING 0").await;
    let report = job.try_commit(1, rows()).await.unwrap_err().report();
    assert!(report.contains("column 'v': STRING cannot be written into integer of table"), "{report}");
    database.run("ALTER TABLE t ALTER v TYPE text").await;
    job.commit(1, rows()).await;
    assert_eq!(database.rows(ALL).await, ["1 | a", "11 | b"]);
}
