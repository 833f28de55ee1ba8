//! Builds a chain's operators with the state that the checkpoint holds for them.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use weir_core::connector::rejected_schema;
use weir_core::{
    Chain, Collector, EventTime, HashRange, JobGraph, NodeId, OpenContext, OperatorSpec, OperatorUid, OutputPort,
    Result,
};
use weir_state::{Manifest, OperatorState, Storage};

use crate::blocking::{self, Blocking};
use crate::chain::Stage;
use crate::metrics::OperatorMetrics;
use crate::source_state::{self, SplitState};

/// Access to one checkpoint, or to none on a fresh start.
pub struct Restorer {
    shared: Arc<Shared>,
    /// State is read with blocking calls, which must not hold up the runtime.
    blocking: Arc<dyn Blocking>,
}

struct Shared {
    graph: Arc<JobGraph>,
    checkpoint: Option<(Manifest, Arc<dyn Storage>)>,
}

impl Restorer {
    /// Restores `graph` from `manifest`.
    pub fn new(
        graph: Arc<JobGraph>,
        manifest: Option<Manifest>,
        storage: Arc<dyn Storage>,
        blocking: Arc<dyn Blocking>,
    ) -> Self {
        Self { shared: Arc::new(Shared { graph, checkpoint: manifest.map(|manifest| (manifest, storage)) }), blocking }
    }

    /// The watermark that a node had seen; the beginning of time on a fresh start.
    pub fn watermark(&self, uid: &OperatorUid) -> EventTime {
        self.shared.watermark(uid)
    }

    /// The stored splits of a source.
    pub async fn splits(&self, uid: &OperatorUid) -> Result<Vec<SplitState>> {
        let (shared, uid) = (self.shared.clone(), uid.clone());
        blocking::run(&self.blocking, move || shared.splits(&uid)).await
    }

    /// The operators of `chain`, restored to the keys in `range` and open. Sources and sinks are not among them.
    pub async fn stages(
        &self,
        chain: &Chain,
        range: HashRange,
        metrics: &[Arc<OperatorMetrics>],
    ) -> Result<Vec<Stage>> {
        let (shared, nodes, metrics) = (self.shared.clone(), chain.nodes.clone(), metrics.to_vec());
        blocking::run(&self.blocking, move || {
            let is_operator = |id: &NodeId| {
                !matches!(shared.graph.node(*id).spec.operator, OperatorSpec::Source(_) | OperatorSpec::Sink(_))
            };
            let operators = nodes.iter().zip(metrics).filter(|(id, _)| is_operator(id));
            operators.map(|(id, metrics)| shared.stage(*id, range, metrics)).collect()
        })
        .await
    }
}

impl Shared {
    fn state(&self, uid: &OperatorUid) -> Option<(&OperatorState, &dyn Storage)> {
        let (manifest, storage) = self.checkpoint.as_ref()?;
        let state = manifest.operators.iter().find(|operator| operator.uid == *uid)?;
        Some((state, &**storage))
    }

    fn watermark(&self, uid: &OperatorUid) -> EventTime {
        self.state(uid).map_or(EventTime::MIN, |(state, _)| state.watermark)
    }

    fn splits(&self, uid: &OperatorUid) -> Result<Vec<SplitState>> {
        let Some((state, storage)) = self.state(uid) else { return Ok(Vec::new()) };
        let declared = source_state::table();
        let mut splits = Vec::new();
        for table in state.tables.iter().filter(|table| table.schema.name == declared.name) {
            weir_state::compatible(&table.schema, &declared)?;
            for (rows, _) in weir_state::read_table(storage, table, HashRange::ALL)? {
                splits.extend(source_state::decode(&rows)?);
            }
        }
        Ok(splits)
    }

    fn stage(&self, id: NodeId, range: HashRange, metrics: Arc<OperatorMetrics>) -> Result<Stage> {
        let node = self.graph.node(id);
        let mut operator = weir_operators::build(&node.spec, &self.input_schemas(id))?;
        let tables = operator.tables();
        let watermark = self.watermark(&node.uid);
        operator.open(&OpenContext { range, watermark })?;
        if let Some((state, storage)) = self.state(&node.uid) {
            for (index, declared) in tables.iter().enumerate() {
                let Some(stored) = state.tables.iter().find(|table| table.schema.name == declared.name) else {
                    continue;
                };
                weir_state::compatible(&stored.schema, declared)?;
                for (rows, hashes) in weir_state::read_table(storage, stored, range)? {
                    operator.load(index, &rows, &hashes)?;
                }
            }
        }
        Ok(Stage {
            uid: node.uid.clone(),
            operator,
            tables,
            watermark,
            told: false,
            makes_watermarks: matches!(node.spec.operator, OperatorSpec::ProcessingTime),
            metrics,
        })
    }

    fn input_schemas(&self, id: NodeId) -> Vec<SchemaRef> {
        let inputs = &self.graph.node(id).spec.inputs;
        let ordinals = inputs.iter().map(|edge| edge.ordinal + 1).max().unwrap_or(0);
        (0..ordinals)
            .filter_map(|ordinal| inputs.iter().find(|edge| edge.ordinal == ordinal))
            .map(|edge| match edge.port {
                OutputPort::Main => self.graph.node(edge.from).spec.schema.clone(),
                OutputPort::Late => Collector::late_schema(),
                OutputPort::Rejected => rejected_schema(),
            })
            .collect()
    }
}
