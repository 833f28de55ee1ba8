//! The file as others see it, and what the descriptor says of it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;

use arrow::ipc::reader::FileReader;

use weir_core::EventTime;

use super::*;
use crate::Storage;
use crate::testing::*;

fn encode(kind: Kind, rows: &[(Row, bool)], expired: Option<i64>) -> Option<(Vec<u8>, Run)> {
    let table = table(kind);
    let rows = [state_rows(&table, rows)];
    let rows = crate::pieces::Pieces::new(&table, &rows).unwrap();
    let order = crate::newest::newest(&table, &rows).unwrap();
    let expired = expired.map(EventTime);
    let mut run = RunWriter::begin(Survivors { table: &table, expired, above_others: true }, Vec::new()).unwrap();
    run.append(&rows, &order).unwrap();
    run.finish().unwrap()
}

/// The blocks of a run as whoever opens it finds them.
fn blocks(bytes: &[u8], run: &Run) -> Vec<Block> {
    let storage = MemoryStorage::default();
    storage.put("run", bytes).unwrap();
    OpenRun::open(&storage, &Run { file: "run".to_owned(), ..run.clone() }).unwrap().blocks().to_vec()
}

fn at(number: i64, time: Option<i64>) -> Row {
    Row { number: Some(number), word: None, time, value: 0 }
}

#[test]
fn any_arrow_reader_can_open_a_run() {
    let rows: Vec<(Row, bool)> = (0..10).map(|number| (at(number, Some(number)), number != 3)).collect();
    let (bytes, run) = encode(Kind::TimeInValue, &rows, None).unwrap();
    let blocks = blocks(&bytes, &run);
    assert_eq!((run.rows, run.length, blocks.len()), (10, bytes.len() as u64, 3));
    assert_eq!((run.first_hash, run.last_hash), (blocks[0].first_hash, blocks[2].last_hash));
    let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
    let about: serde_json::Value = serde_json::from_str(&reader.custom_metadata()["weir.run"]).unwrap();
    assert_eq!((&about["table"], &about["version"]), (&"TimeInValue".into(), &1.into()));
    assert_eq!((&about["key_columns"], about["blocks"].as_array().map(Vec::len)), (&2.into(), Some(3)));
    let names: Vec<String> = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["_hash", "_deleted", "number", "word", "time", "value"]);
    let mut hashes = Vec::new();
    let mut deletions = 0;
    for (batch, block) in reader.zip(&blocks) {
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
        let (bytes, run) = encode(kind, rows, None).unwrap();
        let block = blocks(&bytes, &run).remove(0);
        assert_eq!(block.last_time, run.last_time);
        (block.first_time, block.last_time)
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
    assert_eq!((hidden.rows, hidden.last_time), (2, None));
}

#[test]
fn a_block_holds_its_own_strings_and_no_others() {
    let word = |number: i64| format!("{number:0100}");
    let rows: Vec<(Row, bool)> = (0..200)
        .map(|number| (Row { number: Some(number), word: Some(word(number)), time: None, value: 0 }, true))
        .collect();
    let (bytes, run) = encode(Kind::Timeless, &rows, None).unwrap();
    let strings = 200 * 100;
    assert_eq!(blocks(&bytes, &run).len(), 50);
    assert!(bytes.len() < 50 * 2200 + strings, "{} bytes for {strings} bytes of strings", bytes.len());
}

/// What a manifest says of a run is as long for a thousand blocks as for one.
#[test]
fn the_descriptor_does_not_grow_with_the_run() {
    let rows = |count| (0..count).map(|number| (at(number, Some(number)), true)).collect::<Vec<_>>();
    let size = |count| {
        let (bytes, run) = encode(Kind::Timeless, &rows(count), None).unwrap();
        (blocks(&bytes, &run).len(), serde_json::to_vec(&run).unwrap().len())
    };
    let ((one, small), (many, large)) = (size(1), size(4000));
    assert_eq!((one, many), (1, 1000));
    assert!(large < small + 40, "{small} and {large} bytes");
}
