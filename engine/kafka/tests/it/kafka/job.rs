//! A table that is read without a job around it, by as many readers as wanted, from any checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::array_value_to_string;
use tokio::time::{Instant, timeout};
use weir_core::connector::{AssignedSplit, DiscoveryContext, METADATA_KEY, Role, SourceContext};
use weir_core::{Attempt, Connector, Epoch, Error, Result, Source, SourceEvent, Split, SplitDiscovery, TableSpec};
use weir_kafka::{Kafka, UpsertKafka};

use super::cluster::{PATIENCE, Topic, address};

/// What a checkpoint keeps of a table.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    pub announced: Vec<Split>,
    pub positions: BTreeMap<Arc<str>, String>,
    pub finished: BTreeSet<Arc<str>>,
}

/// A table with a column `v STRING` of the format `raw`, unless `with` says otherwise.
pub fn table(topic: &Topic, with: &[(&str, &str)]) -> TableSpec {
    columns(topic, &[("v", DataType::Utf8View)], with)
}

/// Columns whose names begin with `$` are metadata.
pub fn columns(topic: &Topic, columns: &[(&str, DataType)], with: &[(&str, &str)]) -> TableSpec {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in [
        ("topic", topic.name.as_str()),
        ("properties.bootstrap.servers", &address()),
        ("scan.startup.mode", "earliest-offset"),
        ("format", "raw"),
    ] {
        options.insert(name.into(), value.into());
    }
    for (name, value) in with {
        match *value {
            "" => drop(options.remove(*name)),
            value => drop(options.insert((*name).into(), value.into())),
        }
    }
    let field = |(name, data_type): &(&str, DataType)| match name.strip_prefix('$') {
        None => Field::new(*name, data_type.clone(), true),
        Some(key) => Field::new(key, data_type.clone(), key == "key")
            .with_metadata([(METADATA_KEY.to_owned(), key.to_owned())].into()),
    };
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    TableSpec::new("t", "kafka", options, Arc::new(schema))
}

/// A table that is being read.
pub struct Job {
    table: TableSpec,
    discovery: Box<dyn SplitDiscovery>,
    pub announced: Vec<Split>,
    all_announced: bool,
    readers: Vec<Reader>,
    pub rejected: Vec<String>,
    /// Rows that have been read and not been asked for.
    rows: Vec<String>,
    pub batches: usize,
}

struct Reader {
    source: Box<dyn Source>,
    open: BTreeSet<Arc<str>>,
    finished: BTreeSet<Arc<str>>,
}

impl Job {
    pub async fn begin(table: &TableSpec) -> Self {
        Self::from(table, Checkpoint::default(), 1).await.unwrap()
    }

    pub async fn from(table: &TableSpec, checkpoint: Checkpoint, readers: usize) -> Result<Self> {
        let connector: Box<dyn Connector> = match table.connector.as_str() {
            "upsert-kafka" => Box::new(UpsertKafka::default()),
            _ => Box::new(Kafka::default()),
        };
        connector.validate(table, Role::Source)?;
        let context = DiscoveryContext { known: checkpoint.announced.clone(), attempt: Attempt(1) };
        let discovery = connector.open_discovery(table, context).await?;
        let mut job = Self {
            table: table.clone(),
            discovery,
            announced: Vec::new(),
            all_announced: false,
            readers: Vec::new(),
            rejected: Vec::new(),
            rows: Vec::new(),
            batches: 0,
        };
        for subtask in 0..readers {
            let context = SourceContext { subtask, parallelism: readers, batch_rows: 1000 };
            let source = connector.open_source(table, context).await?;
            job.readers.push(Reader { source, open: BTreeSet::new(), finished: BTreeSet::new() });
        }
        let new = job.discover().await?;
        job.announce(checkpoint.announced.iter().cloned().chain(new).collect(), &checkpoint)?;
        Ok(job)
    }

    /// Waits for the discovery's next word.
    async fn discover(&mut self) -> Result<Vec<Split>> {
        let found = timeout(PATIENCE, self.discovery.next()).await.expect("the discovery says nothing")?;
        self.all_announced = found.is_none();
        Ok(found.unwrap_or_default())
    }

    fn announce(&mut self, splits: Vec<Split>, from: &Checkpoint) -> Result<()> {
        for split in splits {
            let readers = self.readers.len();
            let reader = &mut self.readers[self.announced.len() % readers];
            self.announced.push(split.clone());
            if from.finished.contains(&split.name) {
                reader.finished.insert(split.name);
                continue;
            }
            reader.open.insert(split.name.clone());
            let position = from.positions.get(&split.name).cloned();
            reader.source.assign(vec![AssignedSplit { split, position }])?;
        }
        Ok(())
    }

