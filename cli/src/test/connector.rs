//! The connector of a test's tables, and of the result of its `SELECT`s. Sources read what the world has released, and stand still
//! behind that, and so do tables that rows are looked up in; sinks stage their rows, so that each comes out once whatever the job is stopped for.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use tokio::sync::watch;
use weir_cli::test_file::row::{Operation, Value};
use weir_cli::test_file::values;
use weir_core::connector::{
    AssignedSplit, Boundedness, Commit, Connector, DiscoveryContext, OptionInfo, RESULT_CONNECTOR, Role, Sink,
    SinkContext, Source, SourceContext, SourceEvent, Split, SplitDiscovery, SplitPosition,
};
use weir_core::lookup::{Found, LookupContext, LookupTable};
use weir_core::{Batch, ChangelogKind, Epoch, Error, Location, Result, TableSpec};

use super::world::{Released, SPLITS, World, Written};

/// Name of the connector of tables that a test declares without one.
pub const INLINE: &str = "inline";

/// Tables of a test, or the result of its `SELECT`.
pub struct Inline {
    name: &'static str,
    world: Arc<World>,
}

impl Inline {
    /// The tables.
    pub fn tables(world: Arc<World>) -> Self {
        Self { name: INLINE, world }
    }

    /// The result.
    pub fn result(world: Arc<World>) -> Self {
        Self { name: RESULT_CONNECTOR, world }
    }
}

#[async_trait]
impl Connector for Inline {
    fn name(&self) -> &'static str {
        self.name
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
        if self.world.bounded { Boundedness::Bounded } else { Boundedness::Unbounded }
    }

    fn takes(&self, _table: &TableSpec, stream: &ChangelogKind) -> bool {
        match self.name {
            // As what prints results: changes come as rows with a column that says what happens.
            RESULT_CONNECTOR => stream.is_append(),
            _ => !matches!(stream, ChangelogKind::Upsert(_)),
        }
    }

    async fn open_discovery(&self, _table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        let split = |number: usize| {
            let name: Arc<str> = number.to_string().into();
            Split { sequence: name.clone(), name, description: String::new() }
        };
        let first = if context.known.is_empty() { (0..SPLITS).map(split).collect() } else { Vec::new() };
        Ok(Box::new(Discovery { first: Some(first), released: self.world.watch() }))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(Reader {
            id: self.world.add_reader(),
            world: self.world.clone(),
            released: self.world.watch(),
            table: table.clone(),
            splits: Vec::new(),
            batch_rows: context.batch_rows.max(1),
        }))
    }

    async fn open_lookup(&self, table: &TableSpec, _context: LookupContext) -> Result<Box<dyn LookupTable>> {
        Ok(Box::new(Lookup { world: self.world.clone(), table: table.clone(), items: None }))
    }

    async fn open_sink(&self, _table: &TableSpec, _context: SinkContext) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Collector(Vec::new())))
    }

    async fn commit(&self, table: &TableSpec, mut commit: Commit) -> Result<()> {
        let mut rows = Vec::new();
        while let Some(batch) = commit.staged.next().await? {
            let (records, weights) = batch.into_parts();
            let weight = |row: usize| weights.as_ref().map_or(1, |weights| i64::from(weights.value(row)));
            let values = values::rows(&records)?.into_iter().enumerate();
            rows.extend(values.map(|(row, values)| Written { weight: weight(row), values }));
        }
        self.world.commit(&table.name, &commit.uid, commit.epoch, rows);
        Ok(())
    }
}

struct Discovery {
    first: Option<Vec<Split>>,
    released: watch::Receiver<Released>,
}

#[async_trait]
impl SplitDiscovery for Discovery {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        // The world lives as long as its readers.
        let _ = self.released.wait_for(|released| released.ended).await;
        Ok(None)
    }
}

/// A split, and the item and the row in it that come next.
#[derive(Debug)]
struct OpenSplit {
    name: Arc<str>,
    number: usize,
    item: usize,
    row: usize,
}

