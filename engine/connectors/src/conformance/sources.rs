//! What a source promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use weir_core::connector::{AssignedSplit, DiscoveryContext, Source, SourceContext, SourceEvent, Split};
use weir_core::{Attempt, Connector, SplitDiscovery, TableSpec};

use crate::formats::encode::{Style, Texts};

/// A table that ends, and nobody writes.
pub trait SourceUnderTest: Send + Sync {
    /// The connector as another process has it.
    fn process(&self) -> Arc<dyn Connector>;

    /// The table.
    fn table(&self) -> TableSpec;

    /// Its rows as [`Style::SQL`] writes them, a row a text, in any order. There are some dozens at least.
    fn rows(&self) -> Vec<String>;
}

/// Rows that a batch should have, so that there are several.
const BATCH: usize = 7;
/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Checks all promises.
pub async fn source(of: &impl SourceUnderTest) {
    let mut expected = of.rows();
    expected.sort();
    assert!(expected.len() >= 4 * BATCH, "{} rows prove little", expected.len());
    every_row_comes_once(of, &expected).await;
    a_checkpoint_is_gone_on_from_at_another_parallelism(of, &expected).await;
    a_wait_that_is_given_up_loses_nothing(of, &expected).await;
    columns_come_as_they_are_asked_for(of, expected.len()).await;
}

/// What a checkpoint keeps of a table.
#[derive(Debug, Clone, Default)]
struct Checkpoint {
    announced: Vec<Split>,
    positions: BTreeMap<Arc<str>, String>,
    finished: BTreeSet<Arc<str>>,
}

/// One execution.
struct Reading {
    table: TableSpec,
    discovery: Box<dyn SplitDiscovery>,
    all_announced: bool,
    announced: Vec<Split>,
    finished: BTreeSet<Arc<str>>,
    readers: Vec<(Box<dyn Source>, usize)>,
    rows: Vec<String>,
    events: usize,
}

impl Reading {
    async fn begin(of: &impl SourceUnderTest, table: &TableSpec, from: Checkpoint, readers: usize) -> Self {
        let (process, first) = (of.process(), from.announced.is_empty());
        let context = DiscoveryContext { known: from.announced.clone(), attempt: Attempt(if first { 1 } else { 2 }) };
        let mut reading = Self {
            table: table.clone(),
            discovery: process.open_discovery(table, context).await.unwrap(),
            all_announced: false,
            announced: Vec::new(),
            finished: from.finished.clone(),
            readers: Vec::new(),
            rows: Vec::new(),
            events: 0,
        };
        for subtask in 0..readers {
            let context = SourceContext { subtask, parallelism: readers, batch_rows: BATCH };
            reading.readers.push((process.open_source(table, context).await.unwrap(), 0));
        }
        let found = reading.discover().await;
        reading.announce(from.announced.iter().cloned().chain(found).collect(), &from);
        reading
    }

    async fn discover(&mut self) -> Vec<Split> {
        let found =
            tokio::time::timeout(PATIENCE, self.discovery.next()).await.expect("the discovery is silent").unwrap();
        self.all_announced = found.is_none();
        found.unwrap_or_default()
    }

    fn announce(&mut self, splits: Vec<Split>, from: &Checkpoint) {
        for split in splits {
            assert!(self.announced.iter().all(|known| known.name != split.name), "{} is announced twice", split.name);
            let readers = self.readers.len();
            let (source, open) = &mut self.readers[self.announced.len() % readers];
            self.announced.push(split.clone());
            if !self.finished.contains(&split.name) {
                *open += 1;
                let position = from.positions.get(&split.name).cloned();
                source.assign(vec![AssignedSplit { split, position }]).unwrap();
            }
        }
    }

