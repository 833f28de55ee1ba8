use super::*;

#[test]
fn a_stale_attempt_changes_nothing() {
    run("worker a 1
        submit orders 1
        start 1 a attempt=2      | refused: attempt 2 of job 1 is not the current one: the last is 0
        running 1 attempt=1      | refused: attempt 1 of job 1 is not the current one: the last is 0
        start 1 a
        start 1 a attempt=1      | refused: job 1 cannot be started: it is deploying
        start 1 a attempt=2      | refused: job 1 cannot be started: it is deploying
        fail 1 cluster           | restarting 1, again in 0
        running 1                | refused: attempt 1 of job 1 is over
        fail 1 cluster           | refused: attempt 1 of job 1 is over
        retry 1                  | scheduling 1
        retry 1                  | refused: job 1 cannot be tried again: it is scheduling
        start 1 a attempt=1      | refused: attempt 1 of job 1 is over
        start 1 a attempt=3      | refused: attempt 3 of job 1 is not the current one: the last is 1
        start 1 a
        running 1
        complete 1 1 attempt=1   | refused: attempt 1 of job 1 is not the current one: the last is 2
        end 1 attempt=1          | refused: attempt 1 of job 1 is not the current one: the last is 2
        fail 1 user attempt=1    | refused: attempt 1 of job 1 is not the current one: the last is 2
        fail 1 cluster
        retry 1 attempt=1        | refused: attempt 1 of job 1 is not the current one: the last is 2");
}

#[test]
fn a_placement_must_fit_what_is_here_now() {
    run("worker a 2
        worker b 1
        submit orders 2
        start 1 a                | refused: job 1 cannot be placed like this any more: its parallelism is 2, not 1
        start 1 b,b              | refused: job 1 cannot be placed like this any more: worker b has 1 free slots, not 2
        start 1 a,c              | refused: there is no worker c
        start 1 a,b#7            | refused: process 0000000000000007 of worker b is not the current one: that is 0000000000000001
        empty b
        start 1 a,b              | refused: job 1 cannot be placed like this any more: worker b is being drained
        refill b
        start 1 a,b              | deploying 1
        submit clicks 2
        start 2 a,a              | refused: job 2 cannot be placed like this any more: worker a has 1 free slots, not 2
        lose b                   | lost by 1
        start 2 a,a              | deploying 1");
}

#[test]
fn a_placement_must_be_one() {
    let state = run("worker a 2
        worker b 2
        submit orders 2");
    let valid = placement(&state, "a,b");
    let refusal = |change: fn(&mut Placement)| {
        let mut state = state.clone();
        let mut placement = valid.clone();
        change(&mut placement);
        let execution = Execution { placement, restored: None, running_since: Some(7) };
        let outcome = state.apply(Command::StartAttempt {
            job: JobId(1),
            attempt: Attempt(1),
            execution,
            as_before: false,
            at: 0,
        });
        outcome.map(|_| state.jobs[&JobId(1)].execution.clone().unwrap().running_since).map_err(|r| r.to_string())
    };
    assert_eq!(refusal(|_| {}), Ok(None), "it does not run yet");
    let wrong = |reason: &str| Err(format!("a placement of job 1 is wrong: {reason}"));
    assert_eq!(refusal(|p| p.slots[1] = 2), wrong("a slot is on a worker that it does not have"));
    assert_eq!(refusal(|p| p.workers[1] = p.workers[0].clone()), wrong("it has a worker twice"));
    assert_eq!(refusal(|p| p.slots[1] = 0), wrong("it has a worker without a slot"));
    let moved = "job 1 cannot be placed like this any more: worker a has another address";
    assert_eq!(refusal(|p| p.workers[0].address = "b:2".into()), Err(moved.into()));
}

#[test]
fn pauses_double_up_to_the_longest_and_end_with_patience() {
    run("worker a 1
        submit orders 1
        start 1 a
        running 1
        fail 1 environment     | restarting 1, again in 100
        retry 1
        start 1 a
        fail 1 data            | restarting 2, again in 200
        retry 1
        start 1 a
        fail 1 cluster         | restarting 3, again in 0
        retry 1
        start 1 a
        fail 1 environment     | restarting 4, again in 300
        retry 1
        start 1 a
        fail 1 environment     | failed 5
        retry 1                | refused: job 1 cannot be tried again: it is failed
        restart 1              | scheduling 5
        start 1 a
        fail 1 environment     | restarting 6, again in 100");
}

#[test]
fn a_stretch_of_peace_is_the_end_of_a_row_of_failures() {
    run("worker a 1
        submit orders 1
        start 1 a
        fail 1 environment     | restarting 1, again in 100
        retry 1
        start 1 a
        at 100000
        running 1
        at 160000
        fail 1 environment     | restarting 2, again in 100
        retry 1
        start 1 a
        at 200000
        running 1
        at 259999
        fail 1 environment     | restarting 3, again in 200
        retry 1
        start 1 a
        at 900000
        fail 1 environment     | restarting 4, again in 300");
}

#[test]
fn an_attempt_that_ends_in_order_is_the_end_of_a_row_of_failures() {
    let state = run(
        "worker a 1
        submit orders 1
        start 1 a
        fail 1 environment
        retry 1
        start 1 a
        running 1
        complete 1 1
        commit 1 1
        end 1                  | scheduling 2: 1
        start 1 a
        running 1
        end 1                  | refused: attempt 3 of job 1 has completed no checkpoint, so it has not ended in order",
    );
    assert_eq!(state.jobs[&JobId(1)].failures, 0);
}

#[test]
fn a_mistake_of_the_user_is_not_tried_again() {
    let state = run("worker a 1
        submit orders 1
        start 1 a
        fail 1 user            | failed 1
        restart 1
        start 1 a");
    let failure = state.jobs[&JobId(1)].last_failure.as_ref().unwrap();
    assert_eq!((failure.attempt, failure.kind, failure.retry_at), (Attempt(1), Some(ErrorKind::User), None));
}

#[test]
fn a_record_that_fails_twice_is_not_tried_a_third_time() {
    let state = run("worker a 1
        submit orders 1
        start 1 a
        fail 1 data report=line-3   | restarting 1, again in 100
        retry 1
        start 1 a
        fail 1 data report=line-4   | restarting 2, again in 200
        retry 1
        start 1 a
        running 1
        at 999999
        fail 1 data report=line-4   | failed 3");
    let failure = state.jobs[&JobId(1)].last_failure.as_ref().unwrap();
    let report = "line-4\nattempt 2 failed on the same record before, so it is not tried again";
    assert_eq!(failure.report, report);
}

#[test]
fn the_same_report_of_the_surroundings_can_pass() {
    run("worker a 1
        submit orders 1
        start 1 a
        fail 1 environment report=disk-full   | restarting 1, again in 100
        retry 1
        start 1 a
        fail 1 environment report=disk-full   | restarting 2, again in 200");
}

#[test]
fn times_out_of_bounds_do_not_overflow() {
    let mut state = run("worker a 1
        submit orders 1
        start 1 a");
    let job = JobId(1);
    state.apply(Command::AttemptRunning { job, attempt: Attempt(1), at: i64::MIN }).unwrap();
    let failed = |at| Command::AttemptFailed {
        job,
        attempt: Attempt(1),
        kind: Some(ErrorKind::Internal),
        report: String::new(),
        at,
    };
    state.apply(failed(i64::MAX)).unwrap();
    assert_eq!(state.jobs[&job].last_failure.as_ref().unwrap().retry_at, Some(i64::MAX));
}

#[test]
fn only_what_follows_a_failure_counts_as_a_restart() {
    let restarts = |script: &str| run(script).jobs[&JobId(1)].restarts;
    let one = "worker a 2
        submit orders 1
        start 1 a
        running 1
        fail 1 cluster
        retry 1
        start 1 a
        running 1";
    assert_eq!(restarts(one), 1);
    let two = format!("{one}\n fail 1 data\n retry 1\n");
    assert_eq!(restarts(&two), 2);
    let by_hand = format!("{one}\n restart 1\n start 1 a\n running 1");
    assert_eq!(restarts(&by_hand), 1);
    let rescaled = format!(
        "{one}
        rescale 1 2
        complete 1 1
        commit 1 1
        end 1
        start 1 a,a
        running 1"
    );
    assert_eq!(restarts(&rescaled), 1);
}

#[test]
fn attempts_that_are_lost_again_and_again_are_started_with_pauses() {
    run("worker a 1
        submit orders 1
        start 1 a
        fail 1 cluster           | restarting 1, again in 0
        retry 1
        start 1 a
        fail 1 cluster           | restarting 2, again in 0
        retry 1
        start 1 a
        fail 1 cluster           | restarting 3, again in 0
        retry 1
        start 1 a
        running 1
        fail 1 cluster           | restarting 4, again in 100
        retry 1
        start 1 a
        fail 1 cluster           | restarting 5, again in 200
        retry 1
        start 1 a
        at 100000
        running 1
        at 111000
        fail 1 cluster           | restarting 6, again in 0");
}
