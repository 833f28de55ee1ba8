#![allow(clippy::unwrap_used)]

use arrow::datatypes::SchemaRef;

use super::*;
use crate::testing::{rows, schema, text};

fn columns() -> SchemaRef {
    schema("id BIGINT, x DOUBLE, tags ARRAY<BIGINT>")
}

fn rows_of_one_side() -> Rows {
    Rows::new(&columns(), TimeToLive::new(None), false)
}

fn batch(lines: &[&str]) -> RecordBatch {
    rows(&columns(), lines)
}

/// All with the same hash, as rows of one key have, or of several whose hashes collide.
fn add(side: &mut Rows, lines: &[&str]) {
    let hashes = vec![7; lines.len()];
    side.add(&Added { records: &batch(lines), hashes: &hashes, matches: &[] }).unwrap();
}

fn remove(side: &mut Rows, lines: &[&str]) -> Result<()> {
    side.remove(&batch(lines), &vec![7; lines.len()]).map(drop)
}

fn shown(side: &Rows) -> Vec<String> {
    let mut slots = Vec::new();
    side.candidates(7, &mut |slot| {
        slots.push(slot);
        Ok(())
    })
    .unwrap();
    let rows = side.gather(&slots).unwrap();
    let mut lines = text(&rows.project(&[0, 1]).unwrap());
    lines.sort();
    lines
}

#[test]
fn one_of_several_equal_rows_is_taken_out() {
    let mut side = rows_of_one_side();
    add(&mut side, &["1 | 0.5 | []", "1 | 0.5 | []", "1 | NULL | []", "2 | 0.5 | NULL"]);
    remove(&mut side, &["1 | 0.5 | []"]).unwrap();
    assert_eq!(shown(&side), ["1 | 0.5", "1 | NULL", "2 | 0.5"]);
    remove(&mut side, &["1 | NULL | []", "1 | 0.5 | []"]).unwrap();
    assert_eq!(shown(&side), ["2 | 0.5"]);
    assert!(remove(&mut side, &["1 | 0.5 | []"]).is_err(), "it has been taken out twice");
    assert!(remove(&mut side, &["2 | 0.5 | []"]).is_err(), "an empty array is not null");
    remove(&mut side, &["2 | 0.5 | NULL"]).unwrap();
    assert!(side.is_empty());
}

/// The hash of all columns passes over arrays, and takes `-0.0` for `0.0`.
#[test]
fn rows_whose_hashes_are_the_same_are_told_apart() {
    let mut side = rows_of_one_side();
    add(&mut side, &["1 | 0.0 | [1]", "1 | -0.0 | [1]", "1 | 0.0 | [2]", "1 | 0.0 | [1]"]);
    remove(&mut side, &["1 | -0.0 | [1]", "1 | 0.0 | [2]"]).unwrap();
    assert_eq!(shown(&side), ["1 | 0", "1 | 0"]);
    let slot = side.chains.find(7, |_| true).unwrap().1;
    assert_eq!(side.gather(&[slot]).unwrap().column(2), batch(&["1 | 0 | [1]"]).column(2));
}

#[test]
fn blocks_are_put_together_and_packed() {
    let mut side = rows_of_one_side();
    let line = |number: usize| format!("{number} | NULL | []");
    for number in 0..3000 {
        add(&mut side, &[&line(number)]);
        if number % 3 != 0 {
            remove(&mut side, &[&line(number)]).unwrap();
        }
    }
    let mut expected: Vec<String> = (0..3000).step_by(3).map(|number| format!("{number} | NULL")).collect();
    expected.sort();
    assert_eq!(shown(&side), expected);
    assert!(side.slots.next.len() <= 1001, "slots are used again: {}", side.slots.next.len());
    assert!(side.blocks.count() < 20, "{} blocks", side.blocks.count());
    for number in (0..3000).step_by(3).skip(1) {
        remove(&mut side, &[&line(number)]).unwrap();
    }
    assert_eq!(shown(&side), ["0 | NULL"]);
    assert!(side.blocks.rows_held() <= 2, "{} rows are held", side.blocks.rows_held());
}

