//! The connector `sim`: its sources make [`Rows`] at a virtual pace, its sinks write into the [`World`](crate::world::World).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_core::connector::{
    Boundedness, Commit, Connector, OptionInfo, Role, Sink, SinkContext, Source, SourceContext, SourceEvent,
    SplitPosition,
};
use weir_core::{Batch, ConnectorRegistry, Epoch, Error, Result, TableSpec};

use crate::cluster::Cluster;
use crate::engine::Host;
use crate::rows::{Row, Rows};
use crate::world::{Shown, Staged};

/// Its name in SQL.
pub const NAME: &str = "sim";
/// The option that says which rows.
const TABLE: &str = "table";

/// The one connector that there is. Planning needs no cluster, running does.
pub struct Connectors(pub Option<Host>);

impl ConnectorRegistry for Connectors {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        (name == NAME).then(|| Arc::new(Sim(self.0.clone())) as Arc<dyn Connector>)
    }

    fn names(&self) -> Vec<&'static str> {
        vec![NAME]
    }
}

struct Sim(Option<Host>);

impl Sim {
    fn cluster(&self) -> Result<&Arc<Cluster>> {
        self.place().map(|place| &place.cluster)
    }

    fn place(&self) -> Result<&Host> {
        self.0.as_ref().ok_or_else(|| Error::internal("a table was opened outside of a history"))
    }
}

