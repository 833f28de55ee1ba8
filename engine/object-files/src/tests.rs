//! What a job writes into a bucket, and what is there of it at any moment.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use weir_connectors::filesystem::sink::{FileLayout, SinkNames};
use weir_core::connector::{Commit, SinkContext, StagedRows};
use weir_core::{Attempt, Batch, Epoch, Error, JobIdentity, OperatorUid, Result, Sink, TableSpec};
use weir_state::{MemoryStorage, Storage};

use crate::commit::{check_not_behind, commit, committed};
use crate::sink::PieceSink;

fn table(with: &[(&str, &str)], partitioned_by: &[&str]) -> TableSpec {
    let options = [("path", "s3://bucket/out"), ("format", "csv"), ("csv.header", "false")].iter().chain(with);
    let options: BTreeMap<String, String> = options.map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let fields = vec![Field::new("day", DataType::Utf8, true), Field::new("n", DataType::Int64, true)];
    let mut table = TableSpec::new("out", "filesystem", options, Arc::new(Schema::new(fields)));
    table.partitioned_by = partitioned_by.iter().map(|column| (*column).to_owned()).collect();
    table
}

fn rows(values: &[(&str, i64)]) -> Batch {
    let days: ArrayRef = Arc::new(StringArray::from_iter_values(values.iter().map(|(day, _)| day)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(values.iter().map(|(_, number)| *number)));
    Batch::append(RecordBatch::try_from_iter([("day", days), ("n", numbers)]).unwrap())
}

fn uid() -> OperatorUid {
    OperatorUid("sink-0123456789abcdef".into())
}

fn sink(table: &TableSpec, subtask: usize) -> PieceSink {
    let (attempt, epoch) = (Attempt(1), Epoch(0));
    let context = SinkContext { job: JobIdentity(0xfeed), uid: uid(), subtask, attempt, epoch };
    PieceSink::new(FileLayout::of(table).unwrap(), &context).unwrap()
}

fn epoch(epoch: u64, staged: impl StagedRows + 'static) -> Commit {
    Commit {
        job: JobIdentity(0xfeed),
        uid: uid(),
        epoch: Epoch(epoch),
        committables: Vec::new(),
        staged: Box::new(staged),
    }
}

/// Visible files, without their names: what they hold, by partition, sorted.
fn visible(storage: &dyn Storage) -> Vec<(String, String)> {
    let paths = storage.list("").unwrap().into_iter().filter(|path| !path.starts_with(".weir-"));
    let mut files: Vec<_> = paths
        .map(|path| {
            let content = String::from_utf8(storage.get(&path).unwrap()).unwrap();
            (path.rsplit_once('/').map_or(String::new(), |(partition, _)| partition.to_owned()), content)
        })
        .collect();
    files.sort();
    files
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(partition, content)| ((*partition).to_owned(), (*content).to_owned())).collect()
}

#[tokio::test]
async fn files_are_there_once_their_epoch_is_committed_and_as_often_as_it_is() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let table = table(&[], &["day"]);
    let (mut one, mut two) = (sink(&table, 0), sink(&table, 1));
    one.write(rows(&[("mon", 1), ("tue", 2)])).await.unwrap();
    two.write(rows(&[("mon", 3)])).await.unwrap();
    one.write(rows(&[("mon", 4)])).await.unwrap();
    assert!(one.take_staged().is_empty(), "short files are staged as a whole");
    assert_eq!(one.prepare(Epoch(4)).await.unwrap(), None);
    assert_eq!(two.prepare(Epoch(4)).await.unwrap(), None);
    let staged = [one.take_staged(), two.take_staged()].concat();
    assert!(visible(&*storage).is_empty());

    let expected = pairs(&[("day=mon", "1\n4\n"), ("day=mon", "3\n"), ("day=tue", "2\n")]);
    for _ in 0..2 {
        commit(storage.clone(), epoch(4, staged.clone().into_iter())).await.unwrap();
        assert_eq!(visible(&*storage), expected);
    }
    // They are their readers' now.
    let taken: Vec<_> = storage.list("day=mon/").unwrap();
    taken.iter().for_each(|path| storage.delete(path).unwrap());
    commit(storage.clone(), epoch(4, staged.into_iter())).await.unwrap();
    assert_eq!(visible(&*storage), pairs(&[("day=tue", "2\n")]));

    one.write(rows(&[("wed", 5)])).await.unwrap();
    one.prepare(Epoch(6)).await.unwrap();
    commit(storage.clone(), epoch(6, one.take_staged().into_iter())).await.unwrap();
    assert_eq!(visible(&*storage), pairs(&[("day=tue", "2\n"), ("day=wed", "5\n")]));
    assert_eq!(storage.list(".weir-").unwrap(), [".weir-000000000000feed-sink-0123456789abcdef/6"]);

    let before = storage.list("").unwrap();
    commit(storage.clone(), epoch(8, Vec::new().into_iter())).await.unwrap();
    assert_eq!(storage.list("").unwrap(), before, "an epoch without rows leaves no trace");
}

