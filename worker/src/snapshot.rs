//! Gathers what the subtasks of this process captured for an epoch, makes it durable beside the stream, and reports
//! once per epoch.
//!
//! Nothing that was captured or staged is ever dropped: an operator counts its state as stored once it has captured it, and a
//! sink its rows once they are taken. If an upload fails, the rows are kept and go into the next epoch's files. Only behind a marker
//! from which nobody goes on, the last of a job, no state is stored, and none that is still being stored is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::time::Instant;
use weir_core::bugs::{self, Bug};
use weir_core::{Capture, Epoch, Error, EventTime, Marker, OperatorUid, Result, StateRows, TableSchema, TableSpec};
use weir_state::{CapturedTable, EpochContent, OperatorDelta, SinkCommittables, StateStore, Storage};

use crate::blocking;
use crate::chain::NodeCapture;
use crate::metrics::CheckpointMetrics;
use crate::staging::{Staged, StagedPart, StagingArea};
use crate::subtask::{Prepared, WorkerEvent};

/// What a subtask hands over when a marker has passed it.
pub struct SubtaskSnapshot {
    /// The marker.
    pub marker: Marker,
    /// State of each of its nodes.
    pub nodes: Vec<NodeCapture>,
    /// What its sink has prepared.
    pub prepared: Option<Prepared>,
}

/// Gathers, uploads, reports.
pub struct Snapshots {
    /// Number of subtasks that hand in a snapshot per epoch.
    pub subtasks: usize,
    /// Where all goes that is stored.
    pub area: StagingArea,
    /// Whether state is kept; if not, only sinks take part in the checkpoint.
    pub keeps_state: bool,
    /// The sinks' tables.
    pub sinks: BTreeMap<OperatorUid, TableSpec>,
    /// What is behind operators whose state is only partly in memory.
    pub stores: BTreeMap<OperatorUid, Arc<StateStore>>,
    /// Figures of the job's checkpoints.
    pub checkpoints: Arc<CheckpointMetrics>,
    /// Where reports go.
    pub events: mpsc::Sender<WorkerEvent>,
}

/// What subtasks have handed in of epochs that are not complete yet.
struct Gathering {
    subtasks: usize,
    epochs: BTreeMap<Epoch, Vec<SubtaskSnapshot>>,
}

/// What came of storing an epoch.
enum Stored {
    /// It is durable: what each operator adds, what sinks have staged, and bytes written.
    Written(Vec<OperatorDelta>, Staged, u64),
    /// It is not, and goes into the next epoch.
    Kept(Pending, Error),
}

/// What was captured and staged, and is not in a report yet.
#[derive(Default)]
struct Pending {
    tables: Vec<PendingTable>,
    staged: Staged,
}

/// Captured rows of one table, made but not stored.
struct PendingTable {
    uid: OperatorUid,
    /// The last epoch that added rows.
    epoch: Epoch,
    watermark: EventTime,
    schema: TableSchema,
    rows: Vec<Rows>,
}

struct Rows {
    rows: Vec<StateRows>,
    expired: Option<EventTime>,
}

