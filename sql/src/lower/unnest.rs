//! `UNNEST`: one row for each element of a list.

use datafusion_expr::Unnest;
use weir_core::{Error, Exchange, OperatorSpec, Result, UnnestSpec};

use super::Lowering;
use super::shape::{add, edges, exact};
use super::stream::{Stream, StreamColumn};

impl Lowering<'_> {
    /// The rows of the input, repeated for the elements of some of its columns.
    pub(super) fn unnest(&mut self, unnest: &Unnest) -> Result<Stream> {
        if !unnest.struct_type_columns.is_empty() {
            return Err(Error::user("UNNEST of a ROW is not supported").with_help("name its fields, as in `r.field`"));
        }
        if unnest.list_type_columns.iter().any(|(_, list)| list.depth != 1) {
            return Err(Error::user("UNNEST of a list of lists in one step is not supported")
                .with_help("unnest the inner list in a query around this one"));
        }
        // SQL knows two ways only: rows without elements go, or stay with a null. DataFusion's third, which keeps null
        // lists and drops empty ones, cannot be written; the planner of joins uses it for the second.
        let keep_empty = unnest.options.preserve_nulls();
        let lists: Vec<usize> = unnest.list_type_columns.iter().map(|(column, _)| *column).collect();
        let fields = unnest.schema.fields();
        // One output column for each input column, lists replaced by their elements.
        let in_place = unnest.dependency_indices.iter().enumerate().all(|(index, from)| index == *from);
        let mut distinct = lists.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if !in_place || fields.len() != unnest.input.schema().fields().len() || distinct.len() != lists.len() {
            return Err(Error::user("UNNEST of the same list twice is not supported")
                .with_help("name the list once, and use the element's column twice"));
        }
        let input = self.relation(&unnest.input)?;
        let (nodes, columns) = exact(&mut self.graph, input)?;
        let columns: Vec<StreamColumn> = columns
            .into_iter()
            .zip(fields)
            .enumerate()
            .map(|(index, (column, field))| {
                let name = field.name().clone();
                match lists.contains(&index) {
                    true => StreamColumn::plain(name, field.data_type().clone()),
                    false => StreamColumn { name, ..column },
                }
            })
            .collect();
        let operator = OperatorSpec::Unnest(UnnestSpec { columns: distinct, keep_empty });
        let node = add(&mut self.graph, "Unnest", operator, edges(&nodes, 0, Exchange::Forward), &columns)?;

        Ok(Stream::of_nodes(vec![node], columns))
    }
}