/// Pieces of which the last cannot be read.
struct Broken(std::vec::IntoIter<Batch>);

#[async_trait::async_trait]
impl StagedRows for Broken {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let next = Iterator::next(&mut self.0);
        if self.0.len() == 0 { Err(Error::environment("no more can be read")) } else { Ok(next) }
    }
}

#[tokio::test]
async fn a_commit_that_breaks_off_shows_whole_files_and_is_completed_by_the_next() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let table = table(&[("sink.rolling-policy.rows", "2")], &[]);
    let mut sink = sink(&table, 0);
    let all: Vec<(&str, i64)> = (1..=5).map(|n| ("mon", n)).collect();
    sink.write(rows(&all)).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
    let staged = sink.take_staged();
    assert_eq!(staged.len(), 3);
    commit(storage.clone(), epoch(1, Broken(staged.clone().into_iter()))).await.unwrap_err();
    assert_eq!(visible(&*storage), pairs(&[("", "mon,1\nmon,2\n"), ("", "mon,3\nmon,4\n")]));
    commit(storage.clone(), epoch(1, staged.into_iter())).await.unwrap();
    assert_eq!(visible(&*storage), pairs(&[("", "mon,1\nmon,2\n"), ("", "mon,3\nmon,4\n"), ("", "mon,5\n")]));
}

#[tokio::test]
async fn long_files_are_staged_in_pieces_and_no_more_is_held_than_may_be() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let table = table(&[], &["day"]);
    let mut sink = sink(&table, 0).holding(12 << 20);
    let mut staged = Vec::new();
    let mut expected: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for round in 0..60_i64 {
        let day = if round % 3 == 0 { "mon" } else { "tue" };
        let values: Vec<(&str, i64)> = (0..30_000).map(|n| (day, round * 1_000_000_000 + n)).collect();
        expected.entry(day).or_default().extend(values.iter().map(|(_, n)| n.to_string()));
        sink.write(rows(&values)).await.unwrap();
        staged.extend(sink.take_staged());
    }
    assert!(staged.len() >= 3, "the larger file was completed early, in pieces: {}", staged.len());
    sink.prepare(Epoch(1)).await.unwrap();
    staged.extend(sink.take_staged());
    commit(storage.clone(), epoch(1, staged.clone().into_iter())).await.unwrap();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (partition, text) in visible(&*storage) {
        found.entry(partition).or_default().extend(text.lines().map(str::to_owned));
    }
    found.values_mut().for_each(|lines| lines.sort_by_key(|line| line.parse::<i64>().unwrap()));
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(day, lines)| (format!("day={day}"), lines)).collect();
    assert!(found == expected);

    // A file whose end is not there is never shown.
    let files = storage.list("").unwrap();
    let unread: Vec<Batch> = staged.iter().take(1).cloned().collect();
    let error = commit(storage.clone(), epoch(2, unread.into_iter())).await.unwrap_err();
    assert!(error.report().contains("is not whole"), "{}", error.report());
    assert_eq!(storage.list("").unwrap(), files);
}

