//! What each kind of operator is told. Column numbers are positions in the node's input.

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use super::{JoinSpread, OverSpec, UpdatingOverSpec};
use crate::plugin::{PluginSpec, PluginTable};
use crate::{AggregateCall, Error, Expr, Result, TableSpec, WindowKind};

/// What a node computes. Column numbers are positions in the node's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "a job has a few dozen of them")]
pub enum OperatorSpec {
    /// Finds the splits of a table and announces them, over broadcast edges, to the sources that read it. Markers enter the
    /// dataflow here.
    Discover(DiscoverSpec),
    /// Reads a table. Its only input is the discovery of the table's splits.
    Source(SourceSpec),
    /// Filters, then projects, row by row.
    Calc(CalcSpec),
    /// Emits each row once per projection (grouping sets).
    Expand(ExpandSpec),
    /// One row per element of a list column.
    Unnest(UnnestSpec),
    /// Appends a `TIMESTAMP(3)` column with the processing time, and from here on time *is* processing time: watermarks
    /// from upstream stop here and new ones are made from the clock.
    ProcessingTime,
    /// Passes rows on as they are; time is processing time from here on, for what expires behind it. It keeps nothing, and is in no
    /// identity: what stands behind it stands behind what feeds it.
    Clock,
    /// Appends `window_start`, `window_end` and `window_time`; a row in several windows is repeated.
    WindowAssign(WindowAssignSpec),
    /// First phase of an aggregation: groups what is at hand and sends partial results on. Keeps nothing over a marker.
    PartialAggregate(WindowAggregateSpec),
    /// Aggregates rows, or partial results, per key and window; emits when a window closes.
    WindowAggregate(WindowAggregateSpec),
    /// First rows of each window and partition in a given order; emits when a window closes.
    WindowTopN(WindowTopNSpec),
    /// Joins rows of the same window; emits when a window closes.
    WindowJoin(WindowJoinSpec),
    /// Joins rows whose times lie within bounds of each other; emits as matches appear.
    IntervalJoin(IntervalJoinSpec),
    /// Joins all rows that there are; emits as matches appear and go.
    Join(JoinSpec),
    /// Aggregates rows per key, without windows: where a marker passes, results that have changed take the place of those before.
    GroupAggregate(GroupAggregateSpec),
    /// Aggregates rows per key and session, and shows sessions that still change: where a marker passes, those that have grown or were
    /// joined take the place of what they were.
    UpdatingSessions(UpdatingSessionsSpec),
    /// First rows of each partition in a given order, of all that have come: where a marker passes, rows that are no longer among
    /// them are taken back, and those that now are added.
    TopN(TopNSpec),
    /// Computes something for each row over those of its partition that are before it in time; emits a row when the watermark passes it.
    Over(OverSpec),
    /// Computes something for each row over those of its partition in any order: where a marker passes, results that have changed take
    /// the place of those before.
    UpdatingOver(UpdatingOverSpec),
    /// Joins each row with the last one of its key that is not later; emits it when the watermark passes it.
    TemporalJoin(TemporalJoinSpec),
    /// Joins each row with those of a table outside that have its key when it comes.
    LookupJoin(LookupJoinSpec),
    /// Keeps the rows of a changelog until its inputs have ended, and emits those that are left. What comes out is only added.
    FinalRows,
    /// As [`FinalRows`](Self::FinalRows), and emits them in an order. One subtask has all of them.
    SortedRows(SortedRowsSpec),
    /// Makes changes that replace rows by key of changes that take rows back. Where a marker passes a key has one row at most.
    UpsertRows(UpsertRowsSpec),
    /// Holds changes back, and lets what they come to go at the first marker in each interval of processing time.
    PacedRows(PacedRowsSpec),
    /// Makes rows of changes: puts what happens to each row in front of its columns. What comes out is only added.
    ChangelogRows(ChangelogRowsSpec),
    /// What a plugin does.
    Plugin(PluginSpec),
    /// Writes a table.
    Sink(SinkSpec),
}

impl OperatorSpec {
    /// The table that a connector reads or writes for it, if it is a plugin's.
    pub fn plugin_table(&self) -> Option<&PluginTable> {
        let table = match self {
            Self::Discover(spec) => &spec.table,
            Self::Source(spec) => &spec.table,
            Self::Sink(spec) => &spec.table,
            _ => return None,
        };
        table.plugin.as_deref()
    }
}

