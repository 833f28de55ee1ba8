//! One history, from its seed to its verdict.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};
use weir_coordinator::cluster::JobStatus;
use weir_core::bugs::Bug;
use weir_core::{Attempt, Error, Result};

use crate::client::Client;
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::machines::Machines;
use crate::members::Operator;
use crate::recovery::lose_logs;
use crate::shape::{Kind, Shape};
use crate::worker;
use weir_core::random::Random;

/// How long jobs may take to end when nothing breaks any more: sources are at their end long before, sessions are found again
/// within a few seconds, and restarts wait for less than one.
const PATIENCE: Duration = Duration::from_secs(60);
/// Virtual time after which no history goes on, whatever it waits for. While this is waited for, virtual time passes.
const LIMIT: Duration = Duration::from_secs(600);
/// Real time after which a history is given up: thousands of times what one takes. Its thread waits for something that never
/// comes, or turns in a circle in which no virtual time passes.
const REAL_LIMIT: Duration = Duration::from_secs(120);
/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(50);

/// How to run a history.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Print what happens.
    pub trace: bool,
    /// Nothing breaks.
    pub calm: bool,
    /// Inputs sleep, wake up, come and end; they do in some histories in any case.
    pub naps: bool,
    /// Results of jobs change as rows come.
    pub updating: bool,
    /// A defence is taken away. Needs the feature `sim-bugs`.
    pub bug: Option<Bug>,
}

/// What came of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Where it begins.
    pub seed: u64,
    /// What was wrong, if anything.
    pub violation: Option<String>,
    /// The same for equal histories.
    pub hash: u64,
    /// Things that were broken on purpose.
    pub faults: u64,
    /// Single operations and messages that went wrong.
    pub failed_operations: u64,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Attempts of all jobs.
    pub attempts: u64,
    /// Virtual time.
    pub elapsed: Duration,
}

/// Runs the history of a seed, on a thread of its own. One that stands still is left behind there, and has failed.
///
/// # Errors
/// If there is no thread or no runtime to run it on, or the bug cannot be had in this build.
pub fn run(seed: u64, options: Options) -> Result<Verdict> {
    let (sender, outcome) = sync_channel(1);
    let history = thread::Builder::new().name(format!("seed {seed}")).spawn(move || {
        // Whoever wanted to know may have given it up.
        let _ = sender.send(on_this_thread(seed, options));
    });
    history.map_err(|error| Error::environment("no thread could be started").with_source(error))?;
    let failed = |what: String| Ok(Verdict { seed, violation: Some(what), ..Verdict::default() });
    match outcome.recv_timeout(REAL_LIMIT) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => failed(format!("it stands still: no end after {REAL_LIMIT:?} of real time")),
        Err(RecvTimeoutError::Disconnected) => failed("the simulator panicked".to_owned()),
    }
}

fn on_this_thread(seed: u64, options: Options) -> Result<Verdict> {
    switch(options.bug)?;
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| Error::environment("no runtime could be started").with_source(error))?;
    runtime.block_on(history(seed, options))
}

#[cfg(feature = "sim-bugs")]
fn switch(bug: Option<Bug>) -> Result<()> {
    weir_core::bugs::set(bug);
    Ok(())
}

#[cfg(not(feature = "sim-bugs"))]
fn switch(bug: Option<Bug>) -> Result<()> {
    match bug {
        None => Ok(()),
        Some(bug) => Err(Error::user(format!("this build cannot have the bug '{}'", bug.name()))
            .with_help("build with --features sim-bugs")),
    }
}

