//! Tables that are read: which of their columns the connector has to deliver, which are computed at the source, and
//! where event time comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::DFSchema;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_expr::{LogicalPlan, TableScan};
use weir_core::connector::Role as ConnectorRole;
use weir_core::{Error, Expr, Result, SourceSpec, TableSpec, TimeColumn, WatermarkSpec};
use weir_functions::failure::values;

use super::Lowering;
use super::error::from_planner;
use super::expr::expr;
use super::stream::{Base, Role, Stream, StreamColumn};
use super::succession;
use crate::catalog::{ColumnSource, Table};
use crate::logical::{OperatorRows, ScannedTable, VersionsOf, versions_of};

impl Lowering<'_> {
    /// A scan, not yet in the graph so that filters can go into it.
    pub(super) fn scan(&mut self, scan: &TableScan) -> Result<Stream> {
        if !scan.filters.is_empty() || scan.fetch.is_some() {
            return Err(Error::internal("a scan was given a filter or a limit that it does not take"));
        }
        if let Some(OperatorRows(view)) = scan.source.downcast_ref() {
            return self.operator_rows(scan, view);
        }
        let Some(source) = scan.source.downcast_ref::<ScannedTable>() else {
            return Err(Error::internal(format!("`{}` is not a table of the catalog", scan.table_name)));
        };
        let table = &source.table;
        if !self.looked_up && !table.connector.supports(ConnectorRole::Source) {
            let (name, connector) = (&table.name, table.connector.name());
            return Err(Error::user(format!(
                "table `{name}` cannot be read as a stream: its connector is `{connector}`"
            ))
            .with_help("look rows up in it: JOIN it FOR SYSTEM_TIME AS OF a processing time"));
        }
        let output = output_of(scan, table);
        self.used_tables.push(source.table.clone());
        let clock = reads_clock(table, &output);
        let succession = table.connector.succession(&source.spec);
        if succession.is_some() {
            succession::check(table, clock)?;
        }
        let uses = self.scans.get(&key(table, clock)).cloned().unwrap_or_default();
        let shared = uses.scans > 1;
        let schema = DFSchema::try_from(table.schema()).map_err(from_planner)?;
        // Watermarks from the data end where processing time begins.
        let watermark = table.time_attribute.as_ref().filter(|_| !clock);
        let watermark_expression = watermark.map(|attribute| expr(&attribute.expression, &schema)).transpose()?;
        let mut produced: BTreeSet<usize> = output.iter().chain(&uses.columns).copied().collect();
        produced.retain(|column| table.columns[*column].source != ColumnSource::ProcessingTime);
        if succession.is_some() {
            produced.extend(&table.primary_key);
        }
        if let (Some(attribute), Some(expression)) = (watermark, &watermark_expression) {
            produced.insert(attribute.column);
            expression.visit_columns(&mut |column| {
                produced.insert(column);
            });
        }
        let deferred = deferred(table, &mut produced, watermark_expression.as_ref(), &schema)?;
        let layout = Layout::of(table, &source.spec, produced, &schema)?;
        let place = |column: usize| layout.produced.iter().position(|produced| *produced == column);
        let watermark = watermark_expression.map(|expression| WatermarkSpec {
            expression: expression.replace_columns(&|column| Expr::Column(place(column).unwrap_or_default())),
            time: watermark
                .and_then(|attribute| place(attribute.column))
                .map(|column| TimeColumn { column, nulls: table.null_times }),
            idle_timeout_ms: self.idle_timeout(table),
            max_drift_ms: table.max_drift.map(milliseconds),
        });
        let mut columns = Vec::with_capacity(layout.produced.len() + 1);
        for column in &layout.produced {
            let is_time = watermark.is_some()
                && table.time_attribute.as_ref().is_some_and(|attribute| attribute.column == *column);
            let declared = &table.columns[*column];
            if is_time && !matches!(declared.data_type, DataType::Timestamp(TimeUnit::Millisecond, _)) {
                return Err(Error::internal(format!(
                    "the time attribute `{}` is {}",
                    declared.name, declared.data_type
                )));
            }
            let overruled = clock && table.time_attribute.as_ref().is_some_and(|attribute| attribute.column == *column);
            let role = match (is_time, overruled) {
                (true, _) => Role::Time { processing: false },
                (false, true) => Role::Overruled,
                (false, false) => Role::Plain,
            };
            columns.push(StreamColumn { name: declared.name.clone(), data_type: declared.data_type.clone(), role });
        }
        let width = columns.len();
        if clock {
            columns.push(StreamColumn {
                name: "proctime".to_owned(),
                data_type: weir_functions::PROCESSING_TIME,
                role: Role::Time { processing: true },
            });
        }
        let spec = SourceSpec {
            table: layout.table,
            projection: layout.projection,
            filter: None,
            watermark,
            rows_per_second: table.rows_per_second,
        };
        let mut stream = match succession {
            Some(succession) => {
                let key = table.primary_key.iter().filter_map(|column| place(*column)).collect();
                self.newest_rows(spec, columns, key, succession)?
            }
            None => Stream::new(Base::Scan { spec: Box::new(spec), clock, shared }, columns),
        };
        let place = |column: usize| Expr::Column(place(column).unwrap_or(width));
        let column =
            |column: &usize| deferred.get(column).map_or_else(|| place(*column), |expr| expr.replace_columns(&place));
        stream.projection = output.iter().map(column).collect();
        stream.names = output.iter().map(|column| table.columns[*column].name.clone()).collect();
        stream.types = output.iter().map(|column| table.columns[*column].data_type.clone()).collect();
        Ok(stream)
    }

    fn idle_timeout(&self, table: &Table) -> Option<u64> {
        let timeout = table.idle_timeout.or(self.options.source_idle_timeout)?;
        Some(milliseconds(timeout)).filter(|timeout| *timeout > 0)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How a job reads a table.
#[derive(Debug, Clone, Default)]
pub(super) struct TableUse {
    scans: usize,
    columns: BTreeSet<usize>,
}

/// A table, and whether its scan is given a clock: those two have no source in common.
pub(super) type TableKey = (usize, bool);

fn key(table: &Table, clock: bool) -> TableKey {
    (table.span.start, clock)
}

/// Computed columns that can fail. They leave `produced`, the columns of the source: the query computes them behind its
/// conditions. What event time depends on stays, since it is wanted of every row.
fn deferred(
    table: &Table,
    produced: &mut BTreeSet<usize>,
    watermark: Option<&Expr>,
    schema: &DFSchema,
) -> Result<BTreeMap<usize, Expr>> {
    let mut timed: BTreeSet<usize> = table.time_attribute.iter().map(|attribute| attribute.column).collect();
    if let Some(watermark) = watermark {
        watermark.visit_columns(&mut |column| {
            timed.insert(column);
        });
    }
    let mut deferred = BTreeMap::new();
    for column in produced.difference(&timed) {
        if let ColumnSource::Computed(expression) = &table.columns[*column].source {
            let expression = expr(expression, schema)?;
            if values(&expression, &|column| table.columns[column].data_type.clone()).may_be_missing() {
                deferred.insert(*column, expression);
            }
        }
    }
    for (column, expression) in &deferred {
        produced.remove(column);
        expression.visit_columns(&mut |column| {
            produced.insert(column);
        });
    }
    Ok(deferred)
}

fn output_of(scan: &TableScan, table: &Table) -> Vec<usize> {
    scan.projection.clone().unwrap_or_else(|| (0..table.columns.len()).collect())
}

fn reads_clock(table: &Table, columns: &[usize]) -> bool {
    columns.iter().any(|column| table.columns[*column].source == ColumnSource::ProcessingTime)
}

impl Lowering<'_> {
    /// Takes note of the tables that `plan` reads. Called for all plans of the job before the first is lowered, so that
    /// a table which is read several times is read once, with the columns that anyone needs. What is looked up in is not read here.
    ///
    /// # Errors
    /// None that a user can cause.
    pub fn announce(&mut self, plan: &LogicalPlan) -> Result<()> {
        let mut operators = Vec::new();
        plan.apply_with_subqueries(|plan| {
            if versions_of(plan).is_some_and(|versions| versions.of == VersionsOf::Now) {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let LogicalPlan::TableScan(scan) = plan
                && let Some(source) = scan.source.downcast_ref::<ScannedTable>()
            {
                let columns = output_of(scan, &source.table);
                let uses = self.scans.entry(key(&source.table, reads_clock(&source.table, &columns))).or_default();
                uses.scans += 1;
                uses.columns.extend(columns);
            }
            if let LogicalPlan::TableScan(scan) = plan
                && let Some(OperatorRows(view)) = scan.source.downcast_ref()
            {
                operators.push(view.operator.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(from_planner)?;
        operators.retain(|operator| self.announced.insert(operator.span.start));
        operators.iter().flat_map(|operator| &operator.inputs).try_for_each(|input| self.announce(input))
    }
}

/// What a source node makes.
struct Layout {
    table: TableSpec,
    /// Computed columns need one; else the connector's columns are the node's.
    projection: Option<Vec<Expr>>,
    /// Columns of the table that the node's output has, in order.
    produced: Vec<usize>,
}

impl Layout {
    fn of(table: &Table, spec: &TableSpec, produced: BTreeSet<usize>, schema: &DFSchema) -> Result<Self> {
        // Which column of the connector's schema each stored column of the table is.
        let mut stored = Vec::new();
        for (index, column) in table.columns.iter().enumerate() {
            if column.source.is_stored() {
                stored.push(index);
            }
        }
        let mut read: BTreeSet<usize> = BTreeSet::new();
        let mut computed: Vec<(usize, Expr)> = Vec::new();
        for column in &produced {
            match &table.columns[*column].source {
                ColumnSource::Physical | ColumnSource::Metadata { .. } => {
                    read.insert(*column);
                }
                ColumnSource::Computed(expression) => {
                    let expression = expr(expression, schema)?;
                    expression.visit_columns(&mut |column| {
                        read.insert(column);
                    });
                    computed.push((*column, expression));
                }
                ColumnSource::ProcessingTime => {}
            }
        }
        // A batch without columns has no rows to most kernels.
        if read.is_empty() {
            let cheapest = stored.iter().min_by_key(|column| !table.columns[**column].data_type.is_primitive());
            read.extend(cheapest);
        }
        let in_connector = |column: usize| stored.iter().position(|stored| *stored == column);
        let projected: Vec<usize> = read.iter().filter_map(|column| in_connector(*column)).collect();
        if projected.len() != read.len() {
            return Err(Error::internal("a computed column reads another one"));
        }
        let all = projected.len() == spec.schema.fields().len();
        let table_spec = TableSpec { projection: (!all).then_some(projected), ..spec.clone() };
        let read: Vec<usize> = read.into_iter().collect();
        if computed.is_empty() {
            return Ok(Self { table: table_spec, projection: None, produced: read });
        }
        let place = |column: usize| Expr::Column(read.iter().position(|read| *read == column).unwrap_or_default());
        let produced: Vec<usize> = produced.into_iter().collect();
        let projection = produced
            .iter()
            .map(|column| match computed.iter().find(|(computed, _)| computed == column) {
                Some((_, expression)) => expression.replace_columns(&place),
                None => place(*column),
            })
            .collect();
        Ok(Self { table: table_spec, projection: Some(projection), produced })
    }
}
