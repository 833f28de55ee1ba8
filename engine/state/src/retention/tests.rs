//! Nothing that is needed goes, nothing that is not needed stays.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::{Checkpoints, Storage, compaction};

/// One epoch of a job.
#[derive(Debug, Clone)]
struct Step {
    rows: Vec<i64>,
    /// Its upload stops half-way, and the process with it: the files are orphans until the next attempt's first checkpoint.
    dies: bool,
    savepoint: bool,
    commits: bool,
    acknowledged: bool,
    merges: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let flag = |chance| prop::bool::weighted(chance);
    (prop::collection::vec(0..20_i64, 0..8), flag(0.2), flag(0.15), flag(0.7), flag(0.8), flag(0.4)).prop_map(
        |(rows, dies, savepoint, commits, acknowledged, merges)| Step {
            rows,
            dies,
            savepoint,
            commits,
            acknowledged,
            merges,
        },
    )
}

fn run_job(steps: &[Step], keep: usize) {
    let storage = Arc::new(MemoryStorage::default());
    let mut checkpoints = Checkpoints::new(storage.clone());
    let schema = table(Kind::TimeInValue);
    let mut attempt = checkpoints.begin_attempt().unwrap();
    let mut written: Vec<Manifest> = Vec::new();
    let mut acknowledged: BTreeSet<Epoch> = BTreeSet::new();
    storage.put("notes.txt", b"not Weir's").unwrap();
    for (epoch, step) in (1..).map(Epoch).zip(steps) {
        let rows: Vec<(Row, bool)> =
            step.rows.iter().map(|n| (Row { number: Some(*n), word: None, time: None, value: 0 }, true)).collect();
        let tables = vec![captured(&schema, vec![capture(&schema, &rows, None)])];
        let snapshot = crate::encode(tables, &layout::runs_prefix(epoch, attempt, "w")).unwrap();
        snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
        let in_flight: Vec<&String> = snapshot.files.iter().map(|(path, _)| path).collect();
        checkpoints.retire(keep).unwrap();
        let listing = storage.list("").unwrap();
        assert!(in_flight.iter().all(|path| listing.contains(path)), "an upload was deleted");
        if step.dies {
            checkpoints = Checkpoints::new(storage.clone());
            attempt = checkpoints.begin_attempt().unwrap();
            continue;
        }
        let header = crate::ManifestHeader { savepoint: step.savepoint, attempt, ..header(epoch.0) };
        let committables = if step.commits { committables() } else { Vec::new() };
        let mut manifest = Manifest::following(written.last(), header, snapshot.operators, committables);
        let state = written.last().map(|last| last.operators[0].tables[0].clone());
        if let Some(state) = state.filter(|state| step.merges && state.runs.len() > 1) {
            let prefix = layout::runs_prefix(epoch, attempt, "merge");
            let run = compaction::merge(&*storage, &state, 0..2, &prefix).unwrap();
            assert!(manifest.replace_runs(&uid(), &schema.name, &state.runs[..2], run));
        }
        checkpoints.write(&manifest).unwrap();
        let is_first = written.last().is_none_or(|last| last.attempt != attempt);
        written.push(manifest);
        if step.acknowledged {
            checkpoints.acknowledge_commit(epoch).unwrap();
            acknowledged.insert(epoch);
        }
        storage.listings.store(0, Ordering::Relaxed);
        storage.bytes_read.store(0, Ordering::Relaxed);
        checkpoints.retire(keep).unwrap();
        let (read, listed) = (storage.bytes_read.load(Ordering::Relaxed), storage.listings.load(Ordering::Relaxed));
        assert!(is_first || (read, listed) == (0, 0), "what is retained is known");
        judge(&storage, &checkpoints, &written, &acknowledged, keep);
    }
}

