//! Scripts: a command a line, and behind the bar what comes of it. A refused command must have changed nothing; that is
//! checked for every line.
//!
//! A job is printed as `running 2: 5 6s 7?`: status, attempt, checkpoints (`s` savepoint, `f` end of the input, `?` not
//! committed), and what is not usual.

use std::fmt::Write;
use std::sync::Arc;

use arrow_schema::Schema;
use weir_core::plugin::{Artifact, PLUGIN_CONNECTOR, PluginTable, PluginTableKind};
use weir_core::{
    Attempt, Epoch, ErrorKind, Incarnation, JobGraph, JobId, NodeSpec, OperatorSpec, PlacedWorker, Placement, SinkSpec,
    TableSpec, WorkerId,
};
use weir_proto::client::{Scaling, ScalingBy, ScalingDecision};

use super::*;

mod attempts;
mod checkpoints;
mod encoding;
mod jobs;
mod lost;
mod random;
mod recovered;
mod scaling;
mod workers;

/// A second passes with every line, unless the one before says `at` which time it is.
struct Script {
    state: ClusterState,
    clock: i64,
}

pub(crate) fn run(script: &str) -> ClusterState {
    let mut run = Script { state: ClusterState::default(), clock: 0 };
    run.line("found");
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        run.line(line);
    }
    run.state
}

/// What becomes of a state with these lines.
fn then(state: &ClusterState, script: &str) -> ClusterState {
    let mut run = Script { state: state.clone(), clock: 1_000_000 };
    script.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| run.line(line));
    run.state
}

/// A job that writes a table by code of the plugin with this hash.
fn with_own_table(fingerprint: &str, hash: &str) -> JobSpec {
    let artifact = Artifact {
        hash: hash.repeat(32).parse().unwrap(),
        name: "own".into(),
        version: "1".into(),
        folder: Some("file:///c".into()),
    };
    let plugin =
        PluginTable { artifact: Some(artifact), table: "t".into(), config: Vec::new(), kind: PluginTableKind::Sink };
    let schema = Arc::new(Schema::empty());
    let table = TableSpec {
        plugin: Some(Box::new(plugin)),
        ..TableSpec::new("t", PLUGIN_CONNECTOR, BTreeMap::new(), schema.clone())
    };
    let mut graph = JobGraph::default();
    graph.add(NodeSpec::new("Sink", OperatorSpec::Sink(SinkSpec { table }), Vec::new(), schema));
    JobSpec { graph: Arc::new(graph), ..spec(fingerprint, 2) }
}

impl Script {
    fn line(&mut self, line: &str) {
        let (command, expected) = line.split_once('|').map_or((line, None), |(a, b)| (a.trim(), Some(b.trim())));
        let words: Vec<&str> = command.split_whitespace().collect();
        if let ["at", time] = words[..] {
            self.clock = time.parse::<i64>().unwrap() - 1000;
            return;
        }
        self.clock += 1000;
        let command = command_of(&self.state, &words, self.clock);
        let before = self.state.clone();
        let about = job_of(&command);
        let printed = match self.state.apply(command) {
            Err(refusal) => {
                assert_eq!(self.state, before, "refused, and yet something has changed: {line}");
                format!("refused: {refusal}")
            }
            Ok(applied) => print(&self.state, about, applied, self.clock),
        };
        assert_eq!(self.state.check(), Ok(()), "after {line}");
        match expected {
            Some(expected) => assert_eq!(printed, expected, "after {line}"),
            None => assert!(!printed.starts_with("refused"), "after {line}: {printed}"),
        }
    }
}

