//! What surrounds a job: a connector whose sources read rows in memory and whose sinks collect them.
//!
//! Sinks stage their rows, so that each comes out once whatever the job is stopped for. Sources stand still when so many rows
//! have been read as a run is to have before it is stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use async_trait::async_trait;
use tokio::sync::Notify;
use weir_connectors::Registry;
use weir_core::connector::{
    AssignedSplit, Boundedness, Commit, Connector, DiscoveryContext, OptionInfo, RESULT_CONNECTOR, Role, Sink,
    SinkContext, Source, SourceContext, SourceEvent, Split, SplitDiscovery, SplitPosition,
};
use weir_core::{Batch, ChangelogKind, ConnectorRegistry, Epoch, Error, Location, Result, TableSpec};

use crate::arrays::{column, value};
use crate::table::Table;
use crate::value::{Row, Value};

/// Name of the connector of a case's tables.
const MEMORY: &str = "memory";

/// Options of a case's tables.
pub const OPTIONS: &str = "'connector' = 'memory'";

/// Tables, results, and when sources stand still.
pub struct World {
    tables: Vec<Table>,
    results: Mutex<(Epoch, Vec<Row>)>,
    /// Rows that may still be read.
    left: AtomicI64,
    /// There are none.
    all_read: Notify,
}

impl World {
    /// With these tables, and no results.
    pub fn new(tables: Vec<Table>) -> Arc<Self> {
        Arc::new(Self {
            tables,
            results: Mutex::new((Epoch(0), Vec::new())),
            left: AtomicI64::new(i64::MAX),
            all_read: Notify::new(),
        })
    }

    /// Sources stand still behind so many rows.
    pub fn read_at_most(&self, rows: i64) {
        self.left.store(rows, Ordering::SeqCst);
    }

    /// Waits until they do; for ever if there are fewer.
    pub async fn all_read(&self) {
        self.all_read.notified().await;
    }

    /// All rows that have come out.
    pub fn results(&self) -> Vec<Row> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// So many of the rows that a source wants.
    fn allowed(&self, wanted: i64) -> i64 {
        let mut allowed = 0;
        let take = |left: i64| {
            allowed = wanted.min(left).max(0);
            Some(left - allowed)
        };
        // It never refuses.
        let _ = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        allowed
    }
}

/// The connectors of a case: Weir's own, and that of tables and results in memory.
pub fn connectors(world: &Arc<World>) -> Arc<dyn ConnectorRegistry> {
    let memory = |name| Memory(world.clone(), name);
    Arc::new(Registry::builtin().with(memory(MEMORY)).with(memory(RESULT_CONNECTOR)))
}

struct Memory(Arc<World>, &'static str);

#[async_trait]
impl Connector for Memory {
    fn name(&self) -> &'static str {
        self.1
    }

    fn supports(&self, _role: Role) -> bool {
        true
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        Vec::new()
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }

    fn takes(&self, _table: &TableSpec, stream: &ChangelogKind) -> bool {
        !matches!(stream, ChangelogKind::Upsert(_))
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        let table = find(&self.0, table)?;
        let split = |number: usize| {
            let name: Arc<str> = format!("{}-{number}", table.name).into();
            Split { sequence: name.clone(), name, description: number.to_string() }
        };
        let splits = (0..table.splits.len()).map(split).collect();
        Ok(Box::new(Discovery(context.known.is_empty().then_some(splits))))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(Reader {
            world: self.0.clone(),
            spec: table.clone(),
            splits: Vec::new(),
            turn: context.subtask,
            batch_rows: context.batch_rows.max(1),
        }))
    }

    async fn open_sink(&self, _table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Collector(Vec::new())))
    }

    async fn commit(&self, _table: &TableSpec, mut commit: Commit) -> Result<()> {
        let mut changes = Vec::new();
        while let Some(batch) = commit.staged.next().await? {
            let (records, weights) = batch.into_parts();
            for row in 0..records.num_rows() {
                let added = weights.as_ref().is_none_or(|weights| weights.value(row) > 0);
                changes
                    .push((added, records.columns().iter().map(|column| value(column, row)).collect::<Result<Row>>()?));
            }
        }
        let mut results = self.0.results.lock().unwrap_or_else(PoisonError::into_inner);
        if commit.epoch > results.0 {
            results.0 = commit.epoch;
            changes.into_iter().try_for_each(|(added, row)| change(&mut results.1, added, row))?;
        }
        Ok(())
    }
}

