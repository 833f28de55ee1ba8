//! Builds a chain's operators with the state that the checkpoint holds for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use weir_core::{
    Attempt, Chain, Epoch, Error, EventTime, HashRange, JobGraph, NodeId, OpenContext, Operator, OperatorSpec,
    OperatorUid, Result, TableSchema,
};
use weir_functions::Functions;
use weir_state::{Manifest, OperatorState, Partial, RestorePlan, StateFate, StateStore, Storage, plan_restore};

use super::kept::kept_states;
use crate::announcements::{self, Announced};
use crate::blocking::{self, Blocking};
use crate::chain::Stage;
use crate::metrics::OperatorMetrics;
use crate::partial_state::PartialState;
use crate::source_state::{self, SplitState};

/// Access to one checkpoint, or to none on a fresh start.
pub struct Restorer {
    shared: Arc<Shared>,
    /// State is read with blocking calls, which must not hold up the runtime.
    blocking: Arc<dyn Blocking>,
}

struct Shared {
    graph: Arc<JobGraph>,
    checkpoint: Option<Checkpoint>,
    /// Where state is that is not in memory; `None`: all of it is.
    outside: Option<Outside>,
}

/// What state there is, where, and who goes on with it.
struct Checkpoint {
    manifest: Manifest,
    storage: Arc<dyn Storage>,
    plan: RestorePlan,
}

/// The state of operators that have only a part of it in memory.
struct Outside {
    storage: Arc<dyn Storage>,
    blocking: Arc<dyn Blocking>,
    attempt: Attempt,
    /// Bytes that the state of one subtask's operator may take.
    budget: usize,
    /// One for each operator, shared by its subtasks.
    stores: Mutex<BTreeMap<OperatorUid, Arc<StateStore>>>,
}

/// How many operators of a slot share its memory.
fn sharing(graph: &JobGraph, functions: &Functions) -> Result<usize> {
    let mut sharing = 0;
    for (id, node) in graph.nodes().iter().enumerate().filter(|(_, node)| is_operator(&node.spec.operator)) {
        let operator = weir_operators::build(&node.spec, &graph.inputs_of(NodeId(id))?, functions)?;
        sharing += usize::from(may_be_partial(&node.spec.operator, &operator.tables()));
    }
    Ok(sharing.max(1))
}

/// Whether an operator may have a part of its state in memory. Not one with timers of processing time, or that lets go of all that it holds:
/// what is due by the clock is not looked for elsewhere.
fn may_be_partial(spec: &OperatorSpec, tables: &[TableSchema]) -> bool {
    let has_timers = match spec {
        OperatorSpec::Plugin(plugin) => plugin.wants_ticks,
        OperatorSpec::PacedRows(_) => true,
        _ => false,
    };
    !has_timers && Partial::is_possible(tables)
}

/// Whether a node is neither source nor sink.
fn is_operator(spec: &OperatorSpec) -> bool {
    !matches!(spec, OperatorSpec::Discover(_) | OperatorSpec::Source(_) | OperatorSpec::Sink(_))
}

impl Restorer {
    /// Restores `graph` from `manifest`. With a `budget`, the bytes that the state of one slot may take in memory, operators start
    /// with nothing and load what they touch.
    ///
    /// # Errors
    /// A user error if an operator would begin without its state, or state would be left behind: results that are there already
    /// were made with it.
    pub fn new(
        (graph, functions): (Arc<JobGraph>, Arc<Functions>),
        manifest: Option<Manifest>,
        storage: Arc<dyn Storage>,
        blocking: Arc<dyn Blocking>,
        (attempt, budget): (Attempt, Option<u64>),
    ) -> Result<Self> {
        let outside = |budget| {
            Ok::<_, Error>(Outside {
                storage: storage.clone(),
                blocking: blocking.clone(),
                attempt,
                budget: usize::try_from(budget).unwrap_or(usize::MAX) / sharing(&graph, &functions)?,
                stores: Mutex::default(),
            })
        };
        let outside = budget.map(outside).transpose()?;
        let checkpoint =
            manifest.map(|manifest| Checkpoint::planned(&graph, &functions, manifest, storage)).transpose()?;
        Ok(Self { shared: Arc::new(Shared { graph, checkpoint, outside }), blocking })
    }

