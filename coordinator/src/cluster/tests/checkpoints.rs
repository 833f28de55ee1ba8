use super::*;

#[test]
fn a_checkpoint_comes_from_an_attempt_that_runs_and_is_newer_than_all_before() {
    run("worker a 1
        submit orders 1
        start 1 a
        complete 1 1         | refused: job 1 cannot complete a checkpoint: it is deploying
        running 1
        complete 1 3         | running 1: 3?
        complete 1 3         | refused: checkpoint 3 of job 1 is not newer than the last: that is 3
        complete 1 2         | refused: checkpoint 2 of job 1 is not newer than the last: that is 3
        commit 1 2           | refused: job 1 has no checkpoint 2
        commit 2 2           | refused: there is no job 2");
}

#[test]
fn a_checkpoint_is_not_born_committed() {
    let mut state = run("worker a 1
        submit orders 1
        start 1 a
        running 1");
    let checkpoint = Checkpoint { committed: true, ..checkpoint(Epoch(1), Attempt(1)) };
    let refusal = state.apply(Command::CompleteCheckpoint { job: JobId(1), checkpoint }).unwrap_err();
    assert_eq!(refusal.kind(), RefusalKind::Invalid);
}

#[test]
fn committing_one_commits_all_before_it() {
    run("worker a 1
        submit orders 1 retained=9
        start 1 a
        running 1
        complete 1 1
        complete 1 2
        complete 1 3
        commit 1 2           | running 1: 1 2 3?
        commit 1 1           | unchanged");
}

#[test]
fn the_newest_are_retained_and_every_savepoint() {
    run("worker a 1
        submit orders 1 retained=2
        start 1 a
        running 1
        complete 1 1s
        complete 1 2
        complete 1 3
        complete 1 4
        commit 1 3           | running 1: 1s 2 3 4?
        commit 1 4           | running 1: 1s 3 4, forgot 2
        complete 1 5s
        commit 1 5           | running 1: 1s 3 4 5s
        complete 1 6
        complete 1 7
        commit 1 7           | running 1: 1s 5s 6 7, forgot 3 4");
}

#[test]
fn at_least_one_is_retained() {
    run("worker a 1
        submit orders 1 retained=0
        start 1 a
        running 1
        complete 1 1
        commit 1 1           | running 1: 1
        complete 1 2         | running 1: 1 2?
        commit 1 2           | running 1: 2, forgot 1");
}

#[test]
fn a_checkpoint_that_is_needed_stays() {
    run("worker a 1
        submit orders 1 retained=1
        start 1 a
        running 1
        complete 1 1s
        forget 1 1           | refused: results of checkpoint 1 of job 1 are decided and not committed yet
        commit 1 1
        forget 1 1           | refused: job 1 would go on from checkpoint 1, so that cannot be given up
        complete 1 2         | running 1: 1s 2?
        forget 1 1           | running 1: 2?, forgot 1
        forget 1 1           | refused: job 1 has no checkpoint 1
        commit 1 2
        cancel 1
        forget 1 2           | refused: job 1 would go on from checkpoint 2, so that cannot be given up");
}

#[test]
fn the_checkpoint_to_go_back_to_outlives_the_commit_of_newer_ones() {
    run("worker a 1
        submit orders 1 retained=1
        start 1 a
        running 1
        complete 1 1
        commit 1 1
        complete 1 2
        complete 1 3
        restart 1 from=1     | scheduling 1: 1 2? 3?, from 1
        start 1 a            | refused: results of checkpoint 3 of job 1 are decided and not committed yet
        commit 1 3           | scheduling 1: 1 3, from 1, forgot 2
        start 1 a            | deploying 2: 1, from 1, forgot 3");
}
