//! Users: they submit the jobs, and ask for this and that while these run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use weir_proto::client::{
    ClientErrorKind, ClientRequest, ClientResponse, JobRef, JobSettingsInfo, Scaling, ScalingBy, SubmitJob,
};

use crate::cluster::Cluster;
use crate::jobs::planned;
use crate::mailbox::Mailbox;
use crate::message::{Answer, Message};
use crate::network::Machine;
use crate::query::Query;
use crate::shape::Elastic;
use crate::worker;
use weir_core::random::Random;

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_millis(400);
/// Pause before somebody else is asked.
const PAUSE: Duration = Duration::from_millis(40);

/// A user.
pub struct Client {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// What the user decides by.
    pub random: Random,
}

impl Client {
    /// Submits all jobs, some of them twice.
    pub async fn submit(&mut self) {
        // Mostly all workers are there by then, and jobs are spread over them.
        let wait = if self.random.chance(700) { 450 } else { self.random.between(0, 450) };
        sleep(Duration::from_millis(wait).saturating_sub(self.cluster.trace.elapsed())).await;
        for (query, parallelism) in self.cluster.shape.jobs.clone() {
            let request = ClientRequest::SubmitJob(submission(&self.cluster, query, parallelism));
            for _ in 0..self.random.between(1, 2) {
                self.insist(&request).await;
            }
        }
    }

    /// Asks for this and that until it is cancelled.
    pub async fn fuss(mut self, pause: Duration) {
        loop {
            let wait = Duration::from_millis(self.random.between(50, u64::try_from(pause.as_millis()).unwrap_or(1000)));
            sleep(wait).await;
            let jobs = self.cluster.shape.jobs.clone();
            let Some((query, _)) = self.random.pick(&jobs).copied() else { return };
            let job = reference(query);
            match self.random.below(10) {
                0 | 1 => self.ask(&ClientRequest::TakeSavepoint { job }).await,
                2 => {
                    self.insist(&ClientRequest::StopJob { job: job.clone(), drain: false }).await;
                    let wait = self.random.milliseconds(0, 800);
                    sleep(wait).await;
                    self.ask(&ClientRequest::RestartJob { job, from: None, adopted: None }).await;
                }
                3 | 4 if self.cluster.shape.elastic.is_some_and(|_| self.random.chance(600)) => {
                    let scaling = if self.random.chance(300) { None } else { elastic(&self.cluster) };
                    let scaling = scaling.unwrap_or_else(Scaling::by_hand);
                    self.insist(&ClientRequest::SetScaling { job, scaling }).await;
                }
                3 | 4 => {
                    let parallelism = u32::try_from(self.random.between(1, 4)).unwrap_or(1);
                    self.insist(&ClientRequest::RescaleJob { job, parallelism }).await;
                }
                5 | 6 => {
                    let number = self.random.between(1, self.cluster.shape.workers.len() as u64);
                    let draining = |draining| ClientRequest::DrainWorker { worker: worker::name(number), draining };
                    self.ask(&draining(true)).await;
                    let wait = self.random.milliseconds(0, 800);
                    sleep(wait).await;
                    self.insist(&draining(false)).await;
                }
                7 => self.go_back(query).await,
                8 => {
                    self.insist(&ClientRequest::DescribeJob { job, graph: false }).await;
                }
                _ => self.ask(&ClientRequest::TransferLeadership { to: None }).await,
            }
        }
    }

    /// Has a job go back to a checkpoint that is kept, mostly not the newest.
    async fn go_back(&mut self, query: Query) {
        let job = reference(query);
        let list = ClientRequest::ListCheckpoints { job: job.clone() };
        let Some(Ok(ClientResponse::Checkpoints(kept))) = self.insist(&list).await else { return };
        let possible: Vec<_> =
            kept.iter().filter(|kept| kept.committed && !kept.finished).map(|kept| kept.epoch).collect();
        let Some(epoch) = self.random.pick(&possible).copied() else { return };
        self.cluster.oracle.may_go_back(query.name(), epoch);
        self.ask(&ClientRequest::RestartJob { job, from: Some(epoch), adopted: None }).await;
    }

