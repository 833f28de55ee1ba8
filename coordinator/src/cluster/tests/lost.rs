//! Random histories of a cluster that is lost in the end, beside what they leave in the checkpoint storage. From a copy of any
//! age, what is recovered has to hold all that was decided, and nothing that cannot be committed any more.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::random::{Choice, choices, command};
use super::*;

/// A manifest, and whether what its attempt has prepared for it is still there, or out.
#[derive(Debug, Clone)]
struct Written {
    checkpoint: Checkpoint,
    decided: bool,
    can_be_committed: bool,
}

/// What a job has left in the storage.
#[derive(Debug, Clone, Default)]
struct Left {
    manifests: Vec<Written>,
    begun: Option<(Attempt, Option<Epoch>)>,
    last_epoch: Epoch,
    /// Of the leader. A new one writes what the last one has not decided.
    term: u64,
}

/// The cluster and its storage.
struct Lost {
    state: ClusterState,
    storage: BTreeMap<JobId, Left>,
    copy: ClusterState,
}

impl Lost {
    fn after(choices: &[Choice], copied_after: usize) -> Self {
        let mut lost = Self { state: run(""), storage: BTreeMap::new(), copy: ClusterState::default() };
        for (step, choice) in choices.iter().enumerate() {
            if step <= copied_after {
                lost.copy = lost.state.clone();
            }
            let command = command(&lost.state, *choice, 20_000 * step as i64);
            // A driver sends the next marker when the last checkpoint is committed, and none behind the last one.
            if let Command::CompleteCheckpoint { job, checkpoint } = &command {
                let job = lost.state.jobs.get(job);
                let done = |last: &Checkpoint| last.committed && !(last.finished && last.attempt == checkpoint.attempt);
                let possible = |job: &Job| {
                    checkpoint.epoch > job.last_epoch
                        && (Attempt(1)..=job.attempt).contains(&checkpoint.attempt)
                        && job.newest().is_none_or(done)
                };
                if !job.is_some_and(possible) {
                    continue;
                }
            }
            // Whoever changes his mind again and again may be misunderstood.
            if let Command::RestartJob { job, from: Some(_), .. } = &command
                && lost.state.jobs.get(job).is_some_and(|job| job.start_from.is_some())
            {
                continue;
            }
            lost.step(command, *choice);
        }
        lost
    }

    fn step(&mut self, mut command: Command, choice: Choice) {
        if let Command::CompleteCheckpoint { job, checkpoint } = &mut command {
            let Checkpoint { epoch, attempt, .. } = *checkpoint;
            let left = self.storage.entry(*job).or_default();
            left.term += 1;
            checkpoint.manifest = format!("{epoch}-{attempt}-{}", left.term);
            let swept = left.begun.is_some_and(|(begun, from)| begun > attempt && epoch > from.unwrap_or_default());
            let written = Written { checkpoint: checkpoint.clone(), decided: false, can_be_committed: !swept };
            left.manifests.push(written);
            left.last_epoch = left.last_epoch.max(epoch);
            // The leader may die before it has told anybody, or be told that it leads no more.
            if choice.how % 16 == 2 {
                return;
            }
        }
        let Ok(applied) = self.state.apply(command.clone()) else { return };
        match command {
            Command::CompleteCheckpoint { job, .. } => {
                self.storage.get_mut(&job).unwrap().manifests.last_mut().unwrap().decided = true;
            }
            // Its worker may be slow, but it comes to nothing before it has opened everything.
            Command::StartAttempt { job, attempt, execution, .. } if choice.how.is_multiple_of(2) => {
                self.begin(job, attempt, execution.restored);
            }
            Command::AttemptRunning { job, attempt, .. } => {
                let restored = self.state.jobs[&job].execution.as_ref().unwrap().restored;
                self.begin(job, attempt, restored);
            }
            Command::CommitCheckpoint { job, .. } | Command::ForgetCheckpoint { job, .. }
                if !choice.how.is_multiple_of(3) =>
            {
                self.retire(job);
            }
            Command::DeleteJob { job, .. } if matches!(applied, Applied::Deleted { .. }) => {
                drop(self.storage.remove(&job));
            }
            _ => {}
        }
    }