fn print(state: &ClusterState, about: Option<JobId>, applied: Applied, clock: i64) -> String {
    let list = |ids: Vec<String>| ids.join(" ");
    match (applied, about.and_then(|job| state.jobs.get(&job))) {
        (Applied::Unchanged, _) => "unchanged".into(),
        (Applied::Submitted { job, already_there: false }, _) => format!("job {job}"),
        (Applied::Submitted { job, already_there: true }, _) => format!("job {job}, already there"),
        (Applied::Lost { jobs }, _) if jobs.is_empty() => "lost".into(),
        (Applied::Lost { jobs }, _) => format!("lost by {}", list(jobs.iter().map(JobId::to_string).collect())),
        (Applied::Deleted { job, .. }, _) => format!("job {job} deleted"),
        (Applied::Updated { .. }, Some(job)) => {
            let when = if job.update.is_some() { "from its next attempt on" } else { "from now on" };
            format!("{}, with {} checkpoints {when}", print_job(job, clock), job.wanted().settings.retained_checkpoints)
        }
        (Applied::Updated { job }, None) => panic!("there is no job {job}"),
        (Applied::Changed, None) => "changed".into(),
        (Applied::Changed, Some(job)) => print_job(job, clock),
        (Applied::Forgotten { checkpoints, .. }, job) => {
            let mut text = job.map(|job| print_job(job, clock)).unwrap();
            if !checkpoints.is_empty() {
                let epochs = checkpoints.iter().map(|checkpoint| checkpoint.epoch.to_string()).collect();
                write!(text, ", forgot {}", list(epochs)).unwrap();
            }
            text
        }
    }
}

fn print_job(job: &Job, clock: i64) -> String {
    let mut text = format!("{} {}", job.status, job.attempt);
    if !job.checkpoints.is_empty() {
        text.push(':');
    }
    for checkpoint in &job.checkpoints {
        let flag = |set: bool, flag| if set { flag } else { "" };
        let (savepoint, finished) = (flag(checkpoint.savepoint, "s"), flag(checkpoint.finished, "f"));
        write!(text, " {}{savepoint}{finished}{}", checkpoint.epoch, flag(!checkpoint.committed, "?")).unwrap();
    }
    if let Some(from) = job.start_from {
        write!(text, ", from {from}").unwrap();
    }
    if let Some(scaling) = &job.scaling {
        let dry = if scaling.dry_run { ", in a dry run" } else { "" };
        write!(text, ", {} by {:?}{dry}", job.parallelism, scaling.by).unwrap();
    }
    if !matches!(job.desired, Desired::Running | Desired::Cancelled) && job.status.is_active() {
        write!(text, ", to be {}", job.desired).unwrap();
    }
    if let Some(retry_at) = job.last_failure.as_ref().and_then(|failure| failure.retry_at) {
        write!(text, ", again in {}", retry_at - clock).unwrap();
    }
    text
}

fn job_of(command: &Command) -> Option<JobId> {
    use Command::*;
    match command {
        StartAttempt { job, .. } | AttemptRunning { job, .. } | AttemptFailed { job, .. } | RetryJob { job, .. } => {
            Some(*job)
        }
        CompleteCheckpoint { job, .. } | CommitCheckpoint { job, .. } | ForgetCheckpoint { job, .. } => Some(*job),
        EndAttempt { job, .. } | StopJob { job, .. } | CancelJob { job, .. } | RestartJob { job, .. } => Some(*job),
        RescaleJob { job, .. } | UpdateJob { job, .. } | DeleteJob { job, .. } | AdoptState { job, .. } => Some(*job),
        Found { .. } | RegisterWorker { .. } | LoseWorker { .. } | DrainWorker { .. } | SubmitJob { .. } => None,
        SetNamespace { .. } | DropNamespace { .. } | ReplaceCatalog { .. } => None,
        CreateToken { .. } | RevokeToken { .. } => None,
        SetScaling { job, .. } | ScaleJob { job, .. } => Some(*job),
        By { command, .. } => job_of(command),
    }
}

/// The value behind `key=`.
fn option<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn number<T: std::str::FromStr>(words: &[&str], key: &str) -> Option<T> {
    option(words, key).map(|value| value.parse().ok().unwrap())
}