    /// Takes an event of a reader that has a split left; `false`: none has. With `hurry`, waits are given up again and again.
    async fn step(&mut self, hurry: bool) -> bool {
        while self.readers.iter().all(|(_, open)| *open == 0) {
            if self.all_announced {
                return false;
            }
            let found = self.discover().await;
            self.announce(found, &Checkpoint::default());
        }
        let readers = self.readers.len();
        let next = (0..readers).map(|place| (self.events + place) % readers).find(|place| self.readers[*place].1 > 0);
        let (source, open) = &mut self.readers[next.unwrap()];
        let mut limit = if hurry { Duration::ZERO } else { PATIENCE };
        let event = loop {
            match tokio::time::timeout(limit, source.next()).await {
                Ok(event) => break event.unwrap(),
                Err(_) if limit < PATIENCE => limit = limit * 2 + Duration::from_micros(50),
                Err(_) => panic!("a split is open, and nothing comes"),
            }
        };
        self.events += 1;
        match event {
            SourceEvent::Rows { records, rejected, .. } => {
                assert!(rejected.is_empty(), "{rejected:?}");
                assert_eq!(records.schema(), self.table.output_schema());
                self.rows.extend(texts(&records));
            }
            SourceEvent::Time { .. } => {}
            SourceEvent::SplitFinished { split } => {
                assert!(self.finished.insert(split.clone()), "{split} has ended twice");
                *open -= 1;
            }
        }
        true
    }

    fn checkpoint(&self) -> Checkpoint {
        let positions = self.readers.iter().flat_map(|(source, _)| source.positions());
        Checkpoint {
            announced: self.announced.clone(),
            positions: positions.map(|at| (at.split, at.position)).collect(),
            finished: self.finished.clone(),
        }
    }

    async fn until_end(&mut self, hurry: bool) -> Vec<String> {
        while self.step(hurry).await {}
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort();
        rows
    }
}

fn texts(records: &RecordBatch) -> Vec<String> {
    let texts = Texts::new(records, Style::SQL).unwrap();
    let row = |row| {
        let mut out = Vec::new();
        texts.write_row(row, &mut out);
        String::from_utf8(out).unwrap()
    };
    (0..records.num_rows()).map(row).collect()
}

async fn every_row_comes_once(of: &impl SourceUnderTest, expected: &[String]) {
    for readers in [1, 3] {
        let mut reading = Reading::begin(of, &of.table(), Checkpoint::default(), readers).await;
        assert_eq!(reading.until_end(false).await, expected, "{readers} readers");
    }
}

async fn a_checkpoint_is_gone_on_from_at_another_parallelism(of: &impl SourceUnderTest, expected: &[String]) {
    let mut restarts = 0;
    for steps in [1_u32, 2, 3, 5] {
        let (mut checkpoint, mut rows) = (Checkpoint::default(), Vec::new());
        for readers in [1, 3, 2].into_iter().cycle() {
            let mut reading = Reading::begin(of, &of.table(), checkpoint, readers).await;
            let (mut goes_on, mut left) = (true, steps);
            while goes_on && left > 0 {
                let before = (reading.rows.len(), reading.finished.len());
                goes_on = reading.step(false).await;
                // Where only time passes, no execution would ever get further.
                left -= u32::from(before != (reading.rows.len(), reading.finished.len()));
            }
            rows.append(&mut reading.rows);
            checkpoint = reading.checkpoint();
            // What is read behind the checkpoint is read again by the next execution.
            if !goes_on {
                break;
            }
            reading.step(false).await;
            restarts += 1;
        }
        rows.sort();
        assert_eq!(rows, expected, "restarted after each {steps} events");
    }
    assert!(restarts >= 4, "only {restarts} restarts: that proves little");
}

async fn a_wait_that_is_given_up_loses_nothing(of: &impl SourceUnderTest, expected: &[String]) {
    let mut reading = Reading::begin(of, &of.table(), Checkpoint::default(), 2).await;
    assert_eq!(reading.until_end(true).await, expected);
}

async fn columns_come_as_they_are_asked_for(of: &impl SourceUnderTest, rows: usize) {
    let mut table = of.table();
    let all: Vec<usize> = (0..table.schema.fields().len()).collect();
    for projection in [all.iter().rev().copied().collect(), vec![all[all.len() - 1]], Vec::new()] {
        table.projection = Some(projection);
        let mut reading = Reading::begin(of, &table, Checkpoint::default(), 1).await;
        assert_eq!(reading.until_end(false).await.len(), rows, "{:?}", table.projection);
    }
}
