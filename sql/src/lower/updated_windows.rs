//! Aggregations whose results are shown as a clause says: those of windows while they change, by `EMIT ON UPDATE` and `ALLOWED LATENESS`, and
//! any once in an interval, by `EMIT EVERY`.
//!
//! They are aggregations by the window's columns as by any others, but for what bounds them: a window is forgotten when the watermark
//! has passed its end, and the lateness that is allowed behind it. What comes out is a changelog, whose columns are no windows: any
//! later row may still be taken back.
//!
//! Rows are given their windows in front of them, but for sessions: a row may make one of two, and have others that are shown taken back. Their
//! aggregation finds them.

use datafusion_expr::Aggregate;
use weir_core::{
    Error, Exchange, Expr, OperatorSpec, PacedRowsSpec, Result, UpdatingSessionsSpec, WindowAggregateSpec, WindowKind,
    WindowSource,
};

use super::Lowering;
use super::aggregate::{Windows, key_places, windows};
use super::call::call;
use super::changelog;
use super::grouping::Grouping;
use super::life::behind_clocks;
use super::shape::{Shaped, add, edges, settle};
use super::stream::{Base, Pending, PendingWindow, Role, Stream, StreamColumn, timestamp};
use super::window::WINDOW_COLUMNS;
use crate::logical::Emission;
use crate::row_key::key_of;

/// A window that results are shown of while they change.
pub(super) struct Updated {
    /// Its end, over the stream's columns.
    pub end: Expr,
    pub emission: Emission,
}

impl Lowering<'_> {
    /// What a clause says of an aggregation of these rows. From here on it is obeyed.
    pub(super) fn emission_of(&mut self, stream: &mut Stream) -> Option<Emission> {
        let (emission, number) = stream.emission.take()?;
        self.emissions[number] = true;
        Some(emission)
    }

    /// An aggregation whose results are shown while they change.
    ///
    /// # Errors
    /// A user error if its windows cannot be shown before they close.
    pub(super) fn updated_aggregate(
        &mut self,
        aggregate: &Aggregate,
        stream: Stream,
        emission: Emission,
    ) -> Result<Stream> {
        let changes = self.changes_of_aggregate(aggregate, stream, emission)?;
        self.in_intervals(changes, emission)
    }

    /// An aggregation of sessions whose results are shown while they change. Its output has the layout that [`UpdatingSessionsSpec`]
    /// describes.
    pub(super) fn updating_sessions(
        &mut self,
        spec: WindowAggregateSpec,
        shaped: &Shaped,
        emission: Emission,
    ) -> Result<Stream> {
        let WindowSource::Assign { window: WindowKind::Session { gap }, time } = spec.window else {
            return Err(Error::internal("windows that are no sessions are to be found like them"));
        };
        let key = |key: &usize| StreamColumn { role: Role::Plain, ..shaped.columns[*key].clone() };
        let mut columns: Vec<StreamColumn> = spec.keys.iter().map(key).collect();
        columns.extend(spec.aggregates.iter().map(|call| StreamColumn::plain(&call.name, call.data_type.clone())));
        columns.extend(WINDOW_COLUMNS.map(|name| StreamColumn::plain(name, timestamp())));
        let inputs = edges(&shaped.nodes, 0, Exchange::Hash(spec.keys.clone()));
        let operator = OperatorSpec::UpdatingSessions(UpdatingSessionsSpec {
            keys: spec.keys,
            aggregates: spec.aggregates,
            time,
            gap,
            lateness: emission.lateness,
            early: emission.on_update,
        });
        let node = add(&mut self.graph, "UpdatingSessions", operator, inputs, &columns)?;
        self.windowed.push(node);
        Ok(Stream::of_nodes(vec![node], columns))
    }

    /// The changes of an aggregation, as often as they are to be shown.
    pub(super) fn in_intervals(&mut self, changes: Stream, emission: Emission) -> Result<Stream> {
        match emission.every {
            Some(every) => self.paced(changes, every),
            None => Ok(changes),
        }
    }

    /// The changes of an aggregation, once in each interval of so many milliseconds.
    fn paced(&mut self, stream: Stream, every: u64) -> Result<Stream> {
        let (Base::Nodes(nodes), columns) = (&stream.base, stream.columns.clone()) else {
            return Err(Error::internal("an aggregation is no node"));
        };
        let [node] = nodes.as_slice() else { return Err(Error::internal("an aggregation is several nodes")) };
        let key = key_of(&self.graph, *node).ok_or_else(|| Error::internal("an aggregation has no key"))?;
        let shaped = Shaped { nodes: vec![*node], columns, positions: Vec::new() };
        let Shaped { nodes, columns, .. } = behind_clocks(&mut self.graph, shaped)?;
        let inputs = edges(&nodes, 0, Exchange::Hash(key.clone()));
        let operator = OperatorSpec::PacedRows(PacedRowsSpec { key, every });
        let node = add(&mut self.graph, "PacedRows", operator, inputs, &columns)?;
        Ok(Stream { base: Base::Nodes(vec![node]), ..stream })
    }

    fn changes_of_aggregate(
        &mut self,
        aggregate: &Aggregate,
        mut stream: Stream,
        emission: Emission,
    ) -> Result<Stream> {
        let schema = aggregate.input.schema();
        windows(&stream, &Grouping::of(aggregate, schema, &stream)?)?;
        let is_made_here = matches!(stream.pending, Pending::Window(_));
        if let Pending::Window(window) = &mut stream.pending {
            window.lateness = emission.lateness;
        }
        let stream = settle(&mut self.graph, stream)?;
        let grouping = Grouping::of(aggregate, schema, &stream)?;
        let calls = aggregate.aggr_expr.iter().map(|expression| call(expression, schema, &stream));
        let calls = calls.collect::<Result<Vec<_>>>()?;
        let Some(windows) = windows(&stream, &grouping)? else {
            if emission.lateness > 0 {
                return Err(Error::user(
                    "ALLOWED LATENESS is about the rows of a window, and this aggregation has none",
                )
                .with_help("leave it out: without a window all rows count, whenever they come"));
            }
            return self.group_aggregate(aggregate, stream, &grouping, calls, None);
        };
        // What made them has left out the rows that were late there.
        if emission.lateness > 0 && !is_made_here {
            return Err(Error::user(
                "ALLOWED LATENESS has to stand where rows are given their windows, and the rows of this aggregation have theirs already",
            )
            .with_help("aggregate the rows of TUMBLE, HOP, CUMULATE or SESSION directly: `FROM TUMBLE(…) GROUP BY … ALLOWED LATENESS …`"));
        }
        key_places(&stream, &grouping, &windows)?;
        let Windows::Attached { end, .. } = windows else {
            return Err(Error::internal("a window that rows were given is pending"));
        };
        if let Base::Nodes(nodes) = &stream.base
            && changelog::may_retract(&self.graph, &edges(nodes, 0, Exchange::Forward))
        {
            return Err(Error::internal("rows that may be taken back have a window"));
        }
        self.group_aggregate(aggregate, stream, &grouping, calls, Some(Updated { end, emission }))
    }
}

