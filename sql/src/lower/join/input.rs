//! One side of a join as a node: the columns that the output and the condition read, the time, and the keys.
//!
//! What a side computes is computed behind the join, of the rows that have a partner, unless the side may be padded: a
//! constant, or a `COALESCE`, behind the join would not be null where no row was found.

use arrow::datatypes::DataType;
use weir_core::{Expr, JobGraph, Literal, LiteralValue, Result};

use super::Side;
use crate::lower::shape::{Shaped, Wanted, shape};
use crate::lower::stream::{Stream, StreamColumn, Typed, conjunction, timestamp};

/// One side of a join in the graph.
pub(in crate::lower) struct Input {
    pub shaped: Shaped,
    /// Where each base column of the side is, if it was needed.
    place: Vec<Option<usize>>,
    /// The time, if one was asked for.
    pub time: Option<usize>,
    pub keys: Vec<usize>,
    /// The side's output over the input's columns.
    pub projection: Vec<Expr>,
    /// Number of the side's first column in conditions.
    first: usize,
}

impl Input {
    /// Puts one side into the graph. `first` is the number that its first base column has in `condition`.
    ///
    /// # Errors
    /// See [`shape`].
    pub fn of(
        graph: &mut JobGraph,
        side: Side,
        padded: bool,
        time: Option<&Expr>,
        condition: &[Expr],
        first: usize,
    ) -> Result<Self> {
        let Side { stream, keys } = side;
        let columns = stream.columns.clone();
        let width = columns.len();
        let below = |expression: &Expr| padded && !matches!(expression, Expr::Column(_));
        let mut read = vec![false; width];
        for expression in stream.projection.iter().filter(|expression| !below(expression)) {
            expression.visit_columns(&mut |column| read[column] = true);
        }
        for part in condition {
            part.visit_columns(&mut |column| {
                if let Some(read) = column.checked_sub(first).and_then(|column| read.get_mut(column)) {
                    *read = true;
                }
            });
        }
        let sources: Vec<usize> = (0..width).filter(|column| read[*column]).collect();
        let mut wanted: Vec<Wanted> = sources
            .iter()
            .map(|column| Wanted { expression: Expr::Column(*column), column: columns[*column].clone() })
            .collect();
        if let Some(time) = time {
            wanted.push(Typed { expression: time.clone(), data_type: timestamp() }.wanted("$time", &columns));
        }
        let first_key = wanted.len();
        for (index, key) in keys.into_iter().enumerate() {
            wanted.push(key.wanted(&format!("$key{index}"), &columns));
        }
        let first_computed = wanted.len();
        let Stream { projection, names, types, .. } = stream.clone();
        for ((expression, name), data_type) in projection.iter().zip(&names).zip(&types) {
            if below(expression) {
                let typed = Typed { expression: expression.clone(), data_type: data_type.clone() };
                wanted.push(typed.wanted(name, &columns));
            }
        }
        // Rows of no columns are lost to most kernels.
        if wanted.is_empty() {
            let present = Literal { data_type: DataType::Boolean, value: LiteralValue::Boolean(true) };
            let column = StreamColumn::plain("$present", DataType::Boolean);
            wanted.push(Wanted { expression: Expr::Literal(present), column });
        }
        let shaped = shape(graph, stream, wanted)?;
        let mut place = vec![None; width];
        for (source, position) in sources.iter().zip(&shaped.positions) {
            place[*source] = Some(*position);
        }
        let time = time.map(|_| shaped.positions[sources.len()]);
        let keys = shaped.positions[first_key..first_computed].to_vec();
        let mut computed = shaped.positions[first_computed..].iter().copied();
        let in_input = |expression: &Expr| match below(expression) {
            true => Expr::Column(computed.next().unwrap_or_default()),
            false => expression.replace_columns(&|column| Expr::Column(place[column].unwrap_or_default())),
        };
        let projection = projection.iter().map(in_input).collect();
        Ok(Self { shaped, place, time, keys, projection, first })
    }
}

/// The condition over the left input's columns followed by the right one's.
pub(in crate::lower) fn residual(condition: Vec<Expr>, left: &Input, right: &Input) -> Option<Expr> {
    let width = left.shaped.columns.len();
    let place = |column: usize| {
        let position = if column < right.first {
            left.place[column]
        } else {
            right.place[column - right.first].map(|position| width + position)
        };
        Expr::Column(position.unwrap_or_default())
    };
    conjunction(condition.iter().map(|part| part.replace_columns(&place)).collect())
}