/// Another process has committed the epoch, and its files have been taken, while this one is at it.
#[tokio::test]
async fn what_another_process_has_finished_does_not_come_back() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let table = table(&[], &["day"]);
    let mut sink = sink(&table, 0);
    sink.write(rows(&[("mon", 1), ("tue", 2)])).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
    let staged = sink.take_staged();
    assert_eq!(staged.len(), 2);
    let slow = Overtaken { staged: staged.clone().into_iter(), storage: storage.clone(), all: staged };
    commit(storage.clone(), epoch(1, slow)).await.unwrap();
    assert!(visible(&*storage).is_empty(), "{:?}", visible(&*storage));
}

/// Behind the first piece, somebody else commits all of them, and a reader takes them away.
struct Overtaken {
    staged: std::vec::IntoIter<Batch>,
    storage: Arc<dyn Storage>,
    all: Vec<Batch>,
}

#[async_trait::async_trait]
impl StagedRows for Overtaken {
    async fn next(&mut self) -> Result<Option<Batch>> {
        if self.staged.len() == 1 {
            commit(self.storage.clone(), epoch(1, self.all.clone().into_iter())).await?;
            let taken = self.storage.list("day=")?;
            taken.iter().try_for_each(|path| self.storage.delete(path))?;
        }
        Ok(Iterator::next(&mut self.staged))
    }
}

/// Another process has committed the epoch and the next one while this one has only to say that it has.
#[tokio::test]
async fn one_that_is_late_does_not_take_back_what_others_have_said_since() {
    let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
    let mut sink = sink(&table(&[], &[]), 0);
    let mut staged = Vec::new();
    for number in [1, 2] {
        sink.write(rows(&[("mon", number)])).await.unwrap();
        sink.prepare(Epoch(4)).await.unwrap();
        staged.push(sink.take_staged());
    }
    let next = staged.pop().unwrap();
    let first = staged.pop().unwrap();
    let late = Late { staged: first.clone().into_iter(), storage: storage.clone(), both: Some((first, next)) };
    commit(storage.clone(), epoch(4, late)).await.unwrap();
    let names = SinkNames::new(JobIdentity(0xfeed), &uid());
    assert_eq!(committed(&*storage, &names).unwrap(), Some(Epoch(5)));
    assert_eq!(visible(&*storage), pairs(&[("", "mon,1\n"), ("", "mon,2\n")]));
}

/// Behind the last piece, somebody else commits this epoch and the next one.
struct Late {
    staged: std::vec::IntoIter<Batch>,
    storage: Arc<dyn Storage>,
    both: Option<(Vec<Batch>, Vec<Batch>)>,
}

#[async_trait::async_trait]
impl StagedRows for Late {
    async fn next(&mut self) -> Result<Option<Batch>> {
        let piece = Iterator::next(&mut self.staged);
        if piece.is_none()
            && let Some((first, next)) = self.both.take()
        {
            // By now the last file is there.
            while self.storage.list("part-")?.is_empty() {
                tokio::task::yield_now().await;
            }
            commit(self.storage.clone(), epoch(4, first.into_iter())).await?;
            commit(self.storage.clone(), epoch(5, next.into_iter())).await?;
        }
        Ok(piece)
    }
}

#[test]
fn a_job_that_goes_back_behind_what_is_there_is_refused() {
    let folder = SinkNames::new(JobIdentity(0xfeed), &uid());
    let storage = MemoryStorage::default();
    assert_eq!(committed(&storage, &folder).unwrap(), None);
    for epoch in [9, 10] {
        storage.put(&format!(".weir-000000000000feed-sink-0123456789abcdef/{epoch}"), b"").unwrap();
    }
    let last = committed(&storage, &folder).unwrap();
    assert_eq!(last, Some(Epoch(10)), "as numbers");
    let begins = |last, behind| check_not_behind("s3://bucket/out", "out", last, Epoch(behind));
    begins(None, 0).unwrap();
    begins(last, 10).unwrap();
    let refused = begins(last, 9).unwrap_err().report();
    assert!(refused.contains("up to epoch 10, and the job goes on behind epoch 9"), "{refused}");
}
