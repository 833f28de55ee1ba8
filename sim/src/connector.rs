//! The connector `sim`: its sources make [`Rows`] at a virtual pace, its sinks write into the [`World`](crate::world::World).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_connectors::transactions::{self, Writers};
use weir_core::connector::{
    AssignedSplit, Boundedness, Commit, Connector, Discard, DiscoveryContext, OptionInfo, Role, Sink, SinkContext,
    Source, SourceContext, SourceEvent, Split, SplitDiscovery, SplitPosition,
};
use weir_core::{Batch, ChangelogKind, ConnectorRegistry, Epoch, Error, Location, Result, TableSpec};

use crate::cluster::Cluster;
use crate::engine::Host;
use crate::rows::{Row, Rows};
use crate::target::{SimTarget, changes};
use crate::world::{Change, Shown, Staged};

/// Its name in SQL.
pub const NAME: &str = "sim";
/// The option that says which rows.
const TABLE: &str = "table";
/// The option that says that nobody knows whether there will be more.
const GROWS: &str = "grows";

/// The one connector that there is. Planning needs no cluster, running does.
#[derive(Default)]
pub struct Connectors(Arc<Sim>);

impl Connectors {
    /// Those of a process on this machine.
    pub fn of(place: Host) -> Self {
        Self(Arc::new(Sim { place: Some(place), writers: Writers::default() }))
    }
}

impl ConnectorRegistry for Connectors {
    fn get(&self, name: &str) -> Option<Arc<dyn Connector>> {
        (name == NAME).then(|| self.0.clone() as Arc<dyn Connector>)
    }

    fn names(&self) -> Vec<&'static str> {
        vec![NAME]
    }
}

#[derive(Default)]
struct Sim {
    place: Option<Host>,
    writers: Writers<SimTarget>,
}

impl Sim {
    fn cluster(&self) -> Result<&Arc<Cluster>> {
        self.place().map(|place| &place.cluster)
    }

    fn place(&self) -> Result<&Host> {
        self.place.as_ref().ok_or_else(|| Error::internal("a table was opened outside of a history"))
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
        vec![
            OptionInfo { name: TABLE, required: false, doc: "Number of the rows of a source." },
            OptionInfo { name: GROWS, required: false, doc: "Whether a source may be idle." },
        ]
    }

    fn locations(&self, _table: &TableSpec) -> Result<Vec<Location>> {
        Ok(Vec::new())
    }

    fn validate(&self, _table: &TableSpec, _role: Role) -> Result<()> {
        Ok(())
    }

    /// Results may be taken back, but are not told apart by a key.
    fn takes(&self, _table: &TableSpec, stream: &ChangelogKind) -> bool {
        matches!(stream, ChangelogKind::Append | ChangelogKind::Retract)
    }

    fn holds_splits(&self) -> bool {
        true
    }

    fn boundedness(&self, table: &TableSpec) -> Boundedness {
        if table.options.contains_key(GROWS) { Boundedness::Unbounded } else { Boundedness::Bounded }
    }

    async fn open_discovery(&self, table: &TableSpec, context: DiscoveryContext) -> Result<Box<dyn SplitDiscovery>> {
        Ok(Box::new(SimSplits::new(self.place()?, number_of(table)?, &context)))
    }

    async fn open_source(&self, table: &TableSpec, context: SourceContext) -> Result<Box<dyn Source>> {
        Ok(Box::new(SimSource::new(self.place()?, table, number_of(table)?, &context)))
    }

