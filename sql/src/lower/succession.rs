//! Tables whose records replace each other by the primary key: what is put behind their source.
//!
//! ```text
//!   Source ─ hash(key) ─ TopN: the newest record of each key ─ those that do not say that it is gone ─▶ rows that may be taken back
//! ```
//!
//! The source says of each record, in columns that nobody declares, which of its key's is newer and whether the row is gone. What is
//! kept is the newest record of each key and nothing before it, so records that come again, that were compacted away, or that say what
//! was known already change nothing.

use weir_core::connector::{METADATA_KEY, Succession};
use weir_core::{Error, Exchange, Expr, OperatorSpec, Ranking, Result, SortKey, SourceSpec, TableSpec, TopNSpec};

use super::Lowering;
use super::life::behind_clocks;
use super::shape::{Shaped, add, edges, shape_base};
use super::stream::{Base, Stream, StreamColumn, Typed};
use crate::catalog::Table;
use crate::logical::free_name;

/// Refuses what only makes sense of rows that are added.
///
/// # Errors
/// A user error that says what to leave out.
pub(super) fn check(table: &Table, reads_clock: bool) -> Result<()> {
    let name = &table.name;
    if table.time_attribute.is_some() {
        return Err(Error::user(format!(
            "table `{name}` has a WATERMARK, and its rows replace each other by key: a row may go or change long after its time has passed"
        ))
        .with_help(
            "leave WATERMARK out where the table is read; time serves as any column, and windows are over tables to which rows are only added",
        ));
    }
    if reads_clock {
        return Err(Error::user(format!(
            "a PROCTIME() column of table `{name}` is read, and its rows replace each other by key: one that is taken back would need the time that it came at"
        ))
        .with_help("read its other columns alone"));
    }
    Ok(())
}

impl Lowering<'_> {
    /// The rows that a table has, as they change, with columns of ours behind those of the source, which are `columns`. `key` are those of
    /// the primary key among them.
    ///
    /// # Errors
    /// A user error if a column of the key cannot be one.
    pub(super) fn newest_rows(
        &mut self,
        mut spec: SourceSpec,
        columns: Vec<StreamColumn>,
        key: Vec<usize>,
        succession: Succession,
    ) -> Result<Stream> {
        let width = columns.len();
        let Succession { order, deletion, keeps_deletions_ms } = succession;
        let hidden: Vec<_> = order.iter().chain([&deletion]).collect();
        let mut all = columns;
        let mut fields: Vec<_> = spec.table.schema.fields().iter().cloned().collect();
        let read = spec.table.projection.as_ref().map_or(fields.len(), Vec::len);
        for (index, field) in hidden.iter().enumerate() {
            let name = free_name(field.name(), |name| fields.iter().any(|field| field.name() == name));
            let metadata = [(METADATA_KEY.to_owned(), field.name().clone())];
            let named = field.as_ref().clone().with_name(&name).with_metadata(metadata.into());
            if let Some(projection) = &mut spec.table.projection {
                projection.push(fields.len());
            }
            if let Some(computed) = &mut spec.projection {
                computed.push(Expr::Column(read + index));
            }
            all.push(StreamColumn::plain(name, field.data_type().clone()));
            fields.push(named.into());
        }
        let schema = arrow::datatypes::Schema::new(fields).into();
        spec.table = TableSpec { schema, ..spec.table };
        let wanted = all.iter().enumerate().map(|(column, stream)| {
            let typed = Typed { expression: Expr::Column(column), data_type: stream.data_type.clone() };
            typed.wanted(&stream.name, &all)
        });
        let source = Base::Scan { spec: Box::new(spec), clock: false, shared: true };
        let mut shaped = shape_base(&mut self.graph, &source, &all, Vec::new(), wanted.collect())?;
        if keeps_deletions_ms.is_some() {
            shaped = behind_clocks(&mut self.graph, shaped)?;
        }
        let Shaped { nodes, .. } = shaped;
        let newest_first = |column: usize| SortKey { column: width + column, descending: true, nulls_first: false };
        let newest = TopNSpec {
            partition: key.clone(),
            order: (0..order.len()).map(newest_first).collect(),
            limit: 1,
            with_rank: false,
            retracts: false,
            time_to_live: keeps_deletions_ms,
            ranking: Ranking::RowNumber,
            deletions: Some(width + order.len()),
        };
        let inputs = edges(&nodes, 0, Exchange::Hash(key));
        let newest = add(&mut self.graph, "TopN", OperatorSpec::TopN(newest), inputs, &all)?;
        let mut rows = Stream::of_nodes(vec![newest], all);
        rows.predicates.push(Expr::Not(Box::new(Expr::Column(width + order.len()))));
        Ok(rows)
    }
}
