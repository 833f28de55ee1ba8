//! Where rows of a `SELECT` wait, and for whom.
#![allow(clippy::unwrap_used)]
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::ipc::reader::FileReader;
use weir_core::connector::StagedRows;
use weir_core::{Attempt, ErrorKind, OperatorUid};
use weir_proto::client::results::reader;

use super::*;

fn table(folder: &Path) -> TableSpec {
    let url = format!("file://{}", folder.display());
    TableSpec::new(
        "result",
        RESULT_CONNECTOR,
        BTreeMap::from([(RESULT_FOLDER.to_owned(), url)]),
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)])),
    )
}

fn context() -> SinkContext {
    let uid = OperatorUid("sink-0123456789abcdef".into());
    SinkContext { job: Default::default(), uid, subtask: 0, attempt: Attempt(1), epoch: Epoch(0) }
}

fn rows(table: &TableSpec, values: &[i64]) -> Batch {
    let column = Arc::new(Int64Array::from(values.to_vec()));
    Batch::append(RecordBatch::try_new(table.schema.clone(), vec![column]).unwrap())
}

fn commit(epoch: u64, staged: Vec<Batch>) -> Commit {
    let uid = context().uid;
    Commit {
        job: Default::default(),
        uid,
        epoch: Epoch(epoch),
        committables: Vec::new(),
        staged: Box::new(staged.into_iter()),
    }
}

/// Rows of which only the first are read.
struct Broken(Vec<Batch>);

#[async_trait]
impl StagedRows for Broken {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.0.is_empty() { Err(Error::environment("no more can be read")) } else { Ok(Some(self.0.remove(0))) }
    }
}

/// Visible files with their numbers, in the order in which they are printed.
fn visible(folder: &Path) -> Vec<(FilePosition, Vec<i64>)> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let read = |name: &str| {
        let reader = FileReader::try_new(File::open(folder.join(name)).unwrap(), None).unwrap();
        let column = |batch: RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        reader.flat_map(|batch| column(batch.unwrap())).collect()
    };
    let mut files: Vec<_> = names.filter_map(|name| Some((FilePosition::of(&name)?, read(&name)))).collect();
    files.sort_unstable();
    files
}

#[tokio::test]
async fn rows_are_staged_and_visible_once_committed_in_order_of_their_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    fs::write(folder.path().join(reader(0)), "").unwrap();
    let mut sink = ResultFiles::default().open_sink(&table, context()).await.unwrap();
    let mut staged = Vec::new();
    for epoch in [9, 12] {
        sink.write(rows(&table, &[epoch, 2])).await.unwrap();
        assert_eq!(sink.prepare(Epoch(epoch as u64)).await.unwrap(), None);
        staged.push((epoch as u64, sink.take_staged()));
        assert!(visible(folder.path()).is_empty());
    }
    for (epoch, staged) in staged.iter().chain(&staged) {
        ResultFiles::default().commit(&table, commit(*epoch, staged.clone())).await.unwrap();
    }
    let position = |epoch| FilePosition { epoch: Epoch(epoch), number: 0 };
    assert_eq!(visible(folder.path()), [(position(9), vec![9, 2]), (position(12), vec![12, 2])]);
    let names = fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = names.map(|entry| entry.unwrap().file_name()).filter(|name| name != "tmp").collect();
    assert_eq!(left.len(), 3, "with the reader's; nothing else is left behind: {left:?}");
    assert!(fs::read_dir(folder.path().join("tmp")).is_ok_and(|mut files| files.next().is_none()));
}

#[tokio::test]
async fn many_rows_come_in_several_files_and_a_commit_that_was_broken_off_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    fs::write(folder.path().join(reader(0)), "").unwrap();
    let half = FILE_ROWS as i64 / 2;
    let staged: Vec<Batch> = (0..5).map(|n| rows(&table, &(n * half..(n + 1) * half).collect::<Vec<_>>())).collect();
    let broken_off = Commit { staged: Box::new(Broken(staged[..3].to_vec())), ..commit(1, Vec::new()) };
    ResultFiles::default().commit(&table, broken_off).await.unwrap_err();
    assert_eq!(visible(folder.path()).len(), 1);
    ResultFiles::default().commit(&table, commit(1, staged)).await.unwrap();
    let files = visible(folder.path());
    let numbers: Vec<u64> = files.iter().map(|(position, _)| position.number).collect();
    assert_eq!(numbers, [0, 1, 2]);
    let all: Vec<i64> = files.into_iter().flat_map(|(_, rows)| rows).collect();
    assert!(all.into_iter().eq(0..5 * half));
}

#[tokio::test]
async fn without_a_reader_no_sink_opens_and_nothing_is_left_to_commit() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    let refused = |error: Error| (error.kind(), error.report());
    let (kind, report) = refused(ResultFiles::default().open_sink(&table, context()).await.err().unwrap());
    assert_eq!(kind, ErrorKind::User);
    assert!(report.contains("nobody reads"), "{report}");
    fs::remove_dir_all(folder.path()).unwrap();
    ResultFiles::default().commit(&table, commit(1, vec![rows(&table, &[1])])).await.unwrap();
    assert!(!folder.path().exists());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_does_nothing_for_long_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let table = table(folder.path());
    fs::write(folder.path().join(reader(7)), "").unwrap();
    let mut sink = ResultFiles::default().open_sink(&table, context()).await.unwrap();
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
fn other_files_have_no_position() {
    assert_eq!(FilePosition::of("part-12-3.arrow"), Some(FilePosition { epoch: Epoch(12), number: 3 }));
    for name in ["reader-1", "part-12.arrow", "part-12-3.arrow.gz", ".part-12-3.arrow-00ff", "part-12-3-4.arrow"] {
        assert_eq!(FilePosition::of(name), None, "{name}");
    }
}
