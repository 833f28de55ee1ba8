//! The source against real files.
#![allow(clippy::unwrap_used)]

mod bad_input;
mod columnar;
mod folders;
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
use weir_core::connector::{Rejected, Role, SourceContext, SplitPosition};
use weir_core::{Connector, Error, Result, Source, SourceEvent, TableSpec};

use super::Filesystem;

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
        let spec = TableSpec {
            name: "t".into(),
            connector: "filesystem".into(),
            options,
            schema: Arc::new(Schema::new(fields)),
            projection: None,
            partitioned_by: Vec::new(),
        };
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

    async fn open(&self, subtask: usize, parallelism: usize, restored: &[SplitPosition]) -> Result<Box<dyn Source>> {
        Filesystem.validate(&self.spec, Role::Source)?;
        let context = SourceContext { subtask, parallelism, restored: restored.to_vec(), batch_rows: 3 };
        Filesystem.open_source(&self.spec, context).await
    }

    async fn read(&self) -> Result<Vec<String>> {
        Ok(self.read_all(1, &[]).await?.rows)
    }

    /// What all subtasks read, from `restored` on.
    async fn read_all(&self, parallelism: usize, restored: &[SplitPosition]) -> Result<Answer> {
        let mut answer = Answer::default();
        for subtask in 0..parallelism {
            answer.drain(self.open(subtask, parallelism, restored).await?.as_mut()).await?;
        }
        Ok(answer)
    }

    async fn fails(&self) -> Error {
        match self.read_all(1, &[]).await {
            Ok(answer) => panic!("no error, but {:?}", answer.rows),
            Err(error) => error,
        }
    }
}

#[derive(Default)]
struct Answer {
    rows: Vec<String>,
    rejected: Vec<Rejected>,
    /// `+split`, `+split holds`, `-split`, in order.
    splits: Vec<String>,
    positions: Vec<SplitPosition>,
}

impl Answer {
    async fn drain(&mut self, source: &mut dyn Source) -> Result<()> {
        loop {
            let event = source.next().await?;
            if matches!(event, SourceEvent::End) {
                self.positions.extend(source.positions());
                return Ok(());
            }
            self.take(event);
        }
    }

    fn take(&mut self, event: SourceEvent) {
        let name = |split: &str| split.rsplit('/').next().unwrap().to_owned();
        match event {
            SourceEvent::SplitAdded { split, holds_watermark } => {
                self.splits.push(format!("+{}{}", name(&split), if holds_watermark { " holds" } else { "" }));
            }
            SourceEvent::Rows { split, records, rejected } => {
                let added = format!("+{}", name(&split));
                assert!(self.splits.iter().any(|line| line.starts_with(&added)), "rows of an unknown split");
                self.rows.extend(lines(&records));
                self.rejected.extend(rejected);
            }
            SourceEvent::SplitFinished { split } => self.splits.push(format!("-{}", name(&split))),
            SourceEvent::End => {}
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
    let expected = sorted(table.read_all(1, &[]).await.unwrap().rows);
    let mut sources = Vec::new();
    for subtask in 0..parallelism {
        sources.push(table.open(subtask, parallelism, &[]).await.unwrap());
    }
    let mut before = Answer::default();
    let mut running: BTreeSet<usize> = (0..parallelism).collect();
    while !running.is_empty() {
        for subtask in running.clone() {
            let positions: Vec<SplitPosition> = sources.iter().flat_map(|source| source.positions()).collect();
            let after = table.read_all(restored_parallelism, &positions).await.unwrap();
            let mut all = before.rows.clone();
            all.extend(after.rows);
            assert_eq!(sorted(all), expected, "resumed at {positions:?}");
            match sources[subtask].next().await.unwrap() {
                SourceEvent::End => {
                    running.remove(&subtask);
                }
                event => before.take(event),
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
