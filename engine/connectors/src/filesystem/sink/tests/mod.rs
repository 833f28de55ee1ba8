//! The sink's promise under every order of death and recovery, and what its files hold.
#![allow(clippy::unwrap_used, clippy::print_stdout)]
mod contents;
mod disk;
mod neighbours;
mod recovery;
mod round_trip;
mod taken;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use tempfile::TempDir;
use weir_core::audit::{Audit, Found, PreparedEpoch};
use weir_core::{Attempt, ErrorKind, JobIdentity, OperatorUid};

use super::*;

fn table(folder: &Path, options: &[(&str, &str)]) -> TableSpec {
    let mut all = BTreeMap::from([
        ("path".to_owned(), folder.to_str().unwrap().to_owned()),
        ("format".to_owned(), "json".to_owned()),
    ]);
    all.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    TableSpec::new(
        "out",
        "filesystem",
        all,
        Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("word", DataType::Utf8View, true),
        ])),
    )
}

fn context(attempt: u64, epoch: u64) -> SinkContext {
    SinkContext {
        job: JobIdentity(1),
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

/// Commits what a job has prepared for one epoch.
async fn commit(table: &TableSpec, committables: Vec<Vec<u8>>) -> Result<()> {
    let text = String::from_utf8(committables.concat()).unwrap();
    let epoch = text.split_once("-e").and_then(|(_, rest)| rest.split('-').next()?.parse().ok()).unwrap_or(1);
    let SinkContext { job, uid, .. } = context(1, 0);
    let staged = Box::new(Vec::new().into_iter());
    super::commit(table, Commit { job, uid, epoch: Epoch(epoch), committables, staged }).await
}

/// The files that a committable names.
fn files(committable: &[u8]) -> Vec<committable::PreparedFile> {
    serde_json::from_slice(committable).unwrap()
}

async fn prepared(sink: &mut Box<dyn Sink>, rows: std::ops::Range<i64>, epoch: u64) -> Vec<u8> {
    sink.write(batch(rows)).await.unwrap();
    sink.prepare(Epoch(epoch)).await.unwrap().unwrap()
}
