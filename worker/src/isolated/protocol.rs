//! What a worker and a plugin's process say to each other.
//!
//! Both are the same program, so there are no versions of it.

use serde::{Deserialize, Serialize};
use weir_core::plugin::{OperatorRequest, PluginCommit, TableRequest};
use weir_core::{EventTime, OpenContext, OutputPort, Outstanding};
use weir_plugin_abi::ErrorText;

/// What rows are, beside the call that they go with. Those of one stream of the wire mostly have the same columns, so each of these has its own.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// Of an operator's input.
    Input(usize),
    /// Of a table in its state.
    Table(usize),
    /// Key hashes.
    Hashes,
    /// Rows that a sink has asked for.
    Given,
    /// Arguments of this function.
    Arguments(u32),
    /// States of its groups.
    States(u32),
}

impl Stream {
    /// Its number: the kind stands in the last three bits, so that no two of them are the same.
    pub fn number(self) -> u32 {
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let (kind, which) = match self {
            Self::Input(ordinal) => (0, place(ordinal)),
            Self::Table(table) => (1, place(table)),
            Self::Hashes => (2, 0),
            Self::Given => (3, 0),
            Self::Arguments(function) => (4, function),
            Self::States(function) => (5, function),
        };
        which << 3 | kind
    }
}

/// What the worker asks for, one after the other. Times called `now` are the processing time of the call.
#[derive(Debug, Serialize, Deserialize)]
pub enum Call {
    /// Make this operator, the only one. Answered with its tables.
    Make(OperatorRequest),
    /// `Operator::open`.
    Open(OpenContext),
    /// `Operator::load`. With the rows, whose last column are the hashes.
    Load {
        /// Position of the table.
        table: usize,
    },
    /// `Operator::expired`, `due` or `settled`.
    Bound {
        /// Which of them.
        which: Bound,
        /// Position of the table.
        table: usize,
        /// What is asked about.
        time: EventTime,
    },
    /// The key hashes that `Operator::evict` would ask about. Answered with rows of one column, and without if there are none.
    Hashes,
    /// `Operator::evict`. With rows of one column, the hashes that leave.
    Evict,
    /// `Operator::process`. With the rows.
    Process {
        /// Which input they came on.
        ordinal: usize,
        now: i64,
    },
    /// `Operator::watermark`.
    Watermark { time: EventTime, now: i64 },
    /// `Operator::tick`.
    Tick { now: i64 },
    /// `Operator::wake_by`. What it wakes is told by [`Later::Woken`].
    WakeBy,
    /// `Operator::answers`.
    Answers { now: i64 },
    /// `Operator::release`.
    Release { now: i64 },
    /// `Operator::flush`.
    Flush { now: i64 },
    /// `Operator::capture`. Answered with what was [`Captured`] of each table.
    Capture,
    /// About functions.
    Function(FunctionCall),
    /// About a source or a sink.
    Table(TableCall),
    /// The operator, and whatever else was made, is dropped.
    Drop,
}

/// What is asked of functions. Their numbers are those of [`FunctionCall::Find`].
#[derive(Debug, Serialize, Deserialize)]
pub enum FunctionCall {
    /// `Plugin::function`. Answered with the number of the function, and its signature.
    Find(String),
    /// `ScalarFunction::call`. With the arguments, unless there are none; the results are emitted.
    Call {
        function: u32,
        /// Rows that there are, also without arguments.
        rows: usize,
    },
    /// `AggregateGroup::update` of groups, which begin with it. With the arguments, and behind them the number of the group; rows of one
    /// stand together. Answered with the bytes that each group has then.
    Update(u32),
    /// `AggregateGroup::merge`, in the same way. With the states.
    Merge(u32),
    /// `AggregateGroup::result` or `state` of groups. Those of the first are emitted, at least, and of as many others as can be told well.
    Values {
        function: u32,
        /// Results, not states.
        results: bool,
        groups: Vec<u64>,
        /// Others, which are dropped before.
        forgotten: Vec<u64>,
    },
    /// Groups are dropped.
    Forget { function: u32, groups: Vec<u64> },
}

/// What is asked of sources and sinks. What is made is answered with a number, by which it is called.
#[derive(Debug, Serialize, Deserialize)]
pub enum TableCall {
    /// `Plugin::source`.
    Source(TableRequest),
    /// `PluginSource::splits`.
    Splits(u64),
    /// `PluginSource::open`.
    Open { source: u64, split: String, position: Option<String> },
    /// `PluginReader::read`. Rows are emitted; answered with where the reader [stands](Stand).
    Read { reader: u64, most: usize },
    /// `Plugin::sink`.
    Sink(TableRequest),
    /// `PluginSink::commit`. Rows are [asked for](Reply::Wanted).
    Commit { sink: u64, commit: PluginCommit },
    /// `PluginSink::last_epoch`.
    LastEpoch { sink: u64, writer: String },
    /// It is dropped.
    End(u64),
}

/// Where a reader stands behind what it has read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Stand {
    pub position: String,
    pub time: Option<EventTime>,
    pub is_end: bool,
}

/// What is said to a process that has asked for rows.
#[derive(Debug, Serialize, Deserialize)]
pub enum Given {
    /// With rows.
    Rows,
    /// There are no more.
    End,
    /// They could not be had.
    Failed(ErrorText),
}

/// A time by which rows of a table are told apart.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub enum Bound {
    Expired,
    Due,
    Settled,
}

/// What comes back of a call: rows that were emitted, in order, or asked for, and then one of the others.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply<T> {
    /// With rows.
    Emitted(OutputPort),
    /// Rows are asked for: a [`Given`] is next.
    Wanted,
    /// It has succeeded.
    Done {
        value: T,
        /// Rows that it has counted as late.
        late: u64,
        /// How the operator stands behind it.
        outstanding: Outstanding,
        /// `Operator::state_bytes` behind it: asked for after each batch, which takes no call that way.
        state_bytes: usize,
    },
    /// It has failed.
    Failed(ErrorText),
}

/// What was captured of a table, and is made later.
#[derive(Debug, Serialize, Deserialize)]
pub struct Captured {
    /// Its number, of which there is no other one in the process.
    pub number: u64,
    /// `Capture::expired`.
    pub expired: Option<EventTime>,
}

/// What the worker says of captured rows, while calls go on.
#[derive(Debug, Serialize, Deserialize)]
pub enum Kept {
    /// Make them.
    Make(u64),
    /// Nobody wants them.
    Forget(u64),
}

/// What the process says while calls go on.
#[derive(Debug, Serialize, Deserialize)]
pub enum Later {
    /// There are answers.
    Woken,
    /// A piece of captured rows. With rows: behind the table's columns stand the hashes, and whether the key is gone.
    Piece {
        /// Whether the last column is there.
        deletes: bool,
    },
    /// There are no further pieces.
    Made,
    /// They could not be made.
    Failed(ErrorText),
}