    /// What is behind operators whose state is only partly in memory, once they are restored.
    pub fn stores(&self) -> BTreeMap<OperatorUid, Arc<StateStore>> {
        let outside = self.shared.outside.as_ref();
        outside.map_or_else(BTreeMap::new, |outside| outside.stores().clone())
    }

    /// The watermark that a node had seen; the beginning of time on a fresh start.
    pub fn watermark(&self, uid: &OperatorUid) -> EventTime {
        self.shared.watermark(uid)
    }

    /// Where the splits of a source stood.
    pub async fn splits(&self, uid: &OperatorUid) -> Result<Vec<SplitState>> {
        self.rows(uid, source_state::table(), source_state::decode).await
    }

    /// What a discovery had announced.
    pub async fn announced(&self, uid: &OperatorUid) -> Result<Vec<Announced>> {
        self.rows(uid, announcements::table(), announcements::decode).await
    }

    /// All rows of a table that is no operator's.
    async fn rows<T: Send + 'static>(
        &self,
        uid: &OperatorUid,
        declared: TableSchema,
        decode: fn(&RecordBatch) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let (shared, uid) = (self.shared.clone(), uid.clone());
        blocking::run(&self.blocking, move || shared.rows(&uid, &declared, decode)).await
    }

    /// The operators of `chain`, restored to the keys in `range` and open, with what they may call. Sources and sinks are not among them.
    pub async fn stages(
        &self,
        chain: &Chain,
        range: HashRange,
        metrics: &[Arc<OperatorMetrics>],
        functions: &Arc<Functions>,
    ) -> Result<Vec<Stage>> {
        let (shared, nodes, metrics) = (self.shared.clone(), chain.nodes.clone(), metrics.to_vec());
        let functions = functions.clone();
        blocking::run(&self.blocking, move || {
            let operators = nodes.iter().zip(metrics);
            let operators = operators.filter(|(id, _)| is_operator(&shared.graph.node(**id).spec.operator));
            operators.map(|(id, metrics)| stage(&shared, *id, range, metrics, &functions)).collect()
        })
        .await
    }
}

impl Checkpoint {
    fn planned(graph: &JobGraph, functions: &Functions, manifest: Manifest, storage: Arc<dyn Storage>) -> Result<Self> {
        let plan = plan_restore(&manifest, &kept_states(graph, functions)?);
        plan.check(manifest.epoch)?;
        for operator in plan.operators.iter().filter(|operator| operator.fate != StateFate::Kept) {
            tracing::info!(operator = %operator.uid, why = operator.fate.why(), "state is migrated");
        }
        Ok(Self { manifest, storage, plan })
    }
}

impl Shared {
    /// The state that the plan gives to an operator.
    fn state(&self, uid: &OperatorUid) -> Option<(&OperatorState, &dyn Storage)> {
        let Checkpoint { manifest, storage, plan } = self.checkpoint.as_ref()?;
        Some((manifest.operator(plan.source_of(uid)?)?, &**storage))
    }

    fn watermark(&self, uid: &OperatorUid) -> EventTime {
        self.state(uid).map_or(EventTime::MIN, |(state, _)| state.watermark)
    }

    fn rows<T>(
        &self,
        uid: &OperatorUid,
        declared: &TableSchema,
        decode: fn(&RecordBatch) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let Some((state, storage)) = self.state(uid) else { return Ok(Vec::new()) };
        let mut decoded = Vec::new();
        for table in state.tables.iter().filter(|table| table.schema.name == declared.name) {
            for (rows, _) in weir_state::read_table(storage, &table.declared_as(declared)?, HashRange::ALL)? {
                decoded.extend(decode(&rows)?);
            }
        }
        Ok(decoded)
    }