    /// Sees to it that every job is wanted to run, and every worker to work.
    pub async fn put_right(&mut self) {
        for number in 1..=self.cluster.shape.workers.len() as u64 {
            self.insist(&ClientRequest::DrainWorker { worker: worker::name(number), draining: false }).await;
        }
        for (query, _) in self.cluster.shape.jobs.clone() {
            let job = reference(query);
            let describe = ClientRequest::DescribeJob { job: job.clone(), graph: false };
            if let Some(Ok(ClientResponse::Job(detail))) = self.insist(&describe).await
                && detail.summary.desired != "running"
            {
                self.ask(&ClientRequest::RestartJob { job, from: None, adopted: None }).await;
            }
        }
    }

    /// Asks until it is known that somebody has decided it.
    pub async fn insist(&mut self, request: &ClientRequest) -> Option<Answer> {
        // Nobody can decide anything while most coordinators are gone; the second phase asks again.
        let patience = Instant::now() + Duration::from_secs(10);
        while Instant::now() < patience {
            match self.once(request).await {
                Some(Err(error)) if matches!(error.kind, ClientErrorKind::Unavailable | ClientErrorKind::Unknown) => {}
                Some(answer) => return Some(answer),
                None => {}
            }
            sleep(PAUSE).await;
        }
        None
    }

    /// Asks until somebody takes the request, but not again once it may have been carried out.
    pub async fn ask(&mut self, request: &ClientRequest) {
        for _ in 0..20 {
            match self.once(request).await {
                Some(Err(error)) if matches!(error.kind, ClientErrorKind::Unavailable) => {}
                _ => return,
            }
            sleep(PAUSE).await;
        }
    }

    async fn once(&mut self, request: &ClientRequest) -> Option<Answer> {
        let any = self.random.pick(&self.cluster.coordinators.all()).copied().map(Machine::Coordinator)?;
        let leader = self.cluster.oracle.leader().map(|leader| Machine::Coordinator(leader.0));
        let machine = leader.filter(|_| self.random.chance(800)).unwrap_or(any);
        let inbox = self.cluster.network.coordinator(machine)?;
        let reply: Mailbox<Answer> = Mailbox::default();
        inbox.deliver(Instant::now() + self.random.milliseconds(0, 3), Message::Client(request.clone(), reply.clone()));
        let answer = timeout(PATIENCE, reply.receive()).await.ok()?;
        let outcome = answer.as_ref().map(ClientResponse::name).map_err(|error| error.to_string());
        self.cluster.trace.say("user", format_args!("{} at {machine}: {outcome:?}", word(request)));
        Some(answer)
    }
}

fn reference(query: Query) -> JobRef {
    JobRef::Name { namespace: "default".to_owned(), name: query.name().to_owned() }
}

fn submission(cluster: &Cluster, query: Query, parallelism: u32) -> SubmitJob {
    let planned = planned(query, &cluster.shape.rows);
    let milliseconds = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    SubmitJob {
        namespace: "default".to_owned(),
        name: query.name().to_owned(),
        graph: planned.graph.clone(),
        fingerprint: planned.fingerprint.clone(),
        sql: planned.sql.clone(),
        parallelism,
        awaits_state: false,
        scaling: elastic(cluster),
        settings: JobSettingsInfo {
            batch_rows: cluster.shape.batch_rows,
            memory_budget: cluster.shape.memory_budget,
            checkpoint_interval_ms: milliseconds(cluster.shape.checkpoint_interval),
            checkpoint_timeout_ms: milliseconds(cluster.shape.checkpoint_timeout),
            tolerable_failures: 5,
            retained_checkpoints: cluster.shape.retained,
            restart_attempts: None,
            restart_initial_delay_ms: 30,
            restart_maximum_delay_ms: 400,
            restart_stable_ms: 2000,
        },
    }
}

/// Who decides on the slots of a job: they themselves, where that is so.
fn elastic(cluster: &Cluster) -> Option<Scaling> {
    let Elastic { settle, max_slots } = cluster.shape.elastic?;
    let settle_ms = u64::try_from(settle.as_millis()).unwrap_or(u64::MAX);
    Some(Scaling { by: ScalingBy::Slots, max_slots, settle_ms, ..Scaling::default() })
}

fn word(request: &ClientRequest) -> String {
    match request {
        ClientRequest::SubmitJob(submit) => format!("submit {} with {} slots", submit.name, submit.parallelism),
        other => format!("{other:?}"),
    }
}
