//! The sink's promise under every order of death and recovery, and what its files hold.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use tempfile::TempDir;
use weir_core::{Attempt, ErrorKind, OperatorUid};

use super::*;

fn table(folder: &Path, options: &[(&str, &str)]) -> TableSpec {
    let mut all = BTreeMap::from([
        ("path".to_owned(), folder.to_str().unwrap().to_owned()),
        ("format".to_owned(), "json".to_owned()),
    ]);
    all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    TableSpec {
        name: "out".to_owned(),
        connector: "filesystem".to_owned(),
        options: all,
        schema: Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("word", DataType::Utf8View, true),
        ])),
        projection: None,
        partitioned_by: Vec::new(),
    }
}

fn context(attempt: u64, epoch: u64) -> SinkContext {
    SinkContext {
        uid: OperatorUid("sink-0123456789abcdef".to_owned()),
        subtask: 0,
        attempt: Attempt(attempt),
        epoch: Epoch(epoch),
    }
}

fn batch(ids: std::ops::Range<i64>) -> Batch {
    let words: Vec<Option<String>> =
        ids.clone().map(|id| (id % 5 > 0).then(|| format!("word number {}", id % 5))).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from_iter_values(ids)), Arc::new(words.into_iter().collect::<StringViewArray>())];
    Batch::append(
        RecordBatch::try_from_iter_with_nullable(
            ["id", "word"].into_iter().zip(columns).map(|(name, column)| (name, column, true)),
        )
        .unwrap(),
    )
}

/// Visible files below `folder` with their contents, by relative name.
fn visible(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if !entry.file_name().to_str().unwrap().starts_with('.') {
                let name = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

fn hidden(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with('.')).collect();
    names.sort();
    names
}

/// Ids in all visible files of JSON lines, sorted.
fn ids(folder: &Path) -> Vec<i64> {
    let mut ids: Vec<i64> = visible(folder)
        .values()
        .flat_map(|bytes| std::str::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// What `kill -9` leaves of a sink: its files as they are, and a lock that nobody holds.
fn kill(sink: Box<dyn Sink>, folder: &Path) {
    std::mem::forget(sink);
    for lock in hidden(folder).iter().filter(|name| name.ends_with(".lock")) {
        fs::remove_file(folder.join(lock)).unwrap();
        fs::write(folder.join(lock), "").unwrap();
    }
}

async fn prepared(sink: &mut Box<dyn Sink>, rows: std::ops::Range<i64>, epoch: u64) -> Vec<u8> {
    sink.write(batch(rows)).await.unwrap();
    sink.prepare(Epoch(epoch)).await.unwrap().unwrap()
}

#[tokio::test]
async fn rows_appear_with_the_commit_and_nothing_is_left_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("new/out");
    let table = table(&path, &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap(), None, "an epoch without rows makes no file");
    sink.write(batch(0..0)).await.unwrap();
    assert_eq!(sink.prepare(Epoch(2)).await.unwrap(), None);
    let first = prepared(&mut sink, 0..2, 3).await;
    sink.write(batch(2..3)).await.unwrap();
    assert!(visible(&path).is_empty());
    commit(&table, vec![first]).await.unwrap();
    assert_eq!(
        visible(&path),
        BTreeMap::from([(
            "part-89abcdef-3-0-0.json".to_owned(),
            b"{\"id\":0,\"word\":null}\n{\"id\":1,\"word\":\"word number 1\"}\n".to_vec()
        )])
    );
    drop(sink);
    assert!(hidden(&path).is_empty(), "{:?}", hidden(&path));
}

#[tokio::test]
async fn a_commit_can_be_repeated_and_finished_by_anybody() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[("sink.rolling-policy.rows", "2")]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..7, 1).await;
    kill(sink, folder.path());
    // Somebody has renamed a part of the files and died.
    let files: Vec<committable::PreparedFile> = serde_json::from_slice(&committable).unwrap();
    assert_eq!(files.len(), 4);
    for file in &files[1..3] {
        fs::rename(folder.path().join(&file.temporary), folder.path().join(&file.visible)).unwrap();
    }
    for _ in 0..3 {
        commit(&table, vec![committable.clone()]).await.unwrap();
        assert_eq!(ids(folder.path()), (0..7).collect::<Vec<_>>());
    }
    drop(open(&table, context(2, 1)).await.unwrap());
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), (0..7).collect::<Vec<_>>());
    assert!(hidden(folder.path()).is_empty());
}

