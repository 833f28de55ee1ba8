//! How large messages may be. Both sides hold to the same limits: the sender refuses with a clear word what the receiver would
//! cut the connection for.

/// A request of a client, and its answer.
pub const CLIENT_MESSAGE: usize = 4 << 20;

/// A submitted job: the SQL and its dataflow.
pub const SUBMITTED_JOB: usize = 16 << 20;

/// A message between a coordinator and a worker. A job that could be submitted can be deployed: the dataflow comes with a
/// placement besides.
pub const WORKER_MESSAGE: usize = SUBMITTED_JOB + (1 << 20);

/// A message between coordinators: entries of the log, one of which may be a submitted job, or a snapshot.
pub const PEER_MESSAGE: usize = 128 << 20;

/// `n` bytes as people read limits.
pub(crate) fn mebibytes(n: usize) -> String {
    format!("{:.1} MiB", n as f64 / f64::from(1 << 20))
}
