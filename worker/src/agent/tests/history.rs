//! Whatever is said, in whatever order and however often: what the head of the agent's module promises holds.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// Something that happens; sessions are added when it is played.
#[derive(Debug, Clone)]
enum Happening {
    Wait,
    Lost,
    /// From the current session, or, if `old`, from the one before.
    Said {
        message: Word,
        old: bool,
    },
    Engine {
        job: u64,
        attempt: u64,
        event: EngineEvent,
    },
    Committed(u64, u64),
    Merged(u64, u64, u64),
}

#[derive(Debug, Clone)]
enum Word {
    Welcome(u64),
    Redirect,
    Deploy(u64, u64, u64),
    Start(u64, u64),
    Marker(u64, u64, u64),
    Completed(u64, u64, u64),
    Cancel(u64, u64),
    Commit(u64, u64),
    Merge(u64, u64, u64),
}

impl Word {
    fn message(&self) -> ToWorker {
        match *self {
            Word::Welcome(term) => welcome(term),
            Word::Redirect => ToWorker::Redirect { leader: Some("c".into()) },
            Word::Deploy(job, attempt, epoch) => deploy(job, attempt, epoch),
            Word::Start(job, attempt) => start(job, attempt),
            Word::Marker(job, attempt, epoch) => marker(job, attempt, epoch),
            Word::Completed(job, attempt, epoch) => completed(job, attempt, epoch),
            Word::Cancel(job, attempt) => cancel(job, attempt),
            Word::Commit(job, epoch) => commit(job, epoch),
            Word::Merge(job, attempt, epoch) => merge(job, attempt, epoch),
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    let (job, attempt, epoch) = (1..3_u64, 1..4_u64, 0..6_u64);
    let three = (job, attempt, epoch);
    prop_oneof![
        2 => (1..4_u64).prop_map(Word::Welcome),
        1 => Just(Word::Redirect),
        6 => three.clone().prop_map(|(job, attempt, _)| Word::Deploy(job, attempt, 0)),
        6 => three.clone().prop_map(|(job, attempt, _)| Word::Start(job, attempt)),
        8 => three.clone().prop_map(|(job, attempt, epoch)| Word::Marker(job, attempt, epoch)),
        2 => three.clone().prop_map(|(job, attempt, epoch)| Word::Completed(job, attempt, epoch)),
        1 => three.clone().prop_map(|(job, attempt, _)| Word::Cancel(job, attempt)),
        1 => three.clone().prop_map(|(job, _, epoch)| Word::Commit(job, epoch)),
        1 => three.prop_map(|(job, attempt, epoch)| Word::Merge(job, attempt, epoch)),
    ]
}

fn engine_event() -> impl Strategy<Value = EngineEvent> {
    prop_oneof![
        6 => Just(EngineEvent::Opened),
        1 => Just(EngineEvent::SourcesExhausted),
        6 => (1..6_u64).prop_map(reported),
        1 => (1..6_u64).prop_map(|epoch| EngineEvent::ReportFailed(Epoch(epoch), failure())),
        1 => Just(EngineEvent::Finished),
        1 => Just(EngineEvent::Failed(failure())),
    ]
}

fn event() -> impl Strategy<Value = Happening> {
    let engine = (1..3_u64, 1..4_u64, engine_event());
    prop_oneof![
        3 => Just(Happening::Wait),
        1 => Just(Happening::Lost),
        16 => (word(), prop::bool::weighted(0.1)).prop_map(|(message, old)| Happening::Said { message, old }),
        8 => engine.prop_map(|(job, attempt, event)| Happening::Engine { job, attempt, event }),
        1 => (1..3_u64, 0..6_u64).prop_map(|(job, epoch)| Happening::Committed(job, epoch)),
        1 => (1..3_u64, 1..4_u64, 0..6_u64).prop_map(|(job, attempt, epoch)| Happening::Merged(job, attempt, epoch)),
    ]
}

/// What an observer who sees only inputs and effects knows.
#[derive(Default)]
struct Observer {
    session: u64,
    welcomed: bool,
    term: u64,
    /// The attempt of each job that the worker may speak of.
    known: BTreeMap<JobId, Known>,
    /// How attempts stand, as far as the other side was told.
    told: BTreeMap<JobId, AttemptStatus>,
    /// Attempts that were cancelled in this session.
    cancelled: BTreeSet<(JobId, Attempt)>,
}

struct Known {
    attempt: Attempt,
    open: bool,
    started: bool,
    last: Epoch,
    /// Reports that the leader has not confirmed.
    reports: BTreeSet<Epoch>,
}

impl Observer {
    fn known(&mut self, job: JobId, attempt: Attempt) -> Option<&mut Known> {
        self.known.get_mut(&job).filter(|known| known.attempt == attempt)
    }

    /// What the leader asks for counts from the moment it is said.
    fn heard(&mut self, message: &ToWorker) {
        match message {
            ToWorker::Completed { job, attempt, epoch } => {
                if let Some(known) = self.known(*job, *attempt) {
                    known.reports.retain(|report| report > epoch);
                }
            }
            ToWorker::Cancel { job, attempt } => {
                self.cancelled.extend((1..=attempt.0).map(|attempt| (*job, Attempt(attempt))));
                if self.known.get(job).is_some_and(|known| known.attempt <= *attempt) {
                    assert!(!self.known[job].open, "a cancelled attempt is closed");
                    self.known.remove(job);
                }
            }
            _ => {}
        }
    }

    fn said(&mut self, job: JobId, attempt: Attempt, event: &EngineEvent) {
        let epoch = match event {
            EngineEvent::Reported(content) => content.epoch,
            EngineEvent::ReportFailed(epoch, _) => *epoch,
            _ => return,
        };
        if let Some(known) = self.known(job, attempt).filter(|known| known.open) {
            known.reports.insert(epoch);
        }
    }

    fn saw(&mut self, effect: &Effect) {
        match effect {
            Effect::Connect { session, hello, .. } => {
                self.session = session.0;
                self.welcomed = false;
                self.told = hello.attempts.iter().map(|status| (status.job, status.clone())).collect();
            }
            Effect::Disconnect(session) => {
                assert_eq!(session.0, self.session);
                self.welcomed = false;
            }
            Effect::Open(deploy) => {
                assert!(!self.known.get(&deploy.job).is_some_and(|known| known.open), "two attempts of one job");
                assert!(!self.cancelled.contains(&(deploy.job, deploy.attempt)), "opened though cancelled");
                let known = Known {
                    attempt: deploy.attempt,
                    open: true,
                    started: false,
                    last: deploy.last_epoch,
                    reports: BTreeSet::new(),
                };
                let before = self.known.insert(deploy.job, known);
                assert!(before.is_none_or(|before| before.attempt < deploy.attempt), "attempts go up");
            }
            Effect::Close { job, attempt } => self.known(*job, *attempt).expect("it is known").open = false,
            Effect::Start { job, attempt } => {
                let known = self.known(*job, *attempt).expect("it is known");
                assert!(known.open && !std::mem::replace(&mut known.started, true));
            }
            Effect::Marker { job, attempt, marker } => {
                let known = self.known(*job, *attempt).expect("it is known");
                assert!(known.open && known.started);
                assert_eq!(marker.epoch, known.last.next());
                known.last = marker.epoch;
            }
            Effect::Completed { job, attempt, .. } => {
                assert!(self.known(*job, *attempt).is_some_and(|known| known.open && known.started));
            }
            Effect::Send(session, message) => self.sent(*session, message),
            Effect::Heartbeat(session, attempts) => {
                assert!(self.welcomed && session.0 == self.session);
                for (job, attempt) in attempts {
                    assert!(self.known(*job, *attempt).is_some_and(|known| known.open && known.started));
                }
            }
            Effect::RememberCluster(_)
            | Effect::Audit { .. }
            | Effect::CompareState { .. }
            | Effect::Commit { .. }
            | Effect::Merge { .. }
            | Effect::Discard(_)
            | Effect::Exit(_) => {}
        }
    }

    /// Reports that have to be kept, in order.
    fn unconfirmed(&self) -> Vec<(JobId, Attempt, Epoch)> {
        let known = self.known.iter();
        known.flat_map(|(job, known)| known.reports.iter().map(|epoch| (*job, known.attempt, *epoch))).collect()
    }

    /// The leader knows how an attempt stands, but for what it does itself: deploy it and send markers.
    fn check_told(&self, status: &AttemptStatus) {
        let told = self.told.get(&status.job).filter(|told| told.attempt == status.attempt);
        match told {
            Some(told) => assert_eq!((&told.phase, told.exhausted), (&status.phase, status.exhausted), "{status:?}"),
            None => assert_eq!((&status.phase, status.exhausted), (&AttemptPhase::Opening, false)),
        }
    }

    fn sent(&mut self, session: SessionId, message: &FromWorker) {
        assert_eq!(session.0, self.session, "sent on a session that is over");
        let of = match message {
            FromWorker::Status(status) => {
                self.told.insert(status.job, status.clone());
                (status.job, status.attempt)
            }
            FromWorker::Report(report) => (report.job, report.attempt),
            FromWorker::Merged { job, attempt, .. } => {
                let known = self.known.get(job).is_none_or(|known| known.attempt <= *attempt);
                assert!(known && !self.cancelled.contains(&(*job, *attempt)), "of an attempt that is over");
                return;
            }
            _ => return,
        };
        assert!(self.known(of.0, of.1).is_some(), "of an attempt that is over: {message:?}");
        assert!(self.welcomed, "to somebody who may not lead");
    }
}

fn play(events: &[Happening]) {
    let mut agent = Agent::new(config());
    let mut observer = Observer::default();
    let mut now = Duration::ZERO;
    for event in events {
        let input = match event {
            Happening::Wait => {
                now = now.max(agent.next_tick().unwrap());
                Event::Tick
            }
            Happening::Lost => Event::Disconnected(SessionId(observer.session)),
            Happening::Said { message, old } => {
                Event::Received(SessionId(observer.session.saturating_sub(u64::from(*old))), message.message())
            }
            Happening::Engine { job, attempt, event } => {
                Event::Engine { job: JobId(*job), attempt: Attempt(*attempt), event: event.clone() }
            }
            Happening::Committed(job, epoch) => committed(*job, *epoch),
            Happening::Merged(job, attempt, epoch) => merged(*job, *attempt, *epoch),
        };
        let mut effects = Vec::new();
        let leader = observer.welcomed;
        agent.step(now, input.clone(), &mut effects);
        let current = |session: &SessionId| session.0 == observer.session;
        let mut first = effects.as_slice();
        match &input {
            Event::Disconnected(_) => observer.welcomed = false,
            Event::Received(session, ToWorker::Welcome(welcome)) if current(session) && !leader => {
                // Accepted, if it was not left: what was not confirmed is said again, all of it, in order.
                let left = effects.iter().any(|effect| matches!(effect, Effect::Disconnect(_)));
                if !left && agent.connection.leader() == Some(*session) {
                    assert!(welcome.term >= observer.term, "terms never go back");
                    observer.term = welcome.term;
                    observer.welcomed = true;
                    observer.cancelled.clear();
                    let repeated: Vec<_> = effects.iter().filter_map(report).collect();
                    assert_eq!(repeated, observer.unconfirmed());
                }
            }
            Event::Received(session, message) if current(session) && leader => {
                // A close belongs to what was there before.
                while let [effect @ Effect::Close { .. }, rest @ ..] = first {
                    observer.saw(effect);
                    first = rest;
                }
                observer.heard(message);
                once(&mut agent, now, &input);
            }
            Event::Engine { job, attempt, event } => observer.said(*job, *attempt, event),
            _ => {}
        }
        first.iter().for_each(|effect| observer.saw(effect));
        let kept: Vec<_> = agent.attempts.reports().filter_map(|message| reported_by(&message)).collect();
        assert_eq!(kept, observer.unconfirmed(), "after {input:?}");
        if observer.welcomed {
            agent.attempts.statuses().for_each(|status| observer.check_told(status));
        }
    }
}

fn report(effect: &Effect) -> Option<(JobId, Attempt, Epoch)> {
    match effect {
        Effect::Send(_, message) => reported_by(message),
        _ => None,
    }
}

fn reported_by(message: &FromWorker) -> Option<(JobId, Attempt, Epoch)> {
    match message {
        FromWorker::Report(report) => Some((report.job, report.attempt, report.epoch)),
        _ => None,
    }
}

/// Says the same once more: nothing is done, at most something is answered.
fn once(agent: &mut Agent, now: Duration, input: &Event) {
    if let Event::Received(_, ToWorker::Redirect { .. } | ToWorker::Welcome(_)) = input {
        return;
    }
    let mut effects = Vec::new();
    agent.step(now, input.clone(), &mut effects);
    assert!(effects.iter().all(|effect| matches!(effect, Effect::Send(..))), "{input:?} twice: {effects:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_promises_hold(events in prop::collection::vec(event(), 1..120)) {
        // Connected first: histories without a leader are short.
        let begin = [Happening::Wait, Happening::Said { message: Word::Welcome(1), old: false }];
        play(&[&begin, events.as_slice()].concat());
    }
}