#[tokio::test]
async fn what_is_lost_or_changed_is_said() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..3, 1).await;
    commit(&table, vec![committable.clone()]).await.unwrap();
    let file = folder.path().join("part-89abcdef-1-0-0.json");
    fs::write(&file, "{}\n").unwrap();
    let error = commit(&table, vec![committable.clone()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("has 3 bytes"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = commit(&table, vec![committable]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("lost") && error.to_string().contains("part-89abcdef-1-0-0.json"), "{error}");
    assert_eq!(commit(&table, vec![b"x".to_vec()]).await.unwrap_err().kind(), ErrorKind::Data);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_replaced() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let committable = prepared(&mut sink, 0..3, 1).await;
    let file = folder.path().join("part-89abcdef-1-0-0.json");
    fs::write(&file, "mine").unwrap();
    let error = commit(&table, vec![committable.clone()]).await.unwrap_err();
    assert_eq!((error.kind(), fs::read_to_string(&file).unwrap().as_str()), (ErrorKind::Environment, "mine"));
    fs::remove_file(&file).unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), [0, 1, 2]);
}

#[tokio::test]
async fn the_dead_are_swept_up_and_the_living_left_alone() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut dead = open(&table, context(1, 0)).await.unwrap();
    dead.write(batch(0..3)).await.unwrap();
    kill(dead, folder.path());
    let mut other = context(1, 0);
    other.uid = OperatorUid("sink-fedcba9876543210".to_owned());
    let mut foreign = open(&table, other.clone()).await.unwrap();
    foreign.write(batch(10..11)).await.unwrap();
    kill(foreign, folder.path());
    assert_eq!(hidden(folder.path()).len(), 4, "a lock and a file each");

    let mut living = open(&table, context(2, 0)).await.unwrap();
    living.write(batch(0..3)).await.unwrap();
    let mut second = open(&table, context(2, 0)).await.unwrap();
    second.write(batch(3..4)).await.unwrap();
    let of_this_sink = hidden(folder.path()).iter().filter(|name| name.contains("0123456789abcdef")).count();
    assert_eq!(of_this_sink, 4, "the dead one's are gone, both living ones' are there");
    let committables =
        vec![living.prepare(Epoch(1)).await.unwrap().unwrap(), second.prepare(Epoch(1)).await.unwrap().unwrap()];
    drop((living, second));
    // Both have chosen their names before either was there.
    let error = commit(&table, committables.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert_eq!(ids(folder.path()), [0, 1, 2], "nothing is overwritten");
    assert_eq!(hidden(folder.path()).iter().filter(|name| name.contains("fedcba9876543210")).count(), 2);
    drop(open(&table, other).await.unwrap());
    assert!(hidden(folder.path()).iter().all(|name| name.ends_with(".prepared")));
}

/// A checkpoint that was prepared but not completed is written again by the next attempt; one that was completed but
/// not committed is still committed.
#[tokio::test]
async fn a_restart_keeps_what_is_decided_and_drops_what_is_not() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let first = prepared(&mut sink, 0..3, 1).await;
    let _undecided = prepared(&mut sink, 3..5, 2).await;
    sink.write(batch(5..6)).await.unwrap();
    kill(sink, folder.path());

    let mut sink = open(&table, context(2, 1)).await.unwrap();
    assert_eq!(hidden(folder.path()).iter().filter(|name| name.ends_with(".prepared")).count(), 1);
    commit(&table, vec![first]).await.unwrap();
    let second = prepared(&mut sink, 3..6, 2).await;
    commit(&table, vec![second]).await.unwrap();
    drop(sink);
    assert_eq!(ids(folder.path()), (0..6).collect::<Vec<_>>());
    assert!(hidden(folder.path()).is_empty());
}