/// Parameters of [`OperatorSpec::Discover`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiscoverSpec {
    /// The table, with all its columns whatever is read of them: there is one discovery for all sources of a table.
    pub table: TableSpec,
}

/// Parameters of [`OperatorSpec::Source`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The table as the connector sees it; only its [`TableSpec::output_schema`] is read.
    pub table: TableSpec,
    /// The node's output, over the connector's output (computed columns); `None` passes it as it is.
    pub projection: Option<Vec<Expr>>,
    /// Rows kept, over the node's output. Applied after the watermark has seen them.
    pub filter: Option<Expr>,
    /// Where event time comes from.
    pub watermark: Option<WatermarkSpec>,
    /// Rows a second that the table is read at, at most, by all subtasks together; `None`: as fast as may be.
    pub rows_per_second: Option<u64>,
}

/// `WATERMARK FOR column AS expression`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WatermarkSpec {
    /// The watermark expression over the source's output; `TIMESTAMP(3)`. Null values are passed over.
    pub expression: Expr,
    /// The time attribute; `None` in jobs that were planned before rows without a time were looked for.
    #[serde(default)]
    pub time: Option<TimeColumn>,
    /// A split without a row for so many milliseconds counts as idle; `None`: never.
    pub idle_timeout_ms: Option<u64>,
    /// A split that is further ahead of the slowest one by so many milliseconds of event time waits for it; `None`: none does.
    #[serde(default)]
    pub max_drift_ms: Option<u64>,
}

/// A time attribute, as its source makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeColumn {
    /// Its column in the source's output.
    pub column: usize,
    /// What becomes of rows in which it is null.
    pub nulls: NullTimes,
}

/// What becomes of rows that have no event time. No window has a place for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum NullTimes {
    /// The job fails, as in Flink.
    #[default]
    Fail,
    /// They are left out and counted.
    Skip,
    /// They are counted, and go to the table that keeps records which cannot be used.
    DeadLetter,
}

/// Parameters of [`OperatorSpec::Calc`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalcSpec {
    /// Rows kept: those where this is true.
    pub predicate: Option<Expr>,
    /// Output columns, over the input's.
    pub projection: Vec<Expr>,
}

/// Parameters of [`OperatorSpec::Expand`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpandSpec {
    /// Each is one output row per input row.
    pub projections: Vec<Vec<Expr>>,
}

/// Parameters of [`OperatorSpec::Unnest`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnnestSpec {
    /// List columns, unnested in parallel; shorter ones are filled with nulls. Each is replaced by its element.
    pub columns: Vec<usize>,
    /// Whether a row with an empty or null list is kept, with a null element.
    pub keep_empty: bool,
}

/// Parameters of [`OperatorSpec::WindowAssign`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowAssignSpec {
    /// Shape of the windows; not sessions.
    pub window: WindowKind,
    /// The time attribute. A row whose time is null is in no window.
    pub time: usize,
    /// So many milliseconds behind its end a window still takes rows.
    #[serde(default)]
    pub lateness: u64,
}

/// Parameters of [`OperatorSpec::WindowAggregate`] and [`OperatorSpec::PartialAggregate`].
///
/// The full aggregate's output is `keys…, aggregates…, window_start, window_end, window_time`, the window columns as
/// `TIMESTAMP(3)`. The partial one's is `keys…, partial fields of each aggregate…, pane_start, rows`, the last a `BIGINT`
/// with the number of rows behind the partial result, so that late ones are counted right; of rows that carry their window it is
/// `keys…, partial fields…, window_start, window_end, rows`. The aggregate behind it has `partial_input` set, and reads just that layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowAggregateSpec {
    /// Which windows.
    pub window: WindowSource,
    /// Key columns. None: one group for each window.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
    /// Whether the input holds partial results (see above); key and time columns are then the layout's.
    pub partial_input: bool,
    /// So many of the keys, the first, say which subtask a group belongs to; `None`: all of them do. Not for sessions.
    #[serde(default)]
    pub spread: Option<usize>,
}