impl Snapshots {
    /// Runs until all subtasks are gone.
    pub async fn run(self, mut snapshots: mpsc::Receiver<SubtaskSnapshot>) {
        let mut gathering = Gathering { subtasks: self.subtasks, epochs: BTreeMap::new() };
        let mut pending = Pending::default();
        let mut committables: Vec<(OperatorUid, Vec<u8>)> = Vec::new();
        loop {
            let Some((marker, complete)) = gathering.complete() else {
                let Some(snapshot) = snapshots.recv().await else { return };
                gathering.add(snapshot);
                continue;
            };
            let epoch = marker.epoch;
            let mut nodes = Vec::new();
            let mut staged: BTreeMap<OperatorUid, Vec<StagedPart>> = BTreeMap::new();
            for snapshot in complete {
                nodes.extend(snapshot.nodes);
                if let Some(Prepared { uid, committable, staged: part }) = snapshot.prepared {
                    committables.extend(committable.map(|committable| (uid.clone(), committable)));
                    staged.entry(uid).or_default().push(part);
                }
            }
            staged.into_iter().for_each(|(uid, parts)| pending.staged.add(&uid, parts));
            if !marker.kind.keeps_state() {
                pending.tables.clear();
                nodes.clear();
            }
            let given_up = Arc::new(AtomicBool::new(false));
            let storing = self.store(epoch, std::mem::take(&mut pending), nodes, given_up.clone());
            let began = Instant::now();
            let event = match meanwhile(storing, &mut snapshots, |snapshot| {
                if !snapshot.marker.kind.keeps_state() {
                    given_up.store(true, Ordering::Relaxed);
                }
                gathering.add(snapshot);
            })
            .await
            {
                Ok(Stored::Written(operators, staged, bytes)) => {
                    self.checkpoints.stored(epoch, began, bytes);
                    self.add_to_stores(epoch, &operators);
                    WorkerEvent::Reported(EpochContent {
                        epoch,
                        operators,
                        committables: self.by_sink(std::mem::take(&mut committables), staged),
                        bytes,
                    })
                }
                Ok(Stored::Kept(kept, error)) => {
                    self.checkpoints.failed(epoch, began, &error);
                    if bugs::is_on(Bug::UnstoredEviction) {
                        self.add_to_stores(epoch, &[]);
                    }
                    pending = kept;
                    if bugs::is_on(Bug::DroppedCommittables) {
                        committables.clear();
                    }
                    if bugs::is_on(Bug::DroppedStagedRows) {
                        pending.staged = Staged::default();
                    }
                    WorkerEvent::ReportFailed { epoch, error }
                }
                // What was captured is lost, and no later checkpoint could be right.
                Err(error) => WorkerEvent::Failed(error),
            };
            if self.events.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Makes the captured rows and writes them.
    ///
    /// # Errors
    /// If the rows could not be made: they are lost.
    async fn store(
        &self,
        epoch: Epoch,
        mut pending: Pending,
        nodes: Vec<NodeCapture>,
        given_up: Arc<AtomicBool>,
    ) -> Result<Stored> {
        let StagingArea { storage, blocking, attempt, part_name, .. } = self.area.clone();
        let keeps_state = self.keeps_state;
        let prefix = weir_state::layout::runs_prefix(epoch, attempt, &part_name);
        let stored = blocking::run(&blocking, move || {
            if keeps_state {
                materialise(&mut pending.tables, epoch, nodes)?;
            }
            let written = pending.staged.store(&*storage, &prefix).and_then(|staged| {
                let (operators, state) = write(&*storage, &pending.tables, &prefix, &given_up)?;
                Ok((operators, staged + state))
            });
            Ok(match written {
                Ok((operators, bytes)) => Stored::Written(operators, pending.staged, bytes),
                Err(error) => Stored::Kept(pending, error),
            })
        });
        stored.await.map_err(|error| error.context(format!("checkpoint {epoch} could not be made")))
    }

    /// From here on operators may let go of what was captured: it can be read again.
    fn add_to_stores(&self, epoch: Epoch, operators: &[OperatorDelta]) {
        for (uid, store) in &self.stores {
            let delta = operators.iter().find(|operator| operator.uid == *uid);
            store.add(epoch, delta.map_or(&[], |delta| &delta.tables));
        }
    }

    fn by_sink(&self, committables: Vec<(OperatorUid, Vec<u8>)>, staged: Staged) -> Vec<SinkCommittables> {
        let mut sinks: BTreeMap<OperatorUid, SinkCommittables> = BTreeMap::new();
        let nothing = |uid: &OperatorUid| SinkCommittables::nothing(uid.clone(), self.sinks[uid].clone());
        for (uid, committable) in committables {
            sinks.entry(uid).or_insert_with_key(nothing).committables.push(committable);
        }
        for (uid, runs) in staged.into_runs() {
            sinks.entry(uid).or_insert_with_key(nothing).staged = runs;
        }
        sinks.into_values().filter(|sink| !sink.is_empty()).collect()
    }
}

impl Gathering {
    fn add(&mut self, snapshot: SubtaskSnapshot) {
        self.epochs.entry(snapshot.marker.epoch).or_default().push(snapshot);
    }

    /// The snapshots of the oldest epoch, if they are all there: a subtask hands in one epoch after the other.
    fn complete(&mut self) -> Option<(Marker, Vec<SubtaskSnapshot>)> {
        let oldest = self.epochs.first_entry().filter(|oldest| oldest.get().len() == self.subtasks)?;
        let snapshots = oldest.remove();
        Some((snapshots.first()?.marker, snapshots))
    }
}

/// Waits for `work`, and takes in what arrives meanwhile.
async fn meanwhile<T>(
    work: impl Future<Output = T>,
    snapshots: &mut mpsc::Receiver<SubtaskSnapshot>,
    mut arrived: impl FnMut(SubtaskSnapshot),
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            Some(snapshot) = snapshots.recv() => arrived(snapshot),
        }
    }
}

fn materialise(tables: &mut Vec<PendingTable>, epoch: Epoch, nodes: Vec<NodeCapture>) -> Result<()> {
    for node in nodes {
        for (schema, capture) in node.tables {
            let rows = Rows { rows: (capture.rows)()?, expired: capture.expired };
            match tables.iter_mut().find(|table| table.uid == node.uid && table.schema.name == schema.name) {
                Some(table) => {
                    // Subtasks behind an exchange agree, because a marker is aligned over channels that all carry the
                    // same watermarks. Sources do not, and the least of them is what all have reached.
                    table.watermark = match table.epoch == epoch {
                        true if bugs::is_on(Bug::RestoredTimeOfFirst) => table.watermark.max(node.watermark),
                        true => table.watermark.min(node.watermark),
                        false => node.watermark,
                    };
                    table.epoch = epoch;
                    table.rows.push(rows);
                }
                None => tables.push(PendingTable {
                    uid: node.uid.clone(),
                    epoch,
                    watermark: node.watermark,
                    schema,
                    rows: vec![rows],
                }),
            }
        }
    }
    Ok(())
}

fn write(
    storage: &dyn Storage,
    tables: &[PendingTable],
    prefix: &str,
    given_up: &AtomicBool,
) -> Result<(Vec<OperatorDelta>, u64)> {
    let captured = tables
        .iter()
        .map(|table| CapturedTable {
            uid: table.uid.clone(),
            watermark: table.watermark,
            schema: table.schema.clone(),
            capture: table
                .rows
                .iter()
                .map(|captured| {
                    let rows = captured.rows.clone();
                    Capture { rows: Box::new(move || Ok(rows)), expired: captured.expired }
                })
                .collect(),
        })
        .collect();
    let stored = weir_state::store(captured, prefix, storage, given_up)?;
    Ok((stored.operators, stored.bytes))
}