    /// Waits until partitions have been found that were not there.
    pub async fn grow(&mut self) {
        let found = self.discover().await.unwrap();
        assert!(!found.is_empty(), "nothing new was found");
        self.announce(found, &Checkpoint::default()).unwrap();
    }

    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint { announced: self.announced.clone(), ..Checkpoint::default() };
        for reader in &self.readers {
            let positions = reader.source.positions().into_iter();
            checkpoint.positions.extend(positions.map(|at| (at.split, at.position)));
            checkpoint.finished.extend(reader.finished.iter().cloned());
        }
        checkpoint
    }

    /// A checkpoint that is completed.
    pub async fn complete(&mut self, epoch: u64) -> Checkpoint {
        for reader in &mut self.readers {
            let positions = reader.source.positions();
            reader.source.captured(Epoch(epoch), &positions);
            reader.source.completed(Epoch(epoch)).await.unwrap();
        }
        self.checkpoint()
    }

    /// Records that have not been read.
    pub fn lag(&self) -> u64 {
        self.readers.iter().flat_map(|reader| reader.source.lag()).filter_map(|lag| lag.records).sum()
    }

    /// Reads for a moment, and returns what went wrong.
    async fn step(&mut self, reader: usize) -> Result<()> {
        const MOMENT: Duration = Duration::from_millis(100);
        let reading = &mut self.readers[reader];
        if reading.open.is_empty() {
            return Ok(());
        }
        let Ok(event) = timeout(MOMENT, reading.source.next()).await else { return Ok(()) };
        match event? {
            SourceEvent::Rows { records, rejected, .. } => {
                self.batches += 1;
                assert_eq!(records.schema(), self.table.output_schema());
                self.rows.extend(lines(&records));
                let reject = |rejected: weir_core::connector::Rejected| {
                    let raw = String::from_utf8_lossy(&rejected.raw).into_owned();
                    format!("{} {} '{raw}': {}", rejected.origin, rejected.offset, rejected.reason)
                };
                self.rejected.extend(rejected.into_iter().map(reject));
            }
            SourceEvent::Time { .. } => {}
            SourceEvent::SplitFinished { split } => {
                assert!(reading.open.remove(&split), "{split} was not open");
                reading.finished.insert(split);
            }
        }
        Ok(())
    }

    /// The next so many rows, sorted.
    pub async fn rows(&mut self, count: usize) -> Vec<String> {
        let begin = Instant::now();
        while self.rows.len() < count {
            for reader in 0..self.readers.len() {
                self.step(reader).await.unwrap();
            }
            assert!(begin.elapsed() < PATIENCE, "only {:?} instead of {count}", self.rows);
        }
        let mut rows: Vec<String> = self.rows.drain(..count).collect();
        rows.sort();
        rows
    }

    /// Reads until so many records are rejected.
    pub async fn rejects(&mut self, count: usize) {
        let begin = Instant::now();
        while self.rejected.len() < count {
            self.step(0).await.unwrap();
            assert!(begin.elapsed() < PATIENCE, "only {:?} instead of {count}", self.rejected);
        }
    }

    /// Nothing comes for a while.
    pub async fn no_rows(&mut self) {
        for _ in 0..10 {
            for reader in 0..self.readers.len() {
                self.step(reader).await.unwrap();
            }
        }
        assert_eq!(self.rows, [""; 0]);
    }

    /// Rows that come within a moment, if any do.
    pub async fn whatever_comes(&mut self) -> Vec<String> {
        for _ in 0..20 {
            for reader in 0..self.readers.len() {
                self.step(reader).await.unwrap();
            }
        }
        std::mem::take(&mut self.rows)
    }

    /// All rows up to the end of the table.
    pub async fn until_end(&mut self) -> Vec<String> {
        let begin = Instant::now();
        while self.readers.iter().any(|reader| !reader.open.is_empty()) {
            for reader in 0..self.readers.len() {
                self.step(reader).await.unwrap();
            }
            assert!(begin.elapsed() < PATIENCE, "there is no end behind {:?}", self.rows);
        }
        if !self.all_announced {
            assert!(self.discover().await.unwrap().is_empty());
        }
        assert!(self.all_announced, "a table that ends has all of its partitions from the beginning");
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort();
        rows
    }

    /// What goes wrong with it.
    pub async fn failure(&mut self) -> Error {
        let begin = Instant::now();
        loop {
            for reader in 0..self.readers.len() {
                if let Err(error) = self.step(reader).await {
                    return error;
                }
            }
            assert!(begin.elapsed() < PATIENCE + PATIENCE, "nothing goes wrong");
        }
    }
}

/// Rows as text, columns with a space between them.
pub fn lines(records: &RecordBatch) -> Vec<String> {
    let cell = |column, row| array_value_to_string(records.column(column), row).unwrap();
    let row = |row| (0..records.num_columns()).map(|column| cell(column, row)).collect::<Vec<_>>().join(" ");
    (0..records.num_rows()).map(row).collect()
}

/// Why a job does not even begin.
pub async fn refusal(table: &TableSpec) -> Error {
    match Job::from(table, Checkpoint::default(), 1).await {
        Ok(_) => panic!("it begins"),
        Err(error) => error,
    }
}
