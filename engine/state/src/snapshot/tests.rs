//! What one checkpoint writes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::TableState;
use crate::testing::*;

fn rows(numbers: std::ops::Range<i64>) -> Vec<(Row, bool)> {
    numbers.map(|number| (Row { number: Some(number), word: None, time: Some(number), value: 0 }, true)).collect()
}

fn of(operator: &str, watermark: i64, kind: Kind, numbers: std::ops::Range<i64>) -> CapturedTable {
    let schema = table(kind);
    let capture = vec![capture(&schema, &rows(numbers), Some(EventTime(-watermark)))];
    CapturedTable { uid: OperatorUid(operator.to_owned()), watermark: EventTime(watermark), schema, capture }
}

#[test]
fn small_tables_share_a_file_and_large_ones_do_not() {
    let tables = vec![
        of("a", 3, Kind::Timeless, 0..1),
        of("b", 4, Kind::Timeless, 0..200),
        of("a", 2, Kind::TimeInKey, 5..7),
        of("c", 5, Kind::Timeless, 0..0),
    ];
    let snapshot = encode(tables, "runs/1/1/w").unwrap();
    let paths: Vec<&str> = snapshot.files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["runs/1/1/w-1.arrow", "runs/1/1/w-shared.runs"]);
    let storage = MemoryStorage::default();
    snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());

    let operators: Vec<(&str, i64, usize)> = snapshot
        .operators
        .iter()
        .map(|operator| (operator.uid.0.as_str(), operator.watermark.0, operator.tables.len()))
        .collect();
    assert_eq!(operators, [("a", 2, 2), ("b", 4, 1), ("c", 5, 1)]);
    let read = |operator: usize, at: usize| {
        let TableDelta { schema, runs, expired } = snapshot.operators[operator].tables[at].clone();
        runs.iter().for_each(|run| crate::run::verify(&storage, run).unwrap());
        read_all(&storage, &TableState { schema, runs, expired }, 2).unwrap().len()
    };
    assert_eq!([read(0, 0), read(0, 1), read(1, 0)], [1, 2, 200]);
    assert!(snapshot.operators[0].tables[1].runs[0].offset > 0);
    let empty = &snapshot.operators[2].tables[0];
    assert_eq!((empty.runs.len(), empty.expired), (0, Some(EventTime(-5))));
}

#[test]
fn what_a_failed_checkpoint_captured_comes_first() {
    let schema = table(Kind::Timeless);
    let put = |value| vec![(Row { number: Some(1), word: None, time: None, value }, true)];
    let failed = capture(&schema, &put(1), Some(EventTime(7)));
    let now = capture(&schema, &put(2), None);
    let snapshot = encode(vec![captured(&schema, vec![failed, now])], "runs/1/1/w").unwrap();
    let storage = MemoryStorage::default();
    snapshot.files.iter().for_each(|(path, bytes)| storage.put(path, bytes).unwrap());
    let TableDelta { schema, runs, expired } = snapshot.operators[0].tables[0].clone();
    assert_eq!((runs[0].rows, expired), (1, Some(EventTime(7))));
    let rows = read_all(&storage, &TableState { schema, runs, expired }, 1).unwrap();
    assert_eq!(rows.iter().map(|row| row.value).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_row_without_a_key_cannot_be_deleted() {
    let schema = table(Kind::Keyless);
    let row = Row { number: Some(1), word: None, time: None, value: 1 };
    let error = encode(vec![captured(&schema, vec![capture(&schema, &[(row, false)], None)])], "p").unwrap_err();
    assert!(error.report().contains("window-1") && error.report().contains("Keyless"), "{}", error.report());
}

#[test]
fn of_a_checkpoint_that_is_given_up_nothing_is_stored() {
    let storage = MemoryStorage::default();
    let large = || vec![of("b", 4, Kind::Timeless, 0..200)];
    assert!(store(large(), "runs/1/1/w", &storage, &AtomicBool::new(true)).is_err());
    assert_eq!(storage.list("").unwrap(), [""; 0]);
    store(large(), "runs/1/1/w", &storage, &AtomicBool::new(false)).unwrap();
    assert_eq!(storage.list("").unwrap(), ["runs/1/1/w-0.arrow"]);
}