    fn begin(&mut self, job: JobId, attempt: Attempt, from: Option<Epoch>) {
        let left = self.storage.entry(job).or_default();
        if left.begun.is_some_and(|(begun, _)| begun >= attempt) {
            return;
        }
        left.begun = Some((attempt, from));
        for written in &mut left.manifests {
            let Checkpoint { epoch, attempt: by, .. } = written.checkpoint;
            written.can_be_committed &= by >= attempt || epoch <= from.unwrap_or_default() || written.decided;
        }
    }

    fn retire(&mut self, job: JobId) {
        let kept = &self.state.jobs[&job].checkpoints;
        let (Some(newest), Some(left)) = (kept.last(), self.storage.get_mut(&job)) else { return };
        let is_kept = |written: &Written| {
            written.checkpoint.epoch > newest.epoch
                || kept.iter().any(|kept| kept.manifest == written.checkpoint.manifest)
        };
        left.manifests.retain(is_kept);
    }

    fn findings(&self) -> Findings {
        let jobs = self.storage.iter().map(|(id, left)| {
            let manifests = left.manifests.iter().map(|written| FoundManifest {
                path: written.checkpoint.manifest.clone(),
                epoch: written.checkpoint.epoch,
                attempt: written.checkpoint.attempt,
                term: written.checkpoint.manifest.rsplit_once('-').unwrap().1.parse().unwrap(),
                condition: Condition::Whole(written.checkpoint.clone()),
            });
            let begun = left.begun.map_or(Attempt(0), |(attempt, _)| attempt);
            let last_attempt =
                left.manifests.iter().map(|written| written.checkpoint.attempt).max().unwrap_or_default();
            let findings = JobFindings {
                last_attempt: last_attempt.max(begun),
                last_epoch: left.last_epoch,
                begun: left.begun,
                manifests: manifests.collect(),
            };
            (*id, findings)
        });
        Findings { jobs: jobs.collect(), ..Findings::default() }
    }
}

