//! Sources that do what they must not.

#![allow(clippy::disallowed_methods, reason = "a test measures how long it waits")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use weir_core::connector::{
    AssignedSplit, Boundedness, DiscoveryContext, OptionInfo, Role, SourceContext, SplitPosition,
};
use weir_core::{
    Attempt, ChangelogKind, Connector, ErrorKind, JobGraph, JobId, Location, OperatorSpec, SinkSpec, Source,
    SourceEvent, Split, SplitDiscovery, TableSpec,
};
use weir_proto::control::{AttemptPhase, Deploy, ToWorker};

use super::jobs::{Bench, sequence, table};
use super::leader::{Leader, within};

/// What is wrong with the source.
#[derive(Clone)]
enum Trouble {
    /// It does not give its thread back until it is told to.
    Spins(Arc<Spin>),
    /// What its name says.
    PanicsWhenOpened,
}

#[derive(Default)]
struct Spin {
    begun: AtomicBool,
    enough: AtomicBool,
    /// Nobody was there to say that it is enough.
    gave_up: AtomicBool,
}

impl Spin {
    fn spin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        let begun = Instant::now();
        while !self.enough.load(Ordering::SeqCst) {
            if begun.elapsed() > Duration::from_secs(10) {
                return self.gave_up.store(true, Ordering::SeqCst);
            }
            std::hint::spin_loop();
        }
    }
}

#[async_trait]
impl Connector for Trouble {
    fn name(&self) -> &'static str {
        match self {
            Trouble::Spins(_) => "spins",
            Trouble::PanicsWhenOpened => "panics",
        }
    }

    fn supports(&self, role: Role) -> bool {
        role == Role::Source
    }

    fn options(&self, _given: &std::collections::BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> weir_core::Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> weir_core::Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Unbounded
    }

    async fn open_discovery(
        &self,
        _table: &TableSpec,
        _context: DiscoveryContext,
    ) -> weir_core::Result<Box<dyn SplitDiscovery>> {
        let split = Split { name: "all".into(), sequence: "all".into(), description: String::new() };
        Ok(Box::new(One(Some(split))))
    }

    async fn open_source(&self, _table: &TableSpec, _context: SourceContext) -> weir_core::Result<Box<dyn Source>> {
        match self {
            Trouble::Spins(_) => Ok(Box::new(self.clone())),
            Trouble::PanicsWhenOpened => panic!("this is how it is"),
        }
    }
}

/// A table of one split.
struct One(Option<Split>);

#[async_trait]
impl SplitDiscovery for One {
    async fn next(&mut self) -> weir_core::Result<Option<Vec<Split>>> {
        Ok(self.0.take().map(|split| vec![split]))
    }
}

#[async_trait]
impl Source for Trouble {
    fn assign(&mut self, _splits: Vec<AssignedSplit>) -> weir_core::Result<()> {
        Ok(())
    }

    async fn next(&mut self) -> weir_core::Result<SourceEvent> {
        if let Trouble::Spins(spin) = self {
            spin.spin();
        }
        Ok(SourceEvent::SplitFinished { split: "all".into() })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        Vec::new()
    }
}

#[tokio::test]
async fn a_worker_whose_threads_are_all_busy_sends_its_heartbeats() {
    let spin = Arc::new(Spin::default());
    let mut bench = Bench::new();
    bench.registry = bench.registry.with(Trouble::Spins(spin.clone()));
    let mut leader = Leader::start().await;
    let _worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    line.run(bench.deploy(&line, 1, table("busy", "spins", []))).await;
    while !spin.begun.load(Ordering::SeqCst) {
        line.heartbeat().await;
    }
    for _ in 0..20 {
        assert_eq!(line.heartbeat().await.figures.len(), 1);
    }
    // Also an end to it is put at once, whether the thread is given back or not.
    line.say(ToWorker::Cancel { job: JobId(1), attempt: Attempt(1) }).await;
    while !line.heartbeat().await.figures.is_empty() {}
    assert!(!spin.gave_up.load(Ordering::SeqCst), "it was all told while the thread was busy");
    spin.enough.store(true, Ordering::SeqCst);
}

#[tokio::test]
async fn a_panic_fails_its_job_only() {
    let mut bench = Bench::new();
    bench.registry = bench.registry.with(Trouble::PanicsWhenOpened);
    let mut leader = Leader::start().await;
    let _worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    line.run(bench.deploy(&line, 1, sequence(None))).await;
    let mut second = bench.deploy(&line, 1, table("broken", "panics", []));
    second.job = JobId(2);
    line.say(ToWorker::Deploy(Arc::new(second))).await;
    let AttemptPhase::Failed(failure) = line.status().await.phase else { panic!("it opened") };
    assert_eq!((failure.kind, failure.peer_lost), (ErrorKind::Internal, false));
    let figures = line.heartbeat().await.figures;
    assert_eq!(figures.iter().map(|figures| figures.job).collect::<Vec<_>>(), [JobId(1)]);
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_with_its_reasons() {
    let bench = Bench::new();
    let mut leader = Leader::start().await;
    let _worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    line.say(ToWorker::Deploy(Arc::new(bench.deploy(&line, 1, table("far", "nowhere", []))))).await;
    let AttemptPhase::Failed(failure) = line.status().await.phase else { panic!("it opened") };
    assert_eq!(failure.kind, ErrorKind::User);
    assert!(failure.report.contains("because: table far has the connector 'nowhere'"), "{}", failure.report);
}

/// The job, with another sink and rows that may be taken back, as no planner would send it.
fn retracting(deploy: Deploy, sink: &TableSpec) -> Deploy {
    let mut graph = JobGraph::new();
    for node in deploy.graph.nodes() {
        let mut spec = node.spec.clone();
        match &mut spec.operator {
            OperatorSpec::Source(_) => spec.changelog = ChangelogKind::Retract,
            OperatorSpec::Sink(SinkSpec { table }) => *table = sink.clone(),
            _ => {}
        }
        graph.add(spec);
    }
    Deploy { graph: Arc::new(graph), ..deploy }
}

#[tokio::test]
async fn a_sink_is_not_opened_for_a_stream_that_it_does_not_take() {
    let bench = Bench::new();
    let mut leader = Leader::start().await;
    let _worker = bench.worker(7, &[&leader]);
    let mut line = leader.welcome(1).await;
    let path = bench.folder.path().join("output").to_str().unwrap().to_owned();
    let files = table("files", "filesystem", [("path".to_owned(), path), ("format".to_owned(), "csv".to_owned())]);
    let refused = retracting(bench.deploy(&line, 1, sequence(None)), &files);
    line.say(ToWorker::Deploy(Arc::new(refused))).await;
    let AttemptPhase::Failed(failure) = line.status().await.phase else { panic!("it opened") };
    let why = "table files was given a stream of the kind retract, which its connector 'filesystem' does not take";
    assert_eq!(failure.kind, ErrorKind::Internal);
    assert!(failure.report.contains(why), "{}", failure.report);
    // One that takes every kind is opened, and runs.
    line.run(retracting(bench.deploy(&line, 2, sequence(None)), &table("nowhere", "blackhole", []))).await;
}

#[tokio::test]
async fn a_worker_that_is_refused_says_why() {
    let bench = Bench::new();
    let mut leader = Leader::start().await;
    let worker = bench.worker(7, &[&leader]);
    let line = leader.visit().await;
    line.say(ToWorker::Refused { reason: "its name is taken".into() }).await;
    let error = within(worker.worker).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(error.to_string().contains("its name is taken"), "{error}");
}
