//! Exactly once: rows wait in their checkpoint, and are written when it is complete.

use async_trait::async_trait;
use weir_connectors::blocking::blocking;
use weir_connectors::marker::{Marker, RowCount, Verdict};
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::{Commit, Discard, SinkContext};
use weir_core::{Batch, Epoch, Error, JobIdentity, Result, Sink};

use super::marker;
use super::options::SinkOptions;
use super::transaction::Writer;
use super::writers::Writers;
use super::{size, topics};

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
        let (job, behind) = (context.job, context.epoch);
        let id = options.transactional_id(job, &context.uid);
        // What a kept one knows may be old: meanwhile others may have written, and fenced it.
        drop(writers.take(&id, &options));
        let opened = options.clone();
        let writer = blocking(move || established(Writer::open(opened, id, job)?, behind)).await?;
        writers.keep(writer);
    }
    Ok(Box::new(StagedSink { options, rows: Vec::new(), count: 0 }))
}

/// What makes a producer of the sink ready, on a blocking thread.
fn writer(
    options: &SinkOptions,
    id: String,
    job: JobIdentity,
    writers: &Writers,
) -> impl FnOnce() -> Result<Writer> + Send + 'static {
    let (kept, options) = (writers.take(&id, options), options.clone());
    move || kept.map_or_else(|| Writer::open(options, id, job), Ok)
}

/// Of a sink that has a marker. A new one says that nothing is written by the sink so far: what is decided up to here and not written
/// had a marker, which is lost then.
fn established(writer: Writer, behind: Epoch) -> Result<Writer> {
    match writer.marker {
        None => {
            writer.begin()?;
            writer.finish(Some(Marker::BeganBehind(behind.0)))
        }
        Some(marker) if marker.epoch() > behind => Err(Error::user(format!(
            "topic '{}' already has the rows of table '{}' up to epoch {}, and the job goes on behind epoch {behind}",
            writer.options.topic,
            writer.options.table,
            marker.epoch()
        ))
        .with_help("a job that goes back to an older checkpoint would write rows twice: run it as a new job")),
        Some(_) => Ok(writer),
    }
}

/// Writes an epoch that has rows.
pub(super) async fn commit(options: SinkOptions, commit: Commit, writers: &Writers) -> Result<()> {
    let Commit { job, uid, epoch, mut staged, .. } = commit;
    let id = options.transactional_id(job, &uid);
    let open = writer(&options, id, job, writers);
    let mut writer = blocking(open).await?;
    match writer.verdict(epoch) {
        Verdict::Unknown => return Err(marker::lost(&options, &writer.id, epoch)),
        Verdict::Done => {
            writers.keep(writer);
            return Ok(());
        }
        Verdict::Due => {}
    }
    writer = working(writer, |writer| writer.begin()).await?;
    loop {
        let rows = match staged.next().await {
            Ok(Some(rows)) => rows,
            Ok(None) => break,
            Err(error) => {
                let abandoned = blocking(move || {
                    writer.abandon();
                    Ok(())
                });
                return abandoned.await.and(Err(error));
            }
        };
        writer = working(writer, move |writer| writer.send(&rows)).await?;
    }
    let writer = blocking(move || writer.finish(Some(Marker::Committed(epoch.0)))).await?;
    writers.keep(writer);
    Ok(())
}

/// A step of a transaction, on a blocking thread. One that fails ends it.
async fn working(mut writer: Writer, step: impl FnOnce(&mut Writer) -> Result<()> + Send + 'static) -> Result<Writer> {
    blocking(move || match step(&mut writer) {
        Ok(()) => Ok(writer),
        Err(error) => {
            writer.abandon();
            Err(error)
        }
    })
    .await
}

/// Ends a transaction that may be open. The marker of a job that was deleted goes.
pub(super) async fn discard(options: SinkOptions, discard: &Discard, writers: &Writers) -> Result<()> {
    let id = options.transactional_id(discard.job, &discard.uid);
    drop(writers.take(&id, &options));
    let (job, is_deleted) = (discard.job, discard.behind.is_none());
    blocking(move || {
        let writer = Writer::open(options, id, job)?;
        if is_deleted && writer.marker.is_some() {
            writer.begin()?;
            writer.finish(None)?;
        }
        Ok(())
    })
    .await
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
