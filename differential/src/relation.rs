//! Relations: what queries are made of, each computed from others.

mod aggregate;
mod common_rows;
mod evaluate;
mod over;
mod ranking;
mod sql;
mod window;

pub use aggregate::{Call, Function};
pub use common_rows::CommonRows;
pub use evaluate::rows;
pub use over::{Frame, Over, OverFunction};
pub use ranking::Ranking;
pub use sql::{Script, body};
pub use window::Window;

use crate::expression::Expression;
use crate::types::Type;

/// A column of a relation.
#[derive(Debug, Clone)]
pub struct Column {
    /// The only one of that name in the query, but for the columns that window functions add.
    pub name: String,
    /// Type.
    pub data_type: Type,
    /// Whether there may be nulls.
    pub nullable: bool,
    /// Greatest magnitude of a number, in units of its last digit; `None`: that of the type.
    pub bound: Option<i128>,
}

/// A column of a result: an expression and its name.
#[derive(Debug, Clone)]
pub struct Item {
    /// Name.
    pub name: String,
    /// What it holds.
    pub expression: Expression,
}

/// A key of an order.
#[derive(Debug, Clone)]
pub struct Order {
    /// By which column.
    pub column: String,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `NULLS LAST`; `None`: not said.
    pub nulls_first: Option<bool>,
}

/// A kind of join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// `INNER`.
    Inner,
    /// `LEFT`.
    Left,
    /// `RIGHT`.
    Right,
    /// `FULL`.
    Full,
}

impl JoinKind {
    /// All of them.
    pub const ALL: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full];

    /// Whether rows of the left side stay without a partner.
    pub fn keeps_left(self) -> bool {
        matches!(self, JoinKind::Left | JoinKind::Full)
    }

    /// Whether rows of the right side stay without a partner.
    pub fn keeps_right(self) -> bool {
        matches!(self, JoinKind::Right | JoinKind::Full)
    }
}

/// How a semi or anti join is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matching {
    /// `EXISTS (…)`.
    Exists,
    /// `LEFT SEMI JOIN`, `LEFT ANTI JOIN`.
    Join,
}

/// How a join with versions is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// `ASOF JOIN`: rows without a version stay.
    AsOf,
    /// `JOIN … FOR SYSTEM_TIME AS OF`, with a view of the newest row of each key.
    Inner,
    /// The same as a `LEFT JOIN`.
    Left,
}

/// When results of an aggregation are shown. At the end of the input they are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Emission {
    /// As goes without saying.
    #[default]
    Plain,
    /// `EMIT ON UPDATE`: before a window closes, and taken back then.
    OnUpdate,
    /// `EMIT EVERY` so many milliseconds.
    Every(u32),
    /// `ALLOWED LATENESS` of so many milliseconds: when a window closes, and taken back if a row comes late.
    Late(u32),
}

/// How first rows are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstRows {
    /// By a condition around their number.
    Around,
    /// `QUALIFY`.
    Qualify,
    /// `FETCH FIRST … WITH TIES`, of whole relations and ranks.
    WithTies,
}

