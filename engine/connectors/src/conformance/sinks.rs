//! What a sink promises.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use tokio::time::timeout;
use weir_core::audit::{Audit, Found, PreparedEpoch};
use weir_core::connector::{Commit, Discard, SinkContext};
use weir_core::{Attempt, Batch, Connector, Epoch, ErrorKind, JobIdentity, OperatorUid, Sink, TableSpec};

/// A table that is written, and nobody else writes.
#[async_trait]
pub trait SinkUnderTest: Send + Sync {
    /// The connector as another process has it: it knows nothing of what those before have done.
    fn process(&self) -> Arc<dyn Connector>;

    /// The table, which is empty at first, with the columns that the suite writes.
    fn table(&self) -> TableSpec;

    /// What others see of it: the values of `n`, sorted.
    async fn visible(&self) -> Vec<i64>;
}

/// Columns of a table under test: `n BIGINT NOT NULL, v STRING`.
pub(super) fn sink_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("v", DataType::Utf8View, true)]))
}

/// Checks all promises. `new` makes a table; its name says which promise it is for.
pub async fn sink<T: SinkUnderTest>(new: impl AsyncFn(&'static str) -> T) {
    rows_are_seen_when_they_are_committed(&new("committed").await).await;
    a_commit_can_be_repeated_by_anybody_at_any_time(&new("repeated").await).await;
    what_was_given_up_goes_with_the_next_epoch(&new("given_up").await).await;
    what_no_checkpoint_has_is_never_seen(&new("undecided").await).await;
    a_commit_that_breaks_off_is_finished_by_another(&new("broken_off").await).await;
    commits_at_once_write_once(&new("at_once").await).await;
    what_is_committed_outlives_its_job(&new("discarded").await).await;
    an_audit_says_what_is_committed(&new("audited").await).await;
}

/// Of a commit, while one that broke off may still be at work.
const TRIES: usize = 5;

/// A job that writes the table.
struct Job<'a, T> {
    of: &'a T,
    table: TableSpec,
    identity: JobIdentity,
    uid: OperatorUid,
}

/// What a checkpoint holds of a sink.
#[derive(Clone, Default)]
struct Prepared {
    committables: Vec<Vec<u8>>,
    staged: Vec<Batch>,
}

impl Prepared {
    fn and(mut self, other: Self) -> Self {
        self.committables.extend(other.committables);
        self.staged.extend(other.staged);
        self
    }
}

impl<'a, T: SinkUnderTest> Job<'a, T> {
    fn new(of: &'a T) -> Self {
        let table = of.table();
        assert_eq!(table.schema, sink_schema());
        // Tables of tests may stay; their jobs do not meet again.
        let identity = JobIdentity::of(&format!("{}{:?}{}", table.name, table.options, std::process::id()));
        Self { of, table, identity, uid: OperatorUid("sink-1".into()) }
    }

    async fn open(&self, process: &Arc<dyn Connector>, subtask: usize, attempt: u64, epoch: u64) -> Box<dyn Sink> {
        let (job, uid) = (self.identity, self.uid.clone());
        let context = SinkContext { job, uid, subtask, attempt: Attempt(attempt), epoch: Epoch(epoch) };
        process.open_sink(&self.table, context).await.unwrap()
    }

    async fn write(&self, sink: &mut Box<dyn Sink>, rows: &[i64], staged: &mut Vec<Batch>) {
        let numbers: ArrayRef = Arc::new(Int64Array::from(rows.to_vec()));
        let texts = rows.iter().map(|n| (n % 2 == 0).then(|| format!("row {n}, in \"quotes\"")));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
        let records = RecordBatch::try_new(sink_schema(), vec![numbers, texts]).unwrap();
        sink.write(Batch::append(records)).await.unwrap();
        staged.extend(sink.take_staged());
    }

    /// Writes rows, and ends the epoch.
    async fn prepare(&self, sink: &mut Box<dyn Sink>, epoch: u64, rows: &[i64]) -> Prepared {
        let mut staged = Vec::new();
        if !rows.is_empty() {
            self.write(sink, rows, &mut staged).await;
        }
        let committable = sink.prepare(Epoch(epoch)).await.unwrap();
        staged.extend(sink.take_staged());
        Prepared { committables: committable.into_iter().collect(), staged }
    }

