#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::{rows, schema};

/// A block of as many rows, with hashes of 0 and up.
fn block(count: u64) -> Block {
    let lines: Vec<String> = (0..count).map(|row| format!("{row} | 12:00:0{row}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let records = rows(&schema("id BIGINT, at TIMESTAMP"), &lines);
    Block::new(records, Keys { hashes: (0..count).collect::<Vec<_>>().into(), valid: None }, 1).unwrap()
}

fn searched(buffer: &mut Buffer, times: usize) -> usize {
    (0..times).for_each(|_| buffer.prepare(&Looks::All(1)));
    buffer.indexed as usize
}

#[test]
fn a_block_waits_for_others_only_while_they_can_be_put_together() {
    let mut alone = Buffer::new(1);
    alone.push(block(8)).unwrap();
    assert_eq!(searched(&mut alone, 2 * SEARCHES_BEFORE_INDEX), 0, "the next rows may come to it");
    assert_eq!(searched(&mut alone, SEARCHES_WHILE_YOUNG * 8), 1);

    // What is loaded stays as it is, and so does what it comes behind.
    let mut loaded = Buffer::new(1);
    loaded.push(block(8)).unwrap();
    loaded.push(block(4).stored()).unwrap();
    loaded.push(block(4).stored()).unwrap();
    assert_eq!(searched(&mut loaded, SEARCHES_BEFORE_INDEX), 0);
    assert_eq!(searched(&mut loaded, 1), 3);
    let mut found = Vec::new();
    let mut find = |row: RowRef| {
        found.push((row.block(), row.row()));
        Ok(())
    };
    loaded.candidates(3, (i64::MIN, i64::MAX), &mut find).unwrap();
    assert_eq!(found, [(2, 3), (1, 3), (0, 3)]);
}
