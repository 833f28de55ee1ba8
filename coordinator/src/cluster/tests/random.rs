//! Random histories. Most commands are made for the state as it is, so that they have a chance; some are about what was, or
//! never was.

use proptest::prelude::*;

use super::*;
use crate::scheduler::{Problem, place};

/// What one command is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) what: u8,
    which: u8,
    pub(super) how: u8,
    /// Makes it about something that is not so.
    wrong: bool,
}

pub(super) fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let choice = (0_u8..100, any::<u8>(), any::<u8>(), prop::bool::weighted(0.1));
    let choice = choice.prop_map(|(what, which, how, wrong)| Choice { what, which, how, wrong });
    prop::collection::vec(choice, 1..200)
}

pub(super) fn command(state: &ClusterState, choice: Choice, at: i64) -> Command {
    let Choice { what, which, how, wrong } = choice;
    let nth = |count: usize| usize::from(which) % count.max(1);
    let off = u64::from(wrong);
    let job = state.jobs.keys().nth(nth(state.jobs.len())).copied().unwrap_or_default();
    let job = JobId(job.0 + if wrong && how == 0 { 100 } else { 0 });
    let there = state.jobs.get(&job);
    let attempt = Attempt(there.map_or(0, |job| job.attempt.0) ^ off);
    let status = there.map(|job| job.status);
    let worker = WorkerId(["a", "b", "c", "d"][nth(4)].into());
    let incarnation = |other: u64| Incarnation(state.workers.get(&worker).map_or(1, |here| here.incarnation.0) + other);
    let some_epoch = || {
        let checkpoints = there.map_or(&[][..], |job| &job.checkpoints);
        let epoch = checkpoints.get(usize::from(how) % checkpoints.len().max(1)).map_or(Epoch(0), |found| found.epoch);
        Epoch(epoch.0 + off)
    };
    match what {
        0..8 => Command::RegisterWorker {
            address: format!("{worker}:1"),
            incarnation: incarnation(u64::from(how % 4 == 0)),
            worker,
            slots: 1 + u32::from(which) % 3,
            version: "0.1.0".into(),
            at,
        },
        8..12 => Command::LoseWorker { incarnation: incarnation(off), worker, reason: "silent".into(), at },
        12..14 => Command::DrainWorker { worker, draining: how % 2 == 0 },
        14..18 => Command::SubmitJob {
            namespace: if how % 3 == 0 { "blue" } else { "default" }.into(),
            name: ["orders", "clicks", "bids"][nth(3)].into(),
            spec: Arc::new(spec(if how % 5 == 0 { "b" } else { "a" }, u32::from(how % 3))),
            parallelism: u32::from(how % 4) + u32::from(!wrong),
            awaits_state: how % 7 == 0,
            scaling: (how % 4 == 1).then(|| scaling(how)),
            at,
        },
        18..20 => Command::UpdateJob {
            job,
            spec: Arc::new(spec(if how % 5 == 0 { "b" } else { "a" }, u32::from(how % 3))),
            parallelism: u32::from(how % 4) + u32::from(!wrong),
            scaling: (how % 4 == 2).then(|| scaling(how)),
            at,
        },
        20..22 => Command::SetNamespace {
            namespace: "blue".into(),
            quota: Quota { slots: (how % 2 == 0).then_some(u32::from(how % 5)), jobs: Some(2), state_bytes: None },
        },
        22 if how % 2 == 0 => Command::DropNamespace { namespace: "blue".into() },
        22 => Command::ReplaceCatalog {
            namespace: "blue".into(),
            version: state.namespaces.get("blue").map_or(0, |blue| blue.catalog.version) + u64::from(wrong),
            statements: vec![format!("CREATE VIEW v AS SELECT {how}")],
        },
        23..72 if how % 8 > 5 && there.is_some_and(|job| job.scaling.is_some()) => scale(state, job, choice, at),
        // What the leader would do next with the job.
        23..72 => match status {
            Some(JobStatus::Scheduling) if there.is_some_and(|job| job.uncommitted().is_none()) => {
                start(state, job, how, wrong, at)
            }
            Some(JobStatus::Deploying) => Command::AttemptRunning { job, attempt, at },
            Some(JobStatus::Restarting) if how % 2 == 0 => Command::RetryJob { job, attempt, at },
            Some(JobStatus::Running) if how % 2 == 0 => {
                let epoch = Epoch(there.map_or(0, |job| job.last_epoch.0) + 1 - off);
                let checkpoint = Checkpoint {
                    savepoint: how % 8 == 0,
                    finished: how % 32 == 0,
                    ..super::checkpoint(epoch, attempt)
                };
                Command::CompleteCheckpoint { job, checkpoint }
            }
            Some(JobStatus::Running) if how % 8 == 1 => Command::EndAttempt { job, attempt, at },
            _ => Command::CommitCheckpoint { job, epoch: some_epoch(), at },
        },
        72..76 => {
            let kinds = [None, Some(ErrorKind::User), Some(ErrorKind::Data), Some(ErrorKind::Environment)];
            let report = format!("line {}", how % 2);
            Command::AttemptFailed { job, attempt, kind: kinds[usize::from(how / 8) % 4], report, at }
        }
        76..79 => Command::ForgetCheckpoint { job, epoch: some_epoch() },
        79..83 => Command::StopJob { job, drain: how % 2 == 0, at },
        83..85 => Command::CancelJob { job, at },
        85..92 => Command::RestartJob { job, from: (how % 2 == 0).then(some_epoch), at },
        92..95 => Command::RescaleJob { job, parallelism: u32::from(how % 4) + u32::from(!wrong), at },
        95..97 => Command::DeleteJob { job, discard: false },
        97 if how % 2 == 0 => Command::SetScaling { job, scaling: scaling(how / 2), at },
        98 if how % 2 == 0 => scale(state, job, choice, at),
        97 => Command::EndAttempt { job, attempt, at },
        98 => Command::RetryJob { job, attempt, at },
        _ => Command::Found { cluster: "other".into(), storage: String::new() },
    }
}