impl WindowAggregateSpec {
    /// What the second phase does if the first one does this; `None` if it cannot be done in two.
    pub fn second_phase(&self) -> Option<Self> {
        let partial: Option<Vec<_>> = self.aggregates.iter().map(AggregateCall::partial_fields).collect();
        let time = self.keys.len() + partial?.iter().map(Vec::len).sum::<usize>();
        let window = match self.window {
            WindowSource::Assign { window, .. } => {
                window.pane_size()?;
                WindowSource::Assign { window, time }
            }
            WindowSource::Attached { .. } => WindowSource::Attached { start: time, end: time + 1 },
        };
        Some(Self {
            window,
            keys: (0..self.keys.len()).collect(),
            aggregates: self.aggregates.clone(),
            partial_input: true,
            spread: self.spread,
        })
    }

    /// The columns whose hash says to which subtask a row goes.
    pub fn spread_columns(&self) -> &[usize] {
        &self.keys[..self.spread.unwrap_or(self.keys.len()).min(self.keys.len())]
    }
}

/// Where an aggregation's windows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowSource {
    /// Rows are assigned here, by their time.
    Assign {
        /// Shape of the windows.
        window: WindowKind,
        /// The time attribute, `TIMESTAMP(3)`. Rows with a null time are in no window.
        time: usize,
    },
    /// Rows carry their window already.
    Attached {
        /// Column of the window's start.
        start: usize,
        /// Column of the window's end.
        end: usize,
    },
}

/// Parameters of [`OperatorSpec::GroupAggregate`]. The output is `keys…, aggregates…`, one row for each group that has rows; without
/// keys it is one row, whether there are rows or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupAggregateSpec {
    /// Key columns. None: one group.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
    /// Whether rows of the input may be taken back. What is kept of a group is more then: of a greatest value those below it too.
    pub retracts: bool,
    /// A group without a row for so many milliseconds is forgotten; `None`: none is.
    #[serde(default)]
    pub time_to_live: Option<u64>,
    /// Groups are of windows whose results may change while they are shown; `None`: of none.
    #[serde(default)]
    pub window: Option<UpdatedWindow>,
}

/// A window with results that are shown before it closes, or that rows still change which come late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatedWindow {
    /// The window's end, which is one of the keys.
    pub end: usize,
    /// So many milliseconds behind its end rows still count. Later ones are late, and the window is forgotten.
    pub lateness: u64,
    /// Whether results are shown before the watermark passes the end.
    pub early: bool,
}

/// Parameters of [`OperatorSpec::UpdatingSessions`]. The output is `keys…, aggregates…, window_start, window_end, window_time`, one row for
/// each session that is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpdatingSessionsSpec {
    /// Key columns. None: the sessions of all rows together.
    pub keys: Vec<usize>,
    /// What is computed.
    pub aggregates: Vec<AggregateCall>,
    /// The time attribute, `TIMESTAMP(3)`. Rows with a null time are in no session.
    pub time: usize,
    /// Greatest distance between neighbouring rows of a session, in milliseconds. It ends so long behind its last row.
    pub gap: i64,
    /// So many milliseconds behind its end a session still takes rows. Then it is forgotten, and its last result stays.
    pub lateness: u64,
    /// Whether sessions are shown before the watermark passes their end.
    pub early: bool,
}

impl UpdatingSessionsSpec {
    /// The aggregation of the same sessions that shows each once, when it is over.
    pub fn final_sessions(&self) -> WindowAggregateSpec {
        WindowAggregateSpec {
            window: WindowSource::Assign { window: WindowKind::Session { gap: self.gap }, time: self.time },
            keys: self.keys.clone(),
            aggregates: self.aggregates.clone(),
            partial_input: false,
            spread: None,
        }
    }

    /// Columns of the output by which its rows are told apart: a key has one session at most that ends at a time, also among those
    /// that are forgotten. Two may begin together: a row that is not late may open one where another has been forgotten.
    pub fn output_key(&self) -> Vec<usize> {
        let keys = self.keys.len();
        (0..keys).chain([keys + self.aggregates.len() + 1]).collect()
    }
}

