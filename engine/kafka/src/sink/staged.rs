//! Exactly once: rows wait in their checkpoint, and are written when it is complete.

use async_trait::async_trait;
use weir_connectors::blocking::blocking;
use weir_connectors::marker::{Marker, RowCount};
use weir_connectors::transactions;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, SinkContext};
use weir_core::{Batch, Epoch, Result, Sink};

use super::options::SinkOptions;
use super::transaction::KafkaTarget;
use super::{Writers, marker, size, topics};

struct StagedSink {
    options: SinkOptions,
    rows: Vec<Batch>,
    /// Rows since the last marker.
    count: u64,
}

/// Opens a subtask's part. The first one sees to it that there is a marker.
pub(super) async fn open(options: SinkOptions, context: &SinkContext, writers: &Writers) -> Result<Box<dyn Sink>> {
    if context.subtask == 0 {
        topics::require(&options).await?;
        topics::ensure_commits(&options).await?;
        let target = KafkaTarget::new(options.clone(), context.job, &context.uid);
        transactions::establish(target, context.epoch, writers).await?;
    }
    Ok(Box::new(StagedSink { options, rows: Vec::new(), count: 0 }))
}

/// Writes an epoch that has rows.
pub(super) async fn commit(options: SinkOptions, mut commit: Commit, writers: &Writers) -> Result<()> {
    let target = KafkaTarget::new(options, commit.job, &commit.uid);
    transactions::commit(target, commit.epoch, &mut *commit.staged, writers).await
}

/// Ends a transaction that may be open. The marker of a job that was deleted goes.
pub(super) async fn discard(options: SinkOptions, discard: &Discard, writers: &Writers) -> Result<()> {
    let target = KafkaTarget::new(options, discard.job, &discard.uid);
    transactions::discard(target, discard.behind.is_none(), writers).await
}

/// Reads the marker, and fences nobody: what was committed before is read, and of a commit that is under way, nothing or all.
pub(super) async fn audit(options: SinkOptions, audit: Audit) -> Result<AuditedSink> {
    let id = options.transactional_id(audit.job, &audit.uid);
    let place = |topic: &str| format!("topic '{topic}' at {}", options.client.servers);
    let (target, marker) = (place(&options.topic), format!("{}, key {id}", place(&options.commits)));
    let found = blocking(move || marker::read(&options, &id, audit.job)).await?.marker;
    let (last, epochs) = (Marker::written(found), Marker::audited(found, &audit.epochs));
    Ok(AuditedSink { target, marker, last, absent: found.is_none(), epochs })
}

#[async_trait]
impl Sink for StagedSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        size::check(&self.options, &batch)?;
        self.count += batch.num_rows() as u64;
        self.rows.push(batch);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        let rows = std::mem::take(&mut self.count);
        // All else is in the table and in what is staged. Who has no rows says nothing.
        Ok(RowCount::committable(rows))
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.rows)
    }
}
