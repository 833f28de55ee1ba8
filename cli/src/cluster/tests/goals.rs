//! When a command has waited long enough.

use weir_core::{Attempt, Epoch, ErrorKind};
use weir_proto::client::{CheckpointProgress, JobDetail};

use super::super::goal::{Goal, Look};
use super::detail;

/// `… the line`, `= the outcome`, `! the error`.
fn look(goal: Goal, change: impl FnOnce(&mut JobDetail)) -> String {
    let mut job = detail();
    change(&mut job);
    match goal.look(&job) {
        Look::Waiting(line) => format!("… {line}"),
        Look::Reached(outcome) => format!("= {outcome}"),
        Look::Missed(error) => format!("! {}", error.report()),
    }
}

fn status(status: &str) -> impl FnOnce(&mut JobDetail) {
    let status = status.to_owned();
    move |job| job.summary.status = status
}

#[test]
fn the_end_of_a_job() {
    let ended = |change: fn(&mut JobDetail)| look(Goal::Ended, change);
    assert_eq!(ended(|_| {}), "… running");
    assert_eq!(look(Goal::Ended, status("finished")), "= finished");
    assert_eq!(look(Goal::Ended, status("stopped")), "= stopped with savepoint 12");
    assert_eq!(
        look(Goal::Ended, status("cancelled")),
        "= cancelled; with `weir jobs restart 7` it goes on from checkpoint 12, and `weir jobs delete 7` removes it"
    );
    assert_eq!(look(Goal::Done, status("finished")), "= finished");
    assert_eq!(look(Goal::Done, status("stopped")), "= stopped with savepoint 12");
    assert_eq!(look(Goal::Done, status("cancelled")), "! job default/delays was cancelled meanwhile");
    let at_rest = ended(|job| {
        job.summary.status = "stopped".into();
        job.summary.last_checkpoint.as_mut().unwrap().savepoint = false;
    });
    assert_eq!(at_rest, "= stopped; its last checkpoint is 12", "it was restarting: there was nothing to take one of");
    assert_eq!(
        look(Goal::Ended, status("failed")),
        "! job default/delays has failed\n  because: worker w3 was lost\n  because: it was silent"
    );
    let stopping = ended(|job| {
        job.summary.desired = "stopped".into();
        job.checkpoint_in_progress = Some(CheckpointProgress { epoch: Epoch(13), running_ms: 1500 });
    });
    assert_eq!(stopping, "… running (to be stopped) · checkpoint 13 under way for 1.5 s");
    let waiting = ended(|job| {
        job.summary.status = "scheduling".into();
        job.summary.waiting_for = Some("needs 3 slots; 2 are free".into());
    });
    assert_eq!(waiting, "… scheduling · needs 3 slots; 2 are free");
    assert_eq!(look(Goal::Ended, status("restarting")), "… restarting · after: worker w3 was lost");
    assert_eq!(look(Goal::Ended, status("levitating")), "… levitating", "a word of a later version");
}

#[test]
fn a_failed_job_fails_the_command_as_it_would_have_failed_weir_run() {
    for (kind, expected) in [
        (Some(ErrorKind::Data), ErrorKind::Data),
        (Some(ErrorKind::User), ErrorKind::User),
        (None, ErrorKind::Environment),
    ] {
        let mut job = detail();
        job.summary.status = "failed".into();
        job.summary.last_failure.as_mut().unwrap().kind = kind;
        let Look::Missed(error) = Goal::Ended.look(&job) else { panic!("it has failed") };
        assert_eq!(error.kind(), expected);
    }
}

#[test]
fn a_new_attempt() {
    let running = Goal::Running { after: Attempt(2) };
    assert_eq!(look(running, |_| {}), "= attempt 3 runs on 3 slots; processing paused for 900 ms");
    assert_eq!(look(Goal::Running { after: Attempt(3) }, |_| {}), "… running", "it is still the old one");
    assert_eq!(look(running, status("deploying")), "… deploying");
    assert_eq!(look(running, status("finished")), "= finished");
    assert_eq!(look(running, status("cancelled")), "! job default/delays was cancelled meanwhile");
    assert!(look(running, status("failed")).starts_with("! job default/delays has failed"));
}

#[test]
fn a_rescaled_job_without_the_slots_for_it() {
    let rescaled = |after| Goal::Rescaled { after: Attempt(after), waits: false };
    let waits = |after| Goal::Rescaled { after: Attempt(after), waits: true };
    let short = |job: &mut JobDetail| job.summary.waiting_for = Some("needs 9 slots; 2 are free".into());
    assert_eq!(look(rescaled(3), |_| {}), "… running");
    assert_eq!(
        look(rescaled(3), short),
        "! job default/delays runs on as it is: needs 9 slots; 2 are free\n  help: it is rescaled as soon as the slots are \
         there, which --wait waits for; start a worker, or ask for fewer"
    );
    assert_eq!(look(waits(3), short), "… running · needs 9 slots; 2 are free");
    assert_eq!(
        look(waits(2), short),
        "… running · needs 9 slots; 2 are free",
        "started again with the slots of before"
    );
    let between = look(rescaled(3), |job| {
        short(job);
        job.summary.status = "scheduling".into();
    });
    assert_eq!(between, "… scheduling · needs 9 slots; 2 are free", "it has stopped, so there was room a moment ago");
    assert_eq!(look(rescaled(2), short), "= attempt 3 runs on 3 slots; processing paused for 900 ms");
}

#[test]
fn a_savepoint() {
    let of = |after| Goal::Savepoint { after: Epoch(after), by: Attempt(3) };
    assert_eq!(
        look(of(9), |_| {}),
        "= savepoint 12 is complete: 1.43 MiB in 35 ms, manifests/12",
        "the epochs between were flushed"
    );
    assert_eq!(look(of(12), |_| {}), "… running", "that one was there before");
    let taken_over = look(of(11), |job| job.checkpoints[0].savepoint = false);
    assert_eq!(
        taken_over,
        "! the savepoint of job default/delays did not come about: another coordinator leads now, which has not heard of \
         it\n  help: see `weir jobs describe`, and take another"
    );
    let under_way = |job: &mut JobDetail| {
        job.checkpoint_in_progress = Some(CheckpointProgress { epoch: Epoch(14), running_ms: 20 });
    };
    assert_eq!(look(of(12), under_way), "… running · checkpoint 14 under way for 20 ms");
    let restarted = look(of(13), |job| job.summary.attempt = Attempt(4));
    assert!(restarted.contains("the job did not go on"), "{restarted}");
    assert!(look(of(13), status("stopped")).contains("the job did not go on"));
}
