//! A stream while it is being lowered: which nodes make its rows, what still has to be done to them, and what is known
//! about its columns.
//!
//! Filters and projections are not nodes of their own: they gather here and become one calculation when something
//! needs the rows. In the same way a window function or a row number stays *pending* until it is known what its
//! consumer makes of it.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion_common::DFSchema;
use datafusion_expr::{Expr as LogicalExpr, ExprSchemable};
use weir_core::{BinaryOperator, Expr, Literal, LiteralValue, NodeId, Ranking, Result, SourceSpec, WindowKind};

use super::error::from_planner;
use super::expr::expr;
use super::shape::Wanted;
use super::window::WINDOW_COLUMNS;
use crate::logical::Emission;

/// Which part of a window a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowPart {
    Start,
    End,
    Time,
}

/// Tells the windows of one assignment from those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lineage(pub u32);

/// What a column is to event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing in particular.
    Plain,
    /// It would be a time attribute, if the stream did not carry processing time.
    Overruled,
    /// It was a time attribute, or a part of a window, before a join that may show its row at any later time.
    Joined,
    /// A time attribute: watermarks speak about it.
    Time {
        /// Of the clock, not of the data.
        processing: bool,
    },
    /// A part of the row's window. `Time` is a time attribute; `End` is one millisecond later and serves as one in
    /// bounds of a join.
    Window { part: WindowPart, kind: WindowKind, lineage: Lineage, processing: bool },
}

/// A column of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StreamColumn {
    pub name: String,
    pub data_type: DataType,
    pub role: Role,
}

impl StreamColumn {
    pub fn plain(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type, role: Role::Plain }
    }
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// A source that is not in the graph yet, so that a filter can still go into it. `clock` asks for a processing-time
    /// column behind the source's own; a `shared` source has other readers, and takes no filter of one of them.
    Scan { spec: Box<SourceSpec>, clock: bool, shared: bool },
    /// Nodes; several make a union.
    Nodes(Vec<NodeId>),
}

/// Something whose columns are not computed yet. They are numbered from the number of base columns on.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    Nothing,
    /// `window_start`, `window_end` and `window_time`.
    Window(PendingWindow),
    /// One column: the row number.
    Rank(PendingRank),
}

/// A window function that has not been computed yet.
#[derive(Debug, Clone)]
pub(super) struct PendingWindow {
    pub kind: WindowKind,
    pub lineage: Lineage,
    /// The time attribute, a base column.
    pub time: usize,
    pub processing: bool,
    /// `PARTITION BY` of a session.
    pub partition: Vec<Expr>,
    /// Milliseconds behind its end in which a window still takes rows.
    pub lateness: u64,
}

/// A `ROW_NUMBER()` that has not been computed yet.
#[derive(Debug, Clone)]
pub(super) struct PendingRank {
    pub partition: Vec<Typed>,
    /// Expression, descending, nulls first.
    pub order: Vec<(Typed, bool, bool)>,
    pub ranking: Ranking,
    /// What the settings of the job say of state, if nothing limits the number.
    pub kept: Kept,
}

/// How long what would be kept for ever is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    /// Milliseconds; `None`: for ever.
    pub length: Option<u64>,
    /// Whether time is that of the clock.
    pub by_clock: bool,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    pub base: Base,
    /// Columns that the base makes.
    pub columns: Vec<StreamColumn>,
    pub pending: Pending,
    /// Conditions that all have to be true, over base and pending columns.
    pub predicates: Vec<Expr>,
    /// The output, over base and pending columns.
    pub projection: Vec<Expr>,
    /// Names of the output columns.
    pub names: Vec<String>,
    /// Types of the output columns.
    pub types: Vec<DataType>,
    /// How long what is kept of it is to be kept, if a hint says so.
    pub life: Option<Life>,
    /// The number of the hint that says that a join is to have its rows in every subtask.
    pub broadcast: Option<usize>,
    /// When what is aggregated of it comes out, if a clause says so, and the number of the clause in its job.
    pub emission: Option<(Emission, usize)>,
}

/// What a hint says of a relation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// Milliseconds.
    pub length: u64,
    /// Number of the hint in its job.
    pub hint: usize,
}

/// `TIMESTAMP(3)`.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, None)
}

impl Stream {
    /// The rows of nodes as they are.
    pub fn of_nodes(nodes: Vec<NodeId>, columns: Vec<StreamColumn>) -> Self {
        Self::new(Base::Nodes(nodes), columns)
    }

    /// The rows of a base as they are.
    pub fn new(base: Base, columns: Vec<StreamColumn>) -> Self {
        Self {
            base,
            pending: Pending::Nothing,
            predicates: Vec::new(),
            projection: (0..columns.len()).map(Expr::Column).collect(),
            names: columns.iter().map(|column| column.name.clone()).collect(),
            types: columns.iter().map(|column| column.data_type.clone()).collect(),
            columns,
            life: None,
            broadcast: None,
            emission: None,
        }
    }

