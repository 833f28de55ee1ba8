//! `weir jobs`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use weir_coordinator::doctor::{Looks, diagnose};
use weir_core::{Attempt, Epoch, Result};
use weir_proto::client::{ClientRequest, ClientResponse, JobDetail, JobRef, JobSummary, status};

use super::args::{AutoscaleArguments, JobArgument, JobsCommand, Slots};
use super::autoscale;
use super::client::{Client, expect_answer};
use super::follow::{Follow, OnInterrupt, describe};
use super::goal::Goal;
use super::{print, print_json, said, show};
use crate::clock::{Stopwatch, wall_millis};
use crate::exit::Exit;
use crate::terminal::Screen;

/// Carries the command out.
///
/// # Errors
/// What the cluster answers, or that it does not.
pub async fn execute(command: JobsCommand, mut client: Client, screen: &Arc<Screen>) -> Result<Exit> {
    let client = &mut client;
    match command {
        JobsCommand::List { namespace, all, format } => {
            let answer = client.call(ClientRequest::ListJobs { namespace, all }).await?;
            let jobs = expect_answer!(answer, ClientResponse::Jobs(jobs) => jobs)?;
            match format.json {
                true => print_json(screen, &jobs),
                false if jobs.is_empty() && all => said(screen, "there are no jobs"),
                false if jobs.is_empty() => said(screen, "no job runs; --all shows ended ones"),
                false => print(screen, &show::jobs(&jobs, wall_millis(), screen.results_size())?),
            }
        }
        JobsCommand::Describe { job, format } => {
            // The dataflow says which plugins there are.
            let answer = client.call(ClientRequest::DescribeJob { job: job.reference(), graph: !format.json }).await?;
            let mut job = expect_answer!(answer, ClientResponse::Job(job) => *job)?;
            if format.json {
                return print_json(screen, &job);
            }
            let graph = job.graph.take();
            let looks = (job.summary.status == status::RUNNING).then_some(GLANCE);
            let (before, job) = match looks {
                None => (None, job),
                Some(pause) => {
                    let stopwatch = Stopwatch::start();
                    let after = look_again(client, &job.summary, pause, false).await?;
                    (Some((job, stopwatch.elapsed())), after)
                }
            };
            let job = JobDetail { graph, ..job };
            let before = before.as_ref().map(|(job, elapsed)| (job, *elapsed));
            print(screen, &show::job(&job, before, wall_millis(), screen.results_size())?)
        }
        JobsCommand::Watermarks { job, format } => {
            let job = describe(client, &job.reference()).await?;
            match format.json {
                true => print_json(screen, &show::watermarks_of(&job)),
                false => print(screen, &show::watermarks(&job, wall_millis(), screen.results_size())?),
            }
        }
        JobsCommand::Doctor { job, format } => doctor(client, screen, &job, format.json).await,
        JobsCommand::Stop { job, drain, detach } => {
            let reference = job.reference();
            client.call(ClientRequest::StopJob { job: reference, drain }).await?;
            wait(client, screen, &job, (!detach).then_some(Goal::Done)).await
        }
        JobsCommand::Cancel { job, detach, wait: _ } => {
            client.call(ClientRequest::CancelJob { job: job.reference() }).await?;
            wait(client, screen, &job, (!detach).then_some(Goal::Ended)).await
        }
        JobsCommand::Restart { job, from, detach } => {
            let before = describe(client, &job.reference()).await?;
            let from = from.map(Epoch);
            if let Some(warning) = from.and_then(|from| repeats(&before, from)) {
                screen.message(&warning);
            }
            let before = before.summary.attempt;
            client.call(ClientRequest::RestartJob { job: job.reference(), from, adopted: None }).await?;
            wait(client, screen, &job, (!detach).then_some(Goal::Running { after: before })).await
        }
        JobsCommand::Rescale { job, parallelism, wait: waits, detach } => {
            let parallelism = match parallelism {
                Slots::Count(count) => count,
                Slots::Auto => {
                    let change = AutoscaleArguments { slots: true, ..AutoscaleArguments::default() };
                    return autoscale::execute(client, screen, &job, &change, false).await;
                }
            };
            let goal = |after| (!detach).then_some(Goal::Rescaled { after, waits });
            rescale(client, screen, &job, parallelism, goal).await
        }
        JobsCommand::Autoscale { job, change, format } => {
            autoscale::execute(client, screen, &job, &change, format.json).await
        }
        JobsCommand::Savepoint { job, detach } => {
            let answer = client.call(ClientRequest::TakeSavepoint { job: job.reference() }).await?;
            let after = expect_answer!(answer, ClientResponse::SavepointBegun { after } => after)?;
            if detach {
                return said(screen, &format!("{}: takes a savepoint, the first one behind epoch {after}", job.job));
            }
            let by = describe(client, &job.reference()).await?.summary.attempt;
            wait(client, screen, &job, Some(Goal::Savepoint { after, by })).await
        }
        JobsCommand::Delete { job, discard_results } => {
            client.call(ClientRequest::DeleteJob { job: job.reference(), discard_results }).await?;
            said(screen, &format!("{}: deleted", job.job))
        }
    }
}

