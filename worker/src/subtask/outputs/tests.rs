//! What a sink may leave to its commit.

use async_trait::async_trait;
use weir_core::{Attempt, ErrorKind, OperatorSpec, TableSpec};
use weir_state::MemoryStorage;

use super::*;
use crate::BlockingInline;
use crate::exchange::ExchangeLimits;
use crate::metrics::{JobMetrics, Position, Subtask};
use crate::staging::StagingArea;

/// What a sink's system takes to prepare.
const TAKES: std::time::Duration = std::time::Duration::from_secs(3);

/// Has this much to say of each epoch.
struct Talkative(usize);

#[async_trait]
impl Sink for Talkative {
    async fn write(&mut self, _batch: Batch) -> Result<()> {
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        tokio::time::sleep_until(tokio::time::Instant::now() + TAKES).await;
        Ok(Some(vec![7; self.0]))
    }
}

fn outputs(length: usize) -> Outputs {
    let uid = OperatorUid("sink-1".into());
    let table = TableSpec::new(
        "t",
        "talkative",
        std::collections::BTreeMap::new(),
        Arc::new(arrow::datatypes::Schema::empty()),
    );
    let area = StagingArea {
        storage: Arc::new(MemoryStorage::default()),
        blocking: Arc::new(BlockingInline),
        attempt: Attempt(1),
        part_name: "worker-0".into(),
        limits: ExchangeLimits::default(),
    };
    let stager = Stager::new(area, &uid, 0, &table, table.schema.clone(), Epoch(0));
    let metrics = JobMetrics::default().register(
        Position { vertex: "v".to_owned(), subtask: 0 },
        Subtask::default(),
        &uid,
        &OperatorSpec::ProcessingTime,
    );
    let sink = SinkStage { uid, sink: Box::new(Talkative(length)), stager, metrics };
    Outputs { sink: Some(sink), main: Vec::new(), side: Vec::new(), metrics: Arc::default() }
}

#[tokio::test(start_paused = true)]
async fn a_committable_has_to_be_small() {
    let prepared = outputs(COMMITTABLE_BYTES).prepare(Epoch(1)).await.unwrap().unwrap();
    assert_eq!(prepared.committable.unwrap().len(), COMMITTABLE_BYTES);
    let error = outputs(COMMITTABLE_BYTES + 1).prepare(Epoch(1)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::User, "to start the job again would not help");
    assert!(error.to_string().contains("takes 1048577 bytes"), "{error}");
    assert!(error.help().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_waits_for_its_system_to_prepare_is_not_busy() {
    let mut outputs = outputs(1);
    let metrics = outputs.metrics.clone();
    metrics.running(outputs.prepare(Epoch(1))).await.unwrap();
    let spent = metrics.spent();
    assert_eq!((spent.busy, spent.backpressured), (std::time::Duration::ZERO, TAKES));
}