/// Parameters of [`OperatorSpec::TopN`]. The output is as for [`WindowTopNSpec`], and so are ties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopNSpec {
    /// `PARTITION BY`. None: all rows are one partition.
    pub partition: Vec<usize>,
    /// `ORDER BY`.
    pub order: Vec<SortKey>,
    /// How many rows of each partition are shown.
    pub limit: u64,
    /// Appends a `BIGINT` column with the row number, from 1.
    pub with_rank: bool,
    /// Whether rows of the input may be taken back. All rows are kept then, and not only those that are shown.
    pub retracts: bool,
    /// A row is forgotten so many milliseconds behind its coming where [that changes nothing else](Self::forgets_rows), and a partition
    /// so long behind its last change where it does; `None`: nothing is. Only where there are [partitions](Self::forgets).
    #[serde(default)]
    pub time_to_live: Option<u64>,
    /// What the limit counts.
    #[serde(default)]
    pub ranking: Ranking,
    /// A `BOOLEAN` column by which a row says that it stands for none: only where one row of each partition is kept, of rows that are only
    /// added. Such rows alone are forgotten, if there is a time to live. They are shown like all others.
    #[serde(default)]
    pub deletions: Option<usize>,
}

impl TopNSpec {
    /// Of more rows none is forgotten.
    const FEW: u64 = 128;

    /// Whether there is anything that can be forgotten.
    pub fn forgets(&self) -> bool {
        !self.partition.is_empty()
    }

    /// Whether rows can be forgotten one by one, so that nothing else changes by it.
    pub fn forgets_rows(&self) -> bool {
        let is_simple = self.ranking == Ranking::RowNumber && !self.retracts && !self.order.is_empty();
        is_simple && self.limit < Self::FEW && (!self.with_rank || self.limit == 1) && !self.partition.is_empty()
    }
}

/// How rows that are equal in an order are numbered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ranking {
    /// Each has a number of its own: `ROW_NUMBER()`.
    #[default]
    RowNumber,
    /// They have one number, which says how many rows are before them: `RANK()`.
    Rank,
    /// They have one number, which says how many other values are before them: `DENSE_RANK()`.
    DenseRank,
}

/// Parameters of [`OperatorSpec::SortedRows`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortedRowsSpec {
    /// `ORDER BY`. Of rows that are equal in it any may be ahead.
    pub order: Vec<SortKey>,
}

/// Parameters of [`OperatorSpec::UpsertRows`]. The output is the input's columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsertRowsSpec {
    /// By which rows are replaced. None: there is one row at most.
    pub key: Vec<usize>,
    /// Whether what is gone is taken back, all of it in front of what is added; else a row takes the place of the one before it.
    #[serde(default)]
    pub retracts: bool,
}

/// Parameters of [`OperatorSpec::PacedRows`]. The output is the input's columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacedRowsSpec {
    /// By which rows were sent: changes of a key come out together.
    pub key: Vec<usize>,
    /// Length of an interval in milliseconds; the first begins in 1970. No part of the identity.
    pub every: u64,
}

/// Parameters of [`OperatorSpec::ChangelogRows`]. The output is `op`, a string, followed by the input's columns: `+I` for a row that is
/// added, `-D` for one that is taken back, and `-U`, `+U` for two of the same key that follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangelogRowsSpec {
    /// Columns by which the query's rows are told apart, if it is known; empty for a query with one row at most.
    pub key: Option<Vec<usize>>,
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SortKey {
    /// Column.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// Nulls before all values.
    pub nulls_first: bool,
}

/// Parameters of [`OperatorSpec::WindowTopN`]. The output is the input's columns, and the rank if asked for. Of rows
/// that are equal in the order the first to arrive is ahead; with a limit of 1 and one timestamp, descending, the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowTopNSpec {
    /// Column of the window's end.
    pub window_end: usize,
    /// `PARTITION BY`, the window columns included.
    pub partition: Vec<usize>,
    /// `ORDER BY`.
    pub order: Vec<SortKey>,
    /// How many rows of each partition are kept.
    pub limit: u64,
    /// Appends a `BIGINT` column with the row number, from 1.
    pub with_rank: bool,
    /// What the limit counts.
    #[serde(default)]
    pub ranking: Ranking,
}

/// SQL's joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the join of its name")]
pub enum JoinType {
    Inner,
    Left,
    Right,
    Full,
    LeftSemi,
    LeftAnti,
    RightSemi,
    RightAnti,
}