/// What is not as it should be with a job that was recovered. `was` is what the lost cluster knew.
fn wrong_with(was: &Job, is: &Job, left: &Left) -> Result<(), String> {
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {was:#?} became {is:#?}")) };
    ensure(is.attempt > was.attempt && is.last_epoch >= was.last_epoch, "its numbers have gone back")?;
    ensure(is.execution.is_none() && is.status != JobStatus::Restarting, "it runs")?;
    let at_rest = !is.status.is_active() || (is.desired == Desired::Stopped && is.uncommitted().is_some());
    ensure(at_rest, "it would start by itself")?;
    if was.status == JobStatus::Finished {
        // A person may have given up the checkpoint that finished it.
        return ensure(
            is.input_has_ended() || was.newest().is_none_or(|newest| newest.epoch < was.last_epoch),
            "it is unfinished",
        );
    }
    let Some(point) = is.restore_point() else {
        return ensure(was.restore_point().is_none(), "it begins at the beginning");
    };
    let written = left.manifests.iter().find(|written| written.checkpoint.manifest == point.manifest);
    let Some(written) = written else { return ensure(false, "it goes on from what is not there") };
    ensure(point.committed || written.can_be_committed, "its last results cannot be committed")?;
    let same = |known: &Checkpoint| known.manifest == point.manifest;
    if was.restore_point().is_some_and(same) || was.newest().is_some_and(same) {
        // Going back that was wanted after the copy, and not begun, is forgotten.
        let committed = was.checkpoints.iter().find(|known| same(known)).is_some_and(|known| known.committed);
        return ensure(committed || !point.committed, "what was decided is not committed any more");
    }
    // So is going back that had begun and opened nothing. Then it goes on from where it stood before that, or from where a
    // person had wanted it to go on before.
    let own = was.newest().is_some_and(|newest| newest.attempt == was.attempt);
    let begun_from = left.begun.filter(|(begun, _)| *begun == was.attempt && point.attempt < *begun && !own);
    let has_begun = begun_from.is_some_and(|(_, from)| from == was.start_from);
    let newest = left.manifests.iter().filter(|written| written.decided).map(|written| written.checkpoint.epoch).max();
    let stood = newest == Some(point.epoch) || left.begun.is_some_and(|(_, from)| from == Some(point.epoch));
    if was.start_from.is_some() && !has_begun && (stood || is.start_from.is_some()) {
        return Ok(());
    }
    let is_of_the_last = left.begun.is_none_or(|(begun, _)| point.attempt >= begun);
    ensure(!written.decided && is_of_the_last && point.epoch > was.last_epoch, "something was forgotten")?;
    ensure(!point.committed, "what was not decided counts as committed")
}

fn check(choices: &[Choice], copied_after: usize) -> Result<(), String> {
    let lost = Lost::after(choices, copied_after);
    let recovered = super::recovered(lost.copy.clone(), &lost.findings());
    recovered.state.check()?;
    for (id, is) in &recovered.state.jobs {
        let outcome = recovered.jobs.iter().find(|job| job.job == *id).unwrap();
        // What was deleted has no files.
        let Some(was) = lost.state.jobs.get(id) else { continue };
        let finished = was.status == JobStatus::Finished && !was.input_has_ended();
        // A person has wanted it to go on from another one first, and has then given that up.
        let wanted = lost.copy.jobs[id].start_from.is_some();
        if !outcome.doubts.is_empty() && !finished && !wanted {
            return Err(format!("job {id} is in doubt: {:?}", outcome.doubts));
        }
        let none = Left::default();
        wrong_with(was, is, lost.storage.get(id).unwrap_or(&none))?;
    }
    for (id, left) in &lost.storage {
        let known = recovered.state.jobs.contains_key(id) || recovered.lost.contains(id);
        if !known && !left.manifests.is_empty() && lost.state.jobs.contains_key(id) {
            return Err(format!("job {id} is not even lost"));
        }
    }
    if lost.state.next_job >= recovered.state.next_job {
        return Err("a number of a job is given out again".into());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn all_that_was_decided_is_recovered_from_a_copy_of_any_age(choices in choices(), copied_after in 0_usize..200) {
        if let Err(what) = check(&choices, copied_after) {
            prop_assert!(false, "{what}");
        }
    }
}

/// They are worth something only if they come by what is difficult.
#[test]
fn histories_come_by_every_way_to_recover_a_job() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen = BTreeMap::new();
    for round in 0..800 {
        let choices = choices().new_tree(&mut runner).unwrap().current();
        let lost = Lost::after(&choices, choices.len() * (round % 10) / 10);
        let recovered = super::recovered(lost.copy.clone(), &lost.findings());
        for job in &recovered.jobs {
            let (is, left) = (&recovered.state.jobs[&job.job], lost.storage.get(&job.job));
            let dead = left.is_some_and(|left| left.manifests.iter().any(|written| !written.can_be_committed));
            let undecided = left.into_iter().flat_map(|left| &left.manifests).any(|written| {
                !written.decided && is.newest().is_some_and(|newest| newest.manifest == written.checkpoint.manifest)
            });
            let mut count = |what: &str, is_so: bool| *seen.entry(what.to_owned()).or_insert(0) += u32::from(is_so);
            count("a newer checkpoint", job.news.iter().any(|news| news.starts_with("checkpoint")));
            count("an attempt from a checkpoint", job.news.iter().any(|news| news.contains("from checkpoint")));
            count("an attempt from the beginning", job.news.iter().any(|news| news.contains("from the beginning")));
            count("nothing new", job.news.is_empty() && job.doubts.is_empty());
            count("goes back", is.start_from.is_some());
            count("an undecided checkpoint is decided", undecided);
            count("a dead manifest", dead);
        }
    }
    assert!(seen.values().all(|count| *count >= 10), "{seen:?}");
}