async fn history(seed: u64, options: Options) -> Result<Verdict> {
    let mut random = Random::new(seed);
    let kind = Kind { calm: options.calm, naps: options.naps, updating: options.updating };
    let shape = Shape::draw(&mut random, kind);
    let cluster = Arc::new(Cluster::new(shape, &mut random, options.trace));
    cluster.trace.say("sim", format_args!("seed {seed}: {:?}", cluster.shape));
    let machines = Arc::new(Machines::new(cluster.clone(), random.fork())?);
    machines.all().into_iter().for_each(|machine| machines.start(machine));
    let mut client = Client { cluster: cluster.clone(), random: random.fork() };
    let user = Client { cluster: cluster.clone(), random: random.fork() };
    let operator = Client { cluster: cluster.clone(), random: random.clone().fork().fork() };
    let operator = Operator { client: operator, machines: machines.clone() };
    let faults = Faults::new(cluster.clone(), machines.clone(), random.fork());
    let story = async {
        let unrest = async {
            client.submit().await;
            let user = async {
                if let Some(pause) = cluster.shape.user_pause {
                    user.fuss(pause).await;
                }
            };
            let operator = async {
                if let Some(pause) = cluster.shape.replace_pause {
                    operator.replace(pause).await;
                }
            };
            tokio::join!(user, operator);
            std::future::pending::<()>().await
        };
        let faults = tokio::select! {
            biased;
            faults = faults.run() => faults,
            () = unrest => 0,
        };
        let mut client = client_of(&cluster, &mut random);
        if cluster.shape.loses_logs
            && let Err(error) = lose_logs(&cluster, &machines, &mut client.random).await
        {
            return (faults, Err(format!("the logs were lost: {}", error.report())));
        }
        (faults, end(&cluster, &mut client).await)
    };
    let (faults, violation) = tokio::select! {
        biased;
        violation = violated(&cluster) => (0, Some(violation)),
        (faults, unfinished) = story => (faults, unfinished.err()),
        () = sleep(LIMIT) => (0, Some(format!("it is not over after {LIMIT:?}"))),
    };
    // The last look may have found something while the story came to its end.
    let violation = violation.or_else(|| cluster.oracle.violated());
    cluster.trace.say("sim", format_args!("{violation:?}"));
    Ok(Verdict {
        seed,
        violation,
        hash: cluster.trace.hash(),
        faults,
        failed_operations: cluster.chaos.injected() + cluster.network.lost(),
        checkpoints: cluster.oracle.checkpoints() as u64,
        attempts: cluster.oracle.jobs().values().map(|job| job.attempt.0).sum(),
        elapsed: cluster.trace.elapsed(),
    })
}

fn client_of(cluster: &Arc<Cluster>, random: &mut Random) -> Client {
    Client { cluster: cluster.clone(), random: random.fork() }
}

/// Waits until something happens that must not.
async fn violated(cluster: &Cluster) -> String {
    loop {
        if let Some(violation) = cluster.oracle.violated() {
            return violation;
        }
        cluster.oracle.news().await;
    }
}

/// Nothing breaks any more: every job comes to its end in time.
async fn end(cluster: &Cluster, client: &mut Client) -> std::result::Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    // Those that could not be submitted before.
    client.submit().await;
    loop {
        client.put_right().await;
        for _ in 0..20 {
            let unfinished = unfinished(cluster);
            let Some(unfinished) = unfinished else { return Ok(()) };
            if Instant::now() >= deadline {
                return Err(format!("{PATIENCE:?} after the last fault, {unfinished}"));
            }
            sleep(LOOK).await;
        }
    }
}

/// What is still to be done.
fn unfinished(cluster: &Cluster) -> Option<String> {
    let Cluster { shape, oracle, world, .. } = cluster;
    let jobs = oracle.jobs();
    if let Some(learner) = oracle.learner() {
        return Some(format!("coordinator {learner} waits for its vote"));
    }
    for (query, _) in &shape.jobs {
        let name = query.name();
        let Some(job) = jobs.values().find(|job| job.name == name) else {
            return Some(format!("there is no job {name}"));
        };
        if job.status != JobStatus::Finished {
            let failure = job.failure.as_deref().unwrap_or("nothing");
            return Some(format!("{name} is {:?} at attempt {}, last failure: {failure}", job.status, job.attempt));
        }
        for sink in query.sinks() {
            if let Err(what) = oracle.complete(world, sink) {
                oracle.violation(format!("finished, and {what}"));
            }
        }
        if shape.is_steady() && job.attempt > Attempt(1) {
            let failure = job.failure.as_deref().unwrap_or("nothing");
            oracle.violation(format!("{name} took {} attempts, without need; last failure: {failure}", job.attempt));
        }
        if let Some(unsettled) = job.unsettled(shape.retained) {
            return Some(unsettled);
        }
    }
    let able = oracle.workers();
    let missing = (1..=shape.workers.len() as u64).map(worker::name).find(|worker| !able.contains(worker));
    if let Some(worker) = missing {
        return Some(format!("{worker} can be given nothing"));
    }
    // Where storage fails, files may be left that the next attempt, or the next leader, sweeps away.
    let is_calm = shape.faults.is_empty() && shape.user_pause.is_none() && shape.failing == 0;
    let orphan = is_calm.then(|| oracle.orphan(&cluster.objects)).flatten();
    orphan.map(|orphan| format!("{orphan} belongs to no checkpoint"))
}
