//! What becomes of a copy of the state, given what is in the storage. A line says what there is of job 1: `kept 4` is what the
//! copy knows of, `manifest 5 by 2` it may not know of (`s` savepoint, `f` end of the input), and behind it stands what is wrong.

use super::*;

/// A job that runs, with checkpoints 1 and 2 of attempt 1; the last is not committed.
const RUNNING: &str = "
    worker a 2
    submit orders 1
    start 1 a
    running 1
    complete 1 1
    commit 1 1
    complete 1 2";

fn found(storage: &str) -> JobFindings {
    let mut found = JobFindings::default();
    for line in storage.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let behind = |word: &str| {
            let place = words.iter().position(|other| *other == word)?;
            words[place + 1].parse::<u64>().ok()
        };
        let flags = words[1];
        let number: u64 = flags.trim_end_matches(['s', 'f']).parse().unwrap();
        let (epoch, attempt) = (Epoch(number), Attempt(behind("by").unwrap_or(1)));
        match words[0] {
            "begun" => found.begun = Some((Attempt(number), behind("from").map(Epoch))),
            "run" => {
                found.last_epoch = found.last_epoch.max(epoch);
                found.last_attempt = found.last_attempt.max(attempt);
            }
            kind => {
                let term = behind("term").unwrap_or(1);
                let path = match kind {
                    "kept" => format!("manifest/{epoch}"),
                    _ => format!("manifest/{epoch}-{attempt}-{term}"),
                };
                let checkpoint = Checkpoint {
                    savepoint: flags.contains('s'),
                    finished: flags.contains('f'),
                    manifest: path.clone(),
                    ..checkpoint(epoch, attempt)
                };
                let damaged = |has_results| Condition::Damaged { why: "bad".into(), has_results };
                let condition = match *words.last().unwrap() {
                    "damaged" => damaged(true),
                    "without-run" => damaged(false),
                    _ => Condition::Whole(checkpoint),
                };
                found.manifests.push(FoundManifest { path, epoch, attempt, term, condition });
                found.last_epoch = found.last_epoch.max(epoch);
                found.last_attempt = found.last_attempt.max(attempt);
            }
        }
    }
    found
}

fn recover(script: &str, storage: &str) -> Recovered {
    let jobs = [(JobId(1), found(storage))].into();
    let findings = Findings { storage: "file:///elsewhere".into(), at: 99_000, jobs };
    let copy = run(script);
    let recovered = super::recovered(copy.clone(), &findings);
    assert_eq!(recovered.state.check(), Ok(()));
    assert!(recovered.state.workers.is_empty());
    assert_eq!(recovered.state.namespaces, copy.namespaces);
    assert_eq!((recovered.state.cluster.as_str(), recovered.state.storage.as_str()), ("test-1", "file:///elsewhere"));
    recovered
}

#[track_caller]
fn check(script: &str, storage: &str, expected: &str) -> Recovered {
    let recovered = recover(script, storage);
    let mut text = print_job(&recovered.state.jobs[&JobId(1)], 99_000);
    if !recovered.jobs[0].doubts.is_empty() {
        text.push_str(", in doubt");
    }
    assert_eq!(text, expected, "{:#?}", recovered.jobs);
    recovered
}

#[test]
fn a_job_that_ran_is_stopped_once_its_last_checkpoint_is_committed() {
    let recovered = check(RUNNING, "kept 1; kept 2", "scheduling 101: 1 2?, to be stopped");
    let mut state = recovered.state;
    state.apply(Command::CommitCheckpoint { job: JobId(1), epoch: Epoch(2), at: 0 }).unwrap();
    assert_eq!(state.jobs[&JobId(1)].status, JobStatus::Stopped);
    state.apply(Command::RestartJob { job: JobId(1), from: None, at: 0 }).unwrap();
    check(&format!("{RUNNING}\ncommit 1 2"), "kept 1; kept 2", "stopped 101: 1 2");
    check("submit orders 1", "", "stopped 100");
    check(&format!("{RUNNING}\ncommit 1 2\nfail 1 environment"), "kept 1; kept 2", "stopped 101: 1 2");
    check(&format!("{RUNNING}\ndrain 1"), "kept 1; kept 2", "scheduling 101: 1 2?, to be stopped");
}

#[test]
fn what_had_ended_stays_as_it_was() {
    check(&format!("{RUNNING}\ncancel 1"), "kept 1; kept 2", "cancelled 101: 1 2?");
    check(&format!("{RUNNING}\ncommit 1 2\nfail 1 user"), "kept 1; kept 2", "failed 101: 1 2");
    let finished = "worker a 2\nsubmit orders 1\nstart 1 a\nrunning 1\ncomplete 1 1f\ncommit 1 1\nend 1";
    check(finished, "kept 1", "finished 101: 1f");
    check(finished, "", "finished 101");
    // An attempt that is over completes nothing any more.
    check(&format!("{RUNNING}\ncancel 1"), "kept 1; kept 2; manifest 3", "cancelled 101: 1 2?");
}

