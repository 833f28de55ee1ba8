//! Every staged row comes back once, in its subtask's order, whatever storage does meanwhile and whoever commits.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use async_trait::async_trait;
use futures::FutureExt;
use proptest::prelude::*;
use tokio::sync::watch;
use weir_core::connector::{Boundedness, Commit, Connector, OptionInfo, Role};
use weir_core::{ConnectorRegistry, Error, JobIdentity, Location, Marker, MarkerKind};
use weir_state::{LocalStorage, Manifest, ManifestHeader, MemoryStorage, SinkCommittables};

use super::pace::Standing;
use super::*;
use crate::{BlockingInline, Committer};

/// A storage that does not take everything.
#[derive(Default)]
struct Flaky {
    objects: MemoryStorage,
    /// It takes nothing.
    out: AtomicBool,
    /// It takes what it is given and does not say so.
    mute: AtomicBool,
}

impl Storage for Flaky {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        if !self.out.load(Ordering::Relaxed) {
            self.objects.put(path, bytes)?;
        }
        match self.out.load(Ordering::Relaxed) || self.mute.load(Ordering::Relaxed) {
            true => Err(Error::environment("storage does not answer")),
            false => Ok(()),
        }
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.objects.get(path)
    }

    fn get_range(&self, path: &str, offset: u64, length: u64) -> Result<Vec<u8>> {
        self.objects.get_range(path, offset, length)
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.objects.list(prefix)
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.objects.delete(path)
    }

    fn locate(&self, path: &str) -> String {
        self.objects.locate(path)
    }
}

/// A connector that keeps what is committed to it: per epoch, the numbers, negative where a row was taken back.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<BTreeMap<Epoch, Vec<i64>>>>);

impl ConnectorRegistry for Keeper {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        (name == "keeper").then(|| Arc::new(self.clone()) as Arc<dyn Connector>)
    }

    fn names(&self) -> Vec<&'static str> {
        vec!["keeper"]
    }
}

#[async_trait]
impl Connector for Keeper {
    fn name(&self) -> &'static str {
        "keeper"
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Sink
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn commit(&self, _table: &TableSpec, mut commit: Commit) -> Result<()> {
        let mut numbers = Vec::new();
        while let Some(batch) = commit.staged.next().await? {
            let values = batch.records().column(0).as_primitive::<Int64Type>().values();
            let weight = |row: usize| batch.weights().map_or(1, |weights| i64::from(weights.value(row)));
            numbers.extend(values.iter().enumerate().map(|(row, number)| number * weight(row)));
        }
        self.0.lock().unwrap().insert(commit.epoch, numbers);
        Ok(())
    }
}

fn uid() -> OperatorUid {
    OperatorUid("sink-1".into())
}

fn table() -> TableSpec {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    TableSpec::new("kept", "keeper", BTreeMap::new(), Arc::new(schema))
}

fn rows(numbers: std::ops::Range<i64>) -> Batch {
    let column: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
    Batch::append(RecordBatch::try_new(table().schema, vec![column]).unwrap())
}

fn area(storage: Arc<dyn Storage>) -> StagingArea {
    let limits = ExchangeLimits::default();
    StagingArea {
        storage,
        blocking: Arc::new(BlockingInline),
        attempt: Attempt(3),
        part_name: "worker-0".into(),
        limits,
    }
}

/// The subtasks of a sink in one process, and what becomes of their rows.
struct Bench {
    storage: Arc<Flaky>,
    stagers: Vec<Stager>,
    staged: Staged,
    kept: Keeper,
}

impl Bench {
    fn new(subtasks: usize) -> Self {
        let storage = Arc::new(Flaky::default());
        let stager = |subtask| Stager::new(area(storage.clone()), &uid(), subtask, &table(), table().schema, Epoch(0));
        Self {
            stagers: (0..subtasks).map(stager).collect(),
            storage,
            staged: Staged::default(),
            kept: Keeper::default(),
        }
    }

    /// A marker passes. What is in the report, or that there is none.
    fn marker(&mut self, epoch: Epoch) -> Result<SinkCommittables> {
        let parts = self.stagers.iter_mut().map(|stager| stager.take(epoch)).collect();
        self.staged.add(&uid(), parts);
        let prefix = layout::runs_prefix(epoch, Attempt(3), "worker-0");
        self.staged.store(&*self.storage, &prefix)?;
        let runs = std::mem::take(&mut self.staged).into_runs().flat_map(|(_, runs)| runs).collect();
        Ok(SinkCommittables { staged: runs, ..SinkCommittables::nothing(uid(), table()) })
    }

    async fn commit(&self, epoch: Epoch, sink: SinkCommittables) -> Vec<i64> {
        let storage: Arc<dyn Storage> = self.storage.clone();
        commit(&self.kept, &storage, epoch, sink).await
    }
}

