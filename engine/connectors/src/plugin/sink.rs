//! Rows on their way into a plugin's sink: staged in the checkpoint, and handed over when it is complete.

use async_trait::async_trait;
use tokio::sync::mpsc;
use weir_core::audit::{Audit, AuditedSink};
use weir_core::connector::Commit;
use weir_core::plugin::{LastEpoch, Plugin, PluginCommit};
use weir_core::{Batch, Epoch, Error, JobIdentity, OperatorUid, Result, Sink};

use super::Code;
use super::thread::run;
use crate::marker::{Marker, RowCount};

/// Batches that wait for the plugin.
const AHEAD: usize = 2;

/// One subtask's part.
#[derive(Default)]
pub(super) struct StagedSink {
    staged: Vec<Batch>,
    count: u64,
}

impl StagedSink {
    /// Has the plugin make the sink once: a job that cannot be committed does not start.
    pub(super) async fn open(code: &Code) -> Result<Self> {
        let request = code.request.clone();
        let made = run(&code.plugin, "its constructor", move |plugin: &dyn Plugin| plugin.sink(&request).map(drop));
        made.await.map_err(|error| code.context(error))?;
        Ok(Self::default())
    }
}

#[async_trait]
impl Sink for StagedSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.count += batch.num_rows() as u64;
        self.staged.push(batch);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(RowCount::committable(std::mem::take(&mut self.count)))
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.staged)
    }
}

/// Who writes, as the plugin is told.
fn writer(job: JobIdentity, uid: &OperatorUid) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    format!("{job}-{}", uid.0.chars().map(plain).collect::<String>())
}

/// Hands the rows of a completed checkpoint over.
///
/// # Errors
/// If they could not be written; it will be tried again.
pub(super) async fn commit(code: Code, commit: Commit) -> Result<()> {
    let Commit { job, uid, epoch, committables: _, mut staged } = commit;
    let of = PluginCommit { writer: writer(job, &uid), epoch: epoch.0 };
    let (sender, mut rows) = mpsc::channel::<Result<Option<Batch>>>(AHEAD);
    let request = code.request.clone();
    let written = run(&code.plugin, "`commit`", move |plugin: &dyn Plugin| {
        let mut next = || match rows.blocking_recv() {
            Some(rows) => rows?.map(Batch::into_appended).transpose(),
            // Never to be taken for the end of the rows.
            None => Err(Error::environment("the commit was given up, and will be tried again")),
        };
        plugin.sink(&request)?.commit(&of, &mut next)
    });
    let given = async {
        loop {
            let rows = staged.next().await;
            let is_last = !matches!(rows, Ok(Some(_)));
            // One who wants no further rows has the epoch already, or has failed.
            if sender.send(rows).await.is_err() || is_last {
                break;
            }
        }
        std::future::pending().await
    };
    tokio::select! {
        written = written => written.map_err(|error| code.context(error)),
        never = given => never,
    }
}

/// What the sink says of its epochs.
///
/// # Errors
/// If it cannot say now.
pub(super) async fn audit(code: Code, audit: Audit) -> Result<Option<AuditedSink>> {
    let writer = writer(audit.job, &audit.uid);
    let (request, asked) = (code.request.clone(), writer.clone());
    let last = run(&code.plugin, "`last_epoch`", move |plugin: &dyn Plugin| plugin.sink(&request)?.last_epoch(&asked));
    let marker = match last.await.map_err(|error| code.context(error))? {
        LastEpoch::NotKept => return Ok(None),
        LastEpoch::None => Marker::BeganBehind(0),
        LastEpoch::Is(epoch) => Marker::Committed(epoch),
    };
    Ok(Some(AuditedSink {
        target: code.name.clone(),
        marker: writer,
        last: Marker::written(Some(marker)),
        absent: matches!(marker, Marker::BeganBehind(_)),
        epochs: Marker::audited(Some(marker), &audit.epochs),
    }))
}