/// Who decides on the slots, if the line says so: `slots min=2 max=4`, `load dry`, `hand`.
fn scaling(words: &[&str]) -> Option<Scaling> {
    let ways = [("hand", ScalingBy::Hand), ("slots", ScalingBy::Slots), ("load", ScalingBy::Load)];
    let (_, by) = ways.into_iter().find(|(way, _)| words.contains(way))?;
    Some(Scaling {
        by,
        dry_run: words.contains(&"dry"),
        min_slots: number(words, "min").unwrap_or(1),
        max_slots: number(words, "max").unwrap_or(Scaling::MOST_SLOTS),
        ..Scaling::default()
    })
}

fn command_of(state: &ClusterState, words: &[&str], at: i64) -> Command {
    let word = |position: usize| words.get(position).copied().unwrap_or_default();
    let job = || JobId(word(1).parse().unwrap());
    let epoch = |text: &str| Epoch(text.trim_end_matches(['s', 'f']).parse().unwrap());
    let last_attempt = || state.jobs.get(&job()).map_or(Attempt(0), |job| job.attempt);
    let attempt = || number(words, "attempt").map_or_else(last_attempt, Attempt);
    let process = || {
        let (name, process) = word(1).split_once('#').unwrap_or((word(1), "1"));
        (WorkerId(name.into()), Incarnation(process.parse().unwrap()))
    };
    match word(0) {
        "found" => Command::Found { cluster: "test-1".into(), storage: "file:///checkpoints".into() },
        "worker" => {
            let (worker, incarnation) = process();
            let address = option(words, "address").map_or_else(|| format!("{worker}:1"), str::to_owned);
            let slots = word(2).parse().unwrap();
            Command::RegisterWorker { worker, incarnation, address, slots, version: "0.1.0".into(), at }
        }
        "lose" => {
            let (worker, incarnation) = process();
            Command::LoseWorker { worker, incarnation, reason: "silent".into(), at }
        }
        "empty" => Command::DrainWorker { worker: process().0, draining: true },
        "refill" => Command::DrainWorker { worker: process().0, draining: false },
        "submit" => Command::SubmitJob {
            namespace: option(words, "in").unwrap_or("default").into(),
            name: word(1).into(),
            spec: Arc::new(spec(option(words, "definition").unwrap_or("a"), number(words, "retained").unwrap_or(2))),
            parallelism: word(2).parse().unwrap(),
            awaits_state: words.contains(&"awaiting"),
            scaling: scaling(words),
            at,
        },
        "adopt" => Command::AdoptState {
            job: job(),
            checkpoint: Checkpoint { committed: true, ..checkpoint(epoch(word(2)), attempt()) },
            at,
        },
        "update" => Command::UpdateJob {
            job: job(),
            spec: Arc::new(spec(option(words, "definition").unwrap_or("a"), number(words, "retained").unwrap_or(2))),
            parallelism: word(2).parse().unwrap(),
            scaling: scaling(words),
            at,
        },
        "start" => {
            let attempt = number(words, "attempt").unwrap_or(last_attempt().0 + 1);
            let restored = state.jobs.get(&job()).and_then(|job| job.restore_point()).map(|point| point.epoch);
            let restored = number(words, "from").map(Epoch).or(restored);
            let execution = Execution { placement: placement(state, word(2)), restored, running_since: None };
            let as_before = words.contains(&"as-before");
            Command::StartAttempt { job: job(), attempt: Attempt(attempt), execution, as_before, at }
        }
        "running" => Command::AttemptRunning { job: job(), attempt: attempt(), at },
        "fail" => {
            let kind = match word(2) {
                "user" => Some(ErrorKind::User),
                "data" => Some(ErrorKind::Data),
                "environment" => Some(ErrorKind::Environment),
                "cluster" => None,
                other => panic!("{other} is not who must act"),
            };
            let report = option(words, "report").unwrap_or("it went wrong").into();
            Command::AttemptFailed { job: job(), attempt: attempt(), kind, report, at }
        }
        "retry" => Command::RetryJob { job: job(), attempt: attempt(), at },
        "complete" => Command::CompleteCheckpoint {
            job: job(),
            checkpoint: Checkpoint {
                savepoint: word(2).contains('s'),
                finished: word(2).contains('f'),
                ..checkpoint(epoch(word(2)), attempt())
            },
        },
        "commit" => Command::CommitCheckpoint { job: job(), epoch: epoch(word(2)), at },
        "forget" => Command::ForgetCheckpoint { job: job(), epoch: epoch(word(2)) },
        "end" => Command::EndAttempt { job: job(), attempt: attempt(), at },
        "stop" => Command::StopJob { job: job(), drain: false, at },
        "drain" => Command::StopJob { job: job(), drain: true, at },
        "cancel" => Command::CancelJob { job: job(), at },
        "restart" => Command::RestartJob { job: job(), from: number(words, "from").map(Epoch), at },
        "rescale" => Command::RescaleJob { job: job(), parallelism: word(2).parse().unwrap(), at },
        "scaling" => Command::SetScaling { job: job(), scaling: scaling(words).unwrap(), at },
        "scale" => {
            let to = word(2).parse().unwrap();
            let has = state.jobs.get(&job()).map_or(0, |job| job.parallelism);
            let (from, wanted) = (number(words, "from").unwrap_or(has), number(words, "wanted").unwrap_or(to));
            let done = !words.contains(&"dry");
            let decision = ScalingDecision { at, from, to, wanted, done, reason: "it is so".into() };
            Command::ScaleJob { job: job(), decision }
        }
        "delete" => Command::DeleteJob { job: job(), discard: words.contains(&"discard") },
        "namespace" => Command::SetNamespace {
            namespace: word(1).into(),
            quota: Quota {
                slots: number(words, "slots"),
                jobs: number(words, "jobs"),
                state_bytes: number(words, "bytes"),
            },
        },
        "drop" => Command::DropNamespace { namespace: word(1).into() },
        "catalog" => Command::ReplaceCatalog {
            namespace: word(1).into(),
            version: number(words, "version").unwrap(),
            statements: words[3..].iter().map(|word| (*word).to_owned()).collect(),
        },
        other => panic!("{other} is not a command"),
    }
}

