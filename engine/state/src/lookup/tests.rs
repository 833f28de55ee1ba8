//! What is found by key, and by time, equals what a map holds, through deletions, expiry and any number of runs.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::testing::*;
use crate::{Manifest, OperatorDelta};

/// Rows put (`true`) and deleted in one epoch, and how far expiry goes on in it.
type Step = (Vec<(Row, bool)>, i64);

fn row() -> impl Strategy<Value = Row> {
    let word = prop::option::weighted(0.8, prop_oneof![Just(""), Just("a"), Just("a word too long for a view")]);
    (prop::option::weighted(0.9, 0..6_i64), word, 0..40_i64, 0..1000_i64).prop_map(|(number, word, time, value)| Row {
        number,
        word: word.map(str::to_owned),
        time: Some(time),
        value,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((row(), prop::bool::weighted(0.8)), 0..12);
    (rows, prop_oneof![2 => Just(0_i64), 1 => 1..8_i64])
}

/// Stores the steps as an operator's runs: the first ones of a checkpoint that it goes on from, the others as they come.
fn stored(kind: Kind, steps: &[Step], before: usize) -> (StateStore, Model, i64) {
    let storage = Arc::new(MemoryStorage::default());
    let schema = table(kind);
    let (mut model, mut expired) = (Model::new(kind), 0);
    let mut encoded = |epoch: usize| -> Vec<OperatorDelta> {
        let (rows, expires) = &steps[epoch];
        let rows: Vec<_> = rows.iter().map(|(row, put)| (row.clone(), *put || kind == Kind::Keyless)).collect();
        expired += expires;
        rows.iter().for_each(|(row, put)| model.apply(row, *put));
        let expired = (expired > 0).then_some(EventTime(expired));
        model.expire(expired);
        let tables = vec![captured(&schema, vec![capture(&schema, &rows, expired)])];
        let snapshot = crate::encode(tables, &format!("runs/{epoch}")).unwrap();
        snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
        snapshot.operators
    };
    let mut manifest: Option<Manifest> = None;
    for epoch in 0..before {
        let deltas = encoded(epoch);
        manifest = Some(Manifest::following(manifest.as_ref(), header(epoch as u64 + 1), deltas, Vec::new()));
    }
    let checkpoint = manifest.as_ref().map(|manifest| (manifest.epoch, &manifest.operators[0]));
    let store = StateStore::new(storage.clone(), (uid(), Attempt(1)), vec![schema.clone()], checkpoint).unwrap();
    for epoch in before..steps.len() {
        encoded(epoch).iter().for_each(|delta| store.add(Epoch(epoch as u64 + 1), &delta.tables));
    }
    (store, model, expired)
}

/// Stores rows as a run of its own.
fn write(storage: &MemoryStorage, schema: &TableSchema, rows: &[(Row, bool)], path_prefix: &str) -> Vec<OperatorDelta> {
    let tables = vec![captured(schema, vec![capture(schema, rows, None)])];
    let snapshot = crate::encode(tables, path_prefix).unwrap();
    snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
    snapshot.operators
}

/// Merges all runs of a manifest's only table, and stores that as the manifest of its epoch.
fn merge_and_put(storage: &MemoryStorage, manifest: &Manifest, path_prefix: &str) -> Manifest {
    let table = manifest.operators[0].tables[0].clone();
    let into = crate::compaction::merge(storage, &table, 0..table.runs.len(), path_prefix).unwrap();
    let mut merged = manifest.clone();
    assert!(merged.replace_runs(&uid(), &table.schema.name, &table.runs, into));
    let path = layout::manifest_of_term(merged.epoch, merged.attempt, 1);
    storage.put(&path, &merged.to_bytes().unwrap()).unwrap();
    merged
}

fn flat(tables: &[TableRows]) -> Vec<Row> {
    let mut rows: Vec<Row> = tables.iter().flatten().flat_map(|(rows, _)| rows_of(rows)).collect();
    rows.sort();
    rows
}

fn check(kind: Kind, steps: &[Step], before: usize, wanted: &[i64], due: i64) {
    let (store, model, expired) = stored(kind, steps, before);
    let expired = (expired > 0 && kind != Kind::Timeless).then_some(EventTime(expired));
    let mut hashes: Vec<u64> =
        wanted.iter().map(|number| Row { number: Some(*number), word: None, time: None, value: 0 }.hash()).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let found = flat(&store.lookup(&hashes, &[expired]).unwrap());
    let expected: Vec<Row> = model.rows().into_iter().filter(|row| hashes.contains(&row.hash())).collect();
    assert_eq!(found, expected, "{kind:?}: by hash");
    if kind == Kind::Timeless {
        return;
    }
    let times = [Times { expired, due: Some(EventTime(due)), settled: Some(EventTime(due)) }];
    for parallelism in 1..3 {
        let (mut found, mut least) = (Vec::new(), EventTime::MAX);
        for subtask in 0..parallelism {
            let due = store.due_slices(HashRange::of_subtask(subtask, parallelism), &times).unwrap();
            least = least.min(due.least[0]);
            for slice in due.slices {
                let rows = store.due(slice, &times).unwrap();
                least = least.min(rows.least[0]);
                found.extend(flat(&rows.rows));
            }
        }
        found.sort();
        let is_due = |row: &Row| row.time.is_some_and(|time| time <= due);
        let (expected, others): (Vec<Row>, Vec<Row>) = model.rows().into_iter().partition(is_due);
        assert_eq!(found, expected, "{kind:?}: by time");
        let first = others.iter().filter_map(|row| row.time).min().map_or(EventTime::MAX, EventTime);
        assert!(least <= first && least > EventTime(due), "{kind:?}: {least} where the next row is at {first}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_found_equals_a_map(
        steps in prop::collection::vec(step(), 1..10),
        before in 0..5_usize,
        wanted in prop::collection::vec(0..6_i64, 0..4),
        due in 0..45_i64,
    ) {
        let before = before.min(steps.len());
        KINDS.into_iter().for_each(|kind| check(kind, &steps, before, &wanted, due));
    }
}

#[test]
fn a_lookup_reads_the_blocks_that_can_hold_its_keys_and_each_footer_once() {
    let storage = Arc::new(MemoryStorage::default());
    let schema = table(Kind::Timeless);
    let numbered = (0..400).map(|number| (Row { number: Some(number), word: None, time: None, value: number }, true));
    let rows: Vec<_> = numbered.collect();
    let deltas = write(&storage, &schema, &rows, "runs/1");
    let run = deltas[0].tables[0].runs[0].clone();
    let store = StateStore::new(storage.clone(), (uid(), Attempt(1)), vec![schema], None).unwrap();
    store.add(Epoch(1), &deltas[0].tables);
    let read = |hashes: &[u64]| {
        storage.bytes_read.store(0, Ordering::Relaxed);
        let found = flat(&store.lookup(hashes, &[None]).unwrap()).len();
        (found, storage.bytes_read.load(Ordering::Relaxed))
    };
    let key = rows[3].0.hash();
    let (found, first) = read(&[key]);
    let (_, again) = read(&[key]);
    assert_eq!((found, first - again), (80, run.footer_length));
    assert!(again < (run.length - run.footer_length) / 4, "{again} of {} bytes for a fifth of the keys", run.length);
    assert_eq!(read(&[key + 1]), (0, 0), "no block can hold that key");
}

/// Two attempts have written a checkpoint for one epoch; each goes on with what its own one names.
#[test]
fn runs_that_were_merged_are_found_where_the_newest_manifest_of_the_attempt_says() {
    let storage = Arc::new(MemoryStorage::default());
    let schema = table(Kind::Timeless);
    let row = |number, value| (Row { number: Some(number), word: None, time: None, value }, true);
    let stored = |epoch: u64, name: &str, value: i64| {
        write(&storage, &schema, &[row(epoch as i64, value)], &format!("runs/{epoch}-{name}"))
    };
    let store = StateStore::new(storage.clone(), (uid(), Attempt(2)), vec![schema.clone()], None).unwrap();
    let mut manifest: Option<Manifest> = None;
    let mut files = Vec::new();
    for epoch in 1..4 {
        let deltas = stored(epoch, "mine", 1);
        files.extend(deltas[0].tables[0].runs.iter().map(|run| run.file.clone()));
        store.add(Epoch(epoch), &deltas[0].tables);
        manifest = Some(Manifest::following(manifest.as_ref(), header(epoch), deltas, Vec::new()));
    }
    merge_and_put(&storage, &Manifest { attempt: Attempt(2), ..manifest.unwrap() }, "runs/merged");
    let of_others = Manifest::following(None, header(5), stored(5, "others", 2), Vec::new());
    let path = layout::manifest_of_term(of_others.epoch, of_others.attempt, 1);
    storage.put(&path, &of_others.to_bytes().unwrap()).unwrap();
    let late = stored(4, "mine", 1);
    store.add(Epoch(4), &late[0].tables);
    files.iter().for_each(|file| storage.delete(file).unwrap());
    let hashes: std::collections::BTreeSet<u64> = (0..6).map(|number| row(number, 0).0.hash()).collect();
    let hashes: Vec<u64> = hashes.into_iter().collect();
    let found = flat(&store.lookup(&hashes, &[None]).unwrap());
    let found: Vec<_> = found.iter().map(|row| (row.number.unwrap(), row.value)).collect();
    assert_eq!(found, [(1, 1), (2, 1), (3, 1), (4, 1)]);
}

/// Rows of a block that is read for others are seen one by one; those of a block that is not read, by its footer.
#[test]
fn rows_that_a_merge_moves_into_a_later_block_still_count_as_the_next_ones() {
    for kind in [Kind::TimeInKey, Kind::Keyless] {
        let storage = Arc::new(MemoryStorage::default());
        let schema = table(kind);
        let row = |number, word: &str, time| {
            (Row { number: Some(number), word: Some(word.to_owned()), time: Some(time), value: 0 }, true)
        };
        let mixed = [row(0, "a", 5), row(0, "b", 5), row(1, "a", 50), row(1, "b", 50)];
        let early = [row(0, "c", 5), row(0, "d", 5)];
        let store = StateStore::new(storage.clone(), (uid(), Attempt(1)), vec![schema.clone()], None).unwrap();
        let mut manifest: Option<Manifest> = None;
        for (epoch, rows) in [(1, &mixed[..]), (2, &early[..])] {
            let deltas = write(&storage, &schema, rows, &format!("runs/{epoch}"));
            store.add(Epoch(epoch), &deltas[0].tables);
            manifest = Some(Manifest::following(manifest.as_ref(), header(epoch), deltas, Vec::new()));
        }
        let manifest = manifest.unwrap();
        let times = [Times { expired: None, due: Some(EventTime(10)), settled: Some(EventTime(10)) }];
        let due = store.due_slices(HashRange::ALL, &times).unwrap();

        merge_and_put(&storage, &manifest, "runs/merged");
        manifest.operators[0].tables[0].runs.iter().for_each(|run| storage.delete(&run.file).unwrap());

        let found: Vec<DueRows> = due.slices.iter().map(|slice| store.due(*slice, &times).unwrap()).collect();
        assert_eq!(found.iter().map(|found| flat(&found.rows).len()).sum::<usize>(), 4, "{kind:?}");
        let least = found.iter().map(|found| found.least[0]).chain(due.least).min();
        assert_eq!(least, Some(EventTime(50)), "{kind:?}");
    }
}

/// Two threads look for the newest manifest, and the one that found the older one comes second.
#[test]
fn a_store_does_not_go_back_to_an_older_manifest() {
    let storage = Arc::new(MemoryStorage::default());
    let schema = table(Kind::Keyless);
    let store = StateStore::new(storage.clone(), (uid(), Attempt(1)), vec![schema.clone()], None).unwrap();
    let mut manifest: Option<Manifest> = None;
    let mut epoch = |epoch: u64| {
        let row = Row { number: Some(0), word: None, time: Some(9), value: epoch as i64 };
        let deltas = write(&storage, &schema, &[(row, true)], &format!("runs/{epoch}"));
        store.add(Epoch(epoch), &deltas[0].tables);
        let following = Manifest::following(manifest.as_ref(), header(epoch), deltas, Vec::new());
        manifest = Some(merge_and_put(&storage, &following, &format!("runs/merged-{epoch}")));
    };
    epoch(1);
    let (found, older) = store.newest_manifest().unwrap().unwrap();
    epoch(2);
    store.take_over().unwrap();
    epoch(3);
    store.go_on_from(found, &older);
    let rows = flat(&store.lookup(&[0], &[None]).unwrap());
    assert_eq!(rows.iter().map(|row| row.value).collect::<Vec<_>>(), [1, 2, 3]);
}