    fn of_epoch(&self, epoch: u64, prepared: &Prepared) -> Commit {
        let Prepared { committables, staged } = prepared.clone();
        let (job, uid, staged) = (self.identity, self.uid.clone(), Box::new(staged.into_iter()));
        Commit { job, uid, epoch: Epoch(epoch), committables, staged }
    }

    async fn commit(&self, process: &Arc<dyn Connector>, epoch: u64, prepared: &Prepared) {
        process.commit(&self.table, self.of_epoch(epoch, prepared)).await.unwrap();
    }

    /// As a cluster does: where others get in the way it tries again. Each of them gets in the way a few times at most.
    async fn commit_at_last(&self, process: &Arc<dyn Connector>, epoch: u64, prepared: &Prepared) {
        for _ in 0..TRIES {
            match process.commit(&self.table, self.of_epoch(epoch, prepared)).await {
                Err(error) if error.kind() == ErrorKind::Environment => {}
                other => return other.unwrap(),
            }
        }
        self.commit(process, epoch, prepared).await;
    }

    /// What another process is told of these epochs: of each whether it is there, and the last that is said to be.
    async fn audit(&self, epochs: &[(u64, &Prepared)]) -> (Vec<Found>, Option<Epoch>) {
        let prepared = epochs.iter().map(|(epoch, prepared)| PreparedEpoch {
            epoch: Epoch(*epoch),
            committables: prepared.committables.clone(),
        });
        let audit = Audit { job: self.identity, uid: self.uid.clone(), epochs: prepared.collect() };
        let audited = self.of.process().audit(&self.table, audit).await.unwrap();
        let audited = audited.expect("a sink that writes exactly once keeps an account");
        let answered: Vec<u64> = audited.epochs.iter().map(|epoch| epoch.epoch.0).collect();
        assert_eq!(answered, epochs.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>());
        (audited.epochs.iter().map(|epoch| epoch.found).collect(), audited.last)
    }

    async fn sees(&self, rows: &[i64]) {
        assert_eq!(self.of.visible().await, rows, "table {}", self.table.name);
    }
}

async fn rows_are_seen_when_they_are_committed<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    let mut sinks = [job.open(&process, 0, 1, 0).await, job.open(&process, 1, 1, 0).await];
    job.sees(&[]).await;
    let one = job.prepare(&mut sinks[0], 1, &[1, 2]).await;
    let other = job.prepare(&mut sinks[1], 1, &[3]).await;
    job.sees(&[]).await;
    // Rows of the next epoch come before this one is complete.
    let mut staged = Vec::new();
    job.write(&mut sinks[0], &[4], &mut staged).await;
    job.commit(&process, 1, &one.and(other)).await;
    job.sees(&[1, 2, 3]).await;
    let mut next = job.prepare(&mut sinks[0], 2, &[]).await;
    next.staged.splice(0..0, staged);
    let nothing = job.prepare(&mut sinks[1], 2, &[]).await;
    job.sees(&[1, 2, 3]).await;
    job.commit(&process, 2, &next.and(nothing)).await;
    job.sees(&[1, 2, 3, 4]).await;
    // Of an epoch without rows there may be nothing to say.
    let nothing = job.prepare(&mut sinks[0], 3, &[]).await;
    job.commit(&process, 3, &nothing).await;
    job.sees(&[1, 2, 3, 4]).await;
}

async fn a_commit_can_be_repeated_by_anybody_at_any_time<T: SinkUnderTest>(of: &T) {
    let (job, process, other) = (Job::new(of), of.process(), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let first = job.prepare(&mut sink, 1, &[1]).await;
    job.commit(&process, 1, &first).await;
    job.commit(&process, 1, &first).await;
    job.commit(&other, 1, &first).await;
    job.sees(&[1]).await;
    let second = job.prepare(&mut sink, 2, &[2]).await;
    job.commit(&other, 2, &second).await;
    // One that comes late, of a process that was taken for dead.
    job.commit(&process, 1, &first).await;
    job.commit(&of.process(), 2, &second).await;
    job.sees(&[1, 2]).await;
}

async fn what_was_given_up_goes_with_the_next_epoch<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let given_up = job.prepare(&mut sink, 1, &[1, 2]).await;
    let next = job.prepare(&mut sink, 2, &[3]).await;
    job.commit(&process, 2, &given_up.and(next)).await;
    job.sees(&[1, 2, 3]).await;
}

