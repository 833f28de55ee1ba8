use weir_core::{Marker, MarkerKind, OperatorUid, TableSpec};
use weir_state::SinkCommittables;

use super::*;
use crate::driver::{AttemptEnd, FlushConfig};

const SECOND: Duration = Duration::from_secs(1);

/// An executor, and an edge that keeps the ledger and does nothing by itself.
struct Edge {
    executor: CheckpointExecutor,
    ledger: Vec<Checkpoint>,
    now: Duration,
    orders: Vec<ManifestOrder>,
}

impl Edge {
    /// Of a job that has just been started, without checkpoints at intervals.
    fn new() -> Self {
        let timeouts = Timeouts {
            commit_retry: SECOND,
            commit_timeout: Some(5 * SECOND),
            load_retry: SECOND,
            merge_retry: 100 * SECOND,
        };
        let executor = CheckpointExecutor::new(timeouts);
        Self { executor, ledger: Vec::new(), now: Duration::ZERO, orders: Vec::new() }
    }

    fn begun() -> Self {
        let mut edge = Self::new();
        edge.begin(1);
        edge
    }

    fn begin(&mut self, attempt: u64) {
        let config = AttemptConfig {
            attempt: Attempt(attempt),
            job: "fingerprint".into(),
            identity: Default::default(),
            places: Default::default(),
            parallelism: 1,
            manifest_timeout: 10 * SECOND,
            term: Some(3),
        };
        self.executor.begin(config, self.now());
        let mut effects = Vec::new();
        let followed = self.ledger.last();
        let ledger = Ledger { checkpoints: &self.ledger, followed };
        if self.executor.is_base_known(&ledger, &mut effects) {
            self.drive();
        }
    }

    fn drive(&mut self) {
        let config = DriverConfig {
            interval: None,
            timeout: 60 * SECOND,
            tolerable_failures: 2,
            last_epoch: self.ledger.last().map(|last| last.epoch).unwrap_or_default(),
            first: None,
            participants: 1,
            flush: FlushConfig { interval: None, pause: SECOND },
        };
        let takeover = Takeover { committed: true, ..Takeover::default() };
        let ledger = Ledger { checkpoints: &self.ledger, followed: self.ledger.last() };
        let now = Now { elapsed: self.now, wall: 7 };
        self.executor.drive(config, takeover, now, &ledger, &mut Vec::new());
    }

    fn now(&self) -> Now {
        Now { elapsed: self.now, wall: 7 }
    }

    /// Steps, and says what is wanted in a line each.
    fn step(&mut self, event: Event) -> Vec<String> {
        let ledger = Ledger { checkpoints: &self.ledger, followed: self.ledger.last() };
        let mut effects = Vec::new();
        self.executor.step(Now { elapsed: self.now, wall: 7 }, &ledger, event, &mut effects);
        let mut said = Vec::new();
        for effect in effects {
            said.push(match effect {
                Effect::SendMarker(Marker { epoch, kind }) => format!("{kind:?} {epoch}"),
                Effect::LoadBase(name) => format!("load {}", name.epoch),
                Effect::WriteManifest(order) => {
                    let line = format!("write {} of {}", order.header.epoch, order.contents.len());
                    self.orders.push(order);
                    line
                }
                Effect::Complete(checkpoint) => {
                    self.ledger.push(checkpoint);
                    "complete".into()
                }
                Effect::Commit(name) => format!("commit {}", name.epoch),
                Effect::Acknowledge(epoch) => format!("acknowledge {epoch}"),
                Effect::Merge(name) => format!("merge {}", name.epoch),
                Effect::Retire => "retire".into(),
                Effect::Report(_) => continue,
                Effect::Finish(AttemptEnd::Failed(_)) => "failed".into(),
                Effect::Finish(end) => format!("{end:?}"),
            });
        }
        said
    }

    fn pass(&mut self, seconds: u32) -> Vec<String> {
        self.now += seconds * SECOND;
        self.step(Event::Tick)
    }

    fn report(&mut self, epoch: u64, results: bool) -> Vec<String> {
        let sink = SinkCommittables {
            uid: OperatorUid("sink".into()),
            table: TableSpec {
                name: "t".into(),
                connector: "filesystem".into(),
                options: Default::default(),
                schema: Arc::new(arrow_schema::Schema::empty()),
                projection: None,
                partitioned_by: Vec::new(),
                primary_key: Default::default(),
                settings: Default::default(),
                plugin: None,
            },
            committables: vec![vec![1]],
            staged: Vec::new(),
        };
        let committables = results.then_some(sink).into_iter().collect();
        let content = EpochContent { epoch: Epoch(epoch), committables, ..EpochContent::default() };
        self.step(Event::Driver(driver::Event::Reported { participant: 0, content }))
    }

    fn written(&mut self) -> Vec<String> {
        let order = self.orders.pop().unwrap();
        let epoch = order.header.epoch;
        self.step(Event::ManifestWritten { epoch, result: Ok(Arc::new(order.manifest())) })
    }

    /// What happens until a checkpoint is in the ledger.
    fn complete(&mut self, epoch: u64, results: bool) -> Vec<String> {
        let kind = MarkerKind::Savepoint;
        assert_eq!(self.step(Event::Driver(driver::Event::Savepoint)), [format!("{kind:?} {epoch}")]);
        assert_eq!(self.report(epoch, results).len(), 1);
        assert_eq!(self.written(), ["complete"]);
        self.step(Event::Completed(Epoch(epoch)))
    }

