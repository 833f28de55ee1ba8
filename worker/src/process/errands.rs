//! Commits, merges, audits, [comparisons](comparison) of state, and what is to be tidied up behind jobs that have ended.

mod comparison;

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout_at};
use weir_connectors::plugin::{JobConnectors, PluginTables};
use weir_core::audit::{Audit, AuditedSink, PreparedEpoch};
use weir_core::connector::Discard;
use weir_core::{Attempt, ConnectorRegistry, Epoch, Error, JobIdentity, OperatorUid, Result, TableSpec};
use weir_functions::Functions;
use weir_proto::control::{AuditFindings, AuditOrder, CheckpointRef, Failure, Leftovers, StoragePlace};
use weir_state::{Manifest, MergedRuns, SinkCommittables, Storage, Storages, compaction};

use crate::agent::{CommitOrder, failure};
use crate::blocking::{self, Blocking};
use crate::commit::Committer;
use crate::plugins::{HeldPlugins, JobPlugins, PluginFiles};

/// How long systems are waited for that an audit asks. The leader waits a little longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Sinks of a job that are audited at once.
const AT_ONCE: usize = 4;

/// What errands are done with.
#[derive(Clone)]
pub struct Errands {
    /// Where checkpoints are.
    pub storages: Arc<dyn Storages>,
    /// What commits.
    pub connectors: Arc<dyn ConnectorRegistry>,
    /// Plugins whose sinks are committed.
    pub plugins: Arc<PluginFiles>,
    /// What operators may call.
    pub functions: Arc<Functions>,
    /// Where blocking work is done.
    pub blocking: Arc<dyn Blocking>,
}

impl Errands {
    /// Lets the sinks make visible what a checkpoint holds.
    ///
    /// # Errors
    /// If one could not.
    pub async fn commit(self, order: CommitOrder) -> Result<()> {
        let CommitOrder { storage: place, checkpoint: CheckpointRef { manifest, epoch }, isolation } = order;
        let Self { storages, connectors, plugins, blocking, .. } = self;
        let (storage, manifest, plugins) = blocking::run(&blocking, move || {
            let storage = storages.open(&place.url)?;
            let manifest = Manifest::load(&*storage, &manifest, epoch)?;
            let tables = manifest.committables.iter().map(|sink| &sink.table);
            let plugins = plugins.of_tables(tables, isolation, &*storages)?;
            Ok((storage, manifest, plugins))
        })
        .await?;
        let plugins = HeldPlugins::new(Arc::new(plugins));
        let connectors = Arc::new(JobConnectors::new(connectors, PluginTables::new(plugins.shared())));
        Committer { connectors, blocking }.commit(&storage, &manifest).await
    }

    /// Removes what a job has left in the tables that it wrote, from all at once: as with [commits](Committer::commit), one may have to wait
    /// until another has ended what was left open.
    ///
    /// # Errors
    /// If something could not be removed.
    pub async fn discard(self, leftovers: Arc<Leftovers>) -> Result<()> {
        let Leftovers { identity: job, behind, sinks } = &*leftovers;
        let connectors = &self.connectors;
        let discards = sinks.iter().map(|(uid, table)| async move {
            // What another version of Weir has written is left to one that knows it.
            let Some(connector) = connectors.get(&table.connector) else { return Ok(()) };
            connector.discard(table, Discard { job: *job, uid: uid.clone(), behind: *behind }).await
        });
        join_all(discards).await.into_iter().collect()
    }

    /// Asks the systems that a job writes, a few at once. One that does not answer keeps the others from nothing.
    ///
    /// # Errors
    /// If its checkpoints cannot be reached. What goes wrong with one of them, or with one sink, is among the findings.
    pub async fn audit(self, order: Arc<AuditOrder>) -> Result<AuditFindings> {
        let Self { storages, connectors, plugins, blocking, .. } = self;
        let until = Instant::now() + PATIENCE;
        let look = order.clone();
        let prepared = blocking::run(&blocking, move || {
            let storage = storages.open(&look.storage.url)?;
            let prepared = Prepared::read(&*storage, &look.checkpoints);
            let tables = look.sinks.iter().map(|(_, table)| table);
            let tables = tables.chain(prepared.sinks.iter().map(|sink| &sink.table));
            // One that is not there keeps nobody from hearing of the others, and is missed where its sink is asked.
            let loaded = tables.filter_map(|table| plugins.of_tables([table], look.isolation, &*storages).ok());
            let plugins = loaded.fold(JobPlugins::default(), JobPlugins::and);
            Ok((prepared, plugins))
        });
        let (Prepared { unread, sinks: prepared }, plugins) = prepared.await?;
        let plugins = HeldPlugins::new(Arc::new(plugins));
        let connectors = JobConnectors::new(connectors, PluginTables::new(plugins.shared()));
        let audits: Vec<BoxFuture<'_, (usize, SinkFindings)>> = (order.sinks.iter().enumerate())
            .map(|(place, (uid, table))| {
                let of_sink = prepared.iter().filter(|sink| sink.uid == *uid).collect();
                let asked = timeout_at(until, audit_sink(&connectors, order.identity, (uid, table), of_sink));
                let late = move |_| Err(too_late(table));
                let asked = asked.map(move |audited| audited.unwrap_or_else(late).map_err(|error| failure(&error)));
                asked.map(move |audited| (place, audited)).boxed()
            })
            .collect();
        // In whatever order they answer: the place of one that does not is the only one that is taken.
        let mut sinks: Vec<_> = stream::iter(audits).buffer_unordered(AT_ONCE).collect().await;
        sinks.sort_by_key(|(place, _)| *place);
        Ok(AuditFindings { unread, sinks: sinks.into_iter().map(|(_, audited)| audited).collect() })
    }