/// As the leader would decide, or about another number than the job has.
fn scale(state: &ClusterState, job: JobId, choice: Choice, at: i64) -> Command {
    let Choice { how, wrong, .. } = choice;
    let there = state.jobs.get(&job);
    let from = there.map_or(0, |job| job.parallelism) + u32::from(wrong);
    let to = state.shares().get(&job).copied().unwrap_or(1 + u32::from(how % 4));
    let done = there.and_then(|job| job.scaling.as_ref()).is_none_or(Scaling::acts);
    Command::ScaleJob { job, decision: ScalingDecision { at, from, to, wanted: to, done, reason: String::new() } }
}

fn scaling(how: u8) -> Scaling {
    let by = [ScalingBy::Hand, ScalingBy::Slots, ScalingBy::Slots, ScalingBy::Load][usize::from(how % 4)];
    let min_slots = u32::from(how / 4 % 4);
    let dry_run = how % 16 > 12;
    Scaling { by, dry_run, min_slots, max_slots: min_slots + u32::from(how / 16 % 3), ..Scaling::default() }
}

/// As the leader would, or with something that is not so any more.
fn start(state: &ClusterState, id: JobId, how: u8, wrong: bool, at: i64) -> Command {
    let job = &state.jobs[&id];
    let as_before = how % 4 == 1 && job.parallelism > 1;
    let slots_wanted = job.parallelism - u32::from(as_before);
    let problem = Problem { slots_wanted, workers: state.candidates(None), previous: None };
    let mut placement = place(&problem).unwrap_or(Placement { workers: Vec::new(), slots: vec![0] });
    let mut restored = job.restore_point().map(|checkpoint| checkpoint.epoch);
    let mut attempt = job.attempt.0 + 1;
    match how % 6 {
        _ if !wrong => {}
        0 => attempt -= 1,
        1 => restored = restored.map(|epoch| Epoch(epoch.0 - 1)),
        2 => placement.slots.push(0),
        3 => placement.slots.fill(9),
        4 => placement.workers.iter_mut().for_each(|placed| placed.incarnation.0 += 1),
        _ => placement.slots.fill(0),
    }
    let execution = Execution { placement, restored, running_since: None };
    Command::StartAttempt { job: id, attempt: Attempt(attempt), execution, as_before, at }
}