#[async_trait]
impl Connector for Sim {
    fn name(&self) -> &'static str {
        NAME
    }

    fn supports(&self, _role: Role) -> bool {
        true
    }

    fn options(&self, _given: &BTreeMap<String, String>) -> Vec<OptionInfo> {
        vec![OptionInfo { name: TABLE, required: false, doc: "Number of the rows of a source." }]
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    fn boundedness(&self, _table: &TableSpec) -> Boundedness {
        Boundedness::Bounded
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        let place = self.place()?;
        let number = table.options.get(TABLE).and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| Error::user("a simulated source has the option 'table'"))?;
        Ok(Box::new(SimSource::new(place, table, number, context)?))
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let place = self.place()?;
        let opening = place.cluster.world.open(&table.name, &context);
        Ok(Box::new(SimSink {
            place: place.clone(),
            table: table.name.clone(),
            context,
            opening,
            rows: Vec::new(),
            staged: Vec::new(),
        }))
    }

    async fn commit(&self, table: &TableSpec, mut commit: Commit) -> Result<()> {
        let cluster = self.cluster()?;
        for committable in &commit.committables {
            self.make_visible(table, || cluster.world.commit(committable)).await?;
        }
        let mut rows = Vec::new();
        while let Some(batch) = commit.staged.next().await? {
            rows.extend(lines(&batch)?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.make_visible(table, || cluster.world.commit_epoch(&table.name, commit.epoch, rows)).await
    }
}

impl Sim {
    /// One step of a commit, which may fail before and behind its effect.
    async fn make_visible(&self, table: &TableSpec, step: impl FnOnce() -> Result<Option<Shown>> + Send) -> Result<()> {
        let cluster = self.cluster()?;
        let (before, after) = (cluster.chaos.commit_delay(), cluster.chaos.commit_delay());
        sleep(before).await;
        if cluster.chaos.commit_fails() {
            return Err(Error::environment(format!("table {} cannot be reached", table.name)));
        }
        if let Some(shown) = step()? {
            cluster.oracle.shown(&cluster.world, &shown);
            cluster.trace.say("out", format_args!("{} rows of {} are visible", shown.rows.len(), shown.origin));
        }
        sleep(after).await;
        // The answer is lost, the effect is not.
        if cluster.chaos.commit_fails() {
            return Err(Error::environment(format!("table {} did not answer", table.name)));
        }
        Ok(())
    }
}

struct Split {
    name: Arc<str>,
    number: u64,
    next: u64,
    announced: bool,
    finished: bool,
}

struct SimSource {
    place: Host,
    rows: Rows,
    table: u64,
    columns: Vec<usize>,
    spec: TableSpec,
    splits: Vec<Split>,
    batch_rows: u64,
    began: Instant,
    interval: Duration,
}

impl SimSource {
    fn new(place: &Host, spec: &TableSpec, table: u64, context: SourceContext) -> Result<Self> {
        let cluster = &place.cluster;
        let rows = cluster.shape.rows.clone();
        let mut splits = Vec::new();
        for number in (0..rows.splits).filter(|split| split % context.parallelism as u64 == context.subtask as u64) {
            let name: Arc<str> = format!("{table}-{number}").into();
            let restored = context.restored.iter().find(|restored| restored.split == name);
            let next = match restored {
                Some(position) => position.position.parse().map_err(|_| Error::data("a position that is no number"))?,
                None => 0,
            };
            let finished = restored.is_some_and(|restored| restored.finished);
            splits.push(Split { name, number, next, announced: finished, finished });
        }
        let columns = spec.projection.clone().unwrap_or_else(|| (0..spec.schema.fields().len()).collect());
        Ok(Self {
            place: place.clone(),
            rows,
            table,
            columns,
            spec: spec.clone(),
            splits,
            batch_rows: context.batch_rows as u64,
            began: cluster.trace.start(),
            interval: cluster.shape.pace,
        })
    }

    fn batch(&self, rows: &[Row]) -> Result<RecordBatch> {
        let schema = self.spec.output_schema();
        let longs = |of: fn(&Row) -> i64| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
        let column = |index: &usize| match self.spec.schema.field(*index).name().as_str() {
            "k" => Ok(longs(|row| row.key)),
            "v" => Ok(longs(|row| row.value)),
            "serial" => Ok(longs(|row| row.serial)),
            "ts" => {
                let times: TimestampMillisecondArray = rows.iter().map(|row| Some(row.time)).collect();
                Ok(Arc::new(times) as ArrayRef)
            }
            other => Err(Error::user(format!("simulated rows have no column '{other}'"))),
        };
        let columns = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(schema, columns)
            .map_err(|error| Error::user("a simulated table has the wrong types").with_source(error))
    }
}

#[async_trait]
impl Source for SimSource {
    async fn next(&mut self) -> Result<SourceEvent> {
        if let Some(split) = self.splits.iter_mut().find(|split| !split.announced) {
            split.announced = true;
            return Ok(SourceEvent::SplitAdded { split: split.name.clone(), holds_watermark: true });
        }
        // Not before: without splits a subtask would be taken for idle.
        self.place.thawed().await;
        let behind = self.splits.iter().enumerate().filter(|(_, split)| !split.finished);
        let Some((index, _)) = behind.min_by_key(|(_, split)| split.next) else { return Ok(SourceEvent::End) };
        let (number, next, name) = {
            let split = &self.splits[index];
            (split.number, split.next, split.name.clone())
        };
        if next >= self.rows.per_split {
            self.splits[index].finished = true;
            return Ok(SourceEvent::SplitFinished { split: name });
        }
        let due = |place: u64| self.began + self.interval * u32::try_from(place).unwrap_or(u32::MAX);
        sleep_until(due(next)).await;
        self.place.thawed().await;
        // What has come meanwhile comes with it.
        let now = Instant::now();
        let last = self.rows.per_split.min(next + self.batch_rows.max(1));
        let rows: Vec<Row> = (next..last)
            .take_while(|place| *place == next || due(*place) <= now)
            .map(|place| self.rows.row(self.table, number, place))
            .collect();
        let records = self.batch(&rows)?;
        self.splits[index].next += rows.len() as u64;
        Ok(SourceEvent::Rows { split: name, records, rejected: Vec::new() })
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |split: &Split| SplitPosition {
            split: split.name.clone(),
            position: split.next.to_string(),
            finished: split.finished,
        };
        self.splits.iter().map(position).collect()
    }
}

struct SimSink {
    place: Host,
    table: String,
    context: SinkContext,
    opening: u64,
    rows: Vec<String>,
    /// Rows that wait in the checkpoint, in place of the world.
    staged: Vec<Batch>,
}

#[async_trait]
impl Sink for SimSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.place.thawed().await;
        if batch.weights().is_some() {
            return Err(Error::internal("rows that take others back were sent to a sink that appends"));
        }
        // Both ways to wait for a commit are in every job that has two subtasks.
        if self.context.subtask % 2 == 1 {
            self.staged.push(batch);
        } else {
            self.rows.extend(lines(&batch)?);
        }
        Ok(())
    }

    fn take_staged(&mut self) -> Vec<Batch> {
        std::mem::take(&mut self.staged)
    }

    async fn prepare(&mut self, epoch: Epoch) -> Result<Option<Vec<u8>>> {
        self.place.thawed().await;
        let delay = self.place.cluster.chaos.sink_delay();
        sleep(delay).await;
        if self.rows.is_empty() {
            return Ok(None);
        }
        let SinkContext { subtask, attempt, .. } = self.context;
        let staged = Staged { table: self.table.clone(), epoch, attempt, subtask, opening: self.opening };
        Ok(Some(self.place.cluster.world.stage(staged, std::mem::take(&mut self.rows))))
    }
}

/// A line a row.
fn lines(batch: &Batch) -> Result<Vec<String>> {
    let columns = batch.records().columns();
    let line = |row| columns.iter().map(|column| cell(column, row)).collect::<Result<Vec<_>>>();
    (0..batch.num_rows()).map(|row| line(row).map(|cells| cells.join("|"))).collect()
}

fn cell(column: &ArrayRef, row: usize) -> Result<String> {
    if column.is_null(row) {
        return Ok("null".to_owned());
    }
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Timestamp(..) => Ok(column.as_primitive::<TimestampMillisecondType>().value(row).to_string()),
        other => Err(Error::user(format!("a simulated sink does not know {other}"))),
    }
}
