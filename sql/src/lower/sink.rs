//! Where rows end: tables that are written, and the printed result of a bare query.

use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use datafusion_expr::LogicalPlan;
use weir_core::connector::{Boundedness, rejected_schema};
use weir_core::hash::is_hashable;
use weir_core::{
    CalcSpec, ChangelogKind, ChangelogRowsSpec, Collector, Edge, Error, Exchange, Expr, JobGraph, Literal,
    LiteralValue, NodeId, NodeSpec, OperatorSpec, OutputPort, Parallelism, Result, SinkSpec, SortKey, SortedRowsSpec,
    TableSpec,
};

use super::Lowering;
use super::changelog;
use super::limited::Ordered;
use super::shape::{self, add, edges, exact, settle};
use super::stream::{Stream, StreamColumn};
use crate::coercion::travelling_type;
use crate::logical::free_name;
use crate::parse::sql_type_name;
use crate::row_key::key_of;

/// For each column of a table that is written, which column of the query fills it; `None` is filled with null.
pub(crate) type Columns = Vec<Option<usize>>;

/// Nodes that make the rows of a query.
struct Made {
    nodes: Vec<NodeId>,
    columns: Vec<StreamColumn>,
    /// One subtask if the rows are in an order.
    parallelism: Parallelism,
}

