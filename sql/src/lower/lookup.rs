//! Lookup joins: rows beside those of a table outside, as it is when they come. The table is no input of the job. How it is read, and what
//! is computed of its rows, is a part of the join.

use arrow::datatypes::SchemaRef;
use datafusion_common::DFSchema;
use datafusion_expr::{Expr as LogicalExpr, Join, LogicalPlan};
use weir_core::{
    CalcSpec, Error, Exchange, Expr, JobGraph, JoinType, LookupJoinSpec, NodeId, OperatorSpec, Result, SourceSpec,
};

use super::Lowering;
use super::changelog::may_retract;
use super::join::{Input, Side, comparable, join_type, refuse_equal_nulls, residual};
use super::shape::{add, check_key, edges, settle};
use super::stream::{Role, Stream, StreamColumn, is_never_true, never_true, typed};

impl Lowering<'_> {
    /// A join whose right side is looked up in.
    pub(super) fn lookup_join(&mut self, join: &Join) -> Result<Stream> {
        refuse_equal_nulls(join)?;
        let join_type = join_type(join)?;
        if !matches!(join_type, JoinType::Inner | JoinType::Left) {
            return Err(Error::user("a lookup join is a JOIN or a LEFT JOIN")
                .with_help("put the table that is looked up in on the right side"));
        }
        let left = self.relation(&join.left)?;
        let left = settle(&mut self.graph, left)?;
        let (mut aside, right) = self.aside(&join.right)?;
        let keys = |pick: fn(&(LogicalExpr, LogicalExpr)) -> &LogicalExpr, schema: &DFSchema, stream: &Stream| {
            join.on.iter().map(|pair| typed(pick(pair), schema, stream)).collect::<Result<Vec<_>>>()
        };
        let left_keys = keys(|pair| &pair.0, join.left.schema(), &left)?;
        let right_keys = keys(|pair| &pair.1, join.right.schema(), &right)?;
        let keys = left_keys.into_iter().zip(right_keys).map(|(left, right)| comparable(left, right));
        let (left_keys, right_keys) = keys.collect::<Result<(Vec<_>, Vec<_>)>>()?;
        left_keys.iter().try_for_each(|key| check_key(&key.data_type))?;
        let sides = (Side { stream: left, keys: left_keys }, Side { stream: right, keys: right_keys });
        let condition = self.condition(join, &sides)?;
        if condition.iter().any(is_never_true) {
            return Err(never_true("the condition of this join"));
        }
        if sides.0.keys.is_empty() {
            return Err(Error::user("a lookup join needs a column that is equal on both sides")
                .with_help("add `ON a.key = b.key`"));
        }
        let width = sides.0.stream.columns.len();
        let left = Input::of(&mut self.graph, sides.0, false, None, &condition, 0)?;
        let right = Input::of(&mut aside, sides.1, join_type == JoinType::Left, None, &condition, width)?;
        let on: Vec<(usize, usize)> = left.keys.iter().copied().zip(right.keys.iter().copied()).collect();
        let residual = residual(condition, &left, &right);
        let (source, calcs, schemas) = table_of(&aside, &right.shaped.nodes)?;
        let retracts = may_retract(&self.graph, &edges(&left.shaped.nodes, 0, Exchange::Forward));
        // A row that is taken back has to come to where it was added.
        let exchange = if retracts { Exchange::Hash(left.keys.clone()) } else { Exchange::Forward };
        let inputs = edges(&left.shaped.nodes, 0, exchange);
        let mut columns = left.shaped.columns.clone();
        let first = columns.len();
        columns.extend(right.shaped.columns.iter().map(|column| StreamColumn { role: Role::Plain, ..column.clone() }));
        let behind = |expression: &Expr| expression.replace_columns(&|column| Expr::Column(first + column));
        let projection = left.projection.iter().cloned().chain(right.projection.iter().map(behind)).collect();
        let operator =
            OperatorSpec::LookupJoin(LookupJoinSpec { join_type, on, source, calcs, schemas, residual, retracts });
        let node = add(&mut self.graph, "LookupJoin", operator, inputs, &columns)?;
        let fields = join.schema.fields();
        Ok(Stream {
            projection,
            names: fields.iter().map(|field| field.name().clone()).collect(),
            types: fields.iter().map(|field| field.data_type().clone()).collect(),
            ..Stream::of_nodes(vec![node], columns)
        })
    }

    /// The rows of a table in a graph of their own.
    fn aside(&mut self, table: &LogicalPlan) -> Result<(JobGraph, Stream)> {
        let graph = std::mem::take(&mut self.graph);
        self.versions_expected = true;
        self.looked_up = true;
        let stream = self.relation(table).and_then(|stream| settle(&mut self.graph, stream));
        self.looked_up = false;
        let aside = std::mem::replace(&mut self.graph, graph);
        Ok((aside, stream?))
    }
}

/// How the rows of the nodes are read, what is computed of them, and the columns in between.
fn table_of(aside: &JobGraph, nodes: &[NodeId]) -> Result<(SourceSpec, Vec<CalcSpec>, Vec<SchemaRef>)> {
    let [mut node] = nodes[..] else { return Err(Error::internal("a table is read in several ways at once")) };
    let (mut calcs, mut schemas) = (Vec::new(), Vec::new());
    loop {
        let spec = &aside.node(node).spec;
        schemas.insert(0, spec.schema.clone());
        match (&spec.operator, spec.inputs.as_slice()) {
            (OperatorSpec::Calc(calc), [edge]) => {
                calcs.insert(0, calc.clone());
                node = edge.from;
            }
            // Its rows are no stream, so nothing waits for their time.
            (OperatorSpec::Source(source), _) => {
                return Ok((SourceSpec { watermark: None, rows_per_second: None, ..source.clone() }, calcs, schemas));
            }
            (OperatorSpec::ProcessingTime, _) => {
                return Err(Error::user("a column with PROCTIME() cannot be read of a table that is looked up in")
                    .with_help("name the columns instead of `*`"));
            }
            _ => return Err(Error::internal(format!("{} is no way to read a table", spec.name))),
        }
    }
}
