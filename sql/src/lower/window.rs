//! Window functions: found here, computed by whoever reads their columns.

use datafusion_common::Column;
use weir_core::{Error, Expr, Result, WindowKind};

use super::Lowering;
use super::shape::{exact, settle};
use super::stream::{Pending, PendingWindow, Role, Stream, WindowPart, timestamp};
use crate::logical::WindowTvf;

pub(super) use crate::logical::WINDOW_COLUMNS;

impl Lowering<'_> {
    /// The rows of the function's input, with three columns pending.
    pub(super) fn window_function(&mut self, function: &WindowTvf) -> Result<Stream> {
        let input = self.relation(&function.input)?;
        let mut stream = settle(&mut self.graph, input)?;
        let session = matches!(function.kind, WindowKind::Session { .. });
        if session && !stream.predicates.is_empty() {
            // Conditions below a session say which rows it has; those above it come later and must not mix with them.
            let (nodes, columns) = exact(&mut self.graph, stream)?;
            stream = Stream::of_nodes(nodes, columns);
        }
        let output =
            |column: &Column| function.input.schema().index_of_column(column).map_err(super::error::from_planner);
        let time = &stream.projection[output(&function.time)?];
        let (time, processing) = match (time, stream.role_of(time)) {
            (Expr::Column(column), Role::Time { processing }) => (*column, processing),
            (Expr::Column(column), Role::Window { part: WindowPart::Time, processing, .. }) => (*column, processing),
            (_, role) => return Err(no_time_attribute(&function.time, role)),
        };
        let partition = function
            .partition
            .iter()
            .map(|column| Ok(stream.projection[output(column)?].clone()))
            .collect::<Result<_>>()?;
        let first = stream.columns.len();
        stream.pending = Pending::Window(PendingWindow {
            kind: function.kind,
            lineage: self.lineage(),
            time,
            processing,
            partition,
            lateness: 0,
        });
        for (offset, name) in WINDOW_COLUMNS.iter().enumerate() {
            stream.projection.push(Expr::Column(first + offset));
            stream.names.push((*name).to_owned());
            stream.types.push(timestamp());
        }
        Ok(stream)
    }
}

fn no_time_attribute(column: &Column, role: Role) -> Error {
    let name = &column.name;
    match role {
        Role::Window { .. } => Error::user(format!("`{name}` is a bound of a window, not a time attribute"))
            .with_help("windows over windows take `window_time`, as in `DESCRIPTOR(window_time)`"),
        Role::Overruled => Error::user(format!(
            "`{name}` is no time attribute here, because the query reads a processing-time column of the same table"
        ))
        .with_help("leave the column with PROCTIME() out of the query: name the columns instead of `*`"),
        Role::Joined => Error::user(format!(
            "`{name}` is no time attribute behind a join without a window or time bounds, which may show a row at any later \
             time"
        ))
        .with_help("make the windows below the join, or bound the join by time"),
        _ => Error::user(format!("`{name}` is not a time attribute here, so no window can be made of it")).with_help(
            format!(
                "declare `WATERMARK FOR {name} AS {name} - INTERVAL '5' SECOND` in its table, and pass the column on \
                 unchanged; behind a window, join or Top-N per window only `window_time` is one"
            ),
        ),
    }
}

/// Sessions exist only once all their rows are there.
pub(super) fn session_without_aggregate() -> Error {
    Error::user("rows cannot be given their SESSION one by one, because a session's end is not known until it is over")
        .with_help("aggregate: GROUP BY window_start, window_end and the keys that SESSION is partitioned by")
}