impl Emission {
    /// # Errors
    /// A user error if the windows that rows are given are such that nothing is late.
    pub(super) fn check(&self, stream: &Stream) -> Result<()> {
        match &stream.pending {
            Pending::Window(window) if window.processing && self.lateness > 0 => {
                Err(Error::user("ALLOWED LATENESS has no meaning for windows of processing time, where no row is late")
                    .with_help("leave it out"))
            }
            _ => Ok(()),
        }
    }
}

impl Stream {
    /// Whether the aggregation that reads it finds sessions.
    pub(super) fn finds_sessions(&self) -> bool {
        matches!(&self.pending, Pending::Window(PendingWindow { kind: WindowKind::Session { .. }, .. }))
    }
}

/// The error about results that are wanted when they are final, and never are.
pub(super) fn never_final() -> Error {
    Error::user("results of an aggregation without a window are never final, so there is no time to emit them at")
        .with_help(
            "write `EMIT ON UPDATE`, which shows them as they change; or aggregate per window: `FROM TUMBLE(TABLE t, DESCRIPTOR(ts), \
             INTERVAL '1' MINUTE) GROUP BY window_start, window_end, …`",
        )
}

/// The error about grouping sets of a window whose end is not among their columns.
pub(super) fn end_not_named() -> Error {
    Error::user("grouping sets with EMIT ON UPDATE or ALLOWED LATENESS need the window's end")
        .with_help("name window_end in GROUP BY, as in `GROUP BY window_start, window_end, GROUPING SETS (…)`")
}
