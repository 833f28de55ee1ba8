//! Test files of `weir test`: what they say, and how rows in them are read, compared and written. Whoever runs them, and on what
//! engine, is not known here.
//!
//! ```text
//!   text ──parse──▶ TestFile: Records ──▶ whoever runs them
//!                     └ lines of rows ──row, values──▶ batches, or rows to be compared
//! ```
//!
//! The format is in `docs/testing.md`. It is that of sqllogictest as far as that goes.

pub mod difference;
mod parse;
pub mod row;
pub mod values;

use std::ops::Range;

pub use parse::{MOST_SUBTASKS, parse};

/// A test file.
#[derive(Debug)]
pub struct TestFile {
    /// Its records in order.
    pub records: Vec<Record>,
}

/// One record. What happens while a stream runs is part of the stream's.
#[derive(Debug)]
pub struct Record {
    /// The line of its first word, from 1.
    pub line: usize,
    /// Engines that leave it out.
    pub skip_if: Vec<String>,
    /// The engines that it is for; none: all.
    pub only_if: Vec<String>,
    /// What it says.
    pub kind: RecordKind,
}

/// What a record says.
#[derive(Debug)]
pub enum RecordKind {
    /// SQL that is right or is refused.
    Statement {
        /// The SQL.
        sql: Sql,
        /// How it is refused; `None`: it is right.
        error: Option<ErrorPattern>,
    },
    /// Rows of a table.
    Input(Input),
    /// SQL with its answer over all input so far.
    Query {
        /// The SQL.
        sql: Sql,
        /// A letter for each column.
        types: Option<String>,
        /// The answer.
        expected: Answer,
    },
    /// SQL that runs while something happens.
    Stream {
        /// The SQL.
        sql: Sql,
        /// A letter for each column.
        types: Option<String>,
        /// What happens.
        steps: Vec<Step>,
    },
}

/// SQL and where it stands.
#[derive(Debug, Clone)]
pub struct Sql {
    /// The text.
    pub text: String,
    /// Its first line, from 1.
    pub line: usize,
}

/// What a query answers.
#[derive(Debug)]
pub enum Answer {
    /// These rows.
    Rows(Rows),
    /// An error.
    Error(ErrorPattern),
}

/// What an error says.
#[derive(Debug, Clone)]
pub enum ErrorPattern {
    /// Anything.
    Any,
    /// Something in which this regular expression is found.
    Regex(regex::Regex),
    /// This, line for line.
    Exactly(Rows),
}

/// Rows of a table.
#[derive(Debug, Clone)]
pub struct Input {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: Rows,
}

/// Lines that hold a row each, as they stand in the file.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Number and text of each line.
    pub lines: Vec<(usize, String)>,
    /// All lines that they take, from 0, and that other rows would take instead.
    pub place: Range<usize>,
}

/// Something that happens while a stream runs.
#[derive(Debug)]
pub struct Step {
    /// The line of its first word, from 1.
    pub line: usize,
    /// What.
    pub kind: StepKind,
}

/// What happens while a stream runs.
#[derive(Debug)]
pub enum StepKind {
    /// Rows come.
    Input(Input),
    /// Event time goes on.
    Watermark {
        /// Of this table.
        table: String,
        /// To this time, as it is written.
        time: String,
    },
    /// Processing time goes on to this time, as it is written.
    Time(String),
    /// The job is stopped, and goes on, at another parallelism if one is given.
    Restart(Option<usize>),
    /// These rows have come out.
    Expect {
        /// All that is there, and not only what is new.
        whole: bool,
        /// The table; `None`: the result of the stream's `SELECT`.
        table: Option<String>,
        /// The rows.
        rows: Rows,
    },
    /// So many rows were late so far.
    Late(usize),
    /// The input ends.
    End,
}

impl RecordKind {
    /// Its first word.
    pub fn word(&self) -> &'static str {
        match self {
            RecordKind::Statement { .. } => "statement",
            RecordKind::Input(_) => "input",
            RecordKind::Query { .. } => "query",
            RecordKind::Stream { .. } => "stream",
        }
    }
}

impl Record {
    /// Whether it is for this engine.
    pub fn is_for(&self, engine: &str) -> bool {
        let names = |engines: &[String]| engines.iter().any(|name| name.eq_ignore_ascii_case(engine));
        !names(&self.skip_if) && (self.only_if.is_empty() || names(&self.only_if))
    }
}

/// A mistake in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Mistake {
    /// A mistake in this line.
    pub fn new(line: usize, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}
