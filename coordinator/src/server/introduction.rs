//! Asks other coordinators which log they write, and has founding members wait for each other. Why: [`crate::founding`].

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tonic::transport::Endpoint;
use weir_core::{CoordinatorId, Error, Result};
use weir_proto::grpc;
use weir_proto::peer::IntroduceRequest;
use weir_proto::peer::peer_client::PeerClient;
use weir_proto::tls::Tls;

use super::handle::Message;
use crate::founding::{Founding, Introduction, Verdict};
use crate::raft::{LogId, LogStore, Membership, Raft};

/// How long a coordinator may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pause before those are asked again who did not answer.
const PAUSE: Duration = Duration::from_millis(100);
/// When it is first told who is waited for: a person starts several coordinators within a few seconds.
const REMIND_FIRST: Duration = Duration::from_secs(3);
/// How often it is told again.
const REMIND: Duration = Duration::from_secs(10);

/// Asks the coordinator at this address who it is.
///
/// # Errors
/// If it does not answer, or is of another cluster.
pub async fn ask(cluster: &str, address: &str, tls: Option<&Tls>) -> Result<Introduction> {
    let failed = |why: String| Error::environment(format!("the coordinator at {address} cannot be asked: {why}"));
    let asking = async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|error| failed(error.to_string()))?;
        let channel = grpc::connect(&endpoint, tls).await;
        let channel = channel.map_err(|error| failed(error.to_string()).with_source(error))?;
        let request = IntroduceRequest { cluster: cluster.to_owned() };
        let answer = PeerClient::new(channel).introduce(request).await;
        Ok::<_, Error>(answer.map_err(|status| failed(status.message().to_owned()))?.into_inner())
    };
    let answer = timeout(PATIENCE, asking).await.map_err(|_| failed("it does not answer".into()))??;
    Ok(Introduction {
        id: CoordinatorId(answer.id),
        log: LogId(answer.log),
        membership: answer.membership.as_ref().map(Membership::from_wire).transpose()?,
    })
}

/// Founds the cluster together with the other members, or finds it founded; ready when there is nothing left to wait for. What
/// comes meanwhile is thrown away.
///
/// # Errors
/// If this coordinator must not start, or its store fails.
pub async fn found<S: LogStore>(
    mut founding: Founding,
    cluster: &str,
    tls: Option<&Tls>,
    store: &mut S,
    inbox: &mut mpsc::Receiver<Message>,
) -> Result<()> {
    let mut remind_at = Instant::now() + REMIND_FIRST;
    loop {
        let silent = match founding.verdict() {
            Verdict::Ask(silent) => silent,
            Verdict::Found(members) => return Raft::bootstrap(store, &members),
            Verdict::Follow => return Ok(()),
        };
        if Instant::now() >= remind_at {
            remind_at = Instant::now() + REMIND;
            let missing = silent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(missing, "a cluster is founded by all its founding members together: waiting");
        }
        let asking = async {
            for id in silent {
                let Some(address) = founding.address(id).map(str::to_owned) else { continue };
                match ask(cluster, &address, tls).await {
                    Ok(answer) => founding.hear(id, answer)?,
                    Err(error) => tracing::debug!(coordinator = id.0, error = error.report(), "it is asked again"),
                }
            }
            #[expect(clippy::disallowed_methods, reason = "a pause between two rounds of questions")]
            tokio::time::sleep(PAUSE).await;
            Ok::<(), Error>(())
        };
        let mut asking = std::pin::pin!(asking);
        loop {
            tokio::select! {
                asked = &mut asking => break asked?,
                // Nobody leads, so there is nothing that could be answered.
                message = inbox.recv() => drop(message),
            }
        }
    }
}