impl Lowering<'_> {
    /// `INSERT INTO` a table with these columns.
    ///
    /// # Errors
    /// A user error that names the column whose type does not fit.
    pub fn insert(&mut self, plan: &LogicalPlan, table: TableSpec, filled: &Columns) -> Result<()> {
        let Ordered { stream, order, is_limited } = self.ordered(plan)?;
        let stream = settle(&mut self.graph, stream)?;
        let mut projection = Vec::new();
        for (field, from) in table.schema.fields().iter().zip(filled) {
            let Some(from) = *from else {
                projection.push(null(field, &table.name)?);
                continue;
            };
            let given = plan.schema().field(from);
            if given.is_nullable() && !field.is_nullable() {
                return Err(Error::user(format!(
                    "column `{}` of `{}` is NOT NULL, but `{}` may be null",
                    field.name(),
                    table.name,
                    given.name()
                ))
                .with_help("replace nulls with COALESCE, or declare the column without NOT NULL"));
            }
            let value = stream.projection[from].clone();
            projection.push(assigned(value, &stream.types[from], field, &table.name)?);
        }
        let fields = table.schema.fields();
        let mut names: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let mut types: Vec<DataType> = fields.iter().map(|field| field.data_type().clone()).collect();
        let width = projection.len();
        // The columns of the order come along behind those of the table.
        let keys = order.into_iter().enumerate().map(|(index, key)| {
            projection.push(stream.projection[key.column].clone());
            names.push(format!("$order{index}"));
            types.push(stream.types[key.column].clone());
            SortKey { column: width + index, ..key }
        });
        let order: Vec<SortKey> = keys.collect();
        let stream = Stream { projection, names, types, ..stream };
        let changed_by = self.changed_by(&table);
        let retracts = changed_by.is_some();
        if let Some(key) = self.replaced_by(&table).or(changed_by)
            && (order.is_empty() || !self.base_ends(&stream.base))
        {
            let (nodes, columns) = exact(&mut self.graph, stream)?;
            let (nodes, exchange) = self.last_rows(nodes, &columns, &order, (&key, width), retracts)?;
            let nodes = self.named(nodes, &columns[..width])?;
            self.sink(table, edges(&nodes, 0, exchange), Parallelism::Job)?;
            return Ok(());
        }
        let made = self.made(Ordered { stream, order, is_limited }, width)?;
        let nodes = match made.parallelism {
            Parallelism::Job if !self.takes(&table, &made.nodes) => self.final_rows(made.nodes, &made.columns)?,
            _ => made.nodes,
        };
        self.sink(table, edges(&nodes, 0, Exchange::Forward), made.parallelism)?;
        Ok(())
    }

    /// A bare query: its rows go to the result connector, all in one place.
    ///
    /// # Errors
    /// A user error if the query cannot run as a stream.
    pub fn result(&mut self, plan: &LogicalPlan) -> Result<SchemaRef> {
        let Ordered { stream, order, is_limited } = self.ordered(plan)?;
        let mut stream = settle(&mut self.graph, stream)?;
        let hidden = stream.names.split_off(plan.schema().fields().len());
        // The names are the query's, whatever operators call their columns; a reader of JSON could not tell equal ones
        // apart.
        stream.names.clear();
        for field in plan.schema().fields() {
            let name = free_name(field.name(), |name| stream.names.iter().any(|known| known == name));
            stream.names.push(name);
        }
        let width = stream.names.len();
        stream.names.extend(hidden);
        for index in 0..width {
            if let Some(view) = travelling_type(&stream.types[index]) {
                let operand = Box::new(stream.projection[index].clone());
                stream.projection[index] = Expr::Cast { operand, data_type: view.clone(), safe: false };
                stream.types[index] = view;
            }
        }
        let Made { nodes, columns, .. } = self.made(Ordered { stream, order, is_limited }, width)?;
        let nodes = self.final_rows(nodes, &columns)?;
        let (nodes, columns) = self.changelog_rows(nodes, columns)?;
        let schema = shape::schema(&columns);
        let (connector, options) = (self.options.result_connector.clone(), self.options.result_options.clone());
        let table = TableSpec::new("result", connector, options, schema.clone());
        self.sink(table, edges(&nodes, 0, Exchange::Rebalance), Parallelism::Single)?;
        Ok(schema)
    }

    /// Rows as they go into a sink. Of input that ends they come in the order that is wanted, through one subtask.
    ///
    /// # Errors
    /// A user error if they are wanted in an order of input that has no end.
    fn made(&mut self, Ordered { mut stream, order, is_limited }: Ordered, width: usize) -> Result<Made> {
        let ends = self.base_ends(&stream.base);
        if !order.is_empty() && ends {
            let (nodes, columns) = exact(&mut self.graph, stream)?;
            return self.sorted_rows(nodes, columns, order, width);
        }
        if !order.is_empty() && !is_limited {
            return Err(Error::user("ORDER BY without LIMIT would have to wait for the end of the input, and this has none")
                .with_help(
                    "add LIMIT, as in `ORDER BY … LIMIT 10`, which shows the first rows as they change; or leave ORDER BY out",
                ));
        }
        stream.projection.truncate(width);
        stream.names.truncate(width);
        stream.types.truncate(width);
        let (nodes, columns) = exact(&mut self.graph, stream)?;
        let nodes = self.named(nodes, &columns)?;
        Ok(Made { nodes, columns, parallelism: Parallelism::Job })
    }

    /// The first so many columns of all rows, in an order. It is kept from here on, which one subtask alone can do.
    fn sorted_rows(
        &mut self,
        nodes: Vec<NodeId>,
        mut columns: Vec<StreamColumn>,
        mut order: Vec<SortKey>,
        width: usize,
    ) -> Result<Made> {
        refuse_unhashable(&columns, "the rows of this query are sorted when its input has ended")?;
        for column in 0..columns.len() {
            if order.iter().all(|key| key.column != column) {
                order.push(SortKey { column, descending: false, nulls_first: true });
            }
        }
        let single = |graph: &mut JobGraph, name, operator, inputs, columns: &[StreamColumn]| {
            let spec = shape::node(graph, name, operator, inputs, columns)?;
            Ok::<_, Error>(graph.add(NodeSpec { parallelism: Parallelism::Single, ..spec }))
        };
        let inputs = edges(&nodes, 0, Exchange::Hash((0..columns.len()).collect()));
        let operator = OperatorSpec::SortedRows(SortedRowsSpec { order });
        let mut node = single(&mut self.graph, "SortedRows", operator, inputs, &columns)?;
        if columns.len() > width {
            columns.truncate(width);
            let projection = (0..width).map(Expr::Column).collect();
            let operator = OperatorSpec::Calc(CalcSpec { predicate: None, projection });
            node = single(&mut self.graph, "Calc", operator, edges(&[node], 0, Exchange::Forward), &columns)?;
        }
        Ok(Made { nodes: vec![node], columns, parallelism: Parallelism::Single })
    }

    /// Whether the connector of a table takes what these nodes make.
    fn takes(&self, table: &TableSpec, nodes: &[NodeId]) -> bool {
        let kinds = nodes.iter().map(|node| &self.graph.node(*node).spec.changelog);
        let (kind, connector) = (ChangelogKind::union(kinds), self.connectors.get(&table.connector));
        connector.zip(kind).is_some_and(|(connector, kind)| connector.takes(table, &kind))
    }

    /// Whether a table that is read comes to an end.
    pub fn ends(&self, table: &TableSpec) -> bool {
        let connector = self.connectors.get(&table.connector);
        connector.is_some_and(|connector| connector.boundedness(table) == Boundedness::Bounded)
    }

    /// Whether all that these nodes read comes to an end.
    pub(super) fn all_end(&self, nodes: &[NodeId]) -> bool {
        nodes.iter().all(|node| {
            let spec = &self.graph.node(*node).spec;
            match &spec.operator {
                OperatorSpec::Source(source) => self.ends(&source.table),
                _ => self.all_end(&spec.inputs.iter().map(|edge| edge.from).collect::<Vec<_>>()),
            }
        })
    }

    /// What is left of changelogs when all that they are made of has been read. One that does not end stays as it is.
    fn final_rows(&mut self, nodes: Vec<NodeId>, columns: &[StreamColumn]) -> Result<Vec<NodeId>> {
        let inputs = edges(&nodes, 0, Exchange::Hash((0..columns.len()).collect()));
        if !changelog::may_retract(&self.graph, &inputs) || !self.all_end(&nodes) {
            return Ok(nodes);
        }
        refuse_unhashable(columns, "the results of this query change until its input ends")?;
        Ok(vec![add(&mut self.graph, "FinalRows", OperatorSpec::FinalRows, inputs, columns)?])
    }

    /// Changes as rows, for those who look at a changelog.
    fn changelog_rows(
        &mut self,
        nodes: Vec<NodeId>,
        mut columns: Vec<StreamColumn>,
    ) -> Result<(Vec<NodeId>, Vec<StreamColumn>)> {
        let inputs = edges(&nodes, 0, Exchange::Forward);
        if !changelog::may_retract(&self.graph, &inputs) {
            return Ok((nodes, columns));
        }
        let key = if let [node] = nodes.as_slice() { key_of(&self.graph, *node) } else { None };
        let name = free_name("op", |name| columns.iter().any(|column| column.name == name));
        columns.insert(0, StreamColumn::plain(name, DataType::Utf8View));
        let operator = OperatorSpec::ChangelogRows(ChangelogRowsSpec { key });
        Ok((vec![add(&mut self.graph, "ChangelogRows", operator, inputs, &columns)?], columns))
    }

    /// The nodes with a calculation behind those whose columns have other names: batches carry the names of the node
    /// that made them, and formats write those.
    fn named(&mut self, nodes: Vec<NodeId>, columns: &[StreamColumn]) -> Result<Vec<NodeId>> {
        let named = |graph: &mut JobGraph, node: NodeId| {
            let made = graph.node(node).spec.schema.clone();
            if made.fields().iter().map(|field| field.name()).eq(columns.iter().map(|column| &column.name)) {
                return Ok(node);
            }
            let projection = (0..columns.len()).map(Expr::Column).collect();
            let operator = OperatorSpec::Calc(CalcSpec { predicate: None, projection });
            add(graph, "Calc", operator, edges(&[node], 0, Exchange::Forward), columns)
        };
        nodes.into_iter().map(|node| named(&mut self.graph, node)).collect()
    }

    /// # Errors
    /// A user error if the table's connector cannot write such rows.
    fn sink(&mut self, table: TableSpec, inputs: Vec<Edge>, parallelism: Parallelism) -> Result<NodeId> {
        inputs.iter().try_for_each(|input| shape::check_keys(&self.graph, input))?;
        let (name, schema) = (format!("Sink({})", table.name), table.schema.clone());
        let operator = OperatorSpec::Sink(SinkSpec { table });
        let changelog = changelog::output_of(&self.graph, &name, &operator, &inputs)?;
        if let OperatorSpec::Sink(SinkSpec { table }) = &operator {
            changelog::check_sink(&*self.connectors, table, &changelog)?;
        }
        let spec = NodeSpec::new(name, operator, inputs, schema);
        Ok(self.graph.add(NodeSpec { changelog, parallelism, ..spec }))
    }

    /// Writes the rows that came too late, of all operators that refuse any, to `table`. Says whether there are any
    /// such operators.
    ///
    /// # Errors
    /// A user error if the table has other columns.
    pub fn late_rows(&mut self, table: TableSpec) -> Result<bool> {
        fits(&table, &Collector::late_schema(), "late rows")?;
        let mut nodes = self.windowed.clone();
        // What gives rows their windows refuses those whose windows are all closed, before an operator behind it sees them.
        let refuses =
            |operator: &OperatorSpec| matches!(operator, OperatorSpec::WindowAssign(_) | OperatorSpec::Over(_));
        nodes.extend(self.graph.iter().filter(|(_, node)| refuses(&node.spec.operator)).map(|(id, _)| id));
        nodes.sort_unstable();
        nodes.dedup();
        if nodes.is_empty() {
            return Ok(false);
        }
        self.side_output(table, nodes, OutputPort::Late)?;
        Ok(true)
    }

    /// Writes the records that could not be decoded, of all sources that `reads` picks, to `table`.
    ///
    /// # Errors
    /// A user error if the table has other columns.
    pub fn rejected_records(&mut self, table: TableSpec, reads: &dyn Fn(&TableSpec) -> bool) -> Result<()> {
        fits(&table, &rejected_schema(), "records that cannot be decoded")?;
        let nodes: Vec<NodeId> = self
            .graph
            .iter()
            .filter(|(_, node)| matches!(&node.spec.operator, OperatorSpec::Source(source) if reads(&source.table)))
            .map(|(id, _)| id)
            .collect();
        if !nodes.is_empty() {
            self.side_output(table, nodes, OutputPort::Rejected)?;
        }
        Ok(())
    }

    fn side_output(&mut self, table: TableSpec, nodes: Vec<NodeId>, port: OutputPort) -> Result<()> {
        let exchange = self.added_rows(&table);
        let edge = |from| Edge { from, port, ordinal: 0, exchange: exchange.clone() };
        let inputs = nodes.into_iter().map(edge).collect();
        self.sink(table, inputs, Parallelism::Job)?;
        Ok(())
    }

    /// The tables that the job's sources read.
    pub fn sources(&self) -> Vec<TableSpec> {
        self.graph
            .nodes()
            .iter()
            .filter_map(|node| match &node.spec.operator {
                OperatorSpec::Source(source) => Some(source.table.clone()),
                _ => None,
            })
            .collect()
    }
}

