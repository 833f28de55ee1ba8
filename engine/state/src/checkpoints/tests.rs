//! From where a job goes on, and when it must not.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::*;

struct Job {
    storage: Arc<MemoryStorage>,
    checkpoints: Checkpoints,
    last: Option<Manifest>,
}

impl Job {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        Self { checkpoints: Checkpoints::new(storage.clone()), storage, last: None }
    }

    /// A checkpoint with one row more, and results to commit if `commits`.
    fn checkpoint(&mut self, commits: bool) {
        let epoch = self.checkpoints.last_epoch().unwrap().0 + 1;
        let schema = table(Kind::Timeless);
        let row = Row { number: Some(epoch as i64), word: None, time: None, value: 0 };
        let tables = vec![captured(&schema, vec![capture(&schema, &[(row, true)], None)])];
        let mut manifest = checkpoint(&*self.storage, self.last.as_ref(), epoch, tables);
        if commits {
            manifest.committables = committables();
        }
        self.checkpoints.write(&manifest).unwrap();
        self.last = Some(manifest);
    }

    fn newest_run(&self) -> String {
        self.last.as_ref().unwrap().runs().last().unwrap().file.clone()
    }

    fn damage(&self, path: &str) {
        let mut objects = self.storage.objects.lock().unwrap();
        let bytes = objects.get_mut(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }

    fn refused(&self, file: &str) -> Error {
        let error = self.checkpoints.latest().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.report().contains(&self.storage.locate(file)), "{}", error.report());
        assert!(error.help().is_some());
        error
    }
}

#[test]
fn the_newest_checkpoint_is_where_the_job_goes_on() {
    let mut job = Job::new();
    assert_eq!(job.checkpoints.latest().unwrap(), None);
    assert_eq!(job.checkpoints.last_epoch().unwrap(), Epoch(0));
    (0..12).for_each(|_| job.checkpoint(true));
    assert_eq!(job.checkpoints.latest().unwrap(), job.last);
    assert_eq!(job.checkpoints.last_epoch().unwrap(), Epoch(12));
    job.checkpoints.write(job.last.as_ref().unwrap()).unwrap();
}

#[test]
fn every_damaged_byte_is_found_before_the_job_starts() {
    let mut job = Job::new();
    job.checkpoint(true);
    let paths = [job.newest_run(), layout::manifest(Epoch(1))];
    for path in paths {
        let good = job.storage.get(&path).unwrap();
        for byte in 0..good.len() {
            let mut bad = good.clone();
            bad[byte] ^= 1 << (byte % 8);
            job.storage.objects.lock().unwrap().insert(path.clone(), bad);
            let error = job.checkpoints.latest().unwrap_err();
            assert!(error.report().contains(&job.storage.locate(&path)), "byte {byte} of {path}: {error}");
        }
        job.storage.objects.lock().unwrap().insert(path, good);
    }
    assert_eq!(job.checkpoints.latest().unwrap(), job.last);
}

#[test]
fn results_that_may_be_out_are_not_made_again() {
    let mut job = Job::new();
    job.checkpoint(true);
    job.checkpoint(true);
    let file = job.newest_run();
    job.damage(&file);
    let error = job.refused(&file);
    assert!(error.help().unwrap().contains(&job.storage.locate(&layout::manifest(Epoch(2)))), "{error}");
    job.checkpoints.acknowledge_commit(Epoch(2)).unwrap();
    job.refused(&file);
}

#[test]
fn a_missing_file_is_named() {
    let mut job = Job::new();
    job.checkpoint(true);
    let file = job.newest_run();
    job.storage.delete(&file).unwrap();
    job.refused(&file);
}

#[test]
fn a_checkpoint_that_committed_nothing_is_passed_over() {
    let mut job = Job::new();
    job.checkpoint(true);
    let good = job.last.clone();
    job.checkpoint(false);
    job.damage(&job.newest_run());
    assert_eq!(job.checkpoints.latest().unwrap(), good);
    job.last = good;
    // The number of the damaged one is not used again, so the next one finds its place free.
    job.checkpoint(true);
    assert_eq!(job.last.as_ref().unwrap().epoch, Epoch(3));
    assert_eq!(job.checkpoints.latest().unwrap(), job.last);
}

#[test]
fn an_unreadable_manifest_may_have_committed_anything() {
    let mut job = Job::new();
    job.checkpoint(false);
    job.checkpoint(false);
    let manifest = layout::manifest(Epoch(2));
    job.damage(&manifest);
    job.refused(&manifest);
}

#[test]
fn the_job_never_begins_anew_behind_damage() {
    let mut job = Job::new();
    job.checkpoint(false);
    job.damage(&job.newest_run());
    let error = job.refused(&job.newest_run());
    let choices = ["bring the file back from a copy", "start afresh in another --state-dir"];
    assert!(choices.iter().all(|choice| error.help().unwrap().contains(choice)), "{}", error.report());
}

#[test]
fn what_has_not_been_acknowledged_is_committed_again_in_order() {
    let mut job = Job::new();
    for commits in [true, true, false, true] {
        job.checkpoint(commits);
    }
    job.checkpoints.acknowledge_commit(Epoch(1)).unwrap();
    job.checkpoints.acknowledge_commit(Epoch(1)).unwrap();
    let epochs: Vec<Epoch> = job.checkpoints.uncommitted().unwrap().iter().map(|manifest| manifest.epoch).collect();
    assert_eq!(epochs, [Epoch(2), Epoch(4)]);
    job.damage(&layout::manifest(Epoch(2)));
    assert_eq!(job.checkpoints.uncommitted().unwrap_err().kind(), ErrorKind::Data);
}

