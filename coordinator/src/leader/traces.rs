//! What a leader tells of checkpoints and starts as traces: it looks on at what workers are told and say and at what is applied, and
//! decides nothing.
//!
//! What an earlier leader has begun is told from where this one has seen it.

use std::collections::BTreeMap;

use weir_core::{Attempt, Epoch, JobId, WorkerId};
use weir_monitoring::{Span, Trace};
use weir_proto::control::{AttemptPhase, FromWorker, ToWorker};

use super::{Effect, Now, SessionId};
use crate::cluster::{Applied, ClusterState, Command, Refusal};

/// What is under way, by job.
#[derive(Debug, Default)]
pub struct Traces {
    jobs: BTreeMap<JobId, JobTraces>,
}

#[derive(Debug, Default)]
struct JobTraces {
    /// When it was proposed to submit the job, and when that was applied, until it is scheduled.
    submitted: Option<(i64, i64)>,
    start: Option<UnderWay>,
    checkpoint: Option<UnderWay>,
}

/// A trace that has begun, and which parts of it have.
#[derive(Debug)]
struct UnderWay {
    trace: Trace,
    name: &'static str,
    /// What all of its spans are about.
    about: About,
    began: i64,
    parts: BTreeMap<(&'static str, String), i64>,
    /// When the last worker has reported, for what comes then.
    gathered: i64,
}

#[derive(Debug, Clone)]
struct About {
    job: JobId,
    name: String,
    attempt: Attempt,
    epoch: Option<Epoch>,
}

impl About {
    fn tell(&self, span: Span) -> Span {
        let span = span.number("weir.job.id", self.job.0).text("weir.job.name", &self.name);
        let span = span.number("weir.attempt", self.attempt.0);
        match self.epoch {
            Some(epoch) => span.number("weir.epoch", epoch.0),
            None => span,
        }
    }
}

/// Nanoseconds of a time in milliseconds since 1970.
fn nanoseconds(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0).saturating_mul(1_000_000)
}

impl UnderWay {
    fn begin(&mut self, name: &'static str, place: &str, now: i64) {
        self.parts.entry((name, place.to_owned())).or_insert(now);
    }

    fn end(&mut self, name: &'static str, place: &str, now: i64, error: Option<String>) -> Option<Span> {
        let began = self.parts.remove(&(name, place.to_owned()))?;
        Some(self.part(name, place, began, now).failed(error))
    }

    fn part(&self, name: &'static str, place: &str, began: i64, ended: i64) -> Span {
        let span = self.about.tell(self.trace.part(name, place, nanoseconds(began), nanoseconds(ended)));
        if place.is_empty() { span } else { span.text("weir.worker", place) }
    }

    /// All of it has come to its end, and so have parts of which nobody has heard.
    fn finish(mut self, now: i64, error: Option<String>) -> Vec<Span> {
        let open: Vec<_> = std::mem::take(&mut self.parts).into_iter().collect();
        let unheard = |_| "it was not heard of any more".to_owned();
        let parts = open
            .into_iter()
            .map(|((name, place), began)| self.part(name, &place, began, now).failed(error.as_ref().map(unheard)));
        let root = self.about.tell(self.trace.root(self.name, nanoseconds(self.began), nanoseconds(now)));
        parts.collect::<Vec<_>>().into_iter().chain([root.failed(error)]).collect()
    }
}