    fn acknowledged(&mut self, epoch: u64) -> Vec<String> {
        self.ledger.iter_mut().for_each(|checkpoint| checkpoint.committed |= checkpoint.epoch.0 <= epoch);
        self.step(Event::Acknowledged { epoch: Epoch(epoch), result: Ok(()) })
    }
}

fn committed(epoch: u64) -> Event {
    Event::Committed { epoch: Epoch(epoch), result: Ok(()) }
}

fn environment() -> Error {
    Error::environment("the table cannot be reached")
}

#[test]
fn results_are_committed_once_the_manifest_counts_and_noted_before_anything_is_deleted() {
    let mut edge = Edge::begun();
    assert_eq!(edge.step(Event::Driver(driver::Event::Savepoint)), ["Savepoint 1"]);
    assert_eq!(edge.report(1, true), ["write 1 of 1"]);
    assert_eq!(edge.written(), ["complete"], "written is not decided");
    assert_eq!(edge.step(Event::Completed(Epoch(1))), ["commit 1"]);
    assert_eq!(edge.step(committed(1)), ["acknowledge 1"]);
    assert_eq!(edge.acknowledged(1), ["retire"]);
    assert_eq!(edge.ledger[0].manifest, layout::manifest_of_term(Epoch(1), Attempt(1), 3));
}

#[test]
fn nothing_to_commit_is_noted_and_nobody_asked() {
    let mut edge = Edge::begun();
    assert_eq!(edge.complete(1, false), ["acknowledge 1"]);
}

#[test]
fn a_commit_is_repeated_until_it_succeeds_also_without_an_attempt() {
    let mut edge = Edge::begun();
    edge.complete(1, true);
    let failed = || Event::Committed { epoch: Epoch(1), result: Err(environment()) };
    assert_eq!(edge.step(failed()), [""; 0]);
    assert_eq!(edge.executor.commit_failure(), Some("the table cannot be reached"));
    assert_eq!(edge.pass(1), ["commit 1"]);
    edge.step(failed());
    assert_eq!(edge.pass(1), ["commit 1"]);
    assert_eq!(edge.step(failed()), ["failed"], "of the attempt");
    edge.executor.end();
    assert_eq!(edge.pass(1), ["commit 1"]);
    assert_eq!(edge.step(committed(1)), ["acknowledge 1"]);
    assert_eq!(edge.acknowledged(1), ["retire"]);
}

#[test]
fn whoever_does_not_answer_is_not_waited_for() {
    let mut edge = Edge::begun();
    edge.complete(1, true);
    assert_eq!(edge.pass(4), [""; 0]);
    assert_eq!(edge.pass(1), ["commit 1"]);
    assert_eq!(edge.step(Event::CommitLost), [""; 0]);
    assert_eq!(edge.pass(0), ["commit 1"]);
    assert_eq!(edge.step(committed(1)), ["acknowledge 1"]);
    let not_noted = Event::Acknowledged { epoch: Epoch(1), result: Err(environment()) };
    assert_eq!(edge.step(not_noted), [""; 0]);
    assert_eq!(edge.pass(1), ["commit 1"], "to commit again does no harm");
}

#[test]
fn an_epoch_that_takes_long_to_commit_gets_the_time_that_it_needs() {
    let mut edge = Edge::begun();
    edge.complete(1, true);
    for patience in [5, 10, 20] {
        assert_eq!(edge.pass(patience - 1), [""; 0], "after {patience} s");
        assert_eq!(edge.pass(1), ["commit 1"], "after {patience} s");
    }
    assert_eq!(edge.step(committed(1)), ["acknowledge 1"]);
    edge.acknowledged(1);
    edge.complete(2, true);
    assert_eq!(edge.pass(5), ["commit 2"], "another epoch begins anew");
}

#[test]
fn a_manifest_that_is_not_written_in_time_comes_with_the_next_one() {
    let mut edge = Edge::begun();
    edge.step(Event::Driver(driver::Event::Savepoint));
    edge.report(1, true);
    assert_eq!(edge.executor.next_tick(), Some(10 * SECOND));
    assert_eq!(edge.pass(10), ["Savepoint 2"], "it was promised");
    assert_eq!(edge.written(), [""; 0], "too late");
    assert_eq!(edge.report(2, true), ["write 2 of 2"]);
    assert_eq!(edge.written(), ["complete"]);
}

#[test]
fn the_next_attempt_follows_what_the_ledger_says() {
    let mut edge = Edge::begun();
    edge.complete(1, false);
    edge.acknowledged(1);
    edge.executor.end();
    edge.begin(2);
    assert!(!edge.executor.is_driven(), "the manifest is being read");
    let gone = Event::BaseLoaded(Err(environment()));
    assert_eq!(edge.step(gone), [""; 0]);
    assert_eq!(edge.executor.next_tick(), Some(SECOND));
    edge.pass(1);
    let ledger = Ledger { checkpoints: &edge.ledger, followed: edge.ledger.last() };
    let mut effects = Vec::new();
    assert!(!edge.executor.is_base_known(&ledger, &mut effects));
    assert!(matches!(effects.as_slice(), [Effect::LoadBase(name)] if name.epoch == Epoch(1)));
}
