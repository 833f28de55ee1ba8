//! The source against real files.
#![allow(clippy::unwrap_used)]

mod away;
mod bad_input;
mod changed;
mod columnar;
mod folders;
mod lookup;
mod ranges;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMillisecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tempfile::TempDir;
use weir_core::connector::{DiscoveryContext, Rejected, Role, SourceContext, SplitDiscovery};
use weir_core::{Attempt, Connector, Error, ErrorKind, Result, SourceEvent, Split, TableSpec};

use super::Filesystem;
use crate::bench::{Checkpoint, Reader, discover};

/// A folder and a table over it.
struct Table {
    folder: TempDir,
    spec: TableSpec,
}

impl Table {
    /// A table over the whole folder. Columns are `name TYPE [NOT NULL]`.
    fn new(options: &[(&str, &str)], columns: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut options: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        options.entry("path".to_owned()).or_insert_with(|| folder.path().to_str().unwrap().to_owned());
        let fields: Vec<Field> = columns.iter().map(|column| field(column)).collect();
        let spec = TableSpec::new("t", "filesystem", options, Arc::new(Schema::new(fields)));
        Self { folder, spec }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        self.spec.options.insert(name.to_owned(), value.to_owned());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.write(name, content);
        self
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    async fn open(&self, subtask: usize, parallelism: usize, from: &Checkpoint) -> Result<Reader> {
        Filesystem::default().validate(&self.spec, Role::Source)?;
        let context = SourceContext { subtask, parallelism, batch_rows: 3 };
        Reader::open(&Filesystem::default(), &self.spec, context, from).await
    }

    async fn read(&self) -> Result<Vec<String>> {
        Ok(self.read_all(1, &Checkpoint::default()).await?.rows)
    }

    /// What all subtasks read, from a checkpoint on.
    async fn read_all(&self, parallelism: usize, from: &Checkpoint) -> Result<Answer> {
        let mut answer = Answer::default();
        for subtask in 0..parallelism {
            answer.drain(&mut self.open(subtask, parallelism, from).await?).await?;
        }
        Ok(answer)
    }

    async fn fails(&self) -> Error {
        match self.read_all(1, &Checkpoint::default()).await {
            Ok(answer) => panic!("no error, but {:?}", answer.rows),
            Err(error) => error,
        }
    }
}

#[derive(Default)]
struct Answer {
    rows: Vec<String>,
    rejected: Vec<Rejected>,
    /// Splits that have been read to their end, in order.
    finished: Vec<String>,
    checkpoint: Checkpoint,
}

impl Answer {
    async fn drain(&mut self, reader: &mut Reader) -> Result<()> {
        while let Some(event) = reader.next().await? {
            self.take(event);
        }
        self.checkpoint.add(reader);
        Ok(())
    }

    fn take(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Rows { records, rejected, .. } => {
                self.rows.extend(lines(&records));
                self.rejected.extend(rejected);
            }
            SourceEvent::SplitFinished { split } => {
                self.finished.push(split.rsplit('/').next().unwrap().to_owned());
            }
            SourceEvent::Time { .. } => panic!("its rows say what time it is"),
        }
    }
}

/// Rows as text, with `∅` for null.
fn lines(records: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("∅");
    // Arrow knows zones by name only with the right feature.
    let shown: Vec<ArrayRef> = records
        .columns()
        .iter()
        .map(|column| match column.as_primitive_opt::<TimestampMillisecondType>() {
            Some(times) if times.timezone().is_some() => Arc::new(times.clone().with_timezone("+00:00")),
            _ => column.clone(),
        })
        .collect();
    let columns: Vec<_> = shown.iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..records.num_rows())
        .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" "))
        .collect()
}

fn field(text: &str) -> Field {
    let (name, rest) = text.split_once(' ').unwrap();
    let (data_type, nullable) = match rest.strip_suffix(" NOT NULL") {
        Some(data_type) => (data_type, false),
        None => (rest, true),
    };
    let nested = |data_type: &str| Field::new("item", field(&format!("x {data_type}")).data_type().clone(), true);
    let data_type = match data_type {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "DOUBLE" => DataType::Float64,
        "DECIMAL" => DataType::Decimal128(6, 2),
        "DATE" => DataType::Date32,
        "TIME" => DataType::Time64(TimeUnit::Nanosecond),
        "TIMESTAMP" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "TIMESTAMP_LTZ" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        "STRING" => DataType::Utf8View,
        "BYTES" => DataType::BinaryView,
        "ARRAY INT" => DataType::List(Arc::new(nested("INT"))),
        "MAP STRING INT" => {
            let pair = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", DataType::Int32, true)];
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(pair.into()), false)), false)
        }
        "ROW" => DataType::Struct(vec![field("a INT"), field("b STRING NOT NULL")].into()),
        other => panic!("{other}"),
    };
    Field::new(name, data_type, nullable)
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// Opens the table at every state that a run passes through, and checks that what is left follows.
async fn check_resume(table: &Table, parallelism: usize, restored_parallelism: usize) {
    let fresh = Checkpoint::default();
    let expected = sorted(table.read_all(1, &fresh).await.unwrap().rows);
    let mut readers = Vec::new();
    for subtask in 0..parallelism {
        readers.push(table.open(subtask, parallelism, &fresh).await.unwrap());
    }
    let mut before = Answer::default();
    let mut running: BTreeSet<usize> = (0..parallelism).collect();
    while !running.is_empty() {
        for subtask in running.clone() {
            let mut checkpoint = Checkpoint::default();
            readers.iter().for_each(|reader| checkpoint.add(reader));
            let after = table.read_all(restored_parallelism, &checkpoint).await.unwrap();
            let mut all = before.rows.clone();
            all.extend(after.rows);
            assert_eq!(sorted(all), expected, "resumed at {checkpoint:?}");
            match readers[subtask].next().await.unwrap() {
                None => {
                    running.remove(&subtask);
                }
                Some(event) => before.take(event),
            }
        }
    }
    assert_eq!(sorted(before.rows), expected);
}

fn contains(error: &Error, parts: &[&str]) {
    let report = error.report();
    for part in parts {
        assert!(report.contains(part), "'{part}' is not in: {report}");
    }
}

fn name_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Long enough that only a defect reaches it.
const PATIENCE: Duration = Duration::from_secs(20);