#[test]
fn no_attempt_has_the_number_of_another() {
    let mut job = Job::new();
    assert_eq!(job.checkpoints.begin_attempt().unwrap(), Attempt(1));
    assert_eq!(job.checkpoints.begin_attempt().unwrap(), Attempt(2));
    job.checkpoint(true);
    job.checkpoints.retire(1).unwrap();
    assert_eq!(job.checkpoints.begin_attempt().unwrap(), Attempt(3), "also when old ones are gone");
}

#[test]
fn a_manifest_that_was_moved_is_refused() {
    let mut job = Job::new();
    job.checkpoint(true);
    let bytes = job.storage.get(&layout::manifest(Epoch(1))).unwrap();
    job.storage.put(&layout::manifest(Epoch(7)), &bytes).unwrap();
    job.refused(&layout::manifest(Epoch(7)));
}

/// A job whose sinks stage a run each epoch; a checkpoint that failed leaves what it had to the next one.
struct Staging {
    job: Job,
    left: Vec<crate::StagedRun>,
}

impl Staging {
    /// The manifest of an epoch is written; `told`: and the job has heard of that.
    fn checkpoint(&mut self, epoch: u64, told: bool) {
        let file = format!("{}.arrow", layout::runs_prefix(Epoch(epoch), Attempt(1), "staged"));
        self.job.storage.put(&file, b"rows").unwrap();
        self.left.push(crate::StagedRun { file, rows: 1, length: 4, crc32: 0 });
        let mut manifest = Manifest::following(None, header(epoch), Vec::new(), committables());
        manifest.committables[0].staged.clone_from(&self.left);
        self.job.checkpoints.write(&manifest).unwrap();
        if told {
            self.left.clear();
        }
    }

    /// Which epochs' rows are to be committed with which.
    fn uncommitted(&self) -> Vec<(u64, Vec<u64>)> {
        let epoch_of = |run: &crate::StagedRun| layout::epoch_of_run(&run.file).unwrap().0;
        let manifests = self.job.checkpoints.uncommitted().unwrap();
        manifests.iter().map(|manifest| (manifest.epoch.0, manifest.staged().map(epoch_of).collect())).collect()
    }
}

#[test]
fn rows_of_a_manifest_that_only_seemed_to_fail_are_committed_once() {
    let mut staging = Staging { job: Job::new(), left: Vec::new() };
    staging.checkpoint(1, true);
    staging.checkpoint(4, false);
    staging.checkpoint(5, true);
    assert_eq!(staging.uncommitted(), [(1, vec![1]), (4, vec![4]), (5, vec![5])]);
    staging.job.checkpoints.acknowledge_commit(Epoch(4)).unwrap();
    assert_eq!(staging.uncommitted(), [(5, vec![5])], "killed between the two");
}

#[test]
fn a_commit_speaks_for_the_manifest_before_it_that_nobody_knew_of() {
    let mut staging = Staging { job: Job::new(), left: Vec::new() };
    staging.checkpoint(4, false);
    staging.checkpoint(5, true);
    // The job went on, and has committed the second, with the rows of both.
    staging.job.checkpoints.acknowledge_commit(Epoch(5)).unwrap();
    assert_eq!(staging.uncommitted(), []);
}

#[test]
fn staged_rows_stay_until_they_are_committed_and_retire_with_their_manifest() {
    let mut staging = Staging { job: Job::new(), left: Vec::new() };
    staging.checkpoint(1, true);
    staging.checkpoint(2, true);
    let rows = |staging: &Staging| staging.job.storage.list(layout::RUNS).unwrap().len();
    staging.job.checkpoints.retire(1).unwrap();
    assert_eq!(rows(&staging), 2);
    staging.job.checkpoints.acknowledge_commit(Epoch(1)).unwrap();
    staging.job.checkpoints.retire(1).unwrap();
    assert_eq!(rows(&staging), 1);
    staging.job.checkpoints.acknowledge_commit(Epoch(2)).unwrap();
    staging.checkpoint(3, true);
    staging.job.checkpoints.retire(1).unwrap();
    assert_eq!(staging.job.storage.list(layout::RUNS).unwrap(), ["runs/0000000000000003-1-staged.arrow"]);
}

/// Storage took the manifest of epoch 4 after the job had gone on without it.
#[test]
fn a_manifest_that_was_written_too_late_retires_like_any_other() {
    for restarted in [false, true] {
        let mut staging = Staging { job: Job::new(), left: Vec::new() };
        if !restarted {
            // What earlier executions have left is known: nothing.
            staging.job.checkpoints.retire(1).unwrap();
        }
        staging.checkpoint(5, false);
        staging.job.checkpoints.acknowledge_commit(Epoch(5)).unwrap();
        staging.checkpoint(4, true);
        if restarted {
            staging.job.checkpoints = Checkpoints::new(staging.job.storage.clone());
        }
        staging.job.checkpoints.retire(1).unwrap();
        assert_eq!(staging.job.checkpoints.epochs().unwrap(), [Epoch(5)], "restarted: {restarted}");
    }
}
