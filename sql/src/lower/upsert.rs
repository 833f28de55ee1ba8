//! Tables whose rows are replaced by key, and what is put in front of them.
//!
//! | the query | what its rows go through |
//! |---|---|
//! | only adds rows | an exchange by the key of the table: each row takes the place of the one before, as they come there |
//! | takes rows back, and has one row at most of each key of the table | `UpsertRows` |
//! | any, where changes are wanted that take rows back | the same, with `UpsertRows` that takes back what is gone in front of what has come |
//! | any other, or one with `ORDER BY` | a Top-N that keeps the rows of each key and shows the last one; then `UpsertRows` |
//!
//! The last row of a key is the last one in the order that the query asks for, and of those that are equal in it, or without one, the one
//! with the greatest values, from the first column to the last. So it depends on the query's result alone, and not on the ways that
//! rows have taken. When it is taken back, the one before it shows again.

use arrow::datatypes::DataType;
use weir_core::{
    CalcSpec, ChangelogKind, Error, Exchange, Expr, NodeId, OperatorSpec, Ranking, Result, SortKey, TableSpec,
    TopNSpec, UpsertRowsSpec,
};

use super::Lowering;
use super::shape::{add, edges};
use super::stream::StreamColumn;
use crate::parse::sql_type_name;
use crate::row_key::unique_key;

impl Lowering<'_> {
    /// The key by which a table's rows replace each other, if its connector wants changes so.
    pub(super) fn replaced_by(&self, table: &TableSpec) -> Option<Vec<usize>> {
        let (key, connector) = (&table.primary_key, self.connectors.get(&table.connector)?);
        let takes = |kind: ChangelogKind| connector.takes(table, &kind);
        let by_key = !key.is_empty() && takes(ChangelogKind::Upsert(key.clone())) && !takes(ChangelogKind::Retract);
        by_key.then(|| key.clone())
    }

    /// The key by which a table's rows are told apart, if its connector wants to hear of each first that it is gone, and then what there is now.
    pub(super) fn changed_by(&self, table: &TableSpec) -> Option<Vec<usize>> {
        let connector = self.connectors.get(&table.connector)?;
        (!table.primary_key.is_empty() && connector.changes_by_key(table)).then(|| table.primary_key.clone())
    }

    /// How rows to which others are only added get to a table. Those that replace each other go to one subtask, which keeps their order:
    /// what several write in one epoch is put together in any.
    pub(super) fn added_rows(&self, table: &TableSpec) -> Exchange {
        self.replaced_by(table).map_or(Exchange::Forward, Exchange::Hash)
    }

    /// The last row of each key of a table, as it changes, and how it gets there. `columns` are those of the table; behind them there
    /// may be some that serve the order alone.
    ///
    /// # Errors
    /// A user error if rows cannot be told apart.
    pub(super) fn last_rows(
        &mut self,
        nodes: Vec<NodeId>,
        columns: &[StreamColumn],
        order: &[SortKey],
        (key, width): (&[usize], usize),
        retracts: bool,
    ) -> Result<(Vec<NodeId>, Exchange)> {
        let to_key = Exchange::Hash(key.to_vec());
        let kinds = nodes.iter().map(|node| &self.graph.node(*node).spec.changelog);
        let adds = ChangelogKind::union(kinds).is_some_and(|kind| kind.is_append());
        if adds && order.is_empty() {
            return Ok((nodes, to_key));
        }
        refuse_maps(columns)?;
        let is_unique = || match nodes.as_slice() {
            [node] => {
                unique_key(&self.graph, *node).is_some_and(|unique| unique.iter().all(|column| key.contains(column)))
            }
            _ => false,
        };
        let mut inputs = edges(&nodes, 0, to_key);
        if !order.is_empty() || !is_unique() {
            let spec = TopNSpec {
                partition: key.to_vec(),
                order: last_first(order, key, columns.len()),
                limit: 1,
                with_rank: false,
                retracts: !adds,
                time_to_live: None,
                ranking: Ranking::RowNumber,
                deletions: None,
            };
            let last = add(&mut self.graph, "TopN", OperatorSpec::TopN(spec), inputs, columns)?;
            inputs = edges(&[last], 0, Exchange::Forward);
        }
        let operator = OperatorSpec::UpsertRows(UpsertRowsSpec { key: key.to_vec(), retracts });
        let mut node = add(&mut self.graph, "UpsertRows", operator, inputs, columns)?;
        if columns.len() > width {
            let projection = (0..width).map(Expr::Column).collect();
            let operator = OperatorSpec::Calc(CalcSpec { predicate: None, projection });
            node = add(&mut self.graph, "Calc", operator, edges(&[node], 0, Exchange::Forward), &columns[..width])?;
        }
        Ok((vec![node], Exchange::Forward))
    }
}

/// An order in which the last row is the first one. All columns are part of it, so that no two rows are equal in it.
fn last_first(order: &[SortKey], key: &[usize], width: usize) -> Vec<SortKey> {
    let reversed =
        |key: &SortKey| SortKey { column: key.column, descending: !key.descending, nulls_first: !key.nulls_first };
    let mut order: Vec<SortKey> = order.iter().map(reversed).collect();
    for column in (0..width).filter(|column| !key.contains(column)) {
        if order.iter().all(|key| key.column != column) {
            order.push(SortKey { column, descending: true, nulls_first: false });
        }
    }
    order
}

fn refuse_maps(columns: &[StreamColumn]) -> Result<()> {
    let Some(unfit) = columns.iter().find(|column| has_map(&column.data_type)) else { return Ok(()) };
    let (name, data_type) = (&unfit.name, sql_type_name(&unfit.data_type));
    Err(Error::user(format!(
        "the results of this query change, and rows are told apart by their columns, but `{name}` is {data_type}"
    ))
    .with_help("name its elements one by one, or CAST it to STRING"))
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::List(field) | DataType::LargeList(field) => has_map(field.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
        _ => false,
    }
}