    /// Base columns and those of a pending window.
    pub fn columns_with_pending(&self) -> Vec<StreamColumn> {
        let mut columns = self.columns.clone();
        if matches!(self.pending, Pending::Window(_)) {
            for (offset, name) in WINDOW_COLUMNS.iter().enumerate() {
                let role = self.role(self.columns.len() + offset);
                columns.push(StreamColumn { name: (*name).to_owned(), data_type: timestamp(), role });
            }
        }
        columns
    }

    /// Whether `column` is one of those that are pending.
    pub fn is_pending(&self, column: usize) -> bool {
        column >= self.columns.len()
    }

    /// Whether `expression` reads a pending column.
    pub fn reads_pending(&self, expression: &Expr) -> bool {
        let mut found = false;
        expression.visit_columns(&mut |column| found |= self.is_pending(column));
        found
    }

    /// What base or pending column `column` is to event time.
    pub fn role(&self, column: usize) -> Role {
        if let Some(column) = self.columns.get(column) {
            return column.role;
        }
        match &self.pending {
            Pending::Window(window) => {
                let part = match column - self.columns.len() {
                    0 => WindowPart::Start,
                    1 => WindowPart::End,
                    _ => WindowPart::Time,
                };
                Role::Window { part, kind: window.kind, lineage: window.lineage, processing: window.processing }
            }
            Pending::Nothing | Pending::Rank(_) => Role::Plain,
        }
    }

    /// What the value of `expression` is to event time: a column's role, and nothing for what is computed.
    pub fn role_of(&self, expression: &Expr) -> Role {
        match expression {
            Expr::Column(column) => self.role(*column),
            _ => Role::Plain,
        }
    }

    /// Columns of the output.
    pub fn output(&self) -> Vec<StreamColumn> {
        let columns = self.projection.iter().zip(&self.names).zip(&self.types);
        columns
            .map(|((expression, name), data_type)| StreamColumn {
                name: name.clone(),
                data_type: data_type.clone(),
                role: self.role_of(expression),
            })
            .collect()
    }
}

/// Characters of an expression that can be a column's name.
const LONGEST_NAME: usize = 60;

/// An expression and its type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub expression: Expr,
    pub data_type: DataType,
}

impl Typed {
    /// This expression as a column for a consumer; a column keeps its name and role. A computed one is named after what
    /// it computes, or `name` if that is too long.
    pub fn wanted(self, name: &str, columns: &[StreamColumn]) -> Wanted {
        let column = match &self.expression {
            Expr::Column(column) => columns[*column].clone(),
            computed => {
                let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
                let text = crate::explain::sql(computed, &names);
                let readable = text.chars().count() <= LONGEST_NAME;
                StreamColumn::plain(if readable { text } else { name.to_owned() }, self.data_type)
            }
        };
        Wanted { expression: self.expression, column }
    }
}

/// `expression`, given over the output of `stream`, in terms of its base and pending columns.
pub(super) fn typed(expression: &LogicalExpr, schema: &DFSchema, stream: &Stream) -> Result<Typed> {
    let data_type = expression.get_type(schema).map_err(from_planner)?;
    Ok(Typed { expression: inline(&expr(expression, schema)?, &stream.projection), data_type })
}

/// `expression` over the output of `projection`, in terms of what the projection reads.
pub(super) fn inline(expression: &Expr, projection: &[Expr]) -> Expr {
    expression.replace_columns(&|column| projection[column].clone())
}

/// All of `predicates` together.
pub(super) fn conjunction(predicates: Vec<Expr>) -> Option<Expr> {
    predicates.into_iter().reduce(|left, right| Expr::Binary {
        operator: BinaryOperator::And,
        left: Box::new(left),
        right: Box::new(right),
    })
}

/// The conditions that `predicate` is the conjunction of.
pub(super) fn conjuncts(predicate: Expr, into: &mut Vec<Expr>) {
    match predicate {
        Expr::Binary { operator: BinaryOperator::And, left, right } => {
            conjuncts(*left, into);
            conjuncts(*right, into);
        }
        other => into.push(other),
    }
}

/// `time` moved by so many milliseconds.
pub(super) fn shifted(time: Expr, milliseconds: i64) -> Expr {
    if milliseconds == 0 {
        return time;
    }
    let by = Literal {
        data_type: DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano),
        value: LiteralValue::Interval { months: 0, days: 0, nanoseconds: milliseconds.saturating_mul(1_000_000) },
    };
    Expr::Binary { operator: BinaryOperator::Plus, left: Box::new(time), right: Box::new(Expr::Literal(by)) }
}

/// Whether a condition lets no row through, whatever is in it. The optimiser makes such a constant of all conditions next to one.
pub(super) fn is_never_true(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(Literal { value: LiteralValue::Null | LiteralValue::Boolean(false), .. }))
}

/// The error about a query that is refused because of such a condition: what bounded it went with it.
pub(super) fn never_true(what: &str) -> weir_core::Error {
    weir_core::Error::user(format!("{what} is never true"))
        .with_help("a part of it is false whatever the row is, such as `1 = 2` or a comparison with NULL: correct it or leave it out")
}
