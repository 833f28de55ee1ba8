//! `weir workers`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_core::{Result, WorkerId};
use weir_proto::client::{ClientRequest, ClientResponse, WorkerInfo};

use super::args::WorkersCommand;
use super::client::{Client, expect_answer};
use super::{print, print_json, said, show};
use crate::exit::Exit;
use crate::signals::Signals;
use crate::terminal::Screen;

/// Time between two looks at a worker that is being drained.
const TICK: Duration = Duration::from_millis(500);

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: WorkersCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    let client = &mut client;
    match command {
        WorkersCommand::List { format } => {
            let workers = list_workers(client).await?;
            match format.json {
                true => print_json(screen, &workers),
                false if workers.is_empty() => said(screen, "there are no workers; start one with `weir worker`"),
                false => print(screen, &show::workers(&workers, screen.results_size())?),
            }
        }
        WorkersCommand::Drain { worker, wait } => {
            let id = WorkerId(worker.clone());
            client.call(ClientRequest::DrainWorker { worker: id.clone(), draining: true }).await?;
            if wait { until_empty(client, screen, &id).await } else { said(screen, &format!("{worker}: accepted")) }
        }
        WorkersCommand::Undrain { worker } => {
            client.call(ClientRequest::DrainWorker { worker: WorkerId(worker.clone()), draining: false }).await?;
            said(screen, &format!("{worker}: gets work again"))
        }
    }
}

async fn list_workers(client: &mut Client) -> Result<Vec<WorkerInfo>> {
    let answer = client.call(ClientRequest::ListWorkers).await?;
    expect_answer!(answer, ClientResponse::Workers(workers) => workers)
}

async fn until_empty(client: &mut Client, screen: &Screen, worker: &WorkerId) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            ticks.tick().await;
            list_workers(client).await
        };
        let workers = tokio::select! {
            workers = next => workers,
            signal = signals.next() => {
                screen.set_status("");
                screen.message(&format!("{worker}: goes on being drained; see `weir workers list`\n"));
                return Ok(signal.exit());
            }
        };
        let workers = workers.inspect_err(|_| screen.set_status(""))?;
        match workers.iter().find(|known| known.worker == *worker).filter(|known| known.used > 0) {
            Some(busy) => screen.set_status(&format!("{worker}: {} in use", show::slots(busy.used))),
            None => {
                screen.set_status("");
                return said(screen, &format!("{worker}: runs nothing any more"));
            }
        }
    }
}