/// How a relation is computed.
#[derive(Debug, Clone)]
pub enum Node {
    /// The rows of a table, by its place.
    Table(usize),
    /// Rows for which the filter is true.
    Select {
        /// Of what.
        input: Box<Relation>,
        /// Columns.
        items: Vec<Item>,
        /// `WHERE`.
        filter: Option<Expression>,
    },
    /// Rows in windows.
    Window {
        /// Of what.
        input: Box<Relation>,
        /// Time attribute.
        time: String,
        /// Which windows.
        window: Window,
    },
    /// Groups, of which the first two keys are the bounds of a window, if there is one. Without keys all rows are one.
    Aggregate {
        /// Of what.
        input: Box<Relation>,
        /// `WHERE`.
        filter: Option<Expression>,
        /// What the groups have in common.
        keys: Vec<Item>,
        /// Grouping sets: the places of their keys, beside the window.
        sets: Option<Vec<Vec<usize>>>,
        /// Aggregates; none: `SELECT DISTINCT`.
        calls: Vec<Call>,
        /// Over keys and aggregates.
        having: Option<Expression>,
        /// When results are shown.
        shown: Emission,
    },
    /// The first rows of each partition.
    Top {
        /// Of what.
        input: Box<Relation>,
        /// Columns of the partition, a window's first.
        partition: Vec<String>,
        /// Order, in which no two rows with numbers of their own are at one place unless they are equal in all columns.
        order: Vec<Order>,
        /// What is limited.
        ranking: Ranking,
        /// To which number.
        limit: i64,
        /// Columns.
        items: Vec<Item>,
        /// Name of the place's column.
        place: String,
        /// How it is written.
        form: FirstRows,
    },
    /// The rows, each with what a function with `OVER` is for it.
    Over {
        /// Of what.
        input: Box<Relation>,
        /// Columns of the input.
        items: Vec<Item>,
        /// The function.
        over: Over,
    },
    /// Pairs of rows.
    Join {
        /// Left side.
        left: Box<Relation>,
        /// Right side.
        right: Box<Relation>,
        /// Kind.
        kind: JoinKind,
        /// When two rows are partners.
        condition: Expression,
        /// Columns.
        items: Vec<Item>,
    },
    /// Each row beside the last version of its key up to its time.
    Version {
        /// Rows.
        left: Box<Relation>,
        /// Versions: a table, no two of which have a key and a time in common.
        right: Box<Relation>,
        /// Time attributes of both sides.
        times: (String, String),
        /// Key of both sides.
        key: (String, String),
        /// How it is written.
        form: Versions,
        /// Columns.
        items: Vec<Item>,
    },
    /// Rows with, or without, a partner.
    Match {
        /// Rows.
        input: Box<Relation>,
        /// Partners.
        other: Box<Relation>,
        /// Without.
        negated: bool,
        /// How it is written.
        form: Matching,
        /// When two rows are partners.
        condition: Expression,
        /// Columns of the input.
        items: Vec<Item>,
    },
    /// Rows of all, whose columns have the same types.
    Union(Vec<Relation>),
    /// Rows that both sides have, or the left one alone.
    Common {
        /// Left side.
        left: Box<Relation>,
        /// Right side, whose columns have the same types.
        right: Box<Relation>,
        /// Which.
        rows: CommonRows,
    },
    /// A row for each element of an array.
    Unnest {
        /// Of what.
        input: Box<Relation>,
        /// Column of the array.
        array: String,
        /// Name of the element.
        element: String,
        /// Columns of the input.
        items: Vec<Item>,
    },
}

/// A relation.
#[derive(Debug, Clone)]
pub struct Relation {
    /// How it is computed.
    pub node: Node,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Those that are time attributes.
    pub times: Vec<String>,
    /// Those that bound the window that a row is in.
    pub window: Option<(String, String)>,
    /// Columns of which no two rows of a window have all values in common, and which are not null.
    pub unique: Option<Vec<String>>,
}

impl Relation {
    /// The column of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn column(&self, name: &str) -> &Column {
        let found = self.columns.iter().find(|column| column.name == name);
        found.unwrap_or_else(|| panic!("no column {name}"))
    }

    /// Names of the columns.
    pub fn names(&self) -> Vec<String> {
        self.columns.iter().map(|column| column.name.clone()).collect()
    }

    /// How many keys of an aggregation bound a window; they come first.
    pub fn keys_of_window(&self) -> usize {
        if self.window.is_some() { 2 } else { 0 }
    }

    /// Those that it is computed from.
    pub fn inputs(&self) -> Vec<&Relation> {
        match &self.node {
            Node::Table(_) => Vec::new(),
            Node::Select { input, .. }
            | Node::Window { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Unnest { input, .. }
            | Node::Over { input, .. }
            | Node::Top { input, .. } => vec![input],
            Node::Join { left, right, .. } | Node::Version { left, right, .. } | Node::Common { left, right, .. } => {
                vec![left, right]
            }
            Node::Match { input, other, .. } => vec![input, other],
            Node::Union(inputs) => inputs.iter().collect(),
        }
    }

    /// Those that it is computed from, to be changed.
    pub fn inputs_mut(&mut self) -> Vec<&mut Relation> {
        match &mut self.node {
            Node::Table(_) => Vec::new(),
            Node::Select { input, .. }
            | Node::Window { input, .. }
            | Node::Aggregate { input, .. }
            | Node::Unnest { input, .. }
            | Node::Over { input, .. }
            | Node::Top { input, .. } => vec![input],
            Node::Join { left, right, .. } | Node::Version { left, right, .. } | Node::Common { left, right, .. } => {
                vec![left, right]
            }
            Node::Match { input, other, .. } => vec![input, other],
            Node::Union(inputs) => inputs.iter_mut().collect(),
        }
    }
}