/// What has to be there, worked out from the whole history.
fn judge(
    storage: &MemoryStorage,
    checkpoints: &Checkpoints,
    written: &[Manifest],
    acknowledged: &BTreeSet<Epoch>,
    keep: usize,
) {
    let newest = written.len() - keep.min(written.len());
    let mut expected: BTreeSet<String> = BTreeSet::from(["notes.txt".to_owned()]);
    for (age, manifest) in written.iter().enumerate() {
        // Commits are made in order: the last one speaks for all before it.
        let unsettled = manifest.has_committables() && Some(&manifest.epoch) > acknowledged.last();
        if age >= newest || manifest.savepoint || unsettled {
            expected.insert(layout::manifest(manifest.epoch));
            expected.extend(manifest.runs().map(|run| run.file.clone()));
            expected.extend(acknowledged.get(&manifest.epoch).map(|epoch| layout::commit(*epoch)));
            checkpoints.verify(manifest).unwrap();
        }
    }
    let listing = storage.list("").unwrap();
    let there: BTreeSet<String> = listing.into_iter().filter(|path| !path.starts_with(layout::ATTEMPTS)).collect();
    assert_eq!(there, expected);
    assert_eq!(storage.list(layout::ATTEMPTS).unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn exactly_what_is_needed_stays(steps in prop::collection::vec(step(), 1..14), keep in 1..4_usize) {
        run_job(&steps, keep);
    }
}

/// Three checkpoints of attempts 1, 1 and 2, each with a run of its own.
struct Three {
    storage: Arc<MemoryStorage>,
    manifests: Vec<Manifest>,
}

impl Three {
    fn new() -> Self {
        let storage = Arc::new(MemoryStorage::default());
        let schema = table(Kind::Timeless);
        let mut manifests: Vec<Manifest> = Vec::new();
        for (epoch, attempt) in [(1, 1), (2, 1), (3, 2)] {
            let row = Row { number: Some(0), word: None, time: None, value: 0 };
            let tables = vec![captured(&schema, vec![capture(&schema, &[(row, true)], None)])];
            let prefix = layout::runs_prefix(Epoch(epoch), Attempt(attempt), "worker-0");
            let snapshot = crate::encode(tables, &prefix).unwrap();
            snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
            let header = crate::ManifestHeader { attempt: Attempt(attempt), ..header(epoch) };
            manifests.push(Manifest::following(None, header, snapshot.operators, Vec::new()));
        }
        manifests.iter().for_each(|manifest| storage.put(&cluster_path(manifest), b"").unwrap());
        Self { storage, manifests }
    }

    /// What is known of those.
    fn known(&self, of: &[usize]) -> Retained {
        let mut retained = Retained::default();
        of.iter().for_each(|index| retained.insert(&cluster_path(&self.manifests[*index]), &self.manifests[*index]));
        retained
    }

    fn run(&self, index: usize) -> String {
        self.manifests[index].files().next().unwrap().to_owned()
    }

    fn path(&self, index: usize) -> String {
        cluster_path(&self.manifests[index])
    }
}

fn cluster_path(manifest: &Manifest) -> String {
    layout::manifest_of_term(manifest.epoch, manifest.attempt, 1)
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_all_that_it_may_name() {
    let three = Three::new();
    let mut known = three.known(&[0, 2]);
    known.insert_unreadable(Epoch(2));
    let retirement = known.keep_only(|path| path == three.path(2));
    assert_eq!((retirement.manifests, retirement.files), (vec![three.path(0)], vec![]));
    let listing = [three.run(0), three.run(1), three.run(2), layout::commit(Epoch(1))];
    assert_eq!(known.orphans(&listing).files, Vec::<String>::new());
    let careless = three.known(&[0, 2]).orphans(&[&listing[..], &[layout::commit(Epoch(2))]].concat());
    assert_eq!(careless.files, [three.run(1), layout::commit(Epoch(2))]);
}

#[test]
fn where_nothing_is_kept_nothing_is_deleted() {
    let three = Three::new();
    let listing = three.storage.list("").unwrap();
    assert_eq!(Retained::default().orphans(&listing), Retirement::default());
    let mut known = three.known(&[0, 1, 2]);
    assert_eq!(known.keep_only(|_| false), Retirement::default());
}

#[test]
fn whoever_has_not_heard_of_a_checkpoint_does_not_delete_it() {
    let three = Three::new();
    let mut known = three.known(&[0, 1, 2]);
    // A request that was overtaken by the completion of the third.
    let retirement = known.keep_only(|path| path == three.path(1));
    assert_eq!((retirement.manifests, retirement.files), (vec![three.path(0)], vec![three.run(0)]));
    let retirement = known.keep_only(|path| path == three.path(2));
    assert_eq!((retirement.manifests, retirement.files), (vec![three.path(1)], vec![three.run(1)]));
}

#[test]
fn what_the_next_checkpoint_may_name_is_no_orphan() {
    let three = Three::new();
    let of = |epoch, attempt| layout::runs_prefix(Epoch(epoch), Attempt(attempt), "w");
    // The first attempt died in epoch 3, and what the second one uploads begins with epoch 2 because a damaged checkpoint was
    // passed over.
    let listing = [of(3, 1), of(2, 2), of(4, 1), of(4, 2), of(3, 3)];
    let known = |of: &[usize]| three.known(of).orphans(&listing).files;
    assert_eq!(known(&[0]), Vec::<String>::new());
    assert_eq!(known(&[1]), Vec::<String>::new(), "the second attempt has no checkpoint yet");
    assert_eq!(known(&[1, 2]), [of(3, 1), of(2, 2)]);
}

#[test]
fn what_could_not_be_deleted_is_tried_again_unless_it_is_needed_by_then() {
    let three = Three::new();
    let mut known = three.known(&[0, 1]);
    let retirement = known.keep_only(|path| path == three.path(1));
    known.give_back(retirement.clone());
    assert_eq!(known.keep_only(|path| path == three.path(1)), retirement);
    known.give_back(retirement);
    let again = Manifest { operators: three.manifests[0].operators.clone(), ..three.manifests[2].clone() };
    known.insert(&three.path(2), &again);
    let retirement = known.keep_only(|path| path == three.path(2));
    assert_eq!(retirement.files, [three.run(1)]);
}

#[test]
fn of_the_attempts_of_a_cluster_the_last_one_is_known() {
    let three = Three::new();
    let begun = |attempt, from| layout::beginning_of_attempt(Attempt(attempt), from);
    let notes = [begun(1, None), begun(2, Some(Epoch(1))), begun(10, Some(Epoch(2)))];
    let orphans = three.known(&[0, 1, 2]).orphans(&[three.storage.list("").unwrap(), notes.to_vec()].concat());
    assert_eq!((orphans.manifests.len(), &orphans.files[..]), (0, &notes[..2]));
}

#[test]
fn a_manifest_that_nobody_decided_on_goes_once_it_is_overtaken() {
    let three = Three::new();
    let undecided = |epoch, attempt| layout::manifest_of_term(Epoch(epoch), Attempt(attempt), 7);
    let listing = [undecided(2, 1), undecided(3, 3), undecided(4, 1), three.path(2)];
    assert_eq!(three.known(&[0, 2]).orphans(&listing).manifests, [undecided(2, 1)]);
}

#[test]
fn the_manifest_of_a_later_leader_stays_though_an_earlier_one_knows_its_own() {
    let three = Three::new();
    let of_term = |term| layout::manifest_of_term(Epoch(3), three.manifests[2].attempt, term);
    let mut known = three.known(&[0, 1]);
    known.insert(&of_term(4), &three.manifests[2]);
    let listing = [3, 4, 5].map(of_term);
    assert_eq!(known.orphans(&listing).manifests, [of_term(3)]);
}

/// A retirement of an earlier term that comes to its turn while what a later leader has written is read in.
#[test]
fn a_retirement_that_does_not_know_of_the_newest_manifest_looks_for_no_orphans() {
    let three = Three::new();
    let known = Mutex::new(Retained::default());
    lock(&known).insert(&three.path(0), &three.manifests[0]);
    lock(&known).others_were_here();
    lock(&known).insert(&three.path(2), &three.manifests[2]);
    let before = three.storage.list("").unwrap();
    retire(&known, &*three.storage, |path| path == three.path(0)).unwrap();
    assert_eq!(three.storage.list("").unwrap(), before, "the second manifest was only not read yet");
    assert!(lock(&known).is_sweep_due());
}

#[test]
fn orphans_are_looked_for_once_an_attempt_and_then_seldom() {
    let three = Three::new();
    let mut known = three.known(&[0]);
    assert!(!Retained::default().is_sweep_due() && known.is_sweep_due());
    known.orphans(&[]);
    known.insert(&three.path(1), &three.manifests[1]);
    assert!(!known.is_sweep_due());
    known.insert(&three.path(2), &three.manifests[2]);
    assert!(known.is_sweep_due(), "another attempt");
    known.orphans(&[]);
    known.insert(&three.path(2), &Manifest { finished: true, ..three.manifests[2].clone() });
    assert!(known.is_sweep_due(), "the last one may have taken the place of one that was stored in part");
    known.orphans(&[]);
    let retirements = (1..).take_while(|_| {
        known.keep_only(|_| true);
        !known.is_sweep_due()
    });
    assert_eq!(retirements.count() + 1, SWEEP_AFTER as usize);
}
