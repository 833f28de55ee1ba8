//! How large messages may be. Both sides hold to the same limits: the sender refuses with a clear word what the receiver would
//! cut the connection for.

use prost::Message;
use weir_core::{Error, Result};

use crate::control::FromWorker;
use crate::generated::worker::v1 as wire;

/// A request of a client, and its answer.
pub const CLIENT_MESSAGE: usize = 4 << 20;

/// A submitted job: the SQL and its dataflow.
pub const SUBMITTED_JOB: usize = 16 << 20;

/// A message between a coordinator and a worker. A job that could be submitted can be deployed: the dataflow comes with a
/// placement besides.
pub const WORKER_MESSAGE: usize = SUBMITTED_JOB + (1 << 20);

/// A message between coordinators: entries of the log, one of which may be a submitted job, or a snapshot.
pub const PEER_MESSAGE: usize = 128 << 20;

/// Whether a coordinator would take the message.
///
/// # Errors
/// An environment error that says how large it is and may be.
pub fn check(message: &FromWorker) -> Result<()> {
    let size = wire::FromWorker::from(message).encoded_len();
    if size <= WORKER_MESSAGE {
        return Ok(());
    }
    let (size, most) = (mebibytes(size), mebibytes(WORKER_MESSAGE));
    Err(Error::environment(format!("what one epoch adds takes {size} to tell, and may take {most}"))
        .with_help("checkpoint more often, or run the job with fewer subtasks per worker"))
}

/// `n` bytes as people read limits.
pub(crate) fn mebibytes(n: usize) -> String {
    format!("{:.1} MiB", n as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use weir_core::{Attempt, Epoch, JobId};
    use weir_state::EpochContent;

    use super::*;
    use crate::control::Report;
    use crate::wire::tests::samples;

    #[test]
    fn a_report_that_is_too_large_is_not_to_be_sent() {
        let report = |bytes: usize| {
            let sink = samples::committables(vec![7; bytes]);
            let content = EpochContent { epoch: Epoch(3), committables: vec![sink], ..EpochContent::default() };
            FromWorker::Report(Report { job: JobId(1), attempt: Attempt(2), epoch: Epoch(3), outcome: Ok(content) })
        };
        assert!(check(&report(10)).is_ok());
        let report = check(&report(WORKER_MESSAGE)).unwrap_err().report();
        assert!(report.contains("MiB to tell, and may take 17.0 MiB"), "{report}");
    }
}
