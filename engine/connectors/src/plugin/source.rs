//! The splits of a plugin's source that one subtask reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use weir_core::connector::{AssignedSplit, SourceContext, SplitPosition};
use weir_core::plugin::PluginRead;
use weir_core::{Error, EventTime, Result, Source, SourceEvent, TableSpec};

use super::Code;
use super::pool::{Event, Pool, Unopened};

/// What threads have read and nobody has taken, in batches. A thread that has more waits.
const READ_AHEAD: usize = 2;

/// Takes what the threads of a [`Pool`] read.
pub(super) struct PooledSource {
    pool: Arc<Pool>,
    table: TableSpec,
    /// Lent to threads.
    sender: mpsc::Sender<Result<Event>>,
    events: mpsc::Receiver<Result<Event>>,
    /// What has come with rows, and is told behind them.
    behind: VecDeque<SourceEvent>,
    positions: BTreeMap<Arc<str>, Place>,
}

/// Where a split stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// As the plugin says it.
    position: String,
    /// How far the plugin has said that event time has come: no row says so, and after a restart nobody would know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time: Option<i64>,
}

impl PooledSource {
    pub(super) fn new(code: Code, table: &TableSpec, context: &SourceContext) -> Self {
        let (sender, events) = mpsc::channel(READ_AHEAD);
        let pool = Pool::new(code, context.batch_rows.max(1));
        let (behind, positions) = (VecDeque::new(), BTreeMap::new());
        Self { pool, table: table.clone(), sender, events, behind, positions }
    }

    /// The next event of those that are kept. Until its end was told, a split that has ended stands behind its last row.
    fn told(&mut self) -> Option<SourceEvent> {
        let event = self.behind.pop_front()?;
        if let SourceEvent::SplitFinished { split } = &event {
            self.positions.remove(split);
        }
        Some(event)
    }

    /// Takes a step of a split.
    fn take(&mut self, Event { split, read }: Event) -> Result<()> {
        let PluginRead { records, position, time, is_end } = read;
        let before = self.positions.get(&split).and_then(|place| place.time);
        let advanced = time.map(|time| time.0).filter(|time| before.is_none_or(|before| before < *time));
        let rows = records.filter(|records| records.num_rows() > 0).map(|records| {
            let records = self.as_asked(records)?;
            Ok(SourceEvent::Rows { split: split.clone(), records, rejected: Vec::new() })
        });
        let rows = rows.transpose().map_err(|error: Error| error.context(format!("split '{split}' cannot be read")))?;
        self.behind.extend(rows);
        self.behind.extend(advanced.map(|time| SourceEvent::Time { split: split.clone(), time: EventTime(time) }));
        self.positions.insert(split.clone(), Place { position, time: advanced.or(before) });
        self.behind.extend(is_end.then_some(SourceEvent::SplitFinished { split }));
        Ok(())
    }

    /// The columns that are read, checked against what the table says.
    fn as_asked(&self, records: RecordBatch) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        let columns = records.columns().to_vec();
        let records = RecordBatch::try_new_with_options(self.table.schema.clone(), columns, &options)
            .map_err(|error| Error::user("the rows are not what the table was declared with").with_source(error))?;
        match &self.table.projection {
            None => Ok(records),
            Some(columns) => Ok(records.project(columns)?),
        }
    }
}

#[async_trait]
impl Source for PooledSource {
    fn assign(&mut self, splits: Vec<AssignedSplit>) -> Result<()> {
        let mut unopened = Vec::new();
        for AssignedSplit { split, position } in splits {
            let place = position.map(|position| {
                serde_json::from_str::<Place>(&position).map_err(|error| {
                    Error::data(format!("the position of split '{}' makes no sense", split.name)).with_source(error)
                })
            });
            let position = match place.transpose()? {
                Some(place) => {
                    let time = place.time.map(EventTime);
                    self.behind.extend(time.map(|time| SourceEvent::Time { split: split.name.clone(), time }));
                    let position = place.position.clone();
                    self.positions.insert(split.name.clone(), place);
                    Some(position)
                }
                // Where it begins was found out when it was found. No position is an empty text: they are JSON.
                None => Some(split.description).filter(|begin| !begin.is_empty()),
            };
            unopened.push(Unopened { split: split.name, position });
        }
        self.pool.add(unopened, &self.sender)
    }

    async fn next(&mut self) -> Result<SourceEvent> {
        loop {
            if let Some(event) = self.told() {
                return Ok(event);
            }
            // It holds a sender of its own.
            let Some(event) = self.events.recv().await else { return std::future::pending().await };
            self.take(event?)?;
        }
    }

    fn positions(&self) -> Vec<SplitPosition> {
        let position = |(split, place): (&Arc<str>, &Place)| SplitPosition {
            split: split.clone(),
            position: serde_json::to_string(place).unwrap_or_default(),
        };
        self.positions.iter().map(position).collect()
    }
}

impl Drop for PooledSource {
    fn drop(&mut self) {
        self.pool.close();
    }
}
