//! The queries that jobs of histories run: which there are, and the sizes of their windows.

/// A kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// A filter and a projection: one chain.
    Project,
    /// A filter into one sink, and what it leaves out into another.
    Pair,
    /// Counts and sums in tumbling windows, in two phases.
    Tumble,
    /// The same in hopping windows.
    Hop,
    /// The same in windows that grow.
    Cumulate,
    /// Sessions of a key.
    Session,
    /// The greatest values of each key and window.
    TopN,
    /// Rows of two tables with the same key in the same window.
    Join,
    /// Rows of two tables with the same key and times that are near to each other, and those that have no such partner.
    Interval,
    /// Windows over windows: two stages that wait for time.
    Stages,
    /// Windows over the one and over the other rows of a table, joined, and windows over the join: three stages that wait for time.
    /// Of two tables one could hold results back while it sleeps, and they would be late behind the other.
    Deep,
    /// Counts and sums of each split, without a window: what has been read of it.
    Progress,
    /// The sum over the balances of accounts between which each row moves an amount: an aggregation over results that change.
    Transfers,
    /// Rows of two tables with the same key, whenever they come, and those that have no partner.
    Matches,
    /// The greatest balances.
    Leaders,
}

/// Milliseconds of a tumbling window, and of the window of a join.
pub const TUMBLE_MS: i64 = 1000;
/// Milliseconds between the beginnings of hopping windows.
pub const SLIDE_MS: i64 = 500;
/// Milliseconds of a hopping window.
pub const HOP_MS: i64 = 2000;
/// Milliseconds by which windows grow.
pub const STEP_MS: i64 = 500;
/// Milliseconds that they grow to.
pub const GROWN_MS: i64 = 1500;
/// Milliseconds without a row that end a session.
pub const GAP_MS: i64 = 400;
/// Rows of a key and window that count.
pub const TOP: usize = 2;
/// Milliseconds by which a partner may be earlier, and later.
pub const NEAR_MS: (i64, i64) = (300, 200);
/// Rows of which the value is greater are joined without regard to time.
pub const JOINED_ABOVE: i64 = 700;
/// The greatest balances that are looked for.
pub const LEADERS: usize = 2;
/// Milliseconds of a window over windows.
pub const OUTER_MS: i64 = 2000;
/// Milliseconds that watermarks are behind.
pub const DELAY_MS: u64 = 200;

impl Query {
    /// All whose results never change.
    pub const ALL: [Query; 11] = [
        Query::Project,
        Query::Pair,
        Query::Tumble,
        Query::Hop,
        Query::Cumulate,
        Query::Session,
        Query::TopN,
        Query::Join,
        Query::Interval,
        Query::Stages,
        Query::Deep,
    ];

    /// All whose results change as rows come.
    pub const UPDATING: [Query; 4] = [Query::Progress, Query::Transfers, Query::Matches, Query::Leaders];

    /// Both.
    pub fn all() -> impl Iterator<Item = Query> {
        Self::ALL.into_iter().chain(Self::UPDATING)
    }

    /// Whether its results change as rows come.
    pub fn updates(self) -> bool {
        Self::UPDATING.contains(&self)
    }

    /// Name of the job, and of its first sink's table.
    pub fn name(self) -> &'static str {
        match self {
            Query::Project => "project",
            Query::Pair => "pair",
            Query::Tumble => "tumble",
            Query::Hop => "hop",
            Query::Cumulate => "cumulate",
            Query::Session => "session",
            Query::TopN => "top",
            Query::Join => "join_windows",
            Query::Interval => "join_times",
            Query::Stages => "stages",
            Query::Deep => "deep",
            Query::Progress => "progress",
            Query::Transfers => "transfers",
            Query::Matches => "matches",
            Query::Leaders => "leaders",
        }
    }

    /// Tables that the job writes.
    pub fn sinks(self) -> &'static [&'static str] {
        match self {
            Query::Project => &["project"],
            Query::Pair => &["pair", "pair_rest"],
            Query::Tumble => &["tumble"],
            Query::Hop => &["hop"],
            Query::Cumulate => &["cumulate"],
            Query::Session => &["session"],
            Query::TopN => &["top"],
            Query::Join => &["join_windows"],
            Query::Interval => &["join_times"],
            Query::Stages => &["stages"],
            Query::Deep => &["deep"],
            Query::Progress => &["progress"],
            Query::Transfers => &["transfers"],
            Query::Matches => &["matches"],
            Query::Leaders => &["leaders"],
        }
    }

    /// How many tables it reads.
    pub fn tables(self) -> u64 {
        match self {
            Query::Join | Query::Interval | Query::Matches => 2,
            _ => 1,
        }
    }

    /// The query whose job has this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|query| query.name() == name)
    }

    /// The query whose job writes this table.
    pub fn writing(table: &str) -> Option<Self> {
        Self::all().find(|query| query.sinks().contains(&table))
    }
}
