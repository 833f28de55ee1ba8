use super::*;

#[test]
fn who_decides_on_the_slots_is_said_at_the_beginning_or_later() {
    run("submit orders 2                  | job 1
        scaling 1 slots min=1 max=4       | scheduling 0, 2 by Slots
        scaling 1 slots min=1 max=4       | unchanged
        scale 1 3                         | scheduling 0, 3 by Slots
        scale 1 4 from=2                  | refused: job 1 cannot be scaled like this any more: it was about 2 slots, and it has 3
        scale 1 5                         | refused: job 1 cannot be scaled like this any more: it was about 3 slots, and it has 3
        scale 1 4 dry                     | refused: job 1 cannot be scaled like this any more: it was about 3 slots, and it has 3
        scaling 1 load dry                | scheduling 0, 3 by Load, in a dry run
        scale 1 4                         | refused: job 1 cannot be scaled like this any more: it was about 3 slots, and it has 3
        scale 1 4 dry                     | scheduling 0, 3 by Load, in a dry run
        scaling 1 hand                    | scheduling 0
        scale 1 4                         | refused: job 1 cannot be scaled like this any more: it was about 3 slots, and it has 3
        scaling 1 slots min=0             | refused: a job takes between 1 and 1024 slots by itself, and not less than its least
        scaling 1 slots min=3 max=2       | refused: a job takes between 1 and 1024 slots by itself, and not less than its least
        scaling 1 slots dry               | refused: a dry run is of scaling by load
        scaling 2 slots                   | refused: there is no job 2
        submit clicks 1 slots max=9       | job 2
        cancel 2                          | cancelled 0, 1 by Slots
        scale 2 2                         | refused: job 2 cannot be scaled: it is cancelled");
}

#[test]
fn who_asks_for_a_number_of_slots_takes_the_decision_back_unless_the_load_decides() {
    run("submit orders 2 slots
        rescale 1 2                | scheduling 0
        scaling 1 load             | scheduling 0, 2 by Load
        rescale 1 3                | scheduling 0, 3 by Load
        scaling 1 load max=8       | scheduling 0, 3 by Load
        rescale 1 9                | refused: the load of the job decides on its slots, and it is to have fewer than that
        rescale 1 8                | scheduling 0, 8 by Load");
}

#[test]
fn another_way_to_decide_restarts_nothing() {
    let state = run("worker a 4
        submit orders 1
        start 1 a
        running 1
        update 1 1 slots           | running 1, 1 by Slots, with 2 checkpoints from now on
        update 1 1 hand retained=3 | running 1, with 3 checkpoints from its next attempt on");
    assert_eq!(state.jobs[&JobId(1)].parallelism, 1);
}

#[test]
fn the_last_decisions_are_kept() {
    let steps: String = (0..30).map(|step| format!("scale 1 {}\n", 2 + step % 2)).collect();
    let state = run(&format!("submit orders 1 slots\n{steps}"));
    let decisions = &state.jobs[&JobId(1)].scaling_decisions;
    assert_eq!((decisions.len(), decisions[0].at, decisions[19].at), (20, 13_000, 32_000));
}

fn shares(script: &str) -> Vec<u32> {
    run(script).shares().into_values().collect()
}

#[test]
fn a_job_that_takes_what_there_is_takes_all_of_it_up_to_its_most() {
    assert_eq!(shares("worker a 4\n worker b 3\n submit orders 1 slots"), [7]);
    assert_eq!(shares("worker a 4\n worker b 3\n submit orders 1 slots max=5"), [5]);
    assert_eq!(shares("worker a 4\n worker b 3\n empty b\n submit orders 1 slots"), [4], "b is drained");
    assert_eq!(shares("submit orders 2 slots min=2"), [2], "it waits for those");
}

#[test]
fn jobs_that_take_what_there_is_share_it_fairly() {
    let three = "submit x 1 slots\n submit y 1 slots\n submit z 1 slots";
    assert_eq!(shares(&format!("worker a 9\n {three}")), [3, 3, 3]);
    assert_eq!(shares(&format!("worker a 8\n {three}")), [3, 3, 2], "the oldest first");
    assert_eq!(shares(&format!("worker a 2\n {three}")), [1, 1, 1], "the third waits");
    assert_eq!(shares("worker a 9\n submit x 1 slots max=2\n submit y 1 slots"), [2, 7]);
    assert_eq!(shares("worker a 9\n submit x 6 slots min=6\n submit y 1 slots"), [6, 3]);
}

#[test]
fn jobs_with_a_number_of_their_own_go_first() {
    assert_eq!(shares("worker a 9\n submit x 1 slots\n submit y 4"), [5]);
    assert_eq!(shares("worker a 9\n submit y 4\n submit x 1 slots\n submit z 6"), [5], "six are not there in any case");
    assert_eq!(shares("worker a 9\n submit x 1 slots\n submit y 4\n cancel 2"), [9]);
    let more = "worker a 4\n worker b 4\n submit y 2\n start 1 a,a\n running 1\n submit x 1 slots\n rescale 1 4";
    assert_eq!(shares(more), [4], "what it lacks is left to it");
    assert_eq!(shares(&format!("{more}\n rescale 1 9")), [6], "what is not there is not waited for");
}

/// Nothing is set aside for jobs that cannot run.
#[test]
fn a_job_that_waits_for_its_least_keeps_nobody_waiting() {
    let waits =
        "worker a 8\n submit x 8 slots\n start 1 a,a,a,a,a,a,a,a\n running 1\n submit y 1 slots min=16\n submit z 2";
    assert_eq!(shares(waits), [6, 16], "two are left to the one with a number of its own");
    let fails = "worker a 6\n submit x 4\n start 1 a,a,a,a\n running 1\n submit y 1 slots min=3\n fail 1 cluster";
    assert_eq!(shares(fails), [3], "it waits on, and the other one comes back");
    let runs = "worker a 6\n submit y 6 slots min=3\n start 1 a,a,a,a,a,a\n running 1\n submit x 4";
    assert_eq!(shares(runs), [6], "what a job that runs needs is not there for others");
}

#[test]
fn the_least_of_a_job_counts_against_the_limit_of_its_namespace() {
    let blue = "worker a 16\n namespace blue slots=4\n submit y 8 slots";
    run(&format!(
        "{blue}
        submit x 1 slots min=5 in=blue      | refused: namespace blue may use 4 slots, and would use 5
        submit x 1 slots in=blue            | job 2
        scaling 2 slots min=28              | refused: namespace blue may use 4 slots, and would use 28
        update 2 1 slots min=28             | refused: namespace blue may use 4 slots, and would use 28
        scaling 2 slots min=3               | scheduling 0, 1 by Slots
        submit z 2 in=blue                  | refused: namespace blue may use 4 slots, and would use 5"
    ));
    let lowered = format!("{blue}\n submit x 1 slots min=4 in=blue\n namespace blue slots=2");
    assert_eq!(shares(&lowered), [16, 1], "who has the limit lowered takes nothing from others");
}

#[test]
fn a_namespace_has_no_more_than_it_may() {
    let blue = "worker a 9\n namespace blue slots=4\n submit x 1 slots in=blue\n submit y 1 slots";
    assert_eq!(shares(blue), [4, 5]);
    assert_eq!(shares(&format!("{blue}\n submit z 1 in=blue")), [3, 5]);
}

#[test]
fn by_load_a_job_takes_what_it_was_found_to_need() {
    let load = "worker a 9\n submit x 2 load\n submit y 1 slots";
    assert_eq!(shares(load), [2, 7]);
    assert_eq!(shares(&format!("{load}\n scale 1 3 wanted=6")), [5, 4], "six would be right, and half is fair");
    assert_eq!(shares(&format!("{load}\n scale 1 3 wanted=6\n rescale 1 4")), [4, 5], "a person has said four");
    assert_eq!(shares("worker a 9\n submit x 2 load dry\n submit y 1 slots"), [7], "a dry run takes nothing");
}