async fn commit(kept: &Keeper, storage: &Arc<dyn Storage>, epoch: Epoch, sink: SinkCommittables) -> Vec<i64> {
    let committer = Committer { connectors: Arc::new(kept.clone()), blocking: Arc::new(BlockingInline) };
    let header = ManifestHeader {
        job: "job".into(),
        identity: JobIdentity(1),
        epoch,
        attempt: Attempt(3),
        savepoint: false,
        finished: false,
        parallelism: 1,
        places: BTreeMap::new(),
    };
    committer.commit(storage, &Manifest::following(None, header, Vec::new(), vec![sink])).await.unwrap();
    kept.0.lock().unwrap()[&epoch].clone()
}

/// Half a run.
const HALF: i64 = STAGED_RUN_BYTES as i64 / 16;

#[derive(Debug, Clone)]
enum Step {
    /// A subtask's sink stages so many rows.
    Rows(usize, i64),
    /// A marker passes, and storage may be out or mute while what is left is stored.
    Marker { out: bool, mute: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let count = prop_oneof![8 => 0..50_i64, 1 => HALF..HALF + 10];
    prop_oneof![
        4 => (0..3_usize, count).prop_map(|(subtask, count)| Step::Rows(subtask, count)),
        1 => (prop::bool::weighted(0.3), prop::bool::weighted(0.3)).prop_map(|(out, mute)| Step::Marker { out, mute }),
    ]
}

/// Subtask `s` stages the numbers `s << 32`, `(s << 32) + 1`, …
async fn play(steps: &[Step]) {
    let mut bench = Bench::new(3);
    let mut next: Vec<i64> = (0..3).map(|subtask| subtask << 32).collect();
    let (mut committed, mut epoch): (Vec<i64>, _) = (Vec::new(), Epoch(0));
    for step in steps.iter().cloned().chain([Step::Marker { out: false, mute: false }]) {
        match step {
            Step::Rows(subtask, count) => {
                let from = next[subtask];
                next[subtask] += count;
                bench.stagers[subtask].add(vec![rows(from..from + count)]).await.unwrap();
            }
            Step::Marker { out, mute } => {
                // Epochs between were flush markers.
                epoch = Epoch(epoch.0 + 3);
                bench.storage.out.store(out, Ordering::Relaxed);
                bench.storage.mute.store(mute, Ordering::Relaxed);
                let reported = bench.marker(epoch);
                bench.storage.out.store(false, Ordering::Relaxed);
                bench.storage.mute.store(false, Ordering::Relaxed);
                if let Ok(sink) = reported {
                    committed.extend(bench.commit(epoch, sink).await);
                }
            }
        }
    }
    for (subtask, next) in next.iter().enumerate() {
        let first = (subtask as i64) << 32;
        let theirs = committed.iter().filter(|number| **number >> 32 == subtask as i64);
        assert!(theirs.copied().eq(first..*next), "subtask {subtask}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_row_comes_back_once_and_in_order(steps in prop::collection::vec(step(), 1..30)) {
        futures::executor::block_on(play(&steps));
    }
}

#[tokio::test]
async fn many_rows_make_several_runs_and_few_rows_of_many_subtasks_one() {
    let mut bench = Bench::new(8);
    for (subtask, stager) in bench.stagers.iter_mut().enumerate() {
        let from = subtask as i64 * 10;
        stager.add(vec![rows(from..from + 10)]).await.unwrap();
    }
    let few = bench.marker(Epoch(1)).unwrap();
    assert_eq!(few.staged.len(), 1);
    assert_eq!(bench.commit(Epoch(1), few).await, (0..80).collect::<Vec<_>>());

    for number in 0..7 {
        bench.stagers[0].add(vec![rows(number * HALF..(number + 1) * HALF)]).await.unwrap();
    }
    assert_eq!(
        bench.storage.list(&layout::runs_prefix(Epoch(2), Attempt(3), "")).unwrap().len(),
        3,
        "before the marker"
    );
    let many = bench.marker(Epoch(5)).unwrap();
    assert_eq!(many.staged.len(), 4);
    assert!(many.staged.iter().all(|run| run.length < 2 * STAGED_RUN_BYTES as u64));
    assert!(bench.commit(Epoch(5), many).await.into_iter().eq(0..7 * HALF), "in the order of writing");
}

#[tokio::test]
async fn another_process_commits_what_one_that_is_dead_has_staged() {
    let folder = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Storage> { Arc::new(LocalStorage::open(folder.path()).unwrap()) };
    let reported = {
        let storage = open();
        let mut stager = Stager::new(area(storage.clone()), &uid(), 0, &table(), table().schema, Epoch(6));
        let weighted = Batch::weighted(rows(1..4).into_parts().0, Int8Array::from(vec![1, -1, 1])).unwrap();
        stager.add(vec![rows(0..HALF), rows(0..HALF), weighted]).await.unwrap();
        let mut staged = Staged::default();
        staged.add(&uid(), vec![stager.take(Epoch(9))]);
        let prefix = layout::runs_prefix(Epoch(9), Attempt(3), "worker-0");
        staged.store(&*storage, &prefix).unwrap();
        let staged = staged.into_runs().flat_map(|(_, runs)| runs).collect();
        SinkCommittables { staged, ..SinkCommittables::nothing(uid(), table()) }
    };
    for _ in 0..2 {
        let kept = commit(&Keeper::default(), &open(), Epoch(9), reported.clone()).await;
        assert_eq!((kept.len() as i64, &kept[kept.len() - 3..]), (2 * HALF + 3, &[1, -2, 3][..]));
    }
}

#[tokio::test]
async fn a_storage_that_takes_nothing_is_waited_for_but_not_for_ever() {
    let mut bench = Bench::new(1);
    bench.storage.out.store(true, Ordering::Relaxed);
    let mut held = 0;
    let error = loop {
        match bench.stagers[0].add(vec![rows(held * HALF..(held + 1) * HALF)]).await {
            Ok(()) => held += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Environment, "the job goes on from its last checkpoint");
    assert!(error.report().contains("rows of kept"), "{}", error.report());
    assert_eq!(held as usize + 1, 2 * HELD_BYTES / STAGED_RUN_BYTES);
    assert!(bench.storage.list("").unwrap().is_empty());
}

#[tokio::test]
async fn what_is_reported_is_what_retention_spares() {
    let mut bench = Bench::new(1);
    bench.stagers[0].add(vec![rows(0..HALF), rows(HALF..2 * HALF)]).await.unwrap();
    let ahead = bench.storage.list("").unwrap();
    assert_eq!(ahead.iter().map(|path| layout::run(path)).collect::<Vec<_>>(), [Some((Epoch(1), Attempt(3)))]);
    let sink = bench.marker(Epoch(4)).unwrap();
    assert_eq!(sink.staged.iter().map(|run| run.file.clone()).collect::<Vec<_>>(), ahead);
}

/// Runs that a subtask stages without waiting.
const AHEAD_RUNS: u64 = 8;

#[tokio::test(start_paused = true)]
async fn a_subtask_gets_so_far_ahead_of_the_commit_and_no_further() {
    let (part, standing) = watch::channel(Standing::behind(Epoch(6)));
    let pace = Pace::new(standing, Some(Duration::from_secs(1)));
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let mut stager = Stager::new(area(storage), &uid(), 0, &table(), table().schema, Epoch(6)).at(pace);
    let run = || vec![rows(0..HALF), rows(HALF..2 * HALF)];
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..AHEAD_RUNS {
        stager.add(run()).await.unwrap();
    }
    let next = || Marker { epoch: Epoch(7), kind: MarkerKind::Checkpoint };
    assert!(stager.add(run()).now_or_never().is_none(), "the next checkpoint is overdue");
    part.send_if_modified(|standing| standing.ordered(next()));
    // What the call that was given up had taken is here.
    stager.add(run()).await.unwrap();
    let staged = stager.take(Epoch(7));
    let rows = staged.runs.iter().map(|run| run.rows).sum::<u64>()
        + staged.rest.iter().map(|rows| rows.num_rows() as u64).sum::<u64>();
    assert_eq!(rows, (AHEAD_RUNS + 2) * 2 * HALF as u64);
    part.send_modify(|standing| standing.completed(Epoch(7)));
    tokio::time::advance(Duration::from_secs(1)).await;
    stager.add(run()).now_or_never().unwrap().unwrap();
}

/// As of a union of one input whose column is never null and one whose is.
#[tokio::test]
async fn batches_that_differ_in_what_may_be_null_go_into_one_run() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let nullable = |nullable| Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, nullable)]));
    let batch = |schema: SchemaRef, values: Vec<Option<i64>>| {
        Batch::append(RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(values))]).unwrap())
    };
    let mut stager = Stager::new(area(storage.clone()), &uid(), 0, &table(), nullable(true), Epoch(0));
    stager.add(vec![batch(nullable(false), vec![Some(1)]), batch(nullable(true), vec![None])]).await.unwrap();
    let mut staged = Staged::default();
    staged.add(&uid(), vec![stager.take(Epoch(1))]);
    staged.store(&*storage, "runs/a").unwrap();
    let runs: Vec<StagedRun> = staged.into_runs().flat_map(|(_, runs)| runs).collect();
    let back = weir_state::read_staged(&*storage, &runs[0], &nullable(true)).unwrap();
    assert_eq!((runs.len(), back.iter().map(Batch::num_rows).sum::<usize>()), (1, 2));

    let text = Arc::new(Schema::new(vec![Field::new("n", DataType::Utf8, true)]));
    let text =
        Batch::append(RecordBatch::try_new(text, vec![arrow::array::new_null_array(&DataType::Utf8, 1)]).unwrap());
    assert!(stager.add(vec![text]).await.unwrap_err().report().contains("do not have its columns"));
}