/// What a capture stores: number and first column of rows that are new, and the numbers of those that are gone.
fn told(captured: &Changed) -> Vec<String> {
    let schema = schema("number BIGINT, id BIGINT, x DOUBLE, tags ARRAY<BIGINT>, touched TIMESTAMP, matches BIGINT");
    let mut lines = Vec::new();
    for piece in captured.rows(&schema).unwrap() {
        assert!(piece.hashes.values().iter().all(|hash| *hash == 7));
        let sign = if piece.deleted.is_some() { "-" } else { "+" };
        let columns = if piece.deleted.is_some() { vec![0] } else { vec![0, 1] };
        lines.extend(text(&piece.rows.project(&columns).unwrap()).into_iter().map(|line| format!("{sign} {line}")));
    }
    lines.sort();
    lines
}

#[test]
fn a_capture_that_is_written_out_later_holds_what_was_there() {
    let mut side = rows_of_one_side();
    add(&mut side, &["1 | NULL | []", "2 | NULL | []", "3 | NULL | []"]);
    let first = side.capture();
    remove(&mut side, &["2 | NULL | []"]).unwrap();
    // It gets the slot of the one that went.
    add(&mut side, &["4 | NULL | []", "5 | NULL | []"]);
    let second = side.capture();
    for line in ["1 | NULL | []", "3 | NULL | []", "4 | NULL | []"] {
        remove(&mut side, &[line]).unwrap();
    }
    add(&mut side, &["6 | NULL | []"]);
    let third = side.capture();
    assert_eq!(told(&first), ["+ 0 | 1", "+ 1 | 2", "+ 2 | 3"]);
    assert_eq!(told(&second), ["+ 3 | 4", "+ 4 | 5", "- 1"]);
    assert_eq!(told(&third), ["+ 5 | 6", "- 0", "- 2", "- 3"]);
}

#[test]
fn a_capture_has_what_is_new_and_what_is_gone() {
    let mut side = rows_of_one_side();
    let captured = |side: &mut Rows| told(&side.capture());
    add(&mut side, &["1 | NULL | []", "2 | NULL | []"]);
    remove(&mut side, &["1 | NULL | []"]).unwrap();
    add(&mut side, &["3 | NULL | []"]);
    assert_eq!(captured(&mut side), ["+ 1 | 2", "+ 2 | 3"], "a row that has come and gone is not stored");
    assert!(captured(&mut side).is_empty());
    remove(&mut side, &["3 | NULL | []"]).unwrap();
    add(&mut side, &["4 | NULL | []"]);
    assert_eq!(captured(&mut side), ["+ 3 | 4", "- 2"]);
    let loaded = batch(&["5 | NULL | []"]);
    let (counted, stamps) = (&Int64Array::new_null(1), &TimestampMillisecondArray::new_null(1));
    let stored = Stored { numbers: &[9], counted, stamps };
    side.load(&Added { records: &loaded, hashes: &[7], matches: &[] }, stored).unwrap();
    add(&mut side, &["6 | NULL | []"]);
    assert_eq!(captured(&mut side), ["+ 10 | 6"], "numbers go on behind those that were loaded");
    side.evict(&|hash| hash == 7).unwrap();
    assert!(side.is_empty() && captured(&mut side).is_empty());
    add(&mut side, &["7 | NULL | []"]);
    assert!(side.evict(&|_| true).is_err(), "it is not stored");
}

#[test]
fn a_row_whose_matches_change_often_is_noted_once() {
    let mut side = Rows::new(&columns(), TimeToLive::new(None), true);
    add(&mut side, &["1 | 0.5 | []"]);
    side.capture();
    let captured = side.bytes();
    side.matched(0).unwrap();
    let once = side.bytes();
    assert!(once > captured, "what is noted counts");
    for _ in 0..100 {
        side.unmatched(0).unwrap();
        side.matched(0).unwrap();
    }
    assert_eq!(side.bytes(), once);
    side.capture();
    assert_eq!(side.bytes(), captured);
    side.unmatched(0).unwrap();
    assert_eq!(side.bytes(), once, "and again behind the capture");
}
