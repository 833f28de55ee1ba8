//! `weir workers`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use weir_core::{Error, Result, WorkerId};
use weir_proto::client::{ClientRequest, ClientResponse, JobSummary, WorkerInfo};

use super::args::WorkersCommand;
use super::client::{Client, expect_answer};
use super::live::Live;
use super::{print, print_json, said, show};
use crate::clock::Stopwatch;
use crate::exit::Exit;
use crate::figures::duration;
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
        WorkersCommand::Drain { worker, wait, wait_timeout } => {
            let id = WorkerId(worker.clone());
            client.call(ClientRequest::DrainWorker { worker: id.clone(), draining: true }).await?;
            match wait {
                true => until_empty(client, screen, &id, wait_timeout).await,
                false => {
                    said(screen, &format!("{worker}: is being drained; `weir workers list` shows what it still runs"))
                }
            }
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

/// What the worker still runs, and what stands in the way of each job; nothing if it is empty.
async fn look(client: &mut Client, worker: &WorkerId) -> Result<Option<String>> {
    let workers = list_workers(client).await?;
    let Some(busy) = workers.iter().find(|known| known.worker == *worker).filter(|known| known.used > 0) else {
        return Ok(None);
    };
    let answer = client.call(ClientRequest::ListJobs { namespace: None, all: false }).await?;
    let jobs = expect_answer!(answer, ClientResponse::Jobs(jobs) => jobs)?;
    let elsewhere = workers.iter().filter(|other| other.worker != *worker && other.connected && !other.draining);
    let free = elsewhere.map(|other| other.slots.saturating_sub(other.used)).sum();
    Ok(Some(standing(busy, &jobs, free)))
}

/// How a worker stands that is to be emptied, in a line. `free`: slots elsewhere.
pub(super) fn standing(worker: &WorkerInfo, jobs: &[JobSummary], free: u32) -> String {
    let mut parts = vec![format!("{} in use", show::slots(worker.used))];
    parts.extend(worker.jobs.iter().map(|part| {
        let summary = jobs.iter().find(|job| job.job == part.job);
        match summary.and_then(|job| job.waiting_for.as_deref()) {
            Some(missing) => format!("{} {missing}", part.name),
            None if free < part.slots => {
                format!("{} has {} here, and {free} free elsewhere", part.name, show::slots(part.slots))
            }
            None => format!("{} is {}", part.name, summary.map_or("there", |job| job.status.as_str())),
        }
    }));
    parts.join(" · ")
}

async fn until_empty(client: &mut Client, screen: &Screen, worker: &WorkerId, patience: Duration) -> Result<Exit> {
    let mut signals = Signals::listen()?;
    let stopwatch = Stopwatch::start();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut live = Live::new(screen, &worker.0);
    loop {
        let next = async {
            ticks.tick().await;
            look(client, worker).await
        };
        let looked = tokio::select! {
            looked = next => looked,
            signal = signals.next() => {
                screen.set_status("");
                screen.message(&format!("{worker}: goes on being drained; see `weir workers list`\n"));
                return Ok(signal.exit());
            }
        };
        let elapsed = stopwatch.elapsed();
        match looked.inspect_err(|_| screen.set_status(""))? {
            None => {
                screen.set_status("");
                return said(screen, &format!("{worker}: runs nothing any more"));
            }
            Some(standing) if elapsed >= patience => {
                screen.set_status("");
                let waited = duration(patience);
                return Err(Error::environment(format!("worker {worker} is not empty after {waited}: {standing}"))
                    .with_help(format!(
                        "it goes on being drained; give its jobs room elsewhere, or `weir workers undrain {worker}`"
                    )));
            }
            Some(standing) => live.show(elapsed, &standing),
        }
    }
}
