//! State read back equals a plain map, through checkpoints that fail, merges, and any parallelism.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use weir_core::{Capture, EventTime};

use super::*;
use crate::testing::*;
use crate::{Manifest, compaction};

/// What happens between two markers.
#[derive(Debug, Clone)]
struct Step {
    /// Rows put (`true`) and deleted, per subtask.
    rows: Vec<Vec<(Row, bool)>>,
    /// How far expiry goes on.
    expires: i64,
    /// Whether the checkpoint fails, so that the next one carries its captures.
    fails: bool,
    /// Runs that are merged afterwards, as fractions of what there is.
    merge: Option<(usize, usize)>,
}

fn row() -> impl Strategy<Value = Row> {
    let word = prop::option::weighted(0.8, prop_oneof![Just(""), Just("a"), Just("a word too long for a view")]);
    (prop::option::weighted(0.9, 0..6_i64), word, prop::option::weighted(0.9, 0..40_i64), 0..1000_i64)
        .prop_map(|(number, word, time, value)| Row { number, word: word.map(str::to_owned), time, value })
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((row(), prop::bool::weighted(0.8)), 0..12);
    (
        prop::collection::vec(rows, 1..3),
        prop_oneof![2 => Just(0_i64), 1 => 1..8_i64],
        prop::bool::weighted(0.2),
        prop::option::weighted(0.5, (0..8_usize, 1..8_usize)),
    )
        .prop_map(|(rows, expires, fails, merge)| Step { rows, expires, fails, merge })
}

/// A key stays with one subtask: the captures of an epoch come one after the other, and only within a key does their
/// order count.
fn by_owner(kind: Kind, step: &Step) -> Vec<Vec<(Row, bool)>> {
    let subtasks = step.rows.len();
    let mut owned = vec![Vec::new(); subtasks];
    for (row, put) in step.rows.iter().flatten() {
        owned[weir_core::hash::owner(row.hash(), subtasks)].push((row.clone(), *put || kind == Kind::Keyless));
    }
    owned
}