    /// Merges runs of a checkpoint.
    ///
    /// # Errors
    /// If one could not be read or written.
    pub async fn merge(
        self,
        place: StoragePlace,
        checkpoint: CheckpointRef,
        attempt: Attempt,
    ) -> Result<Vec<MergedRuns>> {
        let Self { storages, blocking, .. } = self;
        let merged = blocking::run(&blocking, move || {
            let storage = storages.open(&place.url)?;
            let manifest = Manifest::load(&*storage, &checkpoint.manifest, checkpoint.epoch)?;
            compaction::merge_all(&*storage, &manifest, attempt)
        });
        merged.await.map_err(|error| error.context("runs could not be merged"))
    }
}

/// What was found of one sink.
type SinkFindings = Result<Option<AuditedSink>, Failure>;

/// What checkpoints hold of sinks.
struct Prepared {
    /// Those that could not be read.
    unread: Vec<(Epoch, Failure)>,
    /// In the order of the checkpoints.
    sinks: Vec<PreparedSink>,
}

/// What a checkpoint holds of a sink.
struct PreparedSink {
    uid: OperatorUid,
    /// The table as it was then: where it was to be committed to.
    table: TableSpec,
    epoch: PreparedEpoch,
}

impl Prepared {
    /// One manifest after the other: what else is in them may be much.
    fn read(storage: &dyn Storage, checkpoints: &[CheckpointRef]) -> Self {
        let mut prepared = Self { unread: Vec::new(), sinks: Vec::new() };
        for CheckpointRef { epoch, manifest } in checkpoints {
            match Manifest::load(storage, manifest, *epoch) {
                Ok(manifest) => {
                    let sinks = manifest.committables.into_iter().filter(|sink| !sink.is_empty());
                    let of_sink = |SinkCommittables { uid, table, committables, .. }| PreparedSink {
                        uid,
                        table,
                        epoch: PreparedEpoch { epoch: *epoch, committables },
                    };
                    prepared.sinks.extend(sinks.map(of_sink));
                }
                Err(error) => prepared.unread.push((*epoch, failure(&error))),
            }
        }
        prepared
    }
}

/// Asks about what each checkpoint holds where it was to be committed to, which is another place if the query was edited since.
async fn audit_sink(
    connectors: &dyn ConnectorRegistry,
    job: JobIdentity,
    (uid, table): (&OperatorUid, &TableSpec),
    prepared: Vec<&PreparedSink>,
) -> Result<Option<AuditedSink>> {
    let audit = |table: &TableSpec| {
        let of_table = prepared.iter().filter(|sink| is_same(&sink.table, table));
        Audit { job, uid: uid.clone(), epochs: of_table.map(|sink| sink.epoch.clone()).collect() }
    };
    let Some(mut audited) = audit_table(connectors, table, audit(table)).await? else { return Ok(None) };
    let mut earlier: Vec<&TableSpec> = Vec::new();
    for sink in prepared.iter().filter(|sink| !is_same(&sink.table, table)) {
        if !earlier.contains(&&sink.table) {
            earlier.push(&sink.table);
        }
    }
    for table in earlier {
        let before = audit_table(connectors, table, audit(table)).await?.ok_or_else(|| {
            Error::user(format!("of checkpoints of an earlier table {} there is no account", table.name))
        })?;
        audited.epochs.extend(before.epochs);
    }
    audited.epochs.sort_by_key(|audited| audited.epoch);
    Ok(Some(audited))
}

/// Whether two declarations of a table are of the same place: by whichever build of a plugin.
fn is_same(one: &TableSpec, other: &TableSpec) -> bool {
    let (Some(plugin), Some(_)) = (&one.plugin, &other.plugin) else { return one == other };
    let mut other = other.clone();
    if let Some(other) = &mut other.plugin {
        other.artifact.clone_from(&plugin.artifact);
    }
    *one == other
}

async fn audit_table(
    connectors: &dyn ConnectorRegistry,
    table: &TableSpec,
    audit: Audit,
) -> Result<Option<AuditedSink>> {
    let connector = connectors.get(&table.connector).ok_or_else(|| {
        Error::user(format!("table {} has the connector '{}', which is not here", table.name, table.connector))
    })?;
    connector.audit(table, audit).await
}

fn too_late(table: &TableSpec) -> Error {
    Error::environment(format!(
        "what table {} is written to has not answered within {} s",
        table.name,
        PATIENCE.as_secs()
    ))
}

#[cfg(test)]
mod tests;
