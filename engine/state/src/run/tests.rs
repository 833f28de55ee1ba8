//! The file as others see it, and what the descriptor says of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;

use arrow::ipc::reader::FileReader;

use weir_core::EventTime;

use super::*;
use crate::testing::*;

fn encode(kind: Kind, rows: &[(Row, bool)], expired: Option<i64>) -> Option<(Vec<u8>, Run)> {
    let table = table(kind);
    let rows = state_rows(&table, rows);
    let order = crate::newest::newest(&table, &rows).unwrap();
    let expired = expired.map(EventTime);
    let mut run = RunWriter::begin(Survivors { table: &table, expired, above_others: true }, Vec::new()).unwrap();
    run.append(&rows, &order).unwrap();
    run.finish().unwrap()
}

fn at(number: i64, time: Option<i64>) -> Row {
    Row { number: Some(number), word: None, time, value: 0 }
}

#[test]
fn any_arrow_reader_can_open_a_run() {
    let rows: Vec<(Row, bool)> = (0..10).map(|number| (at(number, Some(number)), number != 3)).collect();
    let (bytes, run) = encode(Kind::TimeInValue, &rows, None).unwrap();
    assert_eq!((run.rows, run.length, run.blocks.len()), (10, bytes.len() as u64, 3));
    let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
    assert_eq!(reader.custom_metadata()["weir.table"], "TimeInValue v1 key 2");
    let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_hash", "_deleted", "number", "word", "time", "value"]);
    let mut hashes = Vec::new();
    let mut deletions = 0;
    for (batch, block) in reader.zip(&run.blocks) {
        let batch = batch.unwrap();
        let values = batch.column(0).as_primitive::<UInt64Type>().values().to_vec();
        assert_eq!((block.first_hash, block.last_hash), (values[0], values[values.len() - 1]));
        assert_eq!(block.rows, values.len() as u64);
        hashes.extend(values);
        deletions += batch.column(1).as_boolean().true_count();
    }
    assert!(hashes.is_sorted() && hashes.len() == 10 && deletions == 1);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let rows: Vec<(Row, bool)> = (0..10).map(|number| (at(number, Some(number)), true)).collect();
    let first = encode(Kind::TimeInValue, &rows, None);
    assert!((0..20).all(|_| encode(Kind::TimeInValue, &rows, None) == first));
}

#[test]
fn times_of_a_block_are_known_only_if_every_row_has_one() {
    let times = |kind, rows: &[(Row, bool)]| {
        let (_, run) = encode(kind, rows, None).unwrap();
        (run.blocks[0].first_time, run.blocks[0].last_time)
    };
    let put = |number, time| (at(number, time), true);
    assert_eq!(times(Kind::TimeInValue, &[put(1, Some(5)), put(2, Some(-3))]), (Some(-3), Some(5)));
    assert_eq!(times(Kind::TimeInValue, &[put(1, Some(5)), put(2, None)]), (None, None));
    assert_eq!(times(Kind::Timeless, &[put(1, Some(5))]), (None, None));
    let deletion = (at(2, Some(7)), false);
    assert_eq!(times(Kind::TimeInValue, &[put(1, Some(5)), deletion.clone()]), (None, None));
    assert_eq!(times(Kind::TimeInKey, &[put(1, Some(5)), deletion]), (Some(5), Some(7)));
}

#[test]
fn expired_rows_are_not_written_unless_they_hide_older_ones() {
    let rows = [(at(1, Some(5)), true), (at(2, Some(6)), true)];
    assert_eq!(encode(Kind::TimeInKey, &rows, Some(5)).unwrap().1.rows, 1);
    assert_eq!(encode(Kind::Keyless, &rows, Some(6)), None);
    let hidden = encode(Kind::TimeInValue, &rows, Some(5)).unwrap().1;
    assert_eq!((hidden.rows, hidden.blocks[0].last_time), (2, None));
}

#[test]
fn a_block_holds_its_own_strings_and_no_others() {
    let word = |number: i64| format!("{number:0100}");
    let rows: Vec<(Row, bool)> = (0..200)
        .map(|number| (Row { number: Some(number), word: Some(word(number)), time: None, value: 0 }, true))
        .collect();
    let (bytes, run) = encode(Kind::Timeless, &rows, None).unwrap();
    let strings = 200 * 100;
    assert_eq!(run.blocks.len(), 50);
    assert!(bytes.len() < 50 * 2000 + strings, "{} bytes for {strings} bytes of strings", bytes.len());
}
