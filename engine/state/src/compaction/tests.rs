//! Which runs are merged. What a merge leaves is tested with reading: a model is compared through merges there.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::Ordering;

use arrow::array::AsArray;
use weir_core::{Capture, EventTime, StateRows};

use super::*;
use crate::testing::*;
use crate::{read_table, run};

fn sized(lengths: &[u64]) -> TableState {
    let run = |length: &u64| Run { length: *length, rows: 1, ..Run::default() };
    TableState { schema: table(Kind::Timeless), runs: lengths.iter().map(run).collect(), expired: None }
}

const SMALL: u64 = 1000;
const MIDDLE: u64 = 1 << 18;
const LARGE: u64 = 1 << 26;

#[test]
fn eight_neighbours_of_a_size_are_merged() {
    assert_eq!(plan(&sized(&[])), None);
    assert_eq!(plan(&sized(&[SMALL; 7])), None);
    assert_eq!(plan(&sized(&[SMALL; 8])), Some(0..8));
    let mut runs = vec![LARGE];
    runs.extend([SMALL; 7]);
    assert_eq!(plan(&sized(&runs)), None, "a large run is not rewritten for seven small ones");
    runs.push(SMALL);
    assert_eq!(plan(&sized(&runs)), Some(1..9));
}

#[test]
fn smaller_runs_between_larger_ones_go_with_them() {
    let mut runs = vec![LARGE];
    for _ in 0..8 {
        runs.extend([MIDDLE, SMALL]);
    }
    assert_eq!(plan(&sized(&runs)), Some(1..17));
}

#[test]
fn the_cheaper_merge_comes_first() {
    let mut runs = vec![MIDDLE; 8];
    runs.extend([SMALL; 8]);
    assert_eq!(plan(&sized(&runs)), Some(8..16));
}

/// Runs of equal size come in one by one, without end: few are there at any time, and each byte is rewritten seldom.
#[test]
fn merging_keeps_runs_few_and_rewrites_seldom() {
    let mut table = sized(&[]);
    let (mut most, mut rewritten) = (0, 0);
    let arrivals = 4096_u64;
    for _ in 0..arrivals {
        table.runs.extend(sized(&[MIDDLE]).runs);
        while let Some(runs) = plan(&table) {
            let length: u64 = table.runs[runs.clone()].iter().map(|run| run.length).sum();
            rewritten += length;
            table.runs.splice(runs, sized(&[length]).runs);
        }
        most = most.max(table.runs.len());
    }
    assert!(most <= 4 * MERGED_RUNS, "{most} runs at a time");
    assert!(rewritten <= 4 * arrivals * MIDDLE, "each byte rewritten {} times", rewritten / (arrivals * MIDDLE));
}

#[test]
fn a_merge_that_leaves_nothing_gives_no_file() {
    let storage = MemoryStorage::default();
    let schema = table(Kind::TimeInValue);
    let row = Row { number: Some(1), word: None, time: Some(5), value: 0 };
    let put = vec![captured(&schema, vec![capture(&schema, &[(row.clone(), true)], None)])];
    let first = checkpoint(&storage, None, 1, put);
    let deleted = vec![captured(&schema, vec![capture(&schema, &[(row, false)], Some(EventTime(1)))])];
    let mut second = checkpoint(&storage, Some(&first), 2, deleted);
    let state = second.operators[0].tables[0].clone();
    assert_eq!(state.runs.len(), 2);
    let above = merge(&storage, &state, 1..2, "runs/m").unwrap();
    assert_eq!(above.rows, 1, "the deletion is needed while there is a run below");
    storage.delete(&above.file).unwrap();
    let run = merge(&storage, &state, 0..2, "runs/m").unwrap();
    assert!(storage.list("runs/m").unwrap().is_empty() && run.rows == 0);
    assert!(second.replace_runs(&uid(), &schema.name, &state.runs, run));
    assert!(second.operators[0].tables[0].runs.is_empty());
    assert!(merge(&storage, &state, 1..3, "runs/m").is_err());
}

/// Row `number` of a table that has a hash for each.
fn spread(number: i64) -> (Row, u64) {
    let row = Row { number: Some(number), word: Some(format!("{number:0100}")), time: None, value: number };
    (row, (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[test]
fn a_table_is_merged_without_being_held_in_memory() {
    let storage = MemoryStorage::default();
    let schema = table(Kind::Timeless);
    let mut manifest = None;
    for epoch in 1..=8 {
        let (rows, hashes): (Vec<_>, Vec<_>) = (0..500).map(|number| spread(number * (epoch as i64 + 1))).unzip();
        let rows: Vec<(Row, bool)> = rows.into_iter().map(|row| (row, true)).collect();
        let rows = StateRows { hashes: hashes.into(), ..state_rows(&schema, &rows) };
        let capture = Capture { rows: Box::new(move || Ok(vec![rows])), expired: None };
        let tables = vec![captured(&schema, vec![capture])];
        manifest = Some(checkpoint(&storage, manifest.as_ref(), epoch, tables));
    }
    let mut manifest = manifest.unwrap();
    let state = manifest.operators[0].tables[0].clone();
    let all = |state: &TableState| {
        let batches = read_table(&storage, state, HashRange::ALL).unwrap();
        let hashes = batches.iter().flat_map(|(_, hashes)| hashes.values().to_vec());
        let words = batches.iter().flat_map(|(rows, _)| {
            rows.column(1).as_string_view().iter().map(|word| word.unwrap().to_owned()).collect::<Vec<_>>()
        });
        hashes.zip(words).collect::<Vec<_>>()
    };
    let before = all(&state);
    let runs: Vec<OpenRun> = state.runs.iter().map(|run| OpenRun::open(&storage, run).unwrap()).collect();
    let block = runs.iter().flat_map(OpenRun::blocks).map(|block| block.length).max().unwrap();
    storage.largest_read.store(0, Ordering::Relaxed);
    let run = merge(&storage, &state, 0..8, "runs/m").unwrap();
    let largest = storage.largest_read.load(Ordering::Relaxed);
    // A footer is read whole. Here, where a block has four rows, it is as large as they are.
    let footer = state.runs.iter().map(|run| run.footer_length).max().unwrap();
    assert!(largest <= footer.max(SLICE_BYTES + 2 * block), "{largest} bytes of {} at once", manifest.state_bytes());
    let piece = storage.largest_piece.load(Ordering::Relaxed);
    assert!(piece <= run.footer_length.max(run.length / 10), "{piece} bytes of {} at once", run.length);

    run::verify(&storage, &run).unwrap();
    assert!(manifest.replace_runs(&uid(), &schema.name, &state.runs, run));
    assert_eq!(all(&manifest.operators[0].tables[0]), before);
}