/// Refuses rows that could not be told apart.
fn refuse_unhashable(columns: &[StreamColumn], why: &str) -> Result<()> {
    let Some(unfit) = columns.iter().find(|column| !is_hashable(&column.data_type)) else { return Ok(()) };
    let (name, data_type) = (&unfit.name, sql_type_name(&unfit.data_type));
    Err(Error::user(format!("{why}, and are told apart by their columns, but `{name}` is {data_type}"))
        .with_help("name its fields or elements one by one, or CAST it to STRING"))
}

fn null(field: &Field, table: &str) -> Result<Expr> {
    if !field.is_nullable() {
        return Err(Error::user(format!("column `{}` of `{table}` is NOT NULL, but nothing fills it", field.name()))
            .with_help("name it in the column list of the INSERT and select a value for it"));
    }
    Ok(Expr::Literal(Literal { data_type: field.data_type().clone(), value: LiteralValue::Null }))
}

/// `value` as the column wants it.
fn assigned(value: Expr, from: &DataType, field: &Field, table: &str) -> Result<Expr> {
    let to = field.data_type();
    if from == to {
        return Ok(value);
    }
    if !is_safe_assignment(from, to) {
        let (from, to) = (sql_type_name(from), sql_type_name(to));
        return Err(Error::user(format!(
            "column `{}` of `{table}` is {to}, but the query has {from} for it",
            field.name()
        ))
        .with_help(format!("write `CAST(… AS {to})` if that is what you want")));
    }
    Ok(Expr::Cast { operand: Box::new(value), data_type: to.clone(), safe: false })
}

