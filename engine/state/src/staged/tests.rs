//! What is staged comes back as it was, or not at all.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::Cursor;

use arrow::array::{Array, Int64Array, StringViewArray};
use arrow::ipc::reader::FileReader;
use weir_core::ErrorKind;

use super::*;
use crate::MemoryStorage;

fn schema() -> SchemaRef {
    let fields = [Field::new("n", DataType::Int64, true), Field::new("word", DataType::Utf8View, true)];
    Arc::new(Schema::new(fields.to_vec()))
}

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let words: StringViewArray = numbers.clone().map(|n| (n % 3 > 0).then(|| format!("a word about {n}"))).collect();
    let numbers: Int64Array = numbers.collect();
    RecordBatch::try_new(schema(), vec![Arc::new(numbers), Arc::new(words)]).unwrap()
}

/// `+ 3` for a row that is added, in order.
fn lines(batches: &[Batch]) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in batches {
        let numbers = batch.records().column(0).as_primitive::<arrow::datatypes::Int64Type>();
        let words = batch.records().column(1).as_string_view();
        for row in 0..batch.num_rows() {
            let added = batch.weights().is_none_or(|weights| weights.value(row) > 0);
            let word = words.is_valid(row).then(|| words.value(row));
            lines.push(format!("{} {} {word:?}", if added { '+' } else { '-' }, numbers.value(row)));
        }
    }
    lines
}

fn stage(storage: &MemoryStorage, batches: &[Batch]) -> StagedRun {
    let (bytes, run) = encode_staged(batches, "runs/staged".to_owned()).unwrap();
    storage.put(&run.file, &bytes).unwrap();
    run
}

#[test]
fn rows_come_back_in_the_order_of_writing() {
    let storage = MemoryStorage::default();
    let batches = [Batch::append(rows(7..9)), Batch::append(rows(0..3)), Batch::append(rows(0..0))];
    let run = stage(&storage, &batches);
    assert_eq!(run.rows, 5);
    let back = read_staged(&storage, &run, &schema()).unwrap();
    assert!(back.iter().all(|batch| batch.weights().is_none()));
    assert_eq!(
        lines(&back),
        [
            "+ 7 Some(\"a word about 7\")",
            "+ 8 Some(\"a word about 8\")",
            "+ 0 None",
            "+ 1 Some(\"a word about 1\")",
            "+ 2 Some(\"a word about 2\")"
        ]
    );
}

#[test]
fn weights_survive() {
    let storage = MemoryStorage::default();
    let weighted = Batch::weighted(rows(0..3), Int8Array::from(vec![-1, 1, -1])).unwrap();
    let run = stage(&storage, &[Batch::append(rows(3..4)), weighted]);
    let back = lines(&read_staged(&storage, &run, &schema()).unwrap());
    let signs: String = back.iter().map(|line| &line[..3]).collect::<Vec<_>>().join(",");
    assert_eq!(signs, "+ 3,- 0,+ 1,- 2");
}

#[test]
fn any_arrow_reader_opens_a_run() {
    let storage = MemoryStorage::default();
    let run = stage(&storage, &[Batch::append(rows(0..4))]);
    let reader = FileReader::try_new(Cursor::new(storage.get(&run.file).unwrap()), None).unwrap();
    assert_eq!(reader.schema(), schema());
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 4);
}

#[test]
fn no_row_is_read_from_a_damaged_run() {
    let run = stage(&MemoryStorage::default(), &[Batch::append(rows(0..4))]);
    let (good, _) = encode_staged(&[Batch::append(rows(0..4))], run.file.clone()).unwrap();
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        let storage = MemoryStorage::default();
        storage.put(&run.file, &bad).unwrap();
        let error = read_staged(&storage, &run, &schema()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Data);
        assert!(error.to_string().contains(&storage.locate(&run.file)), "{error}");
    }
    let cut = MemoryStorage::default();
    cut.put(&run.file, &good[..good.len() - 1]).unwrap();
    assert_eq!(read_staged(&cut, &run, &schema()).unwrap_err().kind(), ErrorKind::Data);
    assert_eq!(read_staged(&MemoryStorage::default(), &run, &schema()).unwrap_err().kind(), ErrorKind::Environment);
}

#[test]
fn strings_that_are_not_shown_are_not_written() {
    let long: StringViewArray = (0..1000).map(|n| Some(format!("{n:0>1000}"))).collect();
    let numbers: Int64Array = (0..1000).collect();
    let all = RecordBatch::try_new(schema(), vec![Arc::new(numbers), Arc::new(long)]).unwrap();
    let (bytes, _) = encode_staged(&[Batch::append(all.slice(10, 1))], String::new()).unwrap();
    assert!(bytes.len() < 5000, "{}", bytes.len());
}
