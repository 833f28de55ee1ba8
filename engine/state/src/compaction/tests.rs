//! Which runs are merged. What a merge leaves is tested with reading: a model is compared through merges there.
#![allow(clippy::unwrap_used, reason = "tests")]

use weir_core::EventTime;

use super::*;
use crate::testing::*;

fn sized(lengths: &[u64]) -> TableState {
    let run =
        |length: &u64| Run { file: String::new(), offset: 0, length: *length, rows: 1, blocks: Vec::new(), crc32: 0 };
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
    assert_eq!(above.1.rows, 1, "the deletion is needed while there is a run below");
    let (files, run) = merge(&storage, &state, 0..2, "runs/m").unwrap();
    assert!(files.is_empty() && run.rows == 0);
    assert!(second.replace_runs(&uid(), &schema.name, &state.runs, run));
    assert!(second.operators[0].tables[0].runs.is_empty());
    assert!(merge(&storage, &state, 1..3, "runs/m").is_err());
}
