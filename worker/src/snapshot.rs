//! Gathers what the subtasks of this process captured for an epoch, makes it durable beside the stream, and reports
//! once per epoch.
//!
//! Nothing that was captured or staged is ever dropped: an operator counts its state as stored once it has captured it, and a
//! sink its rows once they are taken. If an upload fails, the rows are kept and go into the next epoch's files.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use weir_core::bugs::{self, Bug};
use weir_core::{Capture, Epoch, Error, EventTime, OperatorUid, Result, StateRows, TableSchema, TableSpec};
use weir_state::{CapturedTable, EpochContent, OperatorDelta, SinkCommittables, StateStore, Storage};

use crate::blocking;
use crate::chain::NodeCapture;
use crate::staging::{Staged, StagedPart, StagingArea};
use crate::subtask::{Prepared, WorkerEvent};

/// What a subtask hands over when a marker has passed it.
pub struct SubtaskSnapshot {
    /// The marker's epoch.
    pub epoch: Epoch,
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
    /// Where reports go.
    pub events: mpsc::Sender<WorkerEvent>,
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
        let mut gathering: BTreeMap<Epoch, Vec<SubtaskSnapshot>> = BTreeMap::new();
        let mut pending = Pending::default();
        let mut committables: Vec<(OperatorUid, Vec<u8>)> = Vec::new();
        while let Some(snapshot) = snapshots.recv().await {
            let epoch = snapshot.epoch;
            let gathered = gathering.entry(epoch).or_default();
            gathered.push(snapshot);
            if gathered.len() < self.subtasks {
                continue;
            }
            let complete = gathering.remove(&epoch).unwrap_or_default();
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
            let event = match self.store(epoch, std::mem::take(&mut pending), nodes).await {
                Ok(Stored::Written(operators, staged, bytes)) => {
                    self.add_to_stores(epoch, &operators);
                    WorkerEvent::Reported(EpochContent {
                        epoch,
                        operators,
                        committables: self.by_sink(std::mem::take(&mut committables), staged),
                        bytes,
                    })
                }
                Ok(Stored::Kept(kept, error)) => {
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
    async fn store(&self, epoch: Epoch, mut pending: Pending, nodes: Vec<NodeCapture>) -> Result<Stored> {
        let StagingArea { storage, blocking, attempt, part_name } = self.area.clone();
        let (sinks, keeps_state) = (self.sinks.clone(), self.keeps_state);
        let prefix = weir_state::layout::runs_prefix(epoch, attempt, &part_name);
        let stored = blocking::run(&blocking, move || {
            if keeps_state {
                materialise(&mut pending.tables, epoch, nodes)?;
            }
            let written = pending.staged.store(&*storage, &sinks, &prefix).and_then(|staged| {
                let (operators, state) = write(&*storage, &pending.tables, &prefix)?;
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

fn write(storage: &dyn Storage, tables: &[PendingTable], prefix: &str) -> Result<(Vec<OperatorDelta>, u64)> {
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
    let stored = weir_state::store(captured, prefix, storage)?;
    Ok((stored.operators, stored.bytes))
}