/// Adds a row, or takes an equal one out.
fn change(rows: &mut Vec<Row>, added: bool, row: Row) -> Result<()> {
    if added {
        rows.push(row);
        return Ok(());
    }
    let text = |row: &Row| row.iter().map(Value::result).collect::<Vec<_>>();
    let wanted = text(&row);
    match rows.iter().rposition(|other| text(other) == wanted) {
        Some(place) => drop(rows.swap_remove(place)),
        None => return Err(Error::internal(format!("a row was taken back that is not there: {}", wanted.join(" | ")))),
    }
    Ok(())
}

fn find<'a>(world: &'a World, spec: &TableSpec) -> Result<&'a Table> {
    let found = world.tables.iter().find(|table| table.name == spec.name);
    found.ok_or_else(|| Error::internal(format!("there is no table {}", spec.name)))
}

struct Discovery(Option<Vec<Split>>);

#[async_trait]
impl SplitDiscovery for Discovery {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        Ok(self.0.take())
    }
}

struct OpenSplit {
    name: Arc<str>,
    records: RecordBatch,
    next: usize,
}

struct Reader {
    world: Arc<World>,
    spec: TableSpec,
    splits: Vec<OpenSplit>,
    turn: usize,
    batch_rows: usize,
}

impl Reader {
    fn records(&self, split: usize) -> Result<RecordBatch> {
        let table = find(&self.world, &self.spec)?;
        let fields = self.spec.schema.fields();
        let columns: Vec<usize> =
            self.spec.projection.clone().unwrap_or_else(|| (0..self.spec.schema.fields().len()).collect());
        let rows = &table.splits[split];
        let column = |index: &usize| {
            let place = table.columns.iter().position(|column| column.name == *fields[*index].name());
            let place = place.ok_or_else(|| Error::internal(format!("no column {}", fields[*index].name())))?;
            let values: Vec<_> = rows.iter().map(|row| row[place].clone()).collect();
            column(&values, fields[*index].data_type())
        };
        let columns = columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(self.spec.output_schema(), columns, &options)?)
    }
}

#[async_trait]
impl Source for Reader {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        for AssignedSplit { split, position } in splits {
            let number = |text: &str| text.parse().map_err(|_| Error::data("a position that is no number"));
            let next = position.as_deref().map(number).transpose()?.unwrap_or(0);
            let records = self.records(number(&split.description)?)?;
            self.splits.push(OpenSplit { name: split.name, records, next });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.turn = self.turn.wrapping_add(1);
        let index = self.turn % self.splits.len().max(1);
        let split =
            self.splits.get_mut(index).ok_or_else(|| Error::internal("rows were asked for, and no split is open"))?;
        let left = split.records.num_rows() - split.next;
        if left == 0 {
            return Ok(SourceEvent::SplitFinished { split: self.splits.remove(index).name });
        }
        let wanted = i64::try_from(left.min(self.batch_rows)).unwrap_or(i64::MAX);
        let count = usize::try_from(self.world.allowed(wanted)).unwrap_or(0);
        if count == 0 {
            self.world.all_read.notify_one();
            std::future::pending::<()>().await;
        }
        let records = split.records.slice(split.next, count);
        split.next += count;
        Ok(SourceEvent::Rows { split: split.name.clone(), records, rejected: Vec::new() })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position =
            |split: &OpenSplit| SplitPosition { split: split.name.clone(), position: split.next.to_string() };
        self.splits.iter().map(position).collect()
    }
}

struct Collector(Vec<Batch>);

#[async_trait]
impl Sink for Collector {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.0.push(batch);
        Ok(())
    }

    async fn prepare(&mut self, _epoch: Epoch) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.0)
    }
}