#[tokio::test]
async fn a_query_that_is_run_again_adds_its_rows() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[]);
    for _ in 0..3 {
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        let committable = prepared(&mut sink, 0..2, 1).await;
        commit(&table, vec![committable]).await.unwrap();
    }
    assert_eq!(ids(folder.path()), [0, 0, 0, 1, 1, 1]);
}

#[tokio::test]
async fn partitions_are_folders() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.partitioned_by = vec!["word".to_owned()];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let words = StringViewArray::from(vec![Some("a/b=c %"), None, Some("ä b"), Some("a/b=c %"), Some("")]);
    let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from_iter_values(0..5)), Arc::new(words)];
    let rows = RecordBatch::try_from_iter(["id", "word"].into_iter().zip(columns)).unwrap();
    sink.write(Batch::append(rows)).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable.clone()]).await.unwrap();
    commit(&table, vec![committable]).await.unwrap();
    let text = |bytes: &str| bytes.as_bytes().to_vec();
    let files: Vec<(String, Vec<u8>)> = visible(folder.path()).into_iter().collect();
    let folder_of = |name: &str| name.split_once("/part-").unwrap().0.to_owned();
    let found: Vec<_> = files.iter().map(|(name, bytes)| (folder_of(name), bytes.clone())).collect();
    assert_eq!(
        found,
        [
            ("word=__DEFAULT_PARTITION__".to_owned(), text("{\"id\":1}\n{\"id\":4}\n")),
            ("word=a%2Fb%3Dc %25".to_owned(), text("{\"id\":0}\n{\"id\":3}\n")),
            ("word=ä b".to_owned(), text("{\"id\":2}\n")),
        ]
    );
}

#[tokio::test]
async fn more_partitions_than_files_can_be_open_lose_nothing() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.schema =
        Arc::new(Schema::new(vec![Field::new("day", DataType::Date32, true), Field::new("id", DataType::Int64, true)]));
    table.partitioned_by = vec!["day".to_owned()];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    for start in (0..1000).step_by(250) {
        let days = arrow::array::Date32Array::from_iter_values((start..start + 250).map(|id| id % 100));
        let rows = Int64Array::from_iter_values((start..start + 250).map(i64::from));
        let columns: [ArrayRef; 2] = [Arc::new(days), Arc::new(rows)];
        let rows = RecordBatch::try_from_iter(["day", "id"].into_iter().zip(columns)).unwrap();
        sink.write(Batch::append(rows)).await.unwrap();
    }
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert_eq!(ids(folder.path()), (0..1000).collect::<Vec<_>>());
    for (name, bytes) in visible(folder.path()) {
        let day: i64 =
            match name.split('/').next().unwrap().strip_prefix("day=1970-0").unwrap().split_once('-').unwrap() {
                ("1", day) => day.parse::<i64>().unwrap() - 1,
                ("2", day) => day.parse::<i64>().unwrap() + 30,
                ("3", day) => day.parse::<i64>().unwrap() + 58,
                ("4", day) => day.parse::<i64>().unwrap() + 89,
                other => panic!("{other:?}"),
            };
        for line in std::str::from_utf8(&bytes).unwrap().lines() {
            let id = serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_i64().unwrap();
            assert_eq!(id % 100, day, "{name}");
        }
    }
}