fn check(kind: Kind, steps: &[Step]) {
    let storage = MemoryStorage::default();
    let schema = table(kind);
    let mut model = Model::new(kind);
    let mut leftovers: Vec<Capture> = Vec::new();
    let mut manifest: Option<Manifest> = None;
    let mut expired = 0;
    for (epoch, step) in (1..).zip(steps) {
        expired += step.expires;
        let expired = (expired > 0).then_some(EventTime(expired));
        for rows in by_owner(kind, step) {
            rows.iter().for_each(|(row, put)| model.apply(row, *put));
            leftovers.push(capture(&schema, &rows, expired));
        }
        if step.fails {
            continue;
        }
        let tables = vec![captured(&schema, std::mem::take(&mut leftovers))];
        let mut next = checkpoint(&storage, manifest.as_ref(), epoch, tables);
        model.expire(expired);
        if let Some((first, count)) = step.merge {
            let table = &next.operators[0].tables[0];
            let start = first.min(table.runs.len());
            let runs = start..(start + count).min(table.runs.len());
            let run = compaction::merge(&storage, table, runs.clone(), &format!("runs/merged-{epoch}")).unwrap();
            let merged = table.runs[runs].to_vec();
            assert_eq!(next.replace_runs(&uid(), &schema.name, &merged, run), !merged.is_empty());
        }
        let next = Manifest::from_bytes(&next.to_bytes().unwrap(), "m").unwrap();
        for parallelism in [1, 2, 3, 1] {
            let rows = read_all(&storage, &next.operators[0].tables[0], parallelism).unwrap();
            assert_eq!(rows, model.rows(), "{kind:?}, epoch {epoch}, parallelism {parallelism}");
        }
        manifest = Some(next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_read_equals_a_map(steps in prop::collection::vec(step(), 1..12)) {
        KINDS.into_iter().for_each(|kind| check(kind, &steps));
    }
}

#[test]
fn a_row_that_expired_does_not_bring_back_the_one_it_replaced() {
    let storage = MemoryStorage::default();
    let schema = table(Kind::TimeInValue);
    let put = |time| (Row { number: Some(1), word: None, time: Some(time), value: time }, true);
    let step = |manifest: Option<&Manifest>, epoch, rows: &[(Row, bool)], expired| {
        checkpoint(&storage, manifest, epoch, vec![captured(&schema, vec![capture(&schema, rows, expired)])])
    };
    let first = step(None, 1, &[put(20)], None);
    let second = step(Some(&first), 2, &[put(3)], None);
    let third = step(Some(&second), 3, &[], Some(EventTime(5)));
    assert_eq!(read_all(&storage, &third.operators[0].tables[0], 1).unwrap(), []);
}

fn one_run(schema: &TableSchema, rows: &[(Row, bool)], storage: &MemoryStorage) -> TableState {
    let manifest = checkpoint(storage, None, 1, vec![captured(schema, vec![capture(schema, rows, None)])]);
    manifest.operators[0].tables[0].clone()
}

fn numbered(count: i64) -> Vec<(Row, bool)> {
    (0..count)
        .map(|number| (Row { number: Some(number), word: None, time: Some(number), value: number }, true))
        .collect()
}

#[test]
fn everyone_gets_all_of_a_broadcast_table() {
    let storage = MemoryStorage::default();
    let schema = TableSchema { distribution: Distribution::Broadcast, ..table(Kind::Timeless) };
    let table = one_run(&schema, &numbered(20), &storage);
    for subtask in 0..3 {
        let batches = read_table(&storage, &table, HashRange::of_subtask(subtask, 3)).unwrap();
        assert_eq!(batches.iter().map(|(batch, _)| batch.num_rows()).sum::<usize>(), 20);
    }
}

#[test]
fn a_subtask_fetches_its_own_part_only() {
    let storage = MemoryStorage::default();
    let table = one_run(&table(Kind::Timeless), &numbered(1000), &storage);
    let all = table.runs[0].length;
    storage.bytes_read.store(0, std::sync::atomic::Ordering::Relaxed);
    read_table(&storage, &table, HashRange::of_subtask(0, 5)).unwrap();
    let read = storage.bytes_read.load(std::sync::atomic::Ordering::Relaxed);
    let read = read - table.runs[0].footer_length;
    assert!(read > 0 && read < all / 4, "{read} of {all} bytes for a fifth of the hashes");
}

#[test]
fn rows_of_a_key_keep_their_order_without_a_key() {
    let storage = MemoryStorage::default();
    let schema = table(Kind::Keyless);
    let rows = |values: std::ops::Range<i64>| -> Vec<(Row, bool)> {
        values.map(|value| (Row { number: Some(1), word: None, time: Some(value), value }, true)).collect()
    };
    let captured = |values| vec![captured(&schema, vec![capture(&schema, &rows(values), None)])];
    let first = checkpoint(&storage, None, 1, captured(0..10));
    let second = checkpoint(&storage, Some(&first), 2, captured(10..20));
    let batches = read_table(&storage, &second.operators[0].tables[0], HashRange::ALL).unwrap();
    let values: Vec<i64> = batches
        .iter()
        .flat_map(|(batch, _)| {
            use arrow::array::AsArray;
            batch.column(3).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
        })
        .collect();
    assert_eq!(values, (0..20).collect::<Vec<_>>());
}

#[test]
fn no_flipped_bit_of_a_run_changes_what_is_read() {
    let storage = MemoryStorage::default();
    let table = one_run(&table(Kind::TimeInValue), &numbered(6), &storage);
    let expected = read_all(&storage, &table, 1).unwrap();
    let file = table.runs[0].file.clone();
    let good = storage.get(&file).unwrap();
    let mut refused = 0;
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        storage.objects.lock().unwrap().insert(file.clone(), bad);
        match read_all(&storage, &table, 1) {
            // The schema at the beginning of the file is for other readers: the footer says the same.
            Ok(rows) => assert_eq!(rows, expected, "byte {byte}"),
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind(), weir_core::ErrorKind::Data);
                assert!(error.to_string().contains(&storage.locate(&file)), "{error}");
            }
        }
        assert!(run::verify(&storage, &table.runs[0]).is_err(), "byte {byte}");
    }
    let open = OpenRun::open(&storage, &table.runs[0]);
    assert!(open.is_err(), "the last byte is still another");
    storage.objects.lock().unwrap().insert(file, good);
    let open = OpenRun::open(&storage, &table.runs[0]).unwrap();
    let blocks: u64 = open.blocks().iter().map(|block| block.length).sum();
    assert_eq!(refused, blocks + table.runs[0].footer_length, "every byte of a block and of the footer counts");
}

#[test]
fn another_layout_is_refused_and_says_why() {
    let storage = MemoryStorage::default();
    let stored = one_run(&table(Kind::TimeInValue), &numbered(1), &storage);
    assert!(stored.declared_as(&stored.schema).is_ok());
    let declared = TableSchema { time_column: None, ..stored.schema.clone() };
    let error = stored.declared_as(&declared).unwrap_err();
    assert_eq!(error.kind(), weir_core::ErrorKind::User);
    assert!(error.to_string().contains("another rule"), "{error}");
}
