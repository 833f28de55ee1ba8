use super::*;

#[test]
fn a_job_lives_from_submission_to_its_end() {
    run("worker a 2
        submit orders 2      | job 1
        start 1 a,a          | deploying 1
        running 1            | running 1
        running 1            | unchanged
        complete 1 1         | running 1: 1?
        commit 1 1           | running 1: 1
        commit 1 1           | unchanged
        complete 1 2f        | running 1: 1 2f?
        commit 1 2           | running 1: 1 2f
        end 1                | finished 1: 1 2f
        forget 1 2           | finished 1: 1, forgot 2
        delete 1             | job 1 deleted
        delete 1             | refused: there is no job 1");
}

#[test]
fn the_same_submission_twice_is_one_job() {
    run("submit orders 2                 | job 1
        submit orders 2                  | job 1, already there
        submit clicks 2                  | job 2
        submit orders 3                  | refused: job 1 in namespace default has the name orders already, and another parallelism
        submit orders 2 definition=b     | refused: job 1 in namespace default has the name orders already, and another definition
        submit orders 2 retained=9       | refused: job 1 in namespace default has the name orders already, and other settings
        namespace blue
        submit orders 3 in=blue          | job 3
        submit orders 2 in=red           | refused: there is no namespace red
        submit or/ders 2                 | refused: \"or/ders\" cannot be the name of a job
        submit nothing 0                 | refused: a job has a parallelism of at least 1
        cancel 1
        submit orders 2                  | refused: job 1 in namespace default has the name orders already, and is cancelled
        delete 1
        submit orders 2                  | job 4");
}

#[test]
fn a_job_is_given_the_state_of_another_before_it_ever_runs() {
    run("worker a 2
        submit orders 2 awaiting            | job 1
        submit orders 2 awaiting            | job 1, already there
        submit orders 1 awaiting            | refused: job 1 in namespace default has the name orders already, and is stopped
        submit orders 2                     | refused: job 1 in namespace default has the name orders already, and is stopped
        adopt 1 0 attempt=3                 | refused: a job goes on from a checkpoint that is committed, and has not ended
        adopt 1 281474976710657 attempt=3   | refused: no job has had so many attempts or checkpoints
        adopt 2 7 attempt=3                 | refused: there is no job 2
        adopt 1 7 attempt=3                 | scheduling 3: 7
        adopt 1 7 attempt=3                 | refused: job 1 cannot be given the state of another: it is scheduling
        start 1 a,a                         | deploying 4: 7
        running 1
        complete 1 8                        | running 4: 7 8?
        commit 1 8                          | running 4: 7 8
        submit plain 1                      | job 2
        adopt 2 7 attempt=3                 | refused: job 2 cannot be given the state of another: it is scheduling");
}

#[test]
fn other_settings_count_from_the_next_attempt_on() {
    let state = run("worker a 4
        submit orders 1
        update 1 1 definition=b | refused: job 1 in namespace default has the name orders already, and another definition
        update 1 0              | refused: a job has a parallelism of at least 1
        update 2 1              | refused: there is no job 2
        update 1 2 retained=3   | scheduling 0, with 3 checkpoints from now on
        start 1 a               | refused: job 1 cannot be placed like this any more: its parallelism is 2, not 1
        start 1 a,a             | deploying 1
        running 1
        update 1 2 retained=4   | running 1, with 4 checkpoints from its next attempt on
        complete 1 1
        commit 1 1
        end 1                   | scheduling 1: 1
        start 1 a,a             | deploying 2: 1
        cancel 1
        update 1 1 retained=5   | cancelled 2: 1, with 5 checkpoints from now on
        restart 1               | scheduling 2: 1
        start 1 a
        running 1
        complete 1 2f
        commit 1 2
        end 1                   | finished 3: 1 2f
        update 1 1 retained=6   | refused: job 1 in namespace default has the name orders already, and is finished");
    let job = &state.jobs[&JobId(1)];
    assert_eq!((job.spec.settings.retained_checkpoints, job.update.is_none()), (5, true));
}

/// The tables for late and rejected rows counted in what an earlier version called the job. Its checkpoints have that name.
#[test]
fn a_job_keeps_the_name_that_its_checkpoints_know_it_by() {
    let mut state = run("submit orders 1");
    let known = JobGraph::default().fingerprint();
    state.jobs.get_mut(&JobId(1)).unwrap().spec = Arc::new(spec(&known, 1));
    let renamed = spec("another name for it", 1);
    assert!(renamed.computes_like(&spec(&known, 9)) && !renamed.computes_like(&spec("another job", 1)));
    let update = Command::UpdateJob { job: JobId(1), spec: Arc::new(renamed), parallelism: 1, scaling: None, at: 0 };
    state.apply(update).unwrap();
    assert_eq!(state.jobs[&JobId(1)].spec.fingerprint, known);
    let (namespace, name) = (DEFAULT_NAMESPACE.to_owned(), "orders".to_owned());
    let spec = Arc::new(spec("another name for it", 1));
    let again = Command::SubmitJob { namespace, name, spec, parallelism: 1, awaits_state: false, scaling: None, at: 0 };
    assert_eq!(state.apply(again).unwrap(), Applied::Submitted { job: JobId(1), already_there: true });
}

/// The rows of a sink that a plugin brings are committed by the plugin that has decided upon them.
#[test]
fn a_plugin_is_replaced_once_what_its_sinks_owe_is_committed() {
    let uses = |state: &ClusterState| {
        let job = &state.jobs[&JobId(1)];
        let hash =
            |spec: &JobSpec| spec.graph.artifacts().first().map(|artifact| artifact.hash.as_str()[..2].to_owned());
        (hash(&job.spec), job.update.as_deref().and_then(hash))
    };
    let update = |state: &mut ClusterState, hash: &str| {
        let spec = Arc::new(with_own_table("a", hash));
        state.apply(Command::UpdateJob { job: JobId(1), spec, parallelism: 1, scaling: None, at: 0 }).unwrap();
    };
    let mut state = run("
        worker a 2
        submit orders 1");
    update(&mut state, "aa");
    let state = &mut then(
        &state,
        "
        start 1 a
        running 1
        complete 1 1
        fail 1 environment",
    );
    update(state, "bb");
    assert_eq!(uses(state), (Some("aa".into()), Some("bb".into())), "its file is needed yet");
    let state = &mut then(
        state,
        "
        commit 1 1
        retry 1
        start 1 a",
    );
    assert_eq!(uses(state), (Some("bb".into()), None));
    // With nothing to commit there is nothing to wait for.
    let state = &mut then(
        state,
        "
        running 1
        fail 1 environment",
    );
    update(state, "cc");
    assert_eq!(uses(state), (Some("cc".into()), None));
}

#[test]
fn names_have_bounds() {
    let mut state = run("");
    let submit = |name: &str| Command::SubmitJob {
        namespace: DEFAULT_NAMESPACE.into(),
        name: name.into(),
        spec: Arc::new(spec("a", 1)),
        parallelism: 1,
        awaits_state: false,
        scaling: None,
        at: 0,
    };
    assert_eq!(state.apply(submit("")).unwrap_err().kind(), RefusalKind::Invalid);
    assert_eq!(state.apply(submit(&"x".repeat(129))).unwrap_err().kind(), RefusalKind::Invalid);
    assert_eq!(state.apply(submit("Zähler")).unwrap_err().kind(), RefusalKind::Invalid);
    assert!(state.apply(submit(&"x".repeat(128))).is_ok());
    assert!(state.apply(submit("A-z_0.9")).is_ok());
}

#[test]
fn stopping_is_a_wish_while_something_runs() {
    run("worker a 2
        submit orders 1
        start 1 a
        stop 1               | deploying 1, to be stopped
        stop 1               | unchanged
        running 1            | running 1, to be stopped
        end 1                | refused: attempt 1 of job 1 has completed no checkpoint, so it has not ended in order
        complete 1 1s
        end 1                | refused: results of checkpoint 1 of job 1 are decided and not committed yet
        commit 1 1           | running 1: 1s, to be stopped
        end 1                | stopped 1: 1s
        stop 1               | unchanged
        cancel 1             | refused: job 1 cannot be cancelled: it is stopped
        restart 1            | scheduling 1: 1s
        start 1 a from=9     | refused: job 1 cannot be placed like this any more: it goes on from checkpoint 1, not from checkpoint 9
        start 1 a            | deploying 2: 1s");
}

#[test]
fn a_job_of_which_nothing_runs_stops_at_its_newest_checkpoint() {
    run("worker a 2
        submit never 1
        stop 1               | stopped 0
        submit waiting 1
        start 2 a
        running 2
        complete 2 1
        commit 2 1
        lose a
        stop 2               | stopped 1: 1
        worker a 2
        submit undecided 1
        start 3 a
        running 3
        complete 3 1
        lose a
        stop 3               | restarting 1: 1?, to be stopped, again in -1000
        retry 3              | scheduling 1: 1?, to be stopped
        worker a 2
        start 3 a            | refused: results of checkpoint 1 of job 3 are decided and not committed yet
        commit 3 1           | stopped 1: 1");
}

#[test]
fn an_attempt_that_fails_while_it_is_stopped_stops_the_job() {
    run("worker a 2
        submit orders 1
        start 1 a
        running 1
        complete 1 1
        commit 1 1
        stop 1                | running 1: 1, to be stopped
        fail 1 environment    | stopped 1: 1
        restart 1
        start 1 a
        running 1
        stop 1
        fail 1 user           | failed 2: 1");
}

#[test]
fn to_be_drained_a_job_has_to_run() {
    run("worker a 2
        submit never 1
        drain 1              | stopped 0
        submit orders 1
        start 2 a
        running 2
        complete 2 1
        commit 2 1
        lose a
        drain 2              | restarting 1: 1, to be drained, again in -1000
        retry 2
        worker a 2
        start 2 a            | deploying 2: 1, to be drained
        running 2
        complete 2 2
        commit 2 2           | running 2: 1 2, to be drained
        end 2                | scheduling 2: 1 2, to be drained
        start 2 a
        running 2
        complete 2 3f
        commit 2 3
        end 2                | finished 3: 2 3f
        restart 2            | refused: job 2 cannot be restarted: it is finished
        drain 2              | refused: job 2 cannot be stopped: it is finished
        rescale 2 2          | refused: job 2 cannot be rescaled: it is finished");
}

#[test]
fn a_job_whose_input_has_ended_only_waits_for_its_commit() {
    run("worker a 2
        submit orders 1
        start 1 a
        running 1
        complete 1 1f
        complete 1 2         | refused: job 1 has nothing left to do: its input ended with checkpoint 1
        fail 1 user          | restarting 1: 1f?, again in 0
        restart 1            | refused: job 1 has nothing left to do: its input ended with checkpoint 1
        retry 1
        commit 1 1           | finished 1: 1f
        submit again 1
        start 2 a
        running 2
        complete 2 1f
        commit 2 1
        lose a               | lost by 2
        stop 2               | refused: job 2 cannot be stopped: it is finished");
}

#[test]
fn cancelling_ends_a_job_at_once_and_its_decided_results_still_count() {
    run("worker a 2
        submit orders 2
        start 1 a,a
        running 1
        complete 1 1
        cancel 1             | cancelled 1: 1?
        cancel 1             | unchanged
        complete 1 2         | refused: attempt 1 of job 1 is over
        delete 1             | refused: results of checkpoint 1 of job 1 are decided and not committed yet
        commit 1 1           | cancelled 1: 1
        submit clicks 2
        start 2 a,a          | deploying 1
        cancel 2
        restart 1            | scheduling 1: 1
        stop 1               | stopped 1: 1
        delete 1             | job 1 deleted");
}

#[test]
fn results_that_will_never_be_visible_are_given_up_with_their_job() {
    let state = run("
        worker a 2
        submit orders 2
        start 1 a,a
        running 1
        complete 1 1
        delete 1 discard     | refused: job 1 cannot be deleted: it is running
        cancel 1             | cancelled 1: 1?
        delete 1             | refused: results of checkpoint 1 of job 1 are decided and not committed yet
        delete 1 discard     | job 1 deleted
        commit 1 1           | refused: there is no job 1");
    assert!(state.jobs.is_empty());
    let refusal = Refusal::Uncommitted { job: JobId(1), epoch: Epoch(1) };
    assert!(refusal.help().unwrap().contains("weir jobs delete 1 --discard-results"));
}

#[test]
fn a_running_job_goes_back_to_an_earlier_checkpoint() {
    let state = run("worker a 2
        submit orders 1 retained=9
        start 1 a
        running 1
        complete 1 1
        complete 1 2s
        complete 1 3
        commit 1 3           | running 1: 1 2s 3
        restart 1 from=7     | refused: job 1 has no checkpoint 7
        restart 1 from=1     | scheduling 1: 1 2s 3, from 1
        start 1 a            | deploying 2: 1 2s, from 1, forgot 3
        forget 1 1           | refused: job 1 would go on from checkpoint 1, so that cannot be given up
        lose a
        retry 1
        worker a 2
        start 1 a from=2     | refused: job 1 cannot be placed like this any more: it goes on from checkpoint 1, not from checkpoint 2
        start 1 a            | deploying 3: 1 2s, from 1
        restart 1            | scheduling 3: 1 2s, from 1
        start 1 a
        running 1
        complete 1 3         | refused: checkpoint 3 of job 1 is not newer than the last: that is 3
        complete 1 4         | running 4: 1 2s 4?
        commit 1 4           | running 4: 1 2s 4
        forget 1 2           | running 4: 1 4, forgot 2");
    assert_eq!(state.jobs[&JobId(1)].last_epoch, Epoch(4));
}

#[test]
fn a_restart_by_a_person_forgives_failures() {
    let state = run("worker a 2
        submit orders 1
        start 1 a
        running 1
        fail 1 environment
        restart 1            | scheduling 1");
    assert_eq!(state.jobs[&JobId(1)].failures, 0);
}

#[test]
fn rescaling_is_for_the_next_attempt() {
    run("worker a 3
        submit orders 1
        start 1 a
        running 1
        rescale 1 1          | unchanged
        rescale 1 0          | refused: a job has a parallelism of at least 1
        rescale 1 3          | running 1
        complete 1 1
        commit 1 1
        end 1                | scheduling 1: 1
        start 1 a            | refused: job 1 cannot be placed like this any more: its parallelism is 3, not 1
        start 1 a,a,a as-before | refused: job 1 cannot be placed like this any more: its parallelism is 3, not 3
        start 1 a as-before  | deploying 2: 1
        running 1
        fail 1 cluster
        retry 1
        start 1 a,a,a        | deploying 3: 1
        cancel 1
        rescale 1 2          | cancelled 3: 1");
}

#[test]
fn a_namespace_bounds_what_its_jobs_use() {
    run("worker a 9
        namespace blue slots=3 jobs=2 bytes=150
        submit one 2 in=blue
        submit two 2 in=blue   | refused: namespace blue may use 3 slots, and would use 4
        submit two 1 in=blue
        submit three 1 in=blue | refused: namespace blue may use 2 jobs, and would use 3
        rescale 2 2            | refused: namespace blue may use 3 slots, and would use 4
        cancel 1
        rescale 2 2            | scheduling 0
        restart 1              | refused: namespace blue may use 3 slots, and would use 4
        rescale 1 9            | cancelled 0
        rescale 1 1
        restart 1              | scheduling 0
        namespace blue slots=1 jobs=9 bytes=150
        rescale 2 1            | scheduling 0
        namespace blue bytes=150
        start 1 a
        running 1
        complete 1 1
        submit three 1 in=blue | job 3
        start 2 a
        running 2
        complete 2 1
        submit four 1 in=blue  | refused: namespace blue may use 150 bytes of state, and would use 200
        restart 2              | scheduling 1: 1?
        drop blue              | refused: namespace blue has 3 jobs
        drop default           | refused: the default namespace cannot be removed
        drop green             | refused: there is no namespace green
        namespace green        | changed
        namespace green        | unchanged
        drop green             | changed
        namespace gr/een       | refused: \"gr/een\" cannot be the name of a namespace");
}

#[test]
fn a_catalog_is_replaced_by_whoever_knows_it() {
    run("catalog green version=0 a | refused: there is no namespace green
        namespace green
        catalog green version=0 a   | changed
        catalog green version=0 b   | refused: the catalog of namespace green has been changed by somebody else
        catalog green version=0 a   | unchanged
        catalog green version=1 a b | changed
        catalog green version=2     | changed
        namespace green slots=3     | changed
        catalog green version=3     | unchanged
        catalog green version=3 c   | changed
        drop green                  | refused: namespace green has tables, views or functions
        catalog green version=4     | changed
        drop green                  | changed
        namespace green
        catalog green version=4 d   | refused: the catalog of namespace green has been changed by somebody else");
    let mut state = run("namespace green slots=1
        catalog green version=0 a");
    state.apply(Command::SetNamespace { namespace: "green".into(), quota: Quota::default() }).unwrap();
    assert_eq!(state.namespaces["green"].catalog.statements, ["a"], "limits change, and the catalog stays");
    let statements = vec!["x".repeat(Catalog::MOST_BYTES + 1)];
    let refused = state.apply(Command::ReplaceCatalog { namespace: "green".into(), version: 1, statements });
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the catalog of namespace green would have 1048577 bytes, and may have 1048576"
    );
}

#[test]
fn nothing_is_before_the_first_command() {
    let mut state = ClusterState::default();
    let command = Command::SetNamespace { namespace: "blue".into(), quota: Quota::default() };
    assert_eq!(state.apply(command), Err(Refusal::NotFounded));
    assert_eq!(state, ClusterState::default());
    let found = |cluster: &str| Command::Found { cluster: cluster.into(), storage: "file:///a".into() };
    assert!(state.apply(found("")).is_err());
    assert_eq!(state.apply(found("one")), Ok(Applied::Changed));
    assert_eq!(state.apply(found("two")), Ok(Applied::Unchanged));
    assert_eq!(state.cluster, "one");
    assert!(state.namespaces.contains_key(DEFAULT_NAMESPACE));
}

#[test]
fn the_transition_table_is_as_drawn() {
    use JobStatus::*;
    let all = [Scheduling, Deploying, Running, Restarting, Stopped, Finished, Failed, Cancelled];
    let table: Vec<String> = all
        .iter()
        .map(|from| {
            let next = all.iter().filter(|to| from.may_become(**to)).map(|to| format!(" {to}"));
            format!("{from} ->{}", next.collect::<String>())
        })
        .collect();
    assert_eq!(
        table,
        [
            "scheduling -> deploying stopped finished cancelled",
            "deploying -> scheduling running restarting failed cancelled",
            "running -> scheduling restarting stopped finished failed cancelled",
            "restarting -> scheduling stopped finished cancelled",
            "stopped -> scheduling",
            "finished ->",
            "failed -> scheduling",
            "cancelled -> scheduling",
        ]
    );
}