/// Reads its splits in the order of items.
struct Reader {
    id: (u64, u64),
    world: Arc<World>,
    released: watch::Receiver<Released>,
    table: TableSpec,
    splits: Vec<OpenSplit>,
    batch_rows: usize,
}

impl Reader {
    /// The next event of what is released; `None`: there is none.
    fn released(&mut self, released: &Released) -> Result<Option<SourceEvent>> {
        loop {
            let is_whole = |item: usize| item + 1 < released.items || released.rows_of_last.is_none();
            let has_more = |split: &OpenSplit| {
                let is_owner = split.item % SPLITS == split.number;
                split.item < released.items
                    && (is_whole(split.item) || (is_owner && Some(split.row) < released.rows_of_last))
            };
            let next = self.splits.iter_mut().filter(|split| has_more(split)).min_by_key(|split| split.item);
            let Some(split) = next else { break };
            let item = self.world.item(split.item).ok_or_else(|| Error::internal("a released item is not there"))?;
            let is_own = item.table == self.table.name;
            if is_own && split.item % SPLITS == split.number {
                let limit = if is_whole(split.item) { None } else { released.rows_of_last };
                let end = limit.unwrap_or(usize::MAX).min(item.rows.num_rows());
                let count = end.saturating_sub(split.row).min(self.batch_rows);
                if count > 0 {
                    let rows = item.rows.slice(split.row, count);
                    split.row += count;
                    let records = match &self.table.projection {
                        None => rows,
                        Some(columns) => rows.project(columns)?,
                    };
                    return Ok(Some(SourceEvent::Rows { split: split.name.clone(), records, rejected: Vec::new() }));
                }
                if limit.is_some() {
                    break;
                }
            }
            (split.item, split.row) = (split.item + 1, 0);
            if let Some(time) = item.time.filter(|_| is_own) {
                return Ok(Some(SourceEvent::Time { split: split.name.clone(), time }));
            }
        }
        let finished = if released.ended { self.splits.pop() } else { None };
        Ok(finished.map(|split| SourceEvent::SplitFinished { split: split.name }))
    }
}

#[async_trait]
impl Source for Reader {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        let number = |text: &str| text.parse().map_err(|_| Error::data("a position that is no number"));
        for AssignedSplit { split, position } in splits {
            let (item, row) = match position.as_deref().map(|text| text.split_once(':').unwrap_or((text, "0"))) {
                None => (0, 0),
                Some((item, row)) => (number(item)?, number(row)?),
            };
            self.splits.push(OpenSplit { number: number(&split.name)?, name: split.name, item, row });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        loop {
            let released = *self.released.borrow_and_update();
            if let Some(event) = self.released(&released)? {
                return Ok(event);
            }
            self.world.passed_on(self.id, &released);
            if self.released.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &OpenSplit| SplitPosition {
            split: split.name.clone(),
            position: format!("{}:{}", split.item, split.row),
        };
        self.splits.iter().map(position).collect()
    }
}

/// Rows are looked up among all that the table has been given by then.
struct Lookup {
    world: Arc<World>,
    table: TableSpec,
    /// How many items were released when it was last looked.
    items: Option<usize>,
}

#[async_trait]
impl LookupTable for Lookup {
    async fn look_up(&mut self, _now: i64, _keys: Option<&RecordBatch>) -> Result<Found> {
        let items = self.world.watch().borrow().items;
        if self.items.replace(items) == Some(items) {
            return Ok(Found::AsBefore);
        }
        let items = (0..items).filter_map(|item| self.world.item(item));
        let own = items.filter(|item| item.table == self.table.name);
        let rows = own.map(|item| match &self.table.projection {
            None => Ok(item.rows.clone()),
            Some(columns) => Ok(item.rows.project(columns)?),
        });
        Ok(Found::OfKeys(rows.collect::<Result<_>>()?))
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

/// The operation in the first column of a changelog that was made rows.
pub fn operation_of(values: &mut Vec<Value>) -> Option<Operation> {
    let text = values.remove(0)?;
    Operation::of(&text)
}
