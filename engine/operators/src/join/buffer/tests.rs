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

#[test]
fn rows_look_into_blocks_of_their_time_and_pass_the_others_by() {
    let second = |second: i64| (12 * 3600 + second) * 1000;
    let looks = |at: i64| Looks::within(SEARCHES_BEFORE_INDEX + 1, move |_| (second(at), second(at + 2)));
    let mut buffer = Buffer::new(1);
    buffer.push(block(4).stored()).unwrap();
    buffer.push(block(8).stored()).unwrap();
    buffer.prepare(&looks(8));
    assert_eq!(buffer.indexed, 0, "both blocks end at 12:00:07");
    // The one in front of it is indexed with it.
    buffer.prepare(&looks(6));
    assert_eq!(buffer.indexed, 2);

    let mut passed = Buffer::new(1);
    passed.push(block(4).stored()).unwrap();
    (0..SEARCHES_BEFORE_INDEX * LOOK).for_each(|_| passed.prepare(&looks(8)));
    assert_eq!(passed.indexed, 0);
    passed.prepare(&looks(8));
    assert_eq!(passed.indexed, 1, "passing it by again and again costs as much");
}