/// `a,a,b#2`: slots 0 and 1 on worker a, slot 2 on process 2 of worker b.
fn placement(state: &ClusterState, slots: &str) -> Placement {
    let mut placement = Placement { workers: Vec::new(), slots: Vec::new() };
    for slot in slots.split(',') {
        let (name, process) = slot.split_once('#').unwrap_or((slot, "1"));
        let worker = WorkerId(name.into());
        let position = placement.position(&worker).unwrap_or(placement.workers.len());
        if position == placement.workers.len() {
            let address = state.workers.get(&worker).map_or("gone:1", |here| &here.address).to_owned();
            let incarnation = Incarnation(process.parse().unwrap());
            placement.workers.push(PlacedWorker { worker, incarnation, address });
        }
        placement.slots.push(u32::try_from(position).unwrap());
    }
    placement
}

fn checkpoint(epoch: Epoch, attempt: Attempt) -> Checkpoint {
    Checkpoint {
        epoch,
        attempt,
        manifest: format!("manifest/{epoch}"),
        state_bytes: 100,
        written_bytes: 10,
        completed_at: 0,
        duration_ms: 5,
        savepoint: false,
        finished: false,
        parallelism: 2,
        committed: false,
    }
}

pub(crate) fn spec(definition: &str, retained_checkpoints: u32) -> JobSpec {
    JobSpec {
        graph: Arc::new(JobGraph::default()),
        fingerprint: definition.into(),
        sql: "INSERT INTO sink SELECT * FROM source".into(),
        settings: JobSettings {
            batch_rows: 8192,
            memory_budget: None,
            checkpoint_interval_ms: 10_000,
            checkpoint_timeout_ms: 60_000,
            tolerable_failures: 3,
            retained_checkpoints,
            restart: RestartPolicy {
                attempts: Some(3),
                initial_delay_ms: 100,
                maximum_delay_ms: 300,
                stable_ms: 60_000,
            },
        },
    }
}