/// Time between the two looks of `describe`: workers tell how they do twice a second.
const GLANCE: Duration = Duration::from_secs(1);
/// Time between the two looks of `doctor`: sources say how far their splits are once a second.
const EXAMINATION: Duration = Duration::from_secs(3);

/// The job after a while.
async fn look_again(client: &mut Client, job: &JobSummary, pause: Duration, graph: bool) -> Result<JobDetail> {
    sleep_until(Instant::now() + pause).await;
    let answer = client.call(ClientRequest::DescribeJob { job: JobRef::Id(job.job), graph }).await?;
    expect_answer!(answer, ClientResponse::Job(job) => *job)
}

async fn doctor(client: &mut Client, screen: &Arc<Screen>, job: &JobArgument, json: bool) -> Result<Exit> {
    let before = describe(client, &job.reference()).await?;
    let stopwatch = Stopwatch::start();
    let after = look_again(client, &before.summary, EXAMINATION, true).await?;
    let looks = Looks { before: &before, after: &after, elapsed: stopwatch.elapsed(), now: wall_millis() };
    let findings = diagnose(looks);
    match json {
        true => print_json(screen, &findings)?,
        false => print(screen, &show::findings(&after, &before, &findings))?,
    };
    Ok(if findings.iter().all(|finding| finding.passes) { Exit::Ok } else { Exit::Impaired })
}

async fn rescale(
    client: &mut Client,
    screen: &Arc<Screen>,
    job: &JobArgument,
    parallelism: u32,
    goal: impl FnOnce(Attempt) -> Option<Goal>,
) -> Result<Exit> {
    let JobDetail { summary: before, placement, .. } = describe(client, &job.reference()).await?;
    client.call(ClientRequest::RescaleJob { job: job.reference(), parallelism }).await?;
    if before.has_ended() || before.desired != status::RUNNING {
        return said(screen, &format!("{}: will have {} when it runs again", job.job, show::slots(parallelism)));
    }
    // What it runs on, which is not what it shall have as long as slots are missing.
    let slots = placement.map_or(usize::try_from(before.parallelism).ok(), |placement| Some(placement.slots.len()));
    if slots.is_some() && slots == usize::try_from(parallelism).ok() {
        return said(screen, &format!("{}: has {} already", job.job, show::slots(parallelism)));
    }
    wait(client, screen, job, goal(before.attempt)).await
}

/// What to say before a job goes back to this checkpoint; nothing if nothing comes out twice by that.
pub(super) fn repeats(job: &JobDetail, from: Epoch) -> Option<String> {
    if !job.checkpoints.iter().any(|checkpoint| checkpoint.epoch == from) {
        return None;
    }
    let last = job.checkpoints.iter().map(|checkpoint| checkpoint.epoch).filter(|epoch| *epoch > from).max()?;
    Some(format!(
        "warning: rows that came out between checkpoints {from} and {last} stay visible, and will come out once more\n"
    ))
}

/// Watches the job until it has come to the goal, if there is one.
async fn wait(client: &mut Client, screen: &Arc<Screen>, job: &JobArgument, goal: Option<Goal>) -> Result<Exit> {
    let Some(goal) = goal else {
        let name = &job.job;
        return said(screen, &format!("{name}: accepted; `weir jobs describe {name}` shows how far it is"));
    };
    let follow = Follow { screen: screen.clone(), job: job.reference(), name: job.job.clone(), goal, quiet: false };
    follow.run(client, OnInterrupt::Leave).await
}
