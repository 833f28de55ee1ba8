//! The queries that jobs of histories run: which there are, and the sizes of their windows.

/// A kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// A filter and a projection: one chain.
    Project,
    /// Counts and sums in tumbling windows, in two phases.
    Tumble,
    /// The same in hopping windows.
    Hop,
    /// Sessions of a key.
    Session,
    /// Rows of two tables with the same key in the same window.
    Join,
}

/// Milliseconds of a tumbling window, and of the window of a join.
pub const TUMBLE_MS: i64 = 1000;
/// Milliseconds between the beginnings of hopping windows.
pub const SLIDE_MS: i64 = 500;
/// Milliseconds of a hopping window.
pub const HOP_MS: i64 = 2000;
/// Milliseconds without a row that end a session.
pub const GAP_MS: i64 = 400;
/// Milliseconds that watermarks are behind.
pub const DELAY_MS: u64 = 200;

impl Query {
    /// All of them.
    pub const ALL: [Query; 5] = [Query::Project, Query::Tumble, Query::Hop, Query::Session, Query::Join];

    /// Name of the job, and of its sink's table.
    pub fn name(self) -> &'static str {
        match self {
            Query::Project => "project",
            Query::Tumble => "tumble",
            Query::Hop => "hop",
            Query::Session => "session",
            Query::Join => "join_windows",
        }
    }
}