async fn what_no_checkpoint_has_is_never_seen<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let first = job.prepare(&mut sink, 1, &[1]).await;
    // The process dies with an epoch that is prepared, one that is not, and before it has committed.
    job.prepare(&mut sink, 2, &[-2]).await;
    job.write(&mut sink, &[-3], &mut Vec::new()).await;
    drop((sink, process));
    let process = of.process();
    job.commit(&process, 1, &first).await;
    let mut sink = job.open(&process, 0, 2, 1).await;
    job.sees(&[1]).await;
    let second = job.prepare(&mut sink, 2, &[2]).await;
    job.commit(&process, 2, &second).await;
    job.sees(&[1, 2]).await;
}

async fn a_commit_that_breaks_off_is_finished_by_another<T: SinkUnderTest>(of: &T) {
    let (job, mut process) = (Job::new(of), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let mut expected = Vec::new();
    for epoch in 1..=12_u64 {
        let rows: Vec<i64> = (0..50).map(|n| epoch as i64 * 100 + n).collect();
        let prepared = job.prepare(&mut sink, epoch, &rows).await;
        // Each time it gets further, and now and then to its end. What it has begun on a thread goes on, and may yet fence the next one.
        let limit = Duration::from_micros(100 << epoch);
        let _ = timeout(limit, process.commit(&job.table, job.of_epoch(epoch, &prepared))).await;
        process = of.process();
        job.commit_at_last(&process, epoch, &prepared).await;
        expected.extend(rows);
        job.sees(&expected).await;
    }
}

async fn commits_at_once_write_once<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let prepared = job.prepare(&mut sink, 1, &[1, 2, 3]).await;
    let others = [of.process(), of.process()];
    let commit = |process: &Arc<dyn Connector>| {
        let (process, commit) = (process.clone(), job.of_epoch(1, &prepared));
        let table = job.table.clone();
        async move { process.commit(&table, commit).await }
    };
    // One may fence the other; what counts is what is there, and that a further try finds it.
    let _ = tokio::join!(commit(&process), commit(&others[0]), commit(&others[1]));
    job.commit(&process, 1, &prepared).await;
    job.sees(&[1, 2, 3]).await;
}

async fn what_is_committed_outlives_its_job<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    let mut sink = job.open(&process, 0, 1, 0).await;
    let first = job.prepare(&mut sink, 1, &[1]).await;
    job.commit(&process, 1, &first).await;
    job.prepare(&mut sink, 2, &[-2]).await;
    drop(sink);
    for behind in [Some((Attempt(1), Epoch(1))), Some((Attempt(1), Epoch(1))), None, None] {
        let discard = Discard { job: job.identity, uid: job.uid.clone(), behind };
        of.process().discard(&job.table, discard).await.unwrap();
        job.sees(&[1]).await;
    }
}

async fn an_audit_says_what_is_committed<T: SinkUnderTest>(of: &T) {
    let (job, process) = (Job::new(of), of.process());
    assert_eq!(job.audit(&[]).await, (vec![], None), "nobody has written anything yet");
    let mut sink = job.open(&process, 0, 1, 0).await;
    let one = job.prepare(&mut sink, 1, &[1, 2]).await;
    let three = job.prepare(&mut sink, 3, &[3]).await;
    let epochs = [(1, &one), (3, &three)];
    assert_eq!(job.audit(&epochs).await, (vec![Found::Missing, Found::Missing], None));
    job.commit(&process, 1, &one).await;
    assert_eq!(job.audit(&epochs).await, (vec![Found::Written, Found::Missing], Some(Epoch(1))));
    // Whoever asks takes nothing from whoever writes.
    job.commit(&process, 3, &three).await;
    assert_eq!(job.audit(&epochs).await, (vec![Found::Written, Found::Written], Some(Epoch(3))));
    job.sees(&[1, 2, 3]).await;
}