/// Parameters of [`OperatorSpec::WindowJoin`]. The output is the left columns, then the right ones; for semi and anti
/// joins the columns of the side that they name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowJoinSpec {
    /// Which join.
    pub join_type: JoinType,
    /// Equal columns, left and right, the window's included. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// Column of the window's end, left and right.
    pub window_end: (usize, usize),
    /// A further condition over the left columns followed by the right ones.
    pub residual: Option<Expr>,
    /// How rows find each other.
    #[serde(default)]
    pub spread: JoinSpread,
}

/// Parameters of [`OperatorSpec::IntervalJoin`]: `right.time + lower <= left.time <= right.time + upper`. The output is
/// as for [`WindowJoinSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntervalJoinSpec {
    /// Which join; semi and anti are not done here.
    pub join_type: JoinType,
    /// Equal columns, left and right. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// Time columns, left and right.
    pub time: (usize, usize),
    /// Least `left.time - right.time`, in milliseconds.
    pub lower: i64,
    /// Greatest `left.time - right.time`, in milliseconds.
    pub upper: i64,
    /// A further condition over the left columns followed by the right ones.
    pub residual: Option<Expr>,
    /// How rows find each other.
    #[serde(default)]
    pub spread: JoinSpread,
}

/// Parameters of [`OperatorSpec::Join`]. The output is as for [`WindowJoinSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JoinSpec {
    /// Which join.
    pub join_type: JoinType,
    /// Equal columns, left and right. Null equals nothing. Without any, every row meets every other.
    pub on: Vec<(usize, usize)>,
    /// A further condition over the left columns followed by the right ones.
    pub residual: Option<Expr>,
    /// A row of the left and of the right side is forgotten after so many milliseconds; `None`: none is.
    #[serde(default)]
    pub time_to_live: (Option<u64>, Option<u64>),
    /// How rows find each other. Where those of one input are in every subtask, those of the other are only added, and none is forgotten.
    #[serde(default)]
    pub spread: JoinSpread,
}

/// Parameters of [`OperatorSpec::TemporalJoin`]: a left row meets, of the right rows with its key, the last one in time up to its own
/// time; of those of one time the one that came last. The output is as for [`WindowJoinSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemporalJoinSpec {
    /// Which join: inner or left.
    pub join_type: JoinType,
    /// Equal columns, left and right: the key. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// Time columns, left and right.
    pub time: (usize, usize),
    /// A further condition on the pair, over the left columns followed by the right ones. It does not choose the right row.
    pub residual: Option<Expr>,
}

/// Parameters of [`OperatorSpec::LookupJoin`]. The output is the input's columns, then those of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LookupJoinSpec {
    /// Which join: inner or left.
    pub join_type: JoinType,
    /// Equal columns, of the input and of the table. Null equals nothing.
    pub on: Vec<(usize, usize)>,
    /// How the table is read. It has no watermark.
    pub source: SourceSpec,
    /// What is made of its rows, one behind the other, over what the source makes.
    pub calcs: Vec<CalcSpec>,
    /// What the source makes, and what comes of it behind each of `calcs`; the last are the table's columns, as they are counted here.
    pub schemas: Vec<SchemaRef>,
    /// A further condition over the input's columns followed by the table's.
    pub residual: Option<Expr>,
    /// Whether rows of the input may be taken back. What was found for each is kept then, so that the same is taken back.
    pub retracts: bool,
}

impl LookupJoinSpec {
    /// Which column of what the connector reads a column of the table is; `None` for one that is computed.
    pub fn read_as(&self, column: usize) -> Option<usize> {
        let made = self.calcs.iter().rev().map(|calc| &calc.projection).chain(&self.source.projection);
        made.into_iter().try_fold(column, |column, made| match made.get(column)? {
            Expr::Column(column) => Some(*column),
            _ => None,
        })
    }

    /// The table's columns, as they are counted here.
    ///
    /// # Errors
    /// An internal error if the spec has none.
    pub fn table_schema(&self) -> Result<&SchemaRef> {
        self.schemas.last().ok_or_else(|| Error::internal("a table that is looked up in has no columns"))
    }
}

/// Parameters of [`OperatorSpec::Sink`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The table. Its columns are the input's, in order.
    pub table: TableSpec,
}