/// Whether a value of one type goes into a column of the other without a cast that is written. As in Flink, whole numbers become wider,
/// and every number a DECIMAL, rounded to its decimals, or one with floating point. One that has no place is an error of the data.
fn is_safe_assignment(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal128, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeList, LargeUtf8,
        List, Map, Null, Struct, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    let rank = |data_type: &DataType| match data_type {
        Int8 | UInt8 => Some(1),
        Int16 | UInt16 => Some(2),
        Int32 | UInt32 => Some(3),
        Int64 | UInt64 => Some(4),
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to => true,
        (Null, _) => true,
        (from, to) if rank(from).is_some() && rank(to).is_some() => rank(from) <= rank(to),
        (from, Float32) => rank(from).is_some() || matches!(from, Decimal128(..)),
        (from, Float64 | Decimal128(..)) => from.is_numeric(),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => true,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => true,
        // Timestamps of any precision are one instant; what is finer than the column's is cut off, as in Flink.
        (Timestamp(_, from), Timestamp(_, to)) => from.is_none() == to.is_none(),
        (List(from) | LargeList(from), List(to) | LargeList(to)) => {
            is_safe_assignment(from.data_type(), to.data_type())
        }
        // The fields of rows are matched by their place.
        (Struct(from), Struct(to)) => {
            let fits = |(from, to): (&FieldRef, &FieldRef)| {
                (to.is_nullable() || !from.is_nullable()) && is_safe_assignment(from.data_type(), to.data_type())
            };
            from.len() == to.len() && from.iter().zip(to).all(fits)
        }
        (Map(from, _), Map(to, _)) => is_safe_assignment(from.data_type(), to.data_type()),
        _ => false,
    }
}

/// Whether `table` takes rows of `schema`.
fn fits(table: &TableSpec, schema: &SchemaRef, what: &str) -> Result<()> {
    let same = table.schema.fields().len() == schema.fields().len()
        && table.schema.fields().iter().zip(schema.fields()).all(|(column, wanted)| {
            column.data_type() == wanted.data_type() && (column.is_nullable() || !wanted.is_nullable())
        });
    if same {
        return Ok(());
    }
    let wanted: Vec<String> =
        schema.fields().iter().map(|field| format!("{} {}", field.name(), sql_type_name(field.data_type()))).collect();
    Err(Error::user(format!("table `{}` cannot take {what}: it has other columns", table.name))
        .with_help(format!("declare it with ({})", wanted.join(", "))))
}
