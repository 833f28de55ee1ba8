use super::*;

#[test]
fn with_a_worker_go_the_attempts_that_used_it() {
    run("worker a 2
        worker b 1
        submit orders 2
        submit clicks 1
        start 1 a,b
        start 2 a
        running 2
        lose b#2             | refused: process 0000000000000002 of worker b is not the current one: that is 0000000000000001
        lose b               | lost by 1
        lose b               | refused: there is no worker b
        running 2            | unchanged
        retry 1              | scheduling 1
        lose a               | lost by 2
        stop 2               | stopped 1");
}

#[test]
fn a_lost_worker_is_nobodys_fault() {
    let state = run("worker a 1
        submit orders 1
        start 1 a
        lose a");
    let job = &state.jobs[&JobId(1)];
    let failure = job.last_failure.as_ref().unwrap();
    assert_eq!((job.failures, failure.kind), (0, None));
    assert_eq!(failure.report, "worker a was lost: silent");
    assert_eq!(failure.retry_at, Some(failure.at));
}

#[test]
fn another_process_under_the_same_name_has_lost_what_ran() {
    let state = run("worker a 2
        submit orders 1
        submit clicks 1
        start 1 a
        start 2 a
        running 1
        empty a
        empty a              | unchanged
        worker a#2 3         | lost by 1 2
        worker a#2 3         | unchanged
        retry 1
        start 1 a#2          | deploying 2");
    assert!(!state.workers[&WorkerId("a".into())].draining);
    assert_eq!(state.free_slots(&WorkerId("a".into())), 2);
}

#[test]
fn the_same_process_can_come_again_with_other_figures() {
    let state = run("worker a 2
        submit orders 2
        start 1 a,a
        empty a
        worker a 1                   | refused: worker a offers 1 slots, and 2 are in use there
        worker a 3 address=a:9       | changed
        running 1                    | running 1
        empty c                      | refused: there is no worker c");
    let worker = &state.workers[&WorkerId("a".into())];
    assert_eq!((worker.slots, worker.address.as_str(), worker.draining), (3, "a:9", true));
}

#[test]
fn a_leader_finds_what_is_where() {
    let state = run("worker a 3
        worker b 2
        submit orders 3
        submit clicks 1
        start 1 a,a,b
        start 2 a
        running 1
        complete 1 1");
    let [a, b, c] = ["a", "b", "c"].map(|name| WorkerId(name.into()));
    assert_eq!([&a, &b, &c].map(|worker| state.free_slots(worker)), [0, 1, 0]);
    assert_eq!([&a, &b, &c].map(|worker| state.used_slots(worker)), [3, 1, 0]);
    let on_b: Vec<JobId> = state.executions_on(&b).map(|(job, _, _)| job).collect();
    assert_eq!(on_b, [JobId(1)]);
    assert_eq!(state.job_by_name("default", "clicks").map(|(job, _)| job), Some(JobId(2)));
    assert_eq!(state.job_by_name("blue", "clicks"), None);
    assert_eq!(state.usage("default"), Usage { slots: 4, jobs: 2, state_bytes: 100 });
    let free = |job| state.candidates(job).iter().map(|candidate| candidate.free).collect::<Vec<_>>();
    assert_eq!((free(None), free(Some(JobId(1)))), (vec![0, 1], vec![2, 2]));
}