    /// The operator of a node as it is when it was just made.
    fn operator(&self, id: NodeId, functions: &Functions) -> Result<Box<dyn Operator>> {
        weir_operators::build(&self.graph.node(id).spec, &self.graph.inputs_of(id)?, functions)
    }

    /// Loads all that the checkpoint holds of an operator's keys in `range`.
    fn load(
        &self,
        uid: &OperatorUid,
        operator: &mut dyn Operator,
        tables: &[TableSchema],
        range: HashRange,
    ) -> Result<()> {
        let Some((state, storage)) = self.state(uid) else { return Ok(()) };
        for (index, declared) in tables.iter().enumerate() {
            let Some(stored) = state.tables.iter().find(|table| table.schema.name == declared.name) else {
                continue;
            };
            for (rows, hashes) in weir_state::read_table(storage, &stored.declared_as(declared)?, range)? {
                operator.load(index, &rows, &hashes)?;
            }
        }
        Ok(())
    }
}

impl Outside {
    fn stores(&self) -> MutexGuard<'_, BTreeMap<OperatorUid, Arc<StateStore>>> {
        self.stores.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operator of a node, restored to the keys in `range` and open.
fn stage(
    shared: &Arc<Shared>,
    id: NodeId,
    range: HashRange,
    metrics: Arc<OperatorMetrics>,
    functions: &Arc<Functions>,
) -> Result<Stage> {
    let node = shared.graph.node(id);
    let mut operator = shared.operator(id, functions)?;
    let tables = operator.tables();
    let watermark = shared.watermark(&node.uid);
    let state = shared.state(&node.uid).map(|(state, _)| state);
    let has_expired = state.is_some_and(|state| state.tables.iter().any(|table| table.expired.is_some()));
    operator.open(&OpenContext { range, watermark, restored: state.is_some(), has_expired })?;
    let partial = match &shared.outside {
        Some(outside) if may_be_partial(&node.spec.operator, &tables) => {
            Some(partial((shared, outside), id, range, &tables, functions)?)
        }
        _ => None,
    };
    if partial.is_none() {
        shared.load(&node.uid, &mut *operator, &tables, range)?;
    }
    Ok(Stage {
        uid: node.uid.clone(),
        operator,
        tables,
        partial,
        lookup: None,
        watermark,
        told: false,
        makes_watermarks: matches!(node.spec.operator, OperatorSpec::ProcessingTime | OperatorSpec::Clock),
        wants_ticks: match &node.spec.operator {
            OperatorSpec::ProcessingTime | OperatorSpec::Clock => true,
            OperatorSpec::Plugin(plugin) => plugin.wants_ticks,
            _ => false,
        },
        awaits_answers: node.spec.operator.awaits_answers(),
        metrics,
    })
}

/// What an operator needs that starts with nothing in memory.
fn partial(
    (shared, outside): (&Arc<Shared>, &Outside),
    id: NodeId,
    range: HashRange,
    tables: &[TableSchema],
    functions: &Arc<Functions>,
) -> Result<PartialState> {
    let uid = &shared.graph.node(id).uid;
    let mut stores = outside.stores();
    let store = match stores.get(uid) {
        Some(store) => store.clone(),
        None => {
            let epoch = shared.checkpoint.as_ref().map_or_else(Epoch::default, |checkpoint| checkpoint.manifest.epoch);
            let checkpoint = shared.state(uid).map(|(state, _)| (epoch, state));
            let store =
                StateStore::new(outside.storage.clone(), (uid.clone(), outside.attempt), tables.to_vec(), checkpoint)?;
            stores.entry(uid.clone()).or_insert(Arc::new(store)).clone()
        }
    };
    let (owner, functions) = (shared.clone(), functions.clone());
    let twin = Arc::new(move || owner.operator(id, &functions));
    Ok(PartialState::new(store, outside.blocking.clone(), twin, tables.len(), range, outside.budget))
}
