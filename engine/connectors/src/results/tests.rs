//! Where rows of a `SELECT` wait, and for whom.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use weir_core::{Attempt, ErrorKind, OperatorUid};

use super::*;

fn table(folder: &Path) -> TableSpec {
    let url = format!("file://{}", folder.display());
    TableSpec {
        name: "result".into(),
        connector: RESULT_CONNECTOR.into(),
        options: BTreeMap::from([(RESULT_FOLDER.to_owned(), url)]),
        schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)])),
        projection: None,
        partitioned_by: Vec::new(),
    }
}

fn context(attempt: u64, epoch: u64) -> SinkContext {
    let uid = OperatorUid("sink-0123456789abcdef".into());
    SinkContext { uid, subtask: 0, attempt: Attempt(attempt), epoch: Epoch(epoch) }
}

fn rows(table: &TableSpec, values: &[i64]) -> Batch {
    let column = Arc::new(Int64Array::from(values.to_vec()));
    Batch::append(RecordBatch::try_new(table.schema.clone(), vec![column]).unwrap())
}

/// Visible files, in the order in which they are printed.
fn visible(folder: &Path) -> Vec<Place> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut places: Vec<Place> = names.filter_map(|name| Place::of(&name)).collect();
    places.sort_unstable();
    places
}

#[tokio::test]
async fn rows_are_visible_once_committed_and_in_order_of_their_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    fs::write(folder.path().join(reader(0)), "").unwrap();
    let mut sink = ResultFiles.open_sink(&table, context(1, 0)).await.unwrap();
    let mut prepared = Vec::new();
    for epoch in [9, 10] {
        sink.write(rows(&table, &[1, 2])).await.unwrap();
        prepared.push(sink.prepare(Epoch(epoch)).await.unwrap().unwrap());
        assert!(visible(folder.path()).is_empty());
    }
    for committable in prepared.iter().chain(&prepared) {
        ResultFiles.commit(&table, vec![committable.clone()]).await.unwrap();
    }
    let place = |epoch| Place { epoch: Epoch(epoch), subtask: 0, number: 0 };
    assert_eq!(visible(folder.path()), [place(9), place(10)]);
}

#[tokio::test]
async fn without_a_reader_no_sink_opens_and_nothing_is_left_to_commit() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let refused = |error: Error| (error.kind(), error.report());
    let (kind, report) = refused(ResultFiles.open_sink(&table, context(1, 0)).await.err().unwrap());
    assert_eq!(kind, ErrorKind::User);
    assert!(report.contains("nobody reads"), "{report}");

    fs::write(folder.path().join(reader(0)), "").unwrap();
    let mut sink = ResultFiles.open_sink(&table, context(1, 0)).await.unwrap();
    sink.write(rows(&table, &[1])).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    drop(sink);
    fs::remove_dir_all(folder.path()).unwrap();
    ResultFiles.commit(&table, vec![committable]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_nothing_for_long_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    fs::write(folder.path().join(reader(7)), "").unwrap();
    let mut sink = ResultFiles.open_sink(&table, context(1, 0)).await.unwrap();
    tokio::time::advance(PATIENCE - Duration::from_secs(1)).await;
    sink.prepare(Epoch(1)).await.unwrap();
    // The new one is made before the old one goes.
    fs::write(folder.path().join(reader(8)), "").unwrap();
    sink.prepare(Epoch(2)).await.unwrap();
    fs::remove_file(folder.path().join(reader(7))).unwrap();
    tokio::time::advance(PATIENCE - Duration::from_secs(1)).await;
    sink.prepare(Epoch(3)).await.unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let error = sink.prepare(Epoch(4)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User, "it would not help to start the job again");
    assert!(error.to_string().contains("nobody reads"), "{error}");
}

#[test]
fn other_files_have_no_place() {
    let place = Place { epoch: Epoch(12), subtask: 0, number: 3 };
    assert_eq!(Place::of("part-89abcdef-12-0-3.arrow"), Some(place));
    for name in
        ["reader-1", "part-89abcdef-12-0.arrow", "part-89abcdef-12-0-3.arrow.gz", ".weir-x-e1-a1-s0-0-0.prepared"]
    {
        assert_eq!(Place::of(name), None, "{name}");
    }
}