    async fn open_sink(&self, table: &TableSpec, context: SinkContext) -> Result<Box<dyn Sink>> {
        let place = self.place()?;
        let opening = place.cluster.world.open(&table.name, &context);
        if context.subtask == 0 {
            let target = SimTarget::new(place, &table.name, context.job);
            transactions::establish(target, context.epoch, &self.writers).await?;
        }
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
            self.make_visible(table, || cluster.world.commit(committable, commit.epoch)).await?;
        }
        let (mut staged, mut rows) = (Vec::new(), Vec::new());
        while let Some(batch) = commit.staged.next().await? {
            rows.extend(changes(&batch)?);
            staged.push(batch);
        }
        if !rows.is_empty() {
            cluster.world.check_held(&table.name, commit.epoch, rows)?;
            let target = SimTarget::new(self.place()?, &table.name, commit.job);
            transactions::commit(target, commit.epoch, &mut staged.into_iter(), &self.writers).await?;
        }
        cluster.oracle.committed(&cluster.world, &table.name, commit.epoch);
        Ok(())
    }

    async fn discard(&self, table: &TableSpec, discard: Discard) -> Result<()> {
        let target = SimTarget::new(self.place()?, &table.name, discard.job);
        transactions::discard(target, discard.behind.is_none(), &self.writers).await
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

fn number_of(table: &TableSpec) -> Result<u64> {
    let number = table.options.get(TABLE).and_then(|number| number.parse().ok());
    number.ok_or_else(|| Error::user("a simulated source has the option 'table'"))
}

/// Announces the splits of a table, each when it is there.
struct SimSplits {
    place: Host,
    /// Those that are to come, the next one last.
    waiting: Vec<(Instant, Split)>,
    /// Splits that are known wait for the first answer.
    is_awaited: bool,
}

impl SimSplits {
    fn new(place: &Host, table: u64, context: &DiscoveryContext) -> Self {
        let Cluster { shape, trace, .. } = &*place.cluster;
        let split = |number: u64| {
            let name: Arc<str> = format!("{table}-{number}").into();
            let split = Split { sequence: name.clone(), name, description: number.to_string() };
            (trace.start() + Duration::from_millis(shape.rows.due_ms(table, number, 0)), split)
        };
        let is_new = |(_, split): &(Instant, Split)| context.known.iter().all(|known| known.name != split.name);
        let mut waiting: Vec<_> = (0..shape.rows.splits).map(split).filter(is_new).collect();
        waiting.sort_by_key(|(due, _)| std::cmp::Reverse(*due));
        Self { place: place.clone(), waiting, is_awaited: !context.known.is_empty() }
    }
}

#[async_trait]
impl SplitDiscovery for SimSplits {
    async fn next(&mut self) -> Result<Option<Vec<Split>>> {
        self.place.thawed().await;
        let Some((due, _)) = self.waiting.last() else { return Ok(None) };
        if !self.is_awaited {
            sleep_until(*due).await;
        }
        self.is_awaited = false;
        let now = Instant::now();
        let there = self.waiting.partition_point(|(due, _)| *due > now);
        Ok(Some(self.waiting.drain(there..).rev().map(|(_, split)| split).collect()))
    }
}

struct OpenSplit {
    name: Arc<str>,
    number: u64,
    next: u64,
}

struct SimSource {
    place: Host,
    rows: Rows,
    table: u64,
    columns: Vec<usize>,
    spec: TableSpec,
    splits: Vec<OpenSplit>,
    held: BTreeSet<Arc<str>>,
    batch_rows: u64,
    began: Instant,
}

impl SimSource {
    fn new(place: &Host, spec: &TableSpec, table: u64, context: &SourceContext) -> Self {
        let cluster = &place.cluster;
        let columns = spec.projection.clone().unwrap_or_else(|| (0..spec.schema.fields().len()).collect());
        Self {
            place: place.clone(),
            rows: cluster.shape.rows.clone(),
            table,
            columns,
            spec: spec.clone(),
            splits: Vec::new(),
            held: BTreeSet::new(),
            batch_rows: context.batch_rows as u64,
            began: cluster.trace.start(),
        }
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
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        for AssignedSplit { split, position } in splits {
            let number = |text: &str| text.parse().map_err(|_| Error::data("a position that is no number"));
            let next = position.as_deref().map(number).transpose()?.unwrap_or_default();
            self.splits.push(OpenSplit { name: split.name, number: number(&split.description)?, next });
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        self.place.thawed().await;
        let due = |number, place| self.began + Duration::from_millis(self.rows.due_ms(self.table, number, place));
        if self.splits.is_empty() {
            return Err(Error::internal("rows were asked for, and no split is open"));
        }
        let free = self.splits.iter().enumerate().filter(|(_, split)| !self.held.contains(&split.name));
        let Some((index, _)) = free.min_by_key(|(_, split)| due(split.number, split.next)) else {
            return std::future::pending().await;
        };
        let OpenSplit { number, next, ref name } = self.splits[index];
        let name = name.clone();
        if next >= self.rows.per_split {
            self.splits.remove(index);
            return Ok(SourceEvent::SplitFinished { split: name });
        }
        sleep_until(due(number, next)).await;
        self.place.thawed().await;
        // What has come meanwhile comes with it.
        let now = Instant::now();
        let last = self.rows.per_split.min(next + self.batch_rows.max(1));
        let rows: Vec<Row> = (next..last)
            .take_while(|place| *place == next || due(number, *place) <= now)
            .map(|place| self.rows.row(self.table, number, place))
            .collect();
        let records = self.batch(&rows)?;
        self.splits[index].next += rows.len() as u64;
        Ok(SourceEvent::Rows { split: name, records, rejected: Vec::new() })
    }

    fn hold(&mut self, splits: &BTreeSet<Arc<str>>) {
        self.held.clone_from(splits);
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position =
            |split: &OpenSplit| SplitPosition { split: split.name.clone(), position: split.next.to_string() };
        self.splits.iter().map(position).collect()
    }
}

struct SimSink {
    place: Host,
    table: String,
    context: SinkContext,
    opening: u64,
    rows: Vec<Change>,
    /// Rows that wait in the checkpoint, and go to the [broker](crate::broker).
    staged: Vec<Batch>,
}

#[async_trait]
impl Sink for SimSink {
    async fn write(&mut self, batch: Batch) -> Result<()> {
        self.place.thawed().await;
        // Both ways to wait for a commit are in every job that has two subtasks.
        if self.context.subtask % 2 == 1 {
            self.staged.push(batch);
        } else {
            self.rows.extend(changes(&batch)?);
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
