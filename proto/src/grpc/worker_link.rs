//! The worker's side of `weir.worker.v1.Workers`.

use std::time::Duration;

use futures::{StreamExt, stream};
use prost::Message;
use tokio::sync::mpsc;
use tonic::Streaming;
use weir_core::{ErrorKind, Result};

use super::workers::broken;
use super::{endpoint, from_status, unreachable};
use crate::client::ClientError;
use crate::control::{Failure, FromWorker, Hello, ToWorker};
use crate::generated::worker::v1 as wire;
use crate::generated::worker::v1::workers_client::WorkersClient;
use crate::limits::{self, mebibytes};

/// How patient a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOptions {
    /// How long connecting may take, and then the first answer.
    pub connect_timeout: Duration,
    /// How often the connection is asked whether it is alive; it is given up when no answer comes for as long.
    pub keep_alive: Duration,
}

/// A worker's connection to a coordinator. Dropping it ends the connection.
pub struct WorkerLink {
    incoming: Streaming<wire::ToWorker>,
}

impl WorkerLink {
    /// Connects to the coordinator at `host:port` and says hello. What comes out of `outgoing` is sent, and when it ends the
    /// coordinator is told so.
    ///
    /// # Errors
    /// If nobody answers, or what answers is no coordinator.
    pub async fn attach(
        address: &str,
        hello: Hello,
        outgoing: mpsc::Receiver<FromWorker>,
        options: LinkOptions,
    ) -> Result<Self, ClientError> {
        let endpoint = endpoint(address, options.connect_timeout)?
            .http2_keep_alive_interval(options.keep_alive)
            .keep_alive_timeout(options.keep_alive)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect().await.map_err(|error| unreachable(address, &error))?;
        let mut client = WorkersClient::new(channel).max_decoding_message_size(limits::WORKER_MESSAGE);
        let messages = stream::unfold(outgoing, async |mut outgoing| Some((outgoing.recv().await?, outgoing)));
        let messages = stream::iter([FromWorker::Hello(hello)]).chain(messages).map(|message| sendable(&message));
        let answer = tokio::time::timeout(options.connect_timeout, client.attach(messages)).await;
        let answer = answer.unwrap_or_else(|_| Err(tonic::Status::deadline_exceeded("")));
        let incoming = answer.map_err(|status| from_status(&status, address))?.into_inner();
        Ok(Self { incoming })
    }

    /// The next message; `None` when the coordinator has ended the connection.
    ///
    /// # Errors
    /// If the connection broke, or the message cannot be read, after which none can.
    pub async fn next(&mut self) -> Result<Option<ToWorker>> {
        match self.incoming.message().await {
            Ok(Some(message)) => Ok(Some(message.try_into()?)),
            Ok(None) => Ok(None),
            Err(status) => Err(broken(&status)),
        }
    }
}

/// The message; a report that the coordinator would not take becomes a failed one, so that the connection lives and someone hears
/// of it.
fn sendable(message: &FromWorker) -> wire::FromWorker {
    let sent = wire::FromWorker::from(message);
    let size = sent.encoded_len();
    if size <= limits::WORKER_MESSAGE {
        return sent;
    }
    let failure = || Failure {
        peer_lost: false,
        kind: ErrorKind::Environment,
        report: format!(
            "what one epoch adds takes {} to tell, and may take {}\n  help: checkpoint more often, or run the job with fewer \
             subtasks per worker",
            mebibytes(size),
            mebibytes(limits::WORKER_MESSAGE)
        ),
    };
    match message {
        FromWorker::Report(report) => {
            let failed = crate::control::Report { outcome: Err(failure()), ..report.clone() };
            (&FromWorker::Report(failed)).into()
        }
        FromWorker::Merged { job, attempt, epoch, .. } => {
            (&FromWorker::Merged { job: *job, attempt: *attempt, epoch: *epoch, merged: Err(failure()) }).into()
        }
        _ => sent,
    }
}

#[cfg(test)]
mod tests {
    use weir_core::{Attempt, Epoch, JobId};
    use weir_state::EpochContent;

    use super::*;
    use crate::control::Report;
    use crate::wire::tests::samples;

    #[test]
    fn a_report_that_is_too_large_is_told_as_a_failure() {
        let report = |bytes: usize| {
            let sink = samples::committables(vec![7; bytes]);
            let content = EpochContent { epoch: Epoch(3), committables: vec![sink], ..EpochContent::default() };
            FromWorker::Report(Report { job: JobId(1), attempt: Attempt(2), epoch: Epoch(3), outcome: Ok(content) })
        };
        let small = FromWorker::try_from(sendable(&report(10)));
        assert!(matches!(small, Ok(FromWorker::Report(Report { outcome: Ok(_), .. }))));
        let large = FromWorker::try_from(sendable(&report(limits::WORKER_MESSAGE)));
        let Ok(FromWorker::Report(Report { outcome: Err(failure), epoch: Epoch(3), .. })) = large else {
            panic!("{large:?}");
        };
        assert!(failure.report.contains("may take 17.0 MiB"), "{}", failure.report);
    }
}