/// What a step may not undo.
fn check_step(before: &ClusterState, after: &ClusterState, applied: &Applied) -> Result<(), String> {
    let fail = |what: String| Err(what);
    if after.next_job < before.next_job {
        return fail("a job's number was given back".into());
    }
    for (id, old) in &before.jobs {
        let Some(new) = after.jobs.get(id) else {
            if old.status.is_active() || old.uncommitted().is_some() {
                return fail(format!("job {id} was forgotten too early"));
            }
            continue;
        };
        if new.attempt < old.attempt || new.attempt.0 > old.attempt.0 + 1 || new.last_epoch < old.last_epoch {
            return fail(format!("job {id} has gone back"));
        }
        if old.status == JobStatus::Finished && new.status != old.status {
            return fail(format!("job {id} was finished"));
        }
        let forgotten = |epoch: Epoch| match applied {
            Applied::Forgotten { job, checkpoints } => job == id && checkpoints.iter().any(|c| c.epoch == epoch),
            _ => false,
        };
        for checkpoint in &old.checkpoints {
            let epoch = checkpoint.epoch;
            match new.checkpoint(epoch) {
                Some(kept) if checkpoint.committed && !kept.committed => {
                    return fail(format!("checkpoint {epoch} of job {id} was committed"));
                }
                Some(_) => {}
                None if !forgotten(epoch) => return fail(format!("nobody was told of checkpoint {epoch} of job {id}")),
                None if !checkpoint.committed && new.newest().is_none_or(|newest| newest.epoch < epoch) => {
                    return fail(format!("checkpoint {epoch} of job {id} was decided"));
                }
                None => {}
            }
        }
        // Wherever the job would go on from, it goes on from there, from something newer, or from where a person said.
        let (was, is) = (old.restore_point(), new.restore_point());
        let superseded = match (was, is) {
            _ if new.status == JobStatus::Finished => true,
            (Some(was), Some(is)) => is.epoch >= was.epoch || new.start_from.is_some(),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if !superseded {
            return fail(format!("job {id} has lost the checkpoint to go on from"));
        }
    }
    Ok(())
}

fn history(choices: &[Choice], mut each: impl FnMut(&ClusterState, &Command)) -> Result<ClusterState, TestCaseError> {
    let mut state = run("");
    for (choice, step) in choices.iter().zip(1_i64..) {
        let command = command(&state, *choice, step * 20_000);
        each(&state, &command);
        let before = state.clone();
        match state.apply(command.clone()) {
            Err(refusal) => {
                prop_assert_eq!(&state, &before, "refused, and yet something has changed: {}", refusal);
                prop_assert!(!refusal.to_string().is_empty());
            }
            Ok(Applied::Unchanged | Applied::Submitted { already_there: true, .. }) => {
                prop_assert_eq!(&state, &before, "{:?} has changed something", command);
            }
            Ok(applied) => {
                if let Err(what) = check_step(&before, &state, &applied) {
                    prop_assert!(false, "{what} after {command:?}");
                }
            }
        }
        prop_assert_eq!(state.check(), Ok(()), "after {:?}", command);
    }
    Ok(state)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn invariants_hold_after_every_command(choices in choices()) {
        history(&choices, |_, _| {})?;
    }

    /// One applies what comes; the other reads each command from bytes, and starts from a snapshot now and then.
    #[test]
    fn replicas_stay_the_same(choices in choices()) {
        let mut replica = run("");
        let state = history(&choices, |_, command| {
            let command = Command::from_bytes(&command.to_bytes()).unwrap();
            // What is refused is refused everywhere.
            drop(replica.apply(command));
            replica = ClusterState::from_bytes(&replica.to_bytes(), "snapshot").unwrap();
        })?;
        prop_assert_eq!(state.to_bytes(), replica.to_bytes());
    }
}

/// Random histories are worth something only if they get around.
#[test]
fn histories_come_by_every_status_and_every_command() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut seen, mut accepted, mut refused) = (std::collections::BTreeMap::new(), 0_u32, 0_u32);
    for _ in 0..100 {
        let choices = choices().new_tree(&mut runner).unwrap().current();
        let mut replica = run("");
        history(&choices, |before, command| {
            let name = format!("{command:?}").split([' ', '{']).next().unwrap().to_owned();
            before.jobs.values().for_each(|job| *seen.entry(job.status.to_string()).or_insert(0_u32) += 1);
            if before.jobs.values().any(|job| job.start_from.is_some() && job.execution.is_some()) {
                *seen.entry("runs from an earlier checkpoint".into()).or_insert(0) += 1;
            }
            match replica.apply(command.clone()) {
                Ok(_) => {
                    accepted += 1;
                    *seen.entry(name).or_insert(0) += 1;
                }
                Err(_) => refused += 1,
            }
        })
        .unwrap();
    }
    let statuses = 8;
    let commands = 24;
    assert_eq!(seen.len(), statuses + commands + 1, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 5), "{seen:?}");
    assert!(accepted * 2 > refused, "{accepted} accepted, {refused} refused");
}