#[tokio::test]
async fn files_are_rolled_by_rows_and_by_size() {
    let folder = TempDir::new().unwrap();
    // A hundred rows are about 3.2 kB, and the size is looked at behind each batch.
    for options in [[("sink.rolling-policy.rows", "400")], [("sink.rolling-policy.file-size", "10kb")]] {
        let path = folder.path().join(options[0].0);
        let table = table(&path, &options);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        for start in (0..1000).step_by(100) {
            sink.write(batch(start..start + 100)).await.unwrap();
        }
        let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
        commit(&table, vec![committable]).await.unwrap();
        assert_eq!(visible(&path).len(), 3, "{options:?}");
        assert_eq!(ids(&path), (0..1000).collect::<Vec<_>>());
    }
}

/// Reads a file back with Arrow's own readers.
fn read_back(name: &str, bytes: Vec<u8>, schema: &Arc<Schema>) -> Vec<RecordBatch> {
    let bytes = match name.rsplit('.').next().unwrap() {
        "gz" => {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text).unwrap();
            text
        }
        "zst" => zstd::decode_all(bytes.as_slice()).unwrap(),
        _ => bytes,
    };
    match name.split('.').nth(1).unwrap() {
        "json" => {
            let reader = arrow::json::ReaderBuilder::new(schema.clone()).build(bytes.as_slice()).unwrap();
            reader.map(Result::unwrap).collect()
        }
        "csv" => {
            let reader = arrow::csv::ReaderBuilder::new(schema.clone()).with_header(true).build(bytes.as_slice());
            reader.unwrap().map(Result::unwrap).collect()
        }
        "parquet" => {
            let bytes = bytes::Bytes::from(bytes);
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            reader.build().unwrap().map(Result::unwrap).collect()
        }
        "arrow" => {
            let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
            reader.map(Result::unwrap).collect()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_format_can_be_read_back() {
    let folder = TempDir::new().unwrap();
    for (options, extension) in [
        (vec![("format", "json"), ("compression", "zstd")], "json.zst"),
        (vec![("format", "csv"), ("csv.header", "true"), ("compression", "gzip")], "csv.gz"),
        (vec![("format", "csv"), ("csv.header", "true")], "csv"),
        (vec![("format", "parquet")], "parquet"),
        (vec![("format", "parquet"), ("parquet.compression", "zstd")], "parquet"),
        (vec![("format", "arrow")], "arrow"),
    ] {
        let path = folder.path().join(options.len().to_string() + extension);
        let table = table(&path, &options);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        sink.write(batch(0..700)).await.unwrap();
        sink.write(batch(700..1000)).await.unwrap();
        let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
        commit(&table, vec![committable]).await.unwrap();
        let files = visible(&path);
        let (name, bytes) = files.first_key_value().unwrap();
        assert!(name.ends_with(&format!("-0.{extension}")), "{name}");
        let read = read_back(name, bytes.clone(), &table.schema);
        let read = arrow::compute::concat_batches(&table.schema, &read).unwrap();
        let expected = batch(0..1000);
        assert_eq!(
            read.column(0).as_primitive::<Int64Type>(),
            expected.records().column(0).as_primitive::<Int64Type>()
        );
        assert_eq!(read.column(1).as_string_view(), expected.records().column(1).as_string_view(), "{options:?}");
    }
}

/// Columns of views may share large buffers with other batches; only what is referred to is written.
#[tokio::test]
async fn arrow_files_hold_no_foreign_text() {
    let folder = TempDir::new().unwrap();
    let table = table(folder.path(), &[("format", "arrow")]);
    let large = StringViewArray::from_iter_values((0..10_000).map(|row| format!("a long word of number {row}")));
    let few = [Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef, Arc::new(large.slice(5000, 2))];
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    let rows = RecordBatch::try_from_iter(["id", "word"].into_iter().zip(few)).unwrap();
    sink.write(Batch::append(rows)).await.unwrap();
    let committable = sink.prepare(Epoch(1)).await.unwrap().unwrap();
    commit(&table, vec![committable]).await.unwrap();
    assert!(visible(folder.path()).values().all(|bytes| bytes.len() < 4000));
}

#[test]
fn wrong_tables_are_refused_before_anything_runs() {
    let folder = Path::new("/somewhere");
    validate(&table(folder, &[("sink.delivery-guarantee", "exactly-once")])).unwrap();
    validate(&table(folder, &[("path", "file:///somewhere")])).unwrap();
    for (option, value) in [
        ("sink.delivery-guarantee", "at-least-once"),
        ("format", "jsonl"),
        ("compression", "lzma"),
        ("path", "/somewhere/*.json"),
        ("path", ""),
        ("sink.rolling-policy.file-size", "big"),
        ("sink.rolling-policy.rows", "0"),
    ] {
        let error = validate(&table(folder, &[(option, value)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.to_string().contains(option), "{error}");
    }
    let partitioned = |columns: &[&str]| {
        let mut table = table(folder, &[]);
        table.partitioned_by = columns.iter().map(|column| (*column).to_owned()).collect();
        validate(&table).map_err(|error| error.to_string())
    };
    partitioned(&["word"]).unwrap();
    assert!(partitioned(&["words"]).unwrap_err().contains("'words'"));
    assert!(partitioned(&["id", "id"]).unwrap_err().contains("twice"));
    assert!(partitioned(&["id", "word"]).unwrap_err().contains("no column would be left"));
}

#[tokio::test]
async fn null_in_a_not_null_column_is_a_data_error() {
    let folder = TempDir::new().unwrap();
    let mut table = table(folder.path(), &[]);
    table.schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("word", DataType::Utf8View, false),
    ]));
    let mut sink = open(&table, context(1, 0)).await.unwrap();
    sink.write(batch(1..3)).await.unwrap();
    let error = sink.write(batch(0..3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.to_string().contains("'word'"));
    assert_eq!(sink.prepare(Epoch(1)).await.unwrap_err().kind(), ErrorKind::Internal, "it is not used again");
}

#[tokio::test]
async fn a_folder_that_is_none_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = open(&table(&path, &[]), context(1, 0)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Environment);
        assert!(error.to_string().contains("file") && error.help().is_some(), "{error}");
    }
}

