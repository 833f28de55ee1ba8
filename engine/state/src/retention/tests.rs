//! Nothing that is needed goes, nothing that is not needed stays.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::{Checkpoints, Storage, compaction};

/// One epoch of a job.
#[derive(Debug, Clone)]
struct Step {
    rows: Vec<i64>,
    /// Its upload stops half-way, and the process with it: the files are orphans.
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
    let checkpoints = Checkpoints::new(storage.clone());
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
            attempt = checkpoints.begin_attempt().unwrap();
            continue;
        }
        let header = crate::ManifestHeader { savepoint: step.savepoint, attempt, ..header(epoch.0) };
        let committables = if step.commits { committables() } else { Vec::new() };
        let mut manifest = Manifest::following(written.last(), header, snapshot.operators, committables);
        let state = manifest.operators[0].tables[0].clone();
        if step.merges && state.runs.len() > 1 {
            let prefix = layout::runs_prefix(epoch, attempt, "merge");
            let run = compaction::merge(&*storage, &state, 0..2, &prefix).unwrap();
            manifest.replace_runs(&uid(), &schema.name, &state.runs[..2], run);
        }
        checkpoints.write(&manifest).unwrap();
        written.push(manifest);
        if step.acknowledged {
            checkpoints.acknowledge_commit(epoch).unwrap();
            acknowledged.insert(epoch);
        }
        checkpoints.retire(keep).unwrap();
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
        let unsettled = manifest.has_committables() && !acknowledged.contains(&manifest.epoch);
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

fn three_checkpoints() -> (Vec<Manifest>, Vec<String>) {
    let storage = Arc::new(MemoryStorage::default());
    let checkpoints = Checkpoints::new(storage.clone());
    let schema = table(Kind::Timeless);
    let mut manifests: Vec<Manifest> = Vec::new();
    for epoch in 1..=3 {
        let row = Row { number: Some(0), word: None, time: None, value: 0 };
        let tables = vec![captured(&schema, vec![capture(&schema, &[(row, true)], None)])];
        let manifest = checkpoint(&*storage, None, epoch, tables);
        checkpoints.write(&manifest).unwrap();
        manifests.push(manifest);
    }
    (manifests, storage.list("").unwrap())
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_all_that_it_may_name() {
    let (manifests, listing) = three_checkpoints();
    let all = plan(&manifests, 1, &listing);
    assert_eq!((all.manifests.len(), all.files.len()), (2, 2));
    let without_second = [manifests[0].clone(), manifests[2].clone()];
    let careful = plan(&without_second, 1, &listing);
    assert_eq!(careful.manifests, [layout::manifest(Epoch(1))]);
    assert!(careful.files.is_empty(), "{careful:?}");
    let without_first = plan(&manifests[1..], 1, &listing);
    assert_eq!(without_first.files, [manifests[1].runs().next().unwrap().file.clone()]);
}

#[test]
fn without_a_manifest_nothing_is_deleted() {
    let (_, listing) = three_checkpoints();
    assert_eq!(plan(&[], 1, &listing), Retirement::default());
}

#[test]
fn the_newest_checkpoint_stays_even_if_none_is_to_be_kept() {
    let (manifests, listing) = three_checkpoints();
    assert_eq!(plan(&manifests, 0, &listing), plan(&manifests, 1, &listing));
}

#[test]
fn of_the_attempts_of_a_cluster_the_last_one_is_known() {
    let (manifests, mut listing) = three_checkpoints();
    let begun = |attempt, from| layout::beginning_of_attempt(Attempt(attempt), from);
    let notes = [begun(1, None), begun(2, Some(Epoch(1))), begun(10, Some(Epoch(2)))];
    listing.extend(notes.clone());
    let retained: Vec<_> =
        manifests.iter().map(|manifest| (layout::manifest(manifest.epoch), manifest.clone())).collect();
    let retirement = plan_for(&retained, &listing);
    assert_eq!((retirement.manifests.len(), &retirement.files[..]), (0, &notes[..2]));
}
