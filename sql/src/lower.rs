//! From DataFusion's logical plan to nodes of a [`JobGraph`].
//!
//! The plan is walked from its sources up. What is known about a stream on the way is a [`Stream`]:
//! which columns are time attributes, which are parts of the window that a row is in, and what has gathered but is not
//! a node yet. Each kind of plan node has a file here that turns the streams of its inputs into its own. A shape that
//! no file knows is refused; nothing is passed over.

mod aggregate;
mod bounds;
mod call;
mod changelog;
mod error;
mod exchanges;
mod expand;
mod expr;
mod group_aggregate;
mod grouping;
mod join;
mod life;
mod limited;
mod literal;
mod lookup;
mod order;
mod over;
mod plugin;
mod rank;
mod shape;
mod sink;
mod source;
mod stream;
mod succession;
mod temporal;
mod union;
mod unnest;
mod updated_windows;
mod upsert;
mod values;
mod window;
mod windowed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion_common::DFSchema;
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Distinct, Expr as LogicalExpr, LogicalPlan, Projection};
use weir_core::{ConnectorRegistry, Error, JobGraph, NodeId, Result};

use self::source::{TableKey, TableUse};
use self::stream::{Lineage, Pending, Stream};
use crate::catalog::Table;
use crate::guards::marked;
use crate::logical::{Hinted, VersionsOf, WindowTvf, versions_of};
use crate::options::PlanOptions;

pub(crate) use self::sink::Columns;

/// In how many phases the job aggregates, where two are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phases {
    One,
    Two,
    /// In one, with the state of two: a table for late rows comes and goes while the state stays. Earlier versions had `One` here, so
    /// what they have kept of such a job is not found.
    OneForTwo,
}

/// Builds one job.
pub(crate) struct Lowering<'a> {
    options: &'a PlanOptions,
    /// Asked what their sinks take.
    connectors: Arc<dyn ConnectorRegistry>,
    graph: JobGraph,
    next_lineage: u32,
    phases: Phases,
    /// Operators that refuse late rows.
    windowed: Vec<NodeId>,
    used_tables: Vec<Arc<Table>>,
    scans: BTreeMap<TableKey, TableUse>,
    /// Columns of the filter that is lowered next that the projection over it reads.
    read: Option<BTreeSet<usize>>,
    /// Whether the side of a join that is lowered next is made of versions.
    versions_expected: bool,
    /// Whether it is a table that rows are looked up in.
    looked_up: bool,
    /// Relations with a hint `STATE_TTL`, and whether an operator obeys it.
    lives: Vec<(String, bool)>,
    /// Relations that are to be in every subtask, and whether a join has them there.
    broadcasts: Vec<(String, bool)>,
    /// Operators of plugins that are in the graph, by where they stand in the script.
    plugin_operators: BTreeMap<usize, NodeId>,
    /// Those whose inputs are announced.
    announced: BTreeSet<usize>,
    /// For each relation with a clause `EMIT` or `ALLOWED LATENESS`, whether an aggregation obeys it.
    emissions: Vec<bool>,
}

impl<'a> Lowering<'a> {
    /// An empty job.
    pub fn new(options: &'a PlanOptions, connectors: Arc<dyn ConnectorRegistry>) -> Self {
        // A first phase has put late rows and others together before anyone could tell them apart.
        let phases = match (options.two_phase, &options.late_table) {
            (false, _) => Phases::One,
            (true, None) => Phases::Two,
            (true, Some(_)) => Phases::OneForTwo,
        };
        Self {
            options,
            connectors,
            graph: JobGraph::new(),
            next_lineage: 0,
            phases,
            windowed: Vec::new(),
            used_tables: Vec::new(),
            scans: BTreeMap::new(),
            read: None,
            versions_expected: false,
            looked_up: false,
            lives: Vec::new(),
            broadcasts: Vec::new(),
            plugin_operators: BTreeMap::new(),
            announced: BTreeSet::new(),
            emissions: Vec::new(),
        }
    }

    /// Tables that the job reads.
    pub fn used_tables(&self) -> &[Arc<Table>] {
        &self.used_tables
    }

    /// The job so far.
    pub fn graph(&self) -> &JobGraph {
        &self.graph
    }

    /// The job.
    pub fn into_graph(self) -> JobGraph {
        self.graph
    }

    fn lineage(&mut self) -> Lineage {
        self.next_lineage += 1;
        Lineage(self.next_lineage)
    }