/// A small filesystem of memory; `None` where that is not allowed.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "weir-test"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_what_was_committed_stays() {
    let Some(disk) = SmallDisk::mount("size=256k") else {
        println!("skipped: mounting a filesystem is not allowed here");
        return;
    };
    for format in ["json", "parquet", "arrow"] {
        let path = disk.0.path().join(format);
        let table = table(&path, &[("format", format), ("parquet.compression", "uncompressed")]);
        let mut sink = open(&table, context(1, 0)).await.unwrap();
        let first = prepared(&mut sink, 0..10, 1).await;
        commit(&table, vec![first]).await.unwrap();
        let before = visible(&path);

        let mut error = None;
        for epoch in 2..1000 {
            let start = epoch * 20_000;
            let result = match sink.write(batch(start..start + 20_000)).await {
                Ok(()) => sink.prepare(Epoch(epoch as u64)).await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(failed) = result {
                error = Some(failed);
                break;
            }
        }
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Environment, "{}", error.report());
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(error.help().unwrap().contains("make room"), "{}", error.report());
        assert_eq!(visible(&path), before);
        drop(sink);
        // The next attempt has the room that the failed one had taken.
        let mut sink = open(&table, context(2, 1)).await.unwrap();
        let second = prepared(&mut sink, 10..20, 2).await;
        commit(&table, vec![second]).await.unwrap();
        assert_eq!(visible(&path).len(), 2);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_said() {
    let Some(disk) = SmallDisk::mount("size=64k,ro") else {
        println!("skipped: mounting a filesystem is not allowed here");
        return;
    };
    let error = open(&table(disk.0.path(), &[]), context(1, 0)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Environment);
    assert!(error.to_string().contains(disk.0.path().to_str().unwrap()) && error.help().is_some(), "{error}");
}
