//! What stands in for subtasks in a part that has none.

use tokio::sync::mpsc;
use weir_core::Marker;

use super::Interrupt;
use crate::snapshot::SubtaskSnapshot;

/// A part of a job whose slots have no subtask, because there is one only of every chain and another part has it. Who
/// drives the job need not know: this part reports its epochs and comes to an end like all others.
pub struct IdleSubtask {
    /// The driver's markers.
    pub markers: mpsc::Receiver<Marker>,
    /// Where its snapshots go.
    pub snapshots: mpsc::Sender<SubtaskSnapshot>,
}

impl IdleSubtask {
    /// Runs until the last marker.
    pub async fn run(mut self) -> Result<(), Interrupt> {
        while let Some(marker) = self.markers.recv().await {
            if marker.kind.captures() {
                let snapshot = SubtaskSnapshot { marker, nodes: Vec::new(), prepared: None };
                self.snapshots.send(snapshot).await.map_err(|_| Interrupt::Disconnected)?;
            }
            if marker.kind.ends() {
                return Ok(());
            }
        }
        Err(Interrupt::Disconnected)
    }
}