    /// The stream of a plan's rows.
    fn relation(&mut self, plan: &LogicalPlan) -> Result<Stream> {
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(&filter.predicate, &filter.input),
            LogicalPlan::SubqueryAlias(alias) => {
                let before = self.graph.nodes().len();
                let stream = self.relation(&alias.input)?;
                self.graph.label_from(before, alias.alias.table());
                Ok(stream)
            }
            LogicalPlan::Subquery(subquery) if subquery.outer_ref_columns.is_empty() => {
                self.relation(&subquery.subquery)
            }
            LogicalPlan::Subquery(_) => Err(Error::user("a LATERAL subquery cannot be made a join here").with_help(
                "join the rows below it, and keep the first of them with `QUALIFY ROW_NUMBER() OVER (PARTITION BY … \
                     ORDER BY …) <= n`",
            )),
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.ranked(window),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::Unnest(unnest) => self.unnest(unnest),
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => self.unordered(plan),
            LogicalPlan::Values(values) => self.values(values),
            LogicalPlan::EmptyRelation(empty) => self.constant(empty),
            LogicalPlan::Extension(_) if versions_of(plan).is_some() => self.versions(plan),
            LogicalPlan::Extension(extension) if extension.node.as_any().is::<Hinted>() => self.hinted(extension),
            LogicalPlan::Extension(extension) => match extension.node.as_any().downcast_ref::<WindowTvf>() {
                Some(function) => self.window_function(function),
                None => Err(Error::internal(format!("no operator does `{}`", extension.node.name()))),
            },
            other => Err(refused(other)),
        }
    }

    /// The rows that versions are, as they are before one is chosen.
    fn versions(&mut self, plan: &LogicalPlan) -> Result<Stream> {
        let Some(versions) = versions_of(plan).filter(|_| std::mem::take(&mut self.versions_expected)) else {
            return Err(Error::user("versions of a table cannot be read here").with_help(
                "write `FROM a JOIN b FOR SYSTEM_TIME AS OF a.ts ON a.k = b.k`, and other joins around it",
            ));
        };
        let stream = self.relation(&versions.input)?;
        if versions.of == VersionsOf::Now {
            return Ok(stream);
        }
        let stream = shape::settle(&mut self.graph, stream)?;
        shape::materialise(&mut self.graph, stream)
    }

    fn projection(&mut self, projection: &Projection) -> Result<Stream> {
        let schema = projection.input.schema();
        let exprs =
            projection.expr.iter().map(|expression| expr::expr(expression, schema)).collect::<Result<Vec<_>>>()?;
        self.read = matches!(&*projection.input, LogicalPlan::Filter(_)).then(|| {
            let mut read = BTreeSet::new();
            exprs.iter().for_each(|expression| expression.visit_columns(&mut |column| read.extend([column])));
            read
        });
        let input = self.relation(&projection.input)?;
        let fields = projection.schema.fields();
        let names = fields.iter().map(|field| field.name().clone()).collect();
        let types = fields.iter().map(|field| field.data_type().clone()).collect();
        shape::project(&mut self.graph, input, exprs, names, types)
    }

    fn filter(&mut self, predicate: &LogicalExpr, input: &LogicalPlan) -> Result<Stream> {
        let read = self.read.take();
        let stream = self.relation(input)?;
        let schema: &DFSchema = input.schema();
        let mut conditions = split_conjunction(predicate);
        // What cannot fail comes first; what can, in the order in which it was written.
        conditions.sort_by_key(|condition| marked(condition).map(|(number, _)| number));
        let conditions = conditions
            .into_iter()
            .filter(|condition| !expr::is_true(condition))
            .map(|condition| expr::expr(condition, schema))
            .collect::<Result<Vec<_>>>()?;
        let mut parts = Vec::with_capacity(conditions.len());
        for condition in conditions {
            stream::conjuncts(condition, &mut parts);
        }
        let stream = match stream.pending {
            Pending::Rank(_) => self.limited(stream, &mut parts, read.as_ref())?,
            _ => stream,
        };
        shape::filter(&mut self.graph, stream, parts)
    }
}

fn refused(plan: &LogicalPlan) -> Error {
    match plan {
        LogicalPlan::Distinct(Distinct::On(_)) => Error::user("DISTINCT ON is not supported")
            .with_help("keep the first row of each key: `QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts) = 1`"),
        LogicalPlan::RecursiveQuery(_) => Error::user("WITH RECURSIVE is not supported on streams"),
        LogicalPlan::Repartition(_) => Error::user("DISTRIBUTE BY is not supported")
            .with_help("leave it out: rows are spread by the keys that operators need"),
        other => Error::user(format!("`{}` is not supported in a streaming query", other.display())),
    }
}