#[test]
fn a_newer_manifest_of_the_last_attempt_counts_and_is_committed_again() {
    let recovered = check(RUNNING, "kept 2; manifest 7; run 9", "scheduling 101: 2 7?, to be stopped");
    let job = &recovered.state.jobs[&JobId(1)];
    assert_eq!((job.last_epoch, job.uncommitted().unwrap().manifest.as_str()), (Epoch(9), "manifest/7-1-1"));
    check(RUNNING, "kept 2; manifest 7f", "scheduling 101: 2 7f?, to be stopped");
    check(RUNNING, "kept 2; manifest 7 term 1; manifest 7 term 2; manifest 6", "scheduling 101: 2 7?, to be stopped");
    // The attempt decides before the epoch does.
    check(RUNNING, "kept 2; manifest 3 by 2; manifest 4; begun 2 from 2", "scheduling 102: 2 3?, to be stopped");
    // So it does for a job that had been stopped in the copy.
    let stopped = format!("{RUNNING}\nstop 1\ncommit 1 2\nend 1");
    check(&stopped, "kept 1; kept 2", "stopped 101: 1 2");
    check(&stopped, "kept 2; manifest 3 by 2; begun 2 from 2", "scheduling 102: 2 3?, to be stopped");
}

#[test]
fn an_attempt_that_began_after_the_copy_says_where_the_job_stands() {
    // What the first attempt wrote behind that was never decided, and its results may be gone.
    check(RUNNING, "kept 2; manifest 3; begun 2 from 2", "stopped 102: 2");
    // It was decided if the next attempt began from it, and then it is committed.
    check(RUNNING, "kept 2; manifest 3; begun 2 from 3", "stopped 102: 2 3");
    let stale = "kept 2; manifest 3; manifest 3 by 2; begun 3 from 3; manifest 3 by 2 term 2 damaged";
    let recovered = check(RUNNING, stale, "stopped 103: 2 3");
    assert_eq!(recovered.state.jobs[&JobId(1)].newest().unwrap().attempt, Attempt(2));
    // A person went back.
    check(RUNNING, "kept 1; kept 2; begun 2 from 1", "stopped 102: 1 2, from 1");
    check("submit orders 1", "begun 1", "stopped 101");
    check(RUNNING, "kept 1; kept 2; begun 2 from 5", "failed 102: 1 2, in doubt");
}

#[test]
fn going_back_that_was_wanted_is_still_wanted() {
    let back = format!("{RUNNING}\ncommit 1 2\nrestart 1 from=1");
    check(&back, "kept 1; kept 2", "stopped 101: 1 2, from 1");
    check(&format!("{back}\nstart 1 a"), "kept 1; kept 2", "stopped 102: 1, from 1");
    check(&format!("{back}\nstart 1 a"), "kept 1; manifest 3 by 2", "scheduling 102: 1 3?, to be stopped");
    check(&back, "kept 2", "failed 101: 2, in doubt");
}

#[test]
fn savepoints_of_the_last_attempt_are_kept() {
    check(RUNNING, "kept 2; manifest 3s; manifest 4; manifest 5", "scheduling 101: 2 3s 5?, to be stopped");
    check(RUNNING, "kept 2; manifest 3s; manifest 5 by 2; begun 2 from 2", "scheduling 102: 2 5?, to be stopped");
}

#[test]
fn a_damaged_checkpoint_is_for_a_person_unless_it_had_no_results() {
    let recovered = check(RUNNING, "kept 2; manifest 6; manifest 7 damaged", "failed 101: 2 6?, in doubt");
    let failure = recovered.state.jobs[&JobId(1)].last_failure.clone().unwrap();
    assert!(failure.report.contains("checkpoint 7 is newer than the copy and damaged: bad"), "{}", failure.report);
    assert!(failure.report.contains("goes on from checkpoint 6"), "{}", failure.report);
    check(RUNNING, "kept 2; manifest 6; manifest 7 without-run", "scheduling 101: 2 6?, to be stopped");
    // Another leader has written it once more.
    check(RUNNING, "kept 2; manifest 7; manifest 7 term 2 damaged", "scheduling 101: 2 7?, to be stopped");
    check(RUNNING, "kept 1; kept 2 damaged", "failed 101: 1, in doubt");
    check(RUNNING, "kept 1", "failed 101: 1, in doubt");
    let nothing = check(RUNNING, "", "failed 101, in doubt");
    assert!(nothing.jobs[0].doubts[1].contains("begins at the beginning"), "{:?}", nothing.jobs);
    // What is older does not matter.
    check(RUNNING, "kept 2", "scheduling 101: 2?, to be stopped");
}

#[test]
fn numbers_go_on_above_everything_in_the_storage() {
    let files = |id: u64| (JobId(id), found("run 1"));
    let findings = Findings { jobs: [files(1), files(2), files(9)].into(), ..Findings::default() };
    let copy = run("submit orders 1\nsubmit clicks 1\nsubmit bids 1\ncancel 2\ndelete 2");
    let recovered = super::recovered(copy, &findings);
    assert_eq!((recovered.lost, recovered.deleted), (vec![JobId(9)], vec![JobId(2)]));
    assert_eq!(recovered.state.next_job, 10 + 100);
    assert_eq!(recovered.state.jobs[&JobId(3)].attempt, Attempt(100));
}
