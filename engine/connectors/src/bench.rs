//! For tests: a table is read without a job around it, by as many readers as wanted, from any checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_core::connector::{AssignedSplit, DiscoveryContext, SourceContext};
use weir_core::{Connector, Result, Source, SourceEvent, Split, TableSpec};

/// What subtasks keep of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Splits that were announced, in order.
    pub announced: Vec<Split>,
    /// Where those stand of which something was read.
    pub positions: BTreeMap<Arc<str>, String>,
    /// Those that are at their end.
    pub finished: BTreeSet<Arc<str>>,
}

impl Checkpoint {
    /// Adds what a reader keeps.
    pub fn add(&mut self, reader: &Reader) {
        if reader.announced.len() > self.announced.len() {
            self.announced.clone_from(&reader.announced);
        }
        let positions = reader.source.positions().into_iter();
        self.positions.extend(positions.map(|position| (position.split, position.position)));
        self.finished.extend(reader.finished.iter().cloned());
    }
}

/// All splits of a bounded table, those first that the checkpoint knows.
pub(crate) async fn discover(connector: &dyn Connector, table: &TableSpec, from: &Checkpoint) -> Result<Vec<Split>> {
    let mut announced = from.announced.clone();
    let context = DiscoveryContext { known: announced.clone(), ..DiscoveryContext::default() };
    let mut discovery = connector.open_discovery(table, context).await?;
    while let Some(splits) = discovery.next().await? {
        announced.extend(splits);
    }
    Ok(announced)
}

/// One subtask, as far as its source knows of it.
pub(crate) struct Reader {
    pub source: Box<dyn Source>,
    announced: Vec<Split>,
    open: BTreeSet<Arc<str>>,
    pub finished: BTreeSet<Arc<str>>,
}

impl Reader {
    /// A reader of a bounded table.
    pub async fn open(
        connector: &dyn Connector,
        table: &TableSpec,
        context: SourceContext,
        from: &Checkpoint,
    ) -> Result<Self> {
        let announced = discover(connector, table, from).await?;
        let (subtask, parallelism) = (context.subtask, context.parallelism);
        let source = connector.open_source(table, context).await?;
        let mut reader = Self { source, announced: Vec::new(), open: BTreeSet::new(), finished: BTreeSet::new() };
        let own = announced.iter().skip(subtask).step_by(parallelism).cloned();
        let (finished, open): (Vec<Split>, Vec<Split>) = own.partition(|split| from.finished.contains(&split.name));
        reader.finished = finished.into_iter().map(|split| split.name).collect();
        reader.assign(open, from)?;
        reader.announced = announced;
        Ok(reader)
    }

    /// Where it stands.
    pub fn checkpoint(&self) -> Checkpoint {
        let mut checkpoint = Checkpoint::default();
        checkpoint.add(self);
        checkpoint
    }

    /// Further splits.
    pub fn assign(&mut self, splits: Vec<Split>, from: &Checkpoint) -> Result<()> {
        self.announced.extend(splits.iter().cloned());
        self.open.extend(splits.iter().map(|split| split.name.clone()));
        let assigned = splits
            .into_iter()
            .map(|split| AssignedSplit { position: from.positions.get(&split.name).cloned(), split })
            .collect();
        self.source.assign(assigned)
    }

    /// The next event; `None` when all splits are finished.
    pub async fn next(&mut self) -> Result<Option<SourceEvent>> {
        if self.open.is_empty() {
            return Ok(None);
        }
        let event = self.source.next().await?;
        if let SourceEvent::SplitFinished { split } = &event {
            assert!(self.open.remove(split), "{split} was not open");
            self.finished.insert(split.clone());
        }
        Ok(Some(event))
    }
}