impl Traces {
    /// A worker says something.
    pub fn heard(&mut self, now: Now, worker: &WorkerId, message: &FromWorker) -> Option<Span> {
        let now = now.wall;
        match message {
            FromWorker::Report(report) => {
                let job = self.jobs.get_mut(&report.job)?;
                let of = |way: &&mut UnderWay| way.about.epoch == Some(report.epoch);
                let checkpoint = job.checkpoint.as_mut().filter(of)?;
                checkpoint.gathered = now;
                let error = report.outcome.as_ref().err().map(|failure| failure.report.clone());
                checkpoint.end("gather", &worker.0, now, error)
            }
            FromWorker::Status(status) => {
                let start = self.jobs.get_mut(&status.job)?.start.as_mut();
                let start = start.filter(|start| start.about.attempt == status.attempt)?;
                match &status.phase {
                    AttemptPhase::Ready => start.end("deploy", &worker.0, now, None),
                    AttemptPhase::Running => start.end("start", &worker.0, now, None),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Something is done. `name_of` knows workers by their connections.
    pub fn done<'a>(
        &mut self,
        now: Now,
        state: &ClusterState,
        effect: &Effect,
        name_of: impl Fn(SessionId) -> Option<&'a WorkerId>,
    ) -> Vec<Span> {
        let now = now.wall;
        match effect {
            Effect::Send(session, message) => {
                let Some(worker) = name_of(*session) else { return Vec::new() };
                self.told(now, state, &worker.0, message)
            }
            Effect::Propose(Command::CompleteCheckpoint { job, checkpoint }) => {
                let Some(way) = self.checkpoint(*job, checkpoint.epoch) else { return Vec::new() };
                way.begin("decide", "", now);
                vec![way.part("manifest", "", way.gathered, now)]
            }
            Effect::Propose(Command::CommitCheckpoint { job, epoch, .. }) => {
                let Some(way) = self.checkpoint(*job, *epoch) else { return Vec::new() };
                way.begin("acknowledge", "", now);
                let commits: Vec<_> = way.parts.keys().filter(|(name, _)| *name == "commit").cloned().collect();
                commits.into_iter().filter_map(|(name, worker)| way.end(name, &worker, now, None)).collect()
            }
            Effect::CheckpointFailed(job, report) => {
                let failed = self.jobs.get_mut(job).and_then(|job| job.checkpoint.take());
                failed.map_or_else(Vec::new, |way| way.finish(now, Some(report.clone())))
            }
            _ => Vec::new(),
        }
    }

    fn checkpoint(&mut self, job: JobId, epoch: Epoch) -> Option<&mut UnderWay> {
        self.jobs.get_mut(&job)?.checkpoint.as_mut().filter(|way| way.about.epoch == Some(epoch))
    }

    fn told(&mut self, now: i64, state: &ClusterState, worker: &str, message: &ToWorker) -> Vec<Span> {
        match message {
            ToWorker::Marker { job, attempt, epoch, kind } if kind.captures() => {
                let Some(about) = about(state, *job, *attempt, Some(*epoch)) else { return Vec::new() };
                let trace = Trace::checkpoint(state.identity(*job, &state.jobs[job]), *attempt, *epoch);
                let known = &mut self.jobs.entry(*job).or_default().checkpoint;
                // A worker that comes back is told again what others were told long ago.
                let earlier = |way: &mut UnderWay| (way.about.attempt, way.about.epoch) < (*attempt, Some(*epoch));
                let overtaken = known.take_if(earlier).map(|way| way.finish(now, Some("another one began".into())));
                let way = known.get_or_insert_with(|| UnderWay::new(trace, "checkpoint", about, now));
                let mut spans = overtaken.unwrap_or_default();
                if way.trace == trace {
                    way.begin("gather", worker, now);
                    spans.push(way.part("trigger", worker, now, now));
                }
                spans
            }
            ToWorker::Commit { job, checkpoint, .. } => {
                if let Some(way) = self.checkpoint(*job, checkpoint.epoch) {
                    way.begin("commit", worker, now);
                }
                Vec::new()
            }
            ToWorker::Deploy(order) => {
                if let Some(start) = self.start(order.job, order.attempt) {
                    start.begin("deploy", worker, now);
                }
                Vec::new()
            }
            ToWorker::Start { job, attempt } => {
                if let Some(start) = self.start(*job, *attempt) {
                    start.begin("start", worker, now);
                }
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn start(&mut self, job: JobId, attempt: Attempt) -> Option<&mut UnderWay> {
        self.jobs.get_mut(&job)?.start.as_mut().filter(|way| way.about.attempt == attempt)
    }

    /// A command has been applied.
    pub fn applied(
        &mut self,
        now: Now,
        state: &ClusterState,
        command: &Command,
        outcome: &Result<Applied, Refusal>,
    ) -> Vec<Span> {
        let now = now.wall;
        let Ok(outcome) = outcome else { return Vec::new() };
        match (command.deed(), outcome) {
            (Command::SubmitJob { at, .. }, Applied::Submitted { job, already_there: false }) => {
                self.jobs.entry(*job).or_default().submitted = Some((*at, now));
                Vec::new()
            }
            (Command::StartAttempt { job, attempt, .. }, _) => self.scheduled(now, state, *job, *attempt),
            (Command::AttemptRunning { job, .. }, _) => {
                let start = self.jobs.get_mut(job).and_then(|job| job.start.take());
                start.map_or_else(Vec::new, |way| way.finish(now, None))
            }
            (Command::AttemptFailed { job, report, .. }, _) => self.given_up(now, *job, report),
            (Command::CompleteCheckpoint { job, checkpoint }, _) => {
                let way = self.checkpoint(*job, checkpoint.epoch);
                way.and_then(|way| way.end("decide", "", now, None)).into_iter().collect()
            }
            (Command::CommitCheckpoint { job, epoch, .. }, _) if self.checkpoint(*job, *epoch).is_some() => {
                let way = self.jobs.get_mut(job).and_then(|job| job.checkpoint.take());
                way.map_or_else(Vec::new, |way| way.finish(now, None))
            }
            (Command::EndAttempt { job, .. }, _) => {
                let spans = self.given_up(now, *job, "the attempt has ended");
                self.jobs.remove(job);
                spans
            }
            (Command::DeleteJob { job, .. }, _) => {
                self.jobs.remove(job);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// A job has got its slots.
    fn scheduled(&mut self, now: i64, state: &ClusterState, job: JobId, attempt: Attempt) -> Vec<Span> {
        let Some(about) = about(state, job, attempt, None) else { return Vec::new() };
        let trace = Trace::start(state.identity(job, &state.jobs[&job]), attempt);
        let mut spans = self.given_up(now, job, "another attempt began");
        let known = self.jobs.entry(job).or_default();
        let way = match known.submitted.take() {
            Some((proposed, applied)) => {
                let way = UnderWay::new(trace, "submit", about, proposed);
                spans.push(way.part("decide", "", proposed, applied));
                spans.push(way.part("schedule", "", applied, now));
                way
            }
            None => UnderWay::new(trace, "restart", about, now),
        };
        known.start = Some(way);
        spans
    }

    /// What is under way of a job comes to nothing.
    fn given_up(&mut self, now: i64, job: JobId, report: &str) -> Vec<Span> {
        let Some(job) = self.jobs.get_mut(&job) else { return Vec::new() };
        let under_way = [job.start.take(), job.checkpoint.take()].into_iter().flatten();
        under_way.flat_map(|way| way.finish(now, Some(report.to_owned()))).collect()
    }
}

impl UnderWay {
    fn new(trace: Trace, name: &'static str, about: About, began: i64) -> Self {
        Self { trace, name, about, began, parts: BTreeMap::new(), gathered: began }
    }
}

fn about(state: &ClusterState, id: JobId, attempt: Attempt, epoch: Option<Epoch>) -> Option<About> {
    let job = state.jobs.get(&id)?;
    Some(About { job: id, name: format!("{}/{}", job.namespace, job.name), attempt, epoch })
}
